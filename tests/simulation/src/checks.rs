//! The invariants of the redundancy sheet, section 8, as far as they concern activations. Each is one function that says in
//! one sentence what must hold.

use std::collections::BTreeSet;

use onealert_core::{
    activation::EndpointState, config::OnTakeover, effect::Outcome, ids::ActivationId, knowledge::Knowledge,
    life::Life, node::Node, time::Span,
};

use crate::{
    history::{Accepted, Activation, Fault, FaultKind, Rang},
    late,
    schedule::Weather,
    server::Server,
    world::{World, id},
};

/// How long before an activation a fault may have ended and still have left its mark on what servers believe: suspicion,
/// a question of rule 8, and a message sent again after a cut.
const AFTERMATH_US: u64 = 5_000_000;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the sheet.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
    /// When, in microseconds since the start of the run.
    pub at_us: u64,
}

pub(crate) type Verdict = Result<(), String>;

/// What must hold after every step, of the activations of which something was seen in it.
pub(crate) fn after_step(world: &World, touched: &BTreeSet<ActivationId>) -> Result<(), Violation> {
    for activation in touched {
        let Some(seen) = world.history.activations.get(activation) else { continue };
        check(world, "I1", i1_accepted_is_on_two_servers(world, *activation, seen))?;
        check(world, "I3", i3_never_twice_without_faults(world, seen))?;
        check(world, "I4", i4_deliveries_are_bounded_by_faults(world, seen))?;
        check(world, "I5", i5_one_deliverer_with_crashes_only(world, seen))?;
    }
    Ok(())
}

/// What must hold when nothing more can happen.
pub(crate) fn at_the_end(world: &World) -> Result<(), Violation> {
    check(world, "I2", i2_nothing_is_lost(world))?;
    for (activation, seen) in &world.history.activations {
        check(world, "I2", i2_everything_has_a_result(world, *activation, seen))?;
        check(world, "I3", i3_exactly_once_without_faults(world, seen))?;
        check(world, "I6", i6_no_partial_page(world, seen))?;
        check(world, "switched off", what_was_reached_is_off(world, *activation, seen))?;
        check(world, "I13", i13_every_activation_has_a_record(world, *activation, seen))?;
        check(world, "late servers", late::what_a_sound_server_had_was_rung(world, seen))?;
    }
    Ok(())
}

/// Rules 6 and 9: a server that knows of a higher claim or a stop starts no further endpoint.
pub(crate) fn may_begin(world: &World, at: usize, activation: ActivationId, attempt: u32) -> Result<(), Violation> {
    let node = world.servers[at].node.as_ref();
    let Some(known) = node.and_then(|node| node.knowledge(activation)) else { return Ok(()) };
    let claim = known.claim();
    let verdict = if known.stopped {
        Err(format!("server {at} starts an endpoint of {activation}, which it knows to be stopped"))
    } else if claim != (attempt, id(at)) {
        Err(format!("server {at} starts an endpoint of {activation} for attempt {attempt} and knows of {claim:?}"))
    } else {
        Ok(())
    };
    check(world, "rules 6 and 9", verdict)
}

/// Rule 10: what expired is not begun any more, apart from what the drivers had in hand.
pub(crate) fn not_too_late(world: &World, at: usize, activation: ActivationId) -> Result<(), Violation> {
    const IN_HAND: Span = Span::secs(1);
    let now = world.servers[at].clocks(world.now_us).wall;
    let expires = world.history.activations.get(&activation).and_then(|seen| seen.content.expires);
    // A clock that was set makes anything late.
    let set = |fault: &Fault| fault.kind == FaultKind::Clock && fault.server == at && fault.until_us >= world.now_us;
    let clock_was_set = world.history.faults.iter().any(set);
    let late = !clock_was_set && expires.is_some_and(|expires| expires + IN_HAND < now);
    let what = || format!("server {at} starts an endpoint of {activation} at {now:?}, which expired at {expires:?}");
    check(world, "rule 10", if late { Err(what()) } else { Ok(()) })
}

