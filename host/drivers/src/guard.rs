//! Keeps one driver running: starts its worker, tells it what to look after, watches it, and starts it again whatever
//! happened. It never gives up: these are alarms.

mod caller;
mod listen;

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use onealert_plugin_api::{
    capability,
    document::{Desired, Open},
};
use serde_json::Value;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until},
};

use crate::{
    DriverEvent, DriverState, DriverStatus, Enabled, Line, Timings,
    files::Files,
    now_ms,
    process::Worker,
    trust::{Standing, Trust},
};
pub(crate) use caller::Caller;
use listen::listen;

/// Lines of history kept for each driver.
const LINES: usize = 200;

/// What a guard needs of its surroundings.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub files: Files,
    pub trust: watch::Receiver<Arc<Trust>>,
    /// Files whose signature was verified under the trust that is named, so that a restart reads no file.
    pub proven: Arc<Mutex<BTreeMap<(String, String), Proven>>>,
    pub state: PathBuf,
    pub worker: (PathBuf, Vec<String>),
    pub timings: Timings,
    pub events: mpsc::UnboundedSender<DriverEvent>,
}

/// What was found of a file, and under which trust.
pub(crate) type Proven = (Arc<Trust>, Standing);

impl Surroundings {
    /// Whether a file of the store may run as the driver `id`: judged by this server itself, whoever sent the file.
    pub fn trusted(&self, id: &str, sha256: &str) -> Result<Standing, String> {
        let library = self.files.find(sha256).map_err(|why| why.to_string())?;
        let (trust, key) = (self.trust.borrow().clone(), (id.to_owned(), sha256.to_owned()));
        let mut proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((under, known)) = proven.get(&key)
            && Arc::ptr_eq(under, &trust)
        {
            return Ok(known.clone());
        }
        let bytes = std::fs::read(&library).map_err(|error| format!("{}: {error}", library.display()))?;
        let beside = self.files.signature(sha256);
        let standing = trust.judge(id, sha256, &bytes, beside.as_deref()).map_err(|why| why.to_string())?;
        proven.insert(key, (trust, standing.clone()));
        Ok(standing)
    }
}

/// One driver's guard. Dropping it ends its worker.
pub(crate) struct Guard {
    shared: Arc<Shared>,
    wanted: watch::Sender<(Enabled, Arc<Desired>)>,
}

struct Shared {
    around: Surroundings,
    status: Mutex<DriverStatus>,
    lines: Mutex<VecDeque<Line>>,
    current: watch::Sender<Option<Arc<Worker>>>,
    /// Somebody needs the driver: do not wait for the next restart's time.
    needed: Notify,
}

impl Guard {
    /// Starts to run a driver.
    pub fn start(around: Surroundings, enabled: Enabled, desired: Arc<Desired>) -> Guard {
        let status = DriverStatus {
            id: enabled.id.clone(),
            version: enabled.version.clone(),
            sha256: enabled.sha256.clone(),
            state: DriverState::Starting,
            restarts: 0,
            last_end: None,
            last_error: None,
            since_ms: now_ms(),
            pid: None,
        };
        let shared = Arc::new(Shared {
            around,
            status: Mutex::new(status),
            lines: Mutex::default(),
            current: watch::Sender::new(None),
            needed: Notify::new(),
        });
        let (wanted, wants) = watch::channel((enabled, desired));
        tokio::spawn(keep(shared.clone(), wants));
        Guard { shared, wanted }
    }

    /// What is to run from here on. Another file or other settings replace the worker; the old one serves until the new one
    /// has passed its self test.
    pub fn want(&self, enabled: Enabled) {
        self.wanted.send_if_modified(|(held, _)| {
            let differs = *held != enabled;
            *held = enabled;
            differs
        });
    }

    /// What the driver is to look after from here on.
    pub fn desire(&self, desired: Arc<Desired>) {
        self.wanted.send_if_modified(|(_, held)| {
            let differs = **held != *desired;
            *held = desired;
            differs
        });
    }

    /// How the driver is.
    pub fn status(&self) -> DriverStatus {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its newest lines, newest first.
    pub fn lines(&self, limit: usize) -> Vec<Line> {
        self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().take(limit).cloned().collect()
    }

    /// A way to call the driver that outlives any lock on the guards.
    pub fn caller(&self) -> Caller {
        Caller { shared: self.shared.clone(), id: self.status().id }
    }
}

impl Shared {
    fn note(&self, serious: bool, text: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_back();
        }
        lines.push_front(Line { at_ms: now_ms(), serious, text });
    }

