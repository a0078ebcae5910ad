//! One SQLite file: opened the way every store here wants it, one connection that writes, some that read, and the file's
//! name in every error.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::error::{Fault, Result, StoreError};

/// Idle read connections that are kept.
const IDLE_READERS: usize = 4;
/// The log file's length up to which a commit only writes over what is there. More than SQLite lets it grow before it
/// begins at its front again (1,000 pages), so that the file does not grow in normal work.
const RESERVED: u64 = 4_608 * 1024;
/// How long a statement waits for another process (a backup tool, an operator's shell) that holds the file.
const BUSY: Duration = Duration::from_secs(5);

/// An open file.
pub(crate) struct Db {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    /// Closes last, and may only read: so the log and its index stay where they are when the file is closed in good order, as they
    /// do after a kill. Without them a start would have to find room for both, and a full disk has none.
    _keeper: Mutex<Connection>,
}

/// What goes wrong inside a transaction, before the file's name is added.
pub(crate) enum Problem {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Problem {
        Problem::Sql(error)
    }
}
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        Problem::Store(error)
    }
}

/// The result of work inside a transaction.
pub(crate) type Work<T> = Result<T, Problem>;

impl Db {
    /// Opens or makes the file and brings it to the form that the last of `migrations` leaves.
    pub(crate) fn open(path: &Path, migrations: &[String]) -> Result<Db> {
        let place = path.display().to_string();
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
            .map_err(|error| database(&place, "open", error))?;
        let configure = |connection: &Connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // A commit that was reported is on the disk: peers and callers are told that it survives a power cut.
            connection.pragma_update(None, "synchronous", "FULL")
        };
        configure(&writer).map_err(|error| database(&place, "open", error))?;
        migrate(&mut writer, &place, migrations)?;
        let keeper = || -> rusqlite::Result<Connection> {
            let keeper = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            // It holds the log from its first look at it on.
            keeper.pragma_query_value(None, "schema_version", |_| Ok(()))?;
            Ok(keeper)
        };
        let keeper = Mutex::new(keeper().map_err(|error| database(&place, "open for reading", error))?);
        let (writer, readers) = (Mutex::new(writer), Mutex::new(Vec::new()));
        Ok(Db { path: path.to_owned(), writer, readers, _keeper: keeper })
    }

    /// The file, for messages.
    pub(crate) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// Gives the write-ahead log the length that it works with. A commit that makes the file longer has the file system write
    /// its own journal too, and wait for whatever else is in there: a stall of tens of milliseconds now and then, for which an
    /// alarm would wait. It also keeps that room on a disk that fills up. To be called before anything else writes.
    pub(crate) fn reserve_log(&self) {
        let reserve = || -> io::Result<()> {
            let mut log = OpenOptions::new().write(true).open(self.log())?;
            let length = log.seek(SeekFrom::End(0))?;
            // What stands after the last frame is no frame to SQLite: its numbers do not match the log's.
            log.write_all(&vec![0; RESERVED.saturating_sub(length) as usize])?;
            log.sync_all()
        };
        if let Err(error) = reserve() {
            tracing::warn!(file = %self.log().display(), %error, "no room is kept for the log; commits may take longer");
        }
    }

    /// Makes durable what [`Db::write_relaxed`] has written.
    pub(crate) fn sync(&self) -> Result<()> {
        let synced = File::open(self.log()).and_then(|log| log.sync_data());
        synced.map_err(|source| StoreError::File { place: self.place(), doing: "sync", source })
    }

    /// Moves what the log holds into the file. Readers are not waited for: what they need stays in the log.
    pub(crate) fn empty_log(&self) -> Result<()> {
        let moved = self.writer().query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        moved.map_err(|error| self.error("empty the log", error))
    }

    fn log(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push("-wal");
        PathBuf::from(name)
    }

    /// Runs `work` in one transaction that is durable when this returns, or undone when `work` fails.
    pub(crate) fn write<T>(&self, doing: &'static str, work: impl FnOnce(&Connection) -> Work<T>) -> Result<T> {
        self.transact(&mut self.writer(), doing, work)
    }

    /// Like [`Db::write`], for work that a power cut may undo until [`Db::sync`], or the next [`Db::write`], because it can
    /// be asked for again.
    pub(crate) fn write_relaxed<T>(&self, doing: &'static str, work: impl FnOnce(&Connection) -> Work<T>) -> Result<T> {
        let mut writer = self.writer();
        let level = |writer: &Connection, level: &str| {
            writer.pragma_update(None, "synchronous", level).map_err(|error| self.error(doing, error))
        };
        level(&writer, "NORMAL")?;
        let result = self.transact(&mut writer, doing, work);
        level(&writer, "FULL")?;
        result
    }

    /// Runs `work` in one read transaction: all that it reads is of one moment.
    pub(crate) fn read<T>(&self, doing: &'static str, work: impl FnOnce(&Connection) -> Work<T>) -> Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => self.reader()?,
        };
        let result = reader
            .transaction()
            .map_err(Problem::from)
            .and_then(|transaction| work(&transaction))
            .map_err(|problem| self.problem(doing, problem));
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if result.is_ok() && readers.len() < IDLE_READERS {
            readers.push(reader);
        }
        result
    }

    /// A read connection for the caller alone.
    pub(crate) fn reader(&self) -> Result<Connection> {
        connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| self.error("open for reading", error))
    }

    /// Adds the file's name to what the database said.
    pub(crate) fn error(&self, doing: &'static str, error: rusqlite::Error) -> StoreError {
        database(&self.place(), doing, error)
    }

    /// Adds the file's name to what went wrong inside a transaction.
    pub(crate) fn problem(&self, doing: &'static str, problem: Problem) -> StoreError {
        match problem {
            Problem::Sql(error) => self.error(doing, error),
            Problem::Store(error) => error,
        }
    }

    /// Lets the file grow by no more than a few pages, as a full disk would.
    #[cfg(test)]
    pub(crate) fn fill_up(&self) {
        let writer = self.writer();
        let pages: i64 = writer.pragma_query_value(None, "page_count", |row| row.get(0)).expect("a number");
        writer.pragma_update(None, "max_page_count", pages + 4).expect("a limit may be set");
    }

    // A panic while the lock was held rolled its transaction back: the connection is as good as before.
    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn transact<T>(
        &self,
        writer: &mut Connection,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Work<T>,
    ) -> Result<T> {
        let run = || -> Work<T> {
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|problem| self.problem(doing, problem))
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        // What copies the file alone finds everything in it.
        if let Err(error) = self.empty_log() {
            tracing::debug!(%error, "the next start finds the rest in the log");
        }
    }
}

