//! The owner's disk fails under load: it is slow, or it is full. The displays hang on the network, so that counting does not
//! depend on the disk.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use harness::{FleetOptions, library, wait_for};
use http_client::Method;
use load::{Fault, Site};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{PER_SECOND, bounded, exact, stretch, unhurried};

/// Slower than what a confirmation may take (300 ms between these servers), so that others have to go on without this one.
const SLOW_MS: &str = "600";
/// How much of the small disk is free before it is filled: enough for System Status to find nothing wrong with it.
const SPARE_MB: u64 = 1024;
/// Enough for System Status not to be alarmed.
const ENOUGH_MB: u64 = 320;
/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_disk_becomes_slow_under_load() {
    let mut site = Site::start(unhurried()).await;
    let how_slow = with_a_disk_that_can_be_slow(&mut site);
    site.fleet.in_step().await;
    site.displays_are_known(0).await;
    let load = site.load("slow", PER_SECOND);
    sleep(stretch()).await;
    let from = Instant::now();
    fs::write(&how_slow, SLOW_MS).expect("a small file");
    sleep(stretch()).await;
    fs::remove_file(&how_slow).expect("it was written");
    let fault = Fault { what: "slow disk", from, until: Instant::now() };
    sleep(stretch()).await;
    let sent = load.end().await;
    bounded(&site.settle(&sent).await, &sent, fault);
}

/// Starts a server again with a disk that is slow while the file that is returned says so.
fn with_a_disk_that_can_be_slow(site: &mut Site) -> PathBuf {
    let how_slow = site.fleet.folder().join("slow");
    let preload = library("slow-disk").display().to_string();
    let server = &mut site.fleet.servers[0];
    assert!(server.stop(), "it stops in good order");
    server.set_environment("LD_PRELOAD", Some(&preload));
    server.set_environment("SLOW_DISK", Some(&how_slow.display().to_string()));
    server.start();
    how_slow
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_answered_when_the_disk_has_it_and_a_server_that_dies_then_does_not_resume_the_alarm() {
    let mut site = Site::start(FleetOptions { servers: 1, ..FleetOptions::patient() }).await;
    let how_slow = with_a_disk_that_can_be_slow(&mut site);
    site.displays_are_known(0).await;
    let api = site.fleet.api(0);
    let message = json!({"title": "Leave the building", "body": "", "hold_seconds": 600});
    let alarm = json!({"id": "alarm", "name": "Alarm", "endpoints": ["display-0"], "message": message});
    api.post("/api/v1/notifications", alarm).await;
    let answer = api.post("/api/v1/notifications/alarm/send", json!({})).await;
    let activation = answer["activations"][0].as_str().expect("it is accepted").to_owned();
    wait_for("the display shows it", PATIENCE, || async {
        let running = api.get("/api/v1/running").await;
        running.as_array()?.iter().any(|row| row["reached"] == 1).then_some(())
    })
    .await;

    fs::write(&how_slow, SLOW_MS).expect("a small file");
    let asked = Instant::now();
    api.post(&format!("/api/v1/running/{activation}/stop"), json!({})).await;
    let took = asked.elapsed();
    site.fleet.servers[0].kill();
    fs::remove_file(&how_slow).expect("it was written");
    println!("the stop was answered after {} ms", took.as_millis());
    assert!(
        took >= Duration::from_millis(SLOW_MS.parse().expect("a number")),
        "answered before the disk had it: {took:?}"
    );

    site.fleet.servers[0].start();
    wait_for("it has ended", PATIENCE, || async {
        let sent = api.ask(Method::GET, "/api/v1/sent", None).await.ok()?.json;
        let row = sent["rows"].as_array()?.iter().find(|row| row["activation"] == activation.as_str())?.clone();
        assert_eq!(row["outcome"], "stopped", "{row}");
        Some(())
    })
    .await;
    assert_eq!(site.shown("Leave the building"), 1, "it is not shown again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_disk_is_full_under_load() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED the_owners_disk_is_full_under_load: needs root, for a small file system of its own");
        return;
    }
    let mut site = Site::start(unhurried()).await;
    let data = site.fleet.folder().join("pa-1/data");
    assert!(site.fleet.servers[0].stop(), "it stops in good order");
    let disk = SmallDisk::under(&data, SPARE_MB);
    site.fleet.servers[0].start();
    site.fleet.in_step().await;
    site.displays_are_known(0).await;
    let load = site.load("full", PER_SECOND);
    sleep(stretch()).await;
    let from = Instant::now();
    disk.fill();
    sleep(stretch()).await;
    disk.empty();
    let fault = Fault { what: "full disk", from, until: Instant::now() };
    sleep(stretch()).await;
    let sent = load.end().await;
    let count = site.settle(&sent).await;
    // The server ends before its disk is taken away.
    site.fleet.servers[0].kill();
    bounded(&count, &sent, fault);
}

