//! Manual return: a server that came back owns nothing until an administrator lets it, said on any server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use harness::{Api, wait_for};
use http_client::Method;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::{id_of, site::Site, until_said};

/// How long a server has to run before it judges who comes back, with room for its start.
const SETTLED_MS: i64 = 12_000;

/// An administrator who lets everybody return at once, but for the server of the story while that is meant to wait. A server that
/// stands still for long on a busy machine is held as well when it wakes, rightly and for ever.
pub struct Attendant {
    leaves_the_first: Arc<AtomicBool>,
    task: AbortHandle,
}

impl Attendant {
    fn of(site: &Site) -> Attendant {
        let leaves_the_first = Arc::new(AtomicBool::new(false));
        let apis: Vec<Api> = (0..3).map(|server| site.fleet.api(server)).collect();
        let task = tokio::spawn(attend(apis, leaves_the_first.clone())).abort_handle();
        Attendant { leaves_the_first, task }
    }

    /// From here on the first server is somebody else's to let return, or no more.
    pub fn leave_the_first(&self, leave: bool) {
        self.leaves_the_first.store(leave, Ordering::Release);
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn attend(apis: Vec<Api>, leaves_the_first: Arc<AtomicBool>) {
    loop {
        for api in &apis {
            let redundancy = api.try_get("/api/v1/redundancy").await.unwrap_or_default();
            let rows = redundancy["servers"].as_array().into_iter().flatten();
            for held in rows.filter(|row| row["held"] == true) {
                if held["name"] == "pa-1" && leaves_the_first.load(Ordering::Acquire) {
                    continue;
                }
                println!("let return: {held}");
                let path = format!("/api/v1/redundancy/return/{}", held["id"].as_str().unwrap_or_default());
                let _ = api.ask(Method::POST, &path, Some(&json!({}))).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A site with manual return whose first server was away, while the second one sent, and is back.
pub async fn site_with_one_that_came_back() -> (Site, Attendant) {
    let mut site = Site::start().await;
    site.fleet.api(0).put("/api/v1/redundancy", json!({"manual_return": true})).await;
    let attendant = Attendant::of(&site);
    site.fleet.in_step().await;
    for at in [1, 2] {
        settled(&site, at).await;
    }
    attendant.leave_the_first(true);
    site.fleet.servers[0].kill();
    site.send_by(1, "pa-2").await;
    needs_attention(&site, 1, "pa-1: Down").await;
    site.fleet.servers[0].start();
    (site, attendant)
}

/// Waits until a server has run for long enough to judge who comes back.
async fn settled(site: &Site, at: usize) {
    let api = site.fleet.api(at);
    wait_for("it has run for long enough to judge", Duration::from_secs(60), || async {
        let status = api.try_get("/api/v1/status").await?;
        let this = status["servers"].as_array()?.iter().find(|row| row["this"] == true)?.clone();
        (status["at"].as_i64()? - this["started"].as_i64()? > SETTLED_MS).then_some(())
    })
    .await;
}

/// Waits until a server's System Status has an entry that begins so; it says since when.
async fn needs_attention(site: &Site, at: usize, begins: &str) {
    let api = site.fleet.api(at);
    let entry = wait_for("it needs attention", Duration::from_secs(60), || async {
        let status = api.ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
        let of = |entry: &&Value| entry["what"].as_str().is_some_and(|what| what.starts_with(begins));
        let entry = status["attention"].as_array()?.iter().find(of)?;
        Some((entry["since"].as_i64(), status["at"].as_i64()))
    });
    let (Some(since), Some(at)) = entry.await else { panic!("it does not say since when") };
    assert!(at - since < 60_000, "since {since}, seen {at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_manual_return_a_server_that_came_back_sends_only_after_an_administrator_let_it() {
    let (site, attendant) = site_with_one_that_came_back().await;
    for at in 0..3 {
        let held = until_said(&site, at, "pa-1", |server| {
            server["held"] == true && server["waits_for"] == json!(["operator"])
        });
        let held = held.await;
        let text = held["text"].as_str().unwrap_or_default();
        assert!(text.starts_with("Back since ") && text.contains("an administrator has to let it return"), "{held}");
    }
    // The first server waits.
    site.send_by(2, "pa-2").await;

    // Said at a server that is neither the held one nor the primary.
    let first = id_of(&site, "pa-1").await;
    site.fleet.api(2).post(&format!("/api/v1/redundancy/return/{first}"), json!({})).await;
    attendant.leave_the_first(false);
    for at in 0..3 {
        until_said(&site, at, "pa-1", |server| server["held"] == false && server["state"] == "ok").await;
    }
    site.send_by(2, "pa-1").await;
}
