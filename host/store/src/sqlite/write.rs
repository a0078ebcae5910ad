//! The two ways in which configuration changes: a commit on the primary, records applied on a secondary.

use onealert_core::{
    config::{Change, Table, canonical},
    replicate::{LogRecord, Position, row_hash},
    time::Wall,
};
use rusqlite::Connection;
use serde_json::Value;

use crate::{
    change::{Commit, Committed, MAX_KEY_BYTES, MAX_ROW_BYTES},
    db::Work,
    error::{Result, StoreError},
};

use super::{audit, epochs, log, state};
use state::State;

/// Refuses what must not get into the log, because every secondary would have to refuse it too.
pub(super) fn check(changes: &[Change]) -> Result<()> {
    for change in changes {
        let bad = |reason: String| StoreError::BadRow { table: change.table, key: change.key.clone(), reason };
        if change.key.is_empty() || change.key.len() > MAX_KEY_BYTES {
            return Err(bad(format!("the key has {} bytes, allowed are 1 to {MAX_KEY_BYTES}", change.key.len())));
        }
        let Some(row) = &change.row else { continue };
        if row.len() > MAX_ROW_BYTES {
            return Err(bad(format!("the row has {} bytes, allowed are {MAX_ROW_BYTES}", row.len())));
        }
        let value: Value = serde_json::from_str(row).map_err(|error| bad(format!("the row is not JSON: {error}")))?;
        if canonical(&value) != *row {
            return Err(bad("the row is not in canonical form; make it with Change::put".to_owned()));
        }
    }
    Ok(())
}

pub(super) fn commit(tx: &Connection, place: &str, commit: &Commit) -> Work<Committed> {
    let mut state = State::need(tx, place)?;
    for expected in &commit.expected {
        let found = state::get(tx, expected.table, &expected.key)?.map(|(row, _)| row);
        if found != expected.row {
            return Err(StoreError::Conflict { table: expected.table, key: expected.key.clone(), found }.into());
        }
    }
    let mut done: Vec<(Change, Option<String>)> = Vec::new();
    for change in &commit.changes {
        let before = state::get(tx, change.table, &change.key)?;
        let after = change.row.as_ref().map(|row| (row.clone(), row_hash(change.table, &change.key, row)));
        // The hash counts too: a row edited behind the store's back and then committed in the same words is a change.
        if before == after {
            continue;
        }
        state.write(tx, change.table, &change.key, change.row.as_deref())?;
        done.push((change.clone(), before.map(|(row, _)| row)));
    }
    finish(tx, state, commit, done)
}

/// Appends records and audit lines for rows that were written, and moves the position.
pub(super) fn finish(
    tx: &Connection,
    mut state: State,
    commit: &Commit,
    done: Vec<(Change, Option<String>)>,
) -> Work<Committed> {
    if done.is_empty() {
        return Ok(Committed { position: state.position(), records: Vec::new() });
    }
    let last = state.lsn + done.len() as u64;
    let mut records = Vec::with_capacity(done.len());
    for (lsn, (change, before)) in (state.lsn + 1..).zip(done) {
        if let Some(entry) = &commit.audit {
            audit::append(tx, commit.at, entry, &change, before)?;
        }
        let record = LogRecord { epoch: state.epoch, lsn, tx: last, change };
        log::append(tx, commit.at, &record)?;
        records.push(record);
    }
    state.lsn = last;
    state.save(tx)?;
    Ok(Committed { position: state.position(), records })
}

pub(super) fn apply(
    tx: &Connection,
    place: &str,
    at: Wall,
    records: &[LogRecord],
    expected: Option<&Position>,
) -> Work<Position> {
    let mut state = State::need(tx, place)?;
    // The end of the transaction being applied; equal to the lsn between transactions.
    let mut end = state.lsn;
    for record in records {
        if record.lsn != state.lsn + 1 {
            return Err(StoreError::Gap { expected: state.lsn + 1, found: record.lsn }.into());
        }
        if state.lsn == end {
            end = record.tx;
        }
        if record.tx != end || end < record.lsn {
            return Err(StoreError::PartTransaction { tx: end, last: state.lsn }.into());
        }
        enter(tx, &mut state, record)?;
        let change = &record.change;
        state.write(tx, change.table, &change.key, change.row.as_deref())?;
        log::append(tx, at, record)?;
        state.lsn = record.lsn;
        if state.lsn == end {
            state.save_digests(tx)?;
        }
    }
    if state.lsn != end {
        return Err(StoreError::PartTransaction { tx: end, last: state.lsn }.into());
    }
    if let Some(expected) = expected {
        if expected.epoch != state.epoch && epochs::continues(tx, state.epoch, expected.epoch, state.lsn)? {
            state.epoch = expected.epoch;
        }
        compare(&state, expected)?;
    }
    state.save(tx)?;
    Ok(state.position())
}

/// An error unless the copy stands there with those digests.
pub(super) fn compare(state: &State, expected: &Position) -> Result<()> {
    if (state.epoch, state.lsn) != (expected.epoch, expected.lsn) {
        return Err(StoreError::NotThere {
            found: state.lsn,
            found_epoch: state.epoch,
            expected: expected.lsn,
            expected_epoch: expected.epoch,
        });
    }
    for table in Table::ALL {
        let (found, announced) = (state.digest(table), expected.digests.0.get(&table).copied().unwrap_or_default());
        if found != announced {
            return Err(StoreError::DigestDiffers { table, found, expected: announced, lsn: state.lsn });
        }
    }
    Ok(())
}

fn enter(tx: &Connection, state: &mut State, record: &LogRecord) -> Work<()> {
    if record.epoch == state.epoch {
        return Ok(());
    }
    if !epochs::continues(tx, state.epoch, record.epoch, state.lsn)? {
        let error =
            StoreError::WrongEpoch { lsn: record.lsn, found: record.epoch, expected: state.epoch, at: state.lsn };
        return Err(error.into());
    }
    state.epoch = record.epoch;
    Ok(())
}
