//! What would happen if: the plan says what then really happens.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    drivers::{algo, has, needing},
    world::{A, B, C, MORNING, World, bell, page, page_for},
};
use onealert_core::{
    activation::Content,
    effect::DownReason,
    ids::{DriverId, ServerId},
    plan::{Circumstances, MemberStanding, Plan, Reach, Sender},
    time::{Span, Wall},
    tuning::Tuning,
};

fn if_dead(dead: &[ServerId]) -> Circumstances {
    Circumstances { dead: dead.iter().copied().collect(), ..Circumstances::default() }
}

fn standings(plan: &Plan) -> Vec<MemberStanding> {
    plan.members.iter().map(|member| member.standing).collect()
}

/// Three servers with drivers that may differ, some of which are going to die.
struct Case {
    world: World,
    versions: u32,
    dead: Vec<ServerId>,
    alive: Vec<ServerId>,
}

fn cases() -> impl Iterator<Item = Case> {
    (0..27).flat_map(|versions| (0..7_u32).map(move |dead| (versions, dead))).map(|(versions, dead)| {
        let all = [A, B, C];
        let mut world = World::of(&all);
        for (server, version) in all.into_iter().zip([versions % 3, versions / 3 % 3, versions / 9]) {
            has(&mut world, server, if version == 0 { BTreeMap::new() } else { algo(u64::from(version)) });
        }
        world.run(20);
        let (dead, alive) = all.into_iter().partition(|server| dead >> (server.0 - A.0) & 1 == 1);
        Case { world, versions, dead, alive }
    })
}

/// Every set of dead servers, drivers that differ, a page at every survivor: who delivers is who was named before.
#[test]
fn the_server_that_is_named_is_the_one_that_sends() {
    for Case { mut world, versions, dead, alive } in cases() {
        let plans: Vec<Plan> =
            alive.iter().map(|at| world.node(*at).plan(&[A, B, C], &algo(2), &if_dead(&dead))).collect();
        assert!(plans.iter().all(|plan| plan == &plans[0]), "all who are asked say the same");
        for server in &dead {
            world.kill(*server);
        }
        world.run(20);
        for at in &alive {
            let page = needing(page(&format!("at {at}"), 1));
            world.trigger(*at, &page);
            world.run(500);
            let sent: Vec<Sender> =
                world.deliveries(page.id).into_iter().map(|(server, ..)| Sender::Member(server)).collect();
            assert_eq!(sent, [plans[0].sender], "versions {versions}, dead {dead:?}");
        }
        assert_eq!(plans[0].succession.len(), alive.len(), "everybody who lives is in line");
    }
}

#[test]
fn a_plan_says_what_speaks_against_each_server_and_which_endpoints_are_left_out() {
    let mut world = World::of(&[A, B, C]);
    has(&mut world, B, algo(1));
    world.run(20);
    world.kill(C);
    world.run(20);
    let (needs, speaker) = (algo(2), DriverId::from("com.algo"));
    let plan = world.node(A).plan(&[C, A, B], &needs, &if_dead(&[]));
    assert_eq!(standings(&plan), [MemberStanding::Down(DownReason::Refused), MemberStanding::Up, MemberStanding::Up]);
    assert_eq!((plan.sender, &plan.succession[..]), (Sender::Member(B), &[B, A][..]), "A lacks the driver altogether");
    let Reach::Differs { expected, found } = plan.reach(Some(&speaker), &needs) else { panic!("{plan:?}") };
    assert_eq!((expected.version.major, found.version.major), (2, 1));
    let plan = world.node(A).plan(&[C, A, B], &needs, &if_dead(&[B]));
    assert_eq!((plan.sender, plan.reach(Some(&speaker), &needs)), (Sender::Member(A), Reach::Lacks));
    assert_eq!(plan.members[2].standing, MemberStanding::AssumedDead);
    assert_eq!(plan.reach(Some(&DriverId::from("org.other")), &needs), Reach::NoDriver);
    assert_eq!(plan.reach(None, &needs), Reach::NoDriver);
    let plan = world.node(A).plan(&[C, B], &needs, &if_dead(&[B]));
    assert_eq!((plan.sender, plan.reach(Some(&speaker), &needs)), (Sender::Ingress, Reach::Yes), "A stands outside");
    let plan = world.node(A).plan(&[C, B], &needs, &if_dead(&[A, B]));
    assert_eq!((plan.sender, plan.reach(Some(&speaker), &needs)), (Sender::Nobody, Reach::NobodySends));
}

