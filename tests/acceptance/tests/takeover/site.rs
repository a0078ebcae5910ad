//! The site on which the stories play: three servers, a few text files as endpoints, one notification.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    time::Duration,
};

use harness::{Fleet, FleetOptions, wait_for};
use http_client::Method;
use serde_json::{Value, json};

/// How many endpoints the notification has.
pub const ENDPOINTS: usize = 5;
/// The driver whose devices are text files.
pub const DRIVER: &str = "org.onealert.skeleton";

pub struct Site {
    pub fleet: Fleet,
}

impl Site {
    pub async fn start() -> Site {
        Site::start_with_hold(1).await
    }

    /// A site whose notification stays for so many seconds.
    pub async fn start_with_hold(seconds: u32) -> Site {
        Site::start_on(FleetOptions::patient(), seconds).await
    }

    /// A site of such servers.
    pub async fn start_on(options: FleetOptions, seconds: u32) -> Site {
        let fleet = Fleet::start(FleetOptions { drivers: vec!["plugin-skeleton"], ..options }).await;
        let api = fleet.api(0);
        api.enable(DRIVER, json!({})).await;
        for number in 1..=ENDPOINTS {
            let endpoint = json!({
                "id": format!("file-{number}"), "name": format!("File {number}"), "driver": DRIVER,
                "address": {"file": format!("{number}.txt")}
            });
            api.post("/api/v1/endpoints", endpoint).await;
        }
        let endpoints: Vec<String> = (1..=ENDPOINTS).map(|number| format!("file-{number}")).collect();
        let notification = json!({
            "id": "page", "name": "Page", "endpoints": endpoints,
            "message": {"title": "Page", "body": "To all", "hold_seconds": seconds}
        });
        api.post("/api/v1/notifications", notification).await;
        fleet.in_step().await;
        let site = Site { fleet };
        for server in 0..3 {
            site.driver_runs_on(server).await;
        }
        site
    }

    async fn driver_runs_on(&self, server: usize) {
        let api = self.fleet.api(server);
        wait_for("the driver runs", Duration::from_secs(60), || async {
            let status = api.try_get("/api/v1/status").await?;
            let this = status["servers"].as_array()?.iter().find(|server| server["this"] == true)?.clone();
            (this["drivers"][0]["state"] == "ok").then_some(())
        })
        .await;
    }

    /// Sends through one server; gives the activation.
    pub async fn send(&self, server: usize) -> String {
        let answer = self.fleet.api(server).post("/api/v1/notifications/page/send", json!({})).await;
        answer["activations"][0].as_str().unwrap_or_else(|| panic!("no activation in {answer}")).to_owned()
    }

    /// Sends through one server until that owns it and a second one has it; gives the activation. On a busy machine a confirmation
    /// may miss its time, and then another one owns it, or it is accepted with one copy only.
    pub async fn send_confirmed(&self, server: usize) -> String {
        let name = self.fleet.servers[server].name.as_str();
        wait_for(&format!("{name} owns it with a second copy"), Duration::from_secs(60), || async {
            let answer = self.fleet.api(server).post("/api/v1/notifications/page/send", json!({})).await;
            if answer["degraded"] == true || answer["owner"] != name {
                println!("not confirmed: {answer}");
                return None;
            }
            answer["activations"][0].as_str().map(str::to_owned)
        })
        .await
    }

    /// Sends through one server until a certain one, and nobody else, has begun it on every endpoint; gives that activation.
    ///
    /// On a busy machine an owner that does not confirm in time is rightly replaced: its own folder says who did it. Whoever
    /// it was, every endpoint has to have it.
    pub async fn begun_by(&self, asked: usize, owner: &str) -> String {
        let index = self.index(owner);
        let by: [usize; 3] = std::array::from_fn(|server| if server == index { ENDPOINTS } else { 0 });
        wait_for(&format!("{owner} sends"), Duration::from_secs(60), || async {
            let api = self.fleet.api(asked);
            let answer = api.ask(Method::POST, "/api/v1/notifications/page/send", Some(&json!({}))).await.ok()?.json;
            let activation = answer["activations"][0].as_str()?.to_owned();
            // A driver's process that stands still for long has failed on its endpoint, which is recorded so.
            wait_for("every endpoint has it, or it has ended", Duration::from_secs(60), || async {
                (self.everybody_has_it(&activation) || self.record_of(&activation).await.is_some()).then_some(())
            })
            .await;
            let found = self.deliveries(&activation);
            if answer["owner"] == owner && found == by {
                return Some(activation);
            }
            println!("not by {owner}: {found:?}, {answer}");
            let _ = api.ask(Method::POST, &format!("/api/v1/running/{activation}/stop"), Some(&json!({}))).await;
            None
        })
        .await
    }

