//! A driver behind the functions of the binary interface, spoken to in documents as the worker does.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Emit, Take, describe, open};
use crate::{
    capability,
    document::{
        Activation, Delivered, DeliveredState, Desired, EndpointStatus, Failure, Health, Prepared, PreparedState,
        Probe, TriggerEvent,
    },
    driver::Driver,
    host::Host,
};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize, schemars::JsonSchema)]
struct Settings {
    #[schemars(range(max = 9))]
    zone: u16,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct Address {
    port: u16,
}

#[derive(Deserialize, schemars::JsonSchema)]
struct Match {
    code: String,
}

struct Horn {
    host: Host,
    begun: AtomicUsize,
    told: AtomicUsize,
}

impl Driver for Horn {
    type Settings = Settings;
    type Endpoint = Address;
    type Trigger = Match;
    const CAPABILITIES: &'static [&'static str] =
        &[capability::PREPARE, capability::DELIVER, capability::PROBE, capability::WATCH];

    fn open(host: Host, settings: Settings) -> Result<Horn, Failure> {
        assert_ne!(settings.zone, 7, "zone seven is a bug of the vendor");
        Ok(Horn { host, begun: AtomicUsize::new(0), told: AtomicUsize::new(0) })
    }

    async fn desired(self: Arc<Self>, desired: Desired<Address, Match>) -> Result<(), Failure> {
        let codes = desired.triggers.iter().filter(|watch| !watch.settings.code.is_empty()).count();
        self.told.store(desired.endpoints.len() * 10 + codes, Ordering::Relaxed);
        Ok(())
    }

    async fn prepare(self: Arc<Self>, activation: Activation<Address>) -> Result<Vec<Prepared>, Failure> {
        let ready = |endpoint| Prepared { endpoint, state: PreparedState::Ready { rtp: Vec::new() } };
        Ok(activation.endpoints.into_iter().map(|target| ready(target.endpoint)).collect())
    }

    async fn begin(self: Arc<Self>, activation: Activation<Address>) -> Result<Vec<Delivered>, Failure> {
        let count = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let state = |port| match port {
            0 => DeliveredState::Failed { reason: format!("try {count}") },
            _ => DeliveredState::Acked { note: format!("try {count}") },
        };
        let targets = activation.endpoints.into_iter();
        Ok(targets.map(|one| Delivered { endpoint: one.endpoint, state: state(one.address.port) }).collect())
    }

    async fn probe(self: Arc<Self>, probe: Probe<Address>) -> Result<Vec<EndpointStatus>, Failure> {
        if probe.endpoints.iter().any(|target| target.address.port == 1) {
            // Asks the server for something, so that an answer can be left out.
            self.host.trigger(TriggerEvent::default()).await?;
        }
        let status = |endpoint| EndpointStatus { endpoint, health: Health::Ok, detail: String::new() };
        Ok(vec![status(self.told.load(Ordering::Relaxed).to_string())])
    }
}

#[test]
fn one_address_that_cannot_be_read_fails_alone() {
    let mut worker = Worker::open(json!({"zone": 1}));
    let endpoints =
        json!([at("good", json!({"port": 5})), at("bad", json!({"port": "five"})), at("none", Value::Null)]);
    for op in ["prepare", "begin"] {
        let answer = worker.call(op, json!({"id": "0a", "endpoints": endpoints})).expect("an answer");
        let states: Vec<_> = list(&answer).iter().map(|one| (one["endpoint"].clone(), one["state"].clone())).collect();
        let good = if op == "prepare" { "ready" } else { "acked" };
        let expected = [("good", good), ("bad", "failed"), ("none", "failed")];
        assert_eq!(states, expected.map(|(key, state)| (json!(key), json!(state))), "{op}");
        let reason = answer[1]["reason"].as_str().expect("a reason");
        assert!(reason.contains("\"five\"") && reason.contains("u16"), "the reason names the value: {reason}");
    }
}

