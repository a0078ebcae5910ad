//! Who is believed up, who is held, how a server leaves in good order (redundancy sheet, sections 5 and 7), as stories.

use crate::world::{A, B, C, Did, MORNING, World, bell, page, page_for};
use onealert_core::{
    effect::{Absence, DownReason, HaltReason, Notice, Outcome, Refusal},
    event::{Input, LinkSeen},
    ids::{Incarnation, ServerId},
    peer_message::PeerMessage,
    time::Span,
    tuning::Tuning,
    view::{Belief, ClockLevel},
};

fn is_deliver(did: &Did) -> bool {
    matches!(did, Did::Deliver { .. })
}

fn belief(world: &World, at: ServerId, of: ServerId) -> Belief {
    let view = world.node(at).peers().into_iter().find(|view| view.id == of);
    view.expect("every peer is shown").belief
}

/// Servers with a hold-down of five seconds that have been up for longer than that.
fn settled(ids: &[ServerId]) -> World {
    let mut world = World::tuned(ids, Tuning::default().with_hold_down(Span::secs(5)).expect("above a second"));
    world.run(6000);
    world
}

#[test]
fn at_a_cold_start_nobody_is_held() {
    let mut world = World::tuned(&[A, B, C], Tuning::default());
    world.run(500);
    for (at, of) in [(A, B), (A, C), (B, A), (B, C), (C, A), (C, B)] {
        assert_eq!(belief(&world, at, of), Belief::Up);
        assert!(!world.node(at).is_held());
    }
}

#[test]
fn a_refused_connection_is_down_at_once_and_silence_after_a_second() {
    let mut world = World::of(&[A, B, C]);
    world.run(1000);
    world.kill(B);
    world.power_off(C);
    world.run(5);
    let why =
        |world: &World, of| world.node(A).peers().into_iter().find(|view| view.id == of).and_then(|view| view.why);
    assert_eq!((why(&world, B), why(&world, C)), (Some(DownReason::Refused), None));
    world.run(1300);
    assert_eq!(why(&world, C), Some(DownReason::Silent));
    assert_eq!(world.node(A).would_own(&[C, B, A]), Some(A));
    assert_eq!(world.node(A).would_own(&[C, B]), None);
}

#[test]
fn a_closed_connection_says_nothing_by_itself() {
    let mut world = World::of(&[A, B]);
    world.feed(A, Input::Link { peer: B, seen: LinkSeen::Lost });
    world.run(100);
    assert_eq!(belief(&world, A, B), Belief::Up);
    world.feed(A, Input::Link { peer: B, seen: LinkSeen::Connected { incarnation: Incarnation(1), boot: 1 } });
    assert!(!world.node(A).is_resuming(), "the same life of B missed nothing");
    world.feed(A, Input::Link { peer: B, seen: LinkSeen::Connected { incarnation: Incarnation(1), boot: 2 } });
    assert!(world.node(A).is_resuming(), "another life may have");
}

/// A message that was under way when the process died does not bring it back.
#[test]
fn after_a_refusal_only_a_connection_brings_a_peer_back() {
    let mut world = World::of(&[A, B]);
    world.kill(B);
    world.run(10);
    world.say(B, A, PeerMessage::Told { round: 1 });
    assert_eq!(belief(&world, A, B), Belief::Down);
    world.start(B);
    world.run(10);
    assert_eq!(belief(&world, A, B), Belief::Up);
}

#[test]
fn what_a_server_that_is_no_peer_says_counts_for_nothing() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 1, &[A, B]));
    let content = std::sync::Arc::new(page.clone());
    let knowledge = Box::new(onealert_core::knowledge::Knowledge::first(content, A));
    world.say(C, A, PeerMessage::Push { knowledge, confirm: true });
    world.run(500);
    assert_eq!((world.node(A).knowledge(page.id), world.reached(&page)), (None, vec![0]));
    world.feed(A, Input::Peers { peers: vec![] });
    assert!(world.node(A).peers().is_empty());
    assert_eq!(world.node(A).would_own(&[B]), None);
}

