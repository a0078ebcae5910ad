//! How the others speak of a server that goes, or that has not come yet: what somebody meant is no fault, and servers are called by
//! their names.

use harness::{Fleet, wait_for};
use http_client::Method;
use serde_json::Value;

use crate::world::*;

/// Waits for a line of a server's SyncLog and gives its state.
async fn state_of_line(fleet: &Fleet, at: usize, words: &str) -> String {
    let name = &fleet.servers[at].name;
    wait_for(&format!("{name} logs {words:?}"), PATIENCE, || async {
        let lines = fleet.api(at).ask(Method::GET, "/api/v1/logs/sync?limit=500", None).await.ok()?.json;
        let said = |line: &&Value| line["text"].as_str().is_some_and(|text| text.contains(words));
        Some(lines.as_array()?.iter().find(said)?["state"].as_str()?.to_owned())
    })
    .await
}

/// Waits until System Status of a server says this of another, and gives the state of the entry that needs somebody.
async fn attention_says(fleet: &Fleet, at: usize, what: &str) -> String {
    wait_for(&format!("attention says {what:?}"), PATIENCE, || async {
        let status = fleet.api(at).ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
        let entries = status["attention"].as_array()?;
        let of = |entry: &&Value| entry["what"].as_str().is_some_and(|text| text.starts_with(what));
        Some(entries.iter().find(of)?["state"].as_str()?.to_owned())
    })
    .await
}

/// The lines of a server's log from some line on.
fn log_from(fleet: &Fleet, at: usize, from: usize) -> Vec<String> {
    fleet.servers[at].log().lines().skip(from).map(str::to_owned).collect()
}

/// Those of them that say that something is wrong with a server.
fn errors(fleet: &Fleet, at: usize, from: usize, of: &str) -> Vec<String> {
    log_from(fleet, at, from).into_iter().filter(|line| line.contains("ERROR") && line.contains(of)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_stop_is_no_fault_to_the_others_and_a_death_is() {
    let mut fleet = fleet().await;
    let ids = [id_of(&fleet.api(0), "pa-1").await, id_of(&fleet.api(0), "pa-2").await];
    let before = [1, 2].map(|at| log_from(&fleet, at, 0).len());
    assert!(fleet.servers[0].stop(), "it stops in good order");
    for (at, before) in [1, 2].into_iter().zip(before) {
        assert_eq!(state_of_line(&fleet, at, "pa-1 is being stopped in good order").await, "ok");
        assert_eq!(state_of_line(&fleet, at, "pa-1 was stopped in good order").await, "ok");
        assert_eq!(state_of_line(&fleet, at, "primary pa-1 not reachable").await, "ok");
        assert_eq!(attention_says(&fleet, at, "pa-1: Stopped in good order").await, "warning");
        assert_eq!(errors(&fleet, at, before, "pa-1"), Vec::<String>::new());
    }
    // Back, and then killed: that nobody announced.
    fleet.servers[0].start();
    fleet.in_step().await;
    fleet.servers[0].kill();
    assert_eq!(state_of_line(&fleet, 1, "pa-1 is believed down: its program does not run").await, "bad");
    assert_eq!(attention_says(&fleet, 1, "pa-1: Down").await, "bad");
    let errors = errors(&fleet, 1, before[0], "pa-1");
    assert!(errors.iter().any(|line| line.contains("pa-1 is believed down")), "{errors:?}");
    let numbered = |line: &String| ids.iter().any(|id| line.contains(id.as_str()));
    let numbered = log_from(&fleet, 1, before[0]).into_iter().find(numbered);
    assert_eq!(numbered, None, "nobody knows servers by their numbers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_joined_and_was_not_started_yet_is_no_fault() {
    let mut fleet = fleet().await;
    let before = log_from(&fleet, 0, 0).len();
    let fourth = fleet.add();
    fleet.join(fourth, 0).expect("it joins");
    assert_eq!(state_of_line(&fleet, 0, "pa-4 was not heard since this server was started").await, "warning");
    assert_eq!(attention_says(&fleet, 0, "pa-4: Not heard since this server was started").await, "warning");
    assert_eq!(errors(&fleet, 0, before, "pa-4"), Vec::<String>::new());
    fleet.servers[fourth].start();
    assert_eq!(state_of_line(&fleet, 0, "pa-4 is up").await, "ok");
    fleet.in_step().await;
    fleet.servers[fourth].kill();
    assert_eq!(attention_says(&fleet, 0, "pa-4: Down").await, "bad");
}
