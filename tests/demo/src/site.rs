//! The demo's site: three servers and two devices, set up through the API as an administrator would through the pages.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use devices::{AlgoConfig, AlgoSim, algo::Logged};
use harness::{ADMIN, Fleet, FleetOptions, PASSWORD};
use http_client::{Client, Method, Request};
use serde_json::{Value, json};

use crate::options::{Options, Source};

const ALGO: &str = "com.algosolutions.ip";
/// The driver that reads alerts.
pub const CAP: &str = "org.onealert.cap";
/// What tells a strobe to flash; servers that stand by only look at its status.
const STROBE_START: &str = "/api/controls/strobe/start";
/// What those show who post alerts to a server. Like the password it is no secret: the demo listens on loopback only.
const POST_TOKEN: &str = "demo-token-for-posted-alerts";
/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// This moment.
#[expect(clippy::disallowed_methods, reason = "the demo asks here")]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The running site.
pub struct Site {
    pub fleet: Fleet,
    pub speaker: AlgoSim,
    pub strobe: AlgoSim,
    /// The folder in which the CAP driver of every server looks for alerts.
    inbox: PathBuf,
}

impl Site {
    /// Starts it.
    pub async fn start(options: &Options) -> Site {
        let fleet = Fleet::start(FleetOptions { hold_down_s: 3, ..FleetOptions::default() }).await;
        let group = Ipv4Addr::new(239, 77, (std::process::id() >> 8) as u8, std::process::id() as u8);
        let mut speaker = AlgoConfig::new("8180");
        speaker.zones = [(1, SocketAddrV4::new(group, 50002))].into();
        let speaker = AlgoSim::start(speaker).await.expect("the simulated speaker starts");
        let strobe = AlgoSim::start(AlgoConfig::new("8128")).await.expect("the simulated strobe starts");
        let inbox = fleet.folder().join("alerts");
        fs::create_dir_all(&inbox).expect("the folder for alerts");
        let site = Site { fleet, speaker, strobe, inbox };
        site.configure(options).await;
        site
    }

    async fn configure(&self, options: &Options) {
        let api = self.fleet.api(0);
        for (driver, settings) in [(ALGO, json!({})), (CAP, json!({"post_token": POST_TOKEN}))] {
            api.enable(driver, settings).await;
        }
        for (id, name, sim, what) in [
            ("hall-speaker", "Hall speaker", &self.speaker, "zone"),
            ("hall-strobe", "Hall strobe", &self.strobe, "strobe"),
        ] {
            let mut address = json!({
                "host": "127.0.0.1", "port": sim.addr().port(), "scheme": "https", "password": "algo", "what": what
            });
            if what == "zone" {
                address["zone"] = json!(1);
            }
            api.post("/api/v1/endpoints", json!({"id": id, "name": name, "driver": ALGO, "address": address})).await;
        }
        api.post("/api/v1/triggers", self.trigger(options, "")).await;
        let notification = json!({
            "id": "warning", "name": "Weather warning", "priority": "emergency", "triggers": ["alerts"],
            "endpoints": ["hall-speaker", "hall-strobe"],
            "message": {
                "title": "{activatorTitle}", "body": "{activatorBody}", "audio": {"kind": "tone", "name": "alert"},
                "hold_seconds": 2
            }
        });
        api.post("/api/v1/notifications", notification).await;
        self.fleet.in_step().await;
        for server in 0..self.fleet.servers.len() {
            self.fleet.api(server).knows_endpoints(2).await;
        }
    }

    /// The trigger that watches for alerts, as it is configured.
    fn trigger(&self, options: &Options, url: &str) -> Value {
        // A query may hold a token: it has a field of its own, which is stored encrypted.
        let (url, query) = url.split_once('?').unwrap_or((url, ""));
        let mut settings = json!({
            "folder": self.inbox, "url": url, "url_query": query, "posted": true, "tests": options.tests, "restricted": options.tests
        });
        // Our own warning passes the driver's default, which is tornado warnings. What others bring may be about anything.
        if options.source != Source::Sample {
            settings["sets"] = json!([]);
        }
        json!({"id": "alerts", "name": "Weather alerts", "group": "DEFAULT", "driver": CAP, "settings": settings})
    }

    /// Lets the trigger watch an address too.
    pub async fn watch(&self, options: &Options, url: &str) {
        self.fleet.api(0).put("/api/v1/triggers/alerts", self.trigger(options, url)).await;
    }

    /// Says where everything is.
    pub fn introduce(&self) {
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
        println!(
            "Alerts: CAP files that are put into {} on any server's machine (all are on this one)",
            self.inbox.display()
        );
    }

    /// Puts a file into the folder as others should: under another name first, then renamed.
    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let unfinished = self.inbox.join(format!(".{name}.part"));
        let file = self.inbox.join(name);
        fs::write(&unfinished, bytes).expect("the alert is written");
        fs::rename(&unfinished, &file).expect("the alert is renamed");
        file
    }

    /// The folder's part of a text is of no interest to anybody.
    pub fn without_folder(&self, text: &str) -> String {
        text.replace(&format!("folder {}: ", self.inbox.display()), "")
            .replace(&format!("{}/", self.inbox.display()), "")
    }

    /// Posts an alert to one server's CAP driver; it is answered once the server has accepted what came of it.
    pub async fn post(&self, server: usize, bytes: &[u8]) {
        let url = format!("{}/device/{CAP}/alert", self.fleet.servers[server].base());
        let mut request = Request::new(Method::POST, url)
            .header("Authorization", format!("Bearer {POST_TOKEN}"))
            .header("Content-Type", "application/cap+xml");
        request.body = bytes.to_vec().into();
        let response = Client::new(http_client::Options::default()).send(request).await.expect("the server answers");
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(response.status, 200, "{text}");
    }

    /// What a server's CAP driver said since a moment, oldest first. The server keeps the newest fifty lines.
    pub async fn driver_lines(&self, server: usize, since_ms: i64) -> Vec<String> {
        let detail = self.fleet.api(server).get(&format!("/api/v1/drivers/{CAP}")).await;
        let lines = detail["events"].as_array().cloned().unwrap_or_default();
        let new = lines.iter().rev().filter(|line| line["at"].as_i64() >= Some(since_ms));
        new.filter_map(|line| line["text"].as_str()).map(|line| self.without_folder(line)).collect()
    }

    /// How often the strobe was started since it was cleared.
    pub fn flashes(&self) -> usize {
        starts(&self.strobe.log())
    }

    /// When the strobe was started once more than `before`, seen from `since`; nothing if it was not in a few seconds.
    pub async fn contacted(&self, before: usize, since: Instant) -> Option<Duration> {
        let contacted = self.strobe.wait_for_log(Duration::from_secs(5), |log| starts(log) > before).await;
        let log = self.strobe.log();
        let at = log.iter().filter(|request| request.path == STROBE_START).nth(before)?.at;
        contacted.then(|| at.saturating_duration_since(since))
    }
}

fn starts(log: &[Logged]) -> usize {
    log.iter().filter(|request| request.path == STROBE_START).count()
}
