//! The server's own file: where it listens, where it keeps its data. Everything else is configuration in the database.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// What stands in the configuration file (TOML). Every key has a default, so that a server starts without a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Display name; the host name when empty.
    pub name: String,
    /// The data folder: identity, databases, driver store.
    pub data: PathBuf,
    /// The folder into which driver files are put.
    pub drivers: PathBuf,
    /// The folder of WAV files that notifications name.
    pub audio: PathBuf,
    /// Where it listens.
    pub listen: Listen,
    /// What it tells its peers and browsers, where that differs from where it listens.
    pub advertise: Advertise,
    /// The one figure from which redundancy times derive, and the hold-down.
    pub timing: Timing,
    /// Defaults of the two local settings and how audio leaves.
    pub media: Media,
    /// Limits of the installation until the configuration says otherwise.
    pub licence: Licence,
    /// How configuration is kept for secondaries and compared.
    pub replication: Replication,
    /// How long what was sent is kept.
    pub history: History,
    /// Files that parts of the log are written to, beside standard error.
    pub log_file: Vec<LogFile>,
}

/// A file for a part of the log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// Which file; made if it is not there, appended to if it is.
    pub path: PathBuf,
    /// What goes there, as `ONEALERT_LOG` says it: `SyncLog=info`, or `off,SyncLog=warn`.
    pub filter: String,
}

/// Where the server listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// For the other servers.
    pub mesh: SocketAddr,
    /// Pages, API and status URL without TLS. `None` switches it off.
    pub http: Option<SocketAddr>,
    /// The same with TLS. `None` switches it off.
    pub https: Option<SocketAddr>,
    /// Passwords may be sent without TLS: for trials on one machine.
    pub allow_http_login: bool,
}

/// What the server tells others about where it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Advertise {
    /// `address:port` for the other servers; the mesh address it listens on when empty.
    pub mesh: String,
    /// Base URL of the pages.
    pub web: String,
}

/// Redundancy times.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Interval of the signs of life; suspicion is four of them. 250 by default, 100 is the fast profile.
    pub heartbeat_ms: u64,
    /// How long a returned server waits before it owns again, in seconds.
    pub hold_down_s: u64,
}

/// Audio.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Media {
    /// Address of the interface that multicast leaves by, or `auto` for that of the default route.
    pub interface: String,
    /// Hops that multicast may make.
    pub ttl: u8,
    /// Program that speaks: text on its standard input, WAV on its standard output. espeak-ng when empty.
    pub speech: Vec<String>,
}

/// Limits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Licence {
    /// How many secondaries may join; what the configuration says counts instead.
    pub secondaries: u32,
    /// For how many days a secondary works without hearing its primary before it says that its licence is not proven.
    pub grace_days: u32,
}

/// Replication.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Replication {
    /// How often rows are compared with what was committed, and the change log is trimmed, in seconds.
    pub scrub_s: u64,
    /// How many changes that everybody has are kept all the same, so that a short absence costs no snapshot.
    pub log_keep: u64,
    /// For how many days changes are kept for a secondary that is away.
    pub log_days: u64,
    /// How many mebibytes of changes are kept for a secondary that is away.
    pub log_mb: u64,
}

/// Sent Notifications.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// For how many days what was sent is kept.
    pub keep_days: u64,
    /// How many mebibytes of it are kept: the oldest goes first. What the primary does not have yet goes at twice as many.
    pub keep_mb: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        let data = default_data_folder();
        Settings {
            name: String::new(),
            drivers: data.join("drivers"),
            audio: data.join("audio"),
            data,
            listen: Listen::default(),
            advertise: Advertise::default(),
            timing: Timing::default(),
            media: Media::default(),
            licence: Licence::default(),
            log_file: Vec::new(),
            replication: Replication::default(),
            history: History::default(),
        }
    }
}

impl Default for Listen {
    fn default() -> Listen {
        // Loopback until an administrator says otherwise: nothing listens without need.
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Listen { mesh: local(7400), http: Some(local(8080)), https: Some(local(8443)), allow_http_login: false }
    }
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { heartbeat_ms: 250, hold_down_s: 30 }
    }
}

impl Default for Media {
    fn default() -> Media {
        Media { interface: "auto".to_owned(), ttl: 16, speech: Vec::new() }
    }
}

impl Default for Licence {
    fn default() -> Licence {
        Licence { secondaries: 9, grace_days: 30 }
    }
}

impl Default for Replication {
    fn default() -> Replication {
        Replication { scrub_s: 60, log_keep: 10_000, log_days: 7, log_mb: 256 }
    }
}

