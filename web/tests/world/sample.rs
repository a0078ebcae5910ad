//! What the world holds: a school with a primary and two secondaries.

use std::collections::BTreeMap;

use onealert_core::{
    config::{
        Audio, Behaviour, DEFAULT_GROUP, Endpoint, Message, Notification, OnTakeover, Priority, PriorityGroup, Role,
        Trigger, UserRole,
    },
    effect::Outcome,
    ids::{ActivationId, DriverId, EndpointId, GroupId, NotificationId, ServerId, TriggerId},
    time::Wall,
};
use onealert_web::needs::*;
use serde_json::{Value, json};

use super::{Inner, PA1, PA2, PB1, account, now};

const ALGO: &str = "com.algo.speaker";
const CAP: &str = "org.oasis.cap";

pub fn empty() -> Inner {
    let identity = identity(Role::Primary);
    let mut pa1 = server(PA1, "pa-1", Role::Primary);
    pa1.this = true;
    let (status, groups) = (Status { at: now(), servers: vec![pa1], attention: Vec::new() }, groups(&[PA1]));
    Inner {
        identity,
        balancer: BalancerStatus { status: 200, line: "Primary Active".into() },
        accounts: BTreeMap::from([
            account("admin", UserRole::Admin),
            account("editor", UserRole::Editor),
            account("sender", UserRole::Sender),
            account("viewer", UserRole::Viewer),
        ]),
        status,
        running: Vec::new(),
        sent: Vec::new(),
        endpoints: BTreeMap::new(),
        triggers: BTreeMap::new(),
        notifications: BTreeMap::new(),
        groups,
        drivers: BTreeMap::new(),
        stored_settings: BTreeMap::new(),
        files: Vec::new(),
        log: Vec::new(),
        phones: Some(("paging".to_owned(), "p&ss w=rd 100%".to_owned())),
        local: LocalSettings { multicast_address: String::new(), network_interface: "auto".to_owned() },
        keys: BTreeMap::new(),
        requests: Vec::new(),
        drawn: 0,
        manual_return: true,
        returned: false,
        drill: None,
        broken: false,
        gone: Vec::new(),
        licence: 9,
    }
}

pub fn state(role: Role) -> Inner {
    let mut state = empty();
    state.identity = identity(role);
    if role == Role::Secondary {
        state.balancer = BalancerStatus { status: 200, line: "Secondary Standby".into() };
    }
    state.status.servers = servers(role);
    state.groups = groups(&[PA1, PA2, PB1]);
    let pool = PriorityGroup { id: GroupId::from("pool"), name: "Pool building".to_owned(), servers: vec![PB1, PA1] };
    state.groups.insert(pool.id.clone(), pool);
    state.drivers = drivers();
    state
        .stored_settings
        .insert(DriverId::from(ALGO), json!({"multicast": "239.1.2.3", "ttl": 8, "password": "device-secret"}));
    state.files = files();
    state.endpoints = endpoints();
    state.triggers = triggers();
    state.notifications = notifications();
    history(&mut state);
    state.status.attention = attention();
    state.log = vec![
        LogLine { at: ago(600), state: State::Ok, source: "admin".to_owned(), text: "enabled driver Algo".to_owned() },
        LogLine {
            at: ago(900),
            state: State::Ok,
            source: "admin".to_owned(),
            text: "created endpoint Main hall".to_owned(),
        },
    ];
    state
}

fn ago(seconds: i64) -> Wall {
    Wall(now().0 - seconds * 1000)
}

fn identity(role: Role) -> Identity {
    let primary = role == Role::Primary;
    let why = "This is a secondary server. Configuration is changed on the primary and comes here by itself.";
    Identity {
        id: if primary { PA1 } else { PA2 },
        name: if primary { "pa-1" } else { "pa-2" }.to_owned(),
        role,
        version: "0.1.0".to_owned(),
        primary: (!primary).then(|| PrimaryLink { name: "pa-1".to_owned(), url: "https://10.0.0.11".to_owned() }),
        can_configure: if primary { Ok(()) } else { Err(why.to_owned()) },
        fenced: false,
        closed: None,
    }
}

