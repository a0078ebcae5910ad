//! Positions in the configuration's change log, digests, and what a primary answers to a secondary that calls
//! (redundancy sheet, section 3). Nothing here reads a database or a socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use crate::answer::{Enrolment, PrimaryView, answer};
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

impl Digests {
    /// Takes a row in.
    pub fn add(&mut self, table: Table, key: &str, row: &str) {
        self.shift(table, |digest| digest.wrapping_add(row_hash(table, key, row).0));
    }

    /// Takes a row out.
    pub fn remove(&mut self, table: Table, key: &str, row: &str) {
        self.shift(table, |digest| digest.wrapping_sub(row_hash(table, key, row).0));
    }

    /// The digest of a table; 0 for one without rows.
    pub fn of(&self, table: Table) -> Digest {
        self.0.get(&table).copied().unwrap_or_default()
    }

    /// The tables that differ, in table order. A table that is absent is one without rows.
    pub fn differing(&self, other: &Digests) -> Vec<Table> {
        Table::ALL.into_iter().filter(|table| self.of(*table) != other.of(*table)).collect()
    }

    /// All tables in one number.
    pub fn sum(&self) -> Digest {
        Digest(self.0.values().fold(0, |sum: u128, digest| sum.wrapping_add(digest.0)))
    }

    fn shift(&mut self, table: Table, change: impl FnOnce(u128) -> u128) {
        match change(self.of(table).0) {
            // Absent rather than 0, so that equal rows give equal values and equal text.
            0 => self.0.remove(&table),
            digest => self.0.insert(table, Digest(digest)),
        };
    }
}

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

impl Position {
    /// Which of two positions has more, where that can be said: within one generation the one with more records. Positions
    /// of two generations have no order by themselves.
    pub fn order(&self, other: &Position) -> Option<std::cmp::Ordering> {
        (self.epoch == other.epoch).then(|| self.lsn.cmp(&other.lsn))
    }

    /// Whether two copies that claim the same place hold different rows: divergence, to be repaired.
    pub fn diverges_from(&self, other: &Position) -> bool {
        self.epoch == other.epoch && self.lsn == other.lsn && !self.digests.differing(&other.digests).is_empty()
    }
}

/// What a copy's rows were at the ends of its last transactions, oldest first: the place, and [`Digests::sum`] there. By it two
/// copies of one generation find out where they parted, which their numbers do not say.
pub type Trail = Vec<(u64, Digest)>;

/// How many transactions a [`Trail`] goes back.
pub const TRAIL: usize = 1000;

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
    /// Every generation that led to that copy, oldest first, its own included.
    #[serde(default)]
    pub lineage: Vec<Epoch>,
    /// The newest generation it has seen anywhere, with every one that led to it, oldest first. Its copy need not be of it.
    #[serde(default)]
    pub newest: Vec<Epoch>,
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
    /// It has records that were written after the generation in force left the one that it stands in.
    PastFork,
    /// It stands in a branch that is left behind: of two servers that were promoted apart, the other one's counts.
    BranchLost {
        /// The generation that counts instead.
        by: EpochId,
        /// The last record that both branches have.
        fork: u64,
    },
    /// Same position, other rows.
    DigestDiffers,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_forget_the_order_and_the_rows_that_went() {
        let (mut one, mut other) = (Digests::default(), Digests::default());
        one.add(Table::Users, "a", "1");
        one.add(Table::Users, "b", "2");
        one.add(Table::Drivers, "c", "3");
        one.remove(Table::Drivers, "c", "3");
        other.add(Table::Users, "b", "2");
        other.add(Table::Users, "a", "0");
        assert_eq!(one.differing(&other), [Table::Users]);
        other.remove(Table::Users, "a", "0");
        other.add(Table::Users, "a", "1");
        assert_eq!(one, other, "an emptied table is as one that never had rows");
        assert_eq!(one.differing(&other), []);
    }

    #[test]
    fn a_row_counts_with_its_table_and_key() {
        let hash = row_hash(Table::Users, "ab", "c");
        assert_ne!(hash, row_hash(Table::Users, "a", "bc"));
        assert_ne!(hash, row_hash(Table::Drivers, "ab", "c"));
    }

    #[test]
    fn positions_have_an_order_within_one_generation_only() {
        let at = |epoch, lsn| Position { epoch: EpochId(epoch), lsn, digests: Digests::default() };
        assert_eq!(at(1, 5).order(&at(1, 6)), Some(std::cmp::Ordering::Less));
        assert_eq!(at(1, 5).order(&at(2, 6)), None);
        let mut edited = at(1, 5);
        edited.digests.add(Table::Users, "a", "1");
        assert!(edited.diverges_from(&at(1, 5)));
        assert!(!edited.diverges_from(&at(1, 6)), "another place may hold other rows");
    }
}
