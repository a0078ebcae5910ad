//! A server's drivers on folders of their own, with everything that waits shortened.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use onealert_drivers::{
    Config, DriverEvent, DriverStatus, Drivers, Enabled, Found, Timings, Verdict, files,
    inspect::{Inspected, inspect},
    trust::{Pinned, Trust},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

use crate::worker;

/// How long a test waits for something that must come. Long, because the machine may be busy; nothing waits that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Drivers on folders of their own.
pub struct Site {
    /// What is tested.
    pub drivers: Drivers,
    trust: Mutex<Trust>,
    folder: TempDir,
    /// Kept open: without a listener the folder is no longer watched.
    _events: mpsc::UnboundedReceiver<DriverEvent>,
}

impl Site {
    /// Starts to watch an empty folder.
    ///
    /// # Panics
    /// The system refuses a folder.
    pub fn new() -> Site {
        Site::of(worker(), |_| {})
    }

    /// The same with another program for workers, and other times.
    ///
    /// # Panics
    /// The system refuses a folder.
    pub fn of(worker: (PathBuf, Vec<String>), change: impl FnOnce(&mut Timings)) -> Site {
        let folder = TempDir::new().expect("a folder");
        let mut config = Config {
            folder: folder.path().join("drivers"),
            store: folder.path().join("store"),
            state: folder.path().join("state"),
            worker,
            timings: Timings {
                rescan: Duration::from_millis(300),
                settle: Duration::from_millis(50),
                give_up: Duration::from_secs(6),
                load: Duration::from_secs(30),
                // A worker that stood still with the whole machine is not to be ended for it.
                ping: Duration::from_secs(10),
                grace: Duration::from_secs(1),
                back_off: [10, 20, 50].map(Duration::from_millis).to_vec(),
                degraded_after: 5,
                degraded_within: Duration::from_secs(60),
                finish: Duration::from_secs(5),
                memory: 256 << 20,
            },
        };
        change(&mut config.timings);
        let (drivers, events) = Drivers::start(config).expect("folders can be made");
        Site { drivers, trust: Mutex::default(), folder, _events: events }
    }

