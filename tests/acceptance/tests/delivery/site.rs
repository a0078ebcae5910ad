//! The site on which the stories play: three servers and five strobes, each of which counts how often it was started.

use std::time::Duration;

use devices::{AlgoConfig, AlgoSim};
use harness::{Fleet, FleetOptions, in_time, wait_for};
use serde_json::{Value, json};

/// How many strobes there are. The last one is the slow one.
pub const STROBES: usize = 5;
/// How long anything may take; nothing here takes as long on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const ALGO: &str = "com.algosolutions.ip";
/// How often what a busy machine may disturb is tried; what goes wrong every time is a fault.
const TRIES: usize = 5;
const START: &str = "/api/controls/strobe/start";

pub struct Site {
    pub fleet: Fleet,
    strobes: Vec<AlgoSim>,
    /// How often each strobe had been started before the activation that is counted from.
    before: Vec<usize>,
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
        Site { fleet, strobes, before: vec![0; STROBES] }
    }

    /// Sends through one server; gives the activation, and whether it was accepted with one copy only.
    pub async fn send(&self, server: usize) -> (String, bool) {
        let (activation, answer) = self.ask_to_send(server).await;
        (activation, answer["degraded"] == true)
    }

    async fn ask_to_send(&self, server: usize) -> (String, Value) {
        let answer = self.fleet.api(server).post("/api/v1/notifications/alarm/send", json!({})).await;
        let activation = answer["activations"][0].as_str().unwrap_or_else(|| panic!("no activation in {answer}"));
        (activation.to_owned(), answer)
    }

    /// The slow strobe takes requests and answers none, or is well again.
    pub fn slow_stalls(&self, stalls: bool) {
        self.strobes[STROBES - 1].set_faults(|faults| faults.stall = stalls);
    }

    /// How often each strobe was started since the activation that is counted from.
    pub fn counts(&self) -> Vec<usize> {
        self.started().iter().zip(&self.before).map(|(all, before)| all - before).collect()
    }

    fn started(&self) -> Vec<usize> {
        self.strobes.iter().map(|strobe| strobe.done(START).len()).collect()
    }

    /// Waits until every strobe was started at least so often.
    pub async fn everybody_has_it(&self, times: usize) {
        wait_for("every strobe is started", PATIENCE, || async {
            self.counts().iter().all(|count| *count >= times).then_some(())
        })
        .await;
    }

    /// Waits until a server shows the activation as running, so; gives the row. If it never does, somebody that stood still for long
    /// may have been replaced meanwhile.
    pub async fn runs_on(
        &self,
        server: usize,
        activation: &str,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let api = self.fleet.api(server);
        in_time(what, PATIENCE, || async {
            let rows = api.try_get("/api/v1/running").await?;
            rows.as_array()?.iter().find(|row| row["activation"] == activation && fits(row)).cloned()
        })
        .await
    }

    /// Waits until a server shows another one as not well.
    pub async fn believed_down(&self, server: usize, name: &str) {
        let api = self.fleet.api(server);
        wait_for("the silence is noticed", PATIENCE, || async {
            let status = api.try_get("/api/v1/status").await?;
            let rows = status["servers"].as_array()?.clone();
            rows.iter().any(|row| row["name"] == name && row["state"] != "ok").then_some(())
        })
        .await;
    }

    /// Sends through a server until that owns it and a second one has it; gives the activation, from which on is counted. On a
    /// busy machine a confirmation may miss its time, and then another one owns it, or it is accepted with one copy only.
    pub async fn send_confirmed(&mut self, server: usize) -> String {
        for _ in 0..TRIES {
            self.before = self.started();
            let (activation, answer) = self.ask_to_send(server).await;
            if answer["degraded"] != true && answer["owner"] == self.fleet.servers[server].name.as_str() {
                return activation;
            }
            println!("not confirmed: {answer}");
            self.take_back(server, &activation).await;
        }
        panic!("{} is never the owner with a second copy", self.fleet.servers[server].name);
    }

    /// In the middle of delivery by the first server: another one knows that all but the slow strobe, which stalls from here on,
    /// have it, each once. Gives the activation, from which on is counted.
    pub async fn in_the_middle(&mut self, known_to: usize) -> String {
        let fast = STROBES as u64 - 1;
        for _ in 0..TRIES {
            self.slow_stalls(true);
            let activation = self.send_confirmed(0).await;
            let what = "the other server knows who was reached";
            let row = self.runs_on(known_to, &activation, what, |row| row["reached"] == fast).await;
            if row.as_ref().is_ok_and(|row| row["server"] == "pa-1") && self.counts()[..STROBES - 1] == [1; STROBES - 1]
            {
                return activation;
            }
            println!("not undisturbed: {:?}, {row:?}", self.counts());
            self.slow_stalls(false);
            self.take_back(0, &activation).await;
        }
        panic!("the first server never gets as far as the middle by itself");
    }

    /// Stops it, whoever sends it, and waits until a server knows that it has ended.
    async fn take_back(&self, server: usize, activation: &str) {
        let api = self.fleet.api(server);
        api.stop(activation).await;
        wait_for("it runs no more", PATIENCE, || async {
            let rows = api.try_get("/api/v1/running").await?;
            rows.as_array()?.iter().all(|row| row["activation"] != activation).then_some(())
        })
        .await;
    }

    /// Stops it, and waits until its record is on a server.
    pub async fn stop(&self, server: usize, activation: &str) -> Value {
        let api = self.fleet.api(server);
        api.stop(activation).await;
        wait_for("its record is in Sent Notifications", PATIENCE, || async {
            let page = api.try_get("/api/v1/sent").await?;
            page["rows"].as_array()?.iter().any(|row| row["activation"] == activation).then_some(())
        })
        .await;
        api.get(&format!("/api/v1/sent/{activation}")).await
    }
}
