//! Drivers with their forms, and the files of the driver folder, good and bad.

use std::collections::BTreeMap;

use onealert_core::{
    alert::{ACTIVATOR, Filter},
    ids::DriverId,
};
use onealert_web::needs::*;
use serde_json::{Value, json};

use super::{ALGO, CAP, PA1, PA2, PB1, ago};

pub fn drivers() -> BTreeMap<DriverId, DriverDetail> {
    let on = |server, name: &str, version: &str, state, text: &str, restarts| DriverOnServer {
        server,
        server_name: name.to_owned(),
        version: Some(version.to_owned()),
        matches: version == "0.1.0",
        state,
        text: text.to_owned(),
        since: Some(ago(7200)),
        restarts: Some(restarts),
    };
    let view = |id: &str, name: &str, vendor: &str, reaches, watches| DriverView {
        id: DriverId::from(id),
        name: name.to_owned(),
        vendor: vendor.to_owned(),
        built_in: false,
        enabled: true,
        version: Some("0.1.0".to_owned()),
        trust: "Signed by key 5C0D91B2E47F3A10 (Makers of drivers)".to_owned(),
        update: None,
        other_versions: Vec::new(),
        state: State::Ok,
        text: "Runs on every server".to_owned(),
        endpoints: if reaches { 5 } else { 0 },
        triggers: if watches { 2 } else { 0 },
        reaches,
        watches,
        servers: vec![on(PA1, "pa-1", "0.1.0", State::Ok, "Runs", 0), on(PA2, "pa-2", "0.1.0", State::Ok, "Runs", 1)],
    };
    let mut algo = view(ALGO, "Algo", "Algo Communication Products", true, false);
    let often = "Ends again and again, tried at every activation: ended by signal 11 (SIGSEGV) in begin";
    algo.servers.push(on(PB1, "pb-1", "0.1.0", State::Bad, often, 7));
    (algo.state, algo.text) = (State::Bad, format!("pb-1: {often}"));
    let mut cap = view(CAP, "CAP alerts", "OASIS Common Alerting Protocol", false, true);
    cap.servers.push(on(PB1, "pb-1", "0.0.9", State::Bad, "Stopped: another version than the primary's", 0));
    (cap.state, cap.text) = (State::Bad, "pb-1: Stopped: another version than the primary's".to_owned());
    let mut off = view("com.valcom.page", "Valcom paging", "Valcom", true, false);
    off.trust = "Not signed by a trusted key; this very file was pinned by admin on 2026-11-02".to_owned();
    (off.enabled, off.endpoints, off.servers) = (false, 0, Vec::new());
    let mut own = view(ACTIVATOR, "Redundancy status", "What happens to the servers", false, true);
    (own.built_in, own.triggers, own.servers) = (true, 0, Vec::new());
    let events = vec![
        LogLine {
            at: ago(7100),
            state: State::Warning,
            source: "pa-2".to_owned(),
            text: "The worker ended and was started again in 180 ms".to_owned(),
        },
        LogLine {
            at: ago(7200),
            state: State::Ok,
            source: "pa-1".to_owned(),
            text: "Started, version 0.1.0".to_owned(),
        },
    ];
    let detail = |view: DriverView, settings_schema, endpoint_schema, trigger_schema| {
        let events = if view.enabled { events.clone() } else { Vec::new() };
        let etag = if view.enabled { "e0".to_owned() } else { String::new() };
        let id = view.id.clone();
        (
            id,
            DriverDetail {
                view,
                settings_schema,
                endpoint_schema,
                trigger_schema,
                settings: Value::Null,
                etag,
                events,
            },
        )
    };
    BTreeMap::from([
        detail(algo, algo_settings(), algo_endpoint(), Value::Null),
        detail(cap, cap_settings(), Value::Null, cap_trigger()),
        detail(off, algo_settings(), algo_endpoint(), Value::Null),
        detail(own, Value::Null, Value::Null, Filter::schema(&Default::default())),
    ])
}

fn algo_settings() -> Value {
    json!({"type": "object", "required": ["multicast"], "properties": {
        "multicast": {"title": "Multicast address", "type": "string", "format": "ipv4", "default": "239.255.0.1", "description": "Where the speakers listen."},
        "ttl": {"title": "Hops (TTL)", "type": "integer", "minimum": 1, "maximum": 255, "default": 4},
        "port": {"title": "Port", "type": "integer", "minimum": 1, "maximum": 65535, "default": 50000},
        "transport": {"title": "Transport", "enum": ["multicast", "unicast"], "default": "multicast"},
        "password": {"title": "Device password", "type": "string", "writeOnly": true, "description": "For devices without a password of their own."},
    }})
}