    fn change(&self, change: impl FnOnce(&mut DriverStatus)) {
        let id = {
            let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            let before = status.state;
            change(&mut status);
            if status.state != before {
                status.since_ms = now_ms();
            }
            status.id.clone()
        };
        let _ = self.around.events.send(DriverEvent::StateChanged { id });
    }

    /// Starts a worker and brings it to where it can serve.
    async fn launch(self: &Arc<Self>, enabled: &Enabled, desired: &Desired) -> Result<Arc<Worker>, String> {
        let Surroundings { files, state, worker: program, timings, .. } = &self.around;
        let settings = enabled.settings.clone()?;
        let library = files.find(&enabled.sha256).map_err(|why| why.to_string())?;
        self.around.trusted(&enabled.id, &enabled.sha256)?;
        let folder = state.join(&enabled.id);
        std::fs::create_dir_all(&folder).map_err(|error| format!("its folder {}: {error}", folder.display()))?;
        let (said, heard) = mpsc::unbounded_channel();
        let (worker, description) = Worker::start(program, &library, timings.load, said).await?;
        tokio::spawn(listen(self.clone(), enabled.id.clone(), Arc::downgrade(&worker), heard));
        let open = Open { state_dir: folder.display().to_string(), settings: Some(settings) };
        worker.open(open, timings.load).await.map_err(|failure| failure.message)?;
        if description.capabilities.iter().any(|word| word == capability::SELF_TEST) {
            let test = worker.call("self_test", None, timings.load, timings.grace, Value::Null).await;
            test.map_err(|failure| format!("self test: {failure}"))?;
        }
        self.tell(&worker, desired).await?;
        Ok(worker)
    }

    async fn tell(&self, worker: &Worker, desired: &Desired) -> Result<(), String> {
        let body = serde_json::to_value(desired).expect("desired state is plain data with text keys");
        let timings = &self.around.timings;
        let told = worker.call("desired", None, timings.load, timings.grace, body).await;
        told.map(|_| ()).map_err(|failure| format!("what to look after: {failure}"))
    }

    fn serve(&self, worker: &Arc<Worker>, enabled: &Enabled) {
        self.current.send_replace(Some(worker.clone()));
        self.change(|status| {
            status.state = DriverState::Running;
            status.version.clone_from(&enabled.version);
            status.sha256.clone_from(&enabled.sha256);
            status.last_error = None;
            status.pid = Some(worker.pid());
        });
    }
}

/// What serves: which file with which settings, and what it was told to look after.
#[derive(Clone)]
struct Held {
    enabled: Enabled,
    desired: Arc<Desired>,
}

/// Starts what is wanted, or else what served last, with the reason why it is not what is wanted.
async fn start(
    shared: &Arc<Shared>,
    wanted: Held,
    last: Option<&Held>,
) -> Result<(Arc<Worker>, Held, Option<String>), String> {
    let why = match shared.launch(&wanted.enabled, &wanted.desired).await {
        Ok(worker) => return Ok((worker, wanted, None)),
        Err(why) => why,
    };
    match last.filter(|last| last.enabled != wanted.enabled) {
        None => Err(why),
        Some(last) => match shared.launch(&last.enabled, &last.desired).await {
            Ok(worker) => Ok((worker, last.clone(), Some(why))),
            Err(_) => Err(why),
        },
    }
}

/// The life of a driver: start, serve, end, again.
async fn keep(shared: Arc<Shared>, mut wants: watch::Receiver<(Enabled, Arc<Desired>)>) {
    let timings = shared.around.timings.clone();
    let mut ends: VecDeque<Instant> = VecDeque::new();
    let mut failures = 0;
    let mut last: Option<Held> = None;
    let (mut arrivals, mut trust) = (shared.around.files.arrivals(), shared.around.trust.clone());
    loop {
        arrivals.mark_unchanged();
        trust.mark_unchanged();
        let (enabled, desired) = wants.borrow_and_update().clone();
        let version = enabled.version.clone();
        match start(&shared, Held { enabled, desired }, last.as_ref()).await {
            Ok((worker, mut held, refused)) => {
                failures = 0;
                shared.serve(&worker, &held.enabled);
                shared.note(false, format!("version {} runs in process {}", held.enabled.version, worker.pid()));
                if refused.is_some() {
                    shared.change(|status| status.last_error = refused);
                }
                let Some(end) = serve(&shared, worker, &mut held, &mut wants).await else { return };
                last = Some(held);
                shared.current.send_replace(None);
                let now = Instant::now();
                ends.push_back(now);
                ends.retain(|at| now - *at < timings.degraded_within);
                let degraded = ends.len() >= timings.degraded_after;
                let text = format!("plugin {} {}: {end}", shared.id(), shared.version());
                tracing::warn!("{text}");
                shared.note(true, text);
                shared.change(|status| {
                    status.state = if degraded { DriverState::Degraded } else { DriverState::Starting };
                    status.restarts += 1;
                    status.last_end = Some(end);
                    status.pid = None;
                });
            }
            Err(why) => {
                failures += 1;
                let text = format!("plugin {} {}: {why}", shared.id(), version);
                tracing::warn!("{text}");
                shared.note(true, text);
                shared.change(|status| {
                    status.state = DriverState::Failed;
                    status.last_error = Some(why);
                    status.pid = None;
                });
            }
        }
        // At once the first time, then with growing pauses; but at once whenever an activation needs it.
        let tries = ends.len().saturating_sub(1).max(failures);
        let pause = match tries {
            0 => continue,
            tries => timings.back_off.get(tries - 1).or(timings.back_off.last()).copied().unwrap_or_default(),
        };
        tokio::select! {
            () = sleep_until(Instant::now() + pause) => {}
            () = shared.needed.notified() => {}
            // A driver that waits for its file starts when that has come, and one that is not trusted when it is.
            _ = arrivals.changed() => {}
            Ok(()) = trust.changed() => {}
            changed = wants.changed() => match changed {
                Ok(()) => failures = 0,
                Err(_) => return,
            },
        }
    }
}

