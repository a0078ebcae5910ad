//! The port: what a configuration database must be able to do. SQLite stands behind it; `tests/port` is what any
//! implementation has to pass.
//!
//! Every method blocks until the work is done; call them from a thread that may wait. Handles may be shared between threads.

use std::{collections::BTreeMap, path::Path};

use onealert_core::{
    config::Table,
    ids::EpochId,
    replicate::{Digests, Epoch, LogRecord, Position},
    time::Wall,
};

use crate::{
    change::{AuditEntry, AuditRow, Commit, Committed},
    error::Result,
    log::{LogBounds, LogSlice, TrimRule},
    scrub::{BucketDigests, BucketRows, Repaired, ScrubReport},
    snapshot::{Chunk, Cursor, SnapshotHeader, SnapshotReader, Swapped},
};

/// The configuration as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Every row, in the order of tables and keys.
    pub rows: Vec<(Table, String, String)>,
    /// Where the copy stands.
    pub position: Position,
    /// Every generation that led to it, oldest first.
    pub epochs: Vec<Epoch>,
}

/// A generation that began.
#[derive(Debug, Clone, PartialEq)]
pub struct Promoted {
    /// The generation.
    pub epoch: Epoch,
    /// Its first transaction.
    pub committed: Committed,
}

/// What a backup carries beside the configuration, by name: the site's certificate and key, when and where it was made.
pub type Notes = BTreeMap<String, String>;

/// A configuration database: rows, the change log, digests and generations, changed only together.
pub trait ConfigStore: Send + Sync {
    /// Where this is, for messages: a file, or a server and database.
    fn place(&self) -> String;

    // Reading

    /// Everything. `None` when neither installed nor joined.
    fn load(&self) -> Result<Option<Loaded>>;
    /// Where the copy stands. `None` when neither installed nor joined.
    fn position(&self) -> Result<Option<Position>>;
    /// Every generation that is known, oldest first.
    fn epochs(&self) -> Result<Vec<Epoch>>;

    // Generations

    /// Makes an empty store the first generation: position 0 of `epoch`, a number drawn at random.
    fn install(&self, epoch: EpochId) -> Result<Position>;
    /// Starts the generation `epoch` here and now, with `commit` as its first transaction: whoever has the generation knows
    /// who its primary is. Its parent is the one before. The store's part of *promote*.
    fn promote(&self, epoch: EpochId, commit: &Commit) -> Result<Promoted>;
    /// Remembers generations that another server knows, so that records and positions of them can be judged.
    fn learn_epochs(&self, epochs: &[Epoch]) -> Result<()>;

    // Writing

    /// Primary: writes rows, records, digests and audit lines in one transaction, durable when it returns.
    fn commit(&self, commit: &Commit) -> Result<Committed>;
    /// Secondary: applies records of whole transactions that continue this copy, in one transaction, durable when it
    /// returns. With `expected`, the result must be at that position with those digests, or nothing happens. Without
    /// records and with an `expected` whose generation starts here, the copy enters that generation.
    fn apply(&self, at: Wall, records: &[LogRecord], expected: Option<&Position>) -> Result<Position>;

    // Change log

    /// Records after `lsn`: whole transactions, about `max_bytes` of rows, at least one transaction.
    fn log_after(&self, lsn: u64, max_bytes: usize) -> Result<LogSlice>;
    /// What the log holds.
    fn log_bounds(&self) -> Result<LogBounds>;
    /// The digests at the end of the transaction `lsn`, as far back as the log reaches.
    fn digests_at(&self, lsn: u64) -> Result<Option<Digests>>;
    /// Lets records go by the rule.
    fn trim(&self, rule: &TrimRule) -> Result<LogBounds>;

    // Snapshots

    /// Reads everything at one position while others write.
    fn snapshot(&self) -> Result<Box<dyn SnapshotReader>>;
    /// Begins to receive a snapshot, or goes on with one of the same position; says what is needed next.
    fn stage_begin(&self, header: &SnapshotHeader) -> Result<Cursor>;
    /// Takes one piece.
    fn stage_chunk(&self, chunk: &Chunk) -> Result<Cursor>;
    /// Checks the digests, then replaces rows, log, generations and position in one transaction. On a wrong digest what
    /// was received is dropped and the live tables stay as they are.
    fn stage_finish(&self) -> Result<Swapped>;
    /// Forgets what was received.
    fn stage_drop(&self) -> Result<()>;

    // Proof of sameness

    /// Computes every digest again from the rows. `between` is called after every few hundred rows, so that the caller may
    /// give way to others.
    fn scrub(&self, between: &mut dyn FnMut()) -> Result<ScrubReport>;
    /// The digests of a table's groups, computed from the rows.
    fn bucket_digests(&self, table: Table) -> Result<BucketDigests>;
    /// The rows of one group.
    fn bucket_rows(&self, table: Table, bucket: u8) -> Result<BucketRows>;
    /// Makes a group's rows equal to `rows`, read at this copy's position on a server whose digest is right, and takes over
    /// that table's committed digest.
    fn repair(&self, rows: &BucketRows) -> Result<Repaired>;
    /// Primary without a good copy elsewhere: takes the rows of a table as they are, as if they had been committed.
    fn adopt(&self, at: Wall, table: Table, audit: &AuditEntry) -> Result<Committed>;

    // Audit and backup

    /// Audit lines before number `before` (`None`: the newest), newest first.
    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditRow>>;
    /// Checks the chain of the whole audit log: the number of the first line that does not fit, or `None`.
    fn audit_broken(&self) -> Result<Option<u64>>;
    /// Writes a checked copy to `path` with `notes` beside it: under a temporary name first, so that what bears the name is
    /// whole. Only the service's user can read it.
    fn backup(&self, path: &Path, notes: &Notes) -> Result<()>;
}
