//! The state of the installation, for the status page and the live stream.

use std::collections::BTreeMap;

use onealert_core::{
    activation::EndpointState,
    config::{Role, Server, Table},
    effect::Outcome,
    ids::ServerId,
    knowledge::Knowledge,
    life::Life,
    members::licensed_order,
    node::Node,
    time::Wall,
    version::compare,
    view::{Belief, ClockLevel, HoldView, PeerView},
};
use onealert_web::needs::{
    Attention, DiskView, DriverBrief, Duty, Live, Problem, Running, ServerStatus, State, Status,
};

use super::{
    driver_on,
    redundancy::{capital, hold_text},
};
use crate::{health, hub::Hub, seal::Unopened};

pub(super) async fn status(hub: &Hub) -> Result<Status, Problem> {
    Ok(live(hub).await?.status)
}

pub(super) async fn running(hub: &Hub) -> Result<Vec<Running>, Problem> {
    Ok(live(hub).await?.running)
}

/// What the core shows at one moment.
struct Seen {
    peers: Vec<PeerView>,
    owners: Vec<(String, u32, Vec<ServerId>, Option<ServerId>)>,
    activations: Vec<Knowledge>,
    /// How many activations each owner accepted with one copy only, of those still known.
    degraded: BTreeMap<ServerId, u32>,
    /// When what is known to be missed was due or accepted.
    missed: Vec<Wall>,
    hold: Option<HoldView>,
    resuming: bool,
    draining: bool,
    now: onealert_core::time::Mono,
}

/// The whole live state.
///
/// # Errors
/// The server is stopping.
pub async fn live(hub: &Hub) -> Result<Live, Problem> {
    let config = hub.config();
    let groups: Vec<_> =
        config.groups.values().map(|group| (group.name.clone(), config.group_order(&group.id))).collect();
    let now = hub.clock.now().mono;
    let look = move |node: &Node| Seen {
        peers: node.peers(),
        owners: groups
            .into_iter()
            .map(|(name, order)| {
                let owner = node.would_own(&order);
                (name, 0, order, owner)
            })
            .collect(),
        activations: node.activations().filter(|known| known.ended.is_none()).cloned().collect(),
        degraded: node.activations().filter(|known| known.degraded).fold(BTreeMap::new(), |mut count, known| {
            *count.entry(known.owner).or_default() += 1;
            count
        }),
        missed: node
            .activations()
            .filter(|known| matches!(known.ended, Some((Outcome::Missed, _))))
            .map(|known| known.content.due.unwrap_or(known.content.accepted))
            .collect(),
        hold: node.hold(node.identity().server),
        resuming: node.is_resuming(),
        draining: node.is_draining(),
        now,
    };
    let seen = hub.way.look(look).await.map_err(|error| Problem::unavailable(error.to_string()))?;
    let mut servers: Vec<ServerStatus> = config
        .servers
        .values()
        .filter(|row| !row.deprovisioned)
        .map(|row| if row.id == hub.server { this(hub, row, &seen) } else { other(hub, row, &seen) })
        .collect();
    servers.sort_by_key(|server| (server.role != Role::Primary, server.name.to_lowercase()));
    let down = |server: &ServerStatus| seen.peers.iter().any(|it| it.id == server.id && it.belief == Belief::Down);
    let mut attention = attention(&servers, down);
    attention.extend(unopened(&hub.unopened()));
    attention.extend(missed(&seen.missed));
    let name = |id: ServerId| config.servers.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone());
    let mut running: Vec<Running> = seen.activations.iter().map(|known| run(known, &name(known.owner))).collect();
    running.sort_by_key(|run| std::cmp::Reverse(run.accepted));
    Ok(Live { status: Status { at: crate::clock::wall(), servers, attention }, running })
}

