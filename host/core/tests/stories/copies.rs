//! Two copies before anything is called accepted, also where the priority group has nobody who could keep the second.

use crate::world::{A, B, C, Did, World, page_for};
use onealert_core::{
    effect::Outcome,
    ids::{ActivationId, ServerId},
};

/// The servers whose disk holds it.
fn holders(world: &World, id: ActivationId) -> Vec<ServerId> {
    [A, B, C].into_iter().filter(|server| world.servers[server].disk.contains_key(&id)).collect()
}

/// The group is two servers; its head is cut off without a word, and not believed down yet. A third server is up.
#[test]
fn a_hand_over_to_a_silently_cut_owner_is_accepted_with_two_copies_where_a_third_server_is_up() {
    for group in [vec![A, B], vec![A]] {
        let (mut world, page) = (World::of(&[A, B, C]), page_for("call", 2, &group));
        world.cut(A, B);
        world.cut(A, C);
        let asked = world.ms();
        let ticket = world.trigger(B, &page);
        while world.answer(ticket).is_none() {
            world.run(1);
        }
        let (answered, how) = world.answer(ticket).expect("answered");
        assert_eq!(how, Did::Accepted { ticket, degraded: false, duplicate: false });
        assert!(answered - asked <= 150, "within the budget: {} ms", answered - asked);
        assert_eq!(holders(&world, page.id), [B, C]);
        world.run(3000);
        assert_eq!(world.deliveries(page.id), [(B, 1, vec![0, 1])]);
        assert_eq!(world.reached(&page), [1, 1]);
        let known = world.node(C).knowledge(page.id).expect("the third server is told the end");
        assert_eq!(known.ended.map(|(how, _)| how), Some(Outcome::Success));
        // Nothing is sent because of healing.
        world.heal(A, B);
        world.heal(A, C);
        world.run(5000);
        assert_eq!(world.reached(&page), [1, 1]);
    }
}

/// Then the server that took it dies as well: the third one goes on.
#[test]
fn the_third_server_goes_on_with_what_it_keeps_for_a_group_that_died() {
    let (mut world, page) = (World::of(&[A, B, C]), page_for("call", 20, &[A, B]));
    world.power_off(A);
    world.trigger(B, &page);
    world.run(300);
    assert!(world.deliveries(page.id).iter().any(|(server, ..)| *server == B));
    world.kill(B);
    world.run(5000);
    let (server, ..) = world.deliveries(page.id).pop().expect("delivered");
    assert_eq!(server, C);
    assert!(world.reached(&page).iter().all(|times| (1..=2).contains(times)), "{:?}", world.reached(&page));
    assert_eq!(world.records(page.id).last().map(|record| record.2), Some(Outcome::Success));
}

/// The other server of the group is known to be down: the third one keeps the second copy from the beginning.
#[test]
fn a_page_is_not_left_with_one_copy_for_as_long_as_the_rest_of_its_group_is_down() {
    let (mut world, page) = (World::of(&[A, B, C]), page_for("call", 2, &[A, B]));
    world.kill(B);
    world.run(100);
    let asked = world.ms();
    let ticket = world.trigger(A, &page);
    world.run(2000);
    let (answered, how) = world.answer(ticket).expect("answered");
    assert_eq!(how, Did::Accepted { ticket, degraded: false, duplicate: false });
    assert!(answered - asked <= 10, "nobody of the group is waited for: {} ms", answered - asked);
    assert_eq!(world.deliveries(page.id), [(A, 0, vec![0, 1])]);
    assert_eq!(world.reached(&page), [1, 1]);
}

/// Only the way between the server that is asked and the owner is cut: the third server brings it, and it is sent once.
#[test]
fn a_hand_over_that_comes_by_way_of_a_third_server_is_sent_once() {
    let (mut world, page) = (World::of(&[A, B, C]), page_for("call", 2, &[A, B]));
    world.cut(A, B);
    let ticket = world.trigger(B, &page);
    world.run(5000);
    let how = world.answer(ticket).map(|(_, did)| did);
    assert_eq!(how, Some(Did::Accepted { ticket, degraded: false, duplicate: false }));
    assert_eq!(world.reached(&page), [1, 1]);
    world.heal(A, B);
    world.run(5000);
    assert_eq!(world.reached(&page), [1, 1]);
}

/// Everybody else is cut off: the answer comes within the budget all the same and says that there is one copy.
#[test]
fn where_nobody_can_keep_the_second_copy_the_answer_comes_within_the_budget_and_says_so() {
    let (mut world, page) = (World::of(&[A, B, C]), page_for("call", 1, &[A, B]));
    world.power_off(A);
    world.power_off(C);
    let asked = world.ms();
    let ticket = world.trigger(B, &page);
    world.run(2000);
    let degraded = Did::Accepted { ticket, degraded: true, duplicate: false };
    assert_eq!(world.answer(ticket), Some((asked + 150, degraded)));
    assert_eq!(world.reached(&page), [1]);
}

/// A page of a group that is one server by its operator's choice asks nobody else.
#[test]
fn a_group_of_one_server_asks_nobody() {
    let (mut world, page) = (World::of(&[A, B, C]), page_for("call", 1, &[A]));
    world.trigger(A, &page);
    world.run(1000);
    assert_eq!(holders(&world, page.id), [A]);
    assert_eq!(world.deliveries(page.id), [(A, 0, vec![0])]);
}
