//! The servers, one of them with what an administrator has to look at.

use onealert_core::{
    config::{DEFAULT_GROUP, Role},
    ids::{DriverId, ServerId},
};
use onealert_web::needs::*;

use super::{ALGO, CAP, PA1, PA2, PB1, ago};

pub fn server(id: ServerId, name: &str, role: Role) -> ServerStatus {
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
                text: "Runs".to_owned(),
                since: Some(ago(86_400)),
                restarts: Some(0),
            },
            DriverBrief {
                id: DriverId::from(CAP),
                name: "CAP alerts".to_owned(),
                version: Some("0.1.0".to_owned()),
                sha256: Some("9f2c41d0".repeat(8)),
                state: State::Ok,
                text: "Runs".to_owned(),
                since: Some(ago(86_400)),
                restarts: Some(0),
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

pub fn servers(role: Role) -> Vec<ServerStatus> {
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
