//! What the world holds: a school with a primary and two secondaries.

mod drivers;
mod history;
mod rows;
mod servers;

use std::collections::BTreeMap;

use onealert_core::{
    config::{DEFAULT_GROUP, PriorityGroup, Role, UserRole},
    ids::{DriverId, GroupId, ServerId},
    time::Wall,
};
use onealert_web::needs::*;
use serde_json::json;

pub use self::history::record;
use self::{drivers::drivers, servers::server};
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
        calendars: BTreeMap::new(),
        moment: None,
        groups,
        drivers: BTreeMap::new(),
        stored_settings: BTreeMap::new(),
        files: Vec::new(),
        trusted: Vec::new(),
        pins: Vec::new(),
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
    state.status.servers = servers::servers(role);
    state.groups = groups(&[PA1, PA2, PB1]);
    let pool = PriorityGroup { id: GroupId::from("pool"), name: "Pool building".to_owned(), servers: vec![PB1, PA1] };
    state.groups.insert(pool.id.clone(), pool);
    state.drivers = drivers();
    state
        .stored_settings
        .insert(DriverId::from(ALGO), json!({"multicast": "239.1.2.3", "ttl": 8, "password": "device-secret"}));
    state.files = drivers::files();
    state.trusted = drivers::keys();
    state.pins = drivers::pins();
    state.endpoints = rows::endpoints();
    state.triggers = rows::triggers();
    state.calendars = super::calendars::sample();
    // A Tuesday, half past eight in Chicago: a day with bells before and behind it.
    state.moment = Some(Wall(1_795_530_600_000));
    state.notifications = rows::notifications();
    history::history(&mut state);
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
