//! The caller: sets off one activation after the other, and remembers what was promised for each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use harness::Api;
use http_client::Method;
use serde_json::json;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};

use crate::LINES;

/// How long one server is waited for before the next is asked.
const ANSWER: Duration = Duration::from_secs(5);

/// One activation that was asked for.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The text that its displays show.
    pub text: String,
    /// Which notification.
    pub line: usize,
    /// The server that accepted it; `None` when none did.
    pub accepted_by: Option<usize>,
    /// Whom the accepting server named as owner.
    pub owner: String,
    /// It was accepted with one copy only, and said so.
    pub degraded: bool,
    /// What the servers said that did not accept it.
    pub refused: Vec<String>,
    /// When it was asked for.
    pub at: Instant,
    /// How long it took until it was accepted.
    pub took: Duration,
}

/// A load that goes on until it is ended.
pub struct Load {
    go: Arc<AtomicBool>,
    task: JoinHandle<Vec<Sent>>,
}

impl Load {
    pub(crate) fn start(servers: Vec<Api>, mark: &str, per_second: u32) -> Load {
        let (go, mark) = (Arc::new(AtomicBool::new(true)), mark.to_owned());
        let going = go.clone();
        let task = tokio::spawn(async move {
            let mut tick = interval(Duration::from_secs(1) / per_second);
            tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut asked = JoinSet::new();
            for number in 0.. {
                tick.tick().await;
                if !going.load(Ordering::Relaxed) {
                    break;
                }
                asked.spawn(set_off(servers.clone(), number, format!("{mark}-{number}")));
            }
            asked.join_all().await
        });
        Load { go, task }
    }

    /// Ends it, and waits for the last answers.
    ///
    /// # Panics
    /// The load itself broke.
    pub async fn end(self) -> Vec<Sent> {
        self.go.store(false, Ordering::Relaxed);
        self.task.await.expect("the load does not panic")
    }
}

/// Asks one server after the other for the same event until one accepts it, a lone one again. Each event begins with another
/// server.
async fn set_off(servers: Vec<Api>, number: usize, text: String) -> Sent {
    let (line, at) = (number % LINES, Instant::now());
    let mut sent = Sent {
        text,
        line,
        accepted_by: None,
        owner: String::new(),
        degraded: false,
        refused: Vec::new(),
        at,
        took: Duration::ZERO,
    };
    let body = json!({"key": sent.text, "title": sent.text, "body": ""});
    for turn in 0..servers.len().max(3) {
        let server = (number + turn) % servers.len();
        let path = format!("/api/v1/triggers/line-{line}/events");
        let answer = tokio::time::timeout(ANSWER, servers[server].ask(Method::POST, &path, Some(&body))).await;
        match answer {
            Ok(Ok(answer)) if (200..300).contains(&answer.status) => {
                sent.accepted_by = Some(server);
                sent.degraded = answer.json["degraded"] == true;
                sent.owner = answer.json["owner"].as_str().unwrap_or_default().to_owned();
                sent.took = at.elapsed();
                return sent;
            }
            Ok(Ok(answer)) => sent.refused.push(format!("server {server}: {} {}", answer.status, answer.text)),
            Ok(Err(error)) => sent.refused.push(format!("server {server}: {error}")),
            Err(_) => sent.refused.push(format!("server {server}: no answer")),
        }
    }
    sent
}
