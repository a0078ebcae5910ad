//! How it ends: stopped, too late, or finished and remembered. Rules 9 to 11 of the redundancy sheet, section 4.3.

use crate::world::{A, B, C, Did, MORNING, World, bell, page, page_for};
use onealert_core::{
    activation::EndpointState,
    effect::{HaltReason, Notice, Outcome, Refusal},
    event::StopWhat,
    peer_message::PeerMessage,
    time::Wall,
};

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
    let sent = world.deliveries(page.id).iter().filter(|(_, _, endpoints)| !endpoints.is_empty()).count();
    assert_eq!(sent, 1, "nobody goes on sending what is stopped");
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
