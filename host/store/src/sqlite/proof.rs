//! Compares rows with digests and repairs what was changed behind the store's back.

use std::collections::BTreeMap;

use onealert_core::{
    config::{Change, Table, canonical},
    replicate::{Digest, row_hash},
    time::Wall,
};
use rusqlite::Connection;
use serde_json::Value;

use crate::{
    change::{AuditEntry, Commit, Committed},
    db::Work,
    error::StoreError,
    scrub::{BUCKETS, BucketDigests, BucketRows, Repaired, ScrubReport, TableFault, bucket_of},
};

use super::{
    state::{self, State, plus},
    write,
};

/// Rows between two calls of the caller's pause.
const SCRUB_STEP: u64 = 500;

pub(super) fn scrub(tx: &Connection, place: &str, between: &mut dyn FnMut()) -> Work<ScrubReport> {
    let state = State::need(tx, place)?;
    let mut report = ScrubReport { position: state.position(), rows: 0, faults: Vec::new() };
    for table in Table::ALL {
        let mut fault =
            TableFault { table, committed: state.digest(table), found: Digest::default(), edited: Vec::new() };
        state::scan(tx, table, |key, row, stored| {
            let hash = row_hash(table, key, row);
            fault.found = plus(fault.found, hash);
            if hash != stored {
                fault.edited.push(key.to_owned());
            }
            report.rows += 1;
            if report.rows.is_multiple_of(SCRUB_STEP) {
                between();
            }
            Ok(())
        })?;
        if fault.found != fault.committed || !fault.edited.is_empty() {
            report.faults.push(fault);
        }
    }
    Ok(report)
}

pub(super) fn bucket_digests(tx: &Connection, place: &str, table: Table) -> Work<BucketDigests> {
    let position = State::need(tx, place)?.position();
    let mut digests = vec![Digest::default(); BUCKETS];
    state::scan(tx, table, |key, row, _| {
        let bucket = &mut digests[usize::from(bucket_of(key))];
        *bucket = plus(*bucket, row_hash(table, key, row));
        Ok(())
    })?;
    Ok(BucketDigests { table, position, digests })
}

pub(super) fn bucket_rows(tx: &Connection, place: &str, table: Table, bucket: u8) -> Work<BucketRows> {
    let position = State::need(tx, place)?.position();
    let rows = rows_of(tx, table, bucket)?.into_iter().map(|(key, (row, _))| (key, row)).collect();
    Ok(BucketRows { table, bucket, position, rows })
}

pub(super) fn repair(tx: &Connection, place: &str, good: &BucketRows) -> Work<Repaired> {
    let table = good.table;
    let mut state = State::need(tx, place)?;
    if (state.epoch, state.lsn) != (good.position.epoch, good.position.lsn) {
        let error = StoreError::NotThere {
            found: state.lsn,
            found_epoch: state.epoch,
            expected: good.position.lsn,
            expected_epoch: good.position.epoch,
        };
        return Err(error.into());
    }
    let mut ours = rows_of(tx, table, good.bucket)?;
    let mut keys = Vec::new();
    for (key, row) in &good.rows {
        if bucket_of(key) != good.bucket {
            let reason = format!("belongs to group {}, not to group {}", bucket_of(key), good.bucket);
            return Err(StoreError::BadRow { table, key: key.clone(), reason }.into());
        }
        let right = (row.clone(), row_hash(table, key, row));
        if ours.remove(key).as_ref() != Some(&right) {
            state::put(tx, "row", table, key, row, right.1)?;
            keys.push(key.clone());
        }
    }
    for key in ours.into_keys() {
        state::delete(tx, table, &key)?;
        keys.push(key);
    }
    keys.sort();
    let committed = good.position.digests.0.get(&table).copied().unwrap_or_default();
    state.digests.insert(table, committed);
    state.save(tx)?;
    Ok(Repaired { keys, agrees: sum(tx, table)? == committed })
}

pub(super) fn adopt(tx: &Connection, place: &str, at: Wall, table: Table, audit: &AuditEntry) -> Work<Committed> {
    let mut state = State::need(tx, place)?;
    let mut edited = Vec::new();
    state::scan(tx, table, |key, row, stored| {
        if row_hash(table, key, row) != stored {
            let value: Value = serde_json::from_str(row).map_err(|error| StoreError::BadRow {
                table,
                key: key.to_owned(),
                reason: format!("was edited into something that is not JSON: {error}"),
            })?;
            edited.push((key.to_owned(), canonical(&value)));
        }
        Ok(())
    })?;
    let mut done = Vec::new();
    for (key, row) in edited {
        state::put(tx, "row", table, &key, &row, row_hash(table, &key, &row))?;
        done.push((Change { table, key, row: Some(row) }, None));
    }
    for key in removed(tx, table)? {
        done.push((Change { table, key, row: None }, None));
    }
    state.digests.insert(table, sum(tx, table)?);
    state.save(tx)?;
    write::finish(tx, state, &Commit::new(at, Vec::new()).audited(audit.clone()), done)
}

/// Keys that the log says exist but that are not there. Rows older than the log's tail cannot be told this way: copies that
/// still have them find out by their digests.
fn removed(tx: &Connection, table: Table) -> Work<Vec<String>> {
    let name = table.name();
    let sql = format!(
        "SELECT key FROM log AS newest WHERE tbl = ?1 AND row IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM log WHERE tbl = ?1 AND key = newest.key AND lsn > newest.lsn)
           AND NOT EXISTS (SELECT 1 FROM row_{name} WHERE key = newest.key)
         ORDER BY key"
    );
    let mut statement = tx.prepare(&sql)?;
    let keys = statement.query_map([name], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(keys)
}

fn rows_of(tx: &Connection, table: Table, bucket: u8) -> Work<BTreeMap<String, state::Stored>> {
    let mut rows = BTreeMap::new();
    state::scan(tx, table, |key, row, hash| {
        if bucket_of(key) == bucket {
            rows.insert(key.to_owned(), (row.to_owned(), hash));
        }
        Ok(())
    })?;
    Ok(rows)
}

fn sum(tx: &Connection, table: Table) -> Work<Digest> {
    let mut sum = Digest::default();
    state::scan(tx, table, |key, row, _| {
        sum = plus(sum, row_hash(table, key, row));
        Ok(())
    })?;
    Ok(sum)
}
