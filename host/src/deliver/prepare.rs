//! Who can be sent to: drivers prepare their endpoints, all at once; those that are late join what has begun.

use std::{collections::BTreeMap, sync::PoisonError};

use onealert_core::{activation::EndpointState, ids::DriverId};
use onealert_plugin_api::document::{Prepared, PreparedState};

use super::{
    Word,
    claims::{Claimed, Holder, Thing},
    results::fail,
    run::{Delivery, PREPARE_DEADLINE, Step},
    voice::Voice,
};

impl Delivery {
    /// Asks every driver concerned to prepare, and begins to render the sound.
    pub(super) fn open(&mut self) {
        let mut by_driver: BTreeMap<DriverId, Vec<u32>> = BTreeMap::new();
        let mut failed = Vec::new();
        for index in 0..self.order.content.endpoints.len() as u32 {
            match self.order.states.get(index as usize) {
                Some(EndpointState::Acked { .. }) => {
                    // A predecessor switched it on; this server switches it off.
                    self.begun.insert(index);
                    self.inherited.insert(index);
                    self.done.insert(index);
                    continue;
                }
                Some(EndpointState::Failed { .. }) => {
                    self.done.insert(index);
                    continue;
                }
                Some(EndpointState::Pending | EndpointState::Sent) | None => {}
            }
            match self.payload.targets.get(index as usize).and_then(|target| target.driver.clone()) {
                Some(driver) => match self.address(index) {
                    Ok(_) => by_driver.entry(driver).or_default().push(index),
                    Err(lost) => failed.push((index, fail(lost.to_string()))),
                },
                None => failed.push((index, fail("the endpoint has no driver; it may have been deleted"))),
            }
        }
        self.report(failed);
        for (driver, indexes) in by_driver {
            let indexes = self.claim_endpoints(indexes);
            if indexes.is_empty() {
                continue;
            }
            let body = self.activation(&indexes, !matches!(self.voice, Voice::Silent));
            let call = self.call::<_, Vec<Prepared>>(&driver, "prepare", PREPARE_DEADLINE, &body);
            self.preparing += 1;
            self.steps.spawn(async move { Step::Prepared(driver, indexes, call.await) });
        }
        if matches!(self.voice, Voice::Rendering) {
            if self.preparing == 0 {
                self.voice = Voice::Silent;
                return;
            }
            let (sound, payload) = (self.tools.sound.clone(), self.payload.clone());
            self.steps.spawn(async move {
                let rendered = tokio::task::spawn_blocking(move || sound.render(&payload)).await;
                Step::Rendered(rendered.unwrap_or_else(|error| Err(format!("the audio renderer ended: {error}"))))
            });
        }
    }

    /// Keeps those of the endpoints that no more urgent activation holds.
    pub(super) fn claim_endpoints(&mut self, indexes: Vec<u32>) -> Vec<u32> {
        let (mut mine, mut busy) = (Vec::new(), Vec::new());
        for index in indexes {
            let thing = Thing::Endpoint(self.order.content.endpoints[index as usize].clone());
            match self.claim(thing) {
                Ok(()) => mine.push(index),
                Err(reason) => busy.push((index, fail(reason))),
            }
        }
        self.report(busy);
        mine
    }

    /// Claims a thing, and tells the one from whom it was taken.
    pub(super) fn claim(&self, thing: Thing) -> Result<(), String> {
        let content = &self.order.content;
        let by = Holder { activation: content.id, priority: content.priority, name: content.name.clone() };
        let claimed = self.tools.claims.lock().unwrap_or_else(PoisonError::into_inner).claim(thing.clone(), &by);
        match claimed {
            Claimed::Free => Ok(()),
            Claimed::TakenFrom(before) => {
                self.tools.tell(before.activation, Word::Lost(thing, content.name.clone()));
                Ok(())
            }
            Claimed::Busy(holder) => Err(format!("busy with the more urgent notification {:?}", holder.name)),
        }
    }

    /// Sorts a driver's endpoints: those without audio begin at once, the others wait for it.
    pub(super) fn prepared(&mut self, driver: &DriverId, indexes: &[u32], answers: Vec<Prepared>) {
        let mut answers: BTreeMap<String, PreparedState> =
            answers.into_iter().map(|answer| (answer.endpoint, answer.state)).collect();
        let (mut at_once, mut failed) = (Vec::new(), Vec::new());
        let in_vain = match &self.voice {
            Voice::Silent => Some("no audio could be made"),
            Voice::Over => Some("it was ready only after the audio had ended"),
            _ => None,
        };
        for &index in indexes {
            let mut state = answers.remove(self.order.content.endpoints[index as usize].as_str());
            if matches!(state, Some(PreparedState::Later { .. })) {
                state = self.early.remove(&index).or(state);
            }
            match state {
                Some(PreparedState::Ready { rtp }) if rtp.is_empty() => at_once.push(index),
                Some(PreparedState::Ready { rtp }) => match in_vain {
                    Some(reason) => failed.push((index, fail(reason))),
                    None => match self.tools.sound.placed(rtp) {
                        Ok(rtp) => {
                            self.heard_at.insert(index, rtp);
                            self.await_audio.insert(index);
                        }
                        Err(reason) => failed.push((index, fail(reason))),
                    },
                },
                Some(PreparedState::Later { reason }) => {
                    self.late.insert(index, reason);
                }
                Some(PreparedState::Failed { reason }) => failed.push((index, fail(reason))),
                None => failed.push((index, fail("the driver gave no answer for this endpoint"))),
            }
        }
        self.report(failed);
        self.begin(driver, at_once, false);
        if matches!(self.voice, Voice::Playing(_)) {
            self.join_late();
        }
    }

    /// Takes in what a driver says later of endpoints that were not ready when it was asked.
    pub(super) fn prepared_late(&mut self, answers: Vec<Prepared>) {
        let mut by_driver: BTreeMap<DriverId, (Vec<u32>, Vec<Prepared>)> = BTreeMap::new();
        for answer in answers {
            let named = self.order.content.endpoints.iter().position(|id| id.as_str() == answer.endpoint);
            let Some(index) = named.map(|index| index as u32) else {
                tracing::warn!(endpoint = answer.endpoint, "a driver prepares an endpoint that it was not asked for");
                continue;
            };
            if self.late.remove(&index).is_none() {
                if self.preparing > 0 {
                    self.early.insert(index, answer.state);
                }
                continue;
            }
            let driver = self.payload.targets[index as usize].driver.clone();
            let of_driver = by_driver.entry(driver.expect("only endpoints with a driver are prepared")).or_default();
            of_driver.0.push(index);
            of_driver.1.push(answer);
        }
        for (driver, (indexes, answers)) in by_driver {
            self.prepared(&driver, &indexes, answers);
        }
    }

    /// Waits no longer for those that are not ready.
    pub(super) fn give_up_late(&mut self) {
        let late = std::mem::take(&mut self.late);
        self.report(late.into_iter().map(|(index, reason)| (index, fail(reason))).collect());
    }
}
