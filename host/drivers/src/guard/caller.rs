//! Calls a driver, whichever of its workers serves at the time.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use onealert_plugin_api::document::Failure;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::Shared;
use crate::process::Worker;

/// Calls one driver.
pub(crate) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) id: String,
}

impl Caller {
    /// Calls the driver. With an activation the call is sent once more if the worker ended under it; a worker that was never
    /// asked costs no call, however often that happens.
    pub async fn call(
        &self,
        op: &str,
        activation: Option<String>,
        deadline: Duration,
        body: Value,
    ) -> Result<Value, Failure> {
        let until = Instant::now() + deadline;
        let grace = self.shared.around.timings.grace;
        let mut again = activation.is_some();
        loop {
            let worker = self.worker(until).await?;
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match worker.call(op, activation.clone(), left, grace, body.clone()).await {
                Err(failure)
                    if Instant::now() < until && (not_asked(&failure) || (failure.code == "restarted" && again)) =>
                {
                    again &= not_asked(&failure);
                    // The worker that ended is still the current one until the guard has noticed.
                    let mut current = self.shared.current.subscribe();
                    let gone =
                        |held: &Option<Arc<Worker>>| !held.as_ref().is_some_and(|held| Arc::ptr_eq(held, &worker));
                    let _ = timeout(left, current.wait_for(gone)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn worker(&self, until: Instant) -> Result<Arc<Worker>, Failure> {
        let mut current = self.shared.current.subscribe();
        if let Some(worker) = current.borrow().clone() {
            return Ok(worker);
        }
        self.shared.needed.notify_one();
        let there = timeout(until.saturating_duration_since(Instant::now()), current.wait_for(Option::is_some)).await;
        match there {
            Ok(Ok(worker)) => Ok(worker.clone().expect("waited until there is one")),
            _ => {
                let status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let why = status.last_error.or(status.last_end).unwrap_or_else(|| "it is still starting".to_owned());
                Err(Failure::new("not_running", format!("the driver {} is not running: {why}", self.id)))
            }
        }
    }
}

/// Whether the worker has done nothing of what it refuses: it is being replaced, or has ended without the guard's notice.
fn not_asked(failure: &Failure) -> bool {
    ["stopping", "gone"].contains(&failure.code.as_str())
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
        sync::Mutex,
    };

    use onealert_plugin_api::document::{Outcome, ToHost};
    use serde_json::json;
    use tokio::sync::{Notify, mpsc, watch};

    use super::{super::Surroundings, *};
    use crate::{
        DriverState, DriverStatus, Timings,
        files::Files,
        frame::{self, CONTROL, DOCUMENT},
        worker::FromWorker,
    };

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A real process in a worker's place: says hello, then does what the script says. `$0` is the folder.
    async fn worker(folder: &Path, then: &str) -> Arc<Worker> {
        let program = (PathBuf::from("/bin/sh"), vec!["-c".to_owned(), format!("cat $0/hello >&0; {then}")]);
        let started = Worker::start(&program, folder, PATIENCE, mpsc::unbounded_channel().0).await;
        started.expect("says hello").0
    }

    /// What a guard shares while this worker serves.
    fn serving(folder: &Path, worker: Arc<Worker>) -> Arc<Shared> {
        let around = Surroundings {
            files: Files::open(folder).expect("a folder"),
            trust: watch::channel(Arc::default()).1,
            proven: Arc::default(),
            state: folder.to_owned(),
            worker: (PathBuf::new(), Vec::new()),
            timings: Timings::default(),
            events: mpsc::unbounded_channel().0,
        };
        let status = DriverStatus {
            id: "x.horn".to_owned(),
            version: "1.0.0".to_owned(),
            sha256: String::new(),
            state: DriverState::Running,
            restarts: 0,
            last_end: None,
            last_error: None,
            since_ms: 0,
            pid: None,
        };
        let (status, current) = (Mutex::new(status), watch::Sender::new(Some(worker)));
        Arc::new(Shared { around, status, lines: Mutex::default(), current, needed: Notify::new() })
    }

    #[tokio::test]
    async fn a_worker_that_ended_before_it_was_asked_costs_no_call() {
        let folder = tempfile::tempdir().expect("a folder");
        let manifest =
            json!({"format": 1, "id": "x.horn", "vendor": "X", "name": "Horn", "version": "1.0.0", "api": "1.0"});
        let description = json!({"manifest": manifest, "capabilities": [], "settings_schema": {}});
        let hello = serde_json::to_vec(&FromWorker::Hello { description }).expect("plain data");
        let reply = ToHost::Reply { id: 1, outcome: Outcome::Ok(json!("here")) };
        let reply = serde_json::to_vec(&reply).expect("plain data");
        fs::write(folder.path().join("hello"), frame::encode(CONTROL, &hello)).expect("written");
        fs::write(folder.path().join("reply"), frame::encode(DOCUMENT, &reply)).expect("written");
        let ended = worker(folder.path(), "exit 3").await;
        ended.ended().await;
        let answers = "head -c 1 > $0/asked; cat $0/reply >&0; exec sleep 600";
        let living = worker(folder.path(), answers).await;
        // The guard has not yet noticed the end when the call comes.
        let caller = Caller { shared: serving(folder.path(), ended), id: "x.horn".to_owned() };
        let (answer, ()) = tokio::join!(caller.call("$echo", None, PATIENCE, Value::Null), async {
            caller.shared.current.send_replace(Some(living));
        });
        assert_eq!(answer, Ok(json!("here")));
    }
}
