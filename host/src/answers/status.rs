//! The state of the installation, for the status page and the live stream.

use std::collections::BTreeMap;

use onealert_core::{
    activation::EndpointState,
    config::{Role, Server},
    effect::{Absence, DownReason, Outcome},
    ids::ServerId,
    knowledge::Knowledge,
    life::Life,
    members::licensed_order,
    node::Node,
    time::Wall,
    version::compare,
    view::{Belief, ClockLevel, HoldView, PeerView},
};
use onealert_web::needs::{DiskView, DriverBrief, Duty, Live, Problem, Running, ServerStatus, State, Status};

use super::{
    attention::{self, Cause, Shown},
    driver_on,
    redundancy::{capital, hold_text},
};
use crate::{health, hub::Hub};

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
    let mut shown: Vec<Shown> = config
        .servers
        .values()
        .filter(|row| !row.deprovisioned)
        .map(|row| if row.id == hub.server { this(hub, row, &seen) } else { other(hub, row, &seen) })
        .collect();
    shown.sort_by_key(|it| (it.server.role != Role::Primary, it.server.name.to_lowercase()));
    let at = crate::clock::wall();
    let attention = attention::list(&shown, &hub.unopened(), &seen.missed, &hub.known, at);
    let servers = shown.into_iter().map(|it| it.server).collect();
    let name = |id: ServerId| config.servers.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone());
    let mut running: Vec<Running> = seen.activations.iter().map(|known| run(known, &name(known.owner))).collect();
    running.sort_by_key(|run| std::cmp::Reverse(run.accepted));
    Ok(Live { status: Status { at, servers, attention }, running })
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
fn with_disk(mut shown: Shown, which: &str) -> Shown {
    let server = &mut shown.server;
    if let Some(disk) = server.disk.as_ref().filter(|disk| disk.state == State::Bad && server.state != State::Bad) {
        (server.state, server.text) = (State::Bad, format!("{which}: {}", disk.text));
        (shown.cause, shown.since) = (Some(Cause::Disk), None);
    }
    shown
}

