//! The rules of the redundancy sheet, section 4.3, each as a story.

use crate::world::{A, B, C, Did, MORNING, World, bell, page, page_for};
use onealert_core::{
    activation::EndpointState,
    config::OnTakeover,
    effect::{HaltReason, Notice, Outcome, Refusal},
    event::{Input, StopWhat},
    ids::ServerId,
    peer_message::{Heartbeat, PeerMessage},
    time::Wall,
};

fn is_deliver(did: &Did) -> bool {
    matches!(did, Did::Deliver { .. })
}

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
    assert_eq!(world.when(A, is_deliver), Some(200));
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
    assert_eq!(world.when(B, is_deliver), Some(202), "the budget is spent once, then the claim is stored");
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
    while world.when(A, is_deliver).is_none() {
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
    assert_eq!(world.when(A, is_deliver), Some(1000));
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

/// Rule 5.
#[test]
fn the_next_server_carries_on_where_a_killed_owner_stopped() {
    let (mut world, page) = (World::of(&[A, B, C]), page("call", 10));
    world.trigger(A, &page);
    while world.reached(&page).iter().sum::<usize>() < 5 {
        world.run(1);
    }
    let killed = world.ms();
    world.kill(A);
    world.run(3000);
    let took = world.when(B, is_deliver).expect("B takes over") - killed;
    assert!(took <= 10, "seen, stored, confirmed, delivered in {took} ms");
    let times = world.reached(&page);
    assert!(times.iter().all(|times| *times >= 1), "nobody is left out: {times:?}");
    assert!(times.iter().sum::<usize>() <= 10 + 3, "only what was not shared within 50 ms is repeated: {times:?}");
    assert_eq!(world.records(page.id), [(B, 1, Outcome::Success)]);
    assert!(world.deliveries(page.id).iter().all(|(server, ..)| *server != C));
}

/// Rule 5.
#[test]
fn a_dark_machine_is_followed_after_the_suspicion_time() {
    let (mut world, page) = (World::of(&[A, B, C]), page("call", 50));
    world.trigger(A, &page);
    world.run(200);
    let dark = world.ms();
    world.power_off(A);
    world.run(5000);
    let took = world.when(B, is_deliver).expect("B takes over") - dark;
    assert!((700..=1300).contains(&took), "{took} ms after the power went");
    assert!(world.reached(&page).iter().all(|times| *times >= 1));
}

/// Rule 5, its confirmation.
#[test]
fn a_successor_delivers_only_when_its_claim_is_confirmed() {
    let (mut world, page) = (World::of(&[A, B, C]), page("call", 50));
    world.trigger(A, &page);
    world.run(200);
    world.kill(A);
    world.cut(B, C);
    let from = world.ms();
    world.run(500);
    let took = world.when(B, is_deliver).expect("B delivers when the budget is spent") - from;
    assert!((150..=160).contains(&took), "C cannot confirm, so the budget is waited for: {took}");
}

/// What failed for the first owner is tried again by its successor, and the record says what came of it.
#[test]
fn a_successor_tries_failed_endpoints_again() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 2, &[A, B]));
    world.server(A).mute = true;
    world.trigger(A, &page);
    world.run(20);
    let states = vec![(0, EndpointState::Failed { reason: "no answer".into() })];
    world.feed(A, Input::Progress { activation: page.id, attempt: 0, states });
    world.run(100);
    world.kill(A);
    world.run(1000);
    assert_eq!(world.deliveries(page.id)[1..], [(B, 1, vec![0, 1])]);
    assert_eq!(world.records(page.id), [(B, 1, Outcome::Success)]);
}

