//! What drivers are asked: the documents of `prepare`, `begin` and `end`, and the calls that carry them.

use std::{collections::BTreeMap, sync::PoisonError, time::Duration};

use onealert_core::{
    activation::EndpointState,
    config::{Priority, Table},
    effect::HaltReason,
    ids::DriverId,
};
use onealert_plugin_api::document::{Activation, Delivered, End, Failure, Priority as Urgency, Target};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    claims::Thing,
    run::{BEGIN_DEADLINE, Delivery, END_DEADLINE, Step},
    voice::Voice,
};
use crate::seal::{Row, Unopened};

impl Delivery {
    pub(super) fn begin(&mut self, driver: &DriverId, indexes: Vec<u32>, has_audio: bool) {
        if indexes.is_empty() {
            return;
        }
        self.begun.extend(&indexes);
        self.tell_progress(indexes.iter().map(|index| (*index, EndpointState::Sent)).collect());
        let body = self.activation(&indexes, has_audio);
        let call = self.call::<_, Vec<Delivered>>(driver, "begin", BEGIN_DEADLINE, &body);
        self.steps.spawn(async move { Step::Began(indexes, call.await) });
    }

    /// Switches off what was switched on, but for what another activation has taken since.
    pub(super) async fn close(mut self, halted: Option<HaltReason>) {
        self.hush();
        if matches!(halted, Some(HaltReason::Yielded | HaltReason::HandedOver)) {
            // The server with the higher claim ends what was begun; unicast deliveries that run may finish.
            return;
        }
        let reason = match halted {
            None => "finished",
            Some(HaltReason::Stopped) => "stopped",
            Some(HaltReason::Over) => "ended by another server",
            Some(HaltReason::Expired) => "expired",
            Some(HaltReason::Retired) => "the server was deprovisioned",
            Some(HaltReason::Yielded | HaltReason::HandedOver) => "yielded",
        };
        let mut by_driver: BTreeMap<DriverId, Vec<u32>> = BTreeMap::new();
        {
            let claims = self.tools.claims.lock().unwrap_or_else(PoisonError::into_inner);
            for index in &self.begun {
                let endpoint = Thing::Endpoint(self.order.content.endpoints[*index as usize].clone());
                let driver = self.payload.targets.get(*index as usize).and_then(|target| target.driver.clone());
                let mine = match claims.holder(&endpoint) {
                    Some(holder) => holder.activation == self.order.content.id,
                    // A server before this one held it.
                    None => self.inherited.contains(index),
                };
                if let (Some(driver), true) = (driver, mine) {
                    by_driver.entry(driver).or_default().push(*index);
                }
            }
        }
        self.steps.abort_all();
        let mut ends = JoinSet::new();
        for (driver, indexes) in by_driver {
            let body = End {
                id: self.order.content.id.to_string(),
                reason: reason.to_owned(),
                endpoints: self.targets(&indexes),
            };
            let call = self.call::<_, Value>(&driver, "end", END_DEADLINE, &body);
            ends.spawn(async move { (driver, call.await) });
        }
        while let Some(ended) = ends.join_next().await {
            if let Ok((driver, Err(failure))) = ended {
                tracing::warn!(%driver, activation = %self.order.content.id, "end: {failure}");
            }
        }
    }

    pub(super) fn activation(&self, indexes: &[u32], has_audio: bool) -> Activation {
        Activation {
            id: self.order.content.id.to_string(),
            attempt: self.order.attempt,
            priority: match self.order.content.priority {
                Priority::Music => Urgency::Music,
                Priority::Bell => Urgency::Bell,
                Priority::Page => Urgency::Page,
                Priority::Alert => Urgency::Alert,
                Priority::Emergency => Urgency::Emergency,
            },
            title: self.payload.title.clone(),
            body: self.payload.body.clone(),
            has_audio,
            audio_ms: match &self.voice {
                Voice::Ready(audio) | Voice::Listening(audio) => Some(audio.duration_ms()),
                _ => None,
            },
            endpoints: self.targets(indexes),
        }
    }

    /// The endpoints as their driver knows them. One whose secret does not open is left out; it has failed already.
    pub(super) fn targets(&self, indexes: &[u32]) -> Vec<Target> {
        let target = |index: &u32| {
            let name = self.payload.targets[*index as usize].name.clone();
            let endpoint = self.order.content.endpoints[*index as usize].to_string();
            Some(Target { endpoint, name, address: self.address(*index).ok()? })
        };
        indexes.iter().filter_map(target).collect()
    }

    /// Where and how an endpoint is reached, its secrets opened.
    pub(super) fn address(&self, index: u32) -> Result<Value, Unopened> {
        let endpoint = &self.order.content.endpoints[index as usize];
        let row = Row { table: Table::Endpoints, key: endpoint.as_str() };
        self.tools.seal.open(row, &self.payload.targets[index as usize].address)
    }

    pub(super) fn call<B: Serialize, A: DeserializeOwned>(
        &self,
        driver: &DriverId,
        op: &'static str,
        deadline: Duration,
        body: &B,
    ) -> impl Future<Output = Result<A, Failure>> + Send + use<B, A> {
        let body = serde_json::to_value(body).expect("operations are plain data with text keys");
        let (drivers, driver) = (self.tools.drivers.clone(), driver.to_string());
        let activation = self.order.content.id.to_string();
        async move {
            let answer = drivers.call(&driver, op, Some(activation), deadline, body).await?;
            let bad = |error| Failure::new("bad_document", format!("{driver} answered {op} with {error}"));
            serde_json::from_value(answer).map_err(bad)
        }
    }
}
