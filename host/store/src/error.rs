//! What can go wrong in a store, named by file, table and key, so that an operator knows where to look.

use onealert_core::{
    config::Table,
    ids::{EpochId, ServerId},
    replicate::Digest,
};

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database itself refused.
    #[error("{place}: {doing}: {source}{}", .kind.advice())]
    Database {
        /// The file, or the server and database.
        place: String,
        /// What was being done.
        doing: &'static str,
        /// What kind of refusal it is, for those who act on the difference.
        kind: Fault,
        /// The database's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system refused.
    #[error("{place}: {doing}: {source}")]
    File {
        /// The file.
        place: String,
        /// What was being done.
        doing: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The database was written by a later version of the product.
    #[error(
        "{place}: the database has form {found}, this version knows forms up to {known}; install the newer version or restore a backup"
    )]
    TooNew {
        /// The file.
        place: String,
        /// Its form.
        found: u32,
        /// The newest form that this program knows.
        known: u32,
    },
    /// A value in the database is not what this program wrote there.
    #[error("{place}: {table} {key:?}: {reason}")]
    BadValue {
        /// The file.
        place: String,
        /// The database table.
        table: &'static str,
        /// The key in it.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration store has no configuration: neither installed nor joined.
    #[error("{place}: holds no configuration yet; install a primary or join one")]
    Empty {
        /// The file.
        place: String,
    },
    /// A configuration is there already, so it cannot be installed again.
    #[error("{place}: holds a configuration of epoch {epoch} at {lsn} already")]
    NotEmpty {
        /// The file.
        place: String,
        /// Its epoch.
        epoch: EpochId,
        /// Its position.
        lsn: u64,
    },
    /// A row was changed by somebody else since it was read.
    #[error("{} {key:?} was changed by somebody else in between; load it again and repeat the change", table.noun())]
    Conflict {
        /// Which table.
        table: Table,
        /// Which row.
        key: String,
        /// What it is, `None` when it was deleted.
        found: Option<String>,
    },
    /// A row that cannot be stored.
    #[error("{} {key:?}: {reason}", table.noun())]
    BadRow {
        /// Which table.
        table: Table,
        /// Which row.
        key: String,
        /// Why.
        reason: String,
    },
    /// Records do not continue where this copy stands.
    #[error("records start at {found}, this copy continues at {expected}; ask for records after {}", expected - 1)]
    Gap {
        /// The lsn that was needed.
        expected: u64,
        /// The lsn that came.
        found: u64,
    },
    /// The last transaction in the records is not whole.
    #[error("the transaction that ends at {tx} stops at {last}; a transaction is applied whole or not at all")]
    PartTransaction {
        /// Where it ends.
        tx: u64,
        /// The last record that came.
        last: u64,
    },
    /// A record of a generation that does not continue this copy's.
    #[error(
        "record {lsn} belongs to epoch {found}, which does not continue epoch {expected} at {at}; a snapshot is needed"
    )]
    WrongEpoch {
        /// The record.
        lsn: u64,
        /// Its epoch.
        found: EpochId,
        /// This copy's epoch.
        expected: EpochId,
        /// This copy's position.
        at: u64,
    },
    /// Two generations have one id but differ otherwise.
    #[error("epoch {epoch} is known with another parent or fork")]
    EpochDiffers {
        /// Which.
        epoch: EpochId,
    },
    /// The rows are not what the other side says they are. Nothing was changed.
    #[error("the {} give digest {found}, expected {expected} at {lsn}", table.nouns())]
    DigestDiffers {
        /// Which table.
        table: Table,
        /// What the rows give.
        found: Digest,
        /// What was announced.
        expected: Digest,
        /// At which position.
        lsn: u64,
    },
    /// This copy is not where the caller thinks it is. Nothing was changed.
    #[error(
        "this copy stands at {found} of epoch {found_epoch}, the caller expects {expected} of epoch {expected_epoch}"
    )]
    NotThere {
        /// Where it stands.
        found: u64,
        /// In which epoch.
        found_epoch: EpochId,
        /// Where the caller expects it.
        expected: u64,
        /// In which epoch.
        expected_epoch: EpochId,
    },
    /// The records asked for are no longer, or not yet, in the log.
    #[error("records after {asked} were asked for, the log holds those after {tail} up to {head}")]
    NotInLog {
        /// After which lsn.
        asked: u64,
        /// The last lsn that was trimmed.
        tail: u64,
        /// The last lsn.
        head: u64,
    },
    /// A snapshot's piece does not continue what was received so far.
    #[error("snapshot piece {found} came, {expected} was expected; ask for the snapshot from piece {expected} on")]
    WrongChunk {
        /// The piece needed.
        expected: u64,
        /// The piece that came.
        found: u64,
    },
    /// A snapshot piece came, or an end was asked for, without a beginning.
    #[error("no snapshot is being received")]
    NoSnapshot,
    /// The data folder belongs to another server.
    #[error("{place}: belongs to server {found}, not to server {expected}")]
    OtherServer {
        /// The file.
        place: String,
        /// Whose it is.
        found: ServerId,
        /// Whose it should be.
        expected: ServerId,
    },
    /// The thread that writes has ended.
    #[error("{place}: the writing thread has ended; restart the server")]
    WriterGone {
        /// The file.
        place: String,
    },
    /// The copy did not pass its check, so that it was not put in place.
    #[error("{place}: the backup did not pass its check: {reason}")]
    BadBackup {
        /// The file that was to be.
        place: String,
        /// What the check said.
        reason: String,
    },
}

/// Kinds of refusal by a database on which callers act differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No room: make some and try again.
    Full,
    /// The file is damaged.
    Corrupt,
    /// Somebody else holds it locked.
    Busy,
    /// Anything else.
    Other,
}

impl Fault {
    /// What is to be done, behind the database's own words.
    fn advice(self) -> &'static str {
        match self {
            Fault::Full => "; its disk is full: make room there",
            Fault::Corrupt | Fault::Busy | Fault::Other => "",
        }
    }
}

/// The result of everything in this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
