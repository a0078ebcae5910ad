//! A configuration database in memory, for runs by the thousand: the same port as the real one, and one of its rules in each
//! method. `tests/stores.rs` holds it against the real one.

mod pieces;
mod port;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use onealert_core::{
    config::Table,
    ids::EpochId,
    replicate::{Digest, Digests, Epoch, LogRecord, Position, row_hash},
};
use onealert_store::{
    Result, StoreError,
    snapshot::{Cursor, SnapshotHeader},
};

const PLACE: &str = "memory";

type Rows = BTreeMap<(Table, String), (String, Digest)>;

/// What is in the database. A copy of it is a backup.
#[derive(Debug, Clone, Default)]
pub struct Content {
    live: Option<Live>,
    staging: Option<Staging>,
}

#[derive(Debug, Clone)]
struct Live {
    position: Position,
    tail: u64,
    rows: Rows,
    epochs: Vec<Epoch>,
    log: Vec<LogRecord>,
    digests_at: BTreeMap<u64, Digests>,
}

#[derive(Debug, Clone)]
struct Staging {
    header: SnapshotHeader,
    cursor: Cursor,
    complete: bool,
    rows: Rows,
}

/// The database.
#[derive(Debug, Default)]
pub struct MemoryStore {
    content: Mutex<Content>,
    /// A fault put in on purpose: rows are written one by one, and nothing takes them back.
    pub forgets_transactions: bool,
    /// A fault put in on purpose: records are taken in any order.
    pub takes_any_order: bool,
}

impl MemoryStore {
    /// A database with what a backup holds.
    pub fn of(content: Content) -> MemoryStore {
        MemoryStore { content: Mutex::new(content), ..MemoryStore::default() }
    }

    /// A copy of everything.
    pub fn content(&self) -> Content {
        self.lock().clone()
    }

    /// Changes a row's text and nothing else, as somebody does who opens the database with a tool.
    pub fn edit(&self, table: Table, key: &str, text: &str) -> bool {
        let mut content = self.lock();
        let row = content.live.as_mut().and_then(|live| live.rows.get_mut(&(table, key.to_owned())));
        row.map(|row| row.0 = text.to_owned()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("no panic while the content is held")
    }

    /// Does something to the live tables; all of it happens, or nothing.
    fn write<T>(&self, work: impl FnOnce(&mut Live) -> Result<T>) -> Result<T> {
        let mut content = self.lock();
        let mut live = content.live.clone().ok_or_else(empty)?;
        let done = work(&mut live);
        if done.is_ok() || self.forgets_transactions {
            content.live = Some(live);
        }
        done
    }

    fn read<T>(&self, look: impl FnOnce(&Live) -> Result<T>) -> Result<T> {
        look(self.lock().live.as_ref().ok_or_else(empty)?)
    }
}

fn empty() -> StoreError {
    StoreError::Empty { place: PLACE.to_owned() }
}

impl Live {
    fn put(&mut self, table: Table, key: &str, row: Option<&str>) {
        let place = (table, key.to_owned());
        let mut digest = self.position.digests.of(table).0;
        if let Some((_, hash)) = self.rows.remove(&place) {
            digest = digest.wrapping_sub(hash.0);
        }
        if let Some(text) = row {
            let hash = row_hash(table, key, text);
            digest = digest.wrapping_add(hash.0);
            self.rows.insert(place, (text.to_owned(), hash));
        }
        self.set_digest(table, Digest(digest));
    }

    fn set_digest(&mut self, table: Table, digest: Digest) {
        let digests = &mut self.position.digests.0;
        if digest == Digest::default() {
            digests.remove(&table)
        } else {
            digests.insert(table, digest)
        };
    }

    fn ends(&mut self) {
        self.digests_at.insert(self.position.lsn, self.position.digests.clone());
    }

    /// Whether a copy here may go on in `to`: every generation in between began exactly here.
    fn continues(&self, to: EpochId) -> bool {
        let line = ancestry(&self.epochs, to);
        let Some(place) = line.iter().position(|epoch| epoch.id == self.position.epoch) else { return false };
        line[place + 1..].iter().all(|epoch| epoch.fork == self.position.lsn)
    }

    fn sum(&self, table: Table) -> Digest {
        let rows = self.rows.iter().filter(|((of, _), _)| *of == table);
        Digest(rows.fold(0, |sum, ((table, key), (row, _))| sum.wrapping_add(row_hash(*table, key, row).0)))
    }

    fn compare(&self, expected: &Position) -> Result<()> {
        let Position { epoch, lsn, digests } = &self.position;
        if (*epoch, *lsn) != (expected.epoch, expected.lsn) {
            let (found, found_epoch) = (*lsn, *epoch);
            let (expected, expected_epoch) = (expected.lsn, expected.epoch);
            return Err(StoreError::NotThere { found, found_epoch, expected, expected_epoch });
        }
        match digests.differing(&expected.digests).first().copied() {
            None => Ok(()),
            Some(table) => {
                let (found, expected) = (digests.of(table), expected.digests.of(table));
                Err(StoreError::DigestDiffers { table, found, expected, lsn: *lsn })
            }
        }
    }
}

fn ancestry(epochs: &[Epoch], of: EpochId) -> Vec<Epoch> {
    let mut line: Vec<Epoch> = Vec::new();
    let mut next = Some(of);
    while let Some(found) = next.and_then(|id| epochs.iter().find(|epoch| epoch.id == id)) {
        line.push(*found);
        next = found.parent;
    }
    line.reverse();
    line
}

fn learn(known: &mut Vec<Epoch>, epochs: &[Epoch]) -> Result<()> {
    for epoch in epochs {
        match known.iter().find(|known| known.id == epoch.id) {
            None => known.push(*epoch),
            Some(known) if known == epoch => {}
            Some(_) => return Err(StoreError::EpochDiffers { epoch: epoch.id }),
        }
    }
    Ok(())
}
