//! Connections that are open and idle, by where they lead.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::connect::{Connection, Place};

/// Idle connections. The newest is taken first: it is the least likely to have been closed by the other side.
pub(crate) struct Pool {
    idle: Mutex<HashMap<Place, Vec<(Connection, Instant)>>>,
    keep: Duration,
    per_place: usize,
}

impl Pool {
    pub(crate) fn new(keep: Duration, per_place: usize) -> Pool {
        Pool { idle: Mutex::default(), keep, per_place }
    }

    /// An open connection to `place`, if one is kept.
    pub(crate) fn take(&self, place: &Place) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(place)?;
        let found = std::iter::from_fn(|| kept.pop())
            .find(|(connection, since)| since.elapsed() < self.keep && !connection.sender.is_closed());
        if kept.is_empty() {
            idle.remove(place);
        }
        found.map(|(connection, _)| connection)
    }

    /// Keeps a connection whose answer has been read to the end.
    pub(crate) fn give(&self, place: Place, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(place).or_default();
        kept.retain(|(connection, since)| since.elapsed() < self.keep && !connection.sender.is_closed());
        if kept.len() < self.per_place {
            kept.push((connection, Instant::now()));
        }
    }

    /// Closes what nobody has asked for in a while; places that are never visited again would keep theirs otherwise.
    pub(crate) fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, kept| {
            kept.retain(|(connection, since)| since.elapsed() < self.keep && !connection.sender.is_closed());
            !kept.is_empty()
        });
    }
}
