//! Reads a snapshot at one position on a connection of its own: a write-ahead log lets others write meanwhile.

use onealert_core::config::Table;
use rusqlite::Connection;

use crate::{
    db::{Db, Problem, Work},
    error::Result,
    snapshot::{CHUNK_BYTES, Chunk, Cursor, SnapshotHeader, SnapshotReader},
};

use super::{epochs, log, state::State};

/// What a row takes in a piece beside its three texts: brackets, quotes, commas.
const ROW_OVERHEAD: usize = 10;
/// What a piece takes beside its rows.
const CHUNK_OVERHEAD: usize = 64;

pub(super) struct Reader {
    connection: Connection,
    place: String,
    header: SnapshotHeader,
    cursor: Cursor,
    done: bool,
}

impl Reader {
    pub(super) fn open(db: &Db) -> Result<Reader> {
        const DOING: &str = "begin a snapshot";
        let connection = db.reader()?;
        // The read transaction begins with the first read below and lasts as long as the connection.
        connection.execute_batch("BEGIN").map_err(|error| db.error(DOING, error))?;
        let header = read_header(&connection, &db.place()).map_err(|problem| db.problem(DOING, problem))?;
        Ok(Reader { connection, place: db.place(), header, cursor: Cursor::default(), done: false })
    }

    fn fill(&mut self) -> Work<Chunk> {
        let mut chunk = Chunk { number: self.cursor.next, rows: Vec::new(), last: false };
        let mut bytes = CHUNK_OVERHEAD;
        let (from, mut after) = match &self.cursor.after {
            Some((table, key)) => (*table, key.clone()),
            // Keys are never empty, so every key comes after this one.
            None => (Table::ALL[0], String::new()),
        };
        for table in Table::ALL.into_iter().filter(|table| *table >= from) {
            let sql = format!("SELECT key, row FROM row_{} WHERE key > ?1 ORDER BY key", table.name());
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([&after])?;
            while let Some(row) = rows.next()? {
                let (key, text): (String, String) = (row.get(0)?, row.get(1)?);
                bytes += ROW_OVERHEAD + table.name().len() + json_len(&key) + json_len(&text);
                if bytes > CHUNK_BYTES && !chunk.rows.is_empty() {
                    return Ok(chunk);
                }
                chunk.rows.push((table, key, text));
            }
            after.clear();
        }
        chunk.last = true;
        Ok(chunk)
    }
}

impl SnapshotReader for Reader {
    fn header(&self) -> &SnapshotHeader {
        &self.header
    }
    fn seek(&mut self, cursor: Cursor) {
        self.cursor = cursor;
        self.done = false;
    }
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if self.done {
            return Ok(None);
        }
        let chunk = self.fill().map_err(|problem| match problem {
            Problem::Sql(error) => crate::db::database(&self.place, "read a snapshot", error),
            Problem::Store(error) => error,
        })?;
        self.done = chunk.last;
        self.cursor.next += 1;
        if let Some((table, key, _)) = chunk.rows.last() {
            self.cursor.after = Some((*table, key.clone()));
        }
        Ok(Some(chunk))
    }
}

fn read_header(connection: &Connection, place: &str) -> Work<SnapshotHeader> {
    let state = State::need(connection, place)?;
    let mut rows = 0;
    for table in Table::ALL {
        let sql = format!("SELECT COUNT(*) FROM row_{}", table.name());
        rows += connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned();
    }
    let epochs = epochs::ancestry(connection, state.epoch)?;
    Ok(SnapshotHeader { position: state.position(), epochs, rows, trail: log::trail(connection)? })
}

/// How long a text is inside JSON, without its quotes.
fn json_len(text: &str) -> usize {
    let extra = |byte: u8| match byte {
        b'"' | b'\\' => 1,
        0..0x20 => 5,
        _ => 0,
    };
    text.len() + text.bytes().map(extra).sum::<usize>()
}
