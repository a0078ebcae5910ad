//! `driver check`: judges a driver library by named checks, each in a worker of its own, so that a crash or a hang is a result.
//!
//! Level 1 asks whether it loads, level 2 whether it behaves, level 3 whether it endures. The kit uses the same inspection,
//! worker and documents as the server. It speaks to no device: endpoints get addresses on this machine only.

mod behaves;
mod endures;
mod loads;
mod report;
mod sample;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use onealert_plugin_api::document::{Description, Failure, Open};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::mpsc, time::timeout};

pub use report::{Check, Finding, Report, longest};

use crate::process::{Said, Worker};

/// How long a library may take to load, and to open.
const LOAD: Duration = Duration::from_secs(5);
/// How long a call may take in a check, unless the check is about that.
const CALL: Duration = Duration::from_secs(10);
/// What a worker may take beyond a deadline.
const GRACE: Duration = Duration::from_secs(5);

/// Checks a library at this level (1 to 3) and those below it, with these settings or, without any, with an empty object.
pub async fn run(file: &Path, settings: Option<Value>, level: u8, worker: (PathBuf, Vec<String>)) -> Report {
    replay(file, settings, level, worker, crate::now_ms() as u64).await
}

/// The same with random documents made from this seed.
pub async fn replay(
    file: &Path,
    settings: Option<Value>,
    level: u8,
    worker: (PathBuf, Vec<String>),
    seed: u64,
) -> Report {
    let mut report = Report { file: file.to_owned(), level, seed, checks: Vec::new(), kit_failed: None };
    let library = match std::path::absolute(file) {
        Ok(library) if library.is_file() => library,
        Ok(library) => {
            report.kit_failed = Some(format!("{} is not a file", library.display()));
            return report;
        }
        Err(error) => {
            report.kit_failed = Some(format!("{}: {error}", file.display()));
            return report;
        }
    };
    if !worker.0.is_file() {
        report.kit_failed = Some(format!("the worker program {} is not there", worker.0.display()));
        return report;
    }
    let given = settings.is_some();
    let mut kit = Kit { library, worker, settings: settings.unwrap_or_else(|| json!({})), description: None, seed };
    loads::checks(&mut kit, &mut report.checks).await;
    if level >= 2 && report.passed() {
        let opens = behaves::opens(&kit, given, &mut report.checks).await;
        if opens {
            behaves::checks(&kit, &mut report.checks).await;
            if level >= 3 {
                endures::checks(&kit, &mut report.checks).await;
            }
        }
    }
    report
}

/// What every check needs.
struct Kit {
    library: PathBuf,
    worker: (PathBuf, Vec<String>),
    settings: Value,
    /// Known once the library was loaded.
    description: Option<Description>,
    seed: u64,
}

/// A driver in a worker of its own, with a folder of its own.
struct Subject {
    worker: Arc<Worker>,
    heard: mpsc::UnboundedReceiver<Said>,
    state: TempDir,
}

impl Kit {
    /// A worker in which the library is loaded but not opened.
    async fn load(&self) -> Result<Subject, String> {
        let state = TempDir::new().map_err(|error| format!("no folder for the driver's files: {error}"))?;
        let (said, heard) = mpsc::unbounded_channel();
        let (worker, _) = Worker::start(&self.worker, &self.library, LOAD, said).await?;
        Ok(Subject { worker, heard, state })
    }

    /// A worker in which the driver is open with the settings given.
    async fn open(&self) -> Result<Subject, String> {
        let subject = self.load().await?;
        subject.open(Some(self.settings.clone())).await.map_err(|failure| format!("open: {failure}"))?;
        Ok(subject)
    }

    fn can(&self, word: &str) -> bool {
        self.description.iter().any(|description| description.capabilities.iter().any(|it| it == word))
    }
}

impl Subject {
    async fn open(&self, settings: Option<Value>) -> Result<(), Failure> {
        let open = Open { state_dir: self.state.path().display().to_string(), settings };
        self.worker.open(open, LOAD).await
    }

    async fn call(&self, op: &str, body: Value) -> Result<Value, Failure> {
        self.worker.call(op, None, CALL, GRACE, body).await
    }

    /// Whether it still answers; a check that provoked the driver ends with this.
    async fn still_serves(&self) -> Result<(), String> {
        let word = json!({"still": "here"});
        match self.call("$echo", word.clone()).await {
            Ok(answer) if answer == word => Ok(()),
            Ok(answer) => Err(format!("$echo gave {answer} for {word}")),
            Err(failure) => Err(format!("no longer serves: {failure}")),
        }
    }
}

/// Runs one check; one that takes too long has failed.
async fn check(
    checks: &mut Vec<Check>,
    name: &'static str,
    asks: &'static str,
    within: Duration,
    work: impl Future<Output = Result<Finding, String>>,
) {
    let since = Instant::now();
    let finding = match timeout(within, work).await {
        Ok(Ok(finding)) => finding,
        Ok(Err(why)) => Finding::Fail(why),
        Err(_) => Finding::Fail(format!("did not end within {} s", within.as_secs())),
    };
    checks.push(Check { name, asks, finding, ms: since.elapsed().as_millis() as u64 });
}

/// A check that passed and has nothing to add.
fn pass() -> Result<Finding, String> {
    Ok(Finding::Pass(String::new()))
}

fn skip(why: &str) -> Result<Finding, String> {
    Ok(Finding::Skip(why.to_owned()))
}
