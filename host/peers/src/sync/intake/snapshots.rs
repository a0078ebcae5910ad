//! A whole copy, piece by piece; before it, what this copy alone holds is kept for people.

use std::collections::BTreeMap;

use onealert_core::{
    lineage,
    replicate::{Position, Trail},
};
use onealert_store::{
    ConfigStore, StoreError,
    snapshot::{Chunk, SnapshotHeader},
};

use super::{End, Intake};
use crate::sync::{blocking, event::SyncEvent, message::Up, subscriber::NotKept};

/// Why a snapshot is not taken.
#[derive(Debug, thiserror::Error)]
enum Unbegun {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NotKept(#[from] NotKept),
}

impl Intake<'_> {
    pub(super) async fn begin_snapshot(&mut self, header: SnapshotHeader) -> Result<(), End> {
        self.streaming = false;
        self.in_sync = false;
        self.repair = None;
        self.clear_pending();
        let (store, host, begun) =
            (self.follower.config.store.clone(), self.follower.config.host.clone(), header.clone());
        let own = self.position.clone();
        let begin = move || -> Result<_, Unbegun> {
            if let Some(own) = own {
                let shared = shared_with(store.as_ref(), &own, &begun)?;
                if shared < own.lsn {
                    host.superseded(shared, &begun)?;
                }
            }
            // It has served; what is staged is written with every piece.
            Ok(store.stage_begin(&SnapshotHeader { trail: Trail::new(), ..begun })?)
        };
        match blocking(begin).await {
            Ok(cursor) => {
                let SnapshotHeader { position, rows, .. } = header;
                self.follower.tell(SyncEvent::SnapshotBegun { position, rows, from_piece: cursor.next }).await;
                self.send(&Up::SnapshotFrom(cursor)).await
            }
            Err(Unbegun::Store(error)) => self.store_refused(error).await,
            Err(Unbegun::NotKept(error)) => {
                self.follower.tell(SyncEvent::Fault { reason: error.to_string() }).await;
                Err(End::Final)
            }
        }
    }

    pub(super) async fn stage(&mut self, piece: Chunk) -> Result<(), End> {
        // After a fault the rest of the snapshot that caused it is still on its way.
        if self.want_snapshot.is_some() {
            return Ok(());
        }
        let store = self.follower.config.store.clone();
        match blocking(move || store.stage_chunk(&piece)).await {
            Ok(_) => Ok(()),
            Err(error) => self.store_refused(error).await,
        }
    }

    pub(super) async fn swap(&mut self) -> Result<(), End> {
        if self.want_snapshot.is_some() {
            return Ok(());
        }
        let store = self.follower.config.store.clone();
        match blocking(move || store.stage_finish()).await {
            Ok(swapped) => {
                self.position = Some(swapped.position.clone());
                (self.streaming, self.ahead) = (true, 0);
                self.follower.suspects.clear();
                self.follower.tell(SyncEvent::Replaced { position: swapped.position, before: swapped.before }).await;
                self.acknowledge().await?;
                self.send(&Up::Replaced).await
            }
            Err(error) => self.store_refused(error).await,
        }
    }
}

/// The last record that this copy has in common with a snapshot.
fn shared_with(store: &dyn ConfigStore, own: &Position, header: &SnapshotHeader) -> Result<u64, StoreError> {
    let (lineage, tail) = (store.epochs()?, store.log_bounds()?.tail);
    // Read beforehand, so that what is not readable is an error and not a difference.
    let mut known = BTreeMap::new();
    for (lsn, _) in header.trail.iter().filter(|(lsn, _)| *lsn <= own.lsn) {
        known.extend(store.digests_at(*lsn)?.map(|digests| (*lsn, digests.sum())));
    }
    let known = |lsn| known.get(&lsn).copied();
    Ok(lineage::shared(own, &lineage, tail, known, &header.position, &header.epochs, &header.trail))
}
