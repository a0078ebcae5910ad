//! What became of the endpoints: drivers' results, failures, and what another activation took; told to the core as it comes.

use onealert_core::activation::EndpointState;
use onealert_plugin_api::document::{Delivered, DeliveredState, RtpDestination};

use super::{INTERRUPTED, claims::Thing, run::Delivery, voice::address};
use crate::drive::Happened;

impl Delivery {
    /// Takes results in. Those of endpoints that are heard wait for the end of the audio, failures excepted.
    pub(super) fn results(&mut self, results: Vec<Delivered>) {
        let mut ready = Vec::new();
        for result in results {
            let named = self.order.content.endpoints.iter().position(|id| id.as_str() == result.endpoint);
            let Some(index) = named.map(|index| index as u32).filter(|index| self.begun.contains(index)) else {
                tracing::warn!(endpoint = result.endpoint, "a driver reports an endpoint that it was not asked for");
                continue;
            };
            let state = match result.state {
                DeliveredState::Acked { note } => EndpointState::Acked { note },
                DeliveredState::Failed { reason } => fail(reason),
            };
            if self.heard_at.contains_key(&index) && matches!(state, EndpointState::Acked { .. }) {
                self.time(index, &state);
                self.kept.insert(index, state);
            } else {
                ready.push((index, state));
            }
        }
        self.report(ready);
    }

    /// Those of the endpoints that have no result yet fail.
    pub(super) fn missing(&mut self, indexes: &[u32], reason: &str) {
        let without = |index: &&u32| !self.done.contains(*index) && !self.kept.contains_key(*index);
        let missing: Vec<_> = indexes.iter().filter(without).map(|index| (*index, fail(reason))).collect();
        self.report(missing);
    }

    /// Another activation took something.
    pub(super) fn lost(&mut self, thing: &Thing, by: &str) {
        let indexes: Vec<u32> = match thing {
            Thing::Endpoint(id) => self
                .order
                .content
                .endpoints
                .iter()
                .position(|known| known == id)
                .map(|index| index as u32)
                .into_iter()
                .collect(),
            Thing::Rtp(lost) => {
                let uses = |rtp: &Vec<RtpDestination>| rtp.iter().any(|rtp| address(rtp) == *lost);
                self.heard_at.iter().filter(|(_, rtp)| uses(rtp)).map(|(index, _)| *index).collect()
            }
        };
        for index in &indexes {
            if self.heard_at.remove(index).is_some() {
                self.tools.sound.leave(self.order.content.id, u64::from(*index));
            }
            self.await_audio.remove(index);
            self.kept.remove(index);
        }
        let reason = format!("{INTERRUPTED} the more urgent or newer notification {by:?}");
        self.report(indexes.into_iter().map(|index| (index, fail(reason.as_str()))).collect());
    }

    /// Tells the core about final results; an endpoint's first final result counts.
    pub(super) fn report(&mut self, states: Vec<(u32, EndpointState)>) {
        let states: Vec<_> = states.into_iter().filter(|(index, _)| self.done.insert(*index)).collect();
        states.iter().for_each(|(index, state)| self.time(*index, state));
        self.tell_progress(states);
    }

    /// Notes when an endpoint had its result: the moment at which it came, not the one at which the core is told.
    fn time(&self, index: u32, state: &EndpointState) {
        let (id, times) = (self.order.content.id, &self.tools.times);
        let after_ms = self.order.accepted.elapsed().as_millis() as u64;
        match state {
            EndpointState::Acked { .. } => times.reached(id, index, after_ms),
            EndpointState::Failed { .. } => times.failed(id, index, after_ms),
            EndpointState::Pending | EndpointState::Sent => {}
        }
    }

    pub(super) fn tell_progress(&self, states: Vec<(u32, EndpointState)>) {
        if states.is_empty() {
            return;
        }
        let (activation, attempt) = (self.order.content.id, self.order.attempt);
        let _ = self.tools.report.send(Happened::Progress { activation, attempt, states });
    }
}

/// It did not work, and why.
pub(super) fn fail(reason: impl Into<String>) -> EndpointState {
    EndpointState::Failed { reason: reason.into() }
}