#[test]
fn one_trigger_that_cannot_be_read_is_told_and_the_others_are_watched() {
    let mut worker = Worker::open(json!({"zone": 1}));
    let desired = json!({
        "endpoints": [at("good", json!({"port": 5})), at("bad", json!({}))],
        "triggers": [
            {"trigger": "t1", "name": "Storm", "settings": {"code": "TOR"}},
            {"trigger": "t2", "name": "Flood", "settings": {"code": 7}},
        ],
    });
    worker.call("desired", desired).expect("taken");
    let events = std::mem::take(&mut worker.others);
    assert_eq!(events[0]["kind"], "endpoint_status");
    assert_eq!((&events[0]["endpoint"], &events[0]["health"]), (&json!("bad"), &json!("error")));
    assert_eq!(events[1]["kind"], "record");
    assert_eq!((&events[1]["trigger"], &events[1]["verdict"]), (&json!("t2"), &json!("refused")));
    assert!(events[1]["subject"].as_str().is_some_and(|subject| subject.contains("Flood")), "{events:?}");
    let probed = worker.call("probe", json!({"endpoints": [at("good", json!({"port": 5}))]})).expect("looked");
    assert_eq!(probed[0]["endpoint"], "11", "one endpoint and one trigger reached the driver");
}

#[test]
fn the_same_begin_twice_acts_once_and_answers_alike() {
    let mut worker = Worker::open(json!({"zone": 1}));
    let begin = json!({"id": "0a", "endpoints": [at("e", json!({"port": 5}))]});
    let first = worker.call("begin", begin.clone()).expect("begun");
    assert_eq!(worker.call("begin", begin.clone()).expect("begun"), first);
    let other = json!({"id": "0a", "endpoints": [at("f", json!({"port": 5}))]});
    assert_eq!(worker.call("begin", other).expect("begun")[0]["note"], "try 2", "other endpoints are begun");
    let failing = json!({"id": "0b", "endpoints": [at("e", json!({"port": 0}))]});
    assert_eq!(worker.call("begin", failing.clone()).expect("an answer")[0]["reason"], "try 3");
    assert_eq!(worker.call("begin", failing).expect("an answer")[0]["reason"], "try 4", "what failed is tried again");
}

#[test]
fn settings_that_are_wrong_are_refused_with_their_field() {
    for (settings, expected) in [
        (json!({"zone": "x"}), "settings: zone: must be a whole number"),
        (json!({"zone": 10}), "settings: zone: must be "),
        (json!({}), "settings: zone: must be given"),
        (json!({"zone": 7}), "plugin panicked: assertion"),
    ] {
        let failure = refused(&settings);
        assert!(failure.message.starts_with(expected), "{settings}: {failure:?}");
    }
    let mut worker = Worker::open(json!({"zone": 1, "of a later version": true}));
    let check = |worker: &mut Worker, settings| worker.call("settings.check", json!({"settings": settings}));
    assert_eq!(check(&mut worker, json!({"zone": 1})), Ok(json!([])));
    let problems = check(&mut worker, json!({"zone": "x", "zoen": 1})).expect("judged");
    let paths: Vec<_> = list(&problems).iter().map(|problem| problem["path"].clone()).collect();
    assert_eq!(paths, ["/zoen", "/zone"].map(|path| json!(path)), "{problems}");
}

#[test]
fn opened_without_settings_it_judges_settings_and_nothing_else() {
    let mut worker = Worker::open(Value::Null);
    let problems = worker.call("settings.check", json!({"settings": {}})).expect("judged");
    assert_eq!(problems[0]["path"], "/zone");
    assert_eq!(worker.call("begin", json!({"id": "0a", "endpoints": []})).expect_err("refused").code, "refused");
}