fn run(known: &Knowledge, server: &str) -> Running {
    let count = |is: fn(&EndpointState) -> bool| known.states.iter().filter(|state| is(state)).count() as u32;
    Running {
        activation: known.content.id,
        name: known.content.name.clone(),
        server: server.to_owned(),
        accepted: known.content.accepted,
        text: match (known.stopped, known.started) {
            (true, _) => "Stopping".to_owned(),
            (false, true) => "Sending".to_owned(),
            (false, false) => "Waiting for its server to begin".to_owned(),
        },
        reached: count(|state| matches!(state, EndpointState::Acked { .. })),
        failed: count(|state| matches!(state, EndpointState::Failed { .. })),
        meant: known.states.len() as u32,
        degraded: known.degraded,
    }
}

fn duties(row: &Server, seen: &Seen) -> Vec<Duty> {
    let place = |order: &[ServerId]| order.iter().position(|id| *id == row.id).map(|index| index as u32 + 1);
    let duty = |(group, _, order, owner): &(String, u32, Vec<ServerId>, Option<ServerId>)| {
        Some(Duty { group: group.clone(), place: place(order)?, sends: *owner == Some(row.id) })
    };
    seen.owners.iter().filter_map(duty).collect()
}

fn owned(row: &Server, seen: &Seen) -> u32 {
    seen.activations.iter().filter(|known| known.owner == row.id).count() as u32
}

fn blank(hub: &Hub, row: &Server, seen: &Seen) -> ServerStatus {
    ServerStatus {
        id: row.id,
        name: row.name.clone(),
        role: row.role,
        this: false,
        web: row.web.clone(),
        state: State::Ok,
        text: String::new(),
        heard_ms_ago: None,
        heartbeats: hub.beats.of(row.id, seen.now),
        epoch: None,
        position: None,
        lag: None,
        versions: Default::default(),
        differences: Vec::new(),
        clock_offset_ms: None,
        started: None,
        holds: None,
        duties: duties(row, seen),
        drivers: Vec::new(),
        running: owned(row, seen),
        degraded: seen.degraded.get(&row.id).copied().unwrap_or_default(),
        disk: None,
        booted: None,
        licence: licence(hub, row),
    }
}

/// What the licence says of a server. Only the primary counts; a secondary knows whether its own is proven by contact.
fn licence(hub: &Hub, row: &Server) -> Option<String> {
    if hub.place().role != Role::Primary {
        return hub.unproven.borrow().clone().filter(|_| row.id == hub.server);
    }
    let limit = hub.licence_limit();
    let secondaries = licensed_order(&hub.config());
    Some(match secondaries.iter().position(|id| *id == row.id) {
        None => format!("{} of {limit} secondaries in use", secondaries.len()),
        Some(place) if place < limit as usize => format!("secondary {} of {limit}", place + 1),
        Some(_) => format!("not covered: the licence is for {limit} secondaries"),
    })
}

/// A disk as pages show it.
fn disk(disk: onealert_core::health::Disk) -> DiskView {
    let (state, text) = health::judge(disk);
    DiskView { free_mib: disk.free_mib, total_mib: disk.total_mib, state, text }
}

/// A server whose disk is as good as full is not well, whatever else is.
fn with_disk(mut shown: ServerStatus) -> ServerStatus {
    if let Some(disk) = shown.disk.as_ref().filter(|disk| disk.state == State::Bad && shown.state != State::Bad) {
        (shown.state, shown.text) = (State::Bad, format!("Disk: {}", disk.text));
    }
    shown
}

