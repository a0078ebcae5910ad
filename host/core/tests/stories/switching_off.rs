//! What was begun by a server that died, drained or was started again is switched off by whoever ends it, also where nothing
//! more is sent. A strobe must not go on flashing because the server that lit it has gone.

use onealert_core::{
    activation::Content,
    effect::{HaltReason, Outcome},
    event::{Input, StopWhat},
    ids::ServerId,
    time::Wall,
};

use crate::world::{A, B, C, Did, MORNING, World, page, page_for};

/// The attempt of the last delivery of this server, if it had nobody to contact, and why it was halted if it was: it ends what
/// is on, and begins nothing.
fn switched_off(world: &World, by: ServerId, page: &Content) -> Option<(u32, Option<HaltReason>)> {
    let of = world.did.iter().filter(|(_, server, _)| *server == by).map(|(_, _, did)| did);
    of.fold(None, |last, did| match did {
        Did::Deliver { activation, attempt, endpoints, .. } if *activation == page.id => {
            endpoints.is_empty().then_some((*attempt, None))
        }
        Did::Halt { activation, reason } if *activation == page.id => {
            last.map(|(attempt, _): (u32, Option<HaltReason>)| (attempt, Some(*reason)))
        }
        _ => last,
    })
}

#[test]
fn what_a_dead_owner_had_begun_is_switched_off_when_it_is_stopped_before_the_takeover() {
    let (mut world, page) = (World::of(&[A, B, C]), page("call", 20));
    world.trigger(A, &page);
    world.run(100);
    // Silent, not refused: nobody has taken over when the stop comes.
    world.cut(A, B);
    world.cut(A, C);
    world.power_off(A);
    world.stop(C, StopWhat::Activation(page.id));
    world.run(5000);
    assert_eq!(switched_off(&world, B, &page), Some((1, Some(HaltReason::Stopped))));
    assert_eq!(world.records(page.id), [(B, 1, Outcome::Stopped)]);
    assert!(world.reached(&page).iter().all(|times| *times <= 1), "{:?}", world.reached(&page));
}

#[test]
fn what_is_stopped_before_anything_of_it_was_begun_has_nothing_to_switch_off() {
    let (mut world, page) = (World::of(&[A, B]), page_for("call", 2, &[A, B]));
    world.stop(A, StopWhat::Event(page.key.clone()));
    world.trigger(B, &page);
    world.run(1000);
    assert_eq!(world.deliveries(page.id), []);
    assert_eq!(world.records(page.id), [(A, 0, Outcome::Stopped)]);
}

#[test]
fn what_is_stopped_while_a_draining_server_hands_it_over_is_switched_off_by_the_next() {
    // At whatever moment of the hand-over the stop comes.
    for ms in 0..40 {
        let (mut world, long) = (World::of(&[A, B, C]), page("long", 20));
        world.trigger(A, &long);
        world.run(100);
        world.feed(A, Input::Drain);
        world.feed(A, Input::HandOver);
        world.run(ms);
        world.stop(C, StopWhat::Activation(long.id));
        world.run(3000);
        let told =
            world.when(A, |did| *did == Did::Halt { activation: long.id, reason: HaltReason::Stopped }).is_some();
        let by_the_next = match &world.deliveries(long.id)[..] {
            [(A, 0, _), (B, 1, rest)] if rest.is_empty() => {
                switched_off(&world, B, &long) == Some((1, Some(HaltReason::Stopped)))
            }
            // It had taken over, and was stopped itself.
            [(A, 0, _), (B, 1, _)] => {
                world.when(B, |did| *did == Did::Halt { activation: long.id, reason: HaltReason::Stopped }).is_some()
            }
            _ => false,
        };
        assert!(by_the_next, "{ms} ms; the owner was told {told}: {:?}", world.deliveries(long.id));
        assert_eq!(world.records(long.id), [(B, 1, Outcome::Stopped)], "{ms} ms");
        assert!(world.node(A).is_drained(), "{ms} ms");
    }
}

#[test]
fn a_server_alone_that_is_started_again_in_the_middle_switches_off_what_it_had_begun() {
    let (mut world, page) = (World::of(&[A]), page_for("call", 3, &[A]));
    world.server(A).pace = 400;
    world.trigger(A, &page);
    // Everybody is reached, and it stays: the end of the delivery is yet to come.
    while world.reached(&page) != [1, 1, 1] {
        world.run(1);
    }
    world.run(200);
    assert_eq!(world.records(page.id), []);
    world.kill(A);
    world.start(A);
    world.run(1000);
    assert_eq!(world.reached(&page), [1, 1, 1]);
    assert_eq!(switched_off(&world, A, &page), Some((0, None)));
    assert_eq!(world.records(page.id), [(A, 0, Outcome::Success)]);
}

#[test]
fn what_expired_while_its_owner_was_dead_is_switched_off_and_nothing_more_is_sent() {
    let (mut world, mut page) = (World::of(&[A]), page_for("call", 100, &[A]));
    page.expires = Some(Wall(MORNING + 5000));
    world.trigger(A, &page);
    world.run(500);
    world.kill(A);
    world.run(10_000);
    let reached = world.reached(&page);
    world.start(A);
    world.run(1000);
    assert_eq!(switched_off(&world, A, &page), Some((0, Some(HaltReason::Expired))));
    assert_eq!((world.reached(&page), world.records(page.id)), (reached, vec![(A, 0, Outcome::Partial)]));
}
