//! The change log's table: appended in the transaction that changes rows, read by position, trimmed at transaction ends.

use onealert_core::{
    config::Change,
    replicate::{Digests, LogRecord, TRAIL, Trail},
    time::Wall,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    db::Work,
    error::StoreError,
    log::{LogBounds, LogSlice, TrimRule},
};

use super::{
    epochs,
    state::{self, State, bad_value},
};

/// What a record takes beside key and row, roughly, in the database and on the wire.
const RECORD_OVERHEAD: usize = 120;

pub(super) fn append(tx: &Connection, at: Wall, record: &LogRecord) -> Work<()> {
    let change = &record.change;
    let bytes = RECORD_OVERHEAD + change.key.len() + change.row.as_ref().map_or(0, String::len);
    tx.prepare_cached(
        "INSERT INTO log (lsn, epoch, tx, at, tbl, key, row, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        record.lsn.cast_signed(),
        record.epoch.to_string(),
        record.tx.cast_signed(),
        at.0,
        change.table.name(),
        change.key,
        change.row,
        bytes as i64,
    ])?;
    Ok(())
}

pub(super) fn after(tx: &Connection, place: &str, lsn: u64, max_bytes: usize) -> Work<LogSlice> {
    let bounds = State::need(tx, place)?.bounds();
    if lsn < bounds.tail || lsn > bounds.head {
        return Err(StoreError::NotInLog { asked: lsn, tail: bounds.tail, head: bounds.head }.into());
    }
    let mut statement =
        tx.prepare_cached("SELECT lsn, epoch, tx, tbl, key, row, bytes FROM log WHERE lsn > ?1 ORDER BY lsn")?;
    let mut rows = statement.query([lsn.cast_signed()])?;
    let mut records: Vec<LogRecord> = Vec::new();
    // How many of the records are whole transactions.
    let mut whole = 0;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        bytes += row.get::<_, i64>(6)? as usize;
        if bytes > max_bytes && whole > 0 {
            break;
        }
        let record = LogRecord {
            lsn: row.get::<_, i64>(0)?.cast_unsigned(),
            epoch: epochs::parse(tx, &row.get::<_, String>(1)?)?,
            tx: row.get::<_, i64>(2)?.cast_unsigned(),
            change: Change {
                table: state::table(tx, "log", &row.get::<_, String>(3)?)?,
                key: row.get(4)?,
                row: row.get(5)?,
            },
        };
        let ends = record.lsn == record.tx;
        records.push(record);
        if ends {
            whole = records.len();
        }
    }
    records.truncate(whole);
    Ok(LogSlice { records, head: bounds.head })
}

pub(super) fn digests_at(tx: &Connection, lsn: u64) -> Work<Option<Digests>> {
    let text: Option<String> = tx
        .prepare_cached("SELECT digests FROM log_digests WHERE lsn = ?1")?
        .query_row([lsn.cast_signed()], |row| row.get(0))
        .optional()?;
    let parse = |text: String| {
        serde_json::from_str(&text).map_err(|error| bad_value(tx, "log_digests", &lsn.to_string(), error))
    };
    Ok(text.map(parse).transpose()?)
}

/// What the rows were at the ends of the last transactions, oldest first.
pub(super) fn trail(tx: &Connection) -> Work<Trail> {
    let mut statement = tx.prepare_cached("SELECT lsn, digests FROM log_digests ORDER BY lsn DESC LIMIT ?1")?;
    let mut rows = statement.query([TRAIL as i64])?;
    let mut trail = Trail::new();
    while let Some(row) = rows.next()? {
        let (lsn, text): (i64, String) = (row.get(0)?, row.get(1)?);
        let digests: Digests =
            serde_json::from_str(&text).map_err(|error| bad_value(tx, "log_digests", &lsn.to_string(), error))?;
        trail.push((lsn.cast_unsigned(), digests.sum()));
    }
    trail.reverse();
    Ok(trail)
}

pub(super) fn trim(tx: &Connection, place: &str, rule: &TrimRule) -> Work<LogBounds> {
    let mut state = State::need(tx, place)?;
    let spare = state.lsn.saturating_sub(rule.keep);
    let acknowledged = rule.acknowledged.map_or(spare, |lsn| lsn.min(spare));
    let aged: Option<i64> = tx.query_row("SELECT MAX(tx) FROM log WHERE at < ?1", [rule.oldest.0], |row| row.get(0))?;
    let aged = aged.unwrap_or(0).cast_unsigned();
    let wanted = acknowledged.max(aged).max(oversize(tx, rule.max_bytes)?);
    // The log always begins after a whole transaction, the digests at that place stay known.
    let tail: Option<i64> = tx.query_row(
        "SELECT MAX(lsn) FROM log_digests WHERE lsn <= ?1",
        [wanted.min(state.lsn).cast_signed()],
        |row| row.get(0),
    )?;
    let tail = tail.unwrap_or(0).cast_unsigned();
    if tail > state.tail {
        tx.execute("DELETE FROM log WHERE lsn <= ?1", [tail.cast_signed()])?;
        tx.execute("DELETE FROM log_digests WHERE lsn < ?1", [tail.cast_signed()])?;
        state.tail = tail;
        state.save(tx)?;
    }
    Ok(state.bounds())
}

/// The end of the newest transaction that must go so that the rest is at most `max_bytes`.
fn oversize(tx: &Connection, max_bytes: u64) -> Work<u64> {
    let total: i64 = tx.query_row("SELECT COALESCE(SUM(bytes), 0) FROM log", [], |row| row.get(0))?;
    let mut excess = total.cast_unsigned().saturating_sub(max_bytes);
    let mut statement = tx.prepare_cached("SELECT tx, bytes FROM log ORDER BY lsn")?;
    let mut rows = statement.query([])?;
    let mut end = 0;
    while excess > 0
        && let Some(row) = rows.next()?
    {
        end = row.get::<_, i64>(0)?.cast_unsigned();
        excess = excess.saturating_sub(row.get::<_, i64>(1)?.cast_unsigned());
    }
    Ok(end)
}
