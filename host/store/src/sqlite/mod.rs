//! The configuration in one SQLite file: the port's first implementation.
//!
//! Reading order: `schema`, then `state` (position, digests, rows), then what changes them: `write`, `log`, `staging`,
//! `proof`.

mod audit;
mod backup;
mod epochs;
mod log;
mod proof;
mod reader;
mod schema;
mod staging;
mod state;
mod write;

use std::path::Path;

use onealert_core::{
    config::Table,
    ids::EpochId,
    replicate::{Digests, Epoch, LogRecord, Position},
    time::Wall,
};

use crate::{
    change::{AuditEntry, AuditRow, Commit, Committed},
    db::Db,
    error::Result,
    log::{LogBounds, LogSlice, TrimRule},
    port::{ConfigStore, Loaded, Notes, Promoted},
    scrub::{BucketDigests, BucketRows, Repaired, ScrubReport},
    snapshot::{Chunk, Cursor, SnapshotHeader, SnapshotReader, Swapped},
};

/// The form of the configuration database that this program writes; servers of different forms do not synchronise.
pub const SCHEMA: u32 = schema::FORMS;

/// The configuration in a SQLite file.
pub struct SqliteStore {
    db: Db,
}

impl SqliteStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// The file cannot be opened, is not a database, or was written by a later version.
    pub fn open(path: &Path) -> Result<SqliteStore> {
        let db = Db::open(path, &schema::migrations())?;
        db.reserve_log();
        Ok(SqliteStore { db })
    }

    /// Puts the configuration of a backup where there is none yet, and gives the notes that it carries.
    ///
    /// # Errors
    /// The file is not a whole backup, `to` exists, or it cannot be written.
    pub fn restore(backup: &Path, to: &Path) -> Result<Notes> {
        backup::restore(backup, to)
    }
}

impl ConfigStore for SqliteStore {
    fn place(&self) -> String {
        self.db.place()
    }
    fn load(&self) -> Result<Option<Loaded>> {
        self.db.read("load the configuration", state::load_all)
    }
    fn position(&self) -> Result<Option<Position>> {
        self.db.read("read the position", |tx| Ok(state::State::load(tx)?.map(|state| state.position())))
    }
    fn epochs(&self) -> Result<Vec<Epoch>> {
        self.db.read("read the epochs", |tx| match state::State::load(tx)? {
            Some(state) => epochs::ancestry(tx, state.epoch),
            None => Ok(Vec::new()),
        })
    }
    fn install(&self, epoch: EpochId) -> Result<Position> {
        let place = self.place();
        self.db.write("install", |tx| epochs::install(tx, &place, epoch))
    }
    fn promote(&self, epoch: EpochId, commit: &Commit) -> Result<Promoted> {
        write::check(&commit.changes)?;
        let place = self.place();
        self.db.write("start an epoch", |tx| {
            let epoch = epochs::promote(tx, &place, epoch)?;
            Ok(Promoted { epoch, committed: write::commit(tx, &place, commit)? })
        })
    }
    fn learn_epochs(&self, epochs: &[Epoch]) -> Result<()> {
        self.db.write("remember epochs", |tx| epochs::learn(tx, epochs))
    }
    fn commit(&self, commit: &Commit) -> Result<Committed> {
        write::check(&commit.changes)?;
        let place = self.place();
        self.db.write("commit a configuration change", |tx| write::commit(tx, &place, commit))
    }
    fn apply(&self, at: Wall, records: &[LogRecord], expected: Option<&Position>) -> Result<Position> {
        let place = self.place();
        self.db.write("apply configuration records", |tx| write::apply(tx, &place, at, records, expected))
    }
    fn log_after(&self, lsn: u64, max_bytes: usize) -> Result<LogSlice> {
        let place = self.place();
        self.db.read("read the change log", |tx| log::after(tx, &place, lsn, max_bytes))
    }
    fn log_bounds(&self) -> Result<LogBounds> {
        let place = self.place();
        self.db.read("read the change log", |tx| Ok(state::State::need(tx, &place)?.bounds()))
    }
    fn digests_at(&self, lsn: u64) -> Result<Option<Digests>> {
        self.db.read("read the change log", |tx| log::digests_at(tx, lsn))
    }
    fn trim(&self, rule: &TrimRule) -> Result<LogBounds> {
        let place = self.place();
        self.db.write("trim the change log", |tx| log::trim(tx, &place, rule))
    }
    fn snapshot(&self) -> Result<Box<dyn SnapshotReader>> {
        Ok(Box::new(reader::Reader::open(&self.db)?))
    }
    fn stage_begin(&self, header: &SnapshotHeader) -> Result<Cursor> {
        self.db.write_relaxed("begin to receive a snapshot", |tx| staging::begin(tx, header))
    }
    fn stage_chunk(&self, chunk: &Chunk) -> Result<Cursor> {
        self.db.write_relaxed("receive a snapshot", |tx| staging::chunk(tx, chunk))
    }
    fn stage_finish(&self) -> Result<Swapped> {
        // The inner result is an answer, not a failed transaction: dropping what was received must itself be committed.
        self.db.write("put a snapshot in place", staging::finish)?
    }
    fn stage_drop(&self) -> Result<()> {
        self.db.write_relaxed("drop a snapshot", staging::clear)
    }
    fn scrub(&self, between: &mut dyn FnMut()) -> Result<ScrubReport> {
        let place = self.place();
        self.db.read("check rows against digests", |tx| proof::scrub(tx, &place, between))
    }
    fn bucket_digests(&self, table: Table) -> Result<BucketDigests> {
        let place = self.place();
        self.db.read("compute digests", |tx| proof::bucket_digests(tx, &place, table))
    }
    fn bucket_rows(&self, table: Table, bucket: u8) -> Result<BucketRows> {
        let place = self.place();
        self.db.read("read rows for a repair", |tx| proof::bucket_rows(tx, &place, table, bucket))
    }
    fn repair(&self, rows: &BucketRows) -> Result<Repaired> {
        let place = self.place();
        self.db.write("repair rows", |tx| proof::repair(tx, &place, rows))
    }
    fn adopt(&self, at: Wall, table: Table, audit: &AuditEntry) -> Result<Committed> {
        let place = self.place();
        self.db.write("adopt rows", |tx| proof::adopt(tx, &place, at, table, audit))
    }
    fn audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditRow>> {
        self.db.read("read the audit log", |tx| audit::page(tx, before, limit))
    }
    fn audit_broken(&self) -> Result<Option<u64>> {
        self.db.read("check the audit log", audit::broken)
    }
    fn backup(&self, path: &Path, notes: &Notes) -> Result<()> {
        backup::write(&self.db, path, notes)
    }
}

#[cfg(test)]
mod tests {
    use onealert_core::config::Change;

    use super::*;
    use crate::error::{Fault, StoreError};

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file_and_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("config.db")).expect("opens");
        store.install(EpochId(1)).expect("installs");
        store.db.fill_up();
        let row = |text: String| Change { table: Table::Settings, key: "a".into(), row: Some(format!("\"{text}\"")) };
        let before = store.load().expect("readable");
        let error = store.commit(&Commit::new(Wall(0), vec![row("x".repeat(1 << 20))])).expect_err("it does not fit");
        assert!(matches!(error, StoreError::Database { kind: Fault::Full, .. }), "{error:?}");
        assert!(error.to_string().contains("config.db"), "{error}");
        assert_eq!(store.load().expect("readable"), before);
        store.commit(&Commit::new(Wall(0), vec![row("small".into())])).expect("what fits is still taken");
    }
}
