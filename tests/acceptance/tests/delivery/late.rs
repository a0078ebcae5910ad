//! A speaker that is away when a page begins holds nobody up, and joins the page when it is back.

use std::net::{Ipv4Addr, SocketAddrV4};

use devices::{AlgoConfig, AlgoSim};
use harness::{Fleet, FleetOptions, wait_for};
use serde_json::{Value, json};

use crate::site::{ALGO, PATIENCE};

/// Each speaker listens on a port of its own: what one of them hears was sent to it.
async fn speaker(group: Ipv4Addr, port: u16) -> AlgoSim {
    let mut config = AlgoConfig::new("8180");
    config.zones = [(1, SocketAddrV4::new(group, port))].into();
    AlgoSim::start(config).await.expect("the simulated speaker starts")
}

async fn hears(speaker: &AlgoSim) -> bool {
    speaker.wait_for_audio(PATIENCE, |heard| heard.get(&1).is_some_and(|zone| zone.ms > 0)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_speaker_that_is_away_when_a_page_begins_joins_it_when_it_is_back() {
    let options = FleetOptions { servers: 1, drivers: vec!["plugin-algo"], ..FleetOptions::patient() };
    let fleet = Fleet::start(options).await;
    let api = fleet.api(0);
    api.enable(ALGO, json!({"deadline_ms": 10_000})).await;
    let process = std::process::id();
    let group = Ipv4Addr::new(239, 79, (process >> 8) as u8, process as u8);
    let (here, away) = (speaker(group, 50002).await, speaker(group, 50004).await);
    away.die();
    for (id, speaker) in [("here", &here), ("away", &away)] {
        let scheme = if speaker.https_addr().is_some() { "https" } else { "http" };
        let address = json!({
            "host": "127.0.0.1", "port": speaker.addr().port(), "scheme": scheme, "password": "algo",
            "what": "zone", "zone": 1
        });
        api.post("/api/v1/endpoints", json!({"id": id, "name": id, "driver": ALGO, "address": address})).await;
    }
    wait_for("the driver knows the speaker that is there", PATIENCE, || async {
        let rows = api.try_get("/api/v1/endpoints").await?;
        rows.as_array()?.iter().any(|row| row["row"]["id"] == "here" && row["state"] == "ok").then_some(())
    })
    .await;
    // Longer than any machine needs: it is stopped when the story is over.
    let message = json!({"title": "Page", "audio": {"kind": "tone", "name": "chime"}, "repeats": 100});
    let page = json!({"id": "page", "name": "Page", "endpoints": ["here", "away"], "message": message});
    api.post("/api/v1/notifications", page).await;
    let answer = api.post("/api/v1/notifications/page/send", json!({})).await;
    let activation = answer["activations"][0].as_str().unwrap_or_else(|| panic!("no activation in {answer}"));
    assert!(hears(&here).await, "the one that is there does not wait for the one that is away");
    assert!(!away.heard().contains_key(&1) || away.heard()[&1].ms == 0, "nothing is sent to the one that is away");
    away.revive();
    assert!(hears(&away).await, "it joins what plays");
    let after = |sent: &Value, id: &str| {
        let row = sent["endpoints"].as_array()?.iter().find(|row| row["endpoint"] == id)?;
        row["after_ms"].as_u64()
    };
    let (first, second) = wait_for("both are told to have it, and when", PATIENCE, || async {
        let sent = api.try_get(&format!("/api/v1/sent/{activation}")).await?;
        after(&sent, "here").zip(after(&sent, "away"))
    })
    .await;
    assert!(second > first, "the one that was away had it after {second} ms, the other after {first} ms");
    api.stop(activation).await;
}