fn server(id: ServerId, name: &str, role: Role) -> ServerStatus {
    let versions = [
        ("product", "0.1.0"),
        ("platform", "x86_64-linux-gnu"),
        ("plugin api", "1.0.0"),
        ("schema", "1"),
        ("protocol", "1"),
    ];
    ServerStatus {
        id,
        name: name.to_owned(),
        role,
        this: false,
        web: format!("https://{name}.school.example"),
        state: State::Ok,
        text: if role == Role::Primary { "Sending" } else { "Standing by" }.to_owned(),
        heard_ms_ago: Some(120),
        heartbeats: vec![Beat::Ok; 60],
        epoch: Some("3f9c22e18a7b4d0f9c1e55a0b7d61234".to_owned()),
        position: Some(1482),
        lag: (role == Role::Secondary).then_some(0),
        versions: versions.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        differences: Vec::new(),
        clock_offset_ms: Some(3),
        started: Some(ago(86_400 * 3)),
        holds: None,
        duties: vec![Duty { group: DEFAULT_GROUP.to_owned(), place: 1, sends: role == Role::Primary }],
        drivers: vec![
            DriverBrief {
                id: DriverId::from(ALGO),
                name: "Algo".to_owned(),
                version: Some("0.1.0".to_owned()),
                sha256: Some("9f2c41d0".repeat(8)),
                state: State::Ok,
                text: "Running".to_owned(),
            },
            DriverBrief {
                id: DriverId::from(CAP),
                name: "CAP alerts".to_owned(),
                version: Some("0.1.0".to_owned()),
                sha256: Some("9f2c41d0".repeat(8)),
                state: State::Ok,
                text: "Running".to_owned(),
            },
        ],
        running: 0,
        degraded: u32::from(id == PA2) * 2,
        disk: Some(DiskView {
            free_mib: 41_984,
            total_mib: 65_536,
            state: State::Ok,
            text: "41 GiB free of 64 GiB".to_owned(),
        }),
        booted: Some(ago(86_400 * 12)),
        licence: Some(if role == Role::Primary { "2 of 9 secondaries in use" } else { "secondary 1 of 9" }.to_owned()),
    }
}

fn servers(role: Role) -> Vec<ServerStatus> {
    let mut pa1 = server(PA1, "pa-1", Role::Primary);
    let mut pa2 = server(PA2, "pa-2", Role::Secondary);
    let mut pb1 = server(PB1, "pb-1", Role::Secondary);
    pa1.this = role == Role::Primary;
    pa2.this = role == Role::Secondary;
    for server in [&mut pa1, &mut pa2] {
        if server.this {
            (server.heard_ms_ago, server.clock_offset_ms) = (None, None);
        }
    }
    pa2.duties[0].place = 2;
    pb1.state = State::Warning;
    pb1.text = "Driver CAP alerts differs".to_owned();
    pb1.lag = Some(2);
    pb1.clock_offset_ms = Some(-41);
    pb1.heartbeats[22..25].fill(Beat::Late);
    pb1.heartbeats[25..27].fill(Beat::Missed);
    pb1.heartbeats[40..44].fill(Beat::Paused);
    pb1.differences =
        vec!["CAP alerts is 0.0.9 here and 0.1.0 on the primary. Its triggers are not watched here.".to_owned()];
    pb1.duties = vec![
        Duty { group: DEFAULT_GROUP.to_owned(), place: 3, sends: false },
        Duty { group: "Pool building".to_owned(), place: 1, sends: true },
    ];
    pb1.disk = Some(DiskView {
        free_mib: 720,
        total_mib: 30_000,
        state: State::Warning,
        text: "only 720 MiB free".to_owned(),
    });
    pb1.drivers[1].version = Some("0.0.9".to_owned());
    pb1.drivers[1].state = State::Bad;
    pb1.drivers[1].text = "Stopped: another version than the primary's".to_owned();
    vec![pa1, pa2, pb1]
}

