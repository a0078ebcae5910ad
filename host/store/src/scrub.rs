//! Proof that rows are what the digests say, and what is needed to repair them when they are not.

use onealert_core::{
    config::Table,
    replicate::{Digest, Position},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Rows are compared in this many groups a table, so that a repair moves only the groups that differ.
pub const BUCKETS: usize = 256;

/// The group of a key: the first byte of its SHA-256.
pub fn bucket_of(key: &str) -> u8 {
    Sha256::digest(key.as_bytes())[0]
}

/// What a scrub found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubReport {
    /// The position at which the rows were read.
    pub position: Position,
    /// How many rows were read.
    pub rows: u64,
    /// Tables whose rows are not what was committed; empty when all is well.
    pub faults: Vec<TableFault>,
}

/// A table whose rows were changed by something other than a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFault {
    /// Which table.
    pub table: Table,
    /// What was committed.
    pub committed: Digest,
    /// What the rows give.
    pub found: Digest,
    /// Rows whose text is not the one that was stored with its hash. Rows that were added with a right hash or deleted show
    /// in the digest only.
    pub edited: Vec<String>,
}

/// The digests of a table's groups as its rows give them, at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketDigests {
    /// Which table.
    pub table: Table,
    /// At which position.
    pub position: Position,
    /// One digest a group, [`BUCKETS`] of them.
    pub digests: Vec<Digest>,
}

impl BucketDigests {
    /// The groups in which two copies differ. Both must have been read at the same position.
    pub fn differing(&self, other: &BucketDigests) -> Vec<u8> {
        let pairs = self.digests.iter().zip(&other.digests);
        (0..=u8::MAX).zip(pairs).filter(|(_, (ours, theirs))| ours != theirs).map(|(bucket, _)| bucket).collect()
    }
}

/// The rows of one group, at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRows {
    /// Which table.
    pub table: Table,
    /// Which group.
    pub bucket: u8,
    /// At which position; digests are the committed ones.
    pub position: Position,
    /// Key and row.
    pub rows: Vec<(String, String)>,
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The keys whose rows were changed, added or removed.
    pub keys: Vec<String>,
    /// Whether the table's rows give the committed digest after it.
    pub agrees: bool,
}