/// So long before.
fn before(now: Wall, ago_ms: u64) -> Wall {
    Wall(now.0.saturating_sub_unsigned(ago_ms))
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

fn this(hub: &Hub, row: &Server, seen: &Seen) -> Shown {
    let config = hub.config();
    let position = hub.configuration.now().position;
    let duties = duties(row, seen);
    let sends = duties.iter().any(|duty| duty.sends);
    let enabled = config.drivers.values().filter(|driver| driver.enabled);
    let drivers: Vec<DriverBrief> = enabled.map(|driver| driver_on::brief(hub, driver)).collect();
    let sync = hub.sync_state.borrow().clone();
    let now = crate::clock::wall();
    let (cause, state, text) = if seen.draining {
        (Some(Cause::Drains), State::Warning, "Draining: takes no new activations".to_owned())
    } else if seen.resuming {
        (Some(Cause::CameBack), State::Warning, "Came back; asking the others before it goes on".to_owned())
    } else if let Some(hold) = &seen.hold {
        (Some(Cause::CameBack), State::Warning, capital(&hold_text(hold, now)))
    } else if let Some((state, text)) = hub.concern() {
        (Some(Cause::Concern), state, text)
    } else if sync.state != State::Ok {
        // First what it does: that somebody sends is what matters at night.
        (Some(Cause::Sync), sync.state, format!("{}. {}", doing(sends), sync.text))
    } else {
        (None, State::Ok, doing(sends).to_owned())
    };
    let since = seen.hold.as_ref().filter(|_| cause == Some(Cause::CameBack));
    let since = since.map(|hold| before(now, hold.since.as_millis()));
    let own = health::health(hub);
    let server = ServerStatus {
        this: true,
        state: state.max(drivers.iter().map(|driver| driver.state.min(State::Warning)).max().unwrap_or(State::Ok)),
        text,
        epoch: Some(position.epoch.to_string()),
        position: Some(position.lsn),
        versions: versions(&hub.versions()),
        started: Some(hub.started),
        holds: seen.hold.as_ref().map(|hold| hold_text(hold, now)),
        drivers,
        disk: own.disk.map(disk),
        booted: own.booted,
        ..blank(hub, row, seen)
    };
    with_disk(Shown { server, cause, since }, &health::disk_of(&hub.settings.data))
}

fn ago(shown: &ServerStatus) -> String {
    shown.heard_ms_ago.map_or_else(String::new, |ms| format!("not heard for {} s", ms.div_ceil(1000)))
}

fn other(hub: &Hub, row: &Server, seen: &Seen) -> Shown {
    let mut shown = blank(hub, row, seen);
    let Some(peer) = seen.peers.iter().find(|peer| peer.id == row.id) else {
        (shown.state, shown.text) = (State::Warning, "Not heard yet".to_owned());
        return Shown { server: shown, cause: Some(Cause::Unheard), since: None };
    };
    shown.heard_ms_ago = peer.last_heard.map(|at| (seen.now - at).as_millis());
    shown.clock_offset_ms = peer.offset_ms;
    let sends = shown.duties.iter().any(|duty| duty.sends);
    let now = crate::clock::wall();
    let life = peer.standing.as_ref().filter(|_| peer.belief != Belief::Down).map(|it| it.generation.life);
    let hold = |hold: &HoldView| capital(&hold_text(hold, now));
    let fenced = life.is_some_and(|life| matches!(life, Life::Fenced { .. }));
    let (mut cause, mut since) = (None, None);
    (shown.state, shown.text) = match peer.belief {
        _ if fenced => {
            cause = Some(Cause::Concern);
            (State::Bad, "Fenced: another server was promoted; join this one to it".to_owned())
        }
        _ if life == Some(Life::SetBack) => {
            (State::Bad, "Its configuration was set back: run there: onealert promote".to_owned())
        }
        Belief::Up => (State::Ok, doing(sends).to_owned()),
        Belief::Unheard => {
            cause = Some(Cause::Unheard);
            (State::Warning, "Not heard yet".to_owned())
        }
        Belief::Held => {
            (cause, since) = (Some(Cause::CameBack), peer.hold.as_ref().map(|it| before(now, it.since.as_millis())));
            (State::Warning, peer.hold.as_ref().map_or_else(String::new, hold))
        }
        Belief::Down if peer.why == Some(DownReason::Draining) => {
            cause = Some(Cause::Drains);
            (State::Warning, "Draining".to_owned())
        }
        Belief::Down => {
            since = shown.heard_ms_ago.map(|ms| before(now, ms));
            let (why, state, text) = match peer.absence {
                Absence::Announced => {
                    (Cause::Stopped, State::Warning, format!("Stopped in good order, {}", ago(&shown)))
                }
                Absence::Unmet => (
                    Cause::Unmet,
                    State::Warning,
                    "Not heard since this server was started: not started yet, or it cannot be reached".to_owned(),
                ),
                Absence::Unannounced => (Cause::Down, State::Bad, format!("Down, {}", ago(&shown))),
            };
            cause = Some(why);
            (state, text)
        }
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
        (cause, since) = (Some(Cause::Clock), None);
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
        let stops = verdict.differences.iter().filter(|difference| difference.stops_sync).map(sentence);
        let stops: Vec<String> = stops.collect();
        if !stops.is_empty() && shown.state != State::Bad {
            let text = format!("{}. It is not synchronised: {}", shown.text, stops.join(" "));
            (shown.state, shown.text) = (State::Bad, text);
            (cause, since) = (Some(Cause::Versions), None);
        }
        let config = hub.config();
        let enabled = config.drivers.values().filter(|row| row.enabled);
        shown.drivers = enabled.map(|row| driver_on::brief_of(row, standing)).collect();
        shown.drivers.sort_by_key(|driver| driver.name.to_lowercase());
        shown.disk = standing.health.disk.map(disk);
        shown.booted = standing.health.booted;
    }
    with_disk(Shown { server: shown, cause, since }, "Disk")
}