fn algo_endpoint() -> Value {
    json!({"type": "object", "required": ["host"], "properties": {
        "host": {"title": "Address", "type": "string", "format": "hostname", "description": "Host name or IPv4 address of the device."},
        "authentication": {"title": "Authentication", "enum": ["none", "basic", "hmac"], "default": "hmac"},
        "password": {"title": "Password", "type": "string", "writeOnly": true},
        "reached": {"title": "How it is reached", "enum": ["auto", "https"], "default": "auto", "x-enum-titles": ["https, and http where the device offers no https of its own", "Only https"]},
        "volume": {"title": "Volume", "type": "integer", "minimum": 0, "maximum": 10, "default": 7},
        "strobe": {"title": "Strobe", "type": "object", "properties": {
            "on": {"title": "Flash with each notification", "type": "boolean", "default": true},
            "colour": {"title": "Colour", "enum": ["red", "amber", "blue", "white"], "default": "red"},
        }},
        "zones": {"title": "Zones", "type": "array", "items": {"type": "string"}},
    }})
}

fn cap_settings() -> Value {
    json!({"type": "object", "properties": {
        "poll_seconds": {"title": "Ask feeds every", "type": "integer", "minimum": 10, "maximum": 3600, "default": 30, "description": "In seconds."},
        "verify": {"title": "Check certificates", "type": "boolean", "default": true},
    }})
}

fn cap_trigger() -> Value {
    json!({"type": "object", "required": ["feed"], "properties": {
        "feed": {"title": "Feed", "type": "string", "format": "uri"},
        "severity": {"title": "Least severity", "enum": ["minor", "moderate", "severe", "extreme"], "default": "severe"},
        "areas": {"title": "Area codes", "type": "array", "items": {"type": "string"}},
        "kinds": {"title": "Kinds", "type": "array", "items": {"enum": ["actual", "exercise", "test"]}},
    }})
}

pub fn files() -> Vec<FoundFile> {
    let file = |file: &str, driver: Option<&str>, version: Option<&str>, state, text: &str| FoundFile {
        file: file.to_owned(),
        driver: driver.map(DriverId::from),
        version: version.map(str::to_owned),
        sha256: driver.map(|_| "ab".repeat(32)),
        may_be_pinned: state == State::Warning,
        state,
        text: text.to_owned(),
    };
    vec![
        file(
            "libalgo.so",
            Some(ALGO),
            Some("0.1.0"),
            State::Ok,
            "Can be used. Signed by key 5C0D91B2E47F3A10 (Makers of drivers).",
        ),
        file(
            "libcap.so",
            Some(CAP),
            Some("0.1.0"),
            State::Ok,
            "Can be used. Signed by key 5C0D91B2E47F3A10 (Makers of drivers).",
        ),
        file(
            "libvalcom.so",
            Some("com.valcom.page"),
            Some("0.1.0"),
            State::Bad,
            "Refused: not the file that was pinned as com.valcom.page 0.1.0: expected SHA-256 7d1f0c2be9a4, found 19b3e8aa5c07; put \
             the pinned file back, give the changed driver another version, or take the pin back first.",
        ),
        file(
            "old-horn.so",
            Some("com.horn.old"),
            Some("2.0.0"),
            State::Bad,
            "Refused: com.horn.old 2.0.0 made for API 3, this server loads 1.",
        ),
        file(
            "libbell.so",
            Some("com.bell"),
            Some("1.0.0"),
            State::Warning,
            "Signature missing. It runs only once an administrator pins it. None of its code has run.",
        ),
        file("notes.so", None, None, State::Bad, "Refused: not a shared library."),
    ]
}

pub fn keys() -> Vec<DriverKey> {
    let key = |id: &str, name: &str, prefixes: &[&str]| DriverKey {
        id: id.to_owned(),
        name: name.to_owned(),
        prefixes: prefixes.iter().map(|it| (*it).to_owned()).collect(),
        by: "admin".to_owned(),
        at: ago(86_400 * 40),
    };
    vec![
        key("5C0D91B2E47F3A10", "Makers of drivers", &["com.algo.", "org.oasis.cap"]),
        key("00F1A4470BD2C9E6", "Horn & Sons", &["com.horn."]),
    ]
}

pub fn pins() -> Vec<DriverPin> {
    vec![DriverPin {
        sha256: "7d1f0c2be9a4".repeat(6)[..64].to_owned(),
        driver: DriverId::from("com.valcom.page"),
        version: "0.1.0".to_owned(),
        by: "admin".to_owned(),
        at: ago(86_400 * 24),
    }]
}
