//! What the running server consists of, shared by everything that answers a question or reacts to a change.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use onealert_core::{
    config::{Config, Server},
    ids::{DriverId, Incarnation, ServerId},
    life::{Deed, Denial, Life, Opening, Place},
    lineage::Generation,
    members,
    time::Wall,
    version::{DriverVersion, VersionSet},
};
use onealert_drivers::{DriverState, Drivers};
use onealert_peers::{Identity, Publisher, Roster, Subscriber};
use onealert_web::needs::{Live, LogLine, State};
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    alerts::Noticed,
    answers::Known,
    beats::Beats,
    clock::Clock,
    configuration::Configuration,
    deliver::Deliveries,
    drill::Rehearsals,
    drive::Loop,
    life::Lives,
    locality::Locality,
    passwords::Passwords,
    records::Records,
    seal::{Seal, Unopened},
    settings::Settings,
};

/// How many lines of the synchronisation log are kept in memory.
const LOG_LINES: usize = 500;

/// The running server.
pub struct Hub {
    /// Its file.
    pub settings: Settings,
    /// Its id.
    pub server: ServerId,
    /// Which life of its data folder.
    pub incarnation: Incarnation,
    /// Role, life, whom it follows.
    pub lives: Lives,
    /// Key and certificate.
    pub identity: Arc<Identity>,
    /// Opens the secrets of the configuration.
    pub seal: Arc<Seal>,
    /// Stored secrets that cannot be opened here; what has one is left alone.
    pub unopened: Mutex<Arc<Vec<Unopened>>>,
    /// Who may speak.
    pub roster: Arc<Roster>,
    /// Its row, as it would be if the configuration had none.
    pub own_row: Server,
    /// Whom a primary that starts still waits for.
    pub opening: Mutex<Option<Opening>>,
    /// When a conflict report that could not be written is tried again.
    pub report_due: Mutex<Option<Instant>>,
    /// Woken when somebody was heard during the start.
    pub opening_changed: Notify,
    /// Held while this server is promoted.
    pub promoting: tokio::sync::Mutex<()>,
    /// Why the licence of this secondary is not proven any more.
    pub unproven: watch::Sender<Option<String>>,
    /// Set when the peers' side runs.
    pub peers: OnceLock<Peers>,
    /// When the process was started.
    pub started: Wall,
    /// The clock.
    pub clock: Clock,
    /// The configuration in use.
    pub configuration: Arc<Configuration>,
    /// Where rehearsals are watched.
    pub rehearsals: Rehearsals,
    /// The way to the loop.
    pub way: Loop,
    /// The drivers' host.
    pub drivers: Drivers,
    /// What is being delivered.
    pub deliveries: Deliveries,
    /// What was sent.
    pub records: Records,
    /// Password checks.
    pub passwords: Passwords,
    /// The live state for pages.
    pub live: watch::Sender<Arc<Live>>,
    /// What the balancer is told.
    pub standing: watch::Sender<Duty>,
    /// The synchronisation log.
    pub sync_log: Arc<Ring>,
    /// Who makes alerts of what is noticed.
    pub alerts: mpsc::UnboundedSender<Noticed>,
    /// Whether a secondary is connected to its primary and in step; why not otherwise.
    pub sync_state: watch::Sender<SyncState>,
    /// Since when it is known what needs somebody.
    pub known: Known,
    /// The last heartbeats of every server.
    pub beats: Beats,
    /// The two settings that are this server's own.
    pub locality: Locality,
    /// Set once everything listens.
    pub ready: AtomicBool,
    /// The disk refused the last activation that was to be stored.
    pub store_refuses: AtomicBool,
    /// Sounds found in the audio folder.
    pub sound_files: Mutex<Vec<String>>,
}

/// The peers' side, made after the hub.
pub struct Peers {
    /// Sends configuration to secondaries.
    pub publisher: Publisher,
    /// On a server that started as a secondary: receives it.
    pub subscriber: Option<Arc<Subscriber>>,
}

/// What this server does at the moment, as far as a load balancer cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duty {
    /// It was asked to stop.
    pub draining: bool,
    /// It came back recently.
    pub held: bool,
    /// It waits for its peers' answers.
    pub resuming: bool,
    /// It would own what comes in by the default group.
    pub owner: bool,
}

/// How a secondary's copy stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncState {
    /// How well.
    pub state: State,
    /// In words.
    pub text: String,
}

/// The `tracing` target of the synchronisation log: filters and log files name it.
pub const SYNC_LOG: &str = "SyncLog";

/// The last lines of the synchronisation log for the pages. Every line goes to the server's log as well.
pub struct Ring {
    lines: Mutex<VecDeque<LogLine>>,
    /// Knows the servers' names.
    configuration: Arc<Configuration>,
}

impl Ring {
    /// An empty log; its lines call servers by the names that the configuration gives them.
    pub fn new(configuration: Arc<Configuration>) -> Ring {
        Ring { lines: Mutex::default(), configuration }
    }

