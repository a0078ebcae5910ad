//! Watches the driver folder. Events of the file system are hints; what lies in the folder decides.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use notify::{RecursiveMode, Watcher};
use onealert_plugin_api::{document::Description, schema};
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    DriverEvent, Found, Timings, Verdict,
    files::Files,
    inspect::{Refusal, inspect},
    process::Worker,
    trust::{self, Standing, Trust},
};

/// What was seen of a file the last time.
#[derive(Clone, PartialEq)]
struct Look {
    size: u64,
    modified: Option<SystemTime>,
    /// The same of the signature beside it.
    signature: Option<(u64, Option<SystemTime>)>,
}

struct Seen {
    look: Look,
    /// Since when it looks like that, by our own clock.
    since: Instant,
    judged: bool,
    found: Found,
}

/// Watches a folder until nobody wants to know any more.
pub(crate) struct Finder {
    pub folder: PathBuf,
    pub files: Files,
    pub worker: (PathBuf, Vec<String>),
    pub timings: Timings,
    pub trust: watch::Receiver<Arc<Trust>>,
    pub found: watch::Sender<Vec<Found>>,
    pub described: Arc<std::sync::Mutex<BTreeMap<String, Description>>>,
    pub events: mpsc::UnboundedSender<DriverEvent>,
}

impl Finder {
    pub async fn run(mut self) {
        let hint = Arc::new(Notify::new());
        let mut watcher = watch_folder(&self.folder, &hint);
        let mut seen: BTreeMap<PathBuf, Seen> = BTreeMap::new();
        loop {
            let waiting = self.look(&mut seen).await;
            let pause = if waiting { self.timings.settle.min(Duration::from_millis(250)) } else { self.timings.rescan };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = hint.notified() => {}
                Ok(()) = self.trust.changed() => {
                    self.trust.mark_unchanged();
                    seen.values_mut().for_each(|known| known.judged = false);
                }
                () = self.events.closed() => return,
            }
            // A folder that was removed and made again gives no hints any more.
            if watcher.is_none() && self.folder.is_dir() {
                watcher = watch_folder(&self.folder, &hint);
            }
        }
    }

    /// Looks at the folder once; says whether some file has to be looked at again soon.
    async fn look(&self, seen: &mut BTreeMap<PathBuf, Seen>) -> bool {
        let now = Instant::now();
        let listed = list(&self.folder);
        seen.retain(|path, _| listed.contains_key(path));
        for (path, look) in listed {
            match seen.get_mut(&path) {
                Some(known) if known.look == look => {}
                Some(known) => (known.look, known.since, known.judged) = (look, now, false),
                None => {
                    let verdict = Verdict::Waiting("just found; waiting until it is complete".to_owned());
                    let found = just_found(&path, verdict);
                    seen.insert(path, Seen { look, since: now, judged: false, found });
                }
            }
        }
        let mut waiting = false;
        for (path, known) in seen.iter_mut() {
            if known.judged {
                continue;
            }
            let unchanged = now.duration_since(known.since);
            if unchanged < self.timings.settle {
                waiting = true;
                continue;
            }
            let (found, judged) = self.judge(path, unchanged).await;
            (known.found, known.judged) = (found, judged);
            waiting |= !judged;
        }
        let mut found: Vec<Found> = seen.values().map(|known| known.found.clone()).collect();
        refuse_doubles(&mut found);
        let changed = self.found.send_if_modified(|held| {
            let differs = *held != found;
            *held = found;
            differs
        });
        if changed {
            let _ = self.events.send(DriverEvent::FoundChanged);
        }
        waiting
    }

    /// Judges a file; says whether that is final while the file stays as it is.
    async fn judge(&self, path: &Path, unchanged: Duration) -> (Found, bool) {
        let mut found = just_found(path, Verdict::Refused(String::new()));
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                found.verdict = Verdict::Refused(format!("cannot be read: {error}"));
                return (found, false);
            }
        };
        let inspected = match inspect(&bytes) {
            Ok(inspected) => inspected,
            Err(refusal @ Refusal::Incomplete(_)) if unchanged < self.timings.give_up => {
                found.verdict = Verdict::Waiting(refusal.to_string());
                return (found, false);
            }
            Err(Refusal::Incomplete(size)) => {
                let text = format!(
                    "incomplete: it has {size} bytes and did not grow for {} s; copy it again",
                    unchanged.as_secs()
                );
                found.verdict = Verdict::Refused(text);
                return (found, true);
            }
            Err(refusal) => {
                found.verdict = Verdict::Refused(refusal.to_string());
                return (found, true);
            }
        };
        let (id, version) = (inspected.manifest.id.clone(), inspected.manifest.version.clone());
        found.manifest = Some(inspected.manifest);
        // Written beside everything else: the disk takes its time.
        let files = self.files.clone();
        let kept = tokio::task::spawn_blocking(move || (files.put(&bytes), bytes)).await;
        let (kept, bytes) = kept.unwrap_or_else(|error| (Err(std::io::Error::other(error)), Vec::new()));
        let sha = match kept {
            Ok(sha) => sha,
            Err(error) => {
                found.verdict = Verdict::Refused(format!("could not be copied into the driver store: {error}"));
                return (found, false);
            }
        };
        found.sha256 = Some(sha.clone());
        // From here on code of the file would run.
        found.signature = beside(path);
        let trust = self.trust.borrow().clone();
        match trust.judge(&id, &sha, &bytes, found.signature.as_deref()) {
            Ok(standing) => {
                // Whoever loads the file from the store judges it again, and needs the signature there.
                let signature = found.signature.as_deref().filter(|_| matches!(standing, Standing::Signed(_)));
                if let Some(Err(error)) = signature.map(|text| self.files.put_signature(&sha, text)) {
                    found.verdict = Verdict::Refused(format!("its signature could not be kept: {error}"));
                    return (found, false);
                }
                found.standing = Some(standing);
            }
            Err(why) if why.may_be_pinned() => {
                found.verdict = match trust.is_the_pinned(&id, &version, &sha) {
                    Ok(()) => Verdict::Unsigned(why.to_string()),
                    Err(other) => Verdict::Refused(other.to_string()),
                };
                return (found, true);
            }
            Err(why) => {
                found.verdict = Verdict::Refused(why.to_string());
                return (found, true);
            }
        }
        let begun = Instant::now();
        match self.describe(&sha).await {
            Ok(description) => {
                found.verdict = Verdict::Ready(Box::new(description));
                (found, true)
            }
            Err(why) => {
                found.verdict = Verdict::Refused(why);
                // A machine that stood still cannot be told from a driver that hangs but by asking again.
                let late = begun.elapsed() >= self.timings.load;
                (found, !late || unchanged >= self.timings.give_up)
            }
        }
    }

    async fn describe(&self, sha: &str) -> Result<Description, String> {
        let known = self.described.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(sha).cloned();
        if let Some(description) = known {
            return Ok(description);
        }
        let library = self.files.get(sha).ok_or_else(|| "vanished from the driver store".to_owned())?;
        let description = describe(&self.worker, &library, &self.timings).await?;
        let mut described = self.described.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        described.insert(sha.to_owned(), description.clone());
        Ok(description)
    }
}

