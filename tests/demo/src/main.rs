//! `cargo demo`: three servers, a simulated speaker and a simulated strobe, a tornado warning, and a server that dies.
//!
//! With `--once` it ends when all of that has happened, with exit status 0 only then. Otherwise the site stays up for the
//! browser until Ctrl-C.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    process::ExitCode,
    time::{Duration, Instant},
};

use devices::{AlgoConfig, AlgoSim, algo::Logged};
use harness::{ADMIN, Fleet, FleetOptions, PASSWORD, wait_for};
use serde_json::{Value, json};

const ALGO: &str = "com.algosolutions.ip";
/// What tells a strobe to flash; servers that stand by only look at its status.
const STROBE_START: &str = "/api/controls/strobe/start";
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let once = match arguments.as_slice() {
        [] => false,
        [flag] if flag == "--once" => true,
        other => {
            eprintln!(
                "demo: {other:?} is not understood; cargo demo stays up for the browser, cargo demo --once ends by itself"
            );
            return ExitCode::FAILURE;
        }
    };
    println!("building the server and its drivers (the first time takes some minutes) ...");
    let mut site = Site::start().await;
    site.introduce();
    site.warn("1. A tornado warning, all servers up", 1, 0).await;
    site.kill_and_warn().await;
    site.return_of_the_primary().await;
    println!("\nAll of it happened.");
    if !once {
        println!("The site stays up for your browser. Ctrl-C ends it.");
        let _ = tokio::signal::ctrl_c().await;
    }
    ExitCode::SUCCESS
}

struct Site {
    fleet: Fleet,
    speaker: AlgoSim,
    strobe: AlgoSim,
}

impl Site {
    /// Three servers and two devices, set up through the API as an administrator would through the pages.
    async fn start() -> Site {
        let fleet =
            Fleet::start(FleetOptions { drivers: vec!["plugin-algo"], hold_down_s: 3, ..FleetOptions::default() })
                .await;
        let group = Ipv4Addr::new(239, 77, (std::process::id() >> 8) as u8, std::process::id() as u8);
        let mut speaker = AlgoConfig::new("8180");
        speaker.zones = [(1, SocketAddrV4::new(group, 50002))].into();
        let speaker = AlgoSim::start(speaker).await.expect("the simulated speaker starts");
        let strobe = AlgoSim::start(AlgoConfig::new("8128")).await.expect("the simulated strobe starts");
        let site = Site { fleet, speaker, strobe };
        site.configure().await;
        site
    }

    async fn configure(&self) {
        let api = self.fleet.api(0);
        wait_for("the Algo driver is found", PATIENCE, || async {
            let drivers = api.get("/api/v1/drivers").await;
            drivers["drivers"].as_array()?.iter().any(|driver| driver["id"] == ALGO).then_some(())
        })
        .await;
        api.post(&format!("/api/v1/drivers/{ALGO}/enable"), json!({})).await;
        for (id, name, sim, what) in [
            ("hall-speaker", "Hall speaker", &self.speaker, "zone"),
            ("hall-strobe", "Hall strobe", &self.strobe, "strobe"),
        ] {
            let address = json!({
                "host": "127.0.0.1", "port": sim.addr().port(), "scheme": "https", "password": "algo", "what": what, "zone": 1
            });
            let address = if what == "strobe" { without(address, "zone") } else { address };
            api.post("/api/v1/endpoints", json!({"id": id, "name": name, "driver": ALGO, "address": address})).await;
        }
        api.post("/api/v1/triggers", json!({"id": "warning", "name": "Weather warning", "group": "DEFAULT"})).await;
        let notification = json!({
            "id": "tornado", "name": "Tornado warning", "priority": "emergency", "triggers": ["warning"],
            "endpoints": ["hall-speaker", "hall-strobe"],
            "message": {"title": "{activatorTitle}", "body": "{activatorBody}", "audio": {"kind": "tone", "name": "alert"}, "hold_seconds": 2}
        });
        api.post("/api/v1/notifications", notification).await;
        self.fleet.in_step().await;
        for server in 0..self.fleet.servers.len() {
            let api = self.fleet.api(server);
            wait_for("the devices are known on every server", PATIENCE, || async {
                let rows = api.get("/api/v1/endpoints").await;
                let rows = rows.as_array()?.clone();
                (rows.len() == 2 && rows.iter().all(|row| row["state"] == "ok")).then_some(())
            })
            .await;
        }
    }

    fn introduce(&self) {
        println!("\nServers (user {ADMIN}, password {PASSWORD}):");
        for (index, server) in self.fleet.servers.iter().enumerate() {
            let role = if index == 0 { "primary" } else { "secondary" };
            println!(
                "  {:<6} {:<10} http://{}:8080  https://{}:8443",
                server.name, role, server.address, server.address
            );
        }
        println!("Devices:");
        println!("  simulated Algo 8180 speaker at https://{}", self.speaker.addr());
        println!("  simulated Algo 8128 strobe  at https://{}", self.strobe.addr());
    }

