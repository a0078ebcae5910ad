//! The port: one rule of the real store in each method.

use std::{collections::BTreeMap, path::Path};

use onealert_core::{
    config::Table,
    ids::EpochId,
    replicate::{Digest, Digests, Epoch, LogRecord, Position, row_hash},
    time::Wall,
};
use onealert_store::{
    ConfigStore, Loaded, Notes, Promoted, Result, StoreError,
    change::{AuditEntry, AuditRow, Commit, Committed},
    log::{LogBounds, LogSlice, TrimRule},
    scrub::{BUCKETS, BucketDigests, BucketRows, Repaired, ScrubReport, TableFault, bucket_of},
    snapshot::{Chunk, Cursor, SnapshotHeader, SnapshotReader, Swapped},
};

use super::{Live, MemoryStore, PLACE, Rows, Staging, ancestry, empty, learn, pieces::Reader};

impl ConfigStore for MemoryStore {
    fn place(&self) -> String {
        PLACE.to_owned()
    }

    fn load(&self) -> Result<Option<Loaded>> {
        let content = self.lock();
        Ok(content.live.as_ref().map(|live| Loaded {
            rows: live.rows.iter().map(|((table, key), (row, _))| (*table, key.clone(), row.clone())).collect(),
            position: live.position.clone(),
            epochs: ancestry(&live.epochs, live.position.epoch),
        }))
    }

    fn position(&self) -> Result<Option<Position>> {
        Ok(self.lock().live.as_ref().map(|live| live.position.clone()))
    }

    fn epochs(&self) -> Result<Vec<Epoch>> {
        let content = self.lock();
        Ok(content.live.as_ref().map(|live| ancestry(&live.epochs, live.position.epoch)).unwrap_or_default())
    }

    fn install(&self, epoch: EpochId) -> Result<Position> {
        let position = Position { epoch, lsn: 0, digests: Digests::default() };
        let mut live = Live {
            position: position.clone(),
            tail: 0,
            rows: Rows::new(),
            epochs: vec![Epoch { id: epoch, parent: None, fork: 0 }],
            log: Vec::new(),
            digests_at: BTreeMap::new(),
        };
        live.ends();
        let mut content = self.lock();
        match &content.live {
            None => content.live = Some(live),
            Some(Live { position: Position { epoch, lsn, .. }, .. }) => {
                return Err(StoreError::NotEmpty { place: PLACE.to_owned(), epoch: *epoch, lsn: *lsn });
            }
        }
        Ok(position)
    }

    fn promote(&self, epoch: EpochId, commit: &Commit) -> Result<Promoted> {
        self.write(|live| {
            let begun = Epoch { id: epoch, parent: Some(live.position.epoch), fork: live.position.lsn };
            learn(&mut live.epochs, &[begun])?;
            live.position.epoch = epoch;
            Ok(Promoted { epoch: begun, committed: write_rows(live, commit) })
        })
    }

    fn learn_epochs(&self, epochs: &[Epoch]) -> Result<()> {
        self.write(|live| learn(&mut live.epochs, epochs))
    }

    fn commit(&self, commit: &Commit) -> Result<Committed> {
        self.write(|live| Ok(write_rows(live, commit)))
    }

    fn apply(&self, _: Wall, records: &[LogRecord], expected: Option<&Position>) -> Result<Position> {
        let any_order = self.takes_any_order;
        self.write(|live| {
            let mut end = live.position.lsn;
            for record in records {
                let next = live.position.lsn + 1;
                if record.lsn != next && !any_order {
                    return Err(StoreError::Gap { expected: next, found: record.lsn });
                }
                if live.position.lsn == end {
                    end = record.tx;
                }
                if (record.tx != end || end < record.lsn) && !any_order {
                    return Err(StoreError::PartTransaction { tx: end, last: live.position.lsn });
                }
                if record.epoch != live.position.epoch {
                    if !live.continues(record.epoch) {
                        let (found, expected, at) = (record.epoch, live.position.epoch, live.position.lsn);
                        return Err(StoreError::WrongEpoch { lsn: record.lsn, found, expected, at });
                    }
                    live.position.epoch = record.epoch;
                }
                live.put(record.change.table, &record.change.key, record.change.row.as_deref());
                live.log.push(record.clone());
                live.position.lsn = live.position.lsn.max(record.lsn);
                if live.position.lsn == end {
                    live.ends();
                }
            }
            if live.position.lsn != end && !any_order {
                return Err(StoreError::PartTransaction { tx: end, last: live.position.lsn });
            }
            if let Some(expected) = expected {
                if expected.epoch != live.position.epoch && live.continues(expected.epoch) {
                    live.position.epoch = expected.epoch;
                }
                live.compare(expected)?;
            }
            live.ends();
            Ok(live.position.clone())
        })
    }

