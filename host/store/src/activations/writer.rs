//! One thread that writes activations: whatever waits goes into one transaction, so that a burst costs one sync.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use onealert_core::effect::{Haste, Record, Ticket};

use crate::error::{Result, StoreError};

use super::ActivationStore;

/// Records in one transaction at most, so that the first of a long burst is not answered last.
const BATCH: usize = 256;
/// How long what is written without haste may wait for the disk.
const SOON: Duration = Duration::from_secs(1);
/// From how many records on the log is emptied in a quiet moment. SQLite does it by itself after about four times as many.
const WORTH_EMPTYING: usize = 100;

/// The writing thread. Dropping it writes what waits, then ends the thread.
pub struct ActivationWriter {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    place: String,
}

struct Request {
    ticket: Ticket,
    record: Record,
    haste: Haste,
}

/// The answer to one write.
#[derive(Debug)]
pub struct Written {
    /// Which write.
    pub ticket: Ticket,
    /// As durable as its haste asks, or why not, for people.
    pub result: Result<(), String>,
}

impl ActivationWriter {
    /// Starts the thread. `done` is called on it, once for every write, in the order of the writes.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(store: ActivationStore, mut done: impl FnMut(Written) + Send + 'static) -> Result<ActivationWriter> {
        let place = store.place();
        let (requests, waiting) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(String::from("activations"))
            .spawn(move || run(&store, &waiting, &mut done))
            .map_err(|source| StoreError::File { place: place.clone(), doing: "start the writing thread", source })?;
        Ok(ActivationWriter { requests: Some(requests), thread: Some(thread), place })
    }

    /// Asks for a write; never waits for the disk.
    ///
    /// # Errors
    /// The thread has ended: nothing can be made durable any more.
    pub fn write(&self, ticket: Ticket, record: Record, haste: Haste) -> Result<()> {
        let sent = self.requests.as_ref().map(|requests| requests.send(Request { ticket, record, haste }));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(StoreError::WriterGone { place: self.place.clone() }),
        }
    }
}

impl Drop for ActivationWriter {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(file = self.place, "the thread that writes activations panicked");
        }
    }
}

fn run(store: &ActivationStore, waiting: &Receiver<Request>, done: &mut dyn FnMut(Written)) {
    // When what is written and not synced has to be, and how much was written since the file's log was emptied.
    let (mut sync_at, mut logged): (Option<Instant>, usize) = (None, 0);
    loop {
        let patience = sync_at.map(|at| at.saturating_duration_since(Instant::now()));
        let next = match patience {
            Some(Duration::ZERO) => Err(RecvTimeoutError::Timeout),
            Some(patience) => waiting.recv_timeout(patience),
            None => waiting.recv().map_err(RecvTimeoutError::from),
        };
        let first = match next {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                sync_at = if rest(store, &mut logged) { None } else { Some(Instant::now() + SOON) };
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => {
                rest(store, &mut logged);
                return;
            }
        };
        let batch = std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1));
        let (mut tickets, mut records, mut haste) = (Vec::new(), Vec::new(), Haste::Soon);
        for request in batch {
            haste = haste.max(request.haste);
            tickets.push((request.ticket, request.haste));
            records.push(request.record);
        }
        logged += records.len();
        // After a write that was waited for, all is safe; the rest is for the quiet that follows.
        sync_at = match haste {
            Haste::Now => Some(Instant::now() + SOON),
            Haste::Soon => sync_at.or_else(|| Some(Instant::now() + SOON)),
        };
        match store.write(&records, haste) {
            Ok(()) => tickets.into_iter().for_each(|(ticket, _)| done(Written { ticket, result: Ok(()) })),
            // One record that the disk refuses must not fail the others: each gets its own try and its own answer.
            Err(_) => {
                for ((ticket, haste), record) in tickets.into_iter().zip(&records) {
                    let result = store.write(std::slice::from_ref(record), haste).map_err(|error| error.to_string());
                    done(Written { ticket, result });
                }
            }
        }
    }
}

/// Uses a quiet moment: makes durable what is not, and empties the log when it is worth it, so that no alarm has to wait
/// while SQLite does it. Says whether all is safe.
fn rest(store: &ActivationStore, logged: &mut usize) -> bool {
    let done = store.sync().and_then(|()| {
        if *logged >= WORTH_EMPTYING {
            store.empty_log()?;
            *logged = 0;
        }
        Ok(())
    });
    if let Err(error) = &done {
        tracing::error!(%error, "how far running activations are is not yet safe from power loss");
    }
    done.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc::channel};

    use onealert_core::{
        activation::Content,
        config::{OnTakeover, Priority},
        ids::{ActivationId, ServerId},
        knowledge::Knowledge,
        time::Wall,
    };

    use super::*;

    fn record(n: u128, payload: String) -> Record {
        let content = Content {
            id: ActivationId(n),
            key: "bell".into(),
            notification: "n".into(),
            name: String::from("Bell"),
            priority: Priority::Bell,
            group: vec![ServerId(1)],
            endpoints: Vec::new(),
            needs: Default::default(),
            accepted: Wall(0),
            due: None,
            expires: None,
            on_takeover: OnTakeover::Replay,
            payload: payload.into(),
            drill: None,
        };
        Record::Activation(Box::new(Knowledge {
            content: Arc::new(content),
            attempt: 0,
            owner: ServerId(1),
            started: false,
            fallen: false,
            stopped: false,
            degraded: false,
            states: Vec::new(),
            ended: None,
        }))
    }

    #[test]
    fn on_a_full_disk_every_write_gets_its_own_answer_and_small_ones_still_fit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("activations.db");
        let (store, _) = ActivationStore::open(&path).expect("opens");
        store.fill_up();
        let (answers, answered) = channel();
        let writer = ActivationWriter::start(store, move |written| answers.send(written).expect("the test listens"));
        let writer = writer.expect("a thread");
        writer.write(Ticket(1), record(1, String::from("{}")), Haste::Now).expect("the thread runs");
        writer.write(Ticket(2), record(2, "x".repeat(1 << 20)), Haste::Now).expect("the thread runs");
        writer.write(Ticket(3), record(3, String::from("{}")), Haste::Soon).expect("the thread runs");
        drop(writer);
        let answers: Vec<(u64, Option<String>)> = answered.iter().map(|w| (w.ticket.0, w.result.err())).collect();
        assert_eq!(answers.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((&answers[0].1, &answers[2].1), (&None, &None), "{answers:?}");
        let error = answers[1].1.as_deref().expect("a megabyte does not fit");
        assert!(error.contains("activations.db") && error.contains("full"), "{error}");
        let (_, found) = ActivationStore::open(&path).expect("opens again");
        assert_eq!(found.knowledge.len(), 2);
    }
}