/// The error of a database operation on `place`.
pub(crate) fn database(place: &str, doing: &'static str, error: rusqlite::Error) -> StoreError {
    // How SQLite says that there is no room for the index of a log.
    let no_index = error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    let kind = match error.sqlite_error_code() {
        _ if no_index => Fault::Full,
        Some(ErrorCode::DiskFull) => Fault::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Fault::Corrupt,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Fault::Busy,
        _ => Fault::Other,
    };
    StoreError::Database { place: place.to_owned(), doing, kind, source: Box::new(error) }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Each migration and the form number that it leaves are committed together, so that a kill in between repeats nothing.
fn migrate(connection: &mut Connection, place: &str, migrations: &[String]) -> Result<()> {
    let known = u32::try_from(migrations.len()).expect("a handful of migrations");
    let mut work = || -> rusqlite::Result<u32> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        for (form, sql) in (1..).zip(migrations).skip(found as usize) {
            transaction.execute_batch(sql)?;
            transaction.pragma_update(None, "user_version", form)?;
        }
        transaction.commit()?;
        Ok(found)
    };
    let found = work().map_err(|error| database(place, "bring to the current form", error))?;
    if found > known {
        return Err(StoreError::TooNew { place: place.to_owned(), found, known });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Vec<String> {
        vec![String::from("CREATE TABLE numbers (n INTEGER PRIMARY KEY) STRICT;")]
    }

    #[test]
    fn a_file_of_a_later_version_is_refused_by_name_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.db");
        let later = [numbers(), vec![String::from("CREATE TABLE more (n INTEGER) STRICT;")]].concat();
        drop(Db::open(&path, &later).expect("opens"));
        let error =
            Db::open(&path, &numbers()).err().expect("an older program must not write a newer form").to_string();
        assert!(error.contains("config.db") && error.contains("form 2") && error.contains("up to 1"), "{error}");
        Db::open(&path, &later).expect("the newer program still opens it");
    }

    #[test]
    fn commits_write_over_the_reserved_log_and_a_kill_finds_them_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("n.db");
        let db = Db::open(&path, &numbers()).expect("opens");
        db.reserve_log();
        let length = || std::fs::metadata(db.log()).expect("a log").len();
        assert_eq!(length(), RESERVED);
        for n in 0..300 {
            let insert = |tx: &Connection| Ok(tx.execute("INSERT INTO numbers VALUES (?1)", [n])?);
            if n % 2 == 0 { db.write("count", insert) } else { db.write_relaxed("count", insert) }.expect("works");
        }
        db.sync().expect("the log is there");
        assert_eq!(length(), RESERVED, "the file system need not find room");
        // As a kill leaves them: with a log that ends in nothing.
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).expect("copies");
        std::fs::copy(db.log(), folder.path().join("copy.db-wal")).expect("copies");
        let copy = Db::open(&copy, &numbers()).expect("opens");
        let count = |db: &Db| -> i64 {
            let ask = |tx: &Connection| Ok(tx.query_row("SELECT COUNT(*) FROM numbers", [], |row| row.get(0))?);
            db.read("count", ask).expect("reads")
        };
        assert_eq!(count(&copy), 300);
        db.empty_log().expect("works");
        db.write("count", |tx| Ok(tx.execute("INSERT INTO numbers VALUES (300)", [])?)).expect("works");
        assert_eq!((count(&db), length()), (301, RESERVED));
    }

    #[test]
    fn a_file_that_was_closed_in_good_order_keeps_the_room_of_its_log_and_is_whole_without_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("n.db");
        let db = Db::open(&path, &numbers()).expect("opens");
        db.reserve_log();
        db.write("count", |tx| Ok(tx.execute("INSERT INTO numbers VALUES (7)", [])?)).expect("works");
        let count = |db: &Db| -> i64 {
            db.read("count", |tx| Ok(tx.query_row("SELECT COUNT(*) FROM numbers", [], |row| row.get(0))?))
                .expect("reads")
        };
        assert_eq!(count(&db), 1);
        let log = db.log();
        drop(db);
        assert_eq!(std::fs::metadata(log).expect("it stays").len(), RESERVED);
        assert!(folder.path().join("n.db-shm").exists(), "so does its index");
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).expect("copies");
        assert_eq!(count(&Db::open(&copy, &numbers()).expect("opens")), 1, "everything is in the file itself");
        assert_eq!(count(&Db::open(&path, &numbers()).expect("opens again")), 1);
    }

    #[test]
    fn failed_work_leaves_nothing_and_the_next_work_succeeds() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("n.db"), &numbers()).expect("opens");
        let insert = |tx: &Connection, n: i64| tx.execute("INSERT INTO numbers VALUES (?1)", [n]);
        let failed: Result<()> = db.write("count", |tx| {
            insert(tx, 1)?;
            insert(tx, 1)?;
            Ok(())
        });
        assert!(failed.expect_err("one number twice").to_string().contains("n.db: count"));
        db.write("count", |tx| Ok(insert(tx, 2)?)).expect("works");
        let sum: i64 =
            db.read("sum", |tx| Ok(tx.query_row("SELECT SUM(n) FROM numbers", [], |row| row.get(0))?)).expect("reads");
        assert_eq!(sum, 2);
    }

    #[test]
    fn a_panic_in_a_write_undoes_it_and_does_not_lock_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("n.db"), &numbers()).expect("opens");
        let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            db.write("count", |tx| -> Work<()> {
                tx.execute("INSERT INTO numbers VALUES (1)", [])?;
                panic!("the fault under test")
            })
        }));
        assert!(attempt.is_err());
        let count: i64 = db
            .write("count", |tx| Ok(tx.query_row("SELECT COUNT(*) FROM numbers", [], |row| row.get(0))?))
            .expect("free");
        assert_eq!(count, 0);
    }
}