    fn log_after(&self, lsn: u64, _: usize) -> Result<LogSlice> {
        self.read(|live| {
            let head = live.position.lsn;
            if lsn < live.tail || lsn > head {
                return Err(StoreError::NotInLog { asked: lsn, tail: live.tail, head });
            }
            Ok(LogSlice { records: live.log.iter().filter(|record| record.lsn > lsn).cloned().collect(), head })
        })
    }

    fn log_bounds(&self) -> Result<LogBounds> {
        self.read(|live| Ok(LogBounds { tail: live.tail, head: live.position.lsn }))
    }

    fn digests_at(&self, lsn: u64) -> Result<Option<Digests>> {
        self.read(|live| Ok(live.digests_at.get(&lsn).cloned()))
    }

    fn trim(&self, rule: &TrimRule) -> Result<LogBounds> {
        self.write(|live| {
            let spare = live.position.lsn.saturating_sub(rule.keep);
            let wanted = rule.acknowledged.map_or(spare, |lsn| lsn.min(spare));
            let tail = live.digests_at.range(..=wanted).next_back().map_or(0, |(lsn, _)| *lsn);
            if tail > live.tail {
                live.tail = tail;
                live.log.retain(|record| record.lsn > tail);
                live.digests_at.retain(|lsn, _| *lsn >= tail);
            }
            Ok(LogBounds { tail: live.tail, head: live.position.lsn })
        })
    }

    fn snapshot(&self) -> Result<Box<dyn SnapshotReader>> {
        let loaded = self.load()?.ok_or_else(empty)?;
        let (position, epochs) = (loaded.position, loaded.epochs);
        let remembered = |live: &Live| live.digests_at.iter().map(|(lsn, digests)| (*lsn, digests.sum())).collect();
        let trail = self.read(|live| Ok(remembered(live)))?;
        let header = SnapshotHeader { position, epochs, rows: loaded.rows.len() as u64, trail };
        Ok(Box::new(Reader::new(header, loaded.rows)))
    }

    fn stage_begin(&self, header: &SnapshotHeader) -> Result<Cursor> {
        let mut content = self.lock();
        let staging = content.staging.take().filter(|staging| staging.header == *header);
        let staging = staging.unwrap_or_else(|| Staging {
            header: header.clone(),
            cursor: Cursor::default(),
            complete: false,
            rows: Rows::new(),
        });
        Ok(content.staging.insert(staging).cursor.clone())
    }

    fn stage_chunk(&self, chunk: &Chunk) -> Result<Cursor> {
        let mut content = self.lock();
        let staging = content.staging.as_mut().ok_or(StoreError::NoSnapshot)?;
        if chunk.number != staging.cursor.next {
            return Err(StoreError::WrongChunk { expected: staging.cursor.next, found: chunk.number });
        }
        for (table, key, row) in &chunk.rows {
            staging.rows.insert((*table, key.clone()), (row.clone(), row_hash(*table, key, row)));
            staging.cursor.after = Some((*table, key.clone()));
        }
        staging.cursor.next += 1;
        staging.complete = chunk.last;
        Ok(staging.cursor.clone())
    }

    fn stage_finish(&self) -> Result<Swapped> {
        let mut content = self.lock();
        let Staging { header, cursor, complete, rows } = content.staging.clone().ok_or(StoreError::NoSnapshot)?;
        if !complete {
            return Err(StoreError::WrongChunk { expected: cursor.next, found: cursor.next });
        }
        let announced = header.position;
        let position = Position { digests: Digests::default(), ..announced.clone() };
        let (tail, log, digests_at) = (position.lsn, Vec::new(), BTreeMap::new());
        let mut next = Live { position, tail, rows, epochs: header.epochs, log, digests_at };
        for table in Table::ALL {
            next.set_digest(table, next.sum(table));
        }
        content.staging = None;
        next.compare(&announced)?;
        next.ends();
        let before = content.live.as_ref().map(|live| live.position.clone());
        content.live = Some(next);
        Ok(Swapped { position: announced, before })
    }

    fn stage_drop(&self) -> Result<()> {
        self.lock().staging = None;
        Ok(())
    }