    /// Sets the trigger off on one server, and shows what came of it.
    async fn warn(&self, title: &str, asked: usize, expected: usize) {
        println!("\n{title}");
        self.speaker.clear();
        self.strobe.clear();
        let accepted = self.set_off(asked).await;
        self.show(&accepted, asked, expected).await;
    }

    async fn set_off(&self, asked: usize) -> Value {
        let event = json!({
            "title": "Tornado Warning for Example County",
            "body": "Take cover now. Move to an interior room on the lowest floor and stay away from windows."
        });
        self.fleet.api(asked).post("/api/v1/triggers/warning/events", event).await
    }

    async fn show(&self, accepted: &Value, asked: usize, expected: usize) {
        let activation = accepted["activations"][0].as_str().expect("an activation").to_owned();
        let copies = if accepted["degraded"] == true { "one copy only" } else { "safe on two servers" };
        println!(
            "  accepted by {}, {copies}; {} owns it",
            self.fleet.servers[asked].name,
            accepted["owner"].as_str().unwrap_or("?")
        );
        let record = self.record(expected, &activation).await;
        for endpoint in record["endpoints"].as_array().expect("endpoints") {
            let text = |field: &str| endpoint[field].as_str().unwrap_or_default().to_owned();
            println!("  {:<14} {}: {}", text("name"), text("text"), text("note"));
            assert_eq!(endpoint["state"], "ok", "{record}");
        }
        assert_eq!(record["row"]["server_name"], self.fleet.servers[expected].name.as_str(), "{record}");
        println!("  sent by {}, outcome {}", self.fleet.servers[expected].name, record["row"]["outcome"]);
        let heard = self.speaker.heard();
        let heard = heard.get(&1).expect("the speaker's zone");
        println!(
            "  the speaker heard {} ms of audio at {:.1} dBFS, {} packets missing",
            heard.ms, heard.rms_dbfs, heard.gaps
        );
        assert!(heard.ms > 500 && heard.rms_dbfs > -40.0, "audio was heard");
        let flashes = self.strobe.done(STROBE_START).len();
        println!("  the strobe was started {flashes} time(s)");
        assert!(flashes >= 1, "the strobe flashed");
    }

    async fn record(&self, server: usize, activation: &str) -> Value {
        let api = self.fleet.api(server);
        wait_for("the notification is in Sent Notifications", PATIENCE, || async {
            let page = api.get("/api/v1/sent").await;
            page["rows"].as_array()?.iter().any(|row| row["activation"] == activation).then_some(())?;
            Some(api.get(&format!("/api/v1/sent/{activation}")).await)
        })
        .await
    }

    /// Kills the primary while a warning runs, and shows the next server carrying on.
    async fn kill_and_warn(&mut self) {
        println!("\n2. The primary is killed (SIGKILL) at the moment it has accepted a warning");
        self.speaker.clear();
        self.strobe.clear();
        let accepted = self.set_off(0).await;
        let starts = |log: &[Logged]| log.iter().filter(|request| request.path == STROBE_START).count();
        let by_the_owner = starts(&self.strobe.log());
        let killed = Instant::now();
        self.fleet.servers[0].kill();
        let contacted = self.strobe.wait_for_log(PATIENCE, |log| starts(log) > by_the_owner).await;
        assert!(contacted, "the next server contacts the strobe");
        println!("  the next server started the strobe {} ms after the kill", killed.elapsed().as_millis());
        self.show(&accepted, 0, 1).await;
        self.warn("3. Another warning while the primary is dead", 2, 1).await;
    }

    async fn return_of_the_primary(&mut self) {
        println!("\n4. The primary comes back");
        let took = self.fleet.servers[0].start();
        println!("  ready after {} ms", took.as_millis());
        let api = self.fleet.api(0);
        let rows = wait_for("the secondary's records are on the primary", PATIENCE, || async {
            let page = api.get("/api/v1/sent").await;
            let rows = page["rows"].as_array()?.clone();
            (rows.iter().filter(|row| row["server_name"] == "pa-2").count() >= 2).then_some(rows)
        })
        .await;
        println!("  Sent Notifications on the primary:");
        for row in rows {
            println!(
                "    {:<18} server {:<6} outcome {:<10} reached {} of {}",
                row["name"].as_str().unwrap_or_default(),
                row["server_name"].as_str().unwrap_or_default(),
                row["outcome"].as_str().unwrap_or_default(),
                row["reached"],
                row["meant"]
            );
        }
    }
}

fn without(mut value: Value, field: &str) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.remove(field);
    }
    value
}
