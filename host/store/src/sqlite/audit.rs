//! The audit log's table: each line carries the hash of the line before.

use onealert_core::{
    config::{Change, canonical},
    time::Wall,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use crate::{
    change::{AuditEntry, AuditRow, blanked},
    db::Work,
};

use super::state;

const COLUMNS: &str = "seq, at, who, origin, what, tbl, key, before, after, previous, hash";

pub(super) fn append(
    tx: &Connection,
    at: Wall,
    entry: &AuditEntry,
    change: &Change,
    before: Option<String>,
) -> Work<()> {
    let last = tx
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let (seq, previous) = last.unwrap_or_else(|| (0, "0".repeat(64)));
    let mut line = AuditRow {
        seq: seq.cast_unsigned() + 1,
        at,
        entry: entry.clone(),
        table: change.table,
        key: change.key.clone(),
        before: before.map(|row| blanked(change.table, row)),
        after: change.row.clone().map(|row| blanked(change.table, row)),
        previous,
        hash: String::new(),
    };
    line.hash = hash(&line);
    tx.prepare_cached(&format!("INSERT INTO audit ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"))?
        .execute(params![
            line.seq.cast_signed(),
            line.at.0,
            line.entry.who,
            line.entry.origin,
            line.entry.what,
            line.table.name(),
            line.key,
            line.before,
            line.after,
            line.previous,
            line.hash,
        ])?;
    Ok(())
}

pub(super) fn page(tx: &Connection, before: Option<u64>, limit: usize) -> Work<Vec<AuditRow>> {
    let before = before.map_or(i64::MAX, u64::cast_signed);
    let sql = format!("SELECT {COLUMNS} FROM audit WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2");
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(params![before, limit as i64])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        lines.push(line(tx, row)?);
    }
    Ok(lines)
}

pub(super) fn broken(tx: &Connection) -> Work<Option<u64>> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM audit ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    let mut previous = "0".repeat(64);
    let mut seq = 0;
    while let Some(row) = rows.next()? {
        seq += 1;
        let line = line(tx, row)?;
        if line.seq != seq || line.previous != previous || line.hash != hash(&line) {
            return Ok(Some(seq));
        }
        previous = line.hash;
    }
    Ok(None)
}

fn line(tx: &Connection, row: &Row<'_>) -> Work<AuditRow> {
    Ok(AuditRow {
        seq: row.get::<_, i64>(0)?.cast_unsigned(),
        at: Wall(row.get(1)?),
        entry: AuditEntry { who: row.get(2)?, origin: row.get(3)?, what: row.get(4)? },
        table: state::table(tx, "audit", &row.get::<_, String>(5)?)?,
        key: row.get(6)?,
        before: row.get(7)?,
        after: row.get(8)?,
        previous: row.get(9)?,
        hash: row.get(10)?,
    })
}

/// The hash of a line over everything in it but the hash itself.
fn hash(line: &AuditRow) -> String {
    let bare = AuditRow { hash: String::new(), ..line.clone() };
    Sha256::digest(canonical(&bare)).iter().map(|byte| format!("{byte:02x}")).collect()
}
