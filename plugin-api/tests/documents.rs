//! The documents as they stand on the wire. A change here is a change of the contract: drivers built years ago send and
//! read exactly these texts.

use std::collections::BTreeMap;

use onealert_plugin_api::document::{
    Action, Activation, Call, Codec, Delivered, DeliveredState, Description, Desired, End, EndpointStatus, Event,
    Failure, Health, HttpRequest, HttpResponse, Open, Outcome, Prepared, PreparedState, Priority, Probe, Problem,
    Record, RtpDestination, SettingsCheck, SettingsMigrate, Target, ToDriver, ToHost, TriggerAnswer, TriggerEvent,
    Watch,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The document is written like this, and reads back as it was; also with fields that a later version added.
fn golden<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(document: T, text: &str) {
    let golden: Value = serde_json::from_str(text).expect("the golden text is JSON");
    assert_eq!(serde_json::to_value(&document).expect("JSON"), golden);
    assert_eq!(serde_json::from_value::<T>(golden.clone()).expect("reads"), document);
    let mut later = golden;
    if let Some(fields) = later.as_object_mut() {
        fields.insert("of_a_later_version".to_owned(), json!({"deep": [1]}));
        assert_eq!(serde_json::from_value::<T>(later).expect("a later version reads"), document);
    }
}

/// What an older version wrote reads like this.
fn reads<T: DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str, document: T) {
    assert_eq!(serde_json::from_str::<T>(text).expect("reads"), document);
}

fn target() -> Target {
    Target { endpoint: "e1".into(), name: "Lobby".into(), address: json!({"host": "10.0.0.9"}) }
}

fn activation() -> Activation {
    Activation {
        id: "0a".into(),
        attempt: 1,
        priority: Priority::Emergency,
        title: "Lockdown".into(),
        body: "Stay inside".into(),
        has_audio: true,
        audio_ms: Some(4200),
        endpoints: vec![target()],
    }
}

const TARGET: &str = r#"{"endpoint":"e1","name":"Lobby","address":{"host":"10.0.0.9"}}"#;

