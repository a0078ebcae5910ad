//! The site on which the stories play: two strobes with a password that is used nowhere else, and the CAP driver with a token.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use devices::{AlgoConfig, AlgoSim};
use harness::{Fleet, FleetOptions, wait_for};
use http_client::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

pub const PASSWORD: &str = "tr0ub4dor-strobe-horse";
pub const PASSPHRASE: &str = "kept-in-the-safe-not-here";
pub const TOKEN: &str = "staple-battery-of-the-feed";
/// What stands behind the question mark of a feed's address, and the login for it.
pub const FEED: [&str; 2] = ["pin=correct-feed-of-the-county", "ann:paperclip-at-the-feed"];
pub const ALGO: &str = "com.algosolutions.ip";
pub const CAP: &str = "org.onealert.cap";
const START: &str = "/api/controls/strobe/start";
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Site {
    pub fleet: Fleet,
    strobe: AlgoSim,
    _second: AlgoSim,
    /// How often something was sent.
    sent: AtomicUsize,
}

impl Site {
    pub async fn start(servers: u8) -> Site {
        // Everything that the program ever says, into a file of each server.
        let sections = "[[log_file]]\npath = \"all.log\"\nfilter = \"debug\"";
        let fleet = Fleet::start(FleetOptions { servers, sections, ..FleetOptions::patient() }).await;
        let api = fleet.api(0);
        // The strobes live in the test's process, which others may keep waiting.
        api.enable(ALGO, json!({"deadline_ms": 10_000})).await;
        api.enable(CAP, json!({"post_token": TOKEN})).await;
        let device = || async {
            let config = AlgoConfig { password: PASSWORD.to_owned(), ..AlgoConfig::light("8128") };
            AlgoSim::start(config).await.expect("the simulated strobe starts")
        };
        let (strobe, second) = (device().await, device().await);
        for (id, device) in [("strobe", &strobe), ("strobe-2", &second)] {
            let scheme = if device.https_addr().is_some() { "https" } else { "http" };
            let address = json!({
                "host": "127.0.0.1", "port": device.addr().port(), "scheme": scheme, "password": PASSWORD, "what": "strobe"
            });
            api.post("/api/v1/endpoints", json!({"id": id, "name": id, "driver": ALGO, "address": address})).await;
        }
        let notification = json!({
            "id": "alarm", "name": "Alarm", "priority": "emergency", "endpoints": ["strobe", "strobe-2"],
            "message": {"title": "Alarm", "body": "Leave the building", "hold_seconds": 1}
        });
        api.post("/api/v1/notifications", notification).await;
        // Nobody listens there: every server says so, again and again.
        let settings =
            json!({"url": "http://127.0.0.1:9/county", "url_query": FEED[0], "url_login": FEED[1], "poll_seconds": 15});
        let feed =
            json!({"id": "feed", "name": "County feed", "group": "DEFAULT", "driver": CAP, "settings": settings});
        api.post("/api/v1/triggers", feed).await;
        fleet.in_step().await;
        let site = Site { fleet, strobe, _second: second, sent: AtomicUsize::default() };
        for server in 0..usize::from(servers) {
            site.fleet.api(server).knows_endpoints(2).await;
        }
        site
    }

    /// Sends through a server: the strobe believes the one that sends, and is started once. On a busy machine an owner that does
    /// not confirm in time is replaced and may have begun; twice every time is a fault.
    pub async fn send_reaches(&self, server: usize) {
        self.fleet.api(server).knows_endpoints(2).await;
        let mut started = Vec::new();
        while started.len() < 3 {
            let before = self.strobe.done(START).len();
            let record = self.send_and_end(server).await;
            started.push(self.strobe.done(START).len() - before);
            assert_ne!(started.last(), Some(&0), "the strobe believes the server: {record}");
            if started.last() == Some(&1) {
                return;
            }
        }
        panic!("the strobe was started {started:?} times");
    }

    /// Sends through a server, and waits for the record.
    pub async fn send_and_end(&self, server: usize) -> Value {
        let api = self.fleet.api(server);
        // Asked again after an answer was lost, it is the same one.
        let key = format!("story-{}", self.sent.fetch_add(1, Ordering::Relaxed));
        let activation = wait_for("it takes the notification", PATIENCE, || async {
            let answer = api.try_send_with_key("/api/v1/notifications/alarm/send", &key).await.ok()?.json;
            Some(answer["activations"][0].as_str()?.to_owned())
        })
        .await;
        wait_for("its record is in Sent Notifications", PATIENCE, || async {
            let page = api.try_get("/api/v1/sent").await?;
            page["rows"].as_array()?.iter().any(|row| row["activation"] == activation).then_some(())
        })
        .await;
        api.get(&format!("/api/v1/sent/{activation}")).await
    }

