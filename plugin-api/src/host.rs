//! What a driver may ask of its host.

use std::{path::Path, sync::Arc};

use crate::document::{Delivered, EndpointStatus, Failure, Prepared, Record, TriggerAnswer, TriggerEvent};

/// The driver's way to its host; cheap to clone, usable from any task.
#[derive(Clone)]
pub struct Host {
    inner: Arc<dyn HostSide>,
}

/// What stands behind a [`Host`]: the worker's connection, or the fake host of a test.
pub(crate) trait HostSide: Send + Sync {
    /// Where the driver may keep files.
    fn state_dir(&self) -> &Path;
    /// Sends an event.
    fn event(&self, event: crate::document::Event);
    /// Sends a request and waits for its answer.
    fn request(
        &self,
        op: &'static str,
        body: serde_json::Value,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<serde_json::Value, Failure>> + Send + '_>>;
}

impl Host {
    pub(crate) fn new(inner: Arc<dyn HostSide>) -> Host {
        Host { inner }
    }

    /// A folder of the driver's own on this server, kept over restarts, not replicated. While the driver is replaced, by
    /// another version or for other settings, its old process and its new one both have it for a while.
    pub fn state_dir(&self) -> &Path {
        self.inner.state_dir()
    }

    /// Reports results of a running `begin` before it returns.
    pub fn delivered(&self, activation: &str, results: Vec<Delivered>) {
        self.inner.event(crate::document::Event::Delivered { activation: activation.to_owned(), results });
    }

    /// Says how endpoints are that `prepare` answered with [`PreparedState::Later`]: they join what has begun. What comes
    /// after the activation has ended is dropped.
    ///
    /// [`PreparedState::Later`]: crate::document::PreparedState::Later
    pub fn prepared(&self, activation: &str, prepared: Vec<Prepared>) {
        self.inner.event(crate::document::Event::Prepared { activation: activation.to_owned(), prepared });
    }

    /// Reports what is known of an endpoint.
    pub fn endpoint_status(&self, status: EndpointStatus) {
        self.inner.event(crate::document::Event::EndpointStatus(status));
    }

    /// Keeps what was seen and judged, so that an operator can ask why nothing was sent.
    pub fn record(&self, record: Record) {
        self.inner.event(crate::document::Event::Record(record));
    }

    /// Reports that something a trigger watches for has happened. When this returns without error the event is safe.
    ///
    /// # Errors
    /// The server did not take it (it drains, or could not store it): the text says why. Keep the event and try again.
    pub async fn trigger(&self, event: TriggerEvent) -> Result<TriggerAnswer, Failure> {
        let body = serde_json::to_value(event).expect("a trigger event is plain data with text keys");
        let answer = self.inner.request("trigger", body).await?;
        serde_json::from_value(answer)
            .map_err(|error| Failure::new("bad_document", format!("answer to a trigger event: {error}")))
    }
}