    /// Sends through one server until a certain one has done it, from beginning to end; gives that activation.
    pub async fn send_by(&self, asked: usize, owner: &str) -> String {
        wait_for(&format!("{owner} sends from beginning to end"), Duration::from_secs(60), || async {
            let activation = self.begun_by(asked, owner).await;
            let by = self.deliveries(&activation);
            // An owner that stands still for long is replaced in the middle as well.
            if self.ended_by(&activation).await != owner || self.deliveries(&activation) != by {
                return None;
            }
            self.ended_on(self.index(owner), &activation).await;
            Some(activation)
        })
        .await
    }

    /// Waits until any server that runs has the record of the activation; gives the name of the server that ended it.
    pub async fn ended_by(&self, activation: &str) -> String {
        wait_for("the activation has ended", Duration::from_secs(120), || async {
            Some(self.record_of(activation).await?["server_name"].as_str()?.to_owned())
        })
        .await
    }

    /// The activation in the Sent Notifications of any server that runs, and answers soon: one may be paused.
    async fn record_of(&self, activation: &str) -> Option<Value> {
        for server in (0..3).filter(|server| self.fleet.servers[*server].runs()) {
            let api = self.fleet.api(server);
            let sent = tokio::time::timeout(Duration::from_secs(2), api.try_get("/api/v1/sent")).await;
            let sent = sent.ok().flatten().unwrap_or_default();
            let mut rows = sent["rows"].as_array().into_iter().flatten();
            if let Some(row) = rows.find(|row| row["activation"] == activation) {
                return Some(row.clone());
            }
        }
        None
    }

    fn index(&self, name: &str) -> usize {
        self.fleet.servers.iter().position(|server| server.name == name).expect("a server's name")
    }

    /// Sends with an idempotency key.
    pub async fn send_with_key(&self, server: usize, key: &str) -> String {
        let answer = self.fleet.api(server).send_with_key("/api/v1/notifications/page/send", key).await;
        answer["activations"][0].as_str().unwrap_or_else(|| panic!("no activation in {answer}")).to_owned()
    }

    /// Waits until the record of the activation is on a server.
    pub async fn ended_on(&self, server: usize, activation: &str) {
        self.sent_on(server, activation, |_| true).await;
    }

    /// Waits until a record that fits is in a server's Sent Notifications.
    pub async fn sent_on(&self, server: usize, activation: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let api = self.fleet.api(server);
        wait_for("the activation is in Sent Notifications", Duration::from_secs(60), || async {
            let page = api.ask(Method::GET, "/api/v1/sent", None).await.ok()?.json;
            let row = page["rows"].as_array()?.iter().find(|row| row["activation"] == activation)?.clone();
            if !fits(&row) {
                return None;
            }
            Some(api.get(&format!("/api/v1/sent/{activation}")).await)
        })
        .await
    }

    fn lines(&self, server: usize, endpoint: usize) -> String {
        let name = &self.fleet.servers[server].name;
        let file: PathBuf =
            self.fleet.folder().join(name).join("data/driver-state").join(DRIVER).join(format!("{endpoint}.txt"));
        fs::read_to_string(file).unwrap_or_default()
    }

    /// Whether this server wrote such a line of the activation to the endpoint: `begin` or `end`.
    fn wrote_line(&self, word: &str, server: usize, endpoint: usize, activation: &str) -> bool {
        let start = format!("{word} {activation}");
        self.lines(server, endpoint).lines().any(|line| line.starts_with(&start))
    }

    /// Whether this server wrote the beginning of the activation to the endpoint.
    fn wrote(&self, server: usize, endpoint: usize, activation: &str) -> bool {
        self.wrote_line("begin", server, endpoint, activation)
    }

    /// How many endpoints each server ended the activation on.
    pub fn ends(&self, activation: &str) -> [usize; 3] {
        std::array::from_fn(|server| {
            let ended = (1..=ENDPOINTS).filter(|endpoint| self.wrote_line("end", server, *endpoint, activation));
            ended.count()
        })
    }

    /// Whether any server wrote anything to any endpoint.
    pub fn anything_was_delivered(&self) -> bool {
        (0..3).any(|server| (1..=ENDPOINTS).any(|endpoint| !self.lines(server, endpoint).is_empty()))
    }

    /// How many endpoints each server delivered the activation to.
    pub fn deliveries(&self, activation: &str) -> [usize; 3] {
        std::array::from_fn(|server| {
            (1..=ENDPOINTS).filter(|endpoint| self.wrote(server, *endpoint, activation)).count()
        })
    }

    /// Whether every endpoint has it from somebody.
    pub fn everybody_has_it(&self, activation: &str) -> bool {
        (1..=ENDPOINTS).all(|endpoint| (0..3).any(|server| self.wrote(server, endpoint, activation)))
    }

    /// Asks a server that runs as a load balancer does.
    pub fn balancer(&self, server: usize) -> (u16, String) {
        ask_status(&format!("{}:8080", self.fleet.servers[server].address)).expect("it answers")
    }
}

/// Asks as a load balancer does: HTTP/1.0, no host.
///
/// # Errors
/// Nobody listens, or no answer came.
pub fn ask_status(address: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /SA-Announce/RevolutionStatus HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}
