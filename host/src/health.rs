//! How this server is: what it says of itself in every sign of life, and how disk space is judged on every server alike.

use std::{fs::File, io::Write, path::Path};

use onealert_core::{
    config::Driver,
    health::{Condition, Disk, DriverHealth, Health},
    peer_message::Standing,
    time::Wall,
};
use onealert_web::needs::{DriverBrief, State};

use crate::{answers::driver_on, hub::Hub};

/// The space is told in steps of so many mebibytes, so that a growing log does not change what is told all the time.
const STEP: u64 = 16;

/// What this server tells its peers of itself.
pub fn standing(hub: &Hub) -> Standing {
    let position = hub.configuration.now().position;
    Standing {
        newest_epoch: position.epoch,
        position,
        versions: hub.versions(),
        started: hub.started,
        status: String::new(),
        generation: hub.generation(),
        health: Box::new(health(hub)),
    }
}

/// How this server is at this moment.
pub fn health(hub: &Hub) -> Health {
    let config = hub.config();
    let enabled = config.drivers.values().filter(|row| row.enabled);
    let driver = |row: &Driver| {
        let DriverBrief { id, state, text, since, restarts, .. } = driver_on::brief(hub, row);
        (id, DriverHealth { condition: condition(state), text, since, restarts })
    };
    Health { disk: disk(&hub.settings.data), drivers: enabled.map(driver).collect(), booted: booted() }
}

/// The space of the file system that holds a folder; nothing where the system does not say.
fn disk(folder: &Path) -> Option<Disk> {
    let found = nix::sys::statvfs::statvfs(folder).ok()?;
    let mib = |blocks: u64| blocks.saturating_mul(found.fragment_size()) / (1024 * 1024);
    let free_mib = mib(found.blocks_available()) / STEP * STEP;
    Some(Disk { free_mib, total_mib: mib(found.blocks()) })
}

/// Whether a folder's disk takes a small file for good.
pub fn disk_takes(folder: &Path) -> bool {
    let probe = folder.join(".probe");
    let written = File::create(&probe).and_then(|mut file| {
        file.write_all(&[0; 4096])?;
        file.sync_all()
    });
    let _ = std::fs::remove_file(&probe);
    written.is_ok()
}

/// What the log says of the disk of the data folder, where it is not well and was another way before, or is well again.
pub fn disk_news(folder: &Path, before: Option<Disk>, found: Option<Disk>) -> Option<(State, String)> {
    let (state, text) = judge(found?);
    let was = before.map_or(State::Ok, |before| judge(before).0);
    (state != was).then(|| (state, format!("{}: {text}", disk_of(folder))))
}

/// The disk of a data folder, in words.
pub fn disk_of(folder: &Path) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    format!("Disk of {}", folder.display())
}

/// How well a disk is, and what it means. Everything that is accepted must be written first, so a full disk silences a
/// server.
pub fn judge(disk: Disk) -> (State, String) {
    let percent = disk.free_mib * 100 / disk.total_mib.max(1);
    let free = size(disk.free_mib);
    match (disk.free_mib, percent) {
        (..256, _) => (
            State::Bad,
            format!("only {free} free: it stops accepting notifications when the disk is full; make room there"),
        ),
        (..1024, _) | (..10_240, ..5) => (State::Warning, format!("only {free} free")),
        _ => (State::Ok, format!("{free} free of {}", size(disk.total_mib))),
    }
}

fn size(mib: u64) -> String {
    if mib < 10 * 1024 { format!("{mib} MiB") } else { format!("{} GiB", mib / 1024) }
}

/// When the operating system was started.
fn booted() -> Option<Wall> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let seconds: i64 = text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Wall(seconds.saturating_mul(1000)))
}

/// The core's word for a state of the pages.
fn condition(state: State) -> Condition {
    match state {
        State::Ok => Condition::Good,
        State::Warning => Condition::Warning,
        State::Bad => Condition::Bad,
    }
}

/// The pages' word for a condition that a peer tells.
pub fn state(condition: Condition) -> State {
    match condition {
        Condition::Good => State::Ok,
        Condition::Warning => State::Warning,
        Condition::Bad => State::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_disk_and_was_started() {
        let found = disk(Path::new("/")).expect("the root has a size");
        assert!(found.total_mib > 0 && found.free_mib <= found.total_mib, "{found:?}");
        assert!(booted().expect("linux says so") < crate::clock::wall());
        assert_eq!(disk(Path::new("/nowhere/at/all")), None);
        let folder = tempfile::tempdir().expect("a folder");
        assert!(disk_takes(folder.path()) && !disk_takes(Path::new("/nowhere/at/all")));
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "nothing is left behind");
    }

    #[test]
    fn little_space_is_a_warning_and_hardly_any_is_a_fault() {
        let judged = |free_mib, total_mib| judge(Disk { free_mib, total_mib }).0;
        assert_eq!(judged(50_000, 100_000), State::Ok);
        assert_eq!(judged(2_000, 4_000), State::Ok);
        assert_eq!(judged(4_000, 1_000_000), State::Warning);
        assert_eq!(judged(600, 4_000), State::Warning);
        assert_eq!(judged(128, 200), State::Bad);
        assert_eq!(judged(0, 0), State::Bad);
        assert_eq!(judge(Disk { free_mib: 20_480, total_mib: 40_960 }).1, "20 GiB free of 40 GiB");

        let (well, full) =
            (Some(Disk { free_mib: 50_000, total_mib: 100_000 }), Some(Disk { free_mib: 0, total_mib: 9 }));
        let folder = Path::new("/var/lib/onealert");
        let (state, text) = disk_news(folder, well, full).expect("news");
        assert_eq!(state, State::Bad);
        assert!(
            text.starts_with("Disk of /var/lib/onealert: only 0 MiB free") && text.ends_with("make room there"),
            "{text}"
        );
        assert_eq!(disk_news(folder, None, full).map(|(state, _)| state), Some(State::Bad), "also at a start");
        assert_eq!(disk_news(folder, full, well).map(|(state, _)| state), Some(State::Ok), "it is well again");
        assert_eq!(
            (disk_news(folder, full, full), disk_news(folder, None, well), disk_news(folder, full, None)),
            (None, None, None)
        );
    }
}
