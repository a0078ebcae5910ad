//! The publisher is lost: another server is promoted, or a backup; the old one returns and is fenced.
//!
//! Whoever promotes asks the others and waits for each for some seconds: one that stands still for as long counts as silent, and
//! such a story is told again.

use std::time::Instant;

use harness::{ADMIN, Addresses, Fleet, FleetOptions, Server, same, tell, wait_for};
use http_client::Method;
use serde_json::json;

use crate::world::*;

/// Changes that only the primary has when it dies: the others were away.
async fn only_the_primary_has(fleet: &mut Fleet, name: &str) {
    for server in 1..fleet.servers.len() {
        fleet.servers[server].kill();
    }
    write_group(fleet, 0, name).await;
    fleet.servers[0].kill();
    for server in 1..fleet.servers.len() {
        fleet.servers[server].start();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_makes_a_secondary_the_primary_and_the_old_one_is_fenced_when_it_returns() {
    tell(promoted_by_one_command).await;
}

async fn promoted_by_one_command() -> Result<(), String> {
    let mut fleet = fleet().await;
    write_group(&fleet, 0, "Shared").await;
    fleet.in_step().await;
    only_the_primary_has(&mut fleet, "Lost").await;
    has_group(&fleet, 1, "Shared").await;

    hears(&fleet, 1, 2).await;

    let lost = Instant::now();
    let said = command(&fleet, 1, &["promote"]).expect("one command");
    assert!(said.contains("This server is the primary"), "{said}");
    same(said.contains("Answered: pa-3."), true, &said)?;
    writable(&fleet, 1, "After").await;
    println!("publisher lost to new one writable: {} ms", lost.elapsed().as_millis());
    has_group(&fleet, 2, "After").await;
    lacks_group(&fleet, 2, "Lost").await;
    // It lets others join: it holds the site's key.
    let fourth = fleet.add();
    fleet.join(fourth, 1).expect("the promoted server lets others join");

    fleet.servers[0].start();
    balancer_is_told(&fleet, 0, 404, "Primary Fenced").await;
    let (status, text) = try_group(&fleet, 0, "No").await;
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("fenced") && text.contains("onealert join"), "{text}");
    wait_for("it shows itself in red", PATIENCE, || async {
        let page = fleet.api(0).ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
        let this = page["servers"].as_array()?.iter().find(|row| row["this"] == true)?.clone();
        (this["state"] == "bad").then_some(())
    })
    .await;
    wait_for("the new primary shows it in red", PATIENCE, || async {
        let status = fleet.api(1).ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
        let row = status["servers"].as_array()?.iter().find(|row| row["name"] == "pa-1")?.clone();
        (row["state"] == "bad" && row["text"].as_str()?.contains("Fenced")).then_some(())
    })
    .await;
    let reports = wait_for("the conflict report is written", PATIENCE, || async {
        let reports = fleet.api(0).ask(Method::GET, "/api/v1/conflicts", None).await.ok()?.json;
        (reports.as_array()?.len() == 1).then_some(reports)
    })
    .await;
    assert!(reports.to_string().contains("Lost"), "{reports}");
    let printed = command(&fleet, 0, &["conflicts"]).expect("readable on the console");
    assert!(printed.contains("priority group ") && printed.contains("Lost"), "{printed}");

    let joined = fleet.join(0, 1).expect("one command makes it a secondary");
    assert!(joined.contains("starts anew"), "{joined}");
    has_group(&fleet, 0, "After").await;
    lacks_group(&fleet, 0, "Lost").await;
    balancer_is_told(&fleet, 0, 200, "Secondary Active").await;
    let kept = command(&fleet, 0, &["conflicts"]).expect("the report stays");
    assert!(kept.contains("Lost"), "{kept}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_promoted_and_takes_first_what_another_has_more() {
    tell(promoted_while_stopped).await;
}

async fn promoted_while_stopped() -> Result<(), String> {
    let mut fleet = fleet().await;
    fleet.servers[1].stop();
    write_group(&fleet, 0, "Late").await;
    has_group(&fleet, 2, "Late").await;
    fleet.servers[0].kill();
    let said = command(&fleet, 1, &["promote"]).expect("a stopped server can be promoted");
    same(said.contains("Took the records that pa-3 had more"), true, &said)?;
    fleet.servers[1].start();
    has_group(&fleet, 1, "Late").await;
    writable(&fleet, 1, "After").await;
    has_group(&fleet, 2, "After").await;
    assert_eq!(command(&fleet, 2, &["conflicts"]).expect("readable"), "no conflict report on this server\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_behind_on_purpose_goes_into_a_conflict_report_there() {
    tell(left_behind_on_purpose).await;
}

async fn left_behind_on_purpose() -> Result<(), String> {
    let mut fleet = fleet().await;
    fleet.servers[1].stop();
    write_group(&fleet, 0, "Ahead").await;
    has_group(&fleet, 2, "Ahead").await;
    fleet.servers[0].kill();
    let said = command(&fleet, 1, &["promote", "--leave-missing"]).expect("it is meant");
    same(said.contains("Left behind: pa-3 has"), true, &said)?;
    fleet.servers[1].start();
    writable(&fleet, 1, "After").await;
    has_group(&fleet, 2, "After").await;
    lacks_group(&fleet, 2, "Ahead").await;
    let report = command(&fleet, 2, &["conflicts"]).expect("readable");
    assert!(report.contains("Ahead"), "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_lives_is_fenced_only_when_that_is_meant() {
    tell(fenced_when_meant).await;
}

async fn fenced_when_meant() -> Result<(), String> {
    let fleet = fleet().await;
    // A primary that stands still for as long as it is waited for is rightly taken for dead.
    let refused = command(&fleet, 1, &["promote"]).err().ok_or("it was promoted while the primary lives")?;
    same(refused.contains("pa-1 answers"), true, &refused)?;
    write_group(&fleet, 0, "Still").await;
    has_group(&fleet, 1, "Still").await;
    command(&fleet, 1, &["promote", "--even-though-primary-answers"]).expect("it is meant");
    balancer_is_told(&fleet, 0, 404, "Primary Fenced").await;
    writable(&fleet, 1, "After").await;
    has_group(&fleet, 2, "After").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restored_on_another_machine_becomes_the_primary_with_one_command() {
    tell(a_backup_becomes_the_primary).await;
}

async fn a_backup_becomes_the_primary() -> Result<(), String> {
    let mut fleet = fleet().await;
    write_group(&fleet, 0, "Saved").await;
    has_group(&fleet, 1, "Saved").await;
    let file = fleet.folder().join("site.backup").display().to_string();
    // Of a secondary, while it runs.
    command(&fleet, 1, &["backup", &file]).expect("a backup of a secondary");
    write_group(&fleet, 0, "Later").await;
    has_group(&fleet, 1, "Later").await;
    fleet.servers[0].kill();

    hears(&fleet, 1, 2).await;
    hears(&fleet, 2, 1).await;
    let new = fleet.add();
    command(&fleet, new, &["restore", &file]).expect("into an empty folder");
    let again = command(&fleet, new, &["restore", &file]).expect_err("the folder is taken");
    assert!(again.contains("already holds"), "{again}");
    fleet.servers[new].start();
    balancer_is_told(&fleet, new, 404, "Primary Restored, Not Promoted").await;
    let shut = fleet.api(new).ask(Method::GET, "/api/v1/status", None).await.expect("an answer");
    assert_eq!(shut.status, 503, "{}", shut.text);

    let said = command(&fleet, new, &["promote", "--user", ADMIN]).expect("one command");
    same(said.contains("Took the records that pa-"), true, &format!("what the backup lacks is taken first: {said}"))?;
    writable(&fleet, new, "After").await;
    for secondary in [1, 2] {
        has_group(&fleet, secondary, "After").await;
    }
    // Nothing that a secondary had is lost.
    has_group(&fleet, new, "Later").await;
    fleet.servers[0].start();
    balancer_is_told(&fleet, 0, 404, "Primary Fenced").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_primary_a_secondary_says_what_cannot_be_done_and_goes_on_sending() {
    let mut fleet = fleet().await;
    fleet.servers[0].kill();
    let api = fleet.api(1);
    wait_for("it says so", PATIENCE, || async {
        let body = json!({"old": harness::PASSWORD, "new": "Another-1234"});
        let answer = api.ask(Method::POST, "/api/v1/password", Some(&body)).await.ok()?;
        let says = ["primary cannot be reached", "reset a password", "contact", "mobile device"];
        (answer.status == 403 && says.iter().all(|words| answer.text.contains(words))).then_some(())
    })
    .await;
    balancer_is_told(&fleet, 1, 200, "Secondary Active").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_starts_alone_opens_with_a_warning() {
    let mut fleet = fleet().await;
    for server in 0..3 {
        fleet.servers[server].kill();
    }
    let begun = Instant::now();
    fleet.servers[0].start();
    let (status, text) = try_group(&fleet, 0, "Too early").await;
    // On a machine this busy the first question may come after the wait.
    if begun.elapsed().as_secs() < 2 {
        assert_eq!(status, 403, "{text}");
        assert!(text.contains("waits up to 3 s"), "{text}");
    }
    writable(&fleet, 0, "Alone").await;
    sync_log_says(&fleet, 0, "without having heard any secondary").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_a_data_folder_in_use_is_refused_whatever_its_ports_and_the_first_goes_on() {
    let mut fleet = Fleet::start(FleetOptions { servers: 1, drivers: Vec::new(), ..FleetOptions::patient() }).await;
    let data = fleet.folder().join("pa-1/data");
    let addresses = Addresses::claim();
    let address = format!("{}.1", addresses.prefix());
    let config = format!(
        "name = \"second\"\ndata = \"{}\"\n\
         [listen]\nmesh = \"{address}:7400\"\nhttp = \"{address}:8080\"\nhttps = \"{address}:8443\"\n",
        data.display()
    );
    let second = Server::new("second", &fleet.folder().join("second"), &address, &config, &[]);
    let (status, out, said) = second.verdict(&["run"], &[]);
    assert!(
        status == Some(1) && said.contains("another OneAlert process works in this folder"),
        "{status:?} {out}{said}"
    );
    writable(&fleet, 0, "Still").await;
    // What died has nothing in its hands.
    fleet.servers[0].kill();
    fleet.servers[0].start();
    writable(&fleet, 0, "Again").await;
}