    /// Puts a file into the driver folder as a careful tool does.
    ///
    /// # Panics
    /// The disk refuses.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        self.pin(bytes);
        self.put_unsigned(name, bytes);
    }

    /// The same, while nobody vouches for it.
    ///
    /// # Panics
    /// The disk refuses.
    pub fn put_unsigned(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.path().join("drivers").join(name);
        let unfinished = path.with_file_name(format!(".{name}.tmp"));
        std::fs::write(&unfinished, bytes).expect("written");
        std::fs::rename(unfinished, path).expect("renamed");
    }

    /// Pins these bytes, as an administrator does, if they say what they are.
    pub fn pin(&self, bytes: &[u8]) {
        let Ok(Inspected { manifest, .. }) = inspect(bytes) else { return };
        let pinned = Pinned { id: manifest.id, version: manifest.version.to_string() };
        self.trust(|trust| drop(trust.pinned.insert(files::sha256(bytes), pinned)));
    }

    /// Changes whose files may run.
    pub fn trust(&self, change: impl FnOnce(&mut Trust)) {
        let mut trust = self.trust.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut trust);
        self.drivers.set_trust(trust.clone());
    }

    /// Takes a file out of the driver folder.
    ///
    /// # Panics
    /// The disk refuses.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join("drivers").join(name)).expect("removed");
    }

    /// A driver's own folder.
    pub fn state(&self, id: &str) -> PathBuf {
        self.folder.path().join("state").join(id)
    }

    /// Waits until a file is judged like this, and gives the text of the judgement.
    ///
    /// # Panics
    /// It does not come to that.
    pub async fn judged(&self, name: &str, fits: impl Fn(&Verdict) -> bool) -> String {
        let found = self.until(|| {
            let found: Option<Found> = self.drivers.found().into_iter().find(|found| found.file.ends_with(name));
            found.filter(|found| fits(&found.verdict)).ok_or_else(|| format!("{:?}", self.drivers.found()))
        });
        match found.await.verdict {
            Verdict::Waiting(text) | Verdict::Unsigned(text) | Verdict::Refused(text) => text,
            Verdict::Ready(description) => format!("{} {}", description.manifest.id, description.manifest.version),
        }
    }

    /// Waits until a driver is like this.
    ///
    /// # Panics
    /// It does not come to that.
    pub async fn status(&self, id: &str, fits: impl Fn(&DriverStatus) -> bool) -> DriverStatus {
        self.until(|| {
            let status = self.drivers.status().into_iter().find(|status| status.id == id);
            status.filter(&fits).ok_or_else(|| format!("{:?} {:?}", self.drivers.status(), self.drivers.lines(id, 9)))
        })
        .await
    }

    async fn until<T>(&self, look: impl Fn() -> Result<T, String>) -> T {
        let since = Instant::now();
        loop {
            match look() {
                Ok(value) => return value,
                Err(state) => assert!(since.elapsed() < PATIENCE, "did not come to that: {state}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// The same, while nobody vouches for the bytes.
    ///
    /// # Panics
    /// The disk refuses.
    pub fn unpinned_row(&self, id: &str, bytes: &[u8]) -> Enabled {
        let sha256 = self.drivers.add_file(bytes).expect("kept");
        Enabled { id: id.to_owned(), version: "0.1.0".to_owned(), sha256, settings: Ok(json!({})) }
    }

    /// A row that enables the library with these bytes, pinned.
    ///
    /// # Panics
    /// The disk refuses.
    pub fn row(&self, id: &str, bytes: &[u8], settings: Value) -> Enabled {
        self.pin(bytes);
        let row = self.unpinned_row(id, bytes);
        assert_eq!(row.sha256, files::sha256(bytes), "the store names a file by its content");
        Enabled { settings: Ok(settings), ..row }
    }

    /// Begins an activation at one endpoint of a driver.
    ///
    /// # Errors
    /// The call's own failure.
    pub async fn begin(
        &self,
        id: &str,
        activation: &str,
        deadline: Duration,
    ) -> Result<Value, onealert_plugin_api::document::Failure> {
        begin(&self.drivers, id, activation, deadline).await
    }

    /// Begins one activation after the other at a driver, one every few milliseconds, until told to stop.
    pub fn traffic(&self, id: &'static str) -> Traffic {
        let (drivers, go) = (self.drivers.clone(), Arc::new(AtomicBool::new(true)));
        let (done, going) = (Arc::new(AtomicUsize::new(0)), go.clone());
        let counted = done.clone();
        let task = tokio::spawn(async move {
            let mut failed = Vec::new();
            for number in 0.. {
                if !going.load(Ordering::Relaxed) {
                    break;
                }
                let activation = format!("{id}-{number}");
                match begin(&drivers, id, &activation, Duration::from_secs(30)).await {
                    Ok(answer) if answer[0]["state"] == "acked" => {}
                    other => failed.push(format!("{activation}: {other:?}")),
                }
                counted.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(2)).await;
            }
            failed
        });
        Traffic { task, go, done }
    }
}

impl Default for Site {
    fn default() -> Site {
        Site::new()
    }
}

async fn begin(
    drivers: &Drivers,
    id: &str,
    activation: &str,
    deadline: Duration,
) -> Result<Value, onealert_plugin_api::document::Failure> {
    let body = json!({
        "id": activation, "title": "Bell",
        "endpoints": [{"endpoint": "e", "name": "Lobby", "address": {"file": "lobby.txt"}}],
    });
    drivers.call(id, "begin", Some(activation.to_owned()), deadline, body).await
}

/// Calls that go on while something happens.
pub struct Traffic {
    task: JoinHandle<Vec<String>>,
    go: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Traffic {
    /// Waits until so many more calls are answered.
    ///
    /// # Panics
    /// They are not answered.
    pub async fn more(&self, calls: usize) {
        let (since, want) = (Instant::now(), self.done.load(Ordering::Relaxed) + calls);
        while self.done.load(Ordering::Relaxed) < want {
            assert!(
                since.elapsed() < PATIENCE,
                "only {} of {want} calls were answered",
                self.done.load(Ordering::Relaxed)
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it; gives how many calls there were and those that failed.
    ///
    /// # Panics
    /// The traffic itself broke.
    pub async fn end(self) -> (usize, Vec<String>) {
        self.go.store(false, Ordering::Relaxed);
        let failed = self.task.await.expect("traffic does not panic");
        (self.done.load(Ordering::Relaxed), failed)
    }
}

/// The lines of a file that begin with a word.
pub fn lines(path: &Path, word: &str) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().filter(|line| line.starts_with(word)).count()
}
