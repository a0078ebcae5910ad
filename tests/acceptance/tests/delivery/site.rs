//! The site on which the stories play: three servers and five strobes, each of which counts how often it was started.

use std::time::Duration;

use devices::{AlgoConfig, AlgoSim};
use harness::{Fleet, FleetOptions, wait_for};
use serde_json::{Value, json};

/// How many strobes there are. The last one is the slow one.
pub const STROBES: usize = 5;
/// How long anything may take; nothing here takes as long on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const ALGO: &str = "com.algosolutions.ip";
const START: &str = "/api/controls/strobe/start";

pub struct Site {
    pub fleet: Fleet,
    strobes: Vec<AlgoSim>,
}

impl Site {
    pub async fn start(severable: bool) -> Site {
        let options = FleetOptions { drivers: vec!["plugin-algo"], severable, ..FleetOptions::patient() };
        let fleet = Fleet::start(options).await;
        let api = fleet.api(0);
        api.enable(ALGO, json!({"deadline_ms": 10_000})).await;
        let mut strobes = Vec::new();
        for number in 1..=STROBES {
            let strobe = AlgoSim::start(AlgoConfig::light("8128")).await.expect("the simulated strobe starts");
            let scheme = if strobe.https_addr().is_some() { "https" } else { "http" };
            let address = json!({
                "host": "127.0.0.1", "port": strobe.addr().port(), "scheme": scheme, "password": "algo", "what": "strobe"
            });
            let name = format!("Strobe {number}");
            let endpoint = json!({"id": format!("strobe-{number}"), "name": name, "driver": ALGO, "address": address});
            api.post("/api/v1/endpoints", endpoint).await;
            strobes.push(strobe);
        }
        let endpoints: Vec<String> = (1..=STROBES).map(|number| format!("strobe-{number}")).collect();
        // It stays for longer than any story lasts: it is in the middle of delivery until somebody stops it.
        let notification = json!({
            "id": "alarm", "name": "Alarm", "priority": "emergency", "endpoints": endpoints,
            "message": {"title": "Alarm", "body": "Leave the building", "hold_seconds": 600}
        });
        api.post("/api/v1/notifications", notification).await;
        fleet.in_step().await;
        for server in 0..fleet.servers.len() {
            fleet.api(server).knows_endpoints(STROBES).await;
        }
        Site { fleet, strobes }
    }

    /// Sends through one server; gives the activation, and whether it was accepted with one copy only.
    pub async fn send(&self, server: usize) -> (String, bool) {
        let answer = self.fleet.api(server).post("/api/v1/notifications/alarm/send", json!({})).await;
        let activation = answer["activations"][0].as_str().unwrap_or_else(|| panic!("no activation in {answer}"));
        (activation.to_owned(), answer["degraded"] == true)
    }

    /// The slow strobe takes requests and answers none, or is well again.
    pub fn slow_stalls(&self, stalls: bool) {
        self.strobes[STROBES - 1].set_faults(|faults| faults.stall = stalls);
    }

    /// How often each strobe was started.
    pub fn counts(&self) -> Vec<usize> {
        self.strobes.iter().map(|strobe| strobe.done(START).len()).collect()
    }

    /// Waits until every strobe was started at least so often.
    pub async fn everybody_has_it(&self, times: usize) {
        wait_for("every strobe is started", PATIENCE, || async {
            self.counts().iter().all(|count| *count >= times).then_some(())
        })
        .await;
    }

    /// Waits until a server shows the activation as running, so.
    pub async fn runs_on(&self, server: usize, activation: &str, what: &str, fits: impl Fn(&Value) -> bool) {
        let api = self.fleet.api(server);
        wait_for(what, PATIENCE, || async {
            let rows = api.get("/api/v1/running").await.as_array()?.clone();
            rows.iter().any(|row| row["activation"] == activation && fits(row)).then_some(())
        })
        .await;
    }

    /// Waits until a server shows another one as not well.
    pub async fn believed_down(&self, server: usize, name: &str) {
        let api = self.fleet.api(server);
        wait_for("the silence is noticed", PATIENCE, || async {
            let status = api.get("/api/v1/status").await;
            let rows = status["servers"].as_array()?.clone();
            rows.iter().any(|row| row["name"] == name && row["state"] != "ok").then_some(())
        })
        .await;
    }

    /// In the middle of delivery: another server knows that all but the slow strobe have it.
    pub async fn in_the_middle(&self, server: usize, activation: &str) {
        let fast = STROBES as u64 - 1;
        self.runs_on(server, activation, "the other server knows who was reached", |row| row["reached"] == fast).await;
    }

    /// Stops it, and waits until its record is on a server.
    pub async fn stop(&self, server: usize, activation: &str) -> Value {
        let api = self.fleet.api(server);
        api.post(&format!("/api/v1/running/{activation}/stop"), json!({})).await;
        wait_for("its record is in Sent Notifications", PATIENCE, || async {
            let page = api.get("/api/v1/sent").await;
            page["rows"].as_array()?.iter().any(|row| row["activation"] == activation).then_some(())
        })
        .await;
        api.get(&format!("/api/v1/sent/{activation}")).await
    }
}
