//! How long a server takes from its start until it is ready, and how much memory it and a worker hold when idle.

use std::{fs, time::Duration};

use harness::{FleetOptions, wait_for};
use tokio::time::sleep;

use crate::{
    Options,
    report::{Goal, Report},
    samples::Samples,
    site::{Devices, PATIENCE, Site},
};

/// How long it is left alone before its memory is looked at.
const IDLE: Duration = Duration::from_secs(3);

pub async fn run(options: Options) -> Report {
    let options_of_fleet = FleetOptions { servers: 1, ..FleetOptions::default() };
    let mut site = Site::start(options_of_fleet, Devices::Strobes(2)).await;
    let mut took = Samples::default();
    for _ in 0..options.rounds.unwrap_or(10) {
        assert!(site.fleet.servers[0].stop(), "it ends well");
        took.add(site.fleet.servers[0].start());
    }
    site.devices_are_known(0).await;
    sleep(IDLE).await;
    let host = site.fleet.servers[0].pid().as_raw();
    let worker = wait_for("its worker runs", PATIENCE, || async { child_of(host) }).await;
    let mut report = Report::new("start");
    report.note("process started to ready: an installed server with one driver; files in the system's cache");
    report.figure("median_ms", took.median_ms());
    report.judge("most_ms", took.most_ms(), Goal::AtMost(1000.0));
    report.note("resident memory after 3 s without work");
    report.judge("host_mb", resident_mb(host), Goal::AtMost(40.0));
    report.judge("worker_mb", resident_mb(worker), Goal::AtMost(10.0));
    report
}

/// The process that was started by this one.
fn child_of(parent: i32) -> Option<i32> {
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.find(|number| field(*number, "PPid:") == Some(i64::from(parent)))
}

fn resident_mb(process: i32) -> f64 {
    field(process, "VmRSS:").map_or(f64::NAN, |kib| kib as f64 / 1024.0)
}

/// A number of a process's status.
fn field(process: i32, name: &str) -> Option<i64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
