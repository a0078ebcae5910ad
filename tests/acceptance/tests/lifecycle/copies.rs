//! Copies of the configuration: rebuilt on request, repaired after somebody edited the database, fetched whole after a long
//! absence.

use std::path::PathBuf;

use harness::{Fleet, wait_for};
use serde_json::json;

use crate::world::*;

fn database(fleet: &Fleet, server: usize) -> PathBuf {
    fleet.folder().join(&fleet.servers[server].name).join("data/config.db")
}

/// Edits a server's database behind its back, as somebody with a database tool would.
fn edit(fleet: &Fleet, server: usize, statement: &str) {
    let store = rusqlite::Connection::open(database(fleet, server)).expect("the file is there");
    store.busy_timeout(PATIENCE).expect("a limit");
    assert!(store.execute(statement, []).expect("it is edited") > 0, "{statement}");
}

fn row(fleet: &Fleet, server: usize, group: &str) -> Option<String> {
    let store = look_into(&database(fleet, server)).expect("the file is there");
    store.query_row("SELECT row FROM row_priority_groups WHERE key = ?1", [group], |row| row.get(0)).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn reconfigure_builds_a_copy_anew_while_the_server_stays_in_service() {
    let fleet = fleet().await;
    write_group(&fleet, 0, "North").await;
    has_group(&fleet, 1, "North").await;
    let id = id_of(&fleet.api(0), "pa-2").await;
    in_step_with_primary(&fleet, "pa-2").await;
    let answer = fleet.api(0).post(&format!("/api/v1/servers/{id}/reconfigure"), json!({})).await;
    assert_eq!(answer["at_once"], true);
    // It may stand in for a primary that stood still, and one that stood still itself says so for a moment.
    let (status, line) = balancer(&fleet, 1).expect("it answers");
    assert!(status == 200 || line.contains("the core is stuck"), "it never leaves: {status} {line}");
    sync_log_says(&fleet, 1, "receiving a copy of").await;
    sync_log_says(&fleet, 1, "copy in place").await;
    write_group(&fleet, 0, "South").await;
    has_group(&fleet, 1, "South").await;
    let done = command(&fleet, 0, &["reconfigure", "pa-3"]).expect("from the console too");
    assert!(done.contains("rebuilds its copy"), "{done}");
    sync_log_says(&fleet, 2, "copy in place").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_somebody_edited_are_repaired_on_a_secondary_and_on_the_primary() {
    let fleet = fleet_with("[replication]\nscrub_s = 1").await;
    write_group(&fleet, 0, "North").await;
    write_group(&fleet, 0, "South").await;
    has_group(&fleet, 1, "South").await;
    has_group(&fleet, 2, "South").await;
    let north = row(&fleet, 0, "north").expect("the row is there");
    for server in [1, 0] {
        edit(&fleet, server, "UPDATE row_priority_groups SET row = '{}' WHERE key = 'north'");
        edit(&fleet, server, "DELETE FROM row_priority_groups WHERE key = 'south'");
        wait_for("both rows are as they were committed", PATIENCE, || async {
            (row(&fleet, server, "north")? == north && row(&fleet, server, "south").is_some()).then_some(())
        })
        .await;
        sync_log_says(&fleet, server, "outside OneAlert; repairing").await;
    }
    sync_log_says(&fleet, 1, " repaired (").await;
    sync_log_says(&fleet, 0, "the rows were repaired from").await;
    write_group(&fleet, 0, "West").await;
    has_group(&fleet, 1, "West").await;
    has_group(&fleet, 2, "West").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_that_was_away_past_the_tail_of_the_log_returns_alone_with_a_snapshot() {
    let mut fleet = fleet_with("[replication]\nscrub_s = 1\nlog_keep = 0\nlog_mb = 0").await;
    fleet.servers[2].kill();
    for name in ["One", "Two", "Three"] {
        write_group(&fleet, 0, name).await;
    }
    sync_log_says(&fleet, 0, "the change log was trimmed").await;
    let store = look_into(&database(&fleet, 0)).expect("the file is there");
    wait_for("an absent secondary keeps nothing", PATIENCE, || async {
        let left: i64 = store.query_row("SELECT COUNT(*) FROM log", [], |row| row.get(0)).ok()?;
        (left == 0).then_some(())
    })
    .await;
    fleet.servers[2].start();
    has_group(&fleet, 2, "Three").await;
    sync_log_says(&fleet, 2, "copy in place").await;
}