/// On takeover a bell is not rung again where it had begun, also by the server that began it and was started again; the
/// delivery is still asked for, so that what was switched on is switched off.
#[test]
fn a_bell_that_was_cut_short_is_not_rung_again_where_it_had_begun() {
    for restart in [false, true] {
        let group: &[ServerId] = if restart { &[A] } else { &[A, B] };
        let (mut world, mut bell) = (World::of(&[A, B]), page_for("bell", 3, group));
        bell.on_takeover = OnTakeover::SkipStarted;
        world.server(A).mute = true;
        world.trigger(A, &bell);
        world.run(20);
        let states = vec![(0, EndpointState::Sent), (1, EndpointState::Acked { note: String::new() })];
        world.feed(A, Input::Progress { activation: bell.id, attempt: 0, states });
        world.run(100);
        world.kill(A);
        world.server(A).mute = false;
        world.run(100);
        if restart {
            world.start(A);
        }
        world.run(2000);
        let successor = if restart { (A, 0) } else { (B, 1) };
        assert_eq!(world.deliveries(bell.id)[1..], [(successor.0, successor.1, vec![2])]);
        assert_eq!(world.records(bell.id), [(successor.0, successor.1, Outcome::Success)]);
    }
}

/// Rule 6.
#[test]
fn an_owner_that_learns_of_a_higher_claim_starts_no_further_endpoint() {
    let (mut world, page) = (World::of(&[A, B, C]), page("call", 200));
    world.trigger(A, &page);
    world.run(200);
    world.cut(A, B);
    world.cut(A, C);
    world.run(1500);
    assert!(world.deliveries(page.id).iter().any(|(server, ..)| *server == B), "B cannot hear A and goes on");
    world.heal(A, B);
    world.heal(A, C);
    let healed = world.ms();
    world.run(20_000);
    let halt = Did::Halt { activation: page.id, reason: HaltReason::Yielded };
    let halted = world.when(A, |did| *did == halt).expect("A yields");
    assert!(halted <= healed + 10, "{halted} against {healed}");
    assert!(world.reached(&page).iter().all(|times| (1..=2).contains(times)), "{:?}", world.reached(&page));
    assert_eq!(world.records(page.id), [(B, 1, Outcome::Success)]);
}

/// Rule 7.
#[test]
fn a_hung_owner_does_not_keep_the_bell_from_ringing() {
    let (mut world, bell) = (World::of(&[A, B, C]), bell("8:00", 2, 1000));
    for server in [B, C] {
        world.trigger(server, &bell);
    }
    world.run(900);
    only_heartbeats(&mut world, &[A], &[B, C], 2000);
    let rang = world.when(B, is_deliver).expect("B rings");
    assert!((1500..=1750).contains(&rang), "0.5 to 0.75 s after it was due, not at {rang}");
    assert_eq!(world.deliveries(bell.id), [(B, 1, vec![0, 1])]);
}

/// Rule 7.
#[test]
fn each_rank_waits_one_step_longer_and_the_clock_offset() {
    for (ahead, expected) in [(0, 3000), (300, 3300)] {
        let (mut world, bell) = (World::of(&[A, B, C]), bell("8:00", 1, 2000));
        world.server(A).ahead = ahead;
        world.run(1000);
        world.trigger(C, &bell);
        only_heartbeats(&mut world, &[A, B], &[C], 3000);
        let rang = world.when(C, is_deliver).expect("C rings");
        assert!((expected..=expected + 160).contains(&rang), "A {ahead} ms ahead: {rang}");
        let warned = world.when(C, |did| matches!(did, Did::Notice(Notice::ClockOffset { peer: A, .. }))).is_some();
        assert_eq!(warned, ahead > 0);
    }
}

/// Rule 8.
#[test]
fn a_restarted_server_asks_before_it_resumes() {
    let (mut world, page) = (World::of(&[A, B, C]), page("call", 100));
    world.trigger(A, &page);
    world.run(200);
    world.kill(A);
    world.run(100);
    world.start(A);
    world.run(10_000);
    let attempts: Vec<_> =
        world.deliveries(page.id).into_iter().map(|(server, attempt, _)| (server, attempt)).collect();
    assert_eq!(attempts, [(A, 0), (B, 1)], "A is told that B has it");
    assert_eq!(world.records(page.id), [(B, 1, Outcome::Success)]);
    let ended = world.node(A).knowledge(page.id).and_then(|known| known.ended);
    assert_eq!(ended.map(|(how, _)| how), Some(Outcome::Success));
}

