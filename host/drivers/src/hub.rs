//! All drivers together: what the rest of the server calls.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use onealert_plugin_api::document::{
    Description, Desired, EndpointStatus, Event, Failure, Open, Problem, SettingsCheck,
};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::{
    Config, DriverEvent, DriverStatus, Enabled, Found, Line,
    files::Files,
    find::Finder,
    guard::{Guard, Surroundings},
    process::Worker,
    trust::{Standing, Trust},
};

/// All drivers of this server. Cheap to clone.
#[derive(Clone)]
pub struct Drivers {
    inner: Arc<Inner>,
}

struct Inner {
    around: Surroundings,
    found: watch::Receiver<Vec<Found>>,
    described: Arc<Mutex<BTreeMap<String, Description>>>,
    guards: Mutex<BTreeMap<String, Guard>>,
    desired: Mutex<BTreeMap<String, Arc<Desired>>>,
    trust: watch::Sender<Arc<Trust>>,
    health: Mutex<BTreeMap<String, EndpointStatus>>,
}

impl Drivers {
    /// Starts to watch the folder. No driver runs yet.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn start(config: Config) -> io::Result<(Drivers, mpsc::UnboundedReceiver<DriverEvent>)> {
        std::fs::create_dir_all(&config.folder)?;
        std::fs::create_dir_all(&config.state)?;
        let files = Files::open(&config.store)?;
        let (events, receiver) = mpsc::unbounded_channel();
        let (found, found_here) = watch::channel(Vec::new());
        let described: Arc<Mutex<BTreeMap<String, Description>>> = Arc::default();
        let trust = watch::Sender::new(Arc::new(Trust::default()));
        let around = Surroundings {
            files: files.clone(),
            trust: trust.subscribe(),
            proven: Arc::default(),
            state: std::path::absolute(&config.state)?,
            worker: config.worker.clone(),
            timings: config.timings.clone(),
            events: events.clone(),
        };
        let finder = Finder {
            folder: config.folder,
            files,
            worker: config.worker,
            timings: config.timings,
            trust: trust.subscribe(),
            found,
            described: described.clone(),
            events,
        };
        tokio::spawn(finder.run());
        let inner = Inner {
            around,
            found: found_here,
            described,
            guards: Mutex::default(),
            desired: Mutex::default(),
            trust,
            health: Mutex::default(),
        };
        Ok((Drivers { inner: Arc::new(inner) }, receiver))
    }

    /// Every file of the folder.
    pub fn found(&self) -> Vec<Found> {
        self.inner.found.borrow().clone()
    }

    /// What a file of the store says of itself, once it was asked.
    pub fn description(&self, sha256: &str) -> Option<Description> {
        self.inner.described.lock().unwrap_or_else(PoisonError::into_inner).get(sha256).cloned()
    }

    /// Says whose files may run from here on. Before the first word nothing may.
    pub fn set_trust(&self, trust: Trust) {
        self.inner.trust.send_if_modified(|held| {
            let differs = **held != trust;
            *held = Arc::new(trust);
            differs
        });
    }

    /// Why a file of the store may run as the driver `id`.
    ///
    /// # Errors
    /// Why not.
    pub fn standing(&self, id: &str, sha256: &str) -> Result<Standing, String> {
        self.inner.around.trusted(id, sha256)
    }

    /// Says which drivers run from here on. Those that are missing are ended; those whose file or settings differ are
    /// replaced under way.
    pub fn set_enabled(&self, enabled: Vec<Enabled>) {
        let mut guards = self.inner.guards.lock().unwrap_or_else(PoisonError::into_inner);
        guards.retain(|id, _| enabled.iter().any(|wanted| wanted.id == *id));
        for wanted in enabled {
            match guards.get(&wanted.id) {
                Some(guard) => guard.want(wanted),
                None => {
                    let desired = self.inner.desired.lock().unwrap_or_else(PoisonError::into_inner);
                    let desired = desired.get(&wanted.id).cloned().unwrap_or_default();
                    self.learn(&wanted.id, &wanted.sha256);
                    guards.insert(wanted.id.clone(), Guard::start(self.inner.around.clone(), wanted, desired));
                }
            }
        }
    }

    /// Asks a file of the store what it says of itself, if that is not known: it may have come from the primary and not
    /// lie in the folder.
    fn learn(&self, id: &str, sha256: &str) {
        if self.description(sha256).is_some() {
            return;
        }
        let (inner, id, sha) = (self.inner.clone(), id.to_owned(), sha256.to_owned());
        tokio::spawn(async move {
            if inner.around.trusted(&id, &sha).is_err() {
                return;
            }
            let Some(library) = inner.around.files.get(&sha) else { return };
            if let Ok(description) = crate::find::describe(&inner.around.worker, &library, &inner.around.timings).await
            {
                inner.described.lock().unwrap_or_else(PoisonError::into_inner).insert(sha, description);
                let _ = inner.around.events.send(DriverEvent::FoundChanged);
            }
        });
    }

    /// Says what a driver looks after from here on; it is told again whenever its worker is started.
    pub fn set_desired(&self, id: &str, desired: Desired) {
        let desired = Arc::new(desired);
        self.inner.desired.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), desired.clone());
        if let Some(guard) = self.inner.guards.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            guard.desire(desired);
        }
    }

    /// Keeps a file that came from elsewhere; gives its sha256.
    ///
    /// # Errors
    /// The disk refused.
    pub fn add_file(&self, bytes: &[u8]) -> io::Result<String> {
        self.inner.around.files.put(bytes)
    }

    /// Where a file with this content belongs. Whoever brings one puts it there whole, checked and durable, and says so by
    /// [`Drivers::file_came`].
    pub fn file_place(&self, sha256: &str) -> PathBuf {
        self.inner.around.files.path(sha256)
    }

    /// Whether a file has to be asked for elsewhere: it is not here, and is not being copied from the driver folder either.
    pub fn lacks_file(&self, sha256: &str) -> bool {
        let files = &self.inner.around.files;
        !files.is_coming(sha256) && files.get(sha256).is_none()
    }

    /// A file lies where it belongs.
    pub fn file_came(&self) {
        self.inner.around.files.came();
    }

    /// The file with this content, if it is on this server.
    pub fn file(&self, sha256: &str) -> Option<PathBuf> {
        self.inner.around.files.get(sha256)
    }

    /// Calls a driver. With an activation the call is sent once more if the driver's process ended under it.
    ///
    /// # Errors
    /// The driver's own failure, or `not_enabled`, `not_running`, `timeout`, `restarted`.
    pub async fn call(
        &self,
        id: &str,
        op: &str,
        activation: Option<String>,
        deadline: Duration,
        body: Value,
    ) -> Result<Value, Failure> {
        let caller = self.inner.guards.lock().unwrap_or_else(PoisonError::into_inner).get(id).map(Guard::caller);
        match caller {
            Some(caller) => caller.call(op, activation, deadline, body).await,
            None => Err(Failure::new("not_enabled", format!("the driver {id} is not enabled on this server"))),
        }
    }

    /// Asks a file of the store whether settings will do, in a worker of its own.
    ///
    /// # Errors
    /// The file is not here, or its code fails.
    pub async fn check_settings(&self, id: &str, sha256: &str, settings: Value) -> Result<Vec<Problem>, Failure> {
        let around = &self.inner.around;
        around.trusted(id, sha256).map_err(|why| Failure::new("not_trusted", why))?;
        let library = around.files.get(sha256);
        let library = library.ok_or_else(|| Failure::new("not_here", "the driver's file is not on this server"))?;
        let (said, _heard) = mpsc::unbounded_channel();
        let load = around.timings.load;
        let started = Worker::start(&around.worker, &library, load, said).await;
        let (worker, _) = started.map_err(|why| Failure::new("load", why))?;
        worker.open(Open { state_dir: String::new(), settings: None }, load).await?;
        let body = serde_json::to_value(SettingsCheck { settings }).expect("settings are plain data");
        let answer = worker.call("settings.check", None, load, around.timings.grace, body).await?;
        serde_json::from_value(answer).map_err(|error| Failure::new("bad_document", error.to_string()))
    }

    /// How every enabled driver is.
    pub fn status(&self) -> Vec<DriverStatus> {
        self.inner.guards.lock().unwrap_or_else(PoisonError::into_inner).values().map(Guard::status).collect()
    }

    /// A driver's newest lines of history, newest first.
    pub fn lines(&self, id: &str, limit: usize) -> Vec<Line> {
        let guards = self.inner.guards.lock().unwrap_or_else(PoisonError::into_inner);
        guards.get(id).map(|guard| guard.lines(limit)).unwrap_or_default()
    }

    /// Remembers what an event says of endpoints.
    pub fn remember(&self, event: &Event) {
        if let Event::EndpointStatus(status) = event {
            let mut health = self.inner.health.lock().unwrap_or_else(PoisonError::into_inner);
            health.insert(status.endpoint.clone(), status.clone());
        }
    }

    /// What was last said of each endpoint.
    pub fn endpoint_health(&self) -> BTreeMap<String, EndpointStatus> {
        self.inner.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends every driver.
    pub fn stop(&self) {
        self.inner.guards.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