/// It had run on that disk, and whether it was stopped or killed there: a start finds no room for anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_lone_server_starts_on_a_full_disk_sends_says_so_and_is_in_order_again_when_there_is_room() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED a_lone_server_starts_on_a_full_disk: needs root, for a small file system of its own");
        return;
    }
    let mut site = Site::start(FleetOptions { servers: 1, ..FleetOptions::default() }).await;
    let data = site.fleet.folder().join("pa-1/data");
    assert!(site.fleet.servers[0].stop(), "it stops in good order");
    let disk = SmallDisk::under(&data, ENOUGH_MB);
    site.fleet.servers[0].start();
    site.displays_are_known(0).await;
    let mut all = 0;
    for killed in [false, true] {
        let server = &mut site.fleet.servers[0];
        if killed {
            server.kill();
        } else {
            assert!(server.stop(), "it stops in good order");
        }
        disk.fill();
        server.start();
        site.displays_are_known(0).await;
        let mark = if killed { "killed" } else { "stopped" };
        let load = site.load(mark, PER_SECOND);
        sleep(stretch()).await;
        let sent = load.end().await;
        all += sent.len();
        exact(&site.settle(&sent).await, &sent, mark);
        assert!(sent.iter().all(|sent| sent.degraded), "there is one copy only, and it says so");

        let place = format!("Disk of {}: only 0 MiB free", data.display());
        let told = attention(&site, |what| what.contains(&place)).await;
        assert!(told.contains("make room there"), "{told}");
        let server = &site.fleet.servers[0];
        wait_for("the log says the same", PATIENCE, || async {
            let says = |line: &str| line.contains("ERROR") && line.contains(&place);
            (server.log().lines().filter(|line| says(line)).count() > usize::from(killed)).then_some(())
        })
        .await;

        disk.empty();
        wait_for("nothing is wrong with the disk any more", PATIENCE, || async {
            let status = site.fleet.api(0).ask(Method::GET, "/api/v1/status", None).await.ok()?;
            (status.status == 200 && !status.text.contains("MiB free: it stops")).then_some(())
        })
        .await;
        let group = json!({"name": mark, "servers": [site.fleet.api(0).get("/api/v1/servers").await[0]["id"]]});
        site.fleet.api(0).post("/api/v1/groups", group).await;
        wait_for("what was sent is recorded", PATIENCE, || async {
            let recorded = site.fleet.api(0).ask(Method::GET, "/api/v1/sent?limit=100", None).await.ok()?.json;
            (recorded["rows"].as_array()?.len() >= all.min(100)).then_some(())
        })
        .await;
    }
    // The server ends before its disk is taken away.
    site.fleet.servers[0].kill();
}

/// Waits for an entry of what needs somebody, and gives all that it says.
async fn attention(site: &Site, fits: impl Fn(&str) -> bool) -> String {
    wait_for("attention says what is wrong", PATIENCE, || async {
        let status = site.fleet.api(0).ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
        let entry = status["attention"].as_array()?.iter().find(|entry| entry["what"].as_str().is_some_and(&fits))?;
        Some(entry.to_string())
    })
    .await
}

/// A file system in memory that can be filled. Taken away when dropped.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Moves a folder onto it.
    fn under(folder: &Path, spare_mb: u64) -> SmallDisk {
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).expect("the folder moves");
        fs::create_dir(folder).expect("a place to mount");
        let used = size(&aside) / (1 << 20) + 1;
        let options = format!("size={}m", used + spare_mb);
        run("mount", &["-t", "tmpfs", "-o", &options, "onealert-test", &folder.display().to_string()]);
        let disk = SmallDisk { folder: folder.to_owned() };
        run("cp", &["-a", &format!("{}/.", aside.display()), &folder.display().to_string()]);
        fs::remove_dir_all(aside).expect("it was copied");
        disk
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Takes all that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut file = fs::File::create(self.filler()).expect("there is room for a name");
        for length in [1 << 20, 4096, 1] {
            let block = vec![0xa5; length];
            while file.write(&block).is_ok_and(|written| written > 0) {}
        }
    }

    /// Gives it back.
    fn empty(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a panicking test drops this before the server that uses it.
        run("umount", &["-l", &self.folder.display().to_string()]);
    }
}

fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| match entry.metadata().expect("it is there") {
            found if found.is_dir() => size(&entry.path()),
            found => found.len(),
        })
        .sum()
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("a program of every Linux system");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {}", arguments.join(" "), text.trim());
}
