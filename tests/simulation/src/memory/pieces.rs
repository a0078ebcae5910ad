//! A snapshot in pieces.

use onealert_core::config::Table;
use onealert_store::{
    Result,
    snapshot::{Chunk, Cursor, SnapshotHeader, SnapshotReader},
};

/// Rows of a piece: few, so that a small configuration comes in several.
const CHUNK_ROWS: usize = 4;

pub(super) struct Reader {
    header: SnapshotHeader,
    rows: Vec<(Table, String, String)>,
    next: u64,
    over: bool,
}

impl Reader {
    pub(super) fn new(header: SnapshotHeader, rows: Vec<(Table, String, String)>) -> Reader {
        Reader { header, rows, next: 0, over: false }
    }
}

impl SnapshotReader for Reader {
    fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    fn seek(&mut self, cursor: Cursor) {
        self.next = cursor.next;
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if self.over {
            return Ok(None);
        }
        let number = self.next;
        let from = (number as usize * CHUNK_ROWS).min(self.rows.len());
        let to = (from + CHUNK_ROWS).min(self.rows.len());
        self.next += 1;
        self.over = to == self.rows.len();
        Ok(Some(Chunk { number, rows: self.rows[from..to].to_vec(), last: self.over }))
    }
}