/// Rule 2: without faults it is the first of the group that sends, wherever the notification came in.
pub(crate) fn is_the_first(world: &World, at: usize, activation: ActivationId) -> Result<(), Violation> {
    let seen = world.history.activations.get(&activation);
    let first = seen.and_then(|seen| seen.content.group.first().copied());
    let wrong = world.schedule.weather == Weather::Calm && first.is_some_and(|first| first != id(at));
    let what =
        || format!("server {at} sends {activation}, whose group begins with {first:?}, and nothing has happened");
    check(world, "rule 2", if wrong { Err(what()) } else { Ok(()) })
}

/// Rule 4: what an owner had the result of for longer than the share time and a message's way before it died, its successor
/// does not begin again. Judged where one process was killed and nothing else happened.
pub(crate) fn was_not_told_of_it(
    world: &World,
    at: usize,
    activation: ActivationId,
    attempt: u32,
    endpoint: usize,
) -> Result<(), Violation> {
    /// The share time, and twice the slowest way and the latest tick.
    const SHARED_US: u64 = 50_000 + 2 * 5_500;
    let Some(seen) = world.history.activations.get(&activation) else { return Ok(()) };
    if world.schedule.weather > Weather::Crashes || !seen.content.group.contains(&id(at)) {
        return Ok(());
    }
    let other = |rang: &&Rang| rang.server != at && rang.attempt < attempt;
    let Some((first, answered)) =
        seen.rang[endpoint].iter().filter(other).find_map(|rang| Some((rang.server, rang.answered_us?)))
    else {
        return Ok(());
    };
    let about = answered.saturating_sub(AFTERMATH_US);
    let mut faults = world.history.faults.iter().filter(|fault| fault.until_us >= about);
    let died = |fault: &Fault| {
        let dies = matches!(fault.kind, FaultKind::Crash | FaultKind::Restart) && fault.server == first;
        dies && fault.from_us >= answered + SHARED_US
    };
    let alone = faults.all(died) && world.now_us > about + AFTERMATH_US + SHARED_US;
    let what =
        || format!("server {at} begins endpoint {endpoint} of {activation}, of which server {first} had the result");
    check(world, "rule 4", if alone { Err(what()) } else { Ok(()) })
}

/// How many activations were accepted and have, in the end, an endpoint that neither rang nor has a reason why not, with
/// nobody left who could still ring it. Those accepted as degraded are counted apart: one copy was all that was promised.
pub(crate) fn lost(world: &World) -> (u64, u64) {
    let (mut lost, mut degraded) = (0, 0);
    for (activation, seen) in &world.history.activations {
        let unreached = |endpoint: usize| seen.rang[endpoint].is_empty();
        let excused = |known: &Knowledge, endpoint: usize| {
            known.stopped || matches!(known.states[endpoint], EndpointState::Failed { .. })
        };
        // A server that is down keeps what its disk holds, and goes on when it is back.
        // One that waits to be promoted, or for its licence, does too; what a deprovisioned one kept alone, went with it by an operator's word.
        let keeps = |server: &&Server| server.node.as_ref().is_none_or(Node::is_retired) || out_of_service(server);
        let mut on_disk = world.servers.iter().filter(keeps);
        let waits = on_disk.any(|server| server.disk.contains_key(activation));
        let known = holders(world, *activation).next();
        let gone = (0..seen.rang.len()).any(|endpoint| {
            let told = known.is_some_and(|(_, known)| excused(known, endpoint));
            unreached(endpoint) && !told && !seen.stop_asked
        });
        // A bell needs no copy, because every server computes it. Where one server alone did, nobody has it but its disk.
        let disk_lost = |accepted: &Accepted| {
            let mut lost = world.history.faults.iter().filter(|fault| fault.kind == FaultKind::DiskLost);
            lost.any(|fault| fault.server == accepted.server && fault.from_us >= accepted.at_us)
        };
        let with_its_disk = seen.content.due.is_some() && known.is_none() && seen.accepted.iter().all(disk_lost);
        if !gone || seen.accepted.is_empty() || (known.is_none() && waits) || with_its_disk {
            continue;
        }
        if seen.accepted.iter().all(|accepted| accepted.degraded) { degraded += 1 } else { lost += 1 }
    }
    (lost, degraded)
}

