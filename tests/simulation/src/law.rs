//! The invariants of the redundancy sheet, section 8, that concern configuration, generations, records and membership: I7 to
//! I12. Each is one function that says in one sentence what must hold.

use std::collections::{BTreeMap, BTreeSet};

use onealert_core::{
    config::Role,
    ids::{ActivationId, EpochId, ServerId},
    life::{Deed, Life},
    members,
    replicate::{Digests, Position},
};

use crate::{
    checks::Violation,
    conflict,
    history::FaultKind,
    world::{World, id, place},
};

type Verdict = Result<(), String>;

/// How long two servers that reach each other may not know of each other's generation: two heartbeats and a redial.
const CONTACT_US: u64 = 5_000_000;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Law {
    /// The digests at each position that any server ever stood at.
    positions: BTreeMap<(EpochId, u64), Digests>,
    /// The positions at which a primary stood: the ends of its transactions.
    primary_stood: BTreeSet<(EpochId, u64)>,
    /// Per server: its life and how far it was in it.
    furthest: BTreeMap<usize, (u64, u64)>,
    /// Servers whose rows were edited by hand and not repaired yet.
    pub edited: BTreeSet<usize>,
    /// Every record that became durable at its origin, by its number.
    pub written: BTreeMap<(ServerId, u64, u64), String>,
    /// What was acknowledged to an administrator, by generation and number.
    pub acknowledged: BTreeSet<(EpochId, u64)>,
    /// What only fenced servers held once a fault or an operator had destroyed the copy that counted.
    pub bereft: BTreeSet<(EpochId, u64)>,
    /// Servers that were primary at any time.
    primaries: BTreeSet<usize>,
}

/// A server's copy stands somewhere else, or for the first time.
pub(crate) fn moved(world: &mut World, at: usize) {
    if world.servers[at].copy.role(at) == Role::Primary {
        world.law.primaries.insert(at);
    }
    let Some(position) = world.servers[at].copy.position.clone() else { return };
    if world.servers[at].copy.role(at) == Role::Primary {
        world.law.primary_stood.insert((position.epoch, position.lsn));
    }
    let verdict = i7_equal_positions_hold_equal_rows(world, at, &position)
        .map_err(|what| ("I7", what))
        .and_then(|()| i8_rows_are_those_of_one_position(world, at, &position).map_err(|what| ("I8", what)))
        .and_then(|()| i10_numbers_never_go_back(world, at, &position).map_err(|what| ("I10", what)));
    if let Err((invariant, what)) = verdict {
        world.violate(invariant, what);
    }
}

/// A server has accepted a configuration write.
pub(crate) fn committed(world: &mut World, at: usize) {
    if let Err(what) = i9_one_writer(world, at) {
        world.violate("I9", what);
    }
}

/// I12: an endpoint is about to be contacted, and not by a server that was told that it is out of service.
pub(crate) fn i12_who_was_removed_delivers_nothing(world: &World, at: usize) -> Result<(), Violation> {
    let why = match world.servers[at].copy.life {
        Life::Inert => "deprovisioned",
        Life::Unlicensed => "not licensed",
        _ => return Ok(()),
    };
    let what = format!("server {at} delivers, and was told that it is {why}");
    Err(Violation { invariant: "I12", what, at_us: world.now_us })
}

/// I12, seen from the others: what comes in is given to no server of which this one's configuration says that the licence
/// leaves it out, and a server that was told so gives nothing to anybody.
pub(crate) fn i12_who_is_left_out_owns_nothing(world: &World, at: usize, activation: ActivationId) -> Verdict {
    let server = &world.servers[at];
    let Some(known) = server.node.as_ref().and_then(|node| node.knowledge(activation)) else { return Ok(()) };
    if server.copy.life == Life::Unlicensed {
        return Err(format!("server {at} takes {activation} in, and was told that it is not licensed"));
    }
    if members::left_out(&server.copy.config, known.owner) {
        return Err(format!(
            "server {at} makes {} the owner of {activation}, whom the licence leaves out",
            known.owner
        ));
    }
    Ok(())
}

