//! Links that are cut, held up, lost and read slowly.

use std::time::Duration;

use onealert_core::{
    event::LinkSeen,
    ids::{ActivationId, ServerId},
    peer_message::PeerMessage,
};

use super::{HEARTBEAT, World, name};
use crate::MeshEvent;

const PATIENCE: Duration = Duration::from_secs(60);

/// The last thing that a server saw of a peer's link.
fn link(world: &World, server: usize, peer: usize) -> Option<LinkSeen> {
    let of = ServerId(peer as u128 + 1);
    world.seen(server).events.iter().rev().find_map(|event| match event {
        MeshEvent::Link { peer, seen } if *peer == of => Some(*seen),
        _ => None,
    })
}

fn connected(world: &World, server: usize, peer: usize, boot: u64) -> bool {
    matches!(link(world, server, peer), Some(LinkSeen::Connected { boot: found, .. }) if found == boot)
}

fn all_connected(world: &mut World, count: usize) {
    world.until("every link stands", PATIENCE, |world| {
        (0..count).all(|a| (0..count).all(|b| a == b || connected(world, a, b, world.seen(b).boot)))
    });
}

/// The rounds that a server was told by a peer, in the order in which they came.
fn told(world: &World, server: usize, by: usize) -> Vec<u64> {
    let of = ServerId(by as u128 + 1);
    let round =
        |event: &MeshEvent| match event {
            MeshEvent::Message {
                from, message: PeerMessage::Told { round } | PeerMessage::Ask { round, .. }, ..
            } if *from == of => Some(*round),
            _ => None,
        };
    world.seen(server).events.iter().filter_map(round).collect()
}

#[test]
fn messages_of_every_size_come_whole_and_in_order_over_a_slow_network() {
    let mut world = World::new(2);
    all_connected(&mut world, 2);
    // From a few bytes to more than a megabyte: most frames are spread over many segments.
    for round in 0..40 {
        let unfinished = (0..(1u128 << (round % 15))).map(|n| ActivationId(n << 64)).collect();
        world.send(0, 1, &PeerMessage::Ask { round, unfinished });
        world.send(1, 0, &PeerMessage::Told { round });
        world.pass(Duration::from_millis(7));
    }
    let all: Vec<u64> = (0..40).collect();
    world.until("everything arrives", PATIENCE, |world| told(world, 1, 0).len() == 40 && told(world, 0, 1).len() == 40);
    assert_eq!((told(&world, 1, 0), told(&world, 0, 1)), (all.clone(), all));
}

#[test]
fn a_peer_that_loses_its_power_is_lost_and_comes_back_in_another_life() {
    let mut world = World::new(2);
    all_connected(&mut world, 2);
    for life in 2..5 {
        world.sim.crash(name(1));
        // Nobody is left to refuse a call: the connection ends, and calls go unanswered.
        world.until("the loss", PATIENCE, |world| link(world, 0, 1) == Some(LinkSeen::Lost));
        world.pass(Duration::from_secs(3));
        world.sim.bounce(name(1));
        world.until("the peer's next life", PATIENCE, |world| connected(world, 0, 1, life));
        all_connected(&mut world, 2);
        world.send(0, 1, &PeerMessage::Told { round: life });
        world.until("the message", PATIENCE, |world| told(world, 1, 0).contains(&life));
    }
}

#[test]
fn what_a_short_cut_holds_up_arrives_afterwards_once_and_in_order() {
    let mut world = World::new(2);
    all_connected(&mut world, 2);
    // TCP repeats what a cut swallowed: to the code it is as if it had been held up.
    world.sim.hold(name(0), name(1));
    for round in 0..5 {
        world.send(0, 1, &PeerMessage::Told { round });
        world.pass(HEARTBEAT / 4);
    }
    assert_eq!(told(&world, 1, 0), [] as [u64; 0]);
    world.sim.release(name(0), name(1));
    world.until("what waited arrives", PATIENCE, |world| told(world, 1, 0).len() >= 5);
    world.pass(Duration::from_secs(5));
    assert_eq!(told(&world, 1, 0), [0, 1, 2, 3, 4]);
    assert!(matches!(link(&world, 0, 1), Some(LinkSeen::Connected { boot: 1, .. })), "the link was not given up");
}

#[test]
fn a_link_that_swallows_everything_one_way_is_given_up_and_made_anew() {
    let mut world = World::new(2);
    all_connected(&mut world, 2);
    // Half open: what the first server says is lost without a word, what the second says arrives.
    world.sim.partition_oneway(name(0), name(1));
    let mut round = 0;
    world.until("the second server notices the silence", Duration::from_secs(120), |world| {
        world.send(0, 1, &PeerMessage::Told { round });
        world.send(1, 0, &PeerMessage::Told { round });
        round += 1;
        link(world, 1, 0) == Some(LinkSeen::Lost) || link(world, 0, 1) != Some(connected_life(world, 1))
    });
    world.sim.repair(name(0), name(1));
    all_connected(&mut world, 2);
    let last = 1 << 40;
    world.send(0, 1, &PeerMessage::Told { round: last });
    world.until("the message over the link made anew", PATIENCE, |world| told(world, 1, 0).contains(&last));
}

fn connected_life(world: &World, peer: usize) -> LinkSeen {
    LinkSeen::Connected { incarnation: onealert_core::ids::Incarnation(1), boot: world.seen(peer).boot }
}

#[test]
fn a_peer_that_reads_nothing_loses_its_link_and_holds_up_nobody_else() {
    let mut world = World::new(3);
    all_connected(&mut world, 3);
    world.seen(1).stuck = true;
    // Far more than queues and buffers hold; the third server hears each at once all the while.
    let big: Vec<ActivationId> = (0..2000).map(|n| ActivationId(n << 64)).collect();
    let (mut round, mut lost) = (0, false);
    while !lost && round < 2000 {
        world.send(0, 1, &PeerMessage::Ask { round, unfinished: big.clone() });
        world.send(0, 2, &PeerMessage::Told { round });
        world.pass(Duration::from_millis(50));
        assert!(
            told(&world, 2, 0).len() as u64 + 2 > round,
            "the third server waits for the second one at round {round}"
        );
        lost = !matches!(link(&world, 0, 1), Some(LinkSeen::Connected { .. }));
        round += 1;
    }
    assert!(lost, "nothing bounds what waits for a server that does not read");
    world.seen(1).stuck = false;
    all_connected(&mut world, 3);
    let last = 1 << 40;
    world.send(0, 1, &PeerMessage::Told { round: last });
    world.until("the server that reads again hears", PATIENCE, |world| told(world, 1, 0).contains(&last));
}
