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
#[derive(Debug, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

impl Found {
    fn new(path: PathBuf, metadata: &fs::Metadata) -> std::io::Result<Found> {
        Ok(Found { path, bytes: metadata.len(), modified: metadata.modified()? })
    }

    fn is_as(&self, known: &FileMark) -> bool {
        let FileMark { bytes, modified_ns, .. } = self.mark(known.seen_ms);
        (bytes, modified_ns) == (known.bytes, known.modified_ns)
    }

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
                files.push(Found::new(entry.path(), &metadata)?);
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
        let done = engine.book().files.get(&name).is_some_and(|known| file.is_as(known));
        if !done {
            half_written |= !deal(engine, source, &file, &name).await;
        }
    }
    half_written
}

/// Deals with one file. Says no when it has to be looked at again soon.
async fn deal(engine: &Engine, source: &Source, file: &Found, name: &str) -> bool {
    let path = file.path.clone();
    let read = tokio::task::spawn_blocking(move || read(&path)).await.map_err(std::io::Error::other);
    let (file, bytes) = match read.and_then(|read| read) {
        Ok(Some(read)) => read,
        // Somebody writes it at this moment.
        Ok(None) => return false,
        // It was taken away between looking and reading, or may not be read yet.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return true,
        Err(error) => return refuse(engine, source, name, file.mark(engine.now()), &error.to_string()).await,
    };
    let (file, mark) = (&file, file.mark(engine.now()));
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

/// A file with what it holds; `None` if it changed meanwhile. It counts as it is when it is read, not as it was when the folder
/// was listed: it may have been written in between, and would be read again.
fn read(path: &Path) -> std::io::Result<Option<(Found, Vec<u8>)>> {
    let mut file = fs::File::open(path)?;
    let before = Found::new(path.to_owned(), &file.metadata()?)?;
    let mut bytes = Vec::new();
    file.by_ref().take(BODY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let after = Found::new(path.to_owned(), &file.metadata()?)?;
    Ok((after == before).then_some((before, bytes)))
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

#[cfg(test)]
mod tests {
    use onealert_plugin_api::fake_host::FakeHost;

    use super::*;
    use crate::{
        io::Pace,
        samples,
        settings::{Settings, TriggerSettings},
    };

    const NOW: i64 = 1_795_435_200_000;

    /// Seen as an alert that was judged twice: its file was still empty when the folder was listed, and whole when it was read.
    #[tokio::test]
    async fn a_file_that_is_written_between_looking_and_reading_is_dealt_with_once() {
        let (state, folder) = [(); 2].map(|()| tempfile::tempdir().expect("a folder")).into();
        let fake = FakeHost::new(state.path());
        let engine = Engine::open(fake.host(), Settings::default(), Arc::new(|| NOW + 1000), Pace::default());
        let watched = folder.path().to_string_lossy().into_owned();
        let settings = TriggerSettings { folder: watched.clone(), ..TriggerSettings::default() };
        engine.set_triggers(vec![("t".to_owned(), settings)]).await;
        let path = folder.path().join("one.xml");
        fs::write(&path, "").expect("is begun");
        let early = list(folder.path().to_owned()).await.expect("can be listed");
        fs::write(&path, samples::warning(1, NOW)).expect("is written");

        let source = Source::Folder(watched);
        assert!(!round(&engine, &source, early).await, "it was whole when it was read");
        let later = list(folder.path().to_owned()).await.expect("can be listed");
        assert!(!round(&engine, &source, later).await);
        assert_eq!(fake.triggers().len(), 1);
        let duplicates = fake.events().into_iter().filter(|event| format!("{event:?}").contains("duplicate"));
        assert_eq!(duplicates.count(), 0, "{:?}", fake.events());
    }
}
