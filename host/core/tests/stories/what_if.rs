//! What would happen if: the plan says what then really happens.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    drivers::{algo, has, needing},
    world::{A, B, C, World, page, page_for},
};
use onealert_core::{
    effect::DownReason,
    ids::{DriverId, ServerId},
    plan::{Circumstances, MemberStanding, Plan, Reach, Sender},
    time::Span,
    tuning::Tuning,
};

fn if_dead(dead: &[ServerId]) -> Circumstances {
    Circumstances { dead: dead.iter().copied().collect(), ..Circumstances::default() }
}

fn standings(plan: &Plan) -> Vec<MemberStanding> {
    plan.members.iter().map(|member| member.standing).collect()
}

/// Every set of dead servers, drivers that differ, a page at every survivor: who delivers is who was named before.
#[test]
fn the_server_that_is_named_is_the_one_that_sends() {
    for (versions, dead) in (0..27).flat_map(|versions| (0..7_u32).map(move |dead| (versions, dead))) {
        let all = [A, B, C];
        let mut world = World::of(&all);
        for (server, version) in all.into_iter().zip([versions % 3, versions / 3 % 3, versions / 9]) {
            has(&mut world, server, if version == 0 { BTreeMap::new() } else { algo(version) });
        }
        world.run(20);
        let (dead, alive): (Vec<ServerId>, Vec<ServerId>) =
            all.into_iter().partition(|server| dead >> (server.0 - A.0) & 1 == 1);
        let plans: Vec<Plan> = alive.iter().map(|at| world.node(*at).plan(&all, &algo(2), &if_dead(&dead))).collect();
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