#[test]
fn a_returning_server_owns_nothing_until_its_hold_down_has_passed() {
    let mut world = settled(&[A, B, C]);
    world.kill(A);
    world.run(100);
    world.start(A);
    world.run(50);
    let returned = world.ms();
    for at in [B, C] {
        assert_eq!(belief(&world, at, A), Belief::Held);
        assert_eq!(world.node(at).would_own(&[A, B, C]), Some(B));
    }
    assert!(world.node(A).is_held());
    assert_eq!(world.node(A).would_own(&[A, B, C]), Some(B), "it knows itself");
    let early = page("while held", 1);
    world.trigger(A, &early);
    world.run(1000);
    assert_eq!(world.deliveries(early.id), [(B, 0, vec![0])]);
    while world.node(A).is_held() {
        world.run(10);
        assert!(world.ms() < returned + 10_000, "the hold-down ends");
    }
    assert!((4900..=5100).contains(&(world.ms() - returned)), "held for {} ms", world.ms() - returned);
    let late = page("after", 1);
    world.trigger(C, &late);
    world.run(1000);
    assert_eq!(world.deliveries(late.id), [(A, 0, vec![0])]);
}

/// The servers must agree who is held, or a bell rings twice.
#[test]
fn a_bell_during_a_hold_down_rings_once_from_the_next_server_and_on_time() {
    let mut world = settled(&[A, B, C]);
    world.kill(A);
    world.run(100);
    world.start(A);
    world.run(400);
    let due = world.ms() as i64 + 500;
    let bell = bell("8:00", 2, due);
    for server in [A, B, C] {
        world.trigger(server, &bell);
    }
    world.run(4000);
    assert_eq!(world.deliveries(bell.id), [(B, 1, vec![0, 1])]);
    assert_eq!(world.when(B, is_deliver), Some(due as u64));
    assert_eq!(world.reached(&bell), [1, 1]);
}

#[test]
fn a_held_server_owns_when_nobody_else_is_up() {
    let mut world = settled(&[A, B]);
    world.kill(A);
    world.run(100);
    world.start(A);
    world.run(100);
    assert!(world.node(A).is_held());
    world.kill(B);
    world.run(10);
    assert!(!world.node(A).is_held(), "nobody who is up says so");
    let page = page_for("call", 1, &[A, B]);
    world.trigger(A, &page);
    world.run(1000);
    assert_eq!(world.deliveries(page.id), [(A, 0, vec![0])]);
}

#[test]
fn a_server_that_is_not_in_sync_stays_held() {
    let mut world = settled(&[A, B]);
    let mut ahead = crate::world::standing();
    ahead.position.lsn += 5;
    world.feed(B, Input::Standing { standing: ahead.clone() });
    world.kill(A);
    world.run(100);
    world.start(A);
    world.run(20_000);
    assert!(world.node(A).is_held(), "it lacks five records");
    world.feed(A, Input::Standing { standing: ahead });
    world.run(20);
    assert!(!world.node(A).is_held());
}

#[test]
fn a_draining_server_finishes_what_runs_and_takes_nothing_new() {
    let (mut world, running) = (World::of(&[A, B, C]), page("running", 20));
    world.trigger(A, &running);
    world.run(100);
    world.feed(A, Input::Drain);
    world.run(5);
    assert!(world.node(A).is_draining() && !world.node(A).is_drained());
    assert_eq!(belief(&world, B, A), Belief::Down);
    let next = page("next", 2);
    let ticket = world.trigger(A, &next);
    let refused = Did::Refused { ticket, reason: Refusal::Draining };
    assert_eq!(world.answer(ticket).map(|(_, did)| did), Some(refused));
    world.trigger(C, &next);
    world.run(1000);
    assert!(world.node(A).is_drained());
    assert_eq!(world.records(running.id), [(A, 0, Outcome::Success)]);
    assert_eq!(world.deliveries(next.id), [(B, 0, vec![0, 1])]);
    assert_eq!((world.reached(&running), world.reached(&next)), (vec![1; 20], vec![1, 1]));
    let told = Did::Notice(Notice::PeerDown { peer: A, why: DownReason::Draining, absence: Absence::Announced });
    assert!(world.when(B, |did| *did == told).is_some());
}