/// I1: an accepted, not degraded activation is durable on two servers, or has reached every endpoint, or all of its holders
/// but one lost their disk since. What is timed is computed by every server and needs no copy; what had ended before
/// the answer was given (stopped, or expired by the owner's clock) has nothing left that could be lost.
fn i1_accepted_is_on_two_servers(world: &World, activation: ActivationId, seen: &Activation) -> Verdict {
    let Some(first) = seen.accepted.iter().find(|accepted| !accepted.degraded && !accepted.over) else { return Ok(()) };
    if seen.content.due.is_some() || seen.acked.len() == seen.rang.len() {
        return Ok(());
    }
    let holders = world.servers.iter().filter(|server| server.disk.contains_key(&activation)).count();
    // A confirmation may be under way when the disk behind it is lost.
    let lost = world.history.faults_since(seen.asked_us, |kind| kind == FaultKind::DiskLost);
    if holders >= 2 || (lost > 0 && holders >= 1) {
        return Ok(());
    }
    Err(format!("{activation} was accepted by server {} and is durable on {holders} servers", first.server))
}

/// I2: when nothing more can happen, links are whole and one holder is up, every endpoint of every accepted activation is
/// acked, stopped, expired or failed with a reason, on every server that knows it, and what is called acked was reached.
fn i2_everything_has_a_result(world: &World, activation: ActivationId, seen: &Activation) -> Verdict {
    if seen.accepted.is_empty() {
        return Ok(());
    }
    for (at, known) in holders(world, activation) {
        let Some((outcome, _)) = known.ended else {
            return Err(format!("server {at} still thinks that {activation} runs: {known:?}"));
        };
        for (endpoint, state) in known.states.iter().enumerate() {
            let settled = state.is_final() || outcome == Outcome::Stopped || known.stopped;
            if !settled {
                return Err(format!("endpoint {endpoint} of {activation} has no result on server {at}: {state:?}"));
            }
            // A bell that was begun counts as reached: it is not repeated.
            let reached = match seen.content.on_takeover {
                OnTakeover::SkipStarted => !seen.rang[endpoint].is_empty(),
                OnTakeover::Replay | OnTakeover::Resume => seen.acked.contains(&endpoint),
            };
            if matches!(state, EndpointState::Acked { .. }) && !reached {
                return Err(format!("server {at} calls endpoint {endpoint} of {activation} acked; it never was"));
            }
        }
    }
    Ok(())
}

/// I2, seen from outside: no activation that was accepted with two copies has an endpoint that nobody can reach any more.
fn i2_nothing_is_lost(world: &World) -> Verdict {
    let (lost, _) = lost(world);
    if lost > 0 { Err(format!("{lost} accepted activations are lost")) } else { Ok(()) }
}

/// I3, while it runs: without faults no endpoint gets an activation twice.
fn i3_never_twice_without_faults(world: &World, seen: &Activation) -> Verdict {
    if world.schedule.weather == Weather::Calm && seen.rang.iter().any(|rang| rang.len() > 1) {
        return Err(format!("an endpoint rang twice without any fault: {:?}", seen.rang));
    }
    Ok(())
}

/// I3, at the end: without faults each endpoint got each activation exactly once, unless it was stopped or may expire.
fn i3_exactly_once_without_faults(world: &World, seen: &Activation) -> Verdict {
    let excused = seen.stop_asked || (seen.content.expires.is_some() && seen.content.due.is_none());
    if world.schedule.weather != Weather::Calm || excused {
        return Ok(());
    }
    if seen.rang.iter().all(|rang| rang.len() == 1) {
        return Ok(());
    }
    Err(format!("without any fault the endpoints of {} rang {:?}", seen.content.name, seen.rang))
}

/// I4: an endpoint gets an activation at most once more than there were crashes, restarts, pauses, cuts, disk faults,
/// drains and false suspicions since shortly before it was asked for. Servers outside the priority group are left out: when
/// all of the group is down, two of them whose claims cross on the way both begin.
fn i4_deliveries_are_bounded_by_faults(world: &World, seen: &Activation) -> Verdict {
    let inside = |rang: &&Rang| seen.content.group.contains(&id(rang.server));
    let most = seen.rang.iter().map(|rang| rang.iter().filter(inside).count()).max().unwrap_or(0);
    if most <= 1 {
        return Ok(());
    }
    let faults = world.history.faults_since(seen.asked_us.saturating_sub(AFTERMATH_US), |_| true);
    if most <= 1 + faults {
        return Ok(());
    }
    Err(format!("an endpoint of {} rang {most} times with {faults} faults: {:?}", seen.content.name, seen.rang))
}

