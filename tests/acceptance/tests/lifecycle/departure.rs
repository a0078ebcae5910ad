//! A server is removed for good, whether it hears of it at once or later, and joins again.

use harness::{FleetOptions, wait_for};
use http_client::Method;
use serde_json::json;

use crate::{site::Site, world::*};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_there_is_told_at_once_falls_silent_gives_up_what_it_holds_and_can_join_again() {
    let site = Site::start().await;
    let api = site.fleet.api(0);
    let gone = id_of(&api, "pa-3").await;
    // It sends something first, so that it has a history of its own.
    let order = [gone.clone(), id_of(&api, "pa-1").await, id_of(&api, "pa-2").await];
    api.put("/api/v1/groups/DEFAULT", json!({"name": "DEFAULT", "servers": order})).await;
    api.post("/api/v1/groups", json!({"id": "alone", "name": "Alone", "servers": [gone]})).await;
    site.fleet.in_step().await;
    let activation = site.send_by(0, "pa-3").await;
    // Where the primary has no record of it yet, that goes with the server, and another one sends it again.
    site.sent_on(0, &activation, |row| row["server_name"] == "pa-3").await;

    let path = format!("/api/v1/servers/{gone}/deprovision");
    let refused = api.ask(Method::POST, &path, Some(&json!({"confirm": "pa-2"}))).await.expect("an answer");
    assert_eq!(refused.status, 422, "{}", refused.text);
    in_step_with_primary(&site.fleet, "pa-3").await;
    let done = api.post(&path, json!({"confirm": "pa-3"})).await;
    assert_eq!(done["told"], true, "{done}");
    assert!(done.to_string().contains("Alone would be empty"), "{done}");

    balancer_is_told(&site.fleet, 2, 503, "Secondary Deprovisioned").await;
    // It starts anew meanwhile.
    let shut = wait_for("an answer", PATIENCE, || async {
        site.fleet.api(2).ask(Method::POST, "/api/v1/notifications/page/send", None).await.ok()
    })
    .await;
    assert_eq!(shut.status, 503, "{}", shut.text);
    assert!(shut.text.contains("onealert join"), "{}", shut.text);
    // It starts anew without what it held; nothing that was configured is left in its folder.
    let folder = site.fleet.folder().join("pa-3/data");
    wait_for("it gives up what it holds", PATIENCE, || async {
        let store = look_into(&folder.join("config.db")).ok()?;
        let rows: i64 = store.query_row("SELECT COUNT(*) FROM row_users", [], |row| row.get(0)).ok()?;
        (rows == 0).then_some(())
    })
    .await;
    balancer_is_told(&site.fleet, 2, 503, "Secondary Deprovisioned").await;
    // Primary and secondary both told it; it was away from the balancer once for all that.
    assert_eq!(site.fleet.servers[2].log().matches("starting anew: ").count(), 1);

    // The others go on without it; its history keeps its name.
    let next = site.send(1).await;
    site.sent_on(0, &next, |row| row["server_name"] != "pa-3").await;
    site.sent_on(0, &activation, |row| row["server_name"] == "pa-3").await;
    let groups = api.get("/api/v1/groups").await.to_string();
    assert!(!groups.contains(&gone) && !groups.contains("Alone"), "{groups}");

    let mut site = site;
    site.fleet.servers[2].kill();
    site.fleet.servers[2].start();
    balancer_is_told(&site.fleet, 2, 503, "Secondary Deprovisioned").await;

    let joined = site.fleet.join(2, 0).expect("fresh credentials let it in again");
    assert!(joined.contains("starts anew"), "{joined}");
    balancer_is_told(&site.fleet, 2, 200, "Secondary Standby").await;
    has_group(&site.fleet, 2, "DEFAULT").await;
    assert_ne!(id_of(&api, "pa-3").await, gone, "it is another server from here on");
    site.sent_on(0, &activation, |row| row["server_name"] == "pa-3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_learns_of_it_when_it_comes_back() {
    let mut fleet = fleet().await;
    fleet.servers[2].kill();
    wait_for("it is seen to be away", PATIENCE, || async {
        let status = fleet.api(0).try_get("/api/v1/status").await?;
        let row = status["servers"].as_array()?.iter().find(|row| row["name"] == "pa-3")?.clone();
        (row["state"] != "ok").then_some(())
    })
    .await;
    let unmeant = command(&fleet, 0, &["deprovision", "pa-3"]).expect_err("it is final and wants to be meant");
    assert!(unmeant.contains("final"), "{unmeant}");
    let done = command(&fleet, 0, &["deprovision", "pa-3", "--yes"]).expect("it is removed");
    assert!(done.contains("next contact"), "{done}");
    fleet.servers[2].start();
    balancer_is_told(&fleet, 2, 503, "Secondary Deprovisioned").await;
    // Also when the primary is away and only another secondary can say so.
    let again = command(&fleet, 0, &["deprovision", "pa-3", "--yes"]).expect_err("once is enough");
    assert!(again.contains("already"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_licence_used_up_a_server_is_refused_and_joins_after_it_was_raised() {
    let mut fleet = fleet().await;
    fleet.api(0).put("/api/v1/licence", json!({"secondaries": 2})).await;
    let fourth = fleet.add();
    let refused = fleet.join(fourth, 0).expect_err("two are in");
    assert!(refused.contains("the licence allows 2 secondaries and all are enrolled"), "{refused}");
    let raised = command(&fleet, 0, &["licence", "--secondaries", "3"]).expect("the primary takes it");
    assert!(raised.contains("allows 3"), "{raised}");
    fleet.join(fourth, 0).expect("there is room");
    fleet.servers[fourth].start();
    fleet.in_step().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_join_at_one_moment_do_not_share_the_last_place() {
    let mut fleet = harness::Fleet::start(FleetOptions {
        drivers: Vec::new(),
        servers: 1,
        sections: "[licence]\nsecondaries = 1",
        ..FleetOptions::patient()
    })
    .await;
    let (one, two) = (fleet.add(), fleet.add());
    let both = std::thread::scope(|scope| {
        let fleet = &fleet;
        let tries = [one, two].map(|server| scope.spawn(move || fleet.join(server, 0)));
        tries.map(|it| it.join().expect("no panic"))
    });
    assert_eq!(both.iter().filter(|joined| joined.is_ok()).count(), 1, "{both:?}");
    assert_eq!(fleet.api(0).get("/api/v1/licence").await["enrolled"], 1);
}
