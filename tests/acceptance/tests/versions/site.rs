//! A primary and a secondary with the skeleton driver, whose devices are text files, one endpoint and one notification; and the
//! program that compares them.

use std::{process::Command, time::Duration};

use harness::{ADMIN, Fleet, FleetOptions, PASSWORD, wait_for};
use http_client::Method;
use serde_json::{Value, json};

/// The version that this build is.
pub const BUILT: &str = env!("CARGO_PKG_VERSION");
/// The driver.
pub const DRIVER: &str = "org.onealert.skeleton";
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Site {
    pub fleet: Fleet,
}

/// What `onealert-installer` said.
pub struct Said {
    pub status: i32,
    pub text: String,
    pub json: Value,
}

impl Site {
    pub async fn start() -> Site {
        Site::with(FleetOptions { servers: 2, drivers: vec!["plugin-skeleton"], ..FleetOptions::patient() }).await
    }

    pub async fn with(options: FleetOptions) -> Site {
        let site = Site { fleet: Fleet::start(options).await };
        let api = site.fleet.api(0);
        api.enable(DRIVER, json!({})).await;
        let endpoint = json!({"id": "file", "name": "File", "driver": DRIVER, "address": {"file": "page.txt"}});
        api.post("/api/v1/endpoints", endpoint).await;
        let page = json!({"id": "page", "name": "Page", "endpoints": ["file"], "message": {"title": "Page", "body": "To all", "hold_seconds": 1}});
        api.post("/api/v1/notifications", page).await;
        site.fleet.in_step().await;
        for server in 0..site.fleet.servers.len() {
            site.driver_on(server, |driver| driver["state"] == "ok").await;
        }
        site
    }

    /// Stops a server and starts it as another version.
    pub fn restart(&mut self, server: usize, version: Option<&str>) {
        self.fleet.servers[server].kill();
        self.start_as(server, version);
    }

    /// Starts a server as another version. The door for this exists in debug builds only (`host/src/product.rs`).
    pub fn start_as(&mut self, server: usize, version: Option<&str>) {
        self.fleet.servers[server].set_environment("ONEALERT_PRETEND_VERSION", version);
        self.fleet.servers[server].start();
    }

    /// Waits until the server's own state of synchronisation fits; gives it.
    pub async fn sync_of(&self, server: usize, fits: impl Fn(&str, &str) -> bool) -> (String, String) {
        let api = self.fleet.api(server);
        wait_for("the state of synchronisation", PATIENCE, || async {
            let said = api.ask(Method::GET, "/api/v1/versions", None).await.ok()?.json;
            let (state, text) = (said["sync"].as_str()?, said["sync_text"].as_str()?);
            fits(state, text).then(|| (state.to_owned(), text.to_owned()))
        })
        .await
    }

    /// Waits until one server's System Status shows another as wanted; gives that.
    pub async fn shown(&self, by: usize, server: usize, fits: impl Fn(&Value) -> bool) -> Value {
        let (api, name) = (self.fleet.api(by), self.fleet.servers[server].name.clone());
        wait_for("System Status shows it", PATIENCE, || async {
            let status = api.ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
            let shown = status["servers"].as_array()?.iter().find(|server| server["name"] == name.as_str())?.clone();
            fits(&shown).then_some(shown)
        })
        .await
    }

    /// Waits until the driver on a server, as that server shows it, is as wanted.
    pub async fn driver_on(&self, server: usize, fits: impl Fn(&Value) -> bool) -> Value {
        let shown = self
            .shown(server, server, |shown| {
                shown["drivers"].as_array().is_some_and(|all| all.iter().any(|one| one["id"] == DRIVER && fits(one)))
            })
            .await;
        shown["drivers"][0].clone()
    }

    /// The names of the notifications that a server's copy has, sorted.
    pub async fn names(&self, server: usize) -> Vec<String> {
        let all = self.fleet.api(server).get("/api/v1/notifications").await;
        let mut names: Vec<String> = all
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| Some(one["id"].as_str().or(one["row"]["id"].as_str())?.to_owned()))
            .collect();
        names.sort();
        names
    }

    /// Sends through a server until a certain one, and nobody else, has written it to the endpoint; gives that activation.
    ///
    /// On a busy machine an owner that does not confirm in time is rightly replaced: its own folder says who did it. Whoever
    /// it was, the endpoint has to have it.
    pub async fn send_by(&self, asked: usize, owner: usize) -> String {
        let (api, name) = (self.fleet.api(asked), &self.fleet.servers[owner].name);
        wait_for(&format!("{name} sends"), PATIENCE, || async {
            let path = "/api/v1/notifications/page/send";
            let answer = api.ask(Method::POST, path, Some(&json!({}))).await.ok()?.json;
            let activation = answer["activations"][0].as_str()?.to_owned();
            // A driver's process that stands still for long has failed on its endpoint, which is recorded so.
            let by = wait_for("the endpoint has it, or it has ended", PATIENCE, || async {
                let by = self.written_by(&activation);
                let ended = || async {
                    let sent = api.try_get("/api/v1/sent").await?;
                    sent["rows"].as_array()?.iter().any(|row| row["activation"] == activation.as_str()).then_some(())
                };
                (!by.is_empty() || ended().await.is_some()).then_some(by)
            })
            .await;
            if by != [owner] {
                println!("not by {name}: {by:?}, {answer}");
                return None;
            }
            Some(activation)
        })
        .await
    }

    /// The servers that have written the activation to the endpoint.
    fn written_by(&self, activation: &str) -> Vec<usize> {
        let wrote = |server: &usize| {
            let name = &self.fleet.servers[*server].name;
            let file = self.fleet.folder().join(name).join("data/driver-state").join(DRIVER).join("page.txt");
            std::fs::read_to_string(file).unwrap_or_default().contains(activation)
        };
        (0..self.fleet.servers.len()).filter(wrote).collect()
    }

    /// Compares all servers, over HTTPS.
    pub fn check(&self, more: &[&str]) -> Said {
        let every: Vec<usize> = (0..self.fleet.servers.len()).collect();
        self.installer(&[&["check"], more].concat(), &every)
    }

    /// Runs the program and asks these servers, over HTTPS and with the site's fingerprint.
    pub fn installer(&self, arguments: &[&str], servers: &[usize]) -> Said {
        let addresses = servers.iter().map(|server| format!("{}:8443", self.fleet.servers[*server].address));
        let running = self.fleet.servers.iter().find(|server| !server.said.is_empty()).expect("one was started");
        let fingerprint = running.fingerprint();
        let addresses: Vec<String> = addresses.collect();
        run(arguments, &addresses, &["--fingerprint", &fingerprint], PASSWORD)
    }
}

/// Runs the program.
pub fn run(arguments: &[&str], addresses: &[String], trust: &[&str], password: &str) -> Said {
    let output = Command::new(harness::installer())
        .args(arguments)
        .args(["--user", ADMIN, "--server"])
        .args(addresses)
        .args(trust)
        .env("ONEALERT_PASSWORD", password)
        .output()
        .expect("the program starts");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Said { status: output.status.code().expect("it ended by itself"), text, json }
}
