//! A call of a driver and back through its worker process, and how soon a killed worker serves again.

use std::{
    fs,
    time::{Duration, Instant},
};

use harness::{library, onealert, wait_for};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use onealert_drivers::{
    Config, Drivers, Enabled, Timings, Verdict, files,
    trust::{Pinned, Trust},
};
use serde_json::{Value, json};

use crate::{
    Options,
    report::{Goal, Report},
    samples::Samples,
    site::PATIENCE,
};

const DRIVER: &str = "org.onealert.skeleton";
const KILLS: usize = 20;

pub async fn run(options: Options) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = library("plugin-skeleton");
    let config = Config {
        folder: folder.path().join("drivers"),
        store: folder.path().join("store"),
        state: folder.path().join("state"),
        worker: (onealert(), vec!["driver-worker".to_owned()]),
        // Restarts are not to be slowed down by the last ones being so near: each is measured as if it were the first.
        timings: Timings { degraded_after: usize::MAX, ..Timings::default() },
    };
    fs::create_dir_all(&config.folder).expect("the driver folder");
    fs::copy(&library, config.folder.join("skeleton.so")).expect("copy the driver");
    let (drivers, _events) = Drivers::start(config).expect("folders can be made");
    let sha256 = files::sha256(&fs::read(&library).expect("the driver"));
    let what = Pinned { id: DRIVER.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    drivers.set_trust(Trust { pinned: [(sha256, what)].into(), ..Trust::default() });
    let found = wait_for("the driver is accepted", PATIENCE, || async {
        drivers.found().into_iter().find(|found| matches!(found.verdict, Verdict::Ready(_)))
    })
    .await;
    let manifest = found.manifest.expect("it was read");
    let sha256 = found.sha256.expect("it was read");
    let version = manifest.version.to_string();
    drivers.set_enabled(vec![Enabled { id: DRIVER.to_owned(), version, sha256, settings: Ok(json!({})) }]);
    wait_for("the driver serves", PATIENCE, || async { prepare(&drivers).await.ok() }).await;

    // From a task of the runtime, as every delivery calls: the thread that `main` waits on would have to be woken for each
    // answer besides.
    let (calls, caller) = (options.rounds.unwrap_or(20_000), drivers.clone());
    let calling = tokio::spawn(async move {
        let mut round_trips = Samples::default();
        for _ in 0..calls {
            let called = Instant::now();
            prepare(&caller).await.expect("the driver answers");
            round_trips.add(called.elapsed());
        }
        round_trips
    });
    let round_trips = calling.await.expect("it calls and nothing else");
    let mut restarts = Samples::default();
    for _ in 0..KILLS {
        let pid = wait_for("the worker runs", PATIENCE, || async { drivers.status().first()?.pid }).await;
        let killed = Instant::now();
        kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("the worker is ours");
        // A call under which the worker ends fails; the next one waits for the worker's successor.
        while prepare(&drivers).await.is_err() {
            assert!(killed.elapsed() < PATIENCE, "the driver serves again");
        }
        restarts.add(killed.elapsed());
    }
    let mut report = Report::new("worker-call");
    report.note("prepare of one endpoint, called and answered through host, socket, worker and driver");
    report.judge("median_us", round_trips.median_ms() * 1000.0, Goal::AtMost(40.0));
    report.figure("p99_us", round_trips.p99_ms() * 1000.0);
    report.figure("calls", round_trips.len() as f64);
    report.note("the worker is killed with SIGKILL, and a call is made at once");
    report.figure("restart_median_ms", restarts.median_ms());
    report.judge("restart_most_ms", restarts.most_ms(), Goal::AtMost(300.0));
    report.figure("kills", restarts.len() as f64);
    drivers.stop();
    report
}

async fn prepare(drivers: &Drivers) -> Result<Value, String> {
    let body = json!({
        "id": "a", "attempt": 0, "priority": "page", "title": "Bell", "body": "", "has_audio": false,
        "endpoints": [{"endpoint": "e", "name": "Lobby", "address": {"file": "lobby.txt"}}]
    });
    let answer = drivers.call(DRIVER, "prepare", None, Duration::from_secs(5), body).await;
    answer.map_err(|failure| failure.to_string())
}
