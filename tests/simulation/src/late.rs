//! The rules for servers that are late for a bell, and for clocks that call one missed before its time. Where they are broken
//! a record with a reason is left behind, which satisfies the invariants I1 to I13; so they are judged here.

use onealert_core::{
    activation::EndpointState,
    effect::{Ended, Outcome},
    knowledge::Knowledge,
    view::Belief,
};

use crate::{
    checks::{Verdict, Violation, check},
    history::{Activation, Fault},
    server::MORNING,
    world::{World, id, place},
};

/// How long before its moment, and after it, one server without any fault is enough for a bell to be rung.
const SOUND_US: u64 = 8_000_000;
/// How far the clock of such a server may be off. A jump leaves it wrong for good.
const RIGHT_MS: u64 = 600;

/// A server that computes a bell after its moment calls it missed when another one has answered, or the budget is spent; not while
/// everybody whom it believes up knows that it was rung.
pub(crate) fn is_not_missed_unasked(world: &World, at: usize, record: &Ended) -> Result<(), Violation> {
    let server = &world.servers[at];
    let activation = record.content.id;
    let now = server.clocks(world.now_us).mono;
    let Some(since) = server.came_late.get(&activation) else { return Ok(()) };
    if record.outcome != Outcome::Missed || now - *since >= world.tuning.budget() {
        return Ok(());
    }
    let Some(node) = &server.node else { return Ok(()) };
    let up = node.peers().into_iter().filter(|peer| peer.belief != Belief::Down).map(|peer| place(peer.id));
    let others: Vec<usize> = up.filter(|other| record.content.group.contains(&id(*other))).collect();
    let rang = |other: &usize| {
        let known = world.servers[*other].node.as_ref().and_then(|node| node.knowledge(activation));
        known.is_some_and(was_begun)
    };
    let unasked = !others.is_empty() && others.iter().all(rang);
    let what = || format!("server {at} calls {} missed, and {others:?} know that it was rung", record.content.name);
    check(world, "late servers", if unasked { Err(what()) } else { Ok(()) })
}

/// A bell is rung where one server of its group had nothing wrong from shortly before its moment until shortly after it,
/// whatever a server with a wrong clock has called it before.
pub(crate) fn what_a_sound_server_had_was_rung(world: &World, seen: &Activation) -> Verdict {
    let Some(due) = seen.content.due.filter(|_| !seen.stop_asked) else { return Ok(()) };
    if seen.rang.iter().all(|rang| !rang.is_empty()) {
        return Ok(());
    }
    let due_us = u64::try_from(due.0 - MORNING).unwrap_or(0) * 1000;
    let near = |fault: &&Fault| fault.until_us.saturating_add(SOUND_US) >= due_us && fault.from_us <= due_us + SOUND_US;
    let sound = |member: &usize| {
        let right = world.servers[*member].clock.ahead_ms.unsigned_abs() <= RIGHT_MS;
        let mut faults = world.history.faults.iter().filter(near);
        let struck = faults.any(|fault| fault.server == *member || fault.other == Some(*member));
        right && !struck && world.has_plans(*member)
    };
    match seen.content.group.iter().map(|member| place(*member)).find(sound) {
        Some(at) => Err(format!("nobody rang {}, and server {at} had nothing wrong", seen.content.name)),
        None => Ok(()),
    }
}

fn was_begun(known: &Knowledge) -> bool {
    known.states.iter().any(|state| matches!(state, EndpointState::Sent | EndpointState::Acked { .. }))
}
