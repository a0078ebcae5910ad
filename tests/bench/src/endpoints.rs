//! From a trigger over the API to a thousand devices told over HTTP, each seen at the device.

use std::time::Instant;

use harness::FleetOptions;

use crate::{
    Options,
    report::{Goal, Report},
    samples::Samples,
    site::{Devices, PATIENCE, Site, starts},
};

const DEVICES: usize = 1000;

pub async fn run(options: Options) -> Report {
    let site = Site::start(FleetOptions::default(), Devices::Strobes(DEVICES)).await;
    let (mut told, mut last) = (Samples::default(), Samples::default());
    for round in 0..=options.rounds.unwrap_or(5) {
        site.devices.iter().for_each(devices::AlgoSim::clear);
        let asked = Instant::now();
        let accepted = site.send(0).await;
        for device in &site.devices {
            assert!(device.wait_for_log(PATIENCE, |log| starts(log).next().is_some()).await, "every strobe is told");
        }
        let contacts = site.devices.iter().filter_map(|device| starts(&device.log()).next().map(|request| request.at));
        let took: Vec<_> = contacts.map(|at| at.duration_since(asked)).collect();
        // The first round opens the connections.
        if round > 0 {
            last.add(took.iter().copied().max().unwrap_or_default());
            took.into_iter().for_each(|took| told.add(took));
        }
        site.ended_on(0, accepted["activations"][0].as_str().expect("an activation")).await;
    }
    let mut report = Report::new("endpoints");
    report.note(format!("{DEVICES} simulated strobes in the measuring process, on the same processor as the servers"));
    report.figure("median_ms", told.median_ms());
    report.judge("p99_ms", told.p99_ms(), Goal::AtMost(1000.0));
    report.figure("last_device_ms", last.most_ms());
    report.figure("devices", DEVICES as f64);
    report
}
