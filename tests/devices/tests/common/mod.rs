//! What the driver's tests share: a driver behind a fake host, and short ways to say what is wanted.
#![allow(dead_code)] // each test program uses its own part

use std::{sync::Arc, time::Duration};

use devices::AlgoSim;
use onealert_plugin_api::{
    document::{
        Activation, Delivered, DeliveredState, Desired, End, EndpointStatus, Event, Health, Prepared, PreparedState,
        Priority, Probe, Target,
    },
    driver::Driver,
    fake_host::FakeHost,
};
use plugin_algo::{
    Algo,
    settings::{Endpoint, Settings},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything a healthy machine needs, short enough that a failing test ends.
pub const LONG: Duration = Duration::from_secs(60);

/// A driver and its host.
pub struct Rig {
    pub host: FakeHost,
    pub driver: Arc<Algo>,
    folder: Arc<TempDir>,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(json!({}))
    }

    /// A driver with these settings.
    pub fn with(settings: Value) -> Rig {
        Rig::open(settings, Arc::new(TempDir::new().expect("a folder for the driver's files")))
    }

    /// The driver again, as after a restart: its files are still there.
    pub fn restarted(self) -> Rig {
        let Rig { driver, folder, .. } = self;
        drop(driver);
        Rig::open(json!({}), folder)
    }

    /// Driver and devices share a thread: where the machine stands still, neither is to give up for it.
    fn open(mut settings: Value, folder: Arc<TempDir>) -> Rig {
        settings.as_object_mut().expect("settings are an object").entry("deadline_ms").or_insert(json!(10_000));
        let settings: Settings = serde_json::from_value(settings).expect("the test's settings are right");
        let host = FakeHost::new(folder.path());
        let driver = Arc::new(Algo::open(host.host(), settings).expect("the driver opens"));
        Rig { host, driver, folder }
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub async fn look_after(&self, endpoints: &[Target<Endpoint>]) {
        let desired = Desired { endpoints: endpoints.to_vec(), triggers: Vec::new() };
        self.driver.clone().desired(desired).await.expect("desired state is taken");
    }

    pub async fn prepare(&self, activation: &Activation<Endpoint>) -> Vec<Prepared> {
        self.driver.clone().prepare(activation.clone()).await.expect("prepare answers")
    }

    /// What became of the only endpoint of this activation; told late where a busy machine could not ask its device in time.
    pub async fn prepared(&self, activation: &Activation<Endpoint>) -> Prepared {
        let at_once = self.prepare(activation).await.remove(0);
        if !matches!(at_once.state, PreparedState::Later { .. }) {
            return at_once;
        }
        let late = |host: &FakeHost| {
            host.events().into_iter().find_map(|event| match event {
                Event::Prepared { activation: id, mut prepared } if id == activation.id => prepared.pop(),
                _ => None,
            })
        };
        self.host.wait_for(LONG, |host| late(host).is_some()).await;
        late(&self.host).unwrap_or(at_once)
    }

    pub async fn begin(&self, activation: &Activation<Endpoint>) -> Vec<Delivered> {
        let mut all = self.driver.clone().begin(activation.clone()).await.expect("begin answers");
        all.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
        all
    }

    pub async fn end(&self, activation: &Activation<Endpoint>) {
        let end =
            End { id: activation.id.clone(), reason: "finished".to_owned(), endpoints: activation.endpoints.clone() };
        self.driver.clone().end(end).await.expect("end answers");
    }

    pub async fn probe(&self, target: &Target<Endpoint>) -> EndpointStatus {
        let probe = Probe { endpoints: vec![target.clone()] };
        self.driver.clone().probe(probe).await.expect("probe answers").remove(0)
    }

    /// Waits until the host was told this of an endpoint.
    pub async fn hears(&self, endpoint: &str, health: Health, words: &str) -> bool {
        let fits = |event: &Event| {
            matches!(event, Event::EndpointStatus(status)
                if status.endpoint == endpoint && status.health == health && status.detail.contains(words))
        };
        self.host.wait_for(LONG, |host| host.events().iter().any(fits)).await
    }
}

/// An endpoint at this simulated device; `more` are further fields.
pub fn endpoint(sim: &AlgoSim, key: &str, what: &str, more: Value) -> Target<Endpoint> {
    let mut fields = json!({
        "host": sim.addr().ip().to_string(),
        "port": sim.addr().port(),
        "password": "algo",
        "what": what,
    });
    fields.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let address = serde_json::from_value(fields).expect("the test's endpoint is right");
    Target { endpoint: key.to_owned(), name: key.to_owned(), address }
}

/// An announcement to these endpoints.
pub fn activation(id: &str, priority: Priority, endpoints: &[Target<Endpoint>]) -> Activation<Endpoint> {
    Activation {
        id: id.to_owned(),
        attempt: 0,
        priority,
        title: "Tornado warning".to_owned(),
        body: "Go to the shelter".to_owned(),
        has_audio: true,
        audio_ms: Some(4000),
        endpoints: endpoints.to_vec(),
    }
}

/// The note of an endpoint that has it.
pub fn note(delivered: &Delivered) -> &str {
    match &delivered.state {
        DeliveredState::Acked { note } => note,
        DeliveredState::Failed { reason } => panic!("{} failed: {reason}", delivered.endpoint),
    }
}

/// The reason of an endpoint that has it not.
pub fn reason(delivered: &Delivered) -> &str {
    match &delivered.state {
        DeliveredState::Failed { reason } => reason,
        DeliveredState::Acked { note } => panic!("{} is said to have it: {note}", delivered.endpoint),
    }
}

/// Why an endpoint cannot be sent to.
pub fn refusal(prepared: &Prepared) -> &str {
    match &prepared.state {
        PreparedState::Failed { reason } | PreparedState::Later { reason } => reason,
        PreparedState::Ready { rtp } => panic!("{} is said to be ready at {rtp:?}", prepared.endpoint),
    }
}

/// Where an endpoint's audio goes.
pub fn destinations(prepared: &Prepared) -> Vec<String> {
    match &prepared.state {
        PreparedState::Ready { rtp } => rtp.iter().map(|to| format!("{}:{}", to.address, to.port)).collect(),
        PreparedState::Failed { reason } | PreparedState::Later { reason } => {
            panic!("{} is not ready: {reason}", prepared.endpoint)
        }
    }
}

pub const START_TONE: &str = "/api/controls/tone/start";
pub const START_STROBE: &str = "/api/controls/strobe/start";

/// How many commands, as against questions, a device was sent, carried out or not.
pub fn commands(sim: &AlgoSim) -> usize {
    sim.log().iter().filter(|entry| entry.method != "GET").count()
}
