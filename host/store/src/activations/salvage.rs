//! Saves what can be read from a damaged activation file.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use crate::error::{Result, StoreError};

use super::store::{Raw, SELECT, raw};

/// Files that make up one database: the file itself, its write-ahead log, and the log's index.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];
/// So many damaged files may lie beside each other; an operator has to look long before.
const MOST_ASIDE: u32 = 1000;

/// Renames the file and its companions, so that another can be made in its place.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf> {
    let free = |n: &u32| !with(path, &format!(".damaged-{n}")).exists();
    let number = (1..MOST_ASIDE).find(free).unwrap_or(MOST_ASIDE);
    let aside = with(path, &format!(".damaged-{number}"));
    for part in PARTS {
        let from = with(path, part);
        match std::fs::rename(&from, with(&aside, part)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let place = from.display().to_string();
                return Err(StoreError::File { place, doing: "set a damaged file aside", source });
            }
            _ => {}
        }
    }
    Ok(aside)
}

/// Every row that can still be read, and why the rest cannot.
pub(super) fn read(path: &Path) -> (Vec<Raw>, Option<String>) {
    let mut rows = BTreeMap::new();
    let mut trouble = None;
    // From both ends, because reading stops at the first damaged page.
    for order in ["ASC", "DESC"] {
        if let Err(error) = read_in_order(path, order, &mut rows) {
            trouble = Some(format!("{}: part of the file cannot be read: {error}", path.display()));
        }
    }
    (rows.into_values().collect(), trouble)
}

fn read_in_order(path: &Path, order: &str, rows: &mut BTreeMap<String, Raw>) -> rusqlite::Result<()> {
    // Writable, because the log that lies beside the file has to be read too.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut statement = connection.prepare(&format!("{SELECT} ORDER BY rowid {order}"))?;
    for row in statement.query_map([], raw)? {
        let row = row?;
        rows.insert(row.id.clone(), row);
    }
    Ok(())
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