/// A record is durable at its origin.
pub(crate) fn recorded(world: &mut World, at: usize) {
    let log = &world.servers[at].copy.log;
    let own = log.records.range((id(at), 0, 0)..=(id(at), u64::MAX, u64::MAX));
    let Some((key, document)) = own.last().map(|(key, record)| (*key, record.document.clone())) else { return };
    if world.law.written.insert(key, document).is_some() {
        let what = format!("server {at} gives number {} of life {} a second time", key.2, key.1);
        world.violate("I10", what);
    }
}

/// What must hold when nothing more can happen.
pub(crate) fn at_the_end(world: &World) -> Result<(), Violation> {
    let named = |invariant| move |what| Violation { invariant, what, at_us: world.now_us };
    for (at, _) in world.running() {
        let copy = &world.servers[at].copy;
        let unmended = world.law.edited.contains(&at) && !world.mends(at);
        if let Some(position) = &copy.position
            && !unmended
            && copy.digests_of_rows() != position.digests
        {
            return Err(named("I8")(format!("the rows of server {at} are not those of its position {}", position.lsn)));
        }
    }
    i8_followers_have_caught_up(world).map_err(named("I8"))?;
    who_is_covered_is_in_service(world).map_err(named("licence"))?;
    conflict::nothing_is_dropped(world).map_err(named("conflict reports"))?;
    conflict::who_is_fenced_has_reported(world).map_err(named("conflict reports"))?;
    i11_every_record_has_one_place(world).map_err(named("I11"))
}

/// I7: at equal (epoch, lsn) all servers have equal digests.
fn i7_equal_positions_hold_equal_rows(world: &mut World, at: usize, position: &Position) -> Verdict {
    let known = world.law.positions.entry((position.epoch, position.lsn)).or_insert_with(|| position.digests.clone());
    if *known == position.digests {
        return Ok(());
    }
    Err(format!("server {at} stands at {} of {} with other digests than another did", position.lsn, position.epoch))
}

/// I8: a server's rows are those of one position, never a mixture. Rows that somebody edited behind its back are left out
/// until they are repaired.
fn i8_rows_are_those_of_one_position(world: &mut World, at: usize, position: &Position) -> Verdict {
    if !world.law.primary_stood.contains(&(position.epoch, position.lsn)) {
        return Err(format!("server {at} stands at {}, in the middle of a transaction", position.lsn));
    }
    let whole = world.servers[at].copy.digests_of_rows() == position.digests;
    if whole {
        world.law.edited.remove(&at);
        return Ok(());
    }
    if world.law.edited.contains(&at) {
        return Ok(());
    }
    Err(format!("the rows of server {at} are a mixture, it stands at {}", position.lsn))
}

/// I8, at the end: who follows a primary that it reaches stands where that one stands.
fn i8_followers_have_caught_up(world: &World) -> Verdict {
    let mut behind = world.followers().filter_map(|(at, primary)| {
        let (ours, theirs) = (&world.servers[at].copy.position, &world.servers[primary].copy.position);
        (ours != theirs).then(|| {
            let lsn = |position: &Option<Position>| position.as_ref().map(|position| (position.epoch, position.lsn));
            format!("server {at} stands at {:?}, its primary {primary} at {:?}", lsn(ours), lsn(theirs))
        })
    });
    behind.next().map_or(Ok(()), Err)
}