/// I5: with crash faults only, never are two servers allowed to deliver the same activation at one moment. Servers outside
/// the priority group are left out, as in I4.
fn i5_one_deliverer_with_crashes_only(world: &World, seen: &Activation) -> Verdict {
    let inside = seen.delivering.keys().filter(|at| seen.content.group.contains(&id(**at))).count();
    if world.schedule.weather <= Weather::Crashes && inside > 0 && seen.delivering.len() > 1 {
        return Err(format!("{} is delivered by several servers at once: {:?}", seen.content.name, seen.delivering));
    }
    Ok(())
}

/// I6: if any endpoint was reached and at most one server crashed, all are, where another server was there to go on.
fn i6_no_partial_page(world: &World, seen: &Activation) -> Verdict {
    let crashes = world.history.faults_since(0, |kind| kind == FaultKind::Crash);
    let may_stay_partial = seen.stop_asked || seen.content.expires.is_some() || seen.content.group.len() < 2;
    if world.schedule.weather > Weather::Crashes || crashes > 1 || may_stay_partial {
        return Ok(());
    }
    let reached = seen.rang.iter().filter(|rang| !rang.is_empty()).count();
    if reached == 0 || reached == seen.rang.len() {
        return Ok(());
    }
    Err(format!("{} reached {reached} of {} endpoints after {crashes} crashes", seen.content.name, seen.rang.len()))
}

/// When nothing more can happen, what a record calls reached has been switched off by somebody: the server that wrote it knew. What
/// another one begins after that, on its side of a cut, is its own to switch off, and stays on if it dies there.
fn what_was_reached_is_off(world: &World, activation: ActivationId, seen: &Activation) -> Verdict {
    let ended_by = |at: usize, known: &Knowledge| known.ended.is_some() && known.owner == id(at);
    for (at, known) in holders(world, activation).filter(|(at, known)| ended_by(*at, known)) {
        let died = |server: usize, since: u64| {
            let mut crashes = world.history.faults.iter().filter(|fault| fault.kind == FaultKind::Crash);
            crashes.any(|fault| fault.server == server && fault.from_us >= since)
        };
        let excused = |server, at_us| seen.ended_us.is_some_and(|ended| ended < at_us) && died(server, at_us);
        let left = seen.on.iter().find(|(endpoint, (server, at_us))| {
            matches!(known.states[**endpoint], EndpointState::Acked { .. }) && !excused(*server, *at_us)
        });
        if let Some((endpoint, _)) = left {
            let what =
                format!("server {at} ended {activation} and endpoint {endpoint}, which it knows to be reached, is on");
            return Err(what);
        }
    }
    Ok(())
}

/// I13: every accepted activation ends in a visible record, as long as a server that knows it runs. A disk that was lost
/// takes its records with it: the copy on the primary is not part of this world.
fn i13_every_activation_has_a_record(world: &World, activation: ActivationId, seen: &Activation) -> Verdict {
    let lost = world.history.faults_since(0, |kind| kind == FaultKind::DiskLost) > 0;
    if seen.accepted.is_empty() || lost || holders(world, activation).next().is_none() {
        return Ok(());
    }
    let mut records = world.servers.iter().flat_map(|server| &server.records);
    if records.any(|record| record.content.id == activation) {
        return Ok(());
    }
    Err(format!("{} was accepted and has ended, and no server has a record of it", seen.content.name))
}

/// The running servers that know an activation, and what they know.
fn holders(world: &World, activation: ActivationId) -> impl Iterator<Item = (usize, &Knowledge)> {
    // A server that was deprovisioned, is left out by the licence or waits to be promoted, knows and does nothing more.
    let running = world.running().filter(move |(at, node)| !node.is_retired() && !out_of_service(&world.servers[*at]));
    running.filter_map(move |(at, node)| Some((at, node.knowledge(activation)?)))
}

/// Whether a server was told that it may not send.
fn out_of_service(server: &Server) -> bool {
    matches!(server.copy.life, Life::Inert | Life::Restored | Life::Unlicensed)
}

pub(crate) fn check(world: &World, invariant: &'static str, verdict: Verdict) -> Result<(), Violation> {
    verdict.map_err(|what| Violation { invariant, what, at_us: world.now_us })
}