/// Rule 8.
#[test]
fn a_server_alone_resumes_after_the_suspicion_time() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 100, &[A, B]));
    world.trigger(A, &page);
    world.run(200);
    world.power_off(A);
    world.power_off(B);
    world.run(1000);
    world.start(A);
    let started = world.ms();
    world.run(900);
    assert!(world.node(A).is_resuming());
    assert_eq!(world.deliveries(page.id).len(), 1, "B may be up and know better");
    world.run(5000);
    assert!(!world.node(A).is_resuming());
    let again = world.did.iter().filter(|(at, _, did)| *at > started && is_deliver(did)).map(|(at, ..)| *at - started);
    assert_eq!(again.collect::<Vec<_>>(), [1000]);
    assert!(world.reached(&page).iter().all(|times| *times >= 1));
    assert_eq!(world.records(page.id), [(A, 0, Outcome::Success)]);
}

/// Rule 8.
#[test]
fn a_server_that_slept_yields_to_its_successor() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 100, &[A, B]));
    world.trigger(A, &page);
    world.run(200);
    world.pause(A);
    world.run(1500);
    world.wake(A);
    let woke = world.ms();
    world.run(5000);
    assert!(world.when(A, |did| matches!(did, Did::Notice(Notice::Resumed { .. }))).is_some());
    let after = world
        .did
        .iter()
        .filter(|(at, server, did)| *at > woke + 5 && *server == A && matches!(did, Did::Reached { .. }));
    assert_eq!(after.count(), 0, "what B took over is not sent by A");
    assert!(world.when(A, |did| matches!(did, Did::Notice(Notice::PeerDown { .. }))).is_none(), "A slept, B did not");
    assert_eq!(world.records(page.id), [(B, 1, Outcome::Success)]);
}

/// Rule 9.
#[test]
fn a_stop_at_any_server_ends_the_page_everywhere() {
    let (mut world, page) = (World::of(&[A, B, C]), page("call", 200));
    world.trigger(A, &page);
    world.run(200);
    let ticket = world.stop(C, StopWhat::Event(page.key.clone()));
    world.run(3000);
    let accepted = Did::Accepted { ticket, degraded: false, duplicate: false };
    assert_eq!(world.answer(ticket).map(|(_, did)| did), Some(accepted));
    assert_eq!(world.when(A, |did| *did == Did::Halt { activation: page.id, reason: HaltReason::Stopped }), Some(251));
    assert_eq!(world.records(page.id), [(A, 0, Outcome::Stopped)]);
    assert!(world.reached(&page).iter().sum::<usize>() < 20);
    for server in [A, B, C] {
        assert!(world.node(server).knowledge(page.id).is_some_and(|known| known.stopped && known.ended.is_some()));
    }
}

/// Rule 9.
#[test]
fn a_stop_survives_the_owner_and_no_successor_goes_on() {
    let (mut world, page) = (World::of(&[A, B, C]), page("call", 200));
    world.trigger(A, &page);
    world.run(200);
    world.cut(A, B);
    world.cut(A, C);
    world.stop(C, StopWhat::Activation(page.id));
    world.run(2000);
    assert_eq!(world.deliveries(page.id).len(), 1, "nobody takes over what is stopped");
    assert_eq!(world.records(page.id), [(B, 1, Outcome::Stopped)]);
    let healed = world.ms();
    world.heal(A, B);
    world.run(5000);
    let halted = world.when(A, |did| *did == Did::Halt { activation: page.id, reason: HaltReason::Stopped });
    assert!(halted.is_some_and(|at| at <= healed + 10), "the stop reaches A when the link is back: {halted:?}");
    assert_eq!(world.records(page.id), [(B, 1, Outcome::Stopped)]);
}

/// Rule 9.
#[test]
fn a_stop_that_comes_before_the_page_holds() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 2, &[A, B]));
    let ticket = world.stop(A, StopWhat::Event(page.key.clone()));
    let refused = Did::Refused { ticket, reason: Refusal::NotKnown };
    assert_eq!(world.answer(ticket).map(|(_, did)| did), Some(refused));
    world.trigger(B, &page);
    world.run(1000);
    assert_eq!(world.reached(&page), [0, 0]);
    assert_eq!(world.records(page.id), [(A, 0, Outcome::Stopped)]);
}