#[test]
fn a_panic_an_unknown_operation_and_a_deadline_are_answers() {
    let mut worker = Worker::open(json!({"zone": 1}));
    assert_eq!(worker.call("$panic", Value::Null).expect_err("panics").code, "panicked");
    assert_eq!(worker.call("of.later", Value::Null).expect_err("unknown").code, "unsupported");
    assert_eq!(
        worker.call("update", json!({"id": "0a", "endpoints": []})).expect_err("not offered").code,
        "unsupported"
    );
    assert_eq!(worker.call("begin", json!("nonsense")).expect_err("unreadable").code, "bad_document");
    worker.tell(&json!({"t": "call", "id": 900, "op": "$wait", "deadline_ms": 20, "body": {"ms": 60_000}}));
    assert_eq!(worker.reply(900).expect_err("too slow").code, "timeout");
    assert_eq!(worker.call("$echo", json!([1])), Ok(json!([1])));
}

#[test]
fn a_cancelled_call_is_answered_and_its_request_is_forgotten() {
    let mut worker = Worker::open(json!({"zone": 1}));
    let asks = json!({"endpoints": [at("e", json!({"port": 1}))]});
    worker.tell(&json!({"t": "call", "id": 900, "op": "probe", "deadline_ms": 60_000, "body": asks}));
    let request = worker.other(|document| document["t"] == "request");
    worker.tell(&json!({"t": "cancel", "id": 900}));
    assert_eq!(worker.reply(900).expect_err("cancelled").code, "cancelled");
    // The answer comes too late for anybody, and a second one is nobody's: neither may hurt.
    for _ in 0..2 {
        worker.tell(&json!({"t": "answer", "id": request["id"], "ok": {}}));
    }
    assert_eq!(worker.call("$echo", json!(1)), Ok(json!(1)));
}

#[test]
fn after_stop_what_runs_is_finished_and_nothing_is_begun() {
    let mut worker = Worker::open(json!({"zone": 1}));
    worker.tell(&json!({"t": "call", "id": 900, "op": "$wait", "deadline_ms": 60_000, "body": {"ms": 200}}));
    worker.tell(&json!({"t": "stop"}));
    worker.tell(&json!({"t": "call", "id": 901, "op": "$echo", "body": 1}));
    assert_eq!(worker.reply(901).expect_err("refused").code, "stopping");
    assert_eq!(worker.reply(900), Ok(Value::Null));
    worker.other(|document| document["t"] == "stopped");
}

#[test]
fn however_slowly_a_reply_leaves_stopped_is_the_last_word() {
    // Stop comes while the only call's reply is leaving; the other time the last call is done meanwhile.
    for (others, stop_first) in [(0, false), (1, true)] {
        let (sender, said) = mpsc::channel();
        let (leaving, leaves) = mpsc::channel();
        let (over, stopped) = mpsc::channel();
        let stopped = Mutex::new(stopped);
        let emit: Emit = Arc::new(move |document: Vec<u8>| {
            let document: Value = serde_json::from_slice(&document).expect("the driver's side writes JSON");
            if document["t"] == "reply" && document["id"] == 900 {
                let _ = leaving.send(());
                // The host would end the process at that word; it must not come while this one is on its way.
                let _ = stopped.lock().expect("no panic").recv_timeout(Duration::from_millis(300));
            }
            if document["t"] == "stopped" {
                let _ = over.send(());
            }
            let _ = sender.send(document);
        });
        let document = json!({"state_dir": "/nowhere", "settings": {"zone": 1}}).to_string();
        let driver = open::<Horn>(emit, document.as_bytes()).expect("opens");
        let tell = |document: Value| driver.take(document.to_string().as_bytes());
        let wait = |id: u64, ms: u64| tell(json!({"t": "call", "id": id, "op": "$wait", "body": {"ms": ms}}));
        (0..others).for_each(|other| wait(901 + other, 100));
        wait(900, 50);
        if !stop_first {
            leaves.recv_timeout(PATIENCE).expect("the reply is leaving");
        }
        tell(json!({"t": "stop"}));
        let mut replied = 0;
        loop {
            let document = said.recv_timeout(PATIENCE).expect("the driver says something");
            match document["t"].as_str() {
                Some("reply") => replied += 1,
                Some("stopped") => break assert_eq!(replied, 1 + others, "the process ended before a reply had left"),
                _ => {}
            }
        }
    }
}