fn versions(set: &onealert_core::version::VersionSet) -> BTreeMap<String, String> {
    [
        ("product", set.product.to_string()),
        ("platform", set.platform.clone()),
        ("plugin api", set.plugin_api.to_string()),
        ("schema", set.schema.to_string()),
        ("protocol", set.protocol.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn doing(sends: bool) -> &'static str {
    if sends { "Sending" } else { "Standing by" }
}

fn this(hub: &Hub, row: &Server, seen: &Seen) -> ServerStatus {
    let config = hub.config();
    let position = hub.configuration.now().position;
    let duties = duties(row, seen);
    let sends = duties.iter().any(|duty| duty.sends);
    let enabled = config.drivers.values().filter(|driver| driver.enabled);
    let drivers: Vec<DriverBrief> = enabled.map(|driver| driver_on::brief(hub, driver)).collect();
    let sync = hub.sync_state.borrow().clone();
    let (state, text) = if seen.draining {
        (State::Warning, "Draining: takes no new activations".to_owned())
    } else if seen.resuming {
        (State::Warning, "Came back; asking the others before it goes on".to_owned())
    } else if let Some(hold) = &seen.hold {
        (State::Warning, capital(&hold_text(hold, crate::clock::wall())))
    } else if let Some(concern) = hub.concern() {
        concern
    } else if sync.state != State::Ok {
        // First what it does: that somebody sends is what matters at night.
        (sync.state, format!("{}. {}", doing(sends), sync.text))
    } else {
        (State::Ok, doing(sends).to_owned())
    };
    let own = health::health(hub);
    with_disk(ServerStatus {
        this: true,
        state: state.max(drivers.iter().map(|driver| driver.state.min(State::Warning)).max().unwrap_or(State::Ok)),
        text,
        epoch: Some(position.epoch.to_string()),
        position: Some(position.lsn),
        versions: versions(&hub.versions()),
        started: Some(hub.started),
        holds: seen.hold.as_ref().map(|hold| hold_text(hold, crate::clock::wall())),
        drivers,
        disk: own.disk.map(disk),
        booted: own.booted,
        ..blank(hub, row, seen)
    })
}

fn other(hub: &Hub, row: &Server, seen: &Seen) -> ServerStatus {
    let mut shown = blank(hub, row, seen);
    let Some(peer) = seen.peers.iter().find(|peer| peer.id == row.id) else {
        (shown.state, shown.text) = (State::Warning, "Not heard yet".to_owned());
        return shown;
    };
    shown.heard_ms_ago = peer.last_heard.map(|at| (seen.now - at).as_millis());
    shown.clock_offset_ms = peer.offset_ms;
    let ago = || match shown.heard_ms_ago {
        Some(ms) => format!("not heard for {} s", ms.div_ceil(1000)),
        None => "never heard".to_owned(),
    };
    let sends = shown.duties.iter().any(|duty| duty.sends);
    let now = crate::clock::wall();
    let life = peer.standing.as_ref().filter(|_| peer.belief != Belief::Down).map(|it| it.generation.life);
    (shown.state, shown.text) = match peer.belief {
        _ if life.is_some_and(|life| matches!(life, Life::Fenced { .. })) => {
            (State::Bad, "Fenced: another server was promoted; join this one to it".to_owned())
        }
        _ if life == Some(Life::SetBack) => {
            (State::Bad, "Its configuration was set back: run there: onealert promote".to_owned())
        }
        Belief::Up => (State::Ok, doing(sends).to_owned()),
        Belief::Unheard => (State::Warning, "Not heard yet".to_owned()),
        Belief::Held => {
            (State::Warning, peer.hold.as_ref().map_or_else(String::new, |hold| capital(&hold_text(hold, now))))
        }
        Belief::Down if peer.draining => (State::Warning, "Draining".to_owned()),
        Belief::Down => (State::Bad, format!("Down, {}", ago())),
    };
    let off = match peer.clock {
        ClockLevel::Fine | ClockLevel::Warn => State::Ok,
        ClockLevel::Alert => State::Warning,
        ClockLevel::Red => State::Bad,
    };
    // Redundancy sheet, section 5: an alert from 500 ms on, red from 2 s on.
    if off > shown.state {
        let ms = peer.offset_ms.unwrap_or_default();
        (shown.state, shown.text) = (off, format!("Its clock differs by {ms} ms"));
    }
    shown.running = shown.running.max(peer.running);
    shown.holds = peer.hold.as_ref().map(|hold| hold_text(hold, now));
    if let Some(standing) = &peer.standing {
        shown.epoch = Some(standing.position.epoch.to_string());
        shown.position = Some(standing.position.lsn);
        let ours = hub.configuration.now().position;
        if ours.epoch == standing.position.epoch && row.role == Role::Secondary {
            shown.lag = Some(ours.lsn.saturating_sub(standing.position.lsn));
        }
        shown.versions = versions(&standing.versions);
        shown.started = Some(standing.started);
        let verdict = compare(&hub.versions(), &standing.versions);
        let sentence = |it: &onealert_core::version::Difference| {
            format!("{}: {} here, {} there. {}", it.what, it.ours, it.theirs, it.advice)
        };
        shown.differences = verdict.differences.iter().map(sentence).collect();
        if verdict.differences.iter().any(|difference| difference.stops_sync) {
            shown.state = State::Bad;
        }
        let config = hub.config();
        let enabled = config.drivers.values().filter(|row| row.enabled);
        shown.drivers = enabled.map(|row| driver_on::brief_of(row, standing)).collect();
        shown.drivers.sort_by_key(|driver| driver.name.to_lowercase());
        shown.disk = standing.health.disk.map(disk);
        shown.booted = standing.health.booted;
    }
    with_disk(shown)
}

/// What was too late to be sent, as long as servers remember it: for a day.
fn missed(due: &[Wall]) -> Option<Attention> {
    let last = due.iter().max()?;
    let what = match due.len() {
        1 => "A notification was too late and was not sent".to_owned(),
        n => format!("{n} notifications were too late and were not sent"),
    };
    Some(Attention {
        state: State::Warning,
        what,
        since: Some(*last),
        effect: "Whoever should have heard it did not. It is shown for a day.".to_owned(),
        action: "Show what was missed".to_owned(),
        href: "/sent?outcome=missed".to_owned(),
    })
}

/// What is to be done about stored secrets that this server cannot open: one entry, naming the first of them.
fn unopened(lost: &[Unopened]) -> Option<Attention> {
    let first = lost.first()?;
    let others = match lost.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    let href = match first.table {
        Table::Drivers => format!("/drivers/{}", first.key),
        Table::Triggers => format!("/triggers/{}", first.key),
        _ => format!("/endpoints/{}", first.key),
    };
    Some(Attention {
        state: State::Bad,
        what: format!("{}{others}", capital(&first.to_string())),
        since: None,
        effect: "This server leaves alone what needs it. Everything else goes on.".to_owned(),
        action: "Show it".to_owned(),
        href,
    })
}

fn attention(servers: &[ServerStatus], down: impl Fn(&ServerStatus) -> bool) -> Vec<Attention> {
    let mut list = Vec::new();
    for server in servers.iter().filter(|server| server.state != State::Ok) {
        let others = servers.iter().any(|other| other.id != server.id && !down(other));
        let effect = match (down(server), server.role, server.state) {
            (true, _, State::Bad) if !others => "No other server is up.",
            (true, Role::Primary, State::Bad) => {
                "Notifications are sent by the other servers. Configuration is locked until it returns."
            }
            (true, _, State::Bad) => "The other servers send in its place.",
            (false, _, State::Bad) if others => {
                "It is up, and does not do all it should. The other servers are ready too."
            }
            (false, _, State::Bad) => "It is up, and does not do all it should. No other server is up.",
            _ => "Sending goes on.",
        };
        list.push(Attention {
            state: server.state,
            what: format!("{}: {}", server.name, server.text),
            since: None,
            effect: effect.to_owned(),
            action: "Show the server".to_owned(),
            href: format!("/status#server-{}", server.id),
        });
    }
    for server in servers {
        for driver in server.drivers.iter().filter(|driver| driver.state == State::Bad) {
            list.push(Attention {
                state: State::Bad,
                what: format!("{} on {}: {}", driver.name, server.name, driver.text),
                since: None,
                effect: "Endpoints of this driver may not be reached from that server.".to_owned(),
                action: "Show the driver".to_owned(),
                href: format!("/drivers/{}", driver.id),
            });
        }
    }
    list.sort_by_key(|entry| std::cmp::Reverse(entry.state));
    list
}
