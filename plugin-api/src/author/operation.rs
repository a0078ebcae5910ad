//! From an operation's word and document to the driver's method, and back to a document.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{Shared, settings};
use crate::{
    capability,
    document::{
        Activation, Call, Delivered, DeliveredState, Desired, End, EndpointStatus, Event, Failure, Health, HttpRequest,
        Prepared, PreparedState, Probe, SettingsCheck, SettingsMigrate, Target, Watch,
    },
    driver::Driver,
    host::HostSide,
};

/// Does what the call asks for.
pub(super) async fn perform<D: Driver>(shared: &Shared<D>, call: Call) -> Result<Value, Failure> {
    let Call { op, body, .. } = call;
    // These need no driver. Words with a dollar sign are the conformance kit's.
    match op.as_str() {
        "$echo" => return Ok(body),
        "$panic" => panic!("asked to panic by the operation $panic"),
        "$log" => {
            tracing::info!(asked = %body, "asked to log by the operation $log");
            return Ok(Value::Null);
        }
        "$wait" => {
            let milliseconds = body.get("ms").and_then(Value::as_u64).unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            return Ok(Value::Null);
        }
        "settings.check" => {
            let asked: SettingsCheck = read(&op, body)?;
            let problems = match settings::read_strictly::<D>(&asked.settings) {
                Ok(settings) => D::check(&settings),
                Err(problems) => problems,
            };
            return answer(&problems);
        }
        "settings.migrate" => {
            let asked: SettingsMigrate = read(&op, body)?;
            return D::migrate(&asked.from, asked.value);
        }
        _ => {}
    }
    let needed = match op.as_str() {
        "desired" | "self_test" => None,
        "prepare" => Some(capability::PREPARE),
        "begin" | "end" => Some(capability::DELIVER),
        "update" => Some(capability::UPDATE),
        "probe" => Some(capability::PROBE),
        "http" => Some(capability::HTTP),
        _ => return Err(Failure::new("unsupported", format!("this driver does not know the operation {op}"))),
    };
    if let Some(word) = needed.filter(|word| !D::CAPABILITIES.contains(word)) {
        return Err(Failure::new("unsupported", format!("this driver does not offer {word}")));
    }
    let Some(driver) = shared.driver.clone() else {
        return Err(Failure::new("refused", format!("{op}: the driver was opened without settings")));
    };
    match op.as_str() {
        "desired" => {
            let desired: Desired = read(&op, body)?;
            let (endpoints, wrong) = typed_targets(desired.endpoints);
            for (endpoint, reason) in wrong {
                shared.link.event(Event::EndpointStatus(EndpointStatus {
                    endpoint,
                    health: Health::Error,
                    detail: reason,
                }));
            }
            let triggers = typed_triggers(shared, desired.triggers);
            answer(&driver.desired(Desired { endpoints, triggers }).await?)
        }
        "prepare" => {
            let (activation, wrong) = typed_activation(read(&op, body)?);
            let mut prepared =
                if activation.endpoints.is_empty() { Vec::new() } else { driver.prepare(activation).await? };
            prepared.extend(
                wrong
                    .into_iter()
                    .map(|(endpoint, reason)| Prepared { endpoint, state: PreparedState::Failed { reason } }),
            );
            answer(&prepared)
        }
        "begin" => shared.begun.once(body, |body| begin(driver, body)).await,
        "update" => answer(&driver.update(typed_activation(read(&op, body)?).0).await?),
        "end" => {
            let end: End = read(&op, body)?;
            shared.begun.forget(&end.id);
            let endpoints = typed_targets(end.endpoints).0;
            answer(&driver.end(End { id: end.id, reason: end.reason, endpoints }).await?)
        }
        "probe" => {
            let probe: Probe = read(&op, body)?;
            let (endpoints, wrong) = typed_targets(probe.endpoints);
            let mut statuses =
                if endpoints.is_empty() { Vec::new() } else { driver.probe(Probe { endpoints }).await? };
            statuses.extend(wrong.into_iter().map(|(endpoint, detail)| EndpointStatus {
                endpoint,
                health: Health::Error,
                detail,
            }));
            answer(&statuses)
        }
        "http" => {
            let request: HttpRequest = read(&op, body)?;
            answer(&driver.http(request).await?)
        }
        _ => answer(&driver.self_test().await?),
    }
}