#[test]
fn a_hold_down_is_over_later() {
    let tuning = Tuning::default().with_hold_down(Span::secs(5)).expect("above a second");
    let mut world = World::tuned(&[A, B], tuning);
    world.run(6000);
    world.kill(A);
    world.run(100);
    world.start(A);
    world.run(100);
    let ask = |world: &World, ahead, dead: &[ServerId]| {
        let dead: BTreeSet<ServerId> = dead.iter().copied().collect();
        let plan = world.node(B).plan(&[A, B], &BTreeMap::new(), &Circumstances { ahead, dead });
        (plan.sender, plan.members[0].standing)
    };
    assert_eq!(ask(&world, Span(0), &[]), (Sender::Member(B), MemberStanding::Held));
    assert_eq!(ask(&world, Span::secs(6), &[]), (Sender::Member(A), MemberStanding::Up));
    assert_eq!(ask(&world, Span(0), &[B]).0, Sender::Member(A), "who said so is gone");
    world.run(6000);
    let page = page_for("later", 1, &[A, B]);
    world.trigger(B, &page);
    world.run(500);
    assert_eq!(world.deliveries(page.id), [(A, 0, vec![0])]);
}

fn plan_of(world: &World, at: ServerId, bell: &Content, dead: &[ServerId]) -> Plan {
    let due = bell.due.expect("a bell");
    world.node(at).plan_timed(&bell.group, &bell.needs, due, &if_dead(dead).dead)
}

/// Who delivered a bell that these servers handed over.
fn rung(world: &mut World, bell: &Content, alive: &[ServerId]) -> Vec<ServerId> {
    for server in alive {
        world.trigger(*server, bell);
    }
    world.run(2500);
    world.deliveries(bell.id).into_iter().map(|(server, ..)| server).collect()
}

/// Every set of dead servers, drivers that differ: who rings is who was named for the bell before.
#[test]
fn the_server_that_is_named_for_a_bell_is_the_one_that_rings_it() {
    for Case { mut world, versions, dead, alive } in cases() {
        let bell = needing(bell("8:00", 1, 2000));
        let plans: Vec<Plan> = alive.iter().map(|at| plan_of(&world, *at, &bell, &dead)).collect();
        assert!(plans.iter().all(|plan| plan == &plans[0]), "all who are asked say the same");
        for server in &dead {
            world.kill(*server);
        }
        world.run(20);
        let rung = rung(&mut world, &bell, &alive);
        let named: Vec<Sender> = rung.into_iter().map(Sender::Member).collect();
        assert_eq!(named, [plans[0].sender], "versions {versions}, dead {dead:?}");
    }
}

/// The link to the bell's own server is cut, and a third server hears it: it is named and rings, unless the witness is dead too.
#[test]
fn a_bells_server_that_only_others_hear_is_named_and_rings_it() {
    let mut world = World::of(&[A, B, C]);
    world.cut(A, B);
    world.run(3000);
    let bell = Content { group: vec![B, A, C], ..bell("8:00", 1, 5000) };
    let plan = plan_of(&world, A, &bell, &[]);
    assert_eq!((plan.sender, &plan.succession[..]), (Sender::Member(B), &[B, A, C][..]));
    assert_eq!(standings(&plan), [MemberStanding::HeardByOthers, MemberStanding::Up, MemberStanding::Up]);
    assert_eq!(plan_of(&world, A, &bell, &[C]).sender, Sender::Member(A), "nobody else says that B lives");
    assert_eq!(plan_of(&world, A, &bell, &[B]).sender, Sender::Member(A));
    assert_eq!(rung(&mut world, &bell, &[A, B, C]), [B]);
}

#[test]
fn a_bell_of_a_group_that_is_all_dead_is_rung_from_outside_and_of_an_unknown_one_by_nobody() {
    let mut world = World::of(&[A, B, C]);
    world.run(20);
    let bell = Content { group: vec![C, B], ..bell("8:00", 1, 2000) };
    let plan = plan_of(&world, A, &bell, &[B, C]);
    assert_eq!((plan.sender, plan.succession.len()), (Sender::Ingress, 0));
    let strangers = Content { group: vec![ServerId(77)], ..bell.clone() };
    assert_eq!(plan_of(&world, A, &strangers, &[]).sender, Sender::Nobody, "nobody takes it");
    world.kill(B);
    world.kill(C);
    world.run(20);
    assert_eq!(rung(&mut world, &bell, &[A]), [A]);
}

/// A bell is given to the next server when it is handed over, some seconds ahead: a hold-down that ends after that is in time
/// for pages, and not for the bell.
#[test]
fn a_hold_down_has_to_be_over_when_the_bell_is_handed_over() {
    let tuning = Tuning::default().with_hold_down(Span::secs(5)).expect("above a second");
    let mut world = World::tuned(&[A, B], tuning);
    world.run(6000);
    world.kill(A);
    world.run(100);
    world.start(A);
    world.run(100);
    let now = i64::try_from(world.ms()).expect("a story is short");
    let named = |world: &World, due: i64| {
        let plan = world.node(B).plan_timed(&[A, B], &BTreeMap::new(), Wall(MORNING + due), &BTreeSet::new());
        (plan.sender, plan.members[0].standing)
    };
    assert_eq!(named(&world, now + 8000), (Sender::Member(B), MemberStanding::Held));
    assert_eq!(named(&world, now + 11_000), (Sender::Member(A), MemberStanding::Up));
}
