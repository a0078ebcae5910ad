//! A checked copy of the configuration database under a name that only a whole copy ever bears.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rusqlite::{Connection, OpenFlags};

use crate::{
    db::{Db, database},
    error::{Result, StoreError},
    port::Notes,
};

/// The table of a backup that says where it was made. A configuration database in use has none.
const NOTES: &str = "backup_notes";

pub(super) fn write(db: &Db, path: &Path, notes: &Notes) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    // What a copy cut short by a power loss left behind.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file(&part, "remove", error)),
        _ => {}
    }
    let result = copy(db, &part, notes).and_then(|()| put_in_place(&part, path));
    if result.is_err() {
        // The first error is the one to report; a piece that stays is removed by the next backup.
        let _ = std::fs::remove_file(&part);
    }
    result
}

fn copy(db: &Db, part: &Path, notes: &Notes) -> Result<()> {
    let place = part.display().to_string();
    // It may hold the site's key: nobody else's from the first byte on. SQLite writes into an empty file that exists.
    let private = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
    private.map_err(|error| file(part, "make a backup", error))?;
    db.reader()?.execute("VACUUM INTO ?1", [&place]).map_err(|error| database(&place, "write a backup", error))?;
    note(part, notes).map_err(|error| database(&place, "write a backup", error))?;
    check(part)
}

fn note(part: &Path, notes: &Notes) -> rusqlite::Result<()> {
    let copy = Connection::open(part)?;
    copy.execute_batch(&format!("CREATE TABLE {NOTES} (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"))?;
    for (name, value) in notes {
        copy.execute(&format!("INSERT INTO {NOTES} (name, value) VALUES (?1, ?2)"), [name, value])?;
    }
    Ok(())
}

fn check(path: &Path) -> Result<()> {
    let place = path.display().to_string();
    let wrong = |error| database(&place, "check a backup", error);
    let copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(wrong)?;
    let verdict: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0)).map_err(wrong)?;
    if verdict != "ok" {
        return Err(StoreError::BadBackup { place, reason: verdict });
    }
    Ok(())
}

/// Copies a backup to where a configuration database is to be, without its notes, and gives them.
pub(super) fn restore(backup: &Path, to: &Path) -> Result<Notes> {
    let place = backup.display().to_string();
    let wrong = |error| database(&place, "read a backup", error);
    check(backup)?;
    let source = Connection::open_with_flags(backup, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(wrong)?;
    if !source.table_exists(None, NOTES).map_err(wrong)? {
        let reason = "it is not a backup: nothing says where it was made".to_owned();
        return Err(StoreError::BadBackup { place, reason });
    }
    let mut statement = source.prepare(&format!("SELECT name, value FROM {NOTES}")).map_err(wrong)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(wrong)?;
    let notes = rows.collect::<rusqlite::Result<Notes>>().map_err(wrong)?;
    if to.exists() {
        return Err(file(to, "restore a backup", std::io::ErrorKind::AlreadyExists.into()));
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = to.with_file_name(name);
    std::fs::copy(backup, &part).map_err(|error| file(&part, "restore a backup", error))?;
    let copy = Connection::open(&part).map_err(wrong)?;
    // The notes hold the site's key: a page that is only marked as free would keep it for whoever reads the file.
    copy.execute_batch(&format!("PRAGMA secure_delete = ON; DROP TABLE {NOTES}; VACUUM")).map_err(wrong)?;
    copy.close().map_err(|(_, error)| wrong(error))?;
    put_in_place(&part, to)?;
    Ok(notes)
}

fn put_in_place(part: &Path, path: &Path) -> Result<()> {
    File::open(part).and_then(|copy| copy.sync_all()).map_err(|error| file(part, "sync a backup", error))?;
    std::fs::rename(part, path).map_err(|error| file(path, "name a backup", error))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| file(folder, "sync a folder", error))
}

fn file(path: &Path, doing: &'static str, source: std::io::Error) -> StoreError {
    StoreError::File { place: path.display().to_string(), doing, source }
}
