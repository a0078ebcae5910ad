//! A checked copy of the configuration database under a name that only a whole copy ever bears.

use std::{fs::File, path::Path};

use rusqlite::{Connection, OpenFlags};

use crate::{
    db::{Db, database},
    error::{Result, StoreError},
};

pub(super) fn write(db: &Db, path: &Path) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    // What a copy cut short by a power loss left behind.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file(&part, "remove", error)),
        _ => {}
    }
    let result = copy(db, &part).and_then(|()| put_in_place(&part, path));
    if result.is_err() {
        // The first error is the one to report; a piece that stays is removed by the next backup.
        let _ = std::fs::remove_file(&part);
    }
    result
}

fn copy(db: &Db, part: &Path) -> Result<()> {
    let place = part.display().to_string();
    db.reader()?.execute("VACUUM INTO ?1", [&place]).map_err(|error| database(&place, "write a backup", error))?;
    let copy = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| database(&place, "check a backup", error))?;
    let verdict: String = copy
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|error| database(&place, "check a backup", error))?;
    if verdict != "ok" {
        return Err(StoreError::BadBackup { place, reason: verdict });
    }
    Ok(())
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
