//! What waits to be said to one peer: bounded, and never a reason to wait.

use std::{collections::VecDeque, sync::Mutex};

use bytes::Bytes;
use tokio::sync::Notify;

/// More than this many bytes wait only for a peer that does not read.
const LIMIT_BYTES: usize = 16 << 20;
/// More than this many messages wait only for a peer that does not read.
const LIMIT_MESSAGES: usize = 4096;

/// One peer's queue. Open while a connection stands.
#[derive(Debug, Default)]
pub struct Outbox {
    held: Mutex<Held>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Held {
    open: bool,
    /// A later heartbeat says all that an earlier one said: at most one waits, and it goes first, so that a long queue is
    /// not taken for silence.
    heartbeat: Option<Bytes>,
    messages: VecDeque<Bytes>,
    bytes: usize,
    overflowed: bool,
}

impl Outbox {
    /// Begins to take messages for a connection that stands.
    pub fn open(&self) {
        *self.lock() = Held { open: true, ..Held::default() };
    }

    /// Drops everything and takes nothing.
    pub fn close(&self) {
        *self.lock() = Held::default();
    }

    /// Whether a connection stands.
    pub fn is_open(&self) -> bool {
        self.lock().open
    }

    /// Takes a message if there is room. Overflowing ends the connection: see [`Outbox::next`].
    pub fn push(&self, message: Bytes, heartbeat: bool) {
        let mut held = self.lock();
        if !held.open || held.overflowed {
            return;
        }
        let full = held.messages.len() >= LIMIT_MESSAGES || held.bytes + message.len() > LIMIT_BYTES;
        match (heartbeat, full) {
            (true, _) => held.heartbeat = Some(message),
            (false, true) => held.overflowed = true,
            (false, false) => {
                held.bytes += message.len();
                held.messages.push_back(message);
            }
        }
        drop(held);
        self.filled.notify_one();
    }

    /// All that waits, the heartbeat first, as soon as something does. `None` once the queue has overflowed: the peer does
    /// not keep up and the connection is to be closed.
    pub async fn next(&self) -> Option<Vec<Bytes>> {
        loop {
            {
                let mut held = self.lock();
                if held.overflowed {
                    return None;
                }
                if held.heartbeat.is_some() || !held.messages.is_empty() {
                    let mut all: Vec<Bytes> = held.heartbeat.take().into_iter().collect();
                    all.extend(held.messages.drain(..));
                    held.bytes = 0;
                    return Some(all);
                }
            }
            self.filled.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().expect("no panic while the queue is held")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_heartbeat_overtakes_and_replaces_but_never_closes() {
        let outbox = Outbox::default();
        outbox.push(Bytes::from_static(b"nobody there"), false);
        outbox.open();
        outbox.push(Bytes::from_static(b"push"), false);
        outbox.push(Bytes::from_static(b"beat 1"), true);
        outbox.push(Bytes::from_static(b"beat 2"), true);
        assert_eq!(outbox.next().await.expect("not full"), [&b"beat 2"[..], b"push"]);
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_loses_its_connection_not_our_memory() {
        let outbox = Outbox::default();
        outbox.open();
        for _ in 0..LIMIT_MESSAGES {
            outbox.push(Bytes::from_static(b"push"), false);
        }
        outbox.push(Bytes::from_static(b"beat"), true);
        assert!(!outbox.lock().overflowed, "a heartbeat more must not close the link");
        outbox.push(Bytes::from_static(b"one too many"), false);
        assert_eq!(outbox.next().await, None);
        outbox.open();
        outbox.push(Bytes::from_static(b"again"), false);
        assert_eq!(outbox.next().await.expect("the next connection starts empty"), [&b"again"[..]]);
    }
}
