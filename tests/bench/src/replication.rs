//! From a commit on the primary to the same change durable on a secondary, at 50 changes a second.
//!
//! Both moments are seen in the databases themselves: a reader that looks at the committed position every 100 µs, on each
//! side the same. SQLite shows a commit to readers after it was synced to the disk, so what is seen is durable.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use harness::{Fleet, FleetOptions};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    Options, postgres,
    report::{Goal, Report},
    samples::Samples,
};

const PER_SECOND: u32 = 50;

pub async fn run(options: Options) -> Report {
    let changes = options.rounds.unwrap_or(1000);
    let fleet = Fleet::start(FleetOptions { servers: 2, drivers: vec![], ..FleetOptions::default() }).await;
    let file = |server: &str| fleet.folder().join(server).join("data/config.db");
    let api = fleet.api(0);
    let trigger = |number: usize| json!({"id": "bell", "name": format!("Bell {number}"), "group": "DEFAULT"});
    api.post("/api/v1/triggers", trigger(0)).await;
    fleet.in_step().await;
    let watches = ["pa-1", "pa-2"].map(|server| Watch::start(&file(server)));
    let mut tick = interval(Duration::from_secs(1) / PER_SECOND);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 1..=changes {
        tick.tick().await;
        api.put("/api/v1/triggers/bell", trigger(number)).await;
    }
    fleet.in_step().await;
    let [primary, secondary] = watches.map(Watch::end);
    let mut lag = Samples::default();
    for (lsn, committed) in &primary {
        // A reader that was kept waiting may have seen two commits as one, on either side; such pairs are left out.
        if let Some(durable) = secondary.get(lsn) {
            lag.add(durable.saturating_duration_since(*committed));
        }
    }
    let mut report = Report::new("replication");
    report.note("from seen committed on the primary to seen committed, after its sync to the disk, on a secondary");
    report.judge("median_ms", lag.median_ms(), Goal::AtMost(10.0));
    report.judge("p99_ms", lag.p99_ms(), Goal::AtMost(25.0));
    report.figure("changes", changes as f64);
    report.figure("seen_on_both", lag.len() as f64);
    drop(fleet);
    match postgres::replication(changes, PER_SECOND) {
        Ok(peer) => {
            report.note("PostgreSQL: from the commit's answer to its log synced on a streaming standby");
            report.peer("postgresql_median_ms", peer.median_ms());
            report.peer("postgresql_p99_ms", peer.p99_ms());
            report.peer("ratio", lag.p99_ms() / peer.p99_ms());
        }
        Err(missing) => report.skipped("the comparison with PostgreSQL", &missing),
    }
    report
}

/// Looks at a database's position and remembers when each one was first seen.
pub struct Watch {
    go: Arc<AtomicBool>,
    latest: Arc<AtomicI64>,
    thread: thread::JoinHandle<BTreeMap<i64, Instant>>,
}

impl Watch {
    /// Begins to look; a file that is not there yet is waited for.
    pub fn start(file: &Path) -> Watch {
        let (go, latest) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicI64::new(-1)));
        let (going, newest, file) = (go.clone(), latest.clone(), file.to_owned());
        let thread = thread::spawn(move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let (mut seen, mut reader) = (BTreeMap::new(), None);
            while going.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_micros(100));
                if reader.is_none() {
                    reader = Connection::open_with_flags(&file, flags).ok();
                }
                let Some(reader) = &reader else { continue };
                let lsn = reader
                    .prepare_cached("SELECT lsn FROM position")
                    .and_then(|mut look| look.query_row([], |row| row.get(0)));
                if let Ok(lsn) = lsn {
                    seen.entry(lsn).or_insert_with(Instant::now);
                    newest.store(lsn, Ordering::Relaxed);
                }
            }
            seen
        });
        Watch { go, latest, thread }
    }

    /// The position that was last seen; -1 before any.
    pub fn latest(&self) -> i64 {
        self.latest.load(Ordering::Relaxed)
    }

    /// Ends it; gives when each position was first seen.
    pub fn end(self) -> BTreeMap<i64, Instant> {
        self.go.store(false, Ordering::Relaxed);
        self.thread.join().expect("a watch does not panic")
    }
}