/// What a server is told of another that goes, in order.
fn told_gone(world: &World, at: ServerId, of: ServerId) -> Vec<(DownReason, Absence)> {
    let gone = |did: &Did| match did {
        Did::Notice(Notice::PeerDown { peer, why, absence }) if *peer == of => Some((*why, *absence)),
        _ => None,
    };
    world.did.iter().filter(|(_, by, _)| *by == at).filter_map(|(_, _, did)| gone(did)).collect()
}

#[test]
fn a_server_that_said_that_it_stops_is_no_fault_when_its_process_ends_and_the_next_life_may_fail_again() {
    let mut world = settled(&[A, B]);
    world.feed(A, Input::Drain);
    world.run(5);
    world.kill(A);
    world.run(50);
    let farewell = (DownReason::Draining, Absence::Announced);
    let planned = [farewell, (DownReason::Refused, Absence::Announced)];
    assert_eq!(told_gone(&world, B, A)[..2], planned);
    world.start(A);
    world.run(500);
    world.kill(A);
    world.run(50);
    assert_eq!(told_gone(&world, B, A).last(), Some(&(DownReason::Refused, Absence::Unannounced)));
}

#[test]
fn a_server_that_was_not_heard_since_the_start_may_not_have_been_started_yet() {
    let mut world = World::of(&[A, B]);
    world.kill(B);
    world.kill(A);
    world.start(A);
    world.run(2000);
    let [(_, absence)] = told_gone(&world, A, B)[..] else { panic!("once: {:?}", told_gone(&world, A, B)) };
    assert_eq!(absence, Absence::Unmet);
    assert_eq!(world.node(A).would_own(&[B, A]), Some(A), "nobody waits for it");
    world.start(B);
    world.run(500);
    world.kill(B);
    world.run(50);
    assert_eq!(told_gone(&world, A, B).last(), Some(&(DownReason::Refused, Absence::Unannounced)));
}

#[test]
fn what_a_draining_server_does_not_finish_is_handed_over_and_nothing_rings_twice() {
    let (mut world, long) = (World::of(&[A, B, C]), page("long", 20));
    world.trigger(A, &long);
    world.run(100);
    world.feed(A, Input::Drain);
    world.run(50);
    world.feed(A, Input::HandOver);
    world.run(1000);
    let halt = Did::Halt { activation: long.id, reason: HaltReason::HandedOver };
    assert!(world.when(A, |did| *did == halt).is_some());
    let delivered = world.deliveries(long.id);
    let [(A, 0, all), (B, 1, rest)] = &delivered[..] else { panic!("{delivered:?}") };
    assert!(all.len() == 20 && (5..20).contains(&rest.len()), "{delivered:?}");
    assert_eq!(world.reached(&long), vec![1; 20]);
    assert_eq!(world.records(long.id), [(B, 1, Outcome::Success)]);
    assert!(world.node(A).is_drained());
}

#[test]
fn what_is_handed_over_while_the_heir_dies_is_finished_by_its_owner() {
    let (mut world, long) = (World::of(&[A, B]), page("long", 20));
    world.trigger(A, &long);
    world.run(100);
    world.feed(A, Input::Drain);
    world.feed(A, Input::HandOver);
    world.run(10);
    world.kill(B);
    world.run(2000);
    assert_eq!(world.reached(&long), vec![1; 20]);
    assert_eq!(world.records(long.id), [(A, 1, Outcome::Success)]);
    assert!(world.node(A).is_drained());
}

#[test]
fn what_was_handed_over_and_claimed_by_nobody_goes_on_after_a_start() {
    let (mut world, long) = (World::of(&[A, B]), page("long", 20));
    world.trigger(A, &long);
    world.run(100);
    world.feed(A, Input::Drain);
    world.feed(A, Input::HandOver);
    world.cut(A, B);
    world.run(500);
    world.kill(A);
    world.power_off(B);
    world.start(A);
    world.run(3000);
    assert_eq!(world.reached(&long), vec![1; 20]);
    assert_eq!(world.records(long.id), [(A, 1, Outcome::Success)]);
}

