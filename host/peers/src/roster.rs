//! Which servers may speak, as the configuration in force says: id and key, removed or not.
//!
//! A certificate of the site proves a name and a key; the roster decides whether that name with that key is still one of
//! us. The host sets it whenever its configuration changes, and open connections are judged again at once.

use std::{collections::BTreeMap, sync::Arc};

use onealert_core::{config::Server, ids::ServerId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One server of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// Its id.
    pub server: ServerId,
    /// Its display name.
    pub name: String,
    /// SHA-256 of its public key, as hexadecimal digits.
    pub key_sha256: String,
    /// Removed for good.
    pub deprovisioned: bool,
    /// Left out by the licence: it may call for configuration and for nothing else.
    pub left_out: bool,
}

impl From<&Server> for RosterEntry {
    fn from(row: &Server) -> Self {
        let (name, key_sha256, deprovisioned) = (row.name.clone(), row.key_sha256.clone(), row.deprovisioned);
        Self { server: row.id, name, key_sha256, deprovisioned, left_out: false }
    }
}

/// What the roster says of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admission {
    /// One of us.
    Welcome,
    /// It was one of us and was removed; it has to join again.
    Deprovisioned,
    /// No server of that id is configured.
    UnknownServer,
    /// The server exists but holds another key: the certificate is of an earlier life, or stolen.
    OtherKey,
    /// It speaks a mesh protocol that is more than one step away.
    Protocol,
    /// It names itself differently from its certificate.
    OtherName,
    /// The licence leaves it out.
    NotLicensed,
}

impl std::fmt::Display for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Admission::Welcome => "welcome",
            Admission::Deprovisioned => "the server was deprovisioned; join it again to use it",
            Admission::UnknownServer => "the server is not in the configuration; join it to use it",
            Admission::OtherKey => "the server is configured with another key; join it again to use it",
            Admission::Protocol => "the mesh protocol differs by more than one step; upgrade the older server",
            Admission::OtherName => "the certificate belongs to another server; check the configured address",
            Admission::NotLicensed => {
                "the licence leaves the server out; raise it on the primary, or deprovision another server"
            }
        })
    }
}

/// The servers that may speak.
#[derive(Debug)]
pub struct Roster {
    entries: watch::Sender<BTreeMap<ServerId, RosterEntry>>,
}

impl Roster {
    /// A roster of these servers.
    pub fn new(entries: impl IntoIterator<Item = RosterEntry>) -> Arc<Roster> {
        let map = entries.into_iter().map(|entry| (entry.server, entry)).collect();
        Arc::new(Roster { entries: watch::Sender::new(map) })
    }

    /// Replaces the servers. Connections of those that may no longer speak are closed at once.
    pub fn set(&self, entries: impl IntoIterator<Item = RosterEntry>) {
        let map: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.server, entry)).collect();
        self.entries.send_if_modified(|held| {
            let differs = *held != map;
            if differs {
                *held = map;
            }
            differs
        });
    }

    /// Whether a server with this key may take part in the work of the others.
    pub fn judge_peer(&self, server: ServerId, key_sha256: &str) -> Admission {
        let left_out = self.entries.borrow().get(&server).is_some_and(|entry| entry.left_out);
        match self.judge(server, key_sha256) {
            Admission::Welcome if left_out => Admission::NotLicensed,
            verdict => verdict,
        }
    }

    /// Whether a server with this key may speak: call for configuration, join, ask.
    pub fn judge(&self, server: ServerId, key_sha256: &str) -> Admission {
        match self.entries.borrow().get(&server) {
            None => Admission::UnknownServer,
            Some(entry) if entry.key_sha256 != key_sha256 => Admission::OtherKey,
            Some(entry) if entry.deprovisioned => Admission::Deprovisioned,
            Some(_) => Admission::Welcome,
        }
    }

    /// A server as log lines call it: by its display name where it has one here, and the beginning of its id, since names are
    /// given out again.
    pub fn called(&self, server: ServerId) -> String {
        let id = server.to_string();
        match self.entries.borrow().get(&server) {
            Some(entry) => format!("{} ({}…)", entry.name, &id[..4]),
            None => id,
        }
    }

    /// Woken whenever the roster changes.
    pub fn changes(&self) -> RosterChanges {
        RosterChanges(self.entries.subscribe())
    }
}

/// Waits for changes of a roster.
#[derive(Debug)]
pub struct RosterChanges(watch::Receiver<BTreeMap<ServerId, RosterEntry>>);

impl RosterChanges {
    /// Returns when the roster has changed since the last call. Never returns once the roster is gone.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_configured_server_with_its_own_key_is_welcome() {
        let entry = |id, key: &str, gone| RosterEntry {
            server: ServerId(id),
            name: format!("pa-{id}"),
            key_sha256: key.into(),
            deprovisioned: gone,
            left_out: id == 4,
        };
        let roster = Roster::new([entry(1, "aa", false), entry(2, "bb", true), entry(4, "dd", false)]);
        assert_eq!(roster.judge(ServerId(1), "aa"), Admission::Welcome);
        assert_eq!(roster.judge(ServerId(1), "bb"), Admission::OtherKey);
        assert_eq!(roster.judge(ServerId(2), "bb"), Admission::Deprovisioned);
        assert_eq!(
            roster.judge(ServerId(2), "aa"),
            Admission::OtherKey,
            "a foreign key learns nothing about the server"
        );
        assert_eq!(roster.judge(ServerId(3), "aa"), Admission::UnknownServer);
        assert_eq!(roster.judge(ServerId(4), "dd"), Admission::Welcome, "it may call for configuration");
        assert_eq!(roster.judge_peer(ServerId(4), "dd"), Admission::NotLicensed);
        assert_eq!(roster.judge_peer(ServerId(4), "aa"), Admission::OtherKey);
        assert_eq!(roster.judge_peer(ServerId(1), "aa"), Admission::Welcome);
        let high = ServerId(0xc004 << 112);
        assert_eq!(roster.called(high), high.to_string(), "who is not named here is told by its number");
        roster.set([RosterEntry { server: high, ..entry(1, "aa", false) }]);
        assert_eq!(roster.called(high), "pa-1 (c004…)");
    }
}
