//! What was sent: written here when an activation ends, gathered on the primary, shown in Sent Notifications.

use std::sync::{Arc, Mutex, PoisonError};

use onealert_core::{
    effect::Ended,
    ids::{ActivationId, ServerId},
    knowledge::Knowledge,
};
use onealert_peers::ActivitySink;
use onealert_store::{
    HistoryStore, Result as StoreResult, StoreError,
    history::{self, ActivityRecord, Mark, SentCursor, SentEntry, SentFilter, SentPage},
    local::Identity,
};
use tokio::sync::watch;

/// The activity log. Cheap to clone.
#[derive(Clone)]
pub struct Records {
    me: Identity,
    store: Arc<HistoryStore>,
    grown: watch::Sender<u64>,
    /// The last record of this server that was here at the start, or that the primary was found to have since.
    begun: Arc<Mutex<Option<Mark>>>,
}

impl Records {
    /// The records of this server, in this log.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn new(me: Identity, store: HistoryStore) -> Result<Records, StoreError> {
        let begun = Arc::new(Mutex::new(store.have()?.remove(&me.server)));
        Ok(Records { me, store: Arc::new(store), grown: watch::Sender::new(0), begun })
    }

    /// Whether this log began behind a record of this server that another has; asked for the first time.
    pub fn is_behind(&self, known: Mark) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = begun.is_none_or(|begun| begun < known);
        if behind {
            *begun = Some(known);
        }
        behind
    }

    /// Writes the record of an activation that has ended, as the core asks: that an activation has ended is told to nobody
    /// before it is recorded. The disk is not waited for: the end itself is made durable, and what power loss takes of the
    /// records is found out at the next start.
    pub fn ended(&self, record: &Ended) {
        match append(&self.store, self.me, std::slice::from_ref(record)) {
            Ok(()) => self.grown.send_modify(|count| *count += 1),
            // The next start writes it from what is stored of the activation itself.
            Err(error) => tracing::error!(%error, "the record of a sent notification was not stored"),
        }
    }

    /// Writes the records of activations that this server ended and that the log lacks, because it died, or lost power, too
    /// early.
    ///
    /// # Errors
    /// The log cannot be read or written.
    pub fn reconcile(&self, known: &[Knowledge]) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        let real = known.iter().filter(|known| known.content.drill.is_none());
        for known in real.filter(|known| known.owner == self.me.server) {
            let Some((outcome, ended)) = known.ended else { continue };
            let recorded = self.store.sent_one(known.content.id)?;
            let mine = |entry: &SentEntry| entry.records.iter().any(|record| record.server == self.me.server);
            if !recorded.as_ref().is_some_and(mine) {
                missing.push(Ended {
                    content: known.content.as_ref().clone(),
                    server: known.owner,
                    attempt: known.attempt,
                    outcome,
                    states: known.states.clone(),
                    ended,
                    degraded: known.degraded,
                    after_ms: Vec::new(),
                });
            }
        }
        append(&self.store, self.me, &missing)
    }

    /// The log itself.
    pub fn history(&self) -> Arc<HistoryStore> {
        self.store.clone()
    }

    /// Wakes whenever records were added here.
    pub fn grown(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    /// A page of Sent Notifications.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn page(&self, filter: SentFilter, before: Option<SentCursor>, limit: usize) -> Result<SentPage, String> {
        self.read(move |store| store.sent(&filter, before, limit)).await
    }

    /// What every server wrote of one activation.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn one(&self, activation: ActivationId) -> Result<Option<SentEntry>, String> {
        self.read(move |store| store.sent_one(activation)).await
    }

    /// Every server that ever carried an activation to its end, as far as this log knows.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn senders(&self) -> Result<Vec<ServerId>, String> {
        self.read(HistoryStore::senders).await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&HistoryStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, String> {
        let store = self.store.clone();
        let read = tokio::task::spawn_blocking(move || read(&store)).await;
        read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

fn append(store: &HistoryStore, me: Identity, batch: &[Ended]) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let activity = |record: &Ended| history::Activity {
        at: record.ended,
        kind: history::ENDED.to_owned(),
        document: serde_json::to_string(record).expect("a record is plain data with text keys"),
    };
    store.append(me, &batch.iter().map(activity).collect::<Vec<_>>()).map(|_| ())
}

impl ActivitySink for Records {
    fn have(&self, origin: ServerId) -> StoreResult<Option<Mark>> {
        ActivitySink::have(self.store.as_ref(), origin)
    }

    fn insert(&self, records: &[ActivityRecord]) -> StoreResult<()> {
        ActivitySink::insert(self.store.as_ref(), records)?;
        self.grown.send_modify(|count| *count += records.len() as u64);
        Ok(())
    }
}
