//! Ten thousand schedules of faults in every test run, the same again from a seed, and the proof that the checks can fail.

use std::env;

use simulation::{
    Finding,
    copy::Database,
    doubled::{Cause, by_cause},
    explain,
    planted::Planted,
    run, run_on, run_schedules,
    schedule::{Schedule, Weather},
    shrink::shrink,
    world::World,
};

/// Where the ordinary run begins. Another beginning and more of them: `ONEALERT_SEED`, `ONEALERT_SCHEDULES`.
const FIRST: u64 = 1;
const SCHEDULES: u64 = 10_000;
/// Where schedules that broke something are kept.
const FOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/found");

fn seed_from_environment() -> Option<u64> {
    let text = env::var("ONEALERT_SEED").ok()?;
    Some(text.parse().expect("ONEALERT_SEED is a number"))
}

#[test]
fn ten_thousand_schedules_break_no_invariant() {
    let first = seed_from_environment().unwrap_or(FIRST);
    let schedules =
        env::var("ONEALERT_SCHEDULES").map_or(SCHEDULES, |text| text.parse().expect("a number of schedules"));
    println!("first seed {first}, {schedules} schedules");
    let totals = run_schedules(first, schedules);
    println!("{totals}");
    assert_eq!(totals.schedules, schedules);
    // A simulator in which nothing happens proves nothing.
    let all = totals.all();
    assert!(all.accepted > schedules && all.deliveries > all.accepted && all.doubled > 0, "{totals}");
    let failing: Vec<String> = totals.failing.iter().take(5).map(|seed| explain(*seed)).collect();
    assert!(totals.violations == 0, "{} schedules fail\n{}", totals.violations, failing.join("\n"));
    assert_eq!(totals.lost, 0, "{totals}");
    if schedules >= SCHEDULES {
        // The goal of the redundancy sheet, section 11.
        assert!(all.doubled * 200 < all.deliveries, "{totals}");
        // What neither a death before sharing nor a lasting silence explains is an order that was given a moment too early.
        let causes = by_cause(&totals.kinds);
        let unexplained: u64 = [Cause::KnewBetter, Cause::TooSlow].iter().filter_map(|cause| causes.get(cause)).sum();
        assert!(unexplained * 2000 < all.deliveries, "{causes:?}\n{totals}");
    }
}

/// Shows one run, step by step: of the seed in `ONEALERT_SEED`, or of the schedule in the file `ONEALERT_SCHEDULE`.
#[test]
fn replay() {
    let kept = env::var("ONEALERT_SCHEDULE").ok().map(|file| {
        let text = std::fs::read_to_string(&file).expect("ONEALERT_SCHEDULE names a file");
        serde_json::from_str::<Schedule>(&text).expect("a schedule as explain() writes it")
    });
    let Some(schedule) = kept.or_else(|| seed_from_environment().map(Schedule::draw)) else {
        println!("neither ONEALERT_SEED nor ONEALERT_SCHEDULE names anything: nothing to replay");
        return;
    };
    let small = if run(&schedule, None).violation.is_some() { shrink(&schedule, None) } else { schedule };
    let mut world = World::new(&small, None, true);
    let violation = world.run();
    println!("{small}");
    for line in world.trace().iter().filter(|line| !line.contains("Heartbeat(")) {
        println!("{line}");
    }
    println!("{violation:?}");
    assert_eq!(violation, None);
}

/// Every schedule that was kept, in `tests/found`: with what was broken in it the same invariant still notices, and
/// without it nothing breaks. A change of the simulator, of what it draws or of what it checks does not get past this.
#[test]
fn what_was_found_once_is_found_again() {
    let mut found: Vec<_> =
        std::fs::read_dir(FOUND).expect("the findings").map(|file| file.expect("a file").path()).collect();
    found.sort();
    assert!(found.len() >= 10, "{} findings", found.len());
    for file in found {
        let text = std::fs::read_to_string(&file).expect("readable");
        let Finding { planted, invariant, schedule } = serde_json::from_str(&text).expect("a finding");
        let seen = run(&schedule, planted).violation.map(|violation| violation.invariant);
        if planted.is_some() {
            assert_eq!(seen, Some(invariant.as_str()), "{}\n{schedule}", file.display());
        }
        let whole = run(&schedule, None);
        assert_eq!(whole.violation, None, "{}\n{schedule}", file.display());
    }
}

