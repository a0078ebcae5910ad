//! The status URL does what HAProxy needs (redundancy sheet, section 9).

use onealert_web::needs::BalancerStatus;

use crate::{support::Server, world::World};

const ASK: &[u8] = b"GET /SA-Announce/RevolutionStatus HTTP/1.0\r\n\r\n";

#[tokio::test]
async fn haproxy_asks_with_http_1_0_and_no_host_header() {
    let server = Server::with(World::primary(), |_| {}).await;
    let answer = server.raw(ASK).await.is(200);
    assert_eq!(answer.body, "Primary Active\n");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn head_has_the_head_of_get_and_no_body() {
    let server = Server::with(World::primary(), |_| {}).await;
    let answer = server.raw(b"HEAD /SA-Announce/RevolutionStatus HTTP/1.0\r\n\r\n").await.is(200);
    assert_eq!(answer.body, "");
    assert_eq!(answer.header("content-length"), Some("15"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn it_says_what_the_host_says_at_each_moment() {
    let server = Server::with(World::secondary(), |_| {}).await;
    assert_eq!(server.raw(ASK).await.is(200).body, "Secondary Standby\n");
    for (status, line) in [(404, "Draining"), (503, "Stuck"), (200, "Secondary Active")] {
        server.world.change(|state| state.balancer = BalancerStatus { status, line: line.into() });
        assert_eq!(server.raw(ASK).await.is(status).body, format!("{line}\n"));
    }
}

#[tokio::test]
async fn it_stays_one_line_and_needs_no_login_whatever_is_sent_along() {
    let server = Server::with(World::primary(), |_| {}).await;
    server.world.change(|state| state.balancer = BalancerStatus { status: 200, line: "Primary\r\nActive".into() });
    let ask = b"GET /SA-Announce/RevolutionStatus?x=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Basic nonsense\r\n\
                Cookie: onealert-x=1\r\nConnection: close\r\n\r\n";
    assert_eq!(server.raw(ask).await.is(200).body, "Primary  Active\n");
    let answer = server.request("POST", "/SA-Announce/RevolutionStatus").send().await.is(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
}

#[tokio::test]
async fn a_fault_in_the_pages_does_not_reach_it() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    server.world.change(|state| state.broken = true);
    server.get("/status").cookie(&cookie).send().await.is(500);
    server
        .get("/api/v1/status")
        .cookie(&cookie)
        .send()
        .await
        .is(500)
        .shows("Internal error")
        .hides("a fault in the host");
    server.raw(ASK).await.is(200);
    server.world.change(|state| state.broken = false);
    server.get("/status").cookie(&cookie).send().await.is(200);
}
