//! What is accepted, who owns it and when it is sent: rules 1 to 4 of the redundancy sheet, section 4.3.

use crate::world::{A, B, C, Did, World, bell, page, page_for};
use onealert_core::{
    activation::EndpointState,
    effect::{Outcome, Refusal},
    ids::ServerId,
    time::Span,
};

#[test]
fn without_faults_the_first_of_the_group_reaches_everybody_once_wherever_the_trigger_comes_in() {
    for at in [A, B, C] {
        let (mut world, page) = (World::of(&[A, B, C]), page("call", 3));
        let ticket = world.trigger(at, &page);
        world.run(3000);
        let (answered, how) = world.answer(ticket).expect("answered");
        assert_eq!(how, Did::Accepted { ticket, degraded: false, duplicate: false });
        assert!(answered <= 50 + 10, "one round trip and one write, not {answered} ms");
        assert_eq!(world.deliveries(page.id), [(A, 0, vec![0, 1, 2])]);
        assert_eq!(world.reached(&page), [1, 1, 1]);
        assert_eq!(world.records(page.id), [(A, 0, Outcome::Success)]);
        for server in [A, B, C] {
            assert!(world.node(server).knowledge(page.id).is_some_and(|known| known.ended.is_some()), "{server}");
        }
    }
}

/// Rule 1.
#[test]
fn accepted_is_said_only_when_another_server_has_it_on_disk() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 1, &[A, B]));
    let ticket = world.trigger(A, &page);
    while world.answer(ticket).is_none() {
        world.run(1);
        assert!(world.ms() < 1000, "answered in time");
    }
    assert!(world.servers[&A].disk.contains_key(&page.id) && world.servers[&B].disk.contains_key(&page.id));
}

/// Rule 1.
#[test]
fn a_silent_peer_costs_the_budget_and_the_answer_says_degraded() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 1, &[A, B]));
    world.power_off(B);
    let ticket = world.trigger(A, &page);
    world.run(2000);
    assert_eq!(world.answer(ticket), Some((200, Did::Accepted { ticket, degraded: true, duplicate: false })));
    assert_eq!(world.when(A, Did::is_deliver), Some(200));
    assert_eq!(world.reached(&page), [1]);
    let ticket = world.trigger(A, &page_for("another", 1, &[A, B]));
    world.run(100);
    let (answered, _) = world.answer(ticket).expect("answered");
    assert!(answered <= 2050 + 5, "nobody is waited for who is believed down: {answered}");
}

/// Rule 1.
#[test]
fn a_full_disk_refuses_unless_another_server_has_the_copy() {
    let (mut world, alone) = (World::of(&[A, B]), page_for("alone", 1, &[A]));
    world.server(A).disk_fails = true;
    let ticket = world.trigger(A, &alone);
    world.run(3000);
    let refused = Refusal::NotStored("no space left on device".to_owned());
    assert_eq!(world.answer(ticket).map(|(_, did)| did), Some(Did::Refused { ticket, reason: refused }));
    assert_eq!((world.reached(&alone), world.node(A).knowledge(alone.id)), (vec![0], None));
    let shared = page_for("shared", 1, &[A, B]);
    let ticket = world.trigger(A, &shared);
    world.run(3000);
    let accepted = Did::Accepted { ticket, degraded: true, duplicate: false };
    assert_eq!(world.answer(ticket).map(|(_, did)| did), Some(accepted));
    assert_eq!(world.reached(&shared), [1]);
}

/// The disk is full, so a page is sent that is stored with the ingress server only; then the same event comes in again.
#[test]
fn a_page_that_is_being_sent_is_not_forgotten_when_it_is_asked_for_again() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 50, &[A]));
    world.server(A).disk_fails = true;
    world.trigger(B, &page);
    world.run(100);
    let again = world.trigger(A, &page);
    world.run(5000);
    let accepted = Did::Accepted { ticket: again, degraded: true, duplicate: true };
    assert_eq!(world.answer(again).map(|(_, did)| did), Some(accepted));
    assert_eq!(world.reached(&page), [1; 50]);
}

#[test]
fn the_same_event_twice_is_one_activation() {
    let (mut world, page) = (World::of(&[A, B, C]), page("cap alert", 2));
    let first = world.trigger(B, &page);
    let second = world.trigger(B, &page);
    let third = world.trigger(C, &page);
    world.run(1000);
    let late = world.trigger(A, &page);
    world.run(1000);
    for (ticket, duplicate) in [(first, false), (second, true), (third, false), (late, true)] {
        let how = world.answer(ticket).map(|(_, did)| did);
        assert_eq!(how, Some(Did::Accepted { ticket, degraded: false, duplicate }));
    }
    assert_eq!(world.reached(&page), [1, 1]);
}

