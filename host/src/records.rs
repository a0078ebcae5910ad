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
    /// What the disk refused.
    waiting: Arc<Mutex<Vec<Ended>>>,
}

impl Records {
    /// The records of this server, in this log.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn new(me: Identity, store: HistoryStore) -> Result<Records, StoreError> {
        let begun = Arc::new(Mutex::new(store.have()?.remove(&me.server)));
        Ok(Records { me, store: Arc::new(store), grown: watch::Sender::new(0), begun, waiting: Arc::default() })
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
        self.write(vec![record.clone()]);
    }

    /// Writes what the disk refused, if it takes something by this time.
    pub fn catch_up(&self) {
        self.write(Vec::new());
    }

    fn write(&self, more: Vec<Ended>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(more);
        if waiting.is_empty() {
            return;
        }
        match append(&self.store, self.me, &waiting) {
            Ok(()) => {
                self.grown.send_modify(|count| *count += waiting.len() as u64);
                waiting.clear();
            }
            // A next start, too, writes it from what is stored of the activation itself.
            Err(error) => {
                tracing::error!(%error, records = waiting.len(), "what was sent is not recorded yet; it is tried again");
            }
        }
    }

    /// Writes the records of activations that this server ended and that the log lacks, because it died, or lost power, too
    /// early. What the disk refuses is written as soon as it takes something: a server starts without.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn reconcile(&self, known: &[Knowledge]) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        let real = known.iter().filter(|known| known.content.drill.is_none());
        for known in real.filter(|known| known.owner == self.me.server) {
            let Some((outcome, ended)) = known.ended else { continue };
            let recorded = self.store.sent_one(known.content.id)?;
            let mine = |entry: &SentEntry| entry.records.iter().any(|record| record.server == self.me.server);
            if !recorded.as_ref().is_some_and(mine) {
                missing.push(known.record(outcome, ended));
            }
        }
        self.write(missing);
        Ok(())
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

#[cfg(test)]
mod tests {
    use onealert_core::{
        activation::{Content, EndpointState},
        config::{OnTakeover, Priority},
        effect::Outcome,
        ids::Incarnation,
        time::Wall,
    };

    use super::*;

    const ME: ServerId = ServerId(1);

    fn ended(n: u128, owner: ServerId, outcome: Option<Outcome>) -> Knowledge {
        let content = Content {
            id: ActivationId(n),
            key: format!("event-{n}").as_str().into(),
            notification: "page".into(),
            name: "Page".to_owned(),
            priority: Priority::Page,
            group: vec![ME, ServerId(2)],
            endpoints: vec!["lobby".into()],
            needs: Default::default(),
            accepted: Wall(1_000),
            due: None,
            expires: None,
            on_takeover: OnTakeover::Replay,
            payload: "{}".into(),
            drill: None,
        };
        let mut known = Knowledge::first(Arc::new(content), owner);
        known.states = vec![EndpointState::Acked { note: String::new() }];
        known.ended = outcome.map(|outcome| (outcome, Wall(2_000)));
        known
    }

    #[test]
    fn what_power_loss_took_of_the_records_is_written_again_once_at_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = |life: u64| {
            let store = HistoryStore::open(&folder.path().join("history.db")).expect("opens");
            Records::new(Identity { server: ME, incarnation: Incarnation(life) }, store).expect("readable")
        };
        // As a start finds it: the ends are safe, the records are not there.
        let known = [
            ended(1, ME, Some(Outcome::Success)),
            ended(2, ServerId(2), Some(Outcome::Success)),
            ended(3, ME, None),
            ended(4, ME, Some(Outcome::Partial)),
        ];
        let records = open(7);
        records.reconcile(&known[..1]).expect("writes");
        drop(records);
        let records = open(8);
        records.reconcile(&known).expect("writes");
        records.reconcile(&known).expect("writes nothing more");
        let page = records.history().sent(&SentFilter::default(), None, 10).expect("readable");
        let found: Vec<(u128, usize)> =
            page.entries.iter().map(|entry| (entry.cursor.activation.0, entry.records.len())).collect();
        assert_eq!(found.len(), 2, "what is this server's own and has ended: {found:?}");
        assert!(found.contains(&(1, 1)) && found.contains(&(4, 1)), "{found:?}");
    }
}