    /// Gives the strobe another name on a server, once that takes configuration.
    pub async fn rename(&self, server: usize, name: &str) {
        let api = self.fleet.api(server);
        wait_for("it takes configuration", PATIENCE, || async {
            let mut row = api.ask(Method::GET, "/api/v1/endpoints/strobe", None).await.ok()?.json["row"].clone();
            row["name"] = json!(name);
            let answer = api.ask(Method::PUT, "/api/v1/endpoints/strobe", Some(&row)).await.ok()?;
            (200..300).contains(&answer.status).then_some(())
        })
        .await;
    }

    /// Waits until an endpoint is in that state; gives it as the API shows it.
    pub async fn state_of(&self, endpoint: &str, state: &str) -> Value {
        let (api, path) = (self.fleet.api(0), format!("/api/v1/endpoints/{endpoint}"));
        wait_for("the endpoint is as expected", PATIENCE, || async {
            let shown = api.ask(Method::GET, &path, None).await.ok()?.json;
            (shown["state"] == state).then_some(shown)
        })
        .await
    }

    /// Waits until a driver is in that state on the only server.
    pub async fn driver_is(&self, driver: &str, state: &str) -> Value {
        let (api, path) = (self.fleet.api(0), format!("/api/v1/drivers/{driver}"));
        wait_for("the driver is as expected", PATIENCE, || async {
            let here = api.ask(Method::GET, &path, None).await.ok()?.json["view"]["servers"][0].clone();
            (here["state"] == state).then_some(here)
        })
        .await
    }

    /// Waits until the page of a driver tells that something happened to it on that server.
    pub async fn driver_told(&self, server: usize, driver: &str, text: &str) {
        let (api, path) = (self.fleet.api(server), format!("/api/v1/drivers/{driver}"));
        wait_for(&format!("{driver} tells {text}"), PATIENCE, || async {
            let events = api.ask(Method::GET, &path, None).await.ok()?.json["events"].clone();
            let told = |event: &Value| event["text"].as_str().is_some_and(|line| line.contains(text));
            events.as_array()?.iter().any(told).then_some(())
        })
        .await;
    }

    pub fn command(&self, server: usize, arguments: &[&str]) -> Result<String, String> {
        let environment = [("ONEALERT_PASSWORD", harness::PASSWORD), ("ONEALERT_PASSPHRASE", PASSPHRASE)];
        self.fleet.servers[server].command(arguments, &environment)
    }

    pub fn data(&self, server: usize) -> PathBuf {
        self.fleet.folder().join(&self.fleet.servers[server].name).join("data")
    }

    fn database(&self, server: usize) -> Connection {
        // Never made here: a server that starts anew makes its own.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = self.data(server).join("config.db");
        let database = Connection::open_with_flags(file, flags).expect("the file is there");
        database.busy_timeout(PATIENCE).expect("a limit");
        database
    }

    /// The ciphertext that stands in a row of a server's database.
    pub fn sealed(&self, server: usize, table: &str, key: &str, path: &str) -> String {
        let statement = format!("SELECT row FROM row_{table} WHERE key = ?1");
        let row: String =
            self.database(server).query_row(&statement, [key], |row| row.get(0)).expect("the row is there");
        let row: Value = serde_json::from_str(&row).expect("JSON text");
        let text = row.pointer(path).and_then(|secret| secret["sealed"].as_str());
        text.unwrap_or_else(|| panic!("no sealed secret in {row}")).to_owned()
    }

    /// Changes a row behind the server's back.
    pub fn edit(&self, server: usize, table: &str, key: &str, change: impl FnOnce(&mut Value)) {
        let database = self.database(server);
        let statement = format!("SELECT row FROM row_{table} WHERE key = ?1");
        let row: String = database.query_row(&statement, [key], |row| row.get(0)).expect("the row is there");
        let mut row: Value = serde_json::from_str(&row).expect("JSON text");
        change(&mut row);
        let statement = format!("UPDATE row_{table} SET row = ?2 WHERE key = ?1");
        assert_eq!(database.execute(&statement, [key, &row.to_string()]).expect("it is edited"), 1);
    }

    /// Every file of every server, libraries excepted.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.fleet.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder of the fleet") {
                let entry = entry.expect("an entry");
                let (kind, path) = (entry.file_type().expect("its type"), entry.path());
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() && path.extension().is_none_or(|extension| extension != "so") {
                    found.push(path);
                }
            }
        }
        found
    }
}

/// Whether a file's bytes hold a text.
pub fn holds(file: &Path, text: &str) -> bool {
    let bytes = fs::read(file).expect("a file of the fleet");
    memchr::memmem::find(&bytes, text.as_bytes()).is_some()
}
