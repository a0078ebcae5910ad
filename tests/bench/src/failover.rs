//! Failover as VRRP does it (keepalived, in namespaces of its own), beside ours: how soon after the active one was killed the
//! standby has the address. It is only an address that moves there: what the dead machine had accepted is gone.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use harness::Lan;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    Options,
    report::{Goal, Report},
    samples::Samples,
    site::PATIENCE,
    takeover::{self, Blow},
};

pub async fn run(options: Options) -> Report {
    let mut report = Report::new("failover");
    let rounds = options.rounds.unwrap_or(10);
    let ours = takeover::measure(Blow::Kill, 250, rounds).await;
    report.note("ours: the owner is killed in the middle of a delivery; until the next server contacts the device");
    report.judge("median_ms", ours.median_ms(), Goal::AtMost(60.0));
    report.judge("p99_ms", ours.p99_ms(), Goal::AtMost(250.0));
    report.figure("rounds", rounds as f64);
    match tokio::task::spawn_blocking(move || vrrp(rounds)).await.expect("the measurement does not panic") {
        Ok((killed, defaults)) => {
            report.note("keepalived, killed with SIGKILL: until the standby has the address");
            report.peer("vrrp_fast_median_ms", killed.median_ms());
            report.note("the same with the default advertisement interval of 1 s");
            report.peer("vrrp_default_median_ms", defaults.median_ms());
            report.peer("ratio", ours.median_ms() / killed.median_ms());
        }
        Err(missing) => report.skipped("the comparison with VRRP", &missing),
    }
    report
}

/// With advertisements every 0.1 s, and with the default.
fn vrrp(rounds: usize) -> Result<(Samples, Samples), String> {
    if let Some(missing) = Lan::needs() {
        return Err(missing.to_owned());
    }
    if !Command::new("keepalived").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Err("keepalived (Debian package keepalived)".to_owned());
    }
    let measure = |interval: &str, rounds| {
        let lan = Lan::new(2);
        let mut samples = Samples::default();
        for _ in 0..rounds {
            samples.add(one(&lan, interval));
        }
        samples
    };
    Ok((measure("0.1", rounds), measure("1", rounds.min(3))))
}

fn one(lan: &Lan, interval: &str) -> Duration {
    let address = format!("{}.100", lan.network());
    let mut active = Keepalived::start(lan, 1, 200, interval, &address);
    until("the first one has the address", || has(lan, 1, &address));
    let mut standby = Keepalived::start(lan, 2, 100, interval, &address);
    until("the second one stands by", || standby.log().contains("Entering BACKUP STATE"));
    std::thread::sleep(Duration::from_millis(500));
    let struck = Instant::now();
    active.end(Signal::SIGKILL);
    until("the second one has the address", || has(lan, 2, &address));
    let took = struck.elapsed();
    standby.end(Signal::SIGTERM);
    // A killed keepalived leaves the address where it was.
    let device =
        [&lan.enter(1)[..], &["ip", "address", "flush", "dev", "eth0", "to", &address].map(str::to_owned)].concat();
    let _ = Command::new(&device[0]).args(&device[1..]).output();
    took
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn has(lan: &Lan, server: u8, address: &str) -> bool {
    let look = [&lan.enter(server)[..], &["ip", "-4", "-o", "address", "show"].map(str::to_owned)].concat();
    let output = Command::new(&look[0]).args(&look[1..]).output().expect("the program ip is installed");
    String::from_utf8_lossy(&output.stdout).contains(&format!(" {address}/"))
}

struct Keepalived {
    process: Child,
    folder: TempDir,
}

impl Keepalived {
    fn start(lan: &Lan, server: u8, priority: u8, interval: &str, address: &str) -> Keepalived {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = format!(
            "vrrp_instance test {{\n interface eth0\n state BACKUP\n virtual_router_id 51\n priority {priority}\n \
             advert_int {interval}\n version 3\n virtual_ipaddress {{\n {address}/24\n }}\n}}\n"
        );
        let file = folder.path().join("keepalived.conf");
        fs::write(&file, config).expect("its configuration");
        let log = fs::File::create(folder.path().join("log")).expect("its log");
        let enter = lan.enter(server);
        let pid = |name: &str| folder.path().join(name).display().to_string();
        let process = Command::new(&enter[0])
            .args(&enter[1..])
            .args(["keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file"])
            .arg(&file)
            .args(["--pid", &pid("pid"), "--vrrp_pid", &pid("vrrp")])
            .stdout(log.try_clone().expect("a file"))
            .stderr(Stdio::from(log))
            .spawn()
            .expect("keepalived starts");
        Keepalived { process, folder }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends it; the process that speaks VRRP is a child of the one that we started.
    fn end(&mut self, signal: Signal) {
        let child = read_pid(&self.folder.path().join("vrrp"));
        let parent = Pid::from_raw(self.process.id() as i32);
        for process in [Some(parent), child].into_iter().flatten() {
            let _ = kill(process, signal);
        }
        let _ = self.process.wait();
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        self.end(Signal::SIGKILL);
    }
}

fn read_pid(file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(file).ok()?;
    text.trim().parse().ok().map(Pid::from_raw)
}