#[test]
fn from_the_server() {
    let call =
        Call { id: 7, op: "begin".into(), activation: Some("0a".into()), deadline_ms: 300, body: json!({"x": 1}) };
    golden(
        ToDriver::Call(call),
        r#"{"t":"call","id":7,"op":"begin","activation":"0a","deadline_ms":300,"body":{"x":1}}"#,
    );
    let short = Call { id: 8, op: "self_test".into(), activation: None, deadline_ms: 5000, body: Value::Null };
    reads(r#"{"t":"call","id":8,"op":"self_test"}"#, ToDriver::Call(short));
    golden(ToDriver::Answer { id: 9, outcome: Outcome::Ok(json!({})) }, r#"{"t":"answer","id":9,"ok":{}}"#);
    golden(ToDriver::Cancel { id: 7 }, r#"{"t":"cancel","id":7}"#);
    golden(ToDriver::Ping { id: 8 }, r#"{"t":"ping","id":8}"#);
    golden(ToDriver::Stop, r#"{"t":"stop"}"#);
    reads(r#"{"t":"a word of a later version","id":1}"#, ToDriver::Other);
    golden(
        Open { state_dir: "/var/lib/x".into(), settings: Some(json!({"zone": 1})) },
        r#"{"state_dir":"/var/lib/x","settings":{"zone":1}}"#,
    );
    reads("{}", Open::default());
}

#[test]
fn from_the_driver() {
    let failure = Failure::new("unreachable", "10.0.0.9 does not answer");
    golden(
        ToHost::Reply { id: 7, outcome: Outcome::Err(failure) },
        r#"{"t":"reply","id":7,"err":{"code":"unreachable","message":"10.0.0.9 does not answer"}}"#,
    );
    golden(ToHost::Reply { id: 7, outcome: Outcome::Ok(Value::Null) }, r#"{"t":"reply","id":7,"ok":null}"#);
    golden(
        ToHost::Request { id: 3, op: "trigger".into(), body: json!({"trigger": "t"}) },
        r#"{"t":"request","id":3,"op":"trigger","body":{"trigger":"t"}}"#,
    );
    golden(ToHost::Stopped, r#"{"t":"stopped"}"#);
    golden(
        ToHost::Log {
            level: "warn".into(),
            message: "late".into(),
            fields: BTreeMap::from([("ms".to_owned(), json!(40))]),
        },
        r#"{"t":"log","level":"warn","message":"late","fields":{"ms":40}}"#,
    );
    reads(r#"{"t":"a word of a later version"}"#, ToHost::Other);
}

#[test]
fn events() {
    let acked = Delivered { endpoint: "e1".into(), state: DeliveredState::Acked { note: "played".into() } };
    golden(
        ToHost::Event(Event::Delivered { activation: "0a".into(), results: vec![acked] }),
        r#"{"t":"event","kind":"delivered","activation":"0a","results":[{"endpoint":"e1","state":"acked","note":"played"}]}"#,
    );
    let late = Prepared { endpoint: "e1".into(), state: PreparedState::Later { reason: "restarting".into() } };
    golden(
        Event::Prepared { activation: "0a".into(), prepared: vec![late] },
        r#"{"kind":"prepared","activation":"0a","prepared":[{"endpoint":"e1","state":"later","reason":"restarting"}]}"#,
    );
    golden(
        Event::EndpointStatus(EndpointStatus { endpoint: "e1".into(), health: Health::Warning, detail: "hot".into() }),
        r#"{"kind":"endpoint_status","endpoint":"e1","health":"warning","detail":"hot"}"#,
    );
    golden(
        Event::Record(Record {
            subject: "alert 7".into(),
            trigger: Some("t".into()),
            verdict: "filtered".into(),
            reason: "other county".into(),
        }),
        r#"{"kind":"record","subject":"alert 7","trigger":"t","verdict":"filtered","reason":"other county"}"#,
    );
    reads(r#"{"kind":"of a later version"}"#, Event::Other);
    reads(
        r#"{"endpoint":"e1","health":"a word of a later version"}"#,
        EndpointStatus { endpoint: "e1".into(), health: Health::Unknown, detail: String::new() },
    );
}

#[test]
fn what_to_look_after() {
    let watch = Watch { trigger: "t".into(), name: "Storm".into(), settings: json!({"code": "TOR"}) };
    golden(
        Desired { endpoints: vec![target()], triggers: vec![watch] },
        &format!(
            r#"{{"endpoints":[{TARGET}],"triggers":[{{"trigger":"t","name":"Storm","settings":{{"code":"TOR"}}}}]}}"#
        ),
    );
    reads("{}", Desired::<Value, Value> { endpoints: Vec::new(), triggers: Vec::new() });
    golden(Probe { endpoints: vec![target()] }, &format!(r#"{{"endpoints":[{TARGET}]}}"#));
}

#[test]
fn the_life_of_an_activation() {
    golden(
        activation(),
        &format!(
            r#"{{"id":"0a","attempt":1,"priority":"emergency","title":"Lockdown","body":"Stay inside","has_audio":true,
               "audio_ms":4200,"endpoints":[{TARGET}]}}"#
        ),
    );
    let least = Activation {
        attempt: 0,
        priority: Priority::Page,
        title: String::new(),
        body: String::new(),
        has_audio: false,
        audio_ms: None,
        endpoints: Vec::new(),
        ..activation()
    };
    reads(r#"{"id":"0a","endpoints":[],"priority":"a word of a later version"}"#, least);
    golden(
        Prepared { endpoint: "e1".into(), state: PreparedState::Failed { reason: "busy".into() } },
        r#"{"endpoint":"e1","state":"failed","reason":"busy"}"#,
    );
    let destination = RtpDestination {
        address: "239.1.2.3".parse().expect("an address"),
        port: 5004,
        codec: Codec::G722,
        packet_ms: 20,
        lead_in_ms: 100,
        dtmf: "12".into(),
    };
    golden(
        Prepared { endpoint: "e1".into(), state: PreparedState::Ready { rtp: vec![destination.clone()] } },
        r#"{"endpoint":"e1","state":"ready","rtp":[{"address":"239.1.2.3","port":5004,"codec":"g722","packet_ms":20,
            "lead_in_ms":100,"dtmf":"12"}]}"#,
    );
    let least = RtpDestination { codec: Codec::Pcmu, lead_in_ms: 0, dtmf: String::new(), ..destination };
    reads(r#"{"address":"239.1.2.3","port":5004}"#, least);
    golden(
        Delivered { endpoint: "e1".into(), state: DeliveredState::Failed { reason: "no answer".into() } },
        r#"{"endpoint":"e1","state":"failed","reason":"no answer"}"#,
    );
    golden(
        End { id: "0a".into(), reason: "interrupted".into(), endpoints: vec![target()] },
        &format!(r#"{{"id":"0a","reason":"interrupted","endpoints":[{TARGET}]}}"#),
    );
}

#[test]
fn trigger_events() {
    golden(
        TriggerEvent {
            trigger: "t".into(),
            key: "k".into(),
            action: Action::Update,
            replaces: vec!["j".into()],
            title: "Storm".into(),
            body: "Take shelter".into(),
            location: "Dane".into(),
            coordinates: "43.0,-89.4".into(),
            source: "NWS".into(),
            expires_ms: Some(1),
            fields: BTreeMap::from([("code".to_owned(), "TOR".to_owned())]),
        },
        r#"{"trigger":"t","key":"k","action":"update","replaces":["j"],"title":"Storm","body":"Take shelter",
            "location":"Dane","coordinates":"43.0,-89.4","source":"NWS","expires_ms":1,"fields":{"code":"TOR"}}"#,
    );
    let least = TriggerEvent { trigger: "t".into(), ..TriggerEvent::default() };
    reads(r#"{"trigger":"t","action":"a word of a later version"}"#, least);
    golden(
        TriggerAnswer { activations: vec!["0a".into()], duplicate: true, degraded: false },
        r#"{"activations":["0a"],"duplicate":true,"degraded":false}"#,
    );
    reads("{}", TriggerAnswer::default());
}

#[test]
fn settings_requests_and_descriptions() {
    golden(SettingsCheck { settings: json!({"zone": 1}) }, r#"{"settings":{"zone":1}}"#);
    golden(SettingsMigrate { from: "1.0.0".into(), value: json!({}) }, r#"{"from":"1.0.0","value":{}}"#);
    golden(Problem { path: "/zone".into(), message: "too large".into() }, r#"{"path":"/zone","message":"too large"}"#);
    golden(
        HttpRequest {
            method: "POST".into(),
            path: "/alert".into(),
            query: "a=1".into(),
            headers: BTreeMap::from([("host".to_owned(), "x".to_owned())]),
            body: "text".into(),
            body_base64: String::new(),
            peer: "10.0.0.9:80".into(),
        },
        r#"{"method":"POST","path":"/alert","query":"a=1","headers":{"host":"x"},"body":"text","body_base64":"",
            "peer":"10.0.0.9:80"}"#,
    );
    golden(
        HttpResponse { status: 202, content_type: "text/plain".into(), body: "taken".into() },
        r#"{"status":202,"content_type":"text/plain","body":"taken"}"#,
    );
    let text = r#"{"manifest":{"format":1,"id":"x.horn","vendor":"X","name":"Horn","version":"1.2.3","api":"1.0"},
        "capabilities":["deliver"],"settings_schema":{},"endpoint_schema":null,"trigger_schema":null}"#;
    golden(serde_json::from_str::<Description>(text).expect("a description"), text);
}
