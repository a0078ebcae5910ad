//! Rehearsals: everything happens but the delivery, as stories.

use crate::world::{A, B, C, Did, MORNING, World, page};
use onealert_core::{
    activation::{Content, Deliverable},
    effect::{Notice, Rehearsed},
    event::Input,
    ids::{EventKey, ServerId},
    time::{Span, Wall},
};

fn rehearsal(world: &World, group: &[ServerId], dead: &[ServerId]) -> Content {
    let now = Wall(MORNING + world.ms() as i64);
    Content::rehearsal(EventKey::from("drill 1"), group.to_vec(), dead.to_vec(), now, now + Span::secs(10))
}

/// When a server first saw a rehearsal in some state.
fn seen(world: &World, at: ServerId, wanted: impl Fn(&Rehearsed) -> bool) -> Option<u64> {
    world.when(at, |did| matches!(did, Did::Rehearsed { seen, .. } if wanted(seen)))
}

fn nothing_left_the_servers(world: &World) {
    // Peers were found to be up at the start of the story; nothing else is worth telling anybody.
    let sent = |did: &Did| match did {
        Did::Notice(notice) => !matches!(notice, Notice::PeerUp { .. }),
        did => matches!(did, Did::Deliver { .. } | Did::Reached { .. } | Did::Ended(_)),
    };
    let did: Vec<_> = world.did.iter().filter(|(_, _, did)| sent(did)).collect();
    assert!(did.is_empty(), "{did:?}");
}

#[test]
fn the_next_server_takes_a_rehearsal_over_and_nothing_is_delivered_wherever_it_was_asked_for() {
    for at in [A, B, C] {
        let mut world = World::of(&[A, B, C]);
        let drill = rehearsal(&world, &[A, B, C], &[A]);
        let ticket = world.trigger(at, &drill);
        world.run(1000);
        assert!(matches!(world.answer(ticket), Some((_, Did::Accepted { degraded: false, .. }))));
        let fell = seen(&world, at, |seen| seen.fallen && seen.owner == A).expect("A played dead");
        let took =
            seen(&world, at, |seen| seen.attempt == 1 && seen.owner == B && seen.started).expect("B took it over");
        assert!((2..=15).contains(&(took - fell)), "a claim is stored and confirmed in between: {} ms", took - fell);
        for server in [A, B, C] {
            assert!(seen(&world, server, |seen| seen.ended).is_some(), "{server} knows that it is over");
        }
        nothing_left_the_servers(&world);
    }
}

#[test]
fn several_servers_may_play_dead_and_the_first_that_does_not_takes_over() {
    let mut world = World::of(&[A, B, C]);
    let drill = rehearsal(&world, &[B, A, C], &[A, B]);
    world.trigger(C, &drill);
    world.run(1000);
    assert!(seen(&world, C, |seen| seen.owner == C && seen.started && seen.attempt == 1).is_some());
    assert!(seen(&world, C, |seen| seen.owner == A).is_none(), "A would be dead as well");
    nothing_left_the_servers(&world);
}

#[test]
fn a_rehearsal_in_which_nobody_is_left_ends_by_itself() {
    let mut world = World::of(&[A, B]);
    let drill = rehearsal(&world, &[A, B], &[A, B]);
    world.trigger(B, &drill);
    world.run(9000);
    assert!(seen(&world, B, |seen| seen.attempt > 0 || seen.ended).is_none());
    world.run(4000);
    for server in [A, B] {
        assert!(world.node(server).knowledge(drill.id).is_some_and(|known| known.ended.is_some()), "{server}");
    }
    nothing_left_the_servers(&world);
}

#[test]
fn a_rehearsal_does_not_keep_a_server_from_draining() {
    let mut world = World::of(&[A, B]);
    let drill = rehearsal(&world, &[A, B], &[A, B]);
    world.trigger(B, &drill);
    world.run(100);
    world.feed(A, Input::Drain);
    world.run(100);
    assert!(world.node(A).is_drained());
}

/// The type says it: no order to deliver can be made of a rehearsal, not even of one with endpoints.
#[test]
fn a_rehearsal_is_not_deliverable() {
    let world = World::of(&[A]);
    let mut drill = rehearsal(&world, &[A], &[]);
    drill.endpoints = page("call", 3).endpoints;
    assert_eq!(Deliverable::of(&drill.into()), None);
    assert!(Deliverable::of(&page("call", 3).into()).is_some());
}

/// A peer that lists endpoints in a rehearsal reaches none of them.
#[test]
fn a_rehearsal_with_endpoints_reaches_none() {
    let mut world = World::of(&[A, B]);
    let mut drill = rehearsal(&world, &[A, B], &[A]);
    drill.endpoints = page("call", 3).endpoints;
    world.trigger(B, &drill);
    world.run(2000);
    assert_eq!(world.reached(&drill), [0, 0, 0]);
    assert!(seen(&world, B, |seen| seen.owner == B && seen.ended).is_some());
    nothing_left_the_servers(&world);
}
