//! What the change log gives out, and how long it is kept.

use onealert_core::{replicate::LogRecord, time::Wall};
use serde::{Deserialize, Serialize};

/// A run of records of whole transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSlice {
    /// In order, without gaps. Empty when the asker has everything.
    pub records: Vec<LogRecord>,
    /// The last lsn of the log when it was read: more records follow if it is above the last one here.
    pub head: u64,
}

/// What the log holds: records after `tail` up to `head`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBounds {
    /// The last lsn that is no longer there.
    pub tail: u64,
    /// The last lsn.
    pub head: u64,
}

/// When records may go. A secondary that falls behind the tail gets a snapshot, so an absent one cannot fill the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrimRule {
    /// The lowest lsn that every enrolled secondary has acknowledged; records up to here may go once they are not needed by
    /// `keep`. `None` when there are no secondaries.
    pub acknowledged: Option<u64>,
    /// How many of the acknowledged records are kept all the same, so that a short restart of a peer costs no snapshot.
    pub keep: u64,
    /// Records older than this go, acknowledged or not.
    pub oldest: Wall,
    /// The oldest records go until the rest is at most this many bytes, acknowledged or not.
    pub max_bytes: u64,
}

impl TrimRule {
    /// The default: 256 MiB, 7 days, and the last 10,000 acknowledged records.
    pub fn standard(now: Wall, acknowledged: Option<u64>) -> TrimRule {
        const WEEK_MS: i64 = 7 * 24 * 3600 * 1000;
        TrimRule { acknowledged, keep: 10_000, oldest: Wall(now.0.saturating_sub(WEEK_MS)), max_bytes: 256 << 20 }
    }
}
