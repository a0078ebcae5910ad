//! From the blow that takes the owner away to the successor's first contact with a device, seen at the device.
//!
//! The moment of the blow is in the middle of a delivery: the owner has asked a strobe to flash, and the strobe has not
//! answered. So there is always something left to do, and what the successor does is the contact that delivers.

use std::time::{Duration, Instant};

use harness::{FleetOptions, Lan};
use tokio::time::sleep;

use crate::{
    Options,
    report::{Goal, Report},
    samples::Samples,
    site::{Devices, PATIENCE, STROBE_START, Site, starts},
};

/// What happens to the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Pause,
    /// Its cable is pulled.
    Cut,
}

pub async fn run(bench: &'static str, blow: Blow, options: Options) -> Report {
    let mut report = Report::new(bench);
    if blow == Blow::Cut
        && let Some(missing) = Lan::needs()
    {
        report.skipped(bench, missing);
        return report;
    }
    if blow == Blow::Kill {
        let samples = measure(blow, 250, options.rounds.unwrap_or(100)).await;
        report.judge("median_ms", samples.median_ms(), Goal::AtMost(60.0));
        report.judge("p99_ms", samples.p99_ms(), Goal::AtMost(250.0));
        report.figure("most_ms", samples.most_ms());
        report.figure("rounds", samples.len() as f64);
        return report;
    }
    let rounds = options.rounds.unwrap_or(25);
    for (name, heartbeat_ms, goal) in [("", 250, 1500.0), ("fast_", 100, 500.0)] {
        let samples = measure(blow, heartbeat_ms, rounds).await;
        report.figure(&format!("{name}median_ms"), samples.median_ms());
        report.judge(&format!("{name}p99_ms"), samples.p99_ms(), Goal::AtMost(goal));
        report.figure(&format!("{name}rounds"), samples.len() as f64);
    }
    report
}

/// Strikes again and again.
pub async fn measure(blow: Blow, heartbeat_ms: u64, rounds: usize) -> Samples {
    let options = FleetOptions { heartbeat_ms, cables: blow == Blow::Cut, ..FleetOptions::default() };
    let mut site = Site::start(options, Devices::Strobes(1)).await;
    let mut samples = Samples::default();
    for round in 0..rounds {
        samples.add(one(&mut site, blow, round).await);
    }
    samples
}

/// One blow, and everything back in its place after it.
async fn one(site: &mut Site, blow: Blow, round: usize) -> Duration {
    let device = site.devices[0].clone();
    device.clear();
    device.set_faults(|faults| faults.hold = Some(STROBE_START.to_owned()));
    let accepted = site.send(0).await;
    assert_eq!(accepted["owner"], site.fleet.servers[0].name.as_str(), "the head of the group owns it: {accepted}");
    let activation = accepted["activations"][0].as_str().expect("an activation").to_owned();
    assert!(device.wait_for_log(PATIENCE, |log| starts(log).count() == 1).await, "the owner contacts the strobe");
    // Blows at many distances from the contact, heartbeats and pushes.
    sleep(Duration::from_millis(round as u64 * 7 % 60)).await;
    let struck = Instant::now();
    match (blow, &site.fleet.lan) {
        (Blow::Kill, _) => site.fleet.servers[0].kill(),
        (Blow::Pause, _) => site.fleet.servers[0].pause(),
        (Blow::Cut, lan) => lan.as_ref().expect("the fleet was made with cables").pull(1),
    }
    assert!(device.wait_for_log(PATIENCE, |log| starts(log).count() >= 2).await, "the successor contacts the strobe");
    let contacted = starts(&device.log()).nth(1).expect("waited for").at;
    device.set_faults(|faults| faults.hold = None);
    site.ended_on(1, &activation).await;
    match (blow, &site.fleet.lan) {
        (Blow::Kill, _) => drop(site.fleet.servers[0].start()),
        (Blow::Pause, _) => site.fleet.servers[0].wake(),
        (Blow::Cut, lan) => lan.as_ref().expect("the fleet was made with cables").plug_in(1),
    }
    site.fleet.in_step().await;
    site.ended_on(0, &activation).await;
    site.devices_are_known(0).await;
    contacted.duration_since(struck)
}