impl Shared {
    fn id(&self) -> String {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).id.clone()
    }
    fn last_error(&self) -> Option<String> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).last_error.clone()
    }
    fn version(&self) -> String {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).version.clone()
    }
}

/// Watches a serving worker until it ends, and says how; `None` when the driver is to run no more.
async fn serve(
    shared: &Arc<Shared>,
    mut worker: Arc<Worker>,
    held: &mut Held,
    wants: &mut watch::Receiver<(Enabled, Arc<Desired>)>,
) -> Option<String> {
    let timings = &shared.around.timings;
    let mut missed = 0;
    let mut look = Instant::now() + timings.ping;
    // When what is wanted could not be taken: it is tried again then, or as soon as a file has come.
    let is_wanted = wants.borrow().0 == held.enabled;
    let first = timings.back_off.first().copied().unwrap_or_default();
    let mut again = (!is_wanted).then(|| Instant::now() + first);
    let mut refusals = 0;
    let (mut arrivals, mut trust) = (shared.around.files.arrivals(), shared.around.trust.clone());
    loop {
        tokio::select! {
            end = worker.ended() => return Some(end),
            changed = wants.changed() => {
                if changed.is_err() {
                    shared.current.send_replace(None);
                    worker.finish(timings.finish).await;
                    return None;
                }
                refusals = 0;
            }
            _ = arrivals.changed(), if again.is_some() => {}
            Ok(()) = trust.changed(), if again.is_some() => {}
            () = sleep_until(again.unwrap_or(look)), if again.is_some() => {}
            () = sleep_until(look) => {
                look = Instant::now() + timings.ping;
                if let Some(used) = worker.memory().filter(|used| *used > timings.memory) {
                    worker.kill(&format!("used {} MiB of memory, {} are allowed", used >> 20, timings.memory >> 20));
                    continue;
                }
                missed = if worker.ping(timings.ping).await { 0 } else { missed + 1 };
                if missed >= 3 {
                    worker.kill("gave no sign of life three times");
                }
                continue;
            }
        }
        arrivals.mark_unchanged();
        trust.mark_unchanged();
        let (wanted, desired) = wants.borrow_and_update().clone();
        if wanted == held.enabled {
            again = None;
            held.desired.clone_from(&desired);
            if let Err(why) = shared.tell(&worker, &desired).await {
                shared.note(true, why);
            }
            shared.change(|status| status.last_error = None);
            continue;
        }
        match shared.launch(&wanted, &desired).await {
            Ok(new) => {
                (again, refusals) = (None, 0);
                shared.note(false, format!("version {} replaces {}", wanted.version, held.enabled.version));
                shared.serve(&new, &wanted);
                let (old, finish) = (std::mem::replace(&mut worker, new), timings.finish);
                tokio::spawn(async move { old.finish(finish).await });
                *held = Held { enabled: wanted, desired };
            }
            // The worker that serves keeps what it was last told: what is configured is meant for another file.
            Err(why) => {
                let pause = timings.back_off.get(refusals).or(timings.back_off.last()).copied().unwrap_or_default();
                again = Some(Instant::now() + pause);
                refusals += 1;
                if shared.last_error().as_ref() != Some(&why) {
                    let (wanted, goes_on) = (&wanted.version, &held.enabled.version);
                    let text = format!("version {wanted} was not taken, {goes_on} goes on: {why}");
                    shared.note(true, text);
                }
                shared.change(|status| status.last_error = Some(why));
            }
        }
    }
}
