//! Where the scenarios get their stores from, and what they write into them.

use std::collections::BTreeMap;

use onealert_core::{
    config::{Change, Setting, Table},
    ids::EpochId,
    replicate::{Digest, Digests, LogRecord, row_hash},
    time::Wall,
};
use onealert_store::{ConfigStore, Loaded, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

/// An implementation under test.
pub trait Bench {
    /// The store of that name; the same one when asked again after it was dropped.
    fn open(&self, name: &str) -> Box<dyn ConfigStore>;
    /// Runs a statement behind the store's back.
    fn by_hand(&self, name: &str, sql: &str);
    /// A folder for backups.
    fn folder(&self) -> &std::path::Path;
    /// Opens a backup.
    fn open_backup(&self, path: &std::path::Path) -> Box<dyn ConfigStore>;
}

pub struct Sqlite {
    folder: TempDir,
}

impl Sqlite {
    pub fn new() -> Sqlite {
        Sqlite { folder: tempfile::tempdir().expect("a folder for the test") }
    }
}

impl Bench for Sqlite {
    fn open(&self, name: &str) -> Box<dyn ConfigStore> {
        Box::new(SqliteStore::open(&self.folder.path().join(name)).expect("the store opens"))
    }
    fn by_hand(&self, name: &str, sql: &str) {
        let file = Connection::open(self.folder.path().join(name)).expect("the file opens");
        file.execute_batch(sql).expect("the hand edit runs");
    }
    fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
    fn open_backup(&self, path: &std::path::Path) -> Box<dyn ConfigStore> {
        Box::new(SqliteStore::open(path).expect("the backup opens"))
    }
}

pub const FIRST: EpochId = EpochId(0xA);
pub const SECOND: EpochId = EpochId(0xB);
pub const NOW: Wall = Wall(1_800_000_000_000);

/// A primary with its first generation.
pub fn primary(bench: &dyn Bench) -> Box<dyn ConfigStore> {
    let store = bench.open("primary");
    store.install(FIRST).expect("an empty store can be installed");
    store
}

pub fn setting(name: &str, value: &str) -> Change {
    Change::put(Table::Settings, name, &Setting { name: name.to_owned(), value: value.into() })
}

/// A secondary that has taken a snapshot of `from`.
pub fn joined(bench: &dyn Bench, name: &str, from: &dyn ConfigStore) -> Box<dyn ConfigStore> {
    let store = bench.open(name);
    transfer(from, &*store);
    store
}

/// Carries a whole snapshot over.
pub fn transfer(from: &dyn ConfigStore, to: &dyn ConfigStore) {
    let mut reader = from.snapshot().expect("a snapshot can be read");
    let cursor = to.stage_begin(reader.header()).expect("it can be received");
    reader.seek(cursor);
    while let Some(chunk) = reader.next_chunk().expect("it goes on") {
        to.stage_chunk(&chunk).expect("the piece fits");
    }
    let swapped = to.stage_finish().expect("the digests fit");
    assert_eq!(&swapped.position, &reader.header().position);
}

pub fn loaded(store: &dyn ConfigStore) -> Loaded {
    store.load().expect("it can be read").expect("it holds a configuration")
}

/// The digests that these rows give, computed here and not by the store.
pub fn digests_of(rows: &[(Table, String, String)]) -> Digests {
    let mut digests = BTreeMap::new();
    for (table, key, row) in rows {
        let sum: &mut Digest = digests.entry(*table).or_default();
        sum.0 = sum.0.wrapping_add(row_hash(*table, key, row).0);
    }
    Digests(digests)
}

/// The rows that these records leave.
pub fn replay(records: &[LogRecord]) -> Vec<(Table, String, String)> {
    let mut rows = BTreeMap::new();
    for record in records {
        let key = (record.change.table, record.change.key.clone());
        match &record.change.row {
            Some(row) => rows.insert(key, row.clone()),
            None => rows.remove(&key),
        };
    }
    rows.into_iter().map(|((table, key), row)| (table, key, row)).collect()
}
