//! Compares this copy with the primary's and repairs the groups of rows that differ. Ends in agreement or in a snapshot.

use std::collections::BTreeSet;

use onealert_core::{
    config::Table,
    replicate::{Digests, Position},
};
use onealert_store::{
    StoreError,
    scrub::{BucketDigests, BucketRows},
};

use super::{End, Intake};
use crate::sync::{blocking, event::SyncEvent, message::Up};

impl Intake<'_> {
    pub(super) async fn compare(&mut self, head: Position) -> Result<(), End> {
        let Some(own) = self.position.clone().filter(|_| self.streaming) else { return Ok(()) };
        if own.lsn != head.lsn {
            if own.lsn > head.lsn {
                return self.fetch_all("this copy has more records than the primary").await;
            }
            self.ahead += 1;
            self.follower.tell(SyncEvent::Behind { records: head.lsn - own.lsn }).await;
            // Records come before the head that counts them: what is missing twice is not on its way.
            return if self.ahead > 1 { self.fetch_all("records of the primary did not come").await } else { Ok(()) };
        }
        if own.epoch != head.epoch {
            let (store, at) = (self.follower.config.store.clone(), self.follower.config.host.now());
            return match blocking(move || store.apply(at, &[], Some(&head))).await {
                Ok(position) => {
                    self.position = Some(position.clone());
                    self.follower.tell(SyncEvent::Applied { position, changes: Vec::new() }).await;
                    self.acknowledge().await
                }
                Err(error) => self.store_refused(error).await,
            };
        }
        let differing = differing(&own.digests, &head.digests);
        if !differing.is_empty() && !differing.is_subset(&self.follower.suspects) {
            self.in_sync = false;
            self.follower.suspects.extend(&differing);
            self.follower.tell(SyncEvent::Diverged { tables: differing.into_iter().collect() }).await;
        }
        if self.repair.is_none()
            && let Some(table) = self.follower.suspects.first().copied()
        {
            self.repair = Some((table, 0, Vec::new()));
            return self.send(&Up::WantBuckets(table)).await;
        }
        if self.repair.is_none() && !self.in_sync {
            (self.in_sync, self.failures) = (true, 0);
            self.follower.tell(SyncEvent::InSync { position: own }).await;
        }
        Ok(())
    }

    pub(super) async fn compare_buckets(&mut self, theirs: BucketDigests) -> Result<(), End> {
        let table = theirs.table;
        if !self.streaming || self.repair.as_ref().is_none_or(|(wanted, ..)| *wanted != table) {
            return Ok(());
        }
        let store = self.follower.config.store.clone();
        let ours = match blocking(move || store.bucket_digests(table)).await {
            Ok(ours) => ours,
            Err(error) => return self.store_refused(error).await,
        };
        if (ours.position.epoch, ours.position.lsn) != (theirs.position.epoch, theirs.position.lsn) {
            // Something was committed in between: the next head begins again.
            self.repair = None;
            return Ok(());
        }
        let mut buckets = ours.differing(&theirs);
        if buckets.is_empty() {
            // The rows are the same; any group brings the digest that was committed for them.
            buckets.push(0);
        }
        self.repair = Some((table, buckets.len(), Vec::new()));
        self.send(&Up::WantRows { table, buckets }).await
    }

    pub(super) async fn repair_rows(&mut self, rows: BucketRows) -> Result<(), End> {
        let Some((table, missing, mut keys)) = self.repair.take().filter(|(table, ..)| *table == rows.table) else {
            return Ok(());
        };
        let store = self.follower.config.store.clone();
        let repaired = blocking(move || {
            let repaired = store.repair(&rows)?;
            Ok::<_, StoreError>((repaired, store.position()?))
        });
        let (repaired, position) = match repaired.await {
            Ok(done) => done,
            Err(StoreError::NotThere { .. }) => return Ok(()),
            Err(error) => return self.store_refused(error).await,
        };
        keys.extend(repaired.keys);
        self.position = position;
        if missing > 1 {
            self.repair = Some((table, missing - 1, keys));
            return Ok(());
        }
        self.follower.suspects.remove(&table);
        self.in_sync = false;
        self.follower.tell(SyncEvent::Repaired { table, keys, agrees: repaired.agrees }).await;
        match repaired.agrees {
            true => self.acknowledge().await,
            false => self.fetch_all("a repair did not bring agreement").await,
        }
    }
}

/// The tables whose digests differ; an absent digest is that of no rows.
fn differing(ours: &Digests, theirs: &Digests) -> BTreeSet<Table> {
    let of = |digests: &Digests, table| digests.0.get(&table).copied().unwrap_or_default();
    Table::ALL.into_iter().filter(|table| of(ours, *table) != of(theirs, *table)).collect()
}
