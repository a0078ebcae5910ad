//! Servers of different versions, as real processes: what stops, what goes on, what is said, and what heals by itself.

mod drivers;
mod installer;
mod refused;
mod site;

use std::time::Duration;

use harness::wait_for;
use serde_json::json;
use site::Site;

const LATER: &str = "0.2.0";
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_upgraded_too_early_stands_still_says_so_takes_over_and_resumes_by_itself() {
    let mut site = Site::start().await;
    assert_eq!(site.check(&["--wait", "60"]).status, 0);

    // The wrong order: the secondary first.
    site.restart(1, Some(LATER));
    let (state, text) = site.sync_of(1, |state, _| state == "bad").await;
    assert!(text.contains(site::BUILT) && text.contains(LATER), "both sides are named: {text}");
    assert!(text.contains("upgrade the older one"), "and what to do: {text}");
    assert_eq!(state, "bad");
    // What is configured on the primary does not arrive, and the primary shows why.
    let later = json!({"id": "later", "name": "Later", "endpoints": [], "message": {"title": "Later"}});
    site.fleet.api(0).post("/api/v1/notifications", later).await;
    site.shown(0, 1, |server| {
        server["state"] == "bad" && server["differences"].to_string().contains("0.1.0 here, 0.2.0 there")
    })
    .await;
    let check = site.check(&["--json"]);
    assert_eq!((check.status, &check.json["verdict"]), (1, &json!("differs")), "{}", check.text);
    assert_eq!(site.names(1).await, ["page"], "the copy stands still");

    // Takeover works across the two versions, in both directions: handing over, and taking over.
    let before = site.send_by(1, 0).await;
    site.fleet.servers[0].kill();
    let after = site.send_by(1, 1).await;

    // The primary follows; nobody touches the secondary.
    let pid = site.fleet.servers[1].pid();
    site.start_as(0, Some(LATER));
    site.sync_of(1, |state, _| state == "ok").await;
    wait_for("the secondary has what it missed", PATIENCE, || async {
        (site.names(1).await == ["later", "page"]).then_some(())
    })
    .await;
    assert_eq!(site.fleet.servers[1].pid(), pid, "no restart was needed");
    assert_eq!(site.check(&["--wait", "60"]).status, 0);
    wait_for("the primary has both records, the secondary's too", PATIENCE, || async {
        let records = site.fleet.api(0).try_get("/api/v1/sent").await?;
        let rows = records["rows"].as_array()?;
        let has = |activation: &String| rows.iter().any(|row| row["activation"] == activation.as_str());
        (has(&before) && has(&after)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgraded_in_order_the_plan_leads_from_server_to_server() {
    let mut site = Site::start().await;
    for expected in ["pa-1", "pa-2"] {
        // A server that is not in step yet is waited for before another one is named.
        let plan = wait_for("the plan names the next server", PATIENCE, || async {
            let plan = site.installer(&["upgrade-plan", "--to", LATER, "--all", "--json"], &[0]);
            plan.json["next"].is_string().then_some(plan)
        })
        .await;
        assert_eq!((plan.status, &plan.json["next"]), (1, &json!(expected)), "{}", plan.text);
        let server = site.fleet.servers.iter().position(|server| server.name == expected).expect("known");
        // The other one sends while this one is away.
        assert!(site.fleet.servers[server].stop(), "it drains and ends well");
        site.send_by(1 - server, 1 - server).await;
        site.start_as(server, Some(LATER));
    }
    assert_eq!(site.check(&["--wait", "60"]).status, 0);
    let plan = site.installer(&["upgrade-plan", "--to", LATER, "--all"], &[0]);
    assert_eq!(plan.status, 0, "{}", plan.text);
    assert!(plan.text.contains("nothing is left to upgrade"), "{}", plan.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mesh_works_across_two_adjacent_protocols_and_says_so_beyond() {
    let mut site = Site::start().await;
    site.fleet.servers[1].set_environment("ONEALERT_PRETEND_PROTOCOL", Some("2"));
    site.restart(1, Some(LATER));
    site.shown(0, 1, |server| !server["heard_ms_ago"].is_null() && server["versions"]["protocol"] == "2").await;
    site.send_by(1, 0).await;

    site.fleet.servers[1].set_environment("ONEALERT_PRETEND_PROTOCOL", Some("3"));
    site.restart(1, Some(LATER));
    site.shown(0, 1, |server| server["text"].as_str().is_some_and(|text| text.starts_with("Down"))).await;
    let check = site.check(&["--json"]);
    assert_eq!((check.status, &check.json["verdict"]), (6, &json!("apart")), "{}", check.text);
    // Both have lost each other, and both still send what they are asked to.
    for server in 0..2 {
        site.send_by(server, server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronisation_protocol_one_apart_is_named_on_both_servers_and_goes_on_once_it_matches() {
    let mut site = Site::start().await;
    site.fleet.servers[1].set_environment("ONEALERT_PRETEND_SYNC_PROTOCOL", Some("2"));
    site.restart(1, None);
    let (_, text) = site.sync_of(1, |state, text| state == "bad" && text.contains("sync protocol")).await;
    assert!(text.contains("1 there, 2 here") && text.contains("run the same product version on both"), "{text}");
    wait_for("the primary's log names both", PATIENCE, || async {
        let lines = site.fleet.api(0).try_get("/api/v1/logs/sync?limit=500").await?.to_string();
        (lines.contains("pa-2 gets no configuration") && lines.contains("this server has 1, the other has 2"))
            .then_some(())
    })
    .await;
    wait_for("the primary shows that it is not synchronised", PATIENCE, || async {
        let rows = site.fleet.api(0).try_get("/api/v1/servers").await?;
        rows.to_string().contains("not synchronised: sync protocol").then_some(())
    })
    .await;
    // Takeover does not ask for it.
    site.send_by(1, 0).await;
    site.fleet.servers[1].set_environment("ONEALERT_PRETEND_SYNC_PROTOCOL", None);
    site.restart(1, None);
    site.sync_of(1, |state, _| state == "ok").await;
}