/// Rule 10.
#[test]
fn a_bell_that_nobody_could_ring_is_recorded_as_missed() {
    let mut world = World::of(&[A, B]);
    let mut bell = bell("8:00", 1, 1000);
    bell.group = vec![A, B];
    world.run(60_000);
    let ticket = world.trigger(A, &bell);
    world.trigger(B, &bell);
    world.run(2000);
    let accepted = Did::Accepted { ticket, degraded: false, duplicate: false };
    assert_eq!(world.answer(ticket).map(|(_, did)| did), Some(accepted));
    assert_eq!((world.reached(&bell), world.records(bell.id)), (vec![0], vec![(A, 0, Outcome::Missed)]));
    assert!(
        world.when(A, |did| *did == Did::Notice(Notice::Missed { activation: bell.id })).is_some(),
        "somebody is told"
    );
    let Some(Did::Ended(record)) = world.did.iter().map(|(_, _, did)| did).find(|did| matches!(did, Did::Ended(_)))
    else {
        panic!("a record is written");
    };
    let EndpointState::Failed { reason } = &record.states[0] else { panic!("{:?}", record.states) };
    assert!(reason.contains("expired"), "{reason}");
}

/// Rule 10.
#[test]
fn a_server_that_slept_past_the_expiry_sends_nothing_after_it_wakes() {
    let (mut world, mut page) = (World::of(&[A]), page_for("call", 100, &[A]));
    page.expires = Some(Wall(MORNING + 5000));
    world.trigger(A, &page);
    world.run(500);
    world.pause(A);
    world.run(10_000);
    world.wake(A);
    let woke = world.ms();
    world.run(5000);
    assert_eq!(world.when(A, |did| matches!(did, Did::Halt { .. })), Some(woke));
    assert!(world.when(A, |did| matches!(did, Did::Reached { .. })).is_some_and(|at| at < woke));
    assert_eq!(world.records(page.id), [(A, 0, Outcome::Partial)]);
}

/// Rule 11.
#[test]
fn a_late_copy_of_a_finished_page_changes_nothing_and_after_a_day_it_is_forgotten() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 1, &[A, B]));
    world.trigger(A, &page);
    world.run(10);
    let early = world.node(A).knowledge(page.id).expect("known").clone();
    world.run(1000);
    world.run(3600 * 1000);
    world.say(B, A, PeerMessage::Push { knowledge: Box::new(early), confirm: true });
    world.run(1000);
    assert_eq!(world.reached(&page), [1]);
    world.run(23 * 3600 * 1000 + 2000);
    for server in [A, B] {
        assert!(world.node(server).knowledge(page.id).is_none(), "{server} forgets after 24 h");
        assert!(!world.servers[&server].disk.contains_key(&page.id), "{server} forgets on disk");
    }
}

#[test]
fn finished_pages_are_still_known_after_a_restart() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 1, &[A, B]));
    world.trigger(A, &page);
    world.run(1000);
    world.kill(A);
    world.run(1000);
    world.start(A);
    world.run(1000);
    let ticket = world.trigger(A, &page);
    world.run(1000);
    let accepted = Did::Accepted { ticket, degraded: false, duplicate: true };
    assert_eq!(world.answer(ticket).map(|(_, did)| did), Some(accepted));
    assert_eq!(world.reached(&page), [1]);
}

/// Lets time pass while `from` hang: `to` hear their heartbeats and nothing else.
fn only_heartbeats(world: &mut World, from: &[ServerId], to: &[ServerId], ms: u64) {
    for (hung, listener) in from.iter().flat_map(|hung| to.iter().map(move |listener| (*hung, *listener))) {
        world.cut(hung, listener);
    }
    for turn in 0..ms / 50 {
        world.run(50);
        for (hung, listener) in from.iter().flat_map(|hung| to.iter().map(move |listener| (*hung, *listener))) {
            let heartbeat = Heartbeat {
                seq: 1000 + turn,
                sent_us: (MORNING + world.ms() as i64) * 1000,
                echo: None,
                standing: crate::world::standing(),
                draining: false,
                holds: Vec::new(),
                hears: Vec::new(),
                running: 0,
                releases: Vec::new(),
            };
            world.say(hung, listener, PeerMessage::Heartbeat(Box::new(heartbeat)));
        }
    }
}
