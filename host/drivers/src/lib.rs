//! Hosts drivers: finds their files, judges them without running their code, runs each enabled one in a worker process of
//! its own, and keeps that worker alive.
//!
//! Reading order: [`inspect`] judges bytes, [`trust`] who vouches for them, [`files`] keeps them by content, [`find`] watches
//! the folder; `load` and [`worker`] are the worker's side, [`process`] is the host's end of one worker (`outbox` its way
//! there), [`guard`] keeps one driver running, and [`Drivers`] is what the rest of the server calls.

#![warn(clippy::print_stderr, clippy::print_stdout, reason = "a server speaks through tracing")]

pub mod check;
pub mod files;
pub mod find;
pub mod frame;
pub mod guard;
mod hub;
pub mod inspect;
mod load;
mod outbox;
pub mod process;
pub mod trust;
pub mod worker;

use std::{fmt, path::PathBuf, time::Duration};

use onealert_plugin_api::{
    document::{Description, Event, Outcome},
    manifest::Manifest,
};
use serde_json::Value;
use tokio::sync::oneshot;

pub use hub::Drivers;

/// Where drivers are and how they are run.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder into which people put driver files.
    pub folder: PathBuf,
    /// The folder of accepted files, named by content.
    pub store: PathBuf,
    /// The folder in which each driver has a folder of its own.
    pub state: PathBuf,
    /// The program to start as a worker, and the arguments before the library's path.
    pub worker: (PathBuf, Vec<String>),
    /// How long things may take.
    pub timings: Timings,
}

/// How long things may take. The defaults are those of the product; tests shorten them.
#[derive(Debug, Clone)]
pub struct Timings {
    /// The folder is looked at this often, whatever the hints say.
    pub rescan: Duration,
    /// A file counts as complete when it was unchanged for this long by our own clock.
    pub settle: Duration,
    /// An incomplete file counts as broken after this long without change.
    pub give_up: Duration,
    /// A library may take this long to load and describe itself, and to open.
    pub load: Duration,
    /// A sign of life is asked for this often; three missed end the worker.
    pub ping: Duration,
    /// What a call may take beyond its deadline before it counts against the worker; two in a row end it.
    pub grace: Duration,
    /// Pauses before the second and later restarts; the last one repeats for ever.
    pub back_off: Vec<Duration>,
    /// So many ends within `degraded_within` make a driver degraded.
    pub degraded_after: usize,
    /// See `degraded_after`.
    pub degraded_within: Duration,
    /// An old worker may finish its calls for this long after a replacement.
    pub finish: Duration,
    /// A worker that uses more memory than this is ended and started again, in bytes.
    pub memory: u64,
}

impl Default for Timings {
    fn default() -> Timings {
        Timings {
            rescan: Duration::from_secs(10),
            settle: Duration::from_secs(1),
            give_up: Duration::from_secs(60),
            load: Duration::from_secs(5),
            ping: Duration::from_secs(2),
            grace: Duration::from_millis(500),
            back_off: [1, 2, 5, 10, 30].map(Duration::from_secs).to_vec(),
            degraded_after: 5,
            degraded_within: Duration::from_secs(60),
            finish: Duration::from_secs(30),
            memory: 512 << 20,
        }
    }
}

/// A file of the driver folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The file.
    pub file: PathBuf,
    /// SHA-256 of its bytes as hexadecimal digits, once it was read.
    pub sha256: Option<String>,
    /// What it says of itself, once that could be read.
    pub manifest: Option<Manifest>,
    /// The signature that lies beside it, if one does.
    pub signature: Option<String>,
    /// Why it may run, once that is known.
    pub standing: Option<trust::Standing>,
    /// What is thought of it.
    pub verdict: Verdict,
}

/// What is thought of a driver file.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It may still be growing.
    Waiting(String),
    /// It cannot be used; names the file, what was expected and what was found.
    Refused(String),
    /// Nobody vouches for it, so that none of its code has run. An administrator may pin it.
    Unsigned(String),
    /// It can be used, and says this of itself.
    Ready(Box<Description>),
}

/// A driver that is to run.
#[derive(Clone, PartialEq)]
pub struct Enabled {
    /// Its id.
    pub id: String,
    /// Its version, for messages.
    pub version: String,
    /// Which file.
    pub sha256: String,
    /// Its settings, or why they cannot be had: then it does not run, and that is said of it.
    pub settings: Result<Value, String>,
}

// Without the settings: they hold secrets in clear.
impl fmt::Debug for Enabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enabled {{ {} {} {} }}", self.id, self.version, self.sha256)
    }
}

/// Where a driver's worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverState {
    /// No worker runs, and none should.
    Stopped,
    /// A worker is being started.
    Starting,
    /// A worker serves calls.
    Running,
    /// It ended again and again; it is tried at growing intervals and at every activation that needs it.
    Degraded,
    /// It could not be started; it is tried again.
    Failed,
}

/// How a driver is.
#[derive(Debug, Clone, PartialEq)]
pub struct DriverStatus {
    /// Its id.
    pub id: String,
    /// The version in use.
    pub version: String,
    /// The file in use.
    pub sha256: String,
    /// Where its worker stands.
    pub state: DriverState,
    /// How often its worker ended since the driver was enabled.
    pub restarts: u32,
    /// How it last ended, in words.
    pub last_end: Option<String>,
    /// Why it last could not be started. While it runs: why what is configured was not taken, so that it goes on with the
    /// file and the settings that it had.
    pub last_error: Option<String>,
    /// Since when it is in this state, milliseconds since 1970.
    pub since_ms: i64,
    /// The worker's process.
    pub pid: Option<u32>,
}

/// A line of a driver's recent history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// Somebody should look.
    pub serious: bool,
    /// What.
    pub text: String,
}

/// What the server is told.
#[derive(Debug)]
pub enum DriverEvent {
    /// Files came, went or were judged.
    FoundChanged,
    /// A driver's worker changed its state.
    StateChanged {
        /// Which driver.
        id: String,
    },
    /// Something happened in a driver.
    Event {
        /// Which driver.
        id: String,
        /// What.
        event: Event,
    },
    /// A driver asks for something.
    Request {
        /// Which driver.
        id: String,
        /// What.
        op: String,
        /// With what.
        body: Value,
        /// Takes the answer.
        answer: oneshot::Sender<Outcome>,
    },
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the crate asks here")]
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64
}