/// The same kinds of schedule with the real configuration database, in files.
#[test]
fn three_hundred_schedules_hold_with_the_real_database() {
    // Editing rows by hand is done to the database in memory only.
    let by_hand = |schedule: &Schedule| {
        schedule.events.iter().any(|(_, what)| matches!(what, simulation::schedule::Happening::HandEdit { .. }))
    };
    let schedules: Vec<Schedule> =
        (100_000..).map(Schedule::draw).filter(|schedule| !by_hand(schedule)).take(300).collect();
    let half = |first: usize| {
        for schedule in schedules.iter().skip(first).step_by(2) {
            let outcome = run_on(Database::Sqlite, schedule, None);
            assert_eq!(outcome.violation, None, "seed {}\n{schedule}", schedule.seed);
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        half(0);
        other.join().expect("the other half holds too");
    });
}

#[test]
fn a_seed_gives_the_same_run_twice_to_the_last_word() {
    for seed in [3, 17, 4711] {
        let trace = || {
            let mut world = World::new(&Schedule::draw(seed), None, true);
            world.run();
            world.trace().to_vec()
        };
        let (once, again) = (trace(), trace());
        assert!(once.len() > 100, "seed {seed} holds {} lines", once.len());
        assert_eq!(once, again, "seed {seed}");
    }
    assert_ne!(Schedule::draw(3), Schedule::draw(4));
}

#[test]
fn schedules_of_every_weather_are_drawn() {
    for weather in [Weather::Calm, Weather::Crashes, Weather::Storm] {
        let drawn = (1..200).map(Schedule::draw).filter(|schedule| schedule.weather == weather);
        assert!(drawn.clone().count() > 5, "{weather:?} is drawn too rarely");
        assert!(drawn.clone().all(|schedule| (schedule.faults() == 0) == (weather == Weather::Calm)), "{weather:?}");
    }
}

/// The invariant that notices a planted fault, and within how many schedules.
fn noticed(planted: Planted, by: &[&str]) {
    noticed_in(planted, by, 500, Schedule::draw);
}

fn noticed_in(planted: Planted, by: &[&str], patience: u64, draw: fn(u64) -> Schedule) {
    let found = (1..=patience).map(draw).find_map(|schedule| {
        let violation = run(&schedule, Some(planted)).violation?;
        by.contains(&violation.invariant).then_some((schedule, violation))
    });
    let Some((schedule, violation)) = found else {
        panic!("{planted:?}: none of {by:?} noticed in {patience} schedules")
    };
    let small = shrink(&schedule, Some(planted));
    println!("{planted:?} breaks {}: {}\n{small}", violation.invariant, violation.what);
    if env::var_os("ONEALERT_KEEP_FINDINGS").is_some() {
        let invariant = violation.invariant.to_owned();
        let finding = Finding { planted: Some(planted), invariant, schedule: small.clone() };
        let text = serde_json::to_string_pretty(&finding).expect("plain data");
        std::fs::write(format!("{FOUND}/{planted:?}.json"), text + "\n").expect("the folder takes a file");
    }
    assert!(small.events.len() <= schedule.events.len());
    let again = run(&small, Some(planted)).violation.expect("a shrunk schedule still fails");
    assert_eq!(again.invariant, violation.invariant);
}

#[test]
fn accepting_before_two_copies_are_durable_is_noticed() {
    noticed(Planted::AcceptsBeforeDurable, &["I1"]);
}

#[test]
fn promising_before_the_disk_has_synced_is_noticed() {
    noticed(Planted::WaitsForNoSync, &["I1"]);
}

#[test]
fn owning_whatever_comes_in_is_noticed() {
    noticed(Planted::OwnsWhatComesIn, &["rule 2"]);
}

#[test]
fn a_successor_that_leaves_on_what_was_begun_before_it_is_noticed() {
    noticed(Planted::LeavesItOn, &["switched off"]);
}

#[test]
fn a_hand_over_that_is_never_taken_back_is_noticed() {
    noticed(Planted::HandsOverForEver, &["I2"]);
}

#[test]
fn delivering_before_anybody_has_the_copy_is_noticed() {
    noticed_in(Planted::DeliversUnbacked, &["I6"], 5000, Schedule::draw_closely);
}