    fn scrub(&self, _: &mut dyn FnMut()) -> Result<ScrubReport> {
        self.read(|live| {
            let mut faults = Vec::new();
            for table in Table::ALL {
                let rows = live.rows.iter().filter(|((of, _), _)| *of == table);
                let edited: Vec<String> = rows
                    .filter(|((table, key), (row, hash))| row_hash(*table, key, row) != *hash)
                    .map(|((_, key), _)| key.clone())
                    .collect();
                let (committed, found) = (live.position.digests.of(table), live.sum(table));
                if found != committed || !edited.is_empty() {
                    faults.push(TableFault { table, committed, found, edited });
                }
            }
            Ok(ScrubReport { position: live.position.clone(), rows: live.rows.len() as u64, faults })
        })
    }

    fn bucket_digests(&self, table: Table) -> Result<BucketDigests> {
        self.read(|live| {
            let mut digests = vec![Digest::default(); BUCKETS];
            for ((of, key), (row, _)) in &live.rows {
                if *of == table {
                    let bucket = &mut digests[usize::from(bucket_of(key))];
                    *bucket = Digest(bucket.0.wrapping_add(row_hash(table, key, row).0));
                }
            }
            Ok(BucketDigests { table, position: live.position.clone(), digests })
        })
    }

    fn bucket_rows(&self, table: Table, bucket: u8) -> Result<BucketRows> {
        self.read(|live| {
            let rows = live.rows.iter().filter(|((of, key), _)| *of == table && bucket_of(key) == bucket);
            let rows = rows.map(|((_, key), (row, _))| (key.clone(), row.clone())).collect();
            Ok(BucketRows { table, bucket, position: live.position.clone(), rows })
        })
    }

    fn repair(&self, good: &BucketRows) -> Result<Repaired> {
        self.write(|live| {
            let Position { epoch, lsn, digests } = &good.position;
            if (live.position.epoch, live.position.lsn) != (*epoch, *lsn) {
                let (found, found_epoch) = (live.position.lsn, live.position.epoch);
                return Err(StoreError::NotThere { found, found_epoch, expected: *lsn, expected_epoch: *epoch });
            }
            let table = good.table;
            let mut keys = Vec::new();
            let right: BTreeMap<&String, &String> = good.rows.iter().map(|(key, row)| (key, row)).collect();
            live.rows.retain(|(of, key), _| {
                let goes = *of == table && bucket_of(key) == good.bucket && !right.contains_key(key);
                keys.extend(goes.then(|| key.clone()));
                !goes
            });
            for (key, row) in right {
                let stored = (row.clone(), row_hash(table, key, row));
                if live.rows.insert((table, key.clone()), stored.clone()).as_ref() != Some(&stored) {
                    keys.push(key.clone());
                }
            }
            live.set_digest(table, digests.of(table));
            live.ends();
            Ok(Repaired { keys, agrees: live.sum(table) == digests.of(table) })
        })
    }

    fn adopt(&self, at: Wall, table: Table, _: &AuditEntry) -> Result<Committed> {
        let changes = self.write(|live| {
            let mut changes = Vec::new();
            for ((of, key), (row, hash)) in &mut live.rows {
                let right = row_hash(*of, key, row);
                if *of == table && right != *hash {
                    changes.push(onealert_core::config::Change { table, key: key.clone(), row: Some(row.clone()) });
                    // What was committed goes, so that the row counts as changed.
                    row.clear();
                }
            }
            Ok(changes)
        })?;
        self.commit(&Commit::new(at, changes))
    }

    fn audit(&self, _: Option<u64>, _: usize) -> Result<Vec<AuditRow>> {
        // Nothing that happens in a run looks at audit lines.
        Ok(Vec::new())
    }

    fn audit_broken(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    fn backup(&self, path: &Path, _: &Notes) -> Result<()> {
        let source = std::io::Error::other("a database in memory is copied by its content");
        Err(StoreError::File { place: path.display().to_string(), doing: "back up", source })
    }
}

/// Writes what a commit changes, with its records.
fn write_rows(live: &mut Live, commit: &Commit) -> Committed {
    let changes = commit.changes.iter().filter(|change| {
        let before = live.rows.get(&(change.table, change.key.clone())).map(|(row, _)| row);
        before != change.row.as_ref()
    });
    let changes: Vec<_> = changes.cloned().collect();
    let last = live.position.lsn + changes.len() as u64;
    let mut records = Vec::new();
    for change in changes {
        live.put(change.table, &change.key, change.row.as_deref());
        live.position.lsn += 1;
        records.push(LogRecord { epoch: live.position.epoch, lsn: live.position.lsn, tx: last, change });
    }
    live.log.extend(records.iter().cloned());
    live.ends();
    Committed { position: live.position.clone(), records }
}