#[test]
fn documents_that_cannot_be_read_end_nothing() {
    let mut worker = Worker::open(json!({"zone": 1}));
    for bytes in [&b""[..], b"{", b"[]", b"\xff\xfe", b"{\"t\":\"of a later version\"}", b"{\"t\":\"call\"}"] {
        worker.driver.take(bytes);
    }
    assert_eq!(worker.call("$echo", json!(1)), Ok(json!(1)));
}

#[test]
fn a_description_repeats_the_manifest_and_carries_the_schemas() {
    let manifest = r#"{"format":1,"id":"x.horn","vendor":"X","name":"Horn","version":"1.2.3","api":"1.0"}"#;
    let described: Value = serde_json::from_slice(&describe::<Horn>(manifest)).expect("JSON");
    assert_eq!(described["manifest"], serde_json::from_str::<Value>(manifest).expect("JSON"));
    assert_eq!(described["settings_schema"]["properties"]["zone"]["maximum"], 9);
    assert_eq!(described["trigger_schema"]["required"], json!(["code"]));
    let failed: Value = serde_json::from_slice(&describe::<Horn>("{}")).expect("JSON");
    assert_eq!(failed["code"], "bad_manifest");
}

/// The worker's end.
struct Worker {
    driver: Box<dyn Take>,
    said: mpsc::Receiver<Value>,
    /// What was said while an answer was waited for.
    others: Vec<Value>,
    next: u64,
}

impl Worker {
    fn open(settings: Value) -> Worker {
        let (driver, said) = opened(&settings);
        let driver = driver.unwrap_or_else(|failure| panic!("opens: {}", String::from_utf8_lossy(&failure)));
        Worker { driver, said, others: Vec::new(), next: 1 }
    }

    fn tell(&self, document: &Value) {
        self.driver.take(document.to_string().as_bytes());
    }

    fn call(&mut self, op: &str, body: Value) -> Result<Value, Failure> {
        self.next += 1;
        self.tell(&json!({"t": "call", "id": self.next, "op": op, "body": body}));
        self.reply(self.next)
    }

    fn reply(&mut self, id: u64) -> Result<Value, Failure> {
        let reply = self.other(|document| document["t"] == "reply" && document["id"] == id);
        match reply.get("ok") {
            Some(value) => Ok(value.clone()),
            None => Err(serde_json::from_value(reply["err"].clone()).expect("a failure")),
        }
    }

    /// Waits for a document of this kind; the others are kept.
    fn other(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.others.iter().position(&fits) {
            return self.others.remove(at);
        }
        loop {
            let document = self.said.recv_timeout(PATIENCE).expect("the driver says something");
            match document["t"].as_str() {
                _ if fits(&document) => return document,
                Some("log") => {}
                _ => self.others.push(document),
            }
        }
    }
}

/// An opened driver, or its failure as it crosses.
type Opened = Result<Box<dyn Take>, Vec<u8>>;

fn opened(settings: &Value) -> (Opened, mpsc::Receiver<Value>) {
    let (sender, said) = mpsc::channel();
    let emit: Emit = Arc::new(move |document: Vec<u8>| {
        // The test may have ended.
        let _ = sender.send(serde_json::from_slice(&document).expect("the driver's side writes JSON"));
    });
    let document = json!({"state_dir": "/nowhere", "settings": settings});
    (open::<Horn>(emit, document.to_string().as_bytes()), said)
}

fn refused(settings: &Value) -> Failure {
    let failure = opened(settings).0.err().unwrap_or_else(|| panic!("{settings} must be refused"));
    serde_json::from_slice(&failure).expect("a failure")
}

fn at(endpoint: &str, address: Value) -> Value {
    json!({"endpoint": endpoint, "name": endpoint, "address": address})
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}
