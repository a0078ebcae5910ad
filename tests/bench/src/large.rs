//! A configuration of 100,000 rows: how soon a new secondary has it, and how long its digests take to compute again.

use std::time::{Duration, Instant, SystemTime};

use harness::{Fleet, FleetOptions, wait_for};
use onealert_core::{
    config::{Change, Endpoint, Table},
    ids::{DriverId, EndpointId, EpochId},
    time::Wall,
};
use onealert_store::{ConfigStore, SqliteStore, change::Commit};
use serde_json::json;

use crate::{
    Options, postgres,
    replication::Watch,
    report::{Goal, Report},
    samples::Samples,
    site::PATIENCE,
};

const ROWS: usize = 100_000;
/// Rows that are written in one transaction.
const TOGETHER: usize = 5_000;

pub async fn snapshot(options: Options) -> Report {
    let rounds = options.rounds.unwrap_or(3);
    let mut fleet = Fleet::start(FleetOptions { servers: 1, drivers: vec![], ..FleetOptions::default() }).await;
    assert!(fleet.servers[0].stop(), "the primary ends well");
    let file = fleet.folder().join("pa-1/data/config.db");
    write_rows(&SqliteStore::open(&file).expect("the primary's database"));
    fleet.servers[0].start();
    let primary = Watch::start(&file);
    let (mut joined, mut in_sync) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let begun = Instant::now();
        let index = fleet.join_another();
        joined.add(begun.elapsed());
        let target = primary.latest();
        let copy = Watch::start(&fleet.folder().join(&fleet.servers[index].name).join("data/config.db"));
        let begun = Instant::now();
        fleet.servers[index].start();
        let reached = || async { (copy.latest() >= target).then_some(()) };
        wait_for("the secondary has everything", PATIENCE, reached).await;
        let seen = copy.end();
        let at = *seen.range(target..).next().expect("it was waited for").1;
        in_sync.add(at.saturating_duration_since(begun));
        fleet.servers[index].kill();
    }
    let mut report = Report::new("snapshot");
    report
        .note(format!("{ROWS} rows; from the start of a joined secondary to its copy in place, durable and verified"));
    report.figure("median_seconds", in_sync.median_ms() / 1000.0);
    report.judge("seconds", in_sync.most_ms() / 1000.0, Goal::AtMost(3.0));
    report.figure("join_command_seconds", joined.most_ms() / 1000.0);
    report.figure("rounds", in_sync.len() as f64);
    primary.end();
    drop(fleet);
    match postgres::new_standby(ROWS) {
        Ok(took) => {
            report.note("PostgreSQL: pg_basebackup, start of the standby, first answer from all rows");
            report.peer("postgresql_seconds", took.as_secs_f64());
            report.peer("ratio", in_sync.median_ms() / 1000.0 / took.as_secs_f64());
        }
        Err(missing) => report.skipped("the comparison with PostgreSQL", &missing),
    }
    report
}

pub async fn scrub(options: Options) -> Report {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SqliteStore::open(&folder.path().join("config.db")).expect("a database");
    store.install(EpochId(1)).expect("it is empty");
    write_rows(&store);
    let mut took = Samples::default();
    for _ in 0..options.rounds.unwrap_or(10) {
        let begun = Instant::now();
        let report = store.scrub(&mut || ()).expect("the rows can be read");
        took.add(begun.elapsed());
        assert!(report.faults.is_empty() && report.rows >= ROWS as u64, "{report:?}");
    }
    let mut report = Report::new("scrub");
    report.note(format!(
        "every digest of {ROWS} rows computed again, without the pauses that the server makes in between"
    ));
    report.judge("median_ms", took.median_ms(), Goal::AtMost(1000.0));
    report.figure("most_ms", took.most_ms());
    report.figure("rows_per_s", ROWS as f64 / (took.median_ms() / 1000.0));
    report
}

fn write_rows(store: &SqliteStore) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let at = Wall(since.as_millis() as i64);
    for first in (1..=ROWS).step_by(TOGETHER) {
        let rows = (first..first + TOGETHER).map(|number| {
            let id = format!("endpoint-{number}");
            let endpoint = Endpoint {
                id: EndpointId::from(id.as_str()),
                name: format!("Speaker {number}"),
                driver: DriverId::from("com.example.speaker"),
                address: json!({"host": format!("10.1.{}.{}", number / 250 % 250, number % 250), "password": "algo"}),
                location: String::new(),
            };
            Change::put(Table::Endpoints, &id, &endpoint)
        });
        store.commit(&Commit::new(at, rows.collect())).expect("the rows are good");
    }
}
