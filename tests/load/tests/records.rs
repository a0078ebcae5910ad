//! Records of other servers are made durable on a slow disk, while this server's own loop writes what ends here: it does not wait
//! for the others' syncs.

use std::{
    ffi::OsStr,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use harness::library;
use onealert_core::{
    ids::{Incarnation, ServerId},
    time::Wall,
};
use onealert_store::{
    HistoryStore,
    history::{Activity, Mark},
    local::Identity,
};

/// So long takes each sync of the slow disk. What does not wait for it takes milliseconds.
const SLOW: Duration = Duration::from_secs(3);
/// The variable by which the test tells itself that it runs on the slow disk.
const HOW_SLOW: &str = "SLOW_DISK";

fn me(server: u128) -> Identity {
    Identity { server: ServerId(server), incarnation: Incarnation(1) }
}

fn note() -> Activity {
    Activity { at: Wall(1), kind: "note".to_owned(), document: "{}".to_owned() }
}

/// A machine that does other things may stand still for so long, and not every time; a record that waits does so each time.
#[test]
fn what_ends_here_is_recorded_while_a_slow_disk_syncs_what_others_sent() {
    let Some(how_slow) = std::env::var_os(HOW_SLOW) else { return on_a_slow_disk() };
    let longest: Vec<Duration> =
        (0..3).map(|_| longest_beside(&how_slow)).take_while(|took| *took >= SLOW / 2).collect();
    assert!(longest.len() < 3, "a record waited for others: {longest:?}");
}

/// How long the slowest of this server's own records took while what others sent was synced.
fn longest_beside(how_slow: &OsStr) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let open = |name: &str| HistoryStore::open(&folder.path().join(name)).expect("opens");
    let (here, there) = (open("here.db"), open("there.db"));
    let theirs = there.append(me(2), &[note(), note()]).expect("appends");
    fs::write(how_slow, SLOW.as_millis().to_string()).expect("a small file");
    let timed = |work: &mut dyn FnMut()| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    let (synced, longest) = thread::scope(|scope| {
        let others = scope.spawn(|| {
            timed(&mut || {
                here.insert(&theirs).expect("inserts");
                here.acknowledge(Mark { incarnation: Incarnation(1), seq: 1 }).expect("notes it");
            })
        });
        let mut longest = Duration::ZERO;
        while !others.is_finished() {
            longest = longest.max(timed(&mut || drop(here.append(me(1), &[note()]).expect("appends"))));
            thread::park_timeout(Duration::from_millis(100));
        }
        (others.join().expect("it does not panic"), longest)
    });
    fs::remove_file(how_slow).expect("it was written");
    println!("others' records took {synced:?}, the longest of this server's own {longest:?}");
    assert!(synced >= SLOW, "what others sent is durable when it is acknowledged: {synced:?}");
    longest
}

/// The same test in a process of its own, whose disk is slow.
fn on_a_slow_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut again = Command::new(std::env::current_exe().expect("this test"));
    again.arg("--nocapture").env("LD_PRELOAD", library("slow-disk")).env(HOW_SLOW, folder.path().join("slow"));
    let output = again.output().expect("it starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    assert!(output.status.success() && text.contains("others' records took"), "{text}");
}
