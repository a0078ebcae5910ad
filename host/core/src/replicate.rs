//! Positions in the configuration's change log, digests, and what a primary answers to a secondary that calls
//! (redundancy sheet, section 3). Nothing here reads a database or a socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    config::{Change, Table},
    ids::{EpochId, Incarnation, ServerId},
    version::{VersionSet, VersionVerdict},
};

/// The sum, modulo 2^128, of the [`row_hash`]es of a set of rows. Order does not matter; a row is taken out by subtracting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub u128);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Digest).map_err(serde::de::Error::custom)
    }
}

/// The hash of one row, and of its place: 128 bits of SHA-256 over table, key and canonical text.
pub fn row_hash(table: Table, key: &str, row: &str) -> Digest {
    let mut hash = Sha256::new();
    for part in [table.name(), key, row] {
        // The length first, so that no two rows run together to the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let bytes: [u8; 32] = hash.finalize().into();
    Digest(u128::from_be_bytes(bytes[..16].try_into().expect("32 bytes hold 16")))
}

/// One digest a table; a table without rows has the digest 0 and may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digests(pub BTreeMap<Table, Digest>);

/// Where a copy of the configuration stands. A bare number is not a position: after a restore the same number means other
/// content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which generation.
    pub epoch: EpochId,
    /// How many records of it are in: gapless, in commit order.
    pub lsn: u64,
    /// What the rows are.
    pub digests: Digests,
}

/// A generation of the configuration, and where it left the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its id.
    pub id: EpochId,
    /// The generation it came from; `None` for the first.
    pub parent: Option<EpochId>,
    /// The last record of the parent that it contains.
    pub fork: u64,
}

/// One record of the change log. All records of one transaction carry the same `tx` and are applied together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// The generation in which it was written.
    pub epoch: EpochId,
    /// Its place: one more than the record before.
    pub lsn: u64,
    /// The lsn of the transaction's last record.
    pub tx: u64,
    /// The write.
    pub change: Change,
}

/// What a secondary says when it calls the primary for configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncHello {
    /// Who calls; the transport proves it.
    pub server: ServerId,
    /// Which life of its data folder.
    pub incarnation: Incarnation,
    /// Its product, schema and protocol.
    pub versions: VersionSet,
    /// Where its copy stands; `None` when it has none.
    pub position: Option<Position>,
    /// The newest epoch it has seen anywhere.
    pub newest_epoch: Option<EpochId>,
}

/// What the primary answers (redundancy sheet, section 3.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum SyncAnswer {
    /// Records follow, from this lsn (exclusive) on.
    Stream {
        /// The last lsn that the secondary has.
        from: u64,
    },
    /// The whole follows.
    Snapshot {
        /// Why the log does not do.
        reason: SnapshotReason,
    },
    /// Product or schema differ; synchronisation waits until either side restarts with another version.
    VersionMismatch {
        /// What differs, both sides named.
        verdict: VersionVerdict,
    },
    /// The licence allows no more secondaries than this. Final until an operator acts.
    NotLicensed {
        /// How many it allows.
        limit: u32,
    },
    /// The caller was removed. Final until it joins again.
    Deprovisioned,
    /// The answerer does not know the caller. Final until it joins.
    UnknownServer,
    /// The caller knows a newer epoch than the answerer: the answerer fences itself.
    Fenced {
        /// The newer epoch.
        epoch: EpochId,
    },
    /// The server asked is not the primary.
    NotPrimary,
}

/// Why a secondary gets a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotReason {
    /// It has no copy.
    Empty,
    /// The log does not reach back that far.
    BehindTail,
    /// It has more records than the primary.
    AheadOfHead,
    /// It has records that were written after the fork of another generation.
    PastFork,
    /// Same position, other rows.
    DigestDiffers,
}

/// What the primary knows when a secondary calls: all that [`answer`] looks at.
#[derive(Debug, Clone)]
pub struct PrimaryView<'a> {
    /// Whether this server is the primary at all.
    pub is_primary: bool,
    /// Where the configuration stands.
    pub head: &'a Position,
    /// The lowest lsn from which the log can be streamed: every record above it is kept.
    pub tail: u64,
    /// The generations, the current one included, by id: its ancestry.
    pub epochs: &'a [Epoch],
    /// The digests at the lsn that the caller named, when they are known.
    pub digests_at: Option<&'a Digests>,
    /// What this server runs.
    pub versions: &'a VersionSet,
    /// Whether the caller is enrolled.
    pub enrolment: Enrolment,
}

/// What the primary's configuration says of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolment {
    /// It joined and is counted in the licence.
    Enrolled,
    /// It joined, but the licence allows only so many secondaries.
    OverLicence {
        /// How many it allows.
        limit: u32,
    },
    /// It was removed.
    Deprovisioned,
    /// It never joined.
    Unknown,
}

/// What the primary answers to a secondary that calls for configuration.
pub fn answer(primary: &PrimaryView<'_>, hello: &SyncHello) -> SyncAnswer {
    let _ = hello;
    if !primary.is_primary {
        return SyncAnswer::NotPrimary;
    }
    SyncAnswer::Snapshot { reason: SnapshotReason::Empty }
}
