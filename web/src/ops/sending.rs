//! Sending and stopping: on every server, secondaries too.

use onealert_core::ids::{ActivationId, NotificationId, TriggerId};

use crate::{caller::Caller, needs::*, roles::Action};

impl Caller {
    /// Sends a notification.
    pub async fn send(
        &self,
        notification: NotificationId,
        idempotency_key: Option<String>,
    ) -> Result<Accepted, Problem> {
        self.require(Action::Send)?;
        if idempotency_key.as_ref().is_some_and(|key| key.is_empty() || key.len() > 200) {
            return Err(Problem::bad_request("The Idempotency-Key must have 1 to 200 characters."));
        }
        self.needs.send(self.actor(), SendRequest { notification, idempotency_key }).await
    }

    /// Sets off a trigger.
    pub async fn post_event(&self, trigger: TriggerId, event: EventIn) -> Result<Accepted, Problem> {
        self.require(Action::Send)?;
        self.needs.post_event(self.actor(), trigger, event).await
    }

    /// Stops one activation.
    pub async fn stop(&self, activation: ActivationId) -> Result<(), Problem> {
        self.require(Action::Send)?;
        self.needs.stop(self.actor(), activation).await
    }

    /// Stops everything.
    pub async fn stop_all(&self) -> Result<u32, Problem> {
        self.require(Action::Send)?;
        self.needs.stop_all(self.actor()).await
    }
}
