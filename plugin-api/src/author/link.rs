//! The driver's connection to its worker: documents out, answers to requests in.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;
use tokio::sync::oneshot;

use super::Emit;
use crate::{
    document::{Event, Failure, Outcome, ToHost},
    host::HostSide,
};

pub(super) struct Link {
    emit: Emit,
    state_dir: PathBuf,
    next_request: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Outcome>>>,
    unknown: AtomicU64,
}

impl Link {
    pub(super) fn new(emit: Emit, state_dir: PathBuf) -> Link {
        Link { emit, state_dir, next_request: AtomicU64::new(1), waiting: Mutex::default(), unknown: AtomicU64::new(0) }
    }

    pub(super) fn send(&self, document: &ToHost) {
        (self.emit)(serde_json::to_vec(document).expect("a document is plain data with text keys"));
    }

    pub(super) fn log(&self, level: &str, message: String) {
        self.send(&ToHost::Log { level: level.to_owned(), message, fields: BTreeMap::new() });
    }

    /// Says once that the server speaks of things this driver does not know, and counts the rest.
    pub(super) fn count_unknown(&self) {
        if self.unknown.fetch_add(1, Ordering::Relaxed) == 0 {
            self.log("debug", "the server sent a document of a later version; ignored".to_owned());
        }
    }

    pub(super) fn answer(&self, id: u64, outcome: Outcome) {
        if let Some(waiting) = self.waiting().remove(&id) {
            // The asking task may have been cancelled meanwhile.
            let _ = waiting.send(outcome);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Outcome>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a request whose asking task was dropped.
struct Forget<'a>(&'a Link, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

impl HostSide for Link {
    fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    fn event(&self, event: Event) {
        self.send(&ToHost::Event(event));
    }

    fn request(
        &self,
        op: &'static str,
        body: Value,
    ) -> Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send + '_>> {
        Box::pin(async move {
            let id = self.next_request.fetch_add(1, Ordering::Relaxed);
            let (sender, answer) = oneshot::channel();
            self.waiting().insert(id, sender);
            let _forget = Forget(self, id);
            self.send(&ToHost::Request { id, op: op.to_owned(), body });
            match answer.await {
                Ok(Outcome::Ok(value)) => Ok(value),
                Ok(Outcome::Err(failure)) => Err(failure),
                Err(_) => Err(Failure::new("cancelled", format!("{op}: the connection to the server ended"))),
            }
        })
    }
}