    /// Adds a line, and lets the oldest go.
    pub fn push(&self, state: State, source: impl Into<String>, text: impl Into<String>) {
        let text = with_names(&self.configuration.config(), text.into());
        let line = LogLine { at: crate::clock::wall(), state, source: source.into(), text };
        match state {
            State::Ok => tracing::info!(target: SYNC_LOG, "{}: {}", line.source, line.text),
            State::Warning => tracing::warn!(target: SYNC_LOG, "{}: {}", line.source, line.text),
            State::Bad => tracing::error!(target: SYNC_LOG, "{}: {}", line.source, line.text),
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LOG_LINES {
            lines.pop_back();
        }
        lines.push_front(line);
    }

    /// The newest lines, newest first. A server that had no name here when a line was written may have one by now.
    pub fn newest(&self, limit: usize) -> Vec<LogLine> {
        let config = self.configuration.config();
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |line: &LogLine| LogLine { text: with_names(&config, line.text.clone()), ..line.clone() };
        lines.iter().take(limit).map(named).collect()
    }
}

/// Servers by their names: nobody knows them by their numbers.
fn with_names(config: &Config, mut text: String) -> String {
    for row in config.servers.values() {
        let id = row.id.to_string();
        if text.contains(&id) {
            text = text.replace(&format!("server {id}"), &row.name).replace(&id, &row.name);
        }
    }
    text
}

impl Hub {
    /// The configuration in use.
    pub fn config(&self) -> Arc<Config> {
        self.configuration.config()
    }

    /// Role, life, and whether the primary is heard.
    pub fn place(&self) -> Place {
        self.lives.place()
    }

    /// Whether this server may do that.
    ///
    /// # Errors
    /// Why not, for the person who asked.
    pub fn may(&self, deed: Deed) -> Result<(), Denial> {
        self.lives.may(deed)
    }

    /// Sends configuration to secondaries; `None` while the server starts.
    pub fn publisher(&self) -> Option<Publisher> {
        self.peers.get().map(|peers| peers.publisher.clone())
    }

    /// Receives configuration; `None` on a server that started as a primary.
    pub fn subscriber(&self) -> Option<Arc<Subscriber>> {
        self.peers.get().and_then(|peers| peers.subscriber.clone())
    }

    /// Stored secrets that cannot be opened here.
    pub fn unopened(&self) -> Arc<Vec<Unopened>> {
        self.unopened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many secondaries the licence allows: what the configuration says, or the file of this server.
    pub fn licence_limit(&self) -> u32 {
        let config = self.config();
        let stored = config.settings.get(members::LICENCE).and_then(|row| row.value.as_u64());
        stored.map_or(self.settings.licence.secondaries, |limit| u32::try_from(limit).unwrap_or(u32::MAX))
    }

    /// What needs an operator on this server beside what can be seen of its work.
    pub fn concern(&self) -> Option<(State, String)> {
        match self.place().life {
            Life::Active => self.unproven.borrow().clone().map(|text| (State::Bad, text)),
            Life::Opening => Some((State::Warning, "Started; waits to hear its secondaries".to_owned())),
            Life::Fenced { .. } => {
                Some((State::Bad, "Fenced: another server was promoted; join this one to it".to_owned()))
            }
            Life::SetBack => Some((
                State::Bad,
                "Its configuration database was set back and a secondary has more: onealert promote".to_owned(),
            )),
            Life::Restored => Some((State::Bad, "Restored from a backup and not promoted".to_owned())),
            Life::Unlicensed => Some((State::Bad, "Not licensed: it sends nothing".to_owned())),
            Life::Inert => Some((State::Bad, "Deprovisioned".to_owned())),
        }
    }

    /// This server's row, if the configuration has it.
    pub fn row(&self) -> Option<Server> {
        self.config().servers.get(&self.server).cloned()
    }

    /// Whether everything listens.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Which generation its configuration is of, and who is the primary of it.
    pub fn generation(&self) -> Generation {
        let now = self.configuration.now();
        let primary = now.config.primary().map(Into::into);
        Generation { lineage: now.lineage.to_vec(), primary, life: self.place().life }
    }

    /// What this server runs. A driver whose file has not arrived, or that could not be started, is not there: other servers
    /// are preferred for what needs it.
    pub fn versions(&self) -> VersionSet {
        let drivers = self.drivers.status().into_iter().filter_map(|status| {
            // What runs has been loaded: it serves whatever became of its file.
            let serves = match status.state {
                DriverState::Running => true,
                DriverState::Failed => false,
                _ => self.drivers.file(&status.sha256).is_some(),
            };
            if !serves {
                return None;
            }
            let version = DriverVersion { version: status.version.parse().ok()?, sha256: status.sha256 };
            Some((DriverId::from(status.id), version))
        });
        VersionSet { drivers: drivers.collect(), ..crate::product::versions() }
    }
}