/// Runs a library in a throw-away worker and judges what it says of itself: steps 10 to 12.
pub(crate) async fn describe(
    program: &(PathBuf, Vec<String>),
    library: &Path,
    timings: &Timings,
) -> Result<Description, String> {
    let (said, _heard) = mpsc::unbounded_channel();
    let (worker, description) = Worker::start(program, library, timings.load, said).await?;
    worker.kill("only asked to describe itself");
    let bytes = fs::read(library).map_err(|error| format!("cannot be read: {error}"))?;
    let manifest = inspect(&bytes).map_err(|refusal| refusal.to_string())?.manifest;
    let told = &description.manifest;
    for (what, told, written) in [
        ("id", told.id.clone(), manifest.id.clone()),
        ("version", told.version.to_string(), manifest.version.to_string()),
        ("vendor", told.vendor.clone(), manifest.vendor.clone()),
        ("name", told.name.clone(), manifest.name.clone()),
        ("api", told.api.clone(), manifest.api.clone()),
    ] {
        if told != written {
            return Err(format!("describe() says {what} {told}, manifest {written}"));
        }
    }
    let schemas = [
        ("settings", &description.settings_schema),
        ("endpoint", &description.endpoint_schema),
        ("trigger", &description.trigger_schema),
    ];
    for (what, schema) in schemas.into_iter().filter(|(_, schema)| !schema.is_null()) {
        if let Some(problem) = schema::check(schema).first() {
            return Err(format!("its {what} schema cannot be shown as a form: {} {}", problem.path, problem.message));
        }
    }
    Ok(description)
}

/// Of files that hold the same version of one driver with other contents, none is used: nobody can know which is meant.
fn refuse_doubles(found: &mut [Found]) {
    let key = |found: &Found| match &found.verdict {
        Verdict::Ready(description) => Some((description.manifest.id.clone(), description.manifest.version.clone())),
        _ => None,
    };
    let all: Vec<_> = found.iter().map(|found| (key(found), found.sha256.clone(), found.file.clone())).collect();
    for (index, one) in found.iter_mut().enumerate() {
        let Some((id, version)) = key(one) else { continue };
        let other = all.iter().enumerate().find(|(at, (other, sha, _))| {
            *at != index && other.as_ref() == Some(&(id.clone(), version.clone())) && *sha != one.sha256
        });
        if let Some((_, (_, _, file))) = other {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = format!("{id} {version} is also in {name}, with other contents; remove one of the two");
            one.verdict = Verdict::Refused(text);
        }
    }
}

fn just_found(path: &Path, verdict: Verdict) -> Found {
    Found { file: path.to_owned(), sha256: None, manifest: None, signature: None, standing: None, verdict }
}

fn signature_of(library: &Path) -> PathBuf {
    let mut name = library.as_os_str().to_owned();
    name.push(trust::ENDING);
    PathBuf::from(name)
}

/// The text of the signature file beside a library. One that is too long or no text is told as an empty one, which no
/// signature is.
fn beside(library: &Path) -> Option<String> {
    let path = signature_of(library);
    let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let read = || (meta.len() <= trust::LONGEST).then(|| fs::read_to_string(&path).ok()).flatten();
    Some(read().unwrap_or_default())
}

fn list(folder: &Path) -> BTreeMap<PathBuf, Look> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let look = |entry: fs::DirEntry| {
        let path = entry.path();
        let name = path.file_name()?.to_str()?;
        if name.starts_with('.') || !name.ends_with(".so") {
            return None;
        }
        let meta = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let signature = fs::metadata(signature_of(&path)).ok().map(|meta| (meta.len(), meta.modified().ok()));
        let look = Look { size: meta.len(), modified: meta.modified().ok(), signature };
        Some((path, look))
    };
    entries.filter_map(|entry| look(entry.ok()?)).collect()
}

fn watch_folder(folder: &Path, hint: &Arc<Notify>) -> Option<notify::RecommendedWatcher> {
    let hint = hint.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is an event too: taken as a hint it would make us read for ever.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            hint.notify_one();
        }
    })
    .ok()?;
    watcher.watch(folder, RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}
