//! How the others speak of a server that goes, or that has not come yet: what somebody meant is no fault, and servers are called by
//! their names.

use harness::{Fleet, in_time, same, tell};
use http_client::Method;
use serde_json::Value;

use crate::world::*;

/// Waits until the newest line of a server's SyncLog that says this is in that state.
async fn line_is(fleet: &Fleet, at: usize, words: &str, state: &str) -> Result<(), String> {
    let name = &fleet.servers[at].name;
    in_time(&format!("{name} logs {words:?} as {state}"), PATIENCE, || async {
        let lines = fleet.api(at).ask(Method::GET, "/api/v1/logs/sync?limit=500", None).await.ok()?.json;
        let said = |line: &&Value| line["text"].as_str().is_some_and(|text| text.contains(words));
        (lines.as_array()?.iter().find(said)?["state"] == state).then_some(())
    })
    .await
}

/// Waits until System Status of a server says this of another, and that is in that state.
async fn attention_is(fleet: &Fleet, at: usize, what: &str, state: &str) -> Result<(), String> {
    in_time(&format!("attention says {what:?} as {state}"), PATIENCE, || async {
        let status = fleet.api(at).ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
        let entries = status["attention"].as_array()?;
        let of = |entry: &&Value| entry["what"].as_str().is_some_and(|text| text.starts_with(what));
        (entries.iter().find(of)?["state"] == state).then_some(())
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
    tell(stopped_and_then_killed).await;
}

async fn stopped_and_then_killed() -> Result<(), String> {
    let mut fleet = fleet().await;
    let ids = [id_of(&fleet.api(0), "pa-1").await, id_of(&fleet.api(0), "pa-2").await];
    let before = [1, 2].map(|at| log_from(&fleet, at, 0).len());
    assert!(fleet.servers[0].stop(), "it stops in good order");
    for (at, before) in [1, 2].into_iter().zip(before) {
        line_is(&fleet, at, "pa-1 is being stopped in good order", "ok").await?;
        line_is(&fleet, at, "pa-1 was stopped in good order", "ok").await?;
        line_is(&fleet, at, "primary pa-1 not reachable", "ok").await?;
        attention_is(&fleet, at, "pa-1: Stopped in good order", "warning").await?;
        // One that stood still for long before it was stopped was rightly believed down.
        same(errors(&fleet, at, before, "pa-1"), [""; 0], "errors")?;
    }
    // Back, and then killed: that nobody announced.
    fleet.servers[0].start();
    fleet.in_step().await;
    fleet.servers[0].kill();
    line_is(&fleet, 1, "pa-1 is believed down: its program does not run", "bad").await?;
    attention_is(&fleet, 1, "pa-1: Down", "bad").await?;
    let errors = errors(&fleet, 1, before[0], "pa-1");
    assert!(errors.iter().any(|line| line.contains("pa-1 is believed down")), "{errors:?}");
    let numbered = |line: &String| ids.iter().any(|id| line.contains(id.as_str()));
    let numbered = log_from(&fleet, 1, before[0]).into_iter().find(numbered);
    assert_eq!(numbered, None, "nobody knows servers by their numbers");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_joined_and_was_not_started_yet_is_no_fault() {
    tell(joined_and_not_started_yet).await;
}

async fn joined_and_not_started_yet() -> Result<(), String> {
    let mut fleet = fleet().await;
    let before = log_from(&fleet, 0, 0).len();
    let fourth = fleet.add();
    fleet.join(fourth, 0).expect("it joins");
    line_is(&fleet, 0, "pa-4 was not heard since this server was started", "warning").await?;
    attention_is(&fleet, 0, "pa-4: Not heard since this server was started", "warning").await?;
    assert_eq!(errors(&fleet, 0, before, "pa-4"), Vec::<String>::new());
    fleet.servers[fourth].start();
    line_is(&fleet, 0, "pa-4 is up", "ok").await?;
    fleet.in_step().await;
    fleet.servers[fourth].kill();
    attention_is(&fleet, 0, "pa-4: Down", "bad").await
}
