//! What a worker says by itself: lines for the log, events, and requests that the server answers.

use std::sync::{Arc, Weak};

use onealert_plugin_api::document::{Event, Failure, Outcome, ToHost};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use crate::{
    DriverEvent,
    process::{Said, Worker},
};

/// Passes on what a worker says.
pub(super) async fn listen(
    shared: Arc<Shared>,
    id: String,
    worker: Weak<Worker>,
    mut heard: mpsc::UnboundedReceiver<Said>,
) {
    while let Some(said) = heard.recv().await {
        match said {
            Said::Printed(line) => tracing::info!(driver = id, "{line}"),
            Said::Document(ToHost::Log { level, message, fields }) => {
                let fields = if fields.is_empty() { String::new() } else { format!(" {}", Value::from_iter(fields)) };
                match level.as_str() {
                    "error" => tracing::error!(driver = id, "{message}{fields}"),
                    "warn" => tracing::warn!(driver = id, "{message}{fields}"),
                    "info" => tracing::info!(driver = id, "{message}{fields}"),
                    _ => tracing::debug!(driver = id, "{message}{fields}"),
                }
                if matches!(level.as_str(), "error" | "warn") {
                    shared.note(true, message);
                }
            }
            Said::Document(ToHost::Event(event)) => {
                if let Event::Record(record) = &event {
                    shared.note(false, format!("{}: {}, {}", record.subject, record.verdict, record.reason));
                }
                let _ = shared.around.events.send(DriverEvent::Event { id: id.clone(), event });
            }
            Said::Document(ToHost::Request { id: request, op, body }) => {
                let (answer, answered) = oneshot::channel();
                let _ = shared.around.events.send(DriverEvent::Request { id: id.clone(), op, body, answer });
                let worker = worker.clone();
                tokio::spawn(async move {
                    let given_up = || Failure::new("refused", "the server gave no answer");
                    let outcome = answered.await.unwrap_or_else(|_| Outcome::Err(given_up()));
                    if let Some(worker) = worker.upgrade() {
                        worker.answer(request, outcome);
                    }
                });
            }
            Said::Document(_) => {}
        }
    }
}
