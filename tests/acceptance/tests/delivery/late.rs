//! A device that is away when a page begins holds nobody up, and joins the page when it is back.

use devices::{AlgoConfig, AlgoSim};
use harness::{Fleet, FleetOptions, wait_for};
use serde_json::{Value, json};

use crate::site::{ALGO, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_speaker_that_is_away_when_a_page_begins_joins_it_when_it_is_back() {
    let fleet = Fleet::start(FleetOptions { servers: 1, drivers: vec!["plugin-algo"], ..FleetOptions::default() }).await;
    let api = fleet.api(0);
    api.enable(ALGO, json!({"deadline_ms": 10_000})).await;
    let mut speakers = Vec::new();
    for id in ["here", "away"] {
        let speaker = AlgoSim::start(AlgoConfig::light("8180")).await.expect("the simulated speaker starts");
        let scheme = if speaker.https_addr().is_some() { "https" } else { "http" };
        let address = json!({
            "host": "127.0.0.1", "port": speaker.addr().port(), "scheme": scheme, "password": "algo", "what": "zone", "zone": 3
        });
        if id == "away" {
            speaker.die();
        }
        api.post("/api/v1/endpoints", json!({"id": id, "name": id, "driver": ALGO, "address": address})).await;
        speakers.push(speaker);
    }
    wait_for("the driver knows the speaker that is there", PATIENCE, || async {
        let rows = api.get("/api/v1/endpoints").await;
        rows.as_array()?.iter().any(|row| row["row"]["id"] == "here" && row["state"] == "ok").then_some(())
    })
    .await;
    // Long enough for any machine: it is stopped when the story is over.
    let message = json!({"title": "Page", "audio": {"kind": "tone", "name": "chime"}, "repeats": 100, "hold_seconds": 600});
    let page = json!({"id": "page", "name": "Page", "endpoints": ["here", "away"], "message": message});
    api.post("/api/v1/notifications", page).await;
    let answer = api.post("/api/v1/notifications/page/send", json!({})).await;
    let activation = answer["activations"][0].as_str().unwrap_or_else(|| panic!("no activation in {answer}")).to_owned();
    let of = |detail: &Value, id: &str| detail["endpoints"].as_array()?.iter().find(|it| it["endpoint"] == id).cloned();
    let path = format!("/api/v1/sent/{activation}");
    let seen = wait_for("the page has begun", PATIENCE, || async {
        let detail = api.get(&path).await;
        (of(&detail, "here")?["state"] == "ok").then_some(detail)
    })
    .await;
    assert_ne!(of(&seen, "away").expect("it is meant")["state"], "ok", "{seen}");
    speakers[1].revive();
    let seen = wait_for("the other one joins", PATIENCE, || async {
        let detail = api.get(&path).await;
        (of(&detail, "away")?["state"] == "ok").then_some(detail)
    })
    .await;
    let after = |id| of(&seen, id).expect("it is meant")["after_ms"].as_u64().unwrap_or_else(|| panic!("{id} in {seen}"));
    assert!(after("away") > after("here"), "{seen}");
    api.post(&format!("/api/v1/running/{activation}/stop"), json!({})).await;
}
