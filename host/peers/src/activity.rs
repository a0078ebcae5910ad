//! Records of what each server did, on their way to the primary (redundancy sheet, section 3.6): the primary says what it
//! has of an origin, the origin sends what follows, the primary acknowledges once it is durable there.

use std::sync::Arc;

use onealert_core::ids::ServerId;
use onealert_store::{
    HistoryStore, Result,
    history::{ActivityRecord, Mark},
};

/// A batch is at most about this long.
pub const BATCH_BYTES: usize = 256 << 10;

/// The primary's collection. Calls block.
pub trait ActivitySink: Send + Sync + 'static {
    /// The last record of `origin` that is durable here; `None` when there is none.
    ///
    /// # Errors
    /// The database could not be read.
    fn have(&self, origin: ServerId) -> Result<Option<Mark>>;
    /// Makes records durable, passing over those that are there.
    ///
    /// # Errors
    /// Nothing was inserted.
    fn insert(&self, records: &[ActivityRecord]) -> Result<()>;
}

/// A secondary's own log. Calls block.
pub trait ActivitySource: Send + Sync + 'static {
    /// Own records after `mark` in order, about `max_bytes` of them, at least one if there is one.
    ///
    /// # Errors
    /// The database could not be read.
    fn after(&self, mark: Option<Mark>, max_bytes: usize) -> Result<Vec<ActivityRecord>>;
    /// The primary has everything up to here: it may leave.
    ///
    /// # Errors
    /// The database could not be written.
    fn acknowledge(&self, mark: Mark) -> Result<()>;
}

impl ActivitySink for HistoryStore {
    fn have(&self, origin: ServerId) -> Result<Option<Mark>> {
        self.have_safely(origin)
    }
    fn insert(&self, records: &[ActivityRecord]) -> Result<()> {
        HistoryStore::insert(self, records).map(drop)
    }
}

/// One server's own records in its history.
pub struct OwnRecords {
    /// Which server.
    pub server: ServerId,
    /// Where they are.
    pub history: Arc<HistoryStore>,
}

impl ActivitySource for OwnRecords {
    fn after(&self, mark: Option<Mark>, max_bytes: usize) -> Result<Vec<ActivityRecord>> {
        self.history.after(self.server, mark, max_bytes)
    }
    fn acknowledge(&self, mark: Mark) -> Result<()> {
        self.history.acknowledge(mark)
    }
}

/// The records of a server that takes configuration from one that is not its primary: none of them may be acknowledged
/// there.
pub struct NoRecords;

impl ActivitySource for NoRecords {
    fn after(&self, _: Option<Mark>, _: usize) -> Result<Vec<ActivityRecord>> {
        Ok(Vec::new())
    }
    fn acknowledge(&self, _: Mark) -> Result<()> {
        Ok(())
    }
}
