//! A server that the licence leaves out delivers nothing from the moment that it is told, and the next takes its place.

use std::time::Duration;

use harness::{Fleet, FleetOptions, PASSWORD, wait_for};
use http_client::Method;
use serde_json::json;

use crate::{
    alerts::{faketime, set_clock},
    id_of,
    site::{DRIVER, ENDPOINTS, Site},
};

async fn says(site: &Site, server: usize, status: u16, words: &str) {
    let address = format!("{}:8080", site.fleet.servers[server].address);
    wait_for(&format!("the balancer is told {status} {words}"), Duration::from_secs(60), || async {
        let (found, line) = crate::site::ask_status(&address).ok()?;
        (found == status && line.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_that_it_is_not_licensed_sends_nothing_and_the_next_sends_in_its_place() {
    let mut site = Site::start().await;
    let mut order = Vec::new();
    for name in ["pa-3", "pa-1", "pa-2"] {
        order.push(id_of(&site, name).await);
    }
    site.fleet.api(0).put("/api/v1/groups/DEFAULT", json!({"name": "DEFAULT", "servers": order})).await;
    site.fleet.in_step().await;
    site.send_by(1, "pa-3").await;

    // The last one that joined is left out.
    let licence = ["licence", "--secondaries", "1"];
    site.fleet.servers[0].command(&licence, &[("ONEALERT_PASSWORD", PASSWORD)]).expect("the primary takes it");
    says(&site, 2, 503, "Not Licensed").await;
    let without = site.send_by(1, "pa-1").await;
    assert_eq!(site.deliveries(&without), [ENDPOINTS, 0, 0]);
    for again in [false, true] {
        if again {
            site.fleet.servers[2].kill();
            site.fleet.servers[2].start();
            says(&site, 2, 503, "Not Licensed").await;
        }
        let refused = site.fleet.api(2).ask(Method::POST, "/api/v1/notifications/page/send", Some(&json!({}))).await;
        let refused = refused.expect("it answers");
        assert!(refused.status >= 400 && refused.text.contains("licence"), "{} {}", refused.status, refused.text);
    }
    assert_eq!(site.deliveries(&without), [ENDPOINTS, 0, 0], "nothing more");

    // Raised again, it goes on by itself.
    let licence = ["licence", "--secondaries", "2"];
    site.fleet.servers[0].command(&licence, &[("ONEALERT_PASSWORD", PASSWORD)]).expect("the primary takes it");
    says(&site, 2, 200, "Secondary").await;
    site.send_by(1, "pa-3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_without_its_primary_a_secondary_says_that_its_licence_is_not_proven_and_goes_on_sending() {
    let Some(library) = faketime() else {
        println!("SKIPPED a_month_without_its_primary_a_secondary_says_that_its_licence_is_not_proven: needs faketime");
        return;
    };
    let (drivers, sections) = (vec!["plugin-skeleton"], "[replication]\nscrub_s = 1");
    let mut fleet = Fleet::start(FleetOptions { servers: 2, drivers, sections, ..FleetOptions::patient() }).await;
    let api = fleet.api(0);
    api.enable(DRIVER, json!({})).await;
    let endpoint = json!({"id": "file", "name": "File", "driver": DRIVER, "address": {"file": "1.txt"}});
    api.post("/api/v1/endpoints", endpoint).await;
    let message = json!({"title": "Page", "hold_seconds": 1});
    api.post("/api/v1/notifications", json!({"id": "page", "name": "Page", "endpoints": ["file"], "message": message}))
        .await;
    fleet.in_step().await;
    fleet.api(1).knows_endpoints(1).await;
    let unproven = |text: &str| text.contains("the licence of this server is not proven any more");
    assert!(!unproven(&fleet.api(1).get("/api/v1/status").await.to_string()));

    fleet.servers[0].kill();
    assert!(fleet.servers[1].stop());
    set_clock(&mut fleet.servers[1], &library, "+31d");
    fleet.servers[1].start();
    let api = fleet.api(1);
    wait_for("it says so", Duration::from_secs(60), || async {
        let status = api.ask(Method::GET, "/api/v1/status", None).await.ok()?;
        unproven(&status.text).then_some(())
    })
    .await;
    let answer = api.post("/api/v1/notifications/page/send", json!({})).await;
    let activation = answer["activations"][0].as_str().unwrap_or_else(|| panic!("no activation in {answer}"));
    wait_for("it goes on sending", Duration::from_secs(60), || async {
        let sent = api.ask(Method::GET, "/api/v1/sent", None).await.ok()?.json;
        let row = sent["rows"].as_array()?.iter().find(|row| row["activation"] == activation)?.clone();
        (row["outcome"] == "success").then_some(())
    })
    .await;
}
