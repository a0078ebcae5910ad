//! The installation: real servers, and displays that are driven over HTTP.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use devices::{AlgoConfig, AlgoSim};
use futures_util::{StreamExt, TryStreamExt, stream};
use harness::{Api, Fleet, FleetOptions, wait_for};
use http_client::Method;
use serde_json::{Value, json};

use crate::{Count, Load, Sent, witness::Witness};

const ALGO: &str = "com.algosolutions.ip";
/// How many notifications take turns. Each has displays of its own: a newer announcement on the same display interrupts the
/// one before, and that is not what is counted here.
pub const LINES: usize = 50;
/// How many displays each of them has.
const DISPLAYS: usize = 2;
/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An installation whose endpoints count.
pub struct Site {
    /// Its servers.
    pub fleet: Fleet,
    displays: Vec<AlgoSim>,
    witness: Witness,
}

impl Site {
    /// Makes it, and waits until every server knows every display.
    pub async fn start(options: FleetOptions) -> Site {
        let fleet = Fleet::start(FleetOptions { drivers: vec!["plugin-algo"], ..options }).await;
        let bind: IpAddr = match &fleet.lan {
            Some(lan) => lan.host().parse().expect("an address"),
            None => Ipv4Addr::LOCALHOST.into(),
        };
        let mut displays = Vec::new();
        for _ in 0..LINES * DISPLAYS {
            let config = AlgoConfig { bind, ..AlgoConfig::light("8420") };
            displays.push(AlgoSim::start(config).await.expect("the simulated display starts"));
        }
        let witness = Witness::start(fleet.folder());
        let site = Site { fleet, displays, witness };
        site.configure().await;
        site
    }

    async fn configure(&self) {
        let api = self.fleet.api(0);
        // A hundred displays need not be looked at every five seconds by each of three servers; but one that a busy machine let
        // wait is to be known well within the time that is waited for it.
        api.enable(ALGO, json!({"poll_seconds": 20, "deadline_ms": 10_000})).await;
        let displays = self.displays.iter().enumerate().map(|(number, display)| {
            let (id, address) = (format!("display-{number}"), display.addr());
            let address = json!({
                "host": address.ip().to_string(), "port": address.port(), "scheme": "http", "password": "algo",
                "what": "screen"
            });
            ("/api/v1/endpoints", json!({"id": id, "name": id, "driver": ALGO, "address": address}))
        });
        let triggers = (0..LINES).map(|line| {
            let id = format!("line-{line}");
            ("/api/v1/triggers", json!({"id": id, "name": id, "group": "DEFAULT"}))
        });
        let notifications = (0..LINES).map(|line| {
            let id = format!("line-{line}");
            let displays: Vec<String> = (0..DISPLAYS).map(|n| format!("display-{}", line * DISPLAYS + n)).collect();
            let body = json!({
                "id": id, "name": id, "triggers": [id], "endpoints": displays,
                "message": {"title": "{activatorTitle}", "body": "", "hold_seconds": 0}
            });
            ("/api/v1/notifications", body)
        });
        for rows in [displays.collect::<Vec<_>>(), triggers.collect(), notifications.collect()] {
            post_all(&api, rows).await;
        }
        self.fleet.in_step().await;
        for server in 0..self.fleet.servers.len() {
            self.displays_are_known(server).await;
        }
    }

    /// Waits until a server has heard of every display.
    pub async fn displays_are_known(&self, server: usize) {
        self.fleet.api(server).knows_endpoints(self.displays.len()).await;
    }

    /// Begins to set off one activation after the other. `mark` tells this load's texts from those of others.
    pub fn load(&self, mark: &str, per_second: u32) -> Load {
        let servers = (0..self.fleet.servers.len()).map(|server| self.fleet.api(server)).collect();
        Load::start(servers, mark, per_second)
    }

    /// Waits until everything that was accepted is shown and nothing runs any more; counts.
    pub async fn settle(&self, sent: &[Sent]) -> Count {
        // What is missing in the end is told by the count, with names; here it is only waited for.
        let until = tokio::time::Instant::now() + Duration::from_secs(60);
        while !self.count(sent).is_whole() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for server in (0..self.fleet.servers.len()).filter(|server| self.fleet.servers[*server].runs()) {
            let api = self.fleet.api(server);
            wait_for("nothing runs any more", PATIENCE, || async {
                let running = api.ask(Method::GET, "/api/v1/running", None).await.ok()?;
                (running.status == 200 && running.json.as_array()?.is_empty()).then_some(())
            })
            .await;
        }
        self.count(sent)
    }

    /// How often each of these was shown on each of its displays.
    pub fn count(&self, sent: &[Sent]) -> Count {
        let shown = self.displays.iter().map(texts);
        Count { stills: self.witness.seen(), ..Count::of(sent, &shown.collect::<Vec<_>>(), DISPLAYS) }
    }

    /// How often all displays together were told to show this text.
    pub fn shown(&self, title: &str) -> usize {
        self.displays.iter().flat_map(texts).filter(|(_, text)| text.contains(title)).count()
    }
}

/// What a display was told to show, and when.
fn texts(display: &AlgoSim) -> Vec<(tokio::time::Instant, String)> {
    let log = display.log();
    let texts = log.iter().filter(|request| request.path == "/api/controls/screen-text/start");
    texts.map(|request| (request.at.into(), text(&request.body))).collect()
}

/// The text that a request shows.
fn text(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["textContent"].as_str().unwrap_or_default().to_owned()
}

async fn post_all(api: &Api, rows: Vec<(&str, Value)>) {
    let posts = rows.into_iter().map(|(path, body)| async move {
        let answer = api.ask(Method::POST, path, Some(&body)).await.map_err(|error| error.to_string())?;
        if answer.status < 300 { Ok(()) } else { Err(format!("{path}: {} {}", answer.status, answer.text)) }
    });
    let done: Result<Vec<()>, String> = stream::iter(posts).buffered(8).try_collect().await;
    done.expect("the primary takes the configuration");
}
