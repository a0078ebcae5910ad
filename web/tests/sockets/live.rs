//! Live streams: the first event is whole, later ones hold what changed, and they end when they should.

use std::time::Duration;

use onealert_web::{ServeConfig, needs::State};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::{
    support::{LONG, Server},
    world::{PB1, World},
};

/// A stream being listened to.
struct Stream(BufReader<TcpStream>);

impl Stream {
    async fn open(server: &Server, path: &str, cookie: &str) -> Stream {
        let mut tcp = TcpStream::connect(server.addr).await.expect("the server listens");
        let ask = format!("GET {path} HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\nAccept-Encoding: gzip\r\n\r\n");
        tcp.write_all(ask.as_bytes()).await.expect("the server reads");
        Stream(BufReader::new(tcp))
    }

    /// The next line that fits; `None` when the stream ends: with the last chunk of the answer, or with the connection.
    async fn line(&mut self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let read = async {
            loop {
                let mut line = String::new();
                if self.0.read_line(&mut line).await.unwrap_or(0) == 0 || line.trim_end() == "0" {
                    return None;
                }
                if fits(line.trim_end()) {
                    return Some(line.trim_end().to_owned());
                }
            }
        };
        timeout(LONG, read).await.expect("something comes in time")
    }

    /// The next event's data.
    async fn event(&mut self) -> Option<Value> {
        let line = self.line(|line| line.starts_with("data:") && line != "data:{}").await?;
        Some(serde_json::from_str(line.trim_start_matches("data:")).expect("JSON"))
    }
}

#[tokio::test]
async fn a_page_gets_everything_first_and_then_what_changed() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("sender").await;
    let mut stream = Stream::open(&server, "/live/status", &cookie).await;
    let first = stream.event().await.expect("a first event");
    for part in ["pulse", "attention", "running", &format!("tab-{PB1}"), &format!("server-{PB1}")] {
        assert!(first[part].is_string(), "{part} is missing in {first}");
    }
    assert!(first.get("announce").is_none(), "nothing is spoken at the beginning");
    server.world.change(|state| {
        let pb1 = state.status.servers.iter_mut().find(|server| server.id == PB1).expect("pb-1");
        (pb1.state, pb1.text) = (State::Bad, "Not heard for 6 s".to_owned());
    });
    let changed = stream.event().await.expect("an event of the change");
    assert_eq!(changed["announce"], "pb-1: Not heard for 6 s.");
    assert!(changed[format!("server-{PB1}")].as_str().is_some_and(|html| html.contains("Not heard for 6 s")));
    assert!(changed.get("attention").is_none(), "what is the same is not sent again: {changed}");
}

#[tokio::test]
async fn a_page_elsewhere_gets_the_header_only() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("viewer").await;
    let first = Stream::open(&server, "/live/frame", &cookie).await.event().await.expect("a first event");
    assert_eq!(
        first.as_object().map(|parts| parts.keys().cloned().collect::<Vec<_>>()),
        Some(vec!["pulse".to_owned()])
    );
}

#[tokio::test]
async fn programs_get_the_whole_state_each_time() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("viewer").await;
    let mut stream = Stream::open(&server, "/api/v1/status/stream", &cookie).await;
    assert_eq!(stream.event().await.expect("a first event")["status"]["servers"].as_array().map(Vec::len), Some(3));
    server.world.change(|state| state.status.servers.truncate(1));
    assert_eq!(stream.event().await.expect("a second event")["status"]["servers"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_stream_says_that_it_lives_while_nothing_changes() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("viewer").await;
    let mut stream = Stream::open(&server, "/live/frame", &cookie).await;
    stream.event().await.expect("a first event");
    assert!(stream.line(|line| line == "event:beat").await.is_some());
}

#[tokio::test]
async fn signing_out_ends_the_stream() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("viewer").await;
    let mut stream = Stream::open(&server, "/live/frame", &cookie).await;
    stream.event().await.expect("a first event");
    server.request("POST", "/logout").cookie(&cookie).send().await.is(303);
    server.world.change(|state| state.status.servers[0].state = State::Bad);
    assert_eq!(stream.line(|line| line.starts_with("event:")).await, None, "no further event");
    server.get("/live/frame").cookie(&cookie).send().await.is(401);
}

#[tokio::test]
async fn a_stop_ends_open_streams_at_once() {
    let limits = |config: &mut ServeConfig| {
        (config.allow_http_login, config.stop_within) = (true, Duration::from_secs(60));
    };
    let server = Server::with(World::primary(), limits).await;
    let cookie = server.sign_in("viewer").await;
    let mut stream = Stream::open(&server, "/live/status", &cookie).await;
    stream.event().await.expect("a first event");
    server.stop.send_replace(true);
    assert_eq!(stream.line(|line| line.starts_with("event:")).await, None);
    let Server { task, .. } = server;
    // Far below the minute that it would wait for a request that does not end.
    timeout(LONG, task).await.expect("the server stops").expect("without a panic");
}
