//! One thread that writes activations: whatever waits goes into one transaction, so that a burst costs one sync.

use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread::{self, JoinHandle},
};

use onealert_core::effect::{Record, Ticket};

use crate::error::{Result, StoreError};

use super::ActivationStore;

/// Records in one transaction at most, so that the first of a long burst is not answered last.
const BATCH: usize = 256;

/// The writing thread. Dropping it writes what waits, then ends the thread.
pub struct ActivationWriter {
    requests: Option<Sender<(Ticket, Record)>>,
    thread: Option<JoinHandle<()>>,
    place: String,
}

/// The answer to one write.
#[derive(Debug)]
pub struct Written {
    /// Which write.
    pub ticket: Ticket,
    /// Durable, or why not, for people.
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
    pub fn write(&self, ticket: Ticket, record: Record) -> Result<()> {
        let sent = self.requests.as_ref().map(|requests| requests.send((ticket, record)));
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

fn run(store: &ActivationStore, waiting: &Receiver<(Ticket, Record)>, done: &mut dyn FnMut(Written)) {
    while let Ok(first) = waiting.recv() {
        let (tickets, records): (Vec<Ticket>, Vec<Record>) =
            std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).unzip();
        match store.write(&records) {
            Ok(()) => tickets.into_iter().for_each(|ticket| done(Written { ticket, result: Ok(()) })),
            // One record that the disk refuses must not fail the others: each gets its own try and its own answer.
            Err(_) => {
                for (ticket, record) in tickets.into_iter().zip(&records) {
                    let result = store.write(std::slice::from_ref(record)).map_err(|error| error.to_string());
                    done(Written { ticket, result });
                }
            }
        }
    }
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
        writer.write(Ticket(1), record(1, String::from("{}"))).expect("the thread runs");
        writer.write(Ticket(2), record(2, "x".repeat(1 << 20))).expect("the thread runs");
        writer.write(Ticket(3), record(3, String::from("{}"))).expect("the thread runs");
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