/// At the end no server is out of service for a licence that covers it, where it reaches the primary that says so; nor is one
/// in service that its own configuration leaves out.
fn who_is_covered_is_in_service(world: &World) -> Verdict {
    if let Some((at, _)) = world.followers().find(|(at, _)| world.servers[*at].copy.life == Life::Unlicensed) {
        return Err(format!("server {at} sends nothing, and the licence covers it"));
    }
    let serves = |at: usize| world.servers[at].copy.may(at, world.servers[at].clocks(world.now_us).mono, Deed::Send);
    let left_out = |at: usize| {
        let copy = &world.servers[at].copy;
        copy.role(at) == Role::Secondary && members::left_out(&copy.config, id(at))
    };
    let wrong = world.running().find(|(at, node)| left_out(*at) && serves(*at) && !node.is_draining());
    wrong.map_or(Ok(()), |(at, _)| Err(format!("server {at} is in service, and its configuration leaves it out")))
}

/// I9: two servers accept configuration writes at the same time only if their epochs differ and they cannot hear each other.
fn i9_one_writer(world: &World, at: usize) -> Verdict {
    let ours = &world.servers[at].copy;
    for (other, _) in world.running().filter(|(other, _)| *other != at) {
        let server = &world.servers[other];
        let now = server.clocks(world.now_us).mono;
        let theirs = &server.copy;
        if !server.is_awake() || !theirs.may(other, now, Deed::Configure) {
            continue;
        }
        let epoch = |copy: &crate::copy::Copy| copy.position.as_ref().map(|position| position.epoch);
        let (mine, its) = (ours.lineage.last(), epoch(theirs));
        if mine.map(|epoch| epoch.id) == its {
            return Err(format!("servers {at} and {other} both take configuration of one epoch"));
        }
        let since = world.now_us.saturating_sub(CONTACT_US);
        let concerned = |server: usize| [at, other].contains(&server);
        let disturbed = world.history.faults.iter().any(|fault| {
            let near = concerned(fault.server) || fault.other.is_some_and(concerned);
            near && fault.until_us >= since && fault.from_us <= world.now_us
        });
        if !disturbed && world.now_us > CONTACT_US {
            return Err(format!("servers {at} and {other} both take configuration and hear each other"));
        }
    }
    Ok(())
}

/// I10: positions never go backwards within an incarnation, crashes included; nor do numbers of records (see [`recorded`])
/// and attempts (see `world::store`).
fn i10_numbers_never_go_back(world: &mut World, at: usize, position: &Position) -> Verdict {
    let now = (world.servers[at].incarnation, position.lsn);
    let before = world.law.furthest.insert(at, now);
    match before {
        Some(before) if before > now => {
            Err(format!("server {at} goes from {} back to {} within life {}", before.1, now.1, now.0))
        }
        _ => Ok(()),
    }
}

/// I11: every activity record is on a primary exactly once, or still on its origin. What a lost disk or a restored backup
/// took with it, before it had gone up, is left out; that no number is used for two records holds for all.
fn i11_every_record_has_one_place(world: &World) -> Verdict {
    let lost: BTreeSet<usize> = world
        .history
        .faults
        .iter()
        .filter(|fault| matches!(fault.kind, FaultKind::DiskLost | FaultKind::Restored))
        .map(|fault| fault.server)
        .collect();
    for (key, document) in &world.law.written {
        let origin = place(key.0);
        let holders = world.law.primaries.iter().copied().chain([origin]).collect::<BTreeSet<usize>>();
        let mut found = holders.iter().filter_map(|at| world.servers[*at].copy.log.records.get(key)).peekable();
        if found.peek().is_none() && !lost.contains(&origin) && !holders.iter().any(|at| lost.contains(at)) {
            return Err(format!("record {} of life {} of server {origin} is nowhere", key.2, key.1));
        }
        if found.any(|record| record.document != *document) {
            return Err(format!("record {} of life {} of server {origin} is another one elsewhere", key.2, key.1));
        }
    }
    for (at, _) in world.running() {
        let copy = &world.servers[at].copy;
        if copy.role(at) == Role::Primary || copy.follow.line.is_none() || !copy.follow.may_send_records {
            continue;
        }
        if !copy.log.after(id(at), copy.follow.primary_has).is_empty() {
            return Err(format!("server {at} has records that its primary wants and does not get"));
        }
    }
    Ok(())
}
