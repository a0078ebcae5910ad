//! The primary comes back under load: nothing lost, nothing doubled, and it owns nothing before its hold-down has passed.

use std::time::Duration;

use harness::FleetOptions;
use load::Site;
use tokio::time::{Instant, sleep};

use crate::{
    Options,
    report::{Goal, Report},
};

/// Shortened from 30 s, so that a run takes seconds; the rule is the same.
const HOLD_DOWN_S: u64 = 3;
const PER_SECOND: u32 = 10;

pub async fn run(options: Options) -> Report {
    let after = Duration::from_secs(options.rounds.unwrap_or(4) as u64);
    let mut site = Site::start(FleetOptions { hold_down_s: HOLD_DOWN_S, ..FleetOptions::default() }).await;
    // A server that has been up for less than a hold-down judges nobody.
    sleep(Duration::from_secs(HOLD_DOWN_S + 1)).await;
    site.fleet.servers[0].kill();
    let load = site.load("failback", PER_SECOND);
    sleep(Duration::from_secs(2)).await;
    site.fleet.servers[0].start();
    let returned = Instant::now();
    sleep(Duration::from_secs(HOLD_DOWN_S) + after).await;
    let sent = load.end().await;
    let count = site.settle(&sent).await;
    let name = site.fleet.servers[0].name.clone();
    let mut owned: Vec<Instant> =
        sent.iter().filter(|sent| sent.owner == name).map(|sent| sent.at + sent.took).collect();
    owned.sort_unstable();
    let mut report = Report::new("failback");
    report.note(format!("{PER_SECOND} activations a second; hold-down {HOLD_DOWN_S} s in place of 30 s"));
    report.judge("lost", count.lost.len() as f64, Goal::AtMost(0.0));
    report.judge("doubled", count.doubled.len() as f64, Goal::AtMost(0.0));
    report.judge("refused", count.refused.len() as f64, Goal::AtMost(0.0));
    report.figure("accepted", count.accepted as f64);
    match owned.first() {
        Some(first) => {
            let held = first.duration_since(returned).as_secs_f64();
            report.judge("held_seconds", held, Goal::AtLeast(HOLD_DOWN_S as f64));
        }
        None => report.note("the primary owned nothing before the load ended; give more --rounds (seconds)"),
    }
    report.figure("owned_after", owned.len() as f64);
    report
}