#[test]
fn a_bell_passes_on_from_a_draining_server() {
    let (mut world, bell) = (World::of(&[A, B, C]), bell("8:00", 1, 1000));
    for server in [A, B, C] {
        world.trigger(server, &bell);
    }
    world.run(300);
    world.feed(A, Input::Drain);
    world.run(2000);
    assert_eq!(world.deliveries(bell.id), [(B, 1, vec![0])]);
    assert_eq!(world.when(B, is_deliver), Some(1000));
}

/// Rolling restart of all three, one after the other, under load.
#[test]
fn a_rolling_restart_loses_and_doubles_nothing() {
    let mut world = settled(&[A, B, C]);
    let mut pages = Vec::new();
    for leaving in [A, B, C] {
        for phase in 0..4 {
            match phase {
                1 => world.feed(leaving, Input::Drain),
                2 => {
                    assert!(world.node(leaving).is_drained(), "{leaving} had 2.5 s");
                    world.kill(leaving);
                }
                3 => world.start(leaving),
                _ => {}
            }
            for turn in 0..25 {
                let page = page(&format!("{leaving} {phase} {turn}"), 2);
                let at = [A, B, C].into_iter().filter(|at| *at != leaving).nth(turn % 2).expect("two stay");
                let ticket = world.trigger(at, &page);
                world.run(100);
                assert!(matches!(world.answer(ticket), Some((_, Did::Accepted { .. }))), "{page:?}");
                pages.push(page);
            }
        }
        world.run(6000);
    }
    for page in &pages {
        assert_eq!(world.reached(page), [1, 1], "{}", page.name);
        assert_eq!(world.records(page.id).len(), 1, "{}", page.name);
    }
}

/// A cut between two of three: the third hears both, so the owner goes on undisturbed.
#[test]
fn two_servers_that_cannot_hear_each_other_do_not_take_a_page_from_each_other() {
    let (mut world, page) = (World::of(&[A, B, C]), page("long", 500));
    world.trigger(A, &page);
    world.run(200);
    world.cut(A, B);
    world.run(12_000);
    assert_eq!(belief(&world, B, A), Belief::Down);
    assert_eq!(world.deliveries(page.id).len(), 1, "{:?}", world.deliveries(page.id).len());
    assert_eq!(world.reached(&page), [1; 500]);
    assert_eq!(world.records(page.id), [(A, 0, Outcome::Success)]);
    let known = world.node(B).knowledge(page.id).expect("B has a copy");
    assert!(known.ended.is_some(), "B learns the end through C");
}

/// The same with a bell: the first server is heard by the third, so the second does not ring beside it; if the first hangs,
/// the second rings after all.
#[test]
fn a_bell_rings_once_when_two_of_three_servers_cannot_hear_each_other() {
    let mut world = World::of(&[A, B, C]);
    world.cut(A, B);
    world.run(3000);
    let first = bell("8:00", 2, world.ms() as i64 + 1000);
    for server in [A, B, C] {
        world.trigger(server, &first);
    }
    world.run(5000);
    assert_eq!(world.deliveries(first.id), [(A, 0, vec![0, 1])]);
    assert_eq!(world.when(A, is_deliver), Some(first.due.expect("a bell").0 as u64 - MORNING as u64));
    let second = bell("8:05", 2, world.ms() as i64 + 1000);
    for server in [B, C] {
        world.trigger(server, &second);
    }
    world.run(1000);
    let due = world.ms();
    world.run(5000);
    // Whoever takes over what has rung only switches it off.
    let rings = world.deliveries(second.id).into_iter().filter(|(.., endpoints)| !endpoints.is_empty());
    let rung: Vec<ServerId> = rings.map(|(server, ..)| server).collect();
    assert_eq!(rung.len(), 1, "{rung:?}");
    let rings = |did: &Did| matches!(did, Did::Deliver { activation, .. } if *activation == second.id);
    let late = world.when(rung[0], rings).expect("it rang") - due;
    assert!((400..=2000).contains(&late), "{late}");
}

