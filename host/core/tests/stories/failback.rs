//! An operator decides when a server that came back may own again (redundancy sheet, section 7), as stories.

use crate::world::{A, B, C, World, bell, page, standing};
use onealert_core::{
    event::{Input, Policy},
    ids::ServerId,
    time::Span,
    tuning::Tuning,
    view::HoldView,
};

fn hold(world: &World, at: ServerId, of: ServerId) -> Option<HoldView> {
    world.node(at).hold(of)
}

/// Servers with a hold-down of five seconds that have been up for longer, at a site where operators let servers return.
fn site(ids: &[ServerId]) -> World {
    let mut world = World::tuned(ids, Tuning::default().with_hold_down(Span::secs(5)).expect("above a second"));
    manual(&mut world, ids, true);
    world.run(6000);
    world
}

fn manual(world: &mut World, ids: &[ServerId], manual_return: bool) {
    for id in ids {
        world.feed(*id, Input::Policy { policy: Policy { manual_return } });
    }
}

fn come_back(world: &mut World, server: ServerId) {
    world.kill(server);
    world.run(100);
    world.start(server);
    world.feed(server, Input::Policy { policy: Policy { manual_return: true } });
    world.run(100);
}

#[test]
fn with_manual_return_a_server_that_came_back_owns_nothing_until_an_operator_says_so_anywhere() {
    for at in [A, B, C] {
        let mut world = site(&[A, B, C]);
        come_back(&mut world, A);
        world.run(60_000);
        for server in [A, B, C] {
            let seen = hold(&world, server, A).unwrap_or_else(|| panic!("{server} thinks that A is not held"));
            assert!(seen.operator && !seen.behind && !seen.clock, "{seen:?}");
            assert_eq!(seen.remaining, Span(0), "its time is over");
            assert!((60_000..61_000).contains(&seen.since.as_millis()), "{seen:?}");
        }
        let before = page("before", 1);
        world.trigger(C, &before);
        world.feed(at, Input::Return { server: A });
        world.run(20);
        assert_eq!([A, B, C].map(|server| hold(&world, server, A)), [None, None, None], "said at {at}");
        let after = page("after", 1);
        world.trigger(C, &after);
        world.run(1000);
        assert_eq!(world.deliveries(before.id), [(B, 0, vec![0])]);
        assert_eq!(world.deliveries(after.id), [(A, 0, vec![0])]);
    }
}

#[test]
fn without_manual_return_an_operators_word_only_spares_the_waiting_time() {
    let mut world = site(&[A, B]);
    manual(&mut world, &[A, B], false);
    world.kill(A);
    world.run(100);
    world.start(A);
    world.run(1000);
    let seen = hold(&world, B, A).expect("held");
    assert!(!seen.operator && seen.remaining > Span::secs(3), "{seen:?}");
    world.feed(B, Input::Return { server: A });
    world.run(20);
    assert_eq!((hold(&world, A, A), hold(&world, B, A)), (None, None));
}

#[test]
fn a_server_that_lacks_records_waits_for_them_even_after_the_operators_word() {
    let mut world = site(&[A, B]);
    let mut ahead = standing();
    ahead.position.lsn += 5;
    world.feed(B, Input::Standing { standing: ahead.clone() });
    come_back(&mut world, A);
    world.feed(A, Input::Return { server: A });
    world.run(5000);
    let seen = hold(&world, A, A).expect("still held");
    assert_eq!((seen.operator, seen.behind, seen.by), (false, true, vec![B]));
    world.feed(A, Input::Standing { standing: ahead });
    world.run(20);
    assert_eq!((hold(&world, A, A), hold(&world, B, A)), (None, None));
}

/// The server that said it first is gone, and the one that comes after it judges nobody yet.
#[test]
fn an_operators_hold_outlives_the_servers_that_judged() {
    let mut world = site(&[A, B, C]);
    come_back(&mut world, A);
    for server in [B, C] {
        world.kill(server);
        world.run(100);
        world.start(server);
        world.feed(server, Input::Policy { policy: Policy { manual_return: true } });
        world.run(100);
    }
    world.run(1000);
    for server in [A, B, C] {
        let seen = hold(&world, server, A).unwrap_or_else(|| panic!("{server} forgot it"));
        assert!(seen.operator && seen.by.contains(&A), "{seen:?}");
    }
    world.feed(C, Input::Return { server: A });
    world.run(1000);
    assert_eq!([A, B, C].map(|server| hold(&world, server, A)), [None, None, None]);
}

#[test]
fn an_operators_word_that_is_lost_on_the_way_to_one_server_arrives_later() {
    let mut world = site(&[A, B, C]);
    come_back(&mut world, A);
    world.cut(A, C);
    world.cut(B, C);
    world.run(200);
    world.feed(B, Input::Return { server: A });
    world.run(200);
    world.heal(A, C);
    world.heal(B, C);
    world.run(1000);
    assert_eq!([A, B, C].map(|server| hold(&world, server, A)), [None, None, None]);
}

#[test]
fn a_later_return_is_held_again() {
    let mut world = site(&[A, B, C]);
    come_back(&mut world, A);
    world.feed(B, Input::Return { server: A });
    world.run(3000);
    come_back(&mut world, A);
    world.run(20_000);
    for server in [A, B, C] {
        assert!(hold(&world, server, A).is_some_and(|seen| seen.operator), "{server}");
    }
}

#[test]
fn who_switches_manual_return_off_lets_everybody_return_whose_time_is_over() {
    let mut world = site(&[A, B]);
    come_back(&mut world, A);
    world.run(10_000);
    assert!(hold(&world, A, A).is_some());
    manual(&mut world, &[A, B], false);
    world.run(300);
    assert_eq!((hold(&world, A, A), hold(&world, B, A)), (None, None));
}

/// The alarm comes before the operator's hold.
#[test]
fn a_server_that_an_operator_holds_sends_where_nobody_else_is_up() {
    let mut world = site(&[A, B]);
    come_back(&mut world, A);
    world.kill(B);
    world.run(10);
    assert!(world.node(A).is_held(), "it remembers by itself");
    let mut page = page("call", 1);
    page.group = vec![A, B];
    world.trigger(A, &page);
    world.run(1000);
    assert_eq!(world.deliveries(page.id), [(A, 0, vec![0])]);
}

#[test]
fn a_bell_during_an_operators_hold_rings_once_from_the_next_server() {
    let mut world = site(&[A, B, C]);
    come_back(&mut world, A);
    world.run(20_000);
    let bell = bell("8:00", 2, world.ms() as i64 + 500);
    for server in [A, B, C] {
        world.trigger(server, &bell);
    }
    world.run(3000);
    assert_eq!(world.deliveries(bell.id), [(B, 1, vec![0, 1])]);
    assert_eq!(world.reached(&bell), [1, 1]);
}

/// The server that has just come up judged the others, so that everybody was held and the order of the group decided.
#[test]
fn without_a_waiting_time_the_server_that_came_back_is_held_and_not_those_that_stayed() {
    let mut world = World::of(&[A, B, C]);
    manual(&mut world, &[A, B, C], true);
    world.run(6000);
    come_back(&mut world, A);
    for server in [A, B, C] {
        assert!(hold(&world, server, A).is_some_and(|seen| seen.operator), "{server}");
        assert_eq!((hold(&world, server, B), hold(&world, server, C)), (None, None), "{server}");
    }
    let page = page("call", 1);
    world.trigger(C, &page);
    world.run(1000);
    assert_eq!(world.deliveries(page.id), [(B, 0, vec![0])]);
}
