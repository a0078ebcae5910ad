//! Receives a snapshot beside the live tables and puts it in place at once.

use onealert_core::{
    config::Table,
    replicate::{Digest, row_hash},
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    db::Work,
    error::{Result, StoreError},
    snapshot::{Chunk, Cursor, SnapshotHeader, Swapped},
};

use super::{
    epochs,
    state::{self, State, bad_value},
    write,
};

struct Staging {
    header: SnapshotHeader,
    cursor: Cursor,
    complete: bool,
}

pub(super) fn begin(tx: &Connection, header: &SnapshotHeader) -> Work<Cursor> {
    // What cannot be read any more is received again.
    if let Ok(Some(staging)) = load(tx)
        && staging.header == *header
    {
        return Ok(staging.cursor);
    }
    clear(tx)?;
    save(tx, &Staging { header: header.clone(), cursor: Cursor::default(), complete: false })?;
    Ok(Cursor::default())
}

pub(super) fn chunk(tx: &Connection, chunk: &Chunk) -> Work<Cursor> {
    let mut staging = load(tx)?.ok_or(StoreError::NoSnapshot)?;
    if chunk.number != staging.cursor.next {
        return Err(StoreError::WrongChunk { expected: staging.cursor.next, found: chunk.number }.into());
    }
    for (table, key, row) in &chunk.rows {
        state::put(tx, "stage", *table, key, row, row_hash(*table, key, row))?;
        staging.cursor.after = Some((*table, key.clone()));
    }
    staging.cursor.next += 1;
    staging.complete = chunk.last;
    save(tx, &staging)?;
    Ok(staging.cursor)
}

/// The inner result says what became of the snapshot; in both cases the transaction is committed.
pub(super) fn finish(tx: &Connection) -> Work<Result<Swapped>> {
    let staging = load(tx)?.ok_or(StoreError::NoSnapshot)?;
    if !staging.complete {
        return Err(StoreError::WrongChunk { expected: staging.cursor.next, found: staging.cursor.next }.into());
    }
    let position = &staging.header.position;
    let mut next = State { epoch: position.epoch, lsn: position.lsn, tail: position.lsn, digests: Default::default() };
    for table in Table::ALL {
        next.digests.insert(table, staged_digest(tx, table)?);
    }
    if let Err(differs) = write::compare(&next, position) {
        clear(tx)?;
        return Ok(Err(differs));
    }
    let before = State::load(tx)?.map(|state| state.position());
    for table in Table::ALL {
        let name = table.name();
        tx.execute_batch(&format!("DELETE FROM row_{name}; INSERT INTO row_{name} SELECT * FROM stage_{name};"))?;
    }
    tx.execute_batch("DELETE FROM log; DELETE FROM log_digests;")?;
    // The sender's word on where generations began replaces ours, as its rows do.
    tx.execute("DELETE FROM epochs", [])?;
    epochs::learn(tx, &staging.header.epochs)?;
    next.save(tx)?;
    clear(tx)?;
    Ok(Ok(Swapped { position: next.position(), before }))
}

pub(super) fn clear(tx: &Connection) -> Work<()> {
    for table in Table::ALL {
        tx.execute(&format!("DELETE FROM stage_{}", table.name()), [])?;
    }
    tx.execute("DELETE FROM staging", [])?;
    Ok(())
}

fn staged_digest(tx: &Connection, table: Table) -> Work<Digest> {
    let mut statement = tx.prepare_cached(&format!("SELECT hash FROM stage_{}", table.name()))?;
    let mut rows = statement.query([])?;
    let mut sum = Digest::default();
    while let Some(row) = rows.next()? {
        sum = state::plus(sum, Digest(u128::from_be_bytes(row.get(0)?)));
    }
    Ok(sum)
}

fn load(tx: &Connection) -> Work<Option<Staging>> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?));
    let found = tx.prepare_cached("SELECT header, cursor, complete FROM staging")?.query_row([], read).optional()?;
    let Some((header, cursor, complete)) = found else { return Ok(None) };
    let bad = |error: serde_json::Error| bad_value(tx, "staging", "1", error);
    let header = serde_json::from_str(&header).map_err(bad)?;
    let cursor = serde_json::from_str(&cursor).map_err(bad)?;
    Ok(Some(Staging { header, cursor, complete }))
}

fn save(tx: &Connection, staging: &Staging) -> Work<()> {
    let header = serde_json::to_string(&staging.header).expect("a header is plain data");
    let cursor = serde_json::to_string(&staging.cursor).expect("a cursor is plain data");
    tx.prepare_cached("INSERT OR REPLACE INTO staging (one, header, cursor, complete) VALUES (1, ?1, ?2, ?3)")?
        .execute(params![header, cursor, staging.complete])?;
    Ok(())
}
