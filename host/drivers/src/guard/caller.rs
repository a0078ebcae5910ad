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
    /// Calls the driver. With an activation the call is sent once more if the worker ended under it.
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
                // A worker that is being replaced has done nothing of what it refuses.
                Err(failure)
                    if Instant::now() < until
                        && (failure.code == "stopping" || (failure.code == "restarted" && again)) =>
                {
                    again &= failure.code == "stopping";
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