impl Default for History {
    fn default() -> History {
        History { keep_days: 400, keep_mb: 4096 }
    }
}

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It could not be read.
    #[error("configuration file {}: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// It is not what it should be.
    #[error("configuration file {}: {reason}", path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with line and key.
        reason: String,
    },
}

impl Settings {
    /// Reads the file, or takes the defaults when none is given. Relative folders are taken from the file's folder.
    ///
    /// # Errors
    /// The file cannot be read, or holds an unknown key or a value out of range; the text names it.
    pub fn load(path: Option<&Path>) -> Result<Settings, SettingsError> {
        let Some(path) = path else {
            return Ok(Settings::default().with_name());
        };
        let unreadable = |reason| SettingsError::Unreadable { path: path.to_owned(), reason };
        let wrong = |reason: String| SettingsError::Wrong { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mut settings: Settings = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let given: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let base = std::path::absolute(path).map_err(unreadable)?.parent().map(Path::to_owned).unwrap_or_default();
        settings.data = base.join(&settings.data);
        // Folders that are not named lie in the data folder that is.
        let in_data =
            |key: &str, value: &Path| if given.contains_key(key) { base.join(value) } else { settings.data.join(key) };
        (settings.drivers, settings.audio) = (in_data("drivers", &settings.drivers), in_data("audio", &settings.audio));
        for file in &mut settings.log_file {
            file.path = base.join(&file.path);
        }
        settings.check().map_err(wrong)?;
        Ok(settings.with_name())
    }

    fn check(&self) -> Result<(), String> {
        if self.media.interface != "auto" && self.media.interface.parse::<Ipv4Addr>().is_err() {
            return Err(format!("media.interface {:?} is neither \"auto\" nor an IPv4 address", self.media.interface));
        }
        if !(1..=86_400).contains(&self.replication.scrub_s) {
            return Err(format!("replication.scrub_s {} is outside 1 to 86400", self.replication.scrub_s));
        }
        // What has ended is known for a day beside its record; a record that goes before that would be missed and written again.
        if !(2..=36_500).contains(&self.history.keep_days) {
            return Err(format!("history.keep_days {} is outside 2 to 36500", self.history.keep_days));
        }
        if !(1..=1 << 20).contains(&self.history.keep_mb) {
            return Err(format!("history.keep_mb {} is outside 1 to 1048576", self.history.keep_mb));
        }
        if !(20..=5000).contains(&self.timing.heartbeat_ms) {
            return Err(format!("timing.heartbeat_ms {} is outside 20 to 5000", self.timing.heartbeat_ms));
        }
        for file in &self.log_file {
            if let Err(error) = file.filter.parse::<tracing_subscriber::EnvFilter>() {
                return Err(format!("log_file.filter {:?}: {error}", file.filter));
            }
        }
        Ok(())
    }

    fn with_name(mut self) -> Settings {
        if self.name.is_empty() {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            self.name = match host.trim() {
                "" => "onealert".to_owned(),
                host => host.to_owned(),
            };
        }
        self
    }
}

/// A folder that a person may write to without being root.
fn default_data_folder() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    state.or(home).unwrap_or_else(|| PathBuf::from(".")).join("onealert")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("onealert.toml");
        std::fs::write(&file, text).expect("write the file");
        Settings::load(Some(&file)).map_err(|error| error.to_string())
    }

    #[test]
    fn folders_that_are_not_named_lie_in_the_data_folder() {
        let settings = load("data = \"/tmp/one\"\ndrivers = \"/usr/lib/onealert\"").expect("a good file");
        assert_eq!(settings.audio, Path::new("/tmp/one/audio"));
        assert_eq!(settings.drivers, Path::new("/usr/lib/onealert"));
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        for (text, named) in [
            ("nmae = \"x\"", "nmae"),
            ("[listen]\nmesh = \"here\"", "mesh"),
            ("[media]\ninterface = \"eth0\"", "eth0"),
            ("[timing]\nheartbeat_ms = 1", "heartbeat_ms 1 "),
            ("[[log_file]]\npath = \"x\"\nfilter = \"SyncLog=loud\"", "SyncLog=loud"),
            ("[replication]\nscrub_s = 0", "scrub_s 0 "),
            ("[history]\nkeep_days = 1", "keep_days 1 "),
            ("[history]\nkeep_mb = 0", "keep_mb 0 "),
        ] {
            let error = load(text).expect_err(text);
            assert!(error.contains(named), "{error}");
        }
    }
}
