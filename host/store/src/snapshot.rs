//! A copy of the whole configuration at one position, in pieces: read on the primary, gathered beside the live tables on a
//! secondary, put in place at once.

use onealert_core::{
    config::Table,
    replicate::{Epoch, Position, Trail},
};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// A piece is at most this many bytes as JSON, unless a single row is longer.
pub const CHUNK_BYTES: usize = 64 << 10;

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHeader {
    /// The one position at which all of it was read.
    pub position: Position,
    /// Every generation that led to it.
    pub epochs: Vec<Epoch>,
    /// The number of rows, to show progress.
    pub rows: u64,
    /// What the rows were at the ends of the last transactions, so that the receiver sees where its own went another way.
    #[serde(default)]
    pub trail: Trail,
}

/// One piece of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its number, from 0.
    pub number: u64,
    /// Rows in the order of tables and keys.
    pub rows: Vec<(Table, String, String)>,
    /// Whether it is the last.
    pub last: bool,
}

/// How far a snapshot has been received: the next piece, and the last row before it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor {
    /// The number of the next piece.
    pub next: u64,
    /// The last row received; `None` at the beginning.
    pub after: Option<(Table, String)>,
}

/// Reads the configuration at one position while others write. Holds a connection of its own: drop it when done.
pub trait SnapshotReader: Send {
    /// What it is a snapshot of.
    fn header(&self) -> &SnapshotHeader;
    /// Continues after what was received before from a snapshot of the same position.
    fn seek(&mut self, cursor: Cursor);
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// The database could not be read.
    fn next_chunk(&mut self) -> Result<Option<Chunk>>;
}

/// What putting a snapshot in place did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swapped {
    /// Where this copy stands.
    pub position: Position,
    /// Where it stood before; `None` when it was empty. When its lsn was higher, this server's numbers went back and it
    /// needs another incarnation.
    pub before: Option<Position>,
}
