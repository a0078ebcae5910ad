//! Ten thousand schedules of faults in the simulator.

use std::time::Instant;

use crate::{
    Options,
    report::{Goal, Report},
};

pub async fn run(options: Options) -> Report {
    let count = options.rounds.unwrap_or(10_000) as u64;
    let begun = Instant::now();
    let totals = tokio::task::spawn_blocking(move || simulation::run_schedules(1, count)).await;
    let totals = totals.expect("a panic of a run is caught in the run");
    let mut report = Report::new("schedules");
    report.figure("schedules", totals.schedules as f64);
    report.judge("seconds", begun.elapsed().as_secs_f64(), Goal::AtMost(60.0));
    report.judge("lost", totals.lost as f64, Goal::AtMost(0.0));
    report.figure("doubled", totals.doubled as f64);
    for (cause, count) in simulation::doubled::by_cause(&totals.kinds) {
        report.figure(&format!("doubled {cause:?}"), count as f64);
    }
    report.judge("violations", totals.violations as f64, Goal::AtMost(0.0));
    for line in totals.to_string().lines() {
        report.note(line);
    }
    report
}