/// Rule 2.
#[test]
fn a_hand_over_that_is_not_confirmed_leaves_the_page_with_the_server_that_was_asked() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 2, &[A, B]));
    world.power_off(A);
    let ticket = world.trigger(B, &page);
    world.run(400);
    assert_eq!(world.answer(ticket), Some((200, Did::Accepted { ticket, degraded: true, duplicate: false })));
    assert_eq!(world.deliveries(page.id), [(B, 1, vec![0, 1])]);
    assert_eq!(world.when(B, Did::is_deliver), Some(202), "the budget is spent once, then the claim is stored");
}

/// Rule 2.
#[test]
fn a_server_outside_the_group_hands_over_and_counts_the_copies_of_the_group() {
    let (mut world, page) = (World::of(&[A, B, C]), page_for("call", 2, &[A, B]));
    let ticket = world.trigger(C, &page);
    world.run(1000);
    let accepted = Did::Accepted { ticket, degraded: false, duplicate: false };
    assert_eq!(world.answer(ticket).map(|(_, did)| did), Some(accepted));
    assert_eq!(world.deliveries(page.id), [(A, 0, vec![0, 1])]);
    let known = world.node(C).knowledge(page.id).expect("the server that was asked is told the end");
    assert_eq!(known.ended.map(|(how, _)| how), Some(Outcome::Success));
    world.kill(A);
    world.kill(B);
    world.run(10);
    let alone = page_for("nobody up", 1, &[A, B]);
    world.trigger(C, &alone);
    world.run(1000);
    assert_eq!(world.deliveries(alone.id), [(C, 0, vec![0])]);
}

#[test]
fn a_group_without_a_known_server_is_refused() {
    let mut world = World::of(&[A, B]);
    for group in [vec![], vec![C]] {
        let ticket = world.trigger(A, &page_for("call", 1, &group));
        let refused = Did::Refused { ticket, reason: Refusal::EmptyGroup };
        assert_eq!(world.answer(ticket).map(|(_, did)| did), Some(refused));
    }
}

/// Two servers outside the group get the same event while nobody of the group is up: they know of each other.
#[test]
fn two_servers_outside_a_dead_group_send_the_same_event_once() {
    let (mut world, page) = (World::of(&[A, B, C]), page_for("call", 2, &[A]));
    world.kill(A);
    world.run(100);
    world.trigger(B, &page);
    world.run(3);
    world.trigger(C, &page);
    world.run(3000);
    assert_eq!(world.reached(&page), [1, 1]);
    assert_eq!(world.records(page.id).len(), 1, "{:?}", world.records(page.id));
}

/// Its owner dies while it runs: of two servers outside the group that know of it one goes on.
#[test]
fn one_of_two_servers_outside_the_group_goes_on_with_a_page_whose_group_died() {
    let (mut world, page) = (World::of(&[A, B, C]), page_for("call", 50, &[A]));
    world.trigger(B, &page);
    world.trigger(C, &page);
    world.run(200);
    world.kill(A);
    world.run(3000);
    let successors: Vec<ServerId> = world.deliveries(page.id)[1..].iter().map(|(server, ..)| *server).collect();
    assert_eq!(successors.len(), 1, "{successors:?}");
    assert!(world.reached(&page).iter().all(|times| (1..=2).contains(times)), "{:?}", world.reached(&page));
}

/// Rule 3.
#[test]
fn nothing_is_delivered_before_a_second_server_has_it() {
    let (mut world, page) = (World::of(&[A, B, C]), page("call", 1));
    world.trigger(A, &page);
    while world.when(A, Did::is_deliver).is_none() {
        world.run(1);
        assert!(world.ms() < 1000, "delivered in time");
    }
    assert!([B, C].iter().any(|server| world.servers[server].disk.contains_key(&page.id)));
}

/// Rule 3.
#[test]
fn a_bell_rings_on_time_without_a_copy() {
    let (mut world, bell) = (World::of(&[A, B, C]), bell("8:00", 2, 1000));
    world.run(900);
    for server in [A, B, C] {
        world.trigger(server, &bell);
    }
    world.run(3000);
    assert_eq!(world.deliveries(bell.id), [(A, 0, vec![0, 1])]);
    assert_eq!(world.when(A, Did::is_deliver), Some(1000));
    assert_eq!(world.reached(&bell), [1, 1]);
}

/// A server that was away computes a bell that its successor has rung meanwhile: it asks before it rings.
#[test]
fn a_bell_that_comes_up_late_is_not_rung_before_the_others_were_asked() {
    let (mut world, early) = (World::of(&[A, B]), bell("8:00", 2, 300));
    world.kill(A);
    world.run(100);
    world.trigger(B, &early);
    world.run(3000);
    assert_eq!(world.deliveries(early.id), [(B, 1, vec![0, 1])]);
    world.start(A);
    world.run(100);
    assert!(!world.node(A).is_resuming(), "B has told what is unfinished, and the bell has ended");
    world.trigger(A, &early);
    world.run(3000);
    assert_eq!(world.deliveries(early.id), [(B, 1, vec![0, 1])]);
    // Where nobody answers it is rung after the budget.
    let asked = world.ms();
    let late = bell("8:05", 2, asked as i64 - 1);
    world.pause(B);
    world.trigger(A, &late);
    world.run(500);
    let rung = world.when(A, |did| matches!(did, Did::Deliver { activation, .. } if *activation == late.id));
    let took = rung.expect("A rings it") - asked;
    assert!((150..=160).contains(&took), "{took}");
}