async fn begin<D: Driver>(driver: Arc<D>, body: Value) -> Result<Vec<Delivered>, Failure> {
    let (activation, wrong) = typed_activation(read("begin", body)?);
    let mut delivered = if activation.endpoints.is_empty() { Vec::new() } else { driver.begin(activation).await? };
    delivered.extend(
        wrong.into_iter().map(|(endpoint, reason)| Delivered { endpoint, state: DeliveredState::Failed { reason } }),
    );
    Ok(delivered)
}

/// What was begun, so that the same `begin` twice acts once and gives the same answer.
#[derive(Default)]
pub(super) struct Begun(Mutex<VecDeque<Memory>>);

struct Memory {
    body: Value,
    answer: Arc<OnceCell<Value>>,
}

/// How many are remembered. A repetition follows its original within seconds.
const REMEMBERED: usize = 64;

impl Begun {
    /// Runs `act` unless the same document is at work or has succeeded for every endpoint. A caller that comes while the
    /// first one works waits for the same answer; after a failure the next one acts again.
    async fn once<F>(&self, body: Value, act: impl FnOnce(Value) -> F) -> Result<Value, Failure>
    where
        F: Future<Output = Result<Vec<Delivered>, Failure>>,
    {
        let cell = self.cell(&body);
        let acting = async {
            let delivered = act(body).await.map_err(Partly::Failed)?;
            let all = delivered.iter().all(|one| matches!(one.state, DeliveredState::Acked { .. }));
            let value = answer(&delivered).map_err(Partly::Failed)?;
            if all { Ok(value) } else { Err(Partly::Some(value)) }
        };
        match cell.get_or_try_init(|| acting).await {
            Ok(value) => Ok(value.clone()),
            Err(Partly::Some(value)) => Ok(value),
            Err(Partly::Failed(failure)) => Err(failure),
        }
    }

    fn cell(&self, body: &Value) -> Arc<OnceCell<Value>> {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memories.iter().find(|memory| memory.body == *body) {
            return known.answer.clone();
        }
        if memories.len() == REMEMBERED {
            memories.pop_front();
        }
        let answer = Arc::<OnceCell<Value>>::default();
        memories.push_back(Memory { body: body.clone(), answer: answer.clone() });
        answer
    }

    fn forget(&self, activation: &str) {
        let mut memories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memories.retain(|memory| memory.body.get("id").and_then(Value::as_str) != Some(activation));
    }
}

/// An answer that is not remembered, because another try may do better.
enum Partly {
    /// Some endpoints failed.
    Some(Value),
    /// The call failed.
    Failed(Failure),
}

/// Endpoints whose address reads by the driver's type, and key and reason of the others: one wrong address must not
/// silence the rest.
fn typed_targets<E: DeserializeOwned>(targets: Vec<Target>) -> (Vec<Target<E>>, Vec<(String, String)>) {
    let mut typed = Vec::with_capacity(targets.len());
    let mut wrong = Vec::new();
    for Target { endpoint, name, address } in targets {
        match serde_json::from_value(address) {
            Ok(address) => typed.push(Target { endpoint, name, address }),
            Err(error) => wrong.push((endpoint, format!("address: {error}; correct the endpoint's address"))),
        }
    }
    (typed, wrong)
}

fn typed_activation<E: DeserializeOwned>(activation: Activation) -> (Activation<E>, Vec<(String, String)>) {
    let (endpoints, wrong) = typed_targets(activation.endpoints);
    let Activation { id, attempt, priority, title, body, has_audio, audio_ms, .. } = activation;
    (Activation { id, attempt, priority, title, body, has_audio, audio_ms, endpoints }, wrong)
}

fn typed_triggers<D: Driver>(shared: &Shared<D>, triggers: Vec<Watch>) -> Vec<Watch<D::Trigger>> {
    let mut typed = Vec::with_capacity(triggers.len());
    for Watch { trigger, name, settings } in triggers {
        match serde_json::from_value(settings) {
            Ok(settings) => typed.push(Watch { trigger, name, settings }),
            Err(error) => shared.link.event(Event::Record(crate::document::Record {
                subject: format!("settings of trigger {name}"),
                trigger: Some(trigger),
                verdict: "refused".to_owned(),
                reason: format!("{error}; it is not watched until its settings are corrected"),
            })),
        }
    }
    typed
}

fn read<T: DeserializeOwned>(op: &str, body: Value) -> Result<T, Failure> {
    serde_json::from_value(body).map_err(|error| Failure::new("bad_document", format!("{op}: {error}")))
}

fn answer(value: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::new("bad_document", format!("answer: {error}")))
}
