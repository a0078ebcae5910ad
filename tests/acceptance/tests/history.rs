//! What was sent is not kept for ever: the oldest goes, on the secondary that sent it and on the primary that gathered it, and
//! what is sent after that is gathered as before.

use std::time::Duration;

use harness::{Api, Fleet, FleetOptions, wait_for};
use http_client::Method;
use serde_json::{Value, json};

const DRIVER: &str = "org.onealert.skeleton";
const PATIENCE: Duration = Duration::from_secs(60);
/// How many fit into the mebibyte that these servers keep, at most.
const FIT: usize = 26;
/// The longest text that a notification may have; a quotation mark takes four bytes in a record.
const TEXT: usize = 10_000;

/// A server's Sent Notifications, the newest first.
async fn rows(api: &Api) -> Option<Vec<Value>> {
    api.try_get("/api/v1/sent?limit=100").await?["rows"].as_array().cloned()
}

/// The activations in a server's Sent Notifications, the newest first.
async fn sent(api: &Api) -> Option<Vec<String>> {
    let rows = rows(api).await?;
    Some(rows.iter().filter_map(|row| row["activation"].as_str().map(str::to_owned)).collect())
}

/// Has the secondary send so many, and gives the activations. What the primary has sent in its place, because it stood still for
/// a moment, does not count.
async fn send(secondary: &Api, primary: &Api, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..count {
        let activation = wait_for("the secondary sends", PATIENCE, || async {
            let answer = secondary.post("/api/v1/notifications/page/send", json!({})).await;
            let activation = answer["activations"][0].as_str()?.to_owned();
            let row = wait_for("the primary has it", PATIENCE, || async {
                rows(primary).await?.into_iter().find(|row| row["activation"] == activation.as_str())
            })
            .await;
            if row["server_name"] != "pa-2" {
                println!("sent by another: {row}");
                return None;
            }
            Some(activation)
        });
        all.push(activation.await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_of_what_was_sent_goes_on_the_secondary_and_on_the_primary_and_what_follows_is_gathered() {
    let (drivers, sections) = (vec!["plugin-skeleton"], "[history]\nkeep_mb = 1\n[replication]\nscrub_s = 1");
    let fleet = Fleet::start(FleetOptions { servers: 2, drivers, sections, ..FleetOptions::patient() }).await;
    let (primary, secondary) = (fleet.api(0), fleet.api(1));
    primary.enable(DRIVER, json!({})).await;
    // The secondary comes first, so that it sends.
    let servers = primary.get("/api/v1/servers").await;
    let id = |name: &str| {
        let found = servers.as_array().and_then(|all| all.iter().find(|server| server["name"] == name).cloned());
        found.map_or(Value::Null, |server| server["id"].clone())
    };
    let order = json!({"id": "DEFAULT", "name": "DEFAULT", "servers": [id("pa-2"), id("pa-1")]});
    primary.put("/api/v1/groups/DEFAULT", order).await;
    let endpoint = json!({"id": "hall", "name": "Hall", "driver": DRIVER, "address": {"file": "hall.txt"}});
    primary.post("/api/v1/endpoints", endpoint).await;
    let message = json!({"title": "Page", "body": "\"".repeat(TEXT), "hold_seconds": 0});
    let page = json!({"id": "page", "name": "Page", "endpoints": ["hall"], "message": message});
    primary.post("/api/v1/notifications", page).await;
    wait_for("the secondary has it", PATIENCE, || async {
        let answer = secondary.ask(Method::GET, "/api/v1/notifications/page", None).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    secondary.knows_endpoints(1).await;
    fleet.in_step().await;

    let first = send(&secondary, &primary, 1).await.remove(0);
    let many = send(&secondary, &primary, FIT + 4).await;
    for (name, api) in [("secondary", &secondary), ("primary", &primary)] {
        let left = wait_for(&format!("the oldest are gone from the {name}"), PATIENCE, || async {
            let left = sent(api).await?;
            (!left.contains(&first) && left.len() <= FIT && left.contains(many.last()?)).then_some(left)
        })
        .await;
        let left: Vec<String> = left.into_iter().filter(|activation| many.contains(activation)).collect();
        assert!(left.len() >= FIT / 2, "no more than must goes: {}", left.len());
        let newest: Vec<&String> = many.iter().rev().take(left.len()).collect();
        assert_eq!(left.iter().collect::<Vec<_>>(), newest, "the newest are left on the {name}");
    }
    // The log of the secondary begins with a gap by this time, and goes on behind it.
    send(&secondary, &primary, 1).await;
    wait_for("the primary says so", PATIENCE, || async {
        let said = primary.ask(Method::GET, "/api/v1/logs/sync", None).await.ok()?.text;
        said.contains("records of what was sent were let go").then_some(())
    })
    .await;
}
