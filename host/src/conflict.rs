//! Conflict reports: configuration that was written in a generation that another one has left behind. Kept as files of this
//! server, for people: nothing is merged by itself.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use onealert_core::{
    config::Config,
    ids::{EpochId, ServerId},
};
use onealert_store::{ConfigStore, StoreError, change::blanked};
use onealert_web::needs::{Conflict, ConflictRow};

/// More log than this is not gathered into one report.
const MOST_BYTES: usize = 16 << 20;

/// Why a report could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ConflictError {
    /// The change log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is not a report.
    #[error("{}: it is not a conflict report: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Writes what was committed here after `fork`, the last record that the generation `by` has in common with this one.
/// `None` when nothing was. Writing the same twice gives one report.
///
/// # Errors
/// The change log cannot be read, or the file not written.
pub fn write(
    data: &Path,
    store: &dyn ConfigStore,
    server: ServerId,
    by: EpochId,
    fork: u64,
) -> Result<Option<Conflict>, ConflictError> {
    let Some(loaded) = store.load()? else { return Ok(None) };
    if loaded.position.lsn <= fork {
        return Ok(None);
    }
    let bounds = store.log_bounds()?;
    let from = fork.max(bounds.tail);
    let records = store.log_after(from, MOST_BYTES)?.records;
    let missing = (from - fork) + bounds.head.saturating_sub(records.last().map_or(from, |last| last.lsn));
    let config = Config::from_rows(loaded.rows).unwrap_or_default();
    let report = Conflict {
        id: format!("{}-{fork}", loaded.position.epoch),
        at: crate::clock::wall(),
        server: config.servers.get(&server).map_or_else(|| server.to_string(), |row| row.name.clone()),
        generation: loaded.position.epoch.to_string(),
        left_behind_by: by.to_string(),
        fork,
        head: loaded.position.lsn,
        missing,
        rows: records
            .into_iter()
            .map(|record| ConflictRow {
                lsn: record.lsn,
                table: record.change.table.noun().to_owned(),
                row: record.change.row.map(|row| blanked(record.change.table, row)),
                key: record.change.key,
            })
            .collect(),
    };
    let folder = folder(data);
    let path = folder.join(format!("{}.json", report.id));
    let attempt = || -> std::io::Result<()> {
        fs::create_dir_all(&folder)?;
        let part = path.with_extension("part");
        let mut file = fs::File::create(&part)?;
        file.write_all(serde_json::to_string_pretty(&report).expect("a report is plain data").as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        fs::File::open(&folder)?.sync_all()
    };
    attempt().map_err(|source| ConflictError::File { path: path.clone(), source })?;
    Ok(Some(report))
}

/// Every report of this server, newest first.
///
/// # Errors
/// A file cannot be read.
pub fn list(data: &Path) -> Result<Vec<Conflict>, ConflictError> {
    let folder = folder(data);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ConflictError::File { path: folder, source }),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| ConflictError::File { path: folder.clone(), source })?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|source| ConflictError::File { path: path.clone(), source })?;
        let report: Conflict = serde_json::from_str(&text)
            .map_err(|error| ConflictError::Unreadable { path: path.clone(), reason: error.to_string() })?;
        all.push(report);
    }
    all.sort_by_key(|report| std::cmp::Reverse(report.at));
    Ok(all)
}

fn folder(data: &Path) -> PathBuf {
    data.join("conflicts")
}

/// A report as a person reads it on a console.
pub fn text(report: &Conflict) -> String {
    let mut text = format!(
        "conflict {} on {} ({}): generation {} was left behind at change {} and had come to {}\n",
        report.id,
        report.server,
        jiff::Timestamp::from_millisecond(report.at.0).map(|at| at.to_string()).unwrap_or_default(),
        report.generation,
        report.fork,
        report.head
    );
    if report.missing > 0 {
        text.push_str(&format!("  {} of these changes are no longer in the log\n", report.missing));
    }
    for row in &report.rows {
        let what = row.row.as_deref().unwrap_or("deleted");
        text.push_str(&format!("  {} {} {}: {what}\n", row.lsn, row.table, row.key));
    }
    text
}