#[test]
fn progress_that_nobody_is_told_of_is_noticed() {
    noticed(Planted::SharesNothing, &["rule 4"]);
}

#[test]
fn a_bell_whose_owner_missed_its_deadline_and_that_nobody_rings_is_noticed() {
    noticed(Planted::IgnoresDeadlines, &["I2"]);
}

#[test]
fn a_bell_that_is_called_missed_by_a_late_server_that_asked_nobody_is_noticed() {
    noticed_in(Planted::AsksNobodyWhenLate, &["late servers"], 2000, Schedule::draw);
}

#[test]
fn a_bell_that_stays_missed_because_a_clock_was_ahead_is_noticed() {
    noticed_in(Planted::LeavesCalledMissed, &["I2"], 2000, Schedule::draw);
}

#[test]
fn sending_what_has_expired_is_noticed() {
    noticed(Planted::SendsTooLate, &["rule 10"]);
}

#[test]
fn forgetting_what_has_ended_is_noticed() {
    noticed(Planted::ForgetsWhatEnded, &["I3"]);
}

#[test]
fn confirming_without_writing_is_noticed() {
    noticed(Planted::ConfirmsWithoutWriting, &["I1"]);
}

#[test]
fn delivering_what_another_server_owns_is_noticed() {
    noticed(Planted::EverybodyDelivers, &["I3", "I5"]);
}

#[test]
fn drivers_that_go_on_after_a_halt_are_noticed() {
    noticed(Planted::IgnoresHalt, &["rules 6 and 9"]);
}

#[test]
fn a_successor_that_does_not_deliver_is_noticed() {
    noticed(Planted::SuccessorIsMute, &["I2"]);
}

#[test]
fn an_ended_activation_without_a_record_is_noticed() {
    noticed(Planted::KeepsNoRecord, &["I13"]);
}

#[test]
fn writing_what_did_not_happen_is_noticed() {
    noticed(Planted::WritesWhatDidNotHappen, &["I2"]);
}

#[test]
fn telling_of_an_end_before_its_record_is_durable_is_noticed() {
    noticed(Planted::TellsOfTheEndEarly, &["I13"]);
}

#[test]
fn going_on_without_having_asked_is_noticed() {
    noticed(Planted::AsksNobody, &["I4", "I5", "rules 6 and 9"]);
}

#[test]
fn applying_records_out_of_order_is_noticed() {
    noticed(Planted::AppliesOutOfOrder, &["I7", "I8"]);
}

#[test]
fn half_a_transaction_is_noticed() {
    noticed(Planted::AppliesByHalf, &["I8"]);
}

#[test]
fn a_copy_that_is_never_compared_is_noticed() {
    noticed(Planted::ChecksNoDigest, &["I8"]);
}

#[test]
fn a_promotion_within_the_old_generation_is_noticed() {
    noticed(Planted::PromotesWithoutEpoch, &["I7", "I9"]);
}

#[test]
fn a_primary_that_was_left_behind_and_goes_on_is_noticed() {
    noticed(Planted::FencesNobody, &["I9"]);
}

#[test]
fn a_branch_that_is_left_behind_and_kept_for_nobody_is_noticed() {
    noticed(Planted::KeepsNoConflicts, &["conflict reports"]);
}

#[test]
fn a_secondary_of_a_lost_branch_that_is_turned_away_for_ever_is_noticed() {
    noticed(Planted::TakesAnyForLater, &["I8"]);
}

#[test]
fn numbers_used_twice_after_a_restore_is_noticed() {
    noticed(Planted::ReusesNumbersAfterRestore, &["I10"]);
}

#[test]
fn a_server_that_is_not_licensed_and_goes_on_is_noticed() {
    noticed_in(Planted::UnlicensedStillDelivers, &["I12"], 2000, Schedule::draw);
}

#[test]
fn a_server_that_is_not_licensed_and_is_still_counted_by_the_others_is_noticed() {
    noticed_in(Planted::LeftOutIsCounted, &["I12"], 4000, Schedule::draw);
}

#[test]
fn a_server_that_is_licensed_again_and_stays_out_of_service_is_noticed() {
    noticed_in(Planted::StaysUnlicensed, &["licence"], 2000, Schedule::draw);
}

#[test]
fn a_removed_server_that_goes_on_is_noticed() {
    noticed(Planted::RetiredStillDelivers, &["I12"]);
}
