//! A whole copy, piece by piece; before it, what this copy alone holds is kept for people.

use onealert_core::{
    lineage::{Kinship, kinship},
    replicate::{Epoch, Position},
};
use onealert_store::{
    StoreError,
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
                let shared = shared_with(&own, &store.epochs()?, &begun);
                if shared < own.lsn {
                    host.superseded(shared, &begun)?;
                }
            }
            Ok(store.stage_begin(&begun)?)
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
                self.acknowledge().await
            }
            Err(error) => self.store_refused(error).await,
        }
    }
}

/// The last record that this copy has in common with a snapshot.
fn shared_with(own: &Position, lineage: &[Epoch], header: &SnapshotHeader) -> u64 {
    match kinship(lineage, &header.epochs) {
        Kinship::Same | Kinship::OursCounts => header.position.lsn.min(own.lsn),
        Kinship::TheirsCounts { fork, .. } => fork.min(header.position.lsn),
        // Another installation: all that is here was never there.
        Kinship::Strangers => 0,
    }
}
