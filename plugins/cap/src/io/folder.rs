//! Alerts that arrive as files. What the system says of changes is a hint; looking through the folder decides.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::Engine;
use crate::{
    judge::{FileMark, Outcome},
    source::Source,
    wire::{self, BODY_BYTES, Hint, Refusal},
};

/// Most files looked at in one round.
const FILES: usize = 10_000;
/// A file that is half written is looked at again this soon.
const AGAIN: Duration = Duration::from_millis(200);

/// Watches a folder, for ever.
pub async fn watch(engine: Arc<Engine>, folder: String) {
    let source = Source::Folder(folder.clone());
    let hint = Arc::new(Notify::new());
    let mut watcher = None;
    let mut healthy = true;
    loop {
        if watcher.is_none() {
            watcher = start_watching(Path::new(&folder), hint.clone());
        }
        let (listed, half_written) = match list(PathBuf::from(&folder)).await {
            Ok(files) => (Ok(()), round(&engine, &source, files).await),
            Err(error) => (Err(error), false),
        };
        match listed {
            Ok(()) if !healthy => {
                healthy = true;
                engine.note_source(&source, "reachable", "the folder can be read again");
            }
            Err(error) if healthy => {
                healthy = false;
                let reason = format!("the folder cannot be read, so no alert can come from it: {error}");
                engine.note_source(&source, "unreachable", &reason);
            }
            _ => {}
        }
        if !healthy {
            // A folder that was replaced needs a new watch.
            watcher = None;
        }
        let pause = if half_written { AGAIN.min(engine.pace.settle) } else { engine.pace.rescan };
        tokio::select! {
            () = hint.notified() => {}
            () = engine.changed.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn start_watching(folder: &Path, hint: Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading makes events too; they would wake us for ever.
        if event.is_ok_and(|event| !event.kind.is_access() || is_closed_after_writing(&event.kind)) {
            hint.notify_one();
        }
    })
    .ok()?;
    match watcher.watch(folder, RecursiveMode::NonRecursive) {
        Ok(()) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, folder = %folder.display(), "the folder cannot be watched; it is looked through at intervals");
            None
        }
    }
}

fn is_closed_after_writing(kind: &notify::EventKind) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    matches!(kind, EventKind::Access(AccessKind::Close(AccessMode::Write)))
}

/// A file as it stands in the folder.
struct Found {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

impl Found {
    fn mark(&self, now_ms: i64) -> FileMark {
        let since = self.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        FileMark {
            bytes: self.bytes,
            modified_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            seen_ms: now_ms,
        }
    }
}

/// Plain files, oldest first. Links are not followed, and hidden and temporary names are left alone.
async fn list(folder: PathBuf) -> std::io::Result<Vec<Found>> {
    let listed = tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)?.take(FILES) {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().to_lowercase();
            let temporary =
                name.starts_with('.') || [".tmp", ".part", ".partial", "~"].iter().any(|end| name.ends_with(end));
            let Ok(metadata) = entry.path().symlink_metadata() else { continue };
            if metadata.is_file() && !temporary {
                files.push(Found { path: entry.path(), bytes: metadata.len(), modified: metadata.modified()? });
            }
        }
        files.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        Ok(files)
    });
    listed.await.map_err(std::io::Error::other)?
}

/// Deals with every file that was not dealt with. Says whether one is still being written.
async fn round(engine: &Engine, source: &Source, files: Vec<Found>) -> bool {
    let mut half_written = false;
    for file in files {
        let name = file.path.to_string_lossy().into_owned();
        let mark = file.mark(engine.now());
        let done = engine
            .book()
            .files
            .get(&name)
            .is_some_and(|known| known.bytes == mark.bytes && known.modified_ns == mark.modified_ns);
        if !done {
            half_written |= !deal(engine, source, &file, &name, mark).await;
        }
    }
    half_written
}

/// Deals with one file. Says no when it has to be looked at again soon.
async fn deal(engine: &Engine, source: &Source, file: &Found, name: &str, mark: FileMark) -> bool {
    let path = file.path.clone();
    let bytes = tokio::task::spawn_blocking(move || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(BODY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    })
    .await;
    let bytes = match bytes {
        Ok(Ok(bytes)) => bytes,
        // It was taken away between looking and reading, or may not be read yet.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return true,
        Ok(Err(error)) => return refuse(engine, source, name, mark, &error.to_string()).await,
        Err(error) => return refuse(engine, source, name, mark, &error.to_string()).await,
    };
    let document = match wire::read(&bytes, Hint::default()) {
        Ok(document) => document,
        Err(refusal) if may_be_half(&refusal) && is_fresh(file, engine.pace.settle) => return false,
        Err(refusal) => return refuse(engine, source, name, mark, &refusal.to_string()).await,
    };
    let verdicts = engine
        .take(source, &document.messages, true, |book| {
            book.files.insert(name.to_owned(), mark);
            book.changed = true;
        })
        .await;
    if document.messages.is_empty() {
        let links = document.entries.iter().filter(|entry| !entry.link.is_empty()).count();
        let reason = format!("a feed without alerts in it; the {links} links of a file are not followed");
        engine.note_source(source, Outcome::Logged.word(), &format!("{name}: {reason}"));
    }
    let refused = verdicts.iter().any(|verdict| verdict.outcome == Outcome::Refused);
    let delete = engine.triggers_of(source).iter().any(|trigger| trigger.rules.settings.delete_files);
    // A refused one is kept, so that somebody can look at it.
    if delete && !refused {
        let path = file.path.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || fs::remove_file(path)).await {
            tracing::warn!(%error, file = name, "the file cannot be deleted");
        }
    }
    true
}

async fn refuse(engine: &Engine, source: &Source, name: &str, mark: FileMark, why: &str) -> bool {
    {
        let mut book = engine.book();
        book.files.insert(name.to_owned(), mark);
        book.changed = true;
    }
    engine.save().await;
    engine.note_source(source, Outcome::Refused.word(), &format!("{name}: {why}"));
    true
}

/// Whether a document that somebody is still writing would look like this.
fn may_be_half(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotWellFormed { .. } | Refusal::NotJson(_) | Refusal::Empty | Refusal::Encoding(_))
}

fn is_fresh(file: &Found, settle: Duration) -> bool {
    file.modified.elapsed().is_ok_and(|age| age < settle)
}