fn groups(servers: &[ServerId]) -> BTreeMap<GroupId, PriorityGroup> {
    let id = GroupId::from(DEFAULT_GROUP);
    let row = PriorityGroup { id: id.clone(), name: DEFAULT_GROUP.to_owned(), servers: servers.to_vec() };
    BTreeMap::from([(id, row)])
}

fn attention() -> Vec<Attention> {
    vec![
        Attention {
            state: State::Bad,
            what: "pb-1 has another version of the driver CAP alerts".to_owned(),
            since: Some(ago(1500)),
            effect: "pb-1 does not watch weather alerts. pa-1 and pa-2 do; nothing is lost.".to_owned(),
            action: "Open the driver".to_owned(),
            href: format!("/drivers/{CAP}"),
        },
        Attention {
            state: State::Warning,
            what: "Endpoint Pool strobe does not answer".to_owned(),
            since: Some(ago(720)),
            effect: "Notifications reach the other endpoints. The strobe is tried again with each one.".to_owned(),
            action: "Open the endpoint".to_owned(),
            href: "/endpoints/pool-strobe".to_owned(),
        },
    ]
}

fn drivers() -> BTreeMap<DriverId, DriverDetail> {
    let on = |server, name: &str, version: &str, state, text: &str, restarts| DriverOnServer {
        server,
        server_name: name.to_owned(),
        version: Some(version.to_owned()),
        matches: version == "0.1.0",
        state,
        text: text.to_owned(),
        since: Some(ago(7200)),
        restarts,
    };
    let view = |id: &str, name: &str, vendor: &str, reaches, watches| DriverView {
        id: DriverId::from(id),
        name: name.to_owned(),
        vendor: vendor.to_owned(),
        enabled: true,
        version: Some("0.1.0".to_owned()),
        update: None,
        other_versions: Vec::new(),
        state: State::Ok,
        text: "Runs on every server".to_owned(),
        endpoints: if reaches { 5 } else { 0 },
        triggers: if watches { 2 } else { 0 },
        reaches,
        watches,
        servers: vec![
            on(PA1, "pa-1", "0.1.0", State::Ok, "Running", 0),
            on(PA2, "pa-2", "0.1.0", State::Ok, "Running", 1),
        ],
    };
    let mut algo = view(ALGO, "Algo", "Algo Communication Products", true, false);
    algo.servers.push(on(PB1, "pb-1", "0.1.0", State::Ok, "Running", 0));
    let mut cap = view(CAP, "CAP alerts", "OASIS Common Alerting Protocol", false, true);
    cap.servers.push(on(PB1, "pb-1", "0.0.9", State::Bad, "Stopped: another version than the primary's", 0));
    (cap.state, cap.text) = (State::Bad, "pb-1: Stopped: another version than the primary's".to_owned());
    let mut off = view("com.valcom.page", "Valcom paging", "Valcom", true, false);
    (off.enabled, off.endpoints, off.servers) = (false, 0, Vec::new());
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

fn files() -> Vec<FoundFile> {
    let file = |file: &str, driver: Option<&str>, version: Option<&str>, state, text: &str| FoundFile {
        file: file.to_owned(),
        driver: driver.map(DriverId::from),
        version: version.map(str::to_owned),
        state,
        text: text.to_owned(),
    };
    vec![
        file("libalgo.so", Some(ALGO), Some("0.1.0"), State::Ok, "Algo 0.1.0, in use"),
        file("libcap.so", Some(CAP), Some("0.1.0"), State::Ok, "CAP alerts 0.1.0, in use"),
        file("libvalcom.so", Some("com.valcom.page"), Some("0.1.0"), State::Ok, "Valcom paging 0.1.0, can be enabled"),
        file(
            "old-horn.so",
            Some("com.horn.old"),
            Some("2.0.0"),
            State::Bad,
            "Speaks contract 3.0; this server offers 1.0. Install a version of the driver for contract 1.",
        ),
        file(
            "notes.so",
            None,
            None,
            State::Bad,
            "Is not a driver: an ELF file was expected, text was found. Remove it from the folder.",
        ),
    ]
}

fn endpoints() -> BTreeMap<EndpointId, Endpoint> {
    let rows = [
        ("main-hall", "Main hall", "Building A", "10.0.1.20"),
        ("gym", "Gym", "Building B", "10.0.1.21"),
        ("pool", "Pool", "Building C", "10.0.1.22"),
        ("pool-strobe", "Pool strobe", "Building C", "10.0.1.23"),
        ("yard", "School yard", "Outside, north wall", "10.0.1.24"),
    ];
    let row = |(id, name, location, host): (&str, &str, &str, &str)| Endpoint {
        id: EndpointId::from(id),
        name: name.to_owned(),
        driver: DriverId::from(ALGO),
        address: json!({"host": host, "authentication": "hmac", "password": "endpoint-secret", "volume": 7, "strobe": {"on": true, "colour": "red"}, "zones": []}),
        location: location.to_owned(),
    };
    rows.map(row).map(|row| (row.id.clone(), row)).into()
}

fn triggers() -> BTreeMap<TriggerId, Trigger> {
    let row = |id: &str, name: &str, driver: Option<&str>, group: &str, settings| Trigger {
        id: TriggerId::from(id),
        name: name.to_owned(),
        driver: driver.map(DriverId::from),
        settings,
        group: GroupId::from(group),
        behaviour: Behaviour::Start,
        late_limit_ms: None,
    };
    let feed = json!({"feed": "https://api.weather.example/alerts/active", "severity": "severe", "areas": ["OKC109"], "kinds": ["actual"]});
    let rows = [
        row("tornado", "Tornado warning", Some(CAP), DEFAULT_GROUP, feed.clone()),
        row("storm", "Severe thunderstorm", Some(CAP), "pool", feed),
        row("panic-button", "Panic button", None, DEFAULT_GROUP, Value::Null),
    ];
    rows.map(|row| (row.id.clone(), row)).into()
}

fn notifications() -> BTreeMap<NotificationId, Notification> {
    let row =
        |id: &str, name: &str, priority, triggers: &[&str], endpoints: &[&str], audio, title: &str| Notification {
            id: NotificationId::from(id),
            name: name.to_owned(),
            priority,
            triggers: triggers.iter().copied().map(TriggerId::from).collect(),
            endpoints: endpoints.iter().copied().map(EndpointId::from).collect(),
            message: Message {
                title: title.to_owned(),
                body: "{activatorBody}".to_owned(),
                audio,
                repeats: 2,
                ..serde_json::from_value(json!({})).expect("every field of a message has a default")
            },
            on_takeover: OnTakeover::Replay,
        };
    let all = ["main-hall", "gym", "pool", "pool-strobe", "yard"];
    let rows = [
        row(
            "lockdown",
            "Lockdown",
            Priority::Emergency,
            &["panic-button"],
            &all,
            Audio::File { name: "lockdown.wav".to_owned() },
            "Lockdown",
        ),
        row("weather", "Take shelter", Priority::Alert, &["tornado", "storm"], &all, Audio::Speech, "{activatorTitle}"),
        row(
            "all-clear",
            "All clear",
            Priority::Page,
            &[],
            &all,
            Audio::File { name: "all clear.wav".to_owned() },
            "All clear",
        ),
        row(
            "end-of-day",
            "End of day bell",
            Priority::Bell,
            &[],
            &all[..3],
            Audio::Tone { name: "bell".to_owned() },
            "",
        ),
    ];
    rows.map(|row| (row.id.clone(), row)).into()
}

/// The record of a finished run.
pub fn record(id: ActivationId, row: &Notification, source: &str, by: &Identity, outcome: Outcome) -> SentDetail {
    let meant = row.endpoints.len() as u32;
    let reached = match outcome {
        Outcome::Success => meant,
        Outcome::Partial => meant.saturating_sub(1),
        _ => 0,
    };
    let (accepted, name) = (now(), by.name.clone());
    let at = |ms| Wall(accepted.0 + ms);
    let result = |(n, endpoint): (usize, &EndpointId)| {
        let good = (n as u32) < reached;
        EndpointResult {
            endpoint: endpoint.clone(),
            name: endpoint.as_str().replace('-', " "),
            driver: "Algo".to_owned(),
            state: if good { State::Ok } else { State::Bad },
            text: if good { "Reached" } else { "Failed" }.to_owned(),
            by: if good { vec![by.name.clone()] } else { Vec::new() },
            note: if good { "the device answered 200" } else { "no answer from 10.0.1.23 within 2 s" }.to_owned(),
            after_ms: Some(if good { 38 + n as u64 * 3 } else { 2004 }),
        }
    };
    SentDetail {
        row: SentRow {
            activation: id,
            notification: row.id.clone(),
            name: row.name.clone(),
            source: source.to_owned(),
            server: by.id,
            server_name: name.clone(),
            sent_by: vec![SentBy { server: by.id, name: name.clone(), outcome, reached, ended: at(14_200) }],
            accepted,
            ended: at(14_200),
            outcome,
            reached,
            meant,
            attempt: 0,
            degraded: false,
        },
        title: row.message.title.clone(),
        body: "A tornado warning is in effect. Go to the inner corridor of the ground floor.".to_owned(),
        why: match outcome {
            Outcome::Partial => vec!["1 endpoint: no answer from 10.0.1.23 within 2 s".to_owned()],
            Outcome::Missed => vec!["It was too late to be sent.".to_owned()],
            _ => Vec::new(),
        },
        timeline: vec![
            Moment { at: at(0), text: format!("Accepted by {name}, safe on pa-2") },
            Moment { at: at(9), text: "First sound sent".to_owned() },
            Moment { at: at(38), text: "First endpoint reached".to_owned() },
            Moment { at: at(14_200), text: "Ended: content finished".to_owned() },
        ],
        endpoints: row.endpoints.iter().enumerate().map(result).collect(),
    }
}

fn history(state: &mut Inner) {
    let kinds = [
        ("lockdown", "admin", Outcome::Success),
        ("weather", "Tornado warning", Outcome::Partial),
        ("end-of-day", "Schedule", Outcome::Success),
        ("all-clear", "sender", Outcome::Stopped),
        ("end-of-day", "Schedule", Outcome::Missed),
    ];
    let mut by = state.identity.clone();
    for n in 0..60i64 {
        let (id, source, outcome) = kinds[n as usize % kinds.len()];
        let row = state.notifications[&NotificationId::from(id)].clone();
        by.id = if n % 7 == 3 { PA2 } else { PA1 };
        by.name = if n % 7 == 3 { "pa-2" } else { "pa-1" }.to_owned();
        let mut detail = record(state.draw(), &row, source, &by, outcome);
        detail.row.accepted = ago(3000 + n * 5400);
        detail.row.ended = Wall(detail.row.accepted.0 + 14_200);
        detail.row.attempt = u32::from(n % 7 == 3);
        if n == 1 {
            both_sides(&mut detail);
        }
        for moment in &mut detail.timeline {
            moment.at = Wall(moment.at.0 - now().0 + detail.row.accepted.0);
        }
        state.sent.push(detail);
    }
}

/// Sent on both sides of a cut: one event, two servers.
fn both_sides(detail: &mut SentDetail) {
    let (meant, ended) = (detail.row.meant, detail.row.ended);
    let other =
        SentBy { server: PB1, name: "pb-1".to_owned(), outcome: Outcome::Partial, reached: meant.min(1), ended };
    detail.row.sent_by.push(other);
    if let Some(first) = detail.endpoints.first_mut() {
        first.by.push("pb-1".to_owned());
    }
}

pub fn sync_log() -> Vec<LogLine> {
    vec![
        LogLine { at: ago(60), state: State::Ok, source: "pa-2".to_owned(), text: "In step at 1482".to_owned() },
        LogLine {
            at: ago(1500),
            state: State::Bad,
            source: "pb-1".to_owned(),
            text: "Driver CAP alerts differs: 0.0.9 there, 0.1.0 here".to_owned(),
        },
    ]
}
