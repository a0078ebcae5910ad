//! Checks the ownership rules in every order of events within bounds, and that each rule is needed: with one removed the
//! checker finds a run in which an alarm is lost, doubled or cut in half.

mod model;

use model::{ALL, Bounds, DUPLICATE, I1, I2, I5, I6, MATCHING, Ownership, Rules, SUCCESS, SUCCESSION};
use stateright::{Checker, HasDiscoveries, Model};

#[test]
fn without_faults() {
    holds(Bounds { endpoints: 2, ..Bounds::default() }, &[SUCCESS]);
}

#[test]
fn a_crash() {
    holds(Bounds { endpoints: 2, crashes: 1, ..Bounds::default() }, &[SUCCESS, SUCCESSION, DUPLICATE]);
}

#[test]
fn a_crash_and_a_restart() {
    holds(Bounds { endpoints: 2, crashes: 1, restarts: 1, ..Bounds::default() }, &[SUCCESSION]);
}

#[test]
fn two_crashes_and_two_restarts() {
    holds(Bounds { endpoints: 1, crashes: 2, restarts: 2, ..Bounds::default() }, &[SUCCESSION]);
}

#[test]
fn a_cut_that_heals() {
    holds(Bounds { endpoints: 2, cuts: 1, ..Bounds::default() }, &[SUCCESSION, DUPLICATE]);
}

#[test]
fn a_crash_a_restart_and_a_cut() {
    let bounds = Bounds { endpoints: 1, crashes: 1, restarts: 1, cuts: 1, ..Bounds::default() };
    holds(bounds, &[SUCCESSION, DUPLICATE]);
}

#[test]
fn a_false_suspicion_and_a_crash() {
    holds(Bounds { endpoints: 2, crashes: 1, false_suspicions: 1, ..Bounds::default() }, &[SUCCESSION, DUPLICATE]);
}

#[test]
fn a_bell_with_a_crash_a_restart_and_a_cut() {
    let bounds = Bounds { endpoints: 1, crashes: 1, restarts: 1, cuts: 1, timed: true, ..Bounds::default() };
    holds(bounds, &[SUCCESSION]);
}

#[test]
fn servers_whose_drivers_do_not_match_and_a_crash() {
    let bounds = Bounds { endpoints: 1, misfits: 3, crashes: 1, restarts: 1, ..Bounds::default() };
    holds(bounds, &[SUCCESSION]);
    holds(Bounds { timed: true, ..bounds }, &[SUCCESSION]);
}

#[test]
fn a_driver_that_is_replaced_meanwhile_and_a_crash() {
    let bounds = Bounds { endpoints: 1, refits: 2, crashes: 1, ..Bounds::default() };
    holds(bounds, &[SUCCESSION]);
    // Between the change and the word of it two servers differ about who matches, and a bell may ring twice.
    holds(Bounds { timed: true, ..bounds }, &[SUCCESSION, DUPLICATE]);
}

#[test]
fn without_the_preference_a_server_without_the_driver_sends_beside_one_that_has_it() {
    let rules = Rules { prefer_matching: false, ..ALL };
    for timed in [false, true] {
        breaks(rules, Bounds { endpoints: 1, misfits: 1, timed, ..Bounds::default() }, MATCHING);
    }
}

#[test]
fn without_rule_1_an_accepted_page_dies_with_the_server_that_took_it() {
    let rules = Rules { accept_needs_a_copy: false, ..ALL };
    breaks(rules, Bounds { endpoints: 2, crashes: 1, ..Bounds::default() }, I1);
}

#[test]
fn without_rule_3_a_page_reaches_one_endpoint_and_dies() {
    let rules = Rules { deliver_needs_a_copy: false, ..ALL };
    breaks(rules, Bounds { endpoints: 2, crashes: 1, restarts: 0, ..Bounds::default() }, I6);
}

#[test]
fn without_rule_5_nobody_goes_on_for_a_dead_owner() {
    let rules = Rules { take_over: false, ..ALL };
    breaks(rules, Bounds { endpoints: 2, crashes: 1, ..Bounds::default() }, I2);
}

#[test]
fn without_the_confirmation_of_rule_5_a_successor_reaches_one_endpoint_and_dies() {
    let rules = Rules { claim_needs_confirmation: false, ..ALL };
    breaks(rules, Bounds { endpoints: 2, crashes: 1, false_suspicions: 1, ..Bounds::default() }, I6);
}

#[test]
fn without_rule_8_a_restarted_owner_delivers_beside_its_successor() {
    let rules = Rules { ask_before_resuming: false, ..ALL };
    breaks(rules, Bounds { endpoints: 2, crashes: 1, restarts: 1, ..Bounds::default() }, I5);
}

/// Visits every state within the bounds; no invariant is broken, and the states named by `reached` are among them.
fn holds(bounds: Bounds, reached: &[&'static str]) {
    let checker = Ownership { rules: ALL, bounds }.checker().threads(2).spawn_bfs().join();
    assert!(checker.is_done(), "every state within {bounds:?} is visited");
    let found = checker.discoveries();
    for (name, path) in &found {
        assert!(!name.starts_with('I'), "{name} is broken within {bounds:?} by {:?}", path.clone().into_actions());
    }
    for name in reached {
        assert!(found.contains_key(name), "{name} is never seen within {bounds:?}: the check proves nothing");
    }
    println!("{bounds:?}: {} states", checker.unique_state_count());
}

/// Finds a run in which the invariant is broken.
fn breaks(rules: Rules, bounds: Bounds, invariant: &'static str) {
    let wanted = HasDiscoveries::AnyOf([invariant].into());
    let checker = Ownership { rules, bounds }.checker().threads(2).finish_when(wanted).spawn_bfs().join();
    let found = checker.discoveries();
    let path = found.get(invariant).unwrap_or_else(|| panic!("nobody notices that a rule is gone: {rules:?}"));
    println!("{invariant}: {:?}", path.clone().into_actions());
}