/// A cut of one server from the others: each side rings the bell once, and healing sends nothing.
#[test]
fn each_side_of_a_cut_rings_and_healing_sends_nothing() {
    let mut world = World::of(&[A, B, C]);
    world.cut(A, B);
    world.cut(A, C);
    world.run(3000);
    let bell = bell("8:00", 2, world.ms() as i64 + 1000);
    for server in [A, B, C] {
        world.trigger(server, &bell);
    }
    world.run(3000);
    let ringing: Vec<ServerId> = world.deliveries(bell.id).into_iter().map(|(server, ..)| server).collect();
    assert_eq!(ringing, [A, B]);
    world.heal(A, B);
    world.heal(A, C);
    world.run(5000);
    assert_eq!(world.deliveries(bell.id).len(), 2);
    assert_eq!(world.reached(&bell), [2, 2]);
}

#[test]
fn the_clock_offset_and_the_round_trip_are_shown() {
    let mut world = World::of(&[A, B]);
    world.server(B).ahead = -250;
    world.run(5000);
    let view = world.node(A).peers().remove(0);
    assert!(view.offset_ms.is_some_and(|offset| (-252..=-248).contains(&offset)), "{:?}", view.offset_ms);
    assert!(view.rtt.is_some_and(|rtt| rtt <= Span::millis(3)), "{:?}", view.rtt);
    assert!(view.standing.is_some() && view.last_heard.is_some());
    let warned = |did: &Did| matches!(did, Did::Notice(Notice::ClockOffset { peer: B, .. }));
    assert_eq!(world.did.iter().filter(|(_, at, did)| *at == A && warned(did)).count(), 1, "told once");
}

/// Invariant I12: told once, it delivers nothing more, and what it had accepted is finished by the others.
#[test]
fn a_deprovisioned_server_halts_at_once_and_another_one_finishes() {
    let mut world = settled(&[A, B, C]);
    world.server(A).pace = 400;
    let page = page("lockdown", 3);
    world.trigger(A, &page);
    world.run(600);
    world.feed(A, Input::Retire);
    world.run(3000);
    let halted = |did: &Did| *did == Did::Halt { activation: page.id, reason: HaltReason::Retired };
    assert!(world.when(A, halted).is_some());
    assert_eq!(world.deliveries(page.id).iter().map(|(server, ..)| *server).collect::<Vec<_>>(), [A, B]);
    assert!(world.when(B, |did| matches!(did, Did::Ended(record) if record.outcome == Outcome::Success)).is_some());
    let ticket = world.trigger(A, &self::page("another", 1));
    let refused = |did: &Did| *did == Did::Refused { ticket, reason: Refusal::Retired };
    assert!(world.when(A, refused).is_some());
}

/// Warned of at 100 ms, an alert at 500 ms, red at 2 s; a step back is told by the view alone.
#[test]
fn a_clock_that_differs_is_told_at_each_limit_of_the_sheet() {
    let limits = [(90, ClockLevel::Fine), (150, ClockLevel::Warn), (700, ClockLevel::Alert), (2500, ClockLevel::Red)];
    for (ahead, expected) in limits {
        let mut world = World::of(&[A, B]);
        world.server(B).ahead = ahead;
        world.run(8000);
        assert_eq!(world.node(A).peers()[0].clock, expected, "{ahead} ms");
        let told = |did: &Did| matches!(did, Did::Notice(Notice::ClockOffset { level, .. }) if *level == expected);
        assert_eq!(world.when(A, told).is_some(), expected > ClockLevel::Fine, "{ahead} ms");
    }
}

#[test]
fn how_old_a_page_is_does_not_depend_on_the_clock_of_the_server_that_it_came_in_at() {
    let mut world = World::of(&[A, B, C]);
    world.server(C).ahead = -60_000;
    world.server(B).ahead = 60_000;
    let content = page("from a server a minute behind", 1);
    let accepted = world.now_at(C).wall;
    let content = onealert_core::activation::Content { accepted, ..content };
    world.trigger(C, &content);
    world.run(500);
    let ages = [A, B, C].map(|id| world.node(id).age(content.id).expect("all three know it").as_millis());
    assert!(ages.iter().all(|age| (400..=500).contains(age)), "{ages:?}");
}
