//! Servers whose drivers differ: who sends what needs one (design, D9), as stories.

use std::collections::BTreeMap;

use crate::world::{A, B, C, Did, World, bell, page, page_for, standing};
use onealert_core::{
    activation::Content,
    effect::Outcome,
    event::Input,
    ids::{DriverId, ServerId},
    peer_message::Standing,
    version::DriverVersion,
};

pub fn algo(version: u64) -> BTreeMap<DriverId, DriverVersion> {
    let version = semver::Version::new(version, 0, 0);
    let sha256 = format!("{:064x}", version.major);
    [(DriverId::from("com.algo"), DriverVersion { version, sha256 })].into()
}

/// The same content, for endpoints that need the second version of a driver.
pub fn needing(content: Content) -> Content {
    Content { needs: algo(2), ..content }
}

/// A server's drivers change: it says so with its next heartbeat, at once.
pub fn has(world: &mut World, server: ServerId, drivers: BTreeMap<DriverId, DriverVersion>) {
    let mut standing: Standing = standing();
    standing.versions.drivers = drivers;
    world.feed(server, Input::Standing { standing });
}

fn is_deliver(did: &Did) -> bool {
    matches!(did, Did::Deliver { .. })
}

#[test]
fn a_page_goes_to_the_first_server_whose_drivers_match_wherever_it_comes_in() {
    for at in [A, B, C] {
        let mut world = World::of(&[A, B, C]);
        has(&mut world, A, algo(1));
        has(&mut world, B, algo(2));
        has(&mut world, C, algo(2));
        world.run(20);
        let (needs, plain) = (needing(page("needs the driver", 2)), page("needs nothing", 2));
        world.trigger(at, &needs);
        world.trigger(at, &plain);
        world.run(1000);
        assert_eq!(world.deliveries(needs.id), [(B, 0, vec![0, 1])]);
        assert_eq!(world.deliveries(plain.id), [(A, 0, vec![0, 1])], "what needs no driver goes by the group alone");
        assert_eq!((world.reached(&needs), world.reached(&plain)), (vec![1, 1], vec![1, 1]));
    }
}

#[test]
fn where_no_matching_server_is_up_one_that_has_another_version_sends_before_one_that_lacks_the_driver() {
    let mut world = World::of(&[A, B, C]);
    has(&mut world, B, algo(1));
    has(&mut world, C, algo(2));
    world.run(20);
    world.kill(C);
    world.run(10);
    let page = needing(page("call", 1));
    let ticket = world.trigger(A, &page);
    world.run(1000);
    assert!(matches!(world.answer(ticket), Some((_, Did::Accepted { degraded: false, .. }))));
    assert_eq!(world.deliveries(page.id), [(B, 0, vec![0])]);
    world.kill(B);
    world.run(10);
    let last = needing(page_for("last", 1, &[A, B, C]));
    world.trigger(A, &last);
    world.run(1000);
    assert_eq!(world.deliveries(last.id), [(A, 0, vec![0])], "the only one left sends with what it has");
}

/// The first owner of a timed event is the same everywhere, and passes on what another server is better for.
#[test]
fn a_bell_passes_on_from_a_server_whose_driver_differs_and_rings_once_and_on_time() {
    let mut world = World::of(&[A, B, C]);
    has(&mut world, A, algo(1));
    has(&mut world, B, algo(2));
    has(&mut world, C, algo(2));
    let bell = needing(bell("8:00", 2, 1000));
    world.run(300);
    for server in [A, B, C] {
        world.trigger(server, &bell);
    }
    world.run(3000);
    assert_eq!(world.deliveries(bell.id), [(B, 1, vec![0, 1])]);
    assert_eq!(world.when(B, is_deliver), Some(1000));
    assert_eq!(world.reached(&bell), [1, 1]);
}

#[test]
fn a_bell_stays_with_the_first_server_where_nobody_matches_better() {
    let mut world = World::of(&[A, B]);
    has(&mut world, A, algo(1));
    has(&mut world, B, algo(1));
    world.run(20);
    let bell = needing(bell("8:00", 1, 1000));
    for server in [A, B] {
        world.trigger(server, &bell);
    }
    world.run(3000);
    assert_eq!(world.deliveries(bell.id), [(A, 0, vec![0])]);
}

/// A believes that B matches and does not ring; B has just lost its driver and thinks that A, which has another version, is
/// best. Neither starts as an equal of the other, and rule 7 rings the bell.
#[test]
fn servers_that_differ_about_who_matches_ring_a_bell_late_rather_than_never() {
    let mut world = World::of(&[A, B]);
    has(&mut world, A, algo(1));
    has(&mut world, B, algo(2));
    world.run(300);
    // What A believes of B is out of date from here on.
    world.cut(A, B);
    has(&mut world, B, BTreeMap::new());
    let due = world.ms() as i64 + 50;
    let bell = needing(bell("8:00", 1, due));
    for server in [A, B] {
        world.trigger(server, &bell);
    }
    world.run(5000);
    assert!(world.reached(&bell).iter().all(|times| *times >= 1));
    let rang = world.did.iter().find(|(_, _, did)| is_deliver(did)).map(|(at, ..)| *at as i64 - due);
    assert!(rang.is_some_and(|late| late <= 1500), "{rang:?} ms after it was due");
}

#[test]
fn a_successor_is_chosen_among_those_whose_drivers_match() {
    let mut world = World::of(&[A, B, C]);
    has(&mut world, A, algo(2));
    has(&mut world, B, algo(1));
    has(&mut world, C, algo(2));
    world.run(20);
    let page = needing(page("call", 20));
    world.trigger(A, &page);
    world.run(100);
    world.kill(A);
    world.run(2000);
    assert_eq!(world.records(page.id), [(C, 1, Outcome::Success)]);
    assert!(world.deliveries(page.id).iter().all(|(server, ..)| *server != B));
}

#[test]
fn a_running_page_stays_where_it_is_when_a_driver_is_replaced_there() {
    let mut world = World::of(&[A, B]);
    for server in [A, B] {
        has(&mut world, server, algo(2));
    }
    world.run(20);
    let page = needing(page_for("call", 20, &[A, B]));
    world.trigger(A, &page);
    world.run(100);
    has(&mut world, A, algo(3));
    world.run(2000);
    assert_eq!(world.records(page.id), [(A, 0, Outcome::Success)]);
    assert_eq!(world.reached(&page), [1; 20]);
}
