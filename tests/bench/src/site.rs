//! The installation that most benchmarks run on: three real servers, simulated Algo devices, one notification.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use devices::{AlgoConfig, AlgoSim, algo::Logged};
use harness::{Fleet, FleetOptions, wait_for};
use http_client::Method;
use serde_json::{Value, json};

/// The driver of the devices.
pub const ALGO: &str = "com.algosolutions.ip";
/// The request that makes a strobe flash: the contact that delivers. Status requests are not counted as contact.
pub const STROBE_START: &str = "/api/controls/strobe/start";
/// How long something that must come is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// An installation with devices.
pub struct Site {
    pub fleet: Fleet,
    pub devices: Vec<AlgoSim>,
}

/// What the notification reaches.
pub enum Devices {
    /// So many strobes that are driven over HTTP.
    Strobes(usize),
    /// One speaker that hears this multicast group.
    Speaker(SocketAddrV4),
}

impl Site {
    /// Makes the installation, and waits until every server knows every device.
    pub async fn start(options: FleetOptions, devices: Devices) -> Site {
        let fleet = Fleet::start(FleetOptions { drivers: vec!["plugin-algo"], ..options }).await;
        let bind: IpAddr = match &fleet.lan {
            Some(lan) => lan.host().parse().expect("an address"),
            None => Ipv4Addr::LOCALHOST.into(),
        };
        let mut sims = Vec::new();
        let (what, audio) = match devices {
            Devices::Strobes(count) => {
                for _ in 0..count {
                    sims.push(start(AlgoConfig { bind, ..AlgoConfig::light("8128") }).await);
                }
                ("strobe", json!({"kind": "none"}))
            }
            Devices::Speaker(group) => {
                let config = AlgoConfig { bind, zones: [(1, group)].into(), ..AlgoConfig::light("8180") };
                sims.push(start(AlgoConfig { listen: true, ..config }).await);
                ("zone", json!({"kind": "tone", "name": "alert"}))
            }
        };
        let site = Site { fleet, devices: sims };
        site.configure(what, audio).await;
        site
    }

    async fn configure(&self, what: &str, audio: Value) {
        let api = self.fleet.api(0);
        api.enable(ALGO, json!({})).await;
        let mut ids = Vec::new();
        for (number, device) in self.devices.iter().enumerate() {
            let id = format!("device-{number}");
            let mut address = json!({
                "host": device.addr().ip().to_string(), "port": device.addr().port(), "scheme": "http",
                "password": "algo", "what": what
            });
            if what == "zone" {
                address["zone"] = json!(1);
            }
            api.post("/api/v1/endpoints", json!({"id": id, "name": id, "driver": ALGO, "address": address})).await;
            ids.push(id);
        }
        let notification = json!({
            "id": "page", "name": "Page", "priority": "emergency", "endpoints": ids,
            "message": {"title": "Page", "body": "To all", "audio": audio, "hold_seconds": 0}
        });
        api.post("/api/v1/notifications", notification).await;
        self.fleet.in_step().await;
        for server in 0..self.fleet.servers.len() {
            self.devices_are_known(server).await;
        }
    }

    /// Waits until a server has heard of every device.
    pub async fn devices_are_known(&self, server: usize) {
        self.fleet.api(server).knows_endpoints(self.devices.len()).await;
    }

    /// Sends the notification through one server; gives what it answered.
    pub async fn send(&self, server: usize) -> Value {
        self.fleet.api(server).post("/api/v1/notifications/page/send", json!({})).await
    }

    /// Waits until a server shows the activation as ended.
    pub async fn ended_on(&self, server: usize, activation: &str) {
        let api = self.fleet.api(server);
        wait_for("the activation has ended", PATIENCE, || async {
            let page = api.ask(Method::GET, "/api/v1/sent", None).await.ok()?.json;
            page["rows"].as_array()?.iter().any(|row| row["activation"] == activation).then_some(())
        })
        .await;
    }
}

async fn start(config: AlgoConfig) -> AlgoSim {
    AlgoSim::start(config).await.expect("the simulated device starts")
}

/// The requests that made a strobe flash.
pub fn starts(log: &[Logged]) -> impl Iterator<Item = &Logged> {
    log.iter().filter(|request| request.path == STROBE_START)
}