/// Whichever server comes up late, and whichever rang: nobody rings again, and nobody calls missed what was rung.
#[test]
fn a_server_that_was_away_for_long_does_not_call_missed_what_another_rang() {
    // It hands over what was due while it was away before it has asked the others, or when they have answered long ago.
    for (away, after) in [A, B, C].into_iter().flat_map(|away| [(away, 0), (away, 3000)]) {
        let (mut world, bell) = (World::of(&[A, B, C]), bell("8:00", 2, 4000));
        world.kill(away);
        world.run(2000);
        for server in [A, B, C].into_iter().filter(|server| *server != away) {
            world.trigger(server, &bell);
        }
        world.run(40_000);
        world.start(away);
        world.run(after);
        world.trigger(away, &bell);
        world.run(5000);
        assert_eq!(world.reached(&bell), [1, 1], "{away} was away");
        let records = world.records(bell.id);
        assert!(records.len() == 1 && records[0].2 == Outcome::Success, "{away}, {after} ms: {records:?}");
    }
}

#[test]
fn a_bell_that_everybody_missed_is_recorded_once_by_whoever_comes_up() {
    for order in [[A, B, C], [C, B, A], [B, A, C]] {
        let (mut world, bell) = (World::of(&[A, B, C]), bell("8:00", 2, 3000));
        for server in order {
            world.kill(server);
        }
        world.run(60_000);
        for server in order {
            world.start(server);
            world.trigger(server, &bell);
            world.run(2500);
        }
        world.run(5000);
        let records = world.records(bell.id);
        assert_eq!(world.reached(&bell), [0, 0]);
        assert!(records.len() == 1 && records[0].2 == Outcome::Missed, "{order:?}: {records:?}");
    }
}

/// A clock that was ahead called a bell missed before its time; it was set right, and the bell comes up again.
#[test]
fn a_bell_that_a_wrong_clock_called_missed_rings_when_its_time_comes() {
    let (mut world, bell) = (World::of(&[A, B]), bell("8:00", 1, 6000));
    world.server(A).ahead = 90_000;
    world.trigger(A, &bell);
    world.run(1000);
    assert_eq!(world.records(bell.id), [(A, 0, Outcome::Missed)]);
    world.server(A).ahead = 0;
    for server in [A, B] {
        world.trigger(server, &bell);
    }
    world.run(10_000);
    assert_eq!(world.reached(&bell), [1]);
    assert_eq!(world.records(bell.id).last().map(|record| record.2), Some(Outcome::Success));
}

/// The clock of the one whose turn it is is ahead by more than the bell may be late: it calls missed what all others have in
/// hand with its moment ahead, and one of those rings it in time.
#[test]
fn a_bell_that_everybody_has_in_hand_and_a_fast_clock_calls_missed_is_rung_by_another() {
    for first_dies in [false, true] {
        let (mut world, mut bell) = (World::of(&[A, B, C]), bell("8:00", 1, 6000));
        bell.expires = bell.due.map(|due| due + Span::secs(1));
        let fast = if first_dies { B } else { A };
        if first_dies {
            world.kill(A);
        }
        world.run(3000);
        let alive: Vec<ServerId> = [A, B, C].into_iter().filter(|server| !(first_dies && *server == A)).collect();
        for server in &alive {
            world.trigger(*server, &bell);
        }
        world.run(500);
        world.server(fast).ahead = 5000;
        world.run(8000);
        assert_eq!(world.reached(&bell), [1], "{fast} has the fast clock");
        let rung = world.deliveries(bell.id).first().map(|(server, ..)| *server);
        assert!(rung.is_some_and(|server| server != fast), "{rung:?}");
    }
}

/// Rule 4.
#[test]
fn progress_is_on_the_other_servers_within_fifty_milliseconds() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 10, &[A, B]));
    world.trigger(A, &page);
    let reached = |world: &World| world.reached(&page).iter().sum::<usize>();
    while reached(&world) < 3 {
        world.run(1);
    }
    world.run(50 + 5);
    let known = world.node(B).knowledge(page.id).expect("B has a copy");
    let acked = known.states.iter().filter(|state| matches!(state, EndpointState::Acked { .. })).count();
    assert!(acked >= 3, "three were reached 55 ms ago, B knows of {acked}");
}
