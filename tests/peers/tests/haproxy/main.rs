//! What a real HAProxy makes of a primary and a secondary, with the published and with the recommended configuration: who answers,
//! and which requests fail (redundancy sheet, section 9). Times are printed, not asserted.

mod balancer;

use balancer::{Caller, Site, installed};
use http_client::{Client, Options, Request, Trust};
use serde_json::json;

/// Says how long it took, and how the caller fared.
fn told(what: &str, took: std::time::Duration, caller: Caller) -> Vec<String> {
    let (asked, failed) = caller.stop();
    println!(
        "{what}: first answer of the other server after {:.2} s; {} of {asked} requests failed",
        took.as_secs_f64(),
        failed.len()
    );
    assert!(asked > 0, "the caller asked");
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn published_kill_hang_and_return() {
    if !installed() {
        return;
    }
    let mut site = Site::start("published.cfg").await;
    site.answered_by("Primary").await;

    let caller = site.caller();
    site.fleet.servers[0].kill();
    let took = site.answered_by("Secondary").await;
    told("published, killed", took, caller);
    site.server_is("s1_http", "DOWN").await;

    site.fleet.servers[0].start();
    site.server_is("s1_http", "UP").await;
    site.answered_by("Primary").await;

    // It accepts and never answers.
    let caller = site.caller();
    site.fleet.servers[0].pause();
    let took = site.answered_by("Secondary").await;
    site.fleet.servers[0].wake();
    told("published, hanging", took, caller);
    site.answered_by("Primary").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn published_drain_fails_no_request_and_http_moves_before_the_door_closes() {
    if !installed() {
        return;
    }
    drains("published.cfg").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recommended_drain_fails_no_request() {
    if !installed() {
        return;
    }
    drains("recommended.cfg").await;
}

/// Between the balancer's notice and the closed door lies about a second, which a busy machine may need for other things.
async fn drains(file: &str) {
    for _ in 0..3 {
        if drained(file).await {
            return;
        }
    }
    panic!("{file}: every time the door was closed before the 404 had moved the requests");
}

/// Says whether the 404 alone moved the requests, before the door closed.
async fn drained(file: &str) -> bool {
    let mut site = Site::start(file).await;
    site.answered_by("Primary").await;
    let caller = site.caller();
    let mut server = site.fleet.servers.remove(0);
    let begun = std::time::Instant::now();
    let stopping = std::thread::spawn(move || {
        let well = server.stop();
        (server, well)
    });
    let took = site.answered_by("Secondary").await;
    let before_closing = !stopping.is_finished();
    let (mut server, well) = stopping.join().expect("no panic");
    println!("{file}: drained and closed after {:.2} s", begun.elapsed().as_secs_f64());
    assert!(well, "it ended in good order");
    // Until the balancer has noticed the closed door too.
    site.server_is("s1_http", "DOWN").await;
    site.server_is("s1_https", "DOWN").await;
    server.start();
    site.fleet.servers.insert(0, server);
    site.server_is("s1_http", "UP").await;
    site.answered_by("Primary").await;
    let failed = told(&format!("{file}, drain and return"), took, caller);
    assert!(failed.is_empty() || !before_closing, "{failed:?}");
    before_closing
}

#[tokio::test(flavor = "multi_thread")]
async fn recommended_kill_hang_and_return_fail_no_request() {
    if !installed() {
        return;
    }
    let mut site = Site::start("recommended.cfg").await;
    site.answered_by("Primary").await;

    let caller = site.caller();
    site.fleet.servers[0].kill();
    let took = site.answered_by("Secondary").await;
    site.server_is("s1_http", "DOWN").await;
    site.fleet.servers[0].start();
    site.answered_by("Primary").await;
    assert_eq!(told("recommended, killed and back", took, caller), [] as [String; 0]);

    let caller = site.caller();
    site.fleet.servers[0].pause();
    let took = site.answered_by("Secondary").await;
    site.fleet.servers[0].wake();
    site.answered_by("Primary").await;
    assert_eq!(told("recommended, hanging and back", took, caller), [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_tls_greeting_counts_as_up_and_https_passes_through_to_the_site_itself() {
    if !installed() {
        return;
    }
    let site = Site::start("published.cfg").await;
    // An SSLv3 hello, answered by an alert: what `ssl-hello-chk` takes for life.
    for name in ["s1_https", "s2_https"] {
        assert_eq!(site.seen(name), Some(("UP".to_owned(), "L6OK".to_owned())), "{name}");
    }
    let fingerprint = site.fleet.servers[0].fingerprint().parse().expect("a fingerprint");
    let client = Client::new(Options { trust: Trust::Authority(fingerprint), ..Options::default() });
    let url = format!("https://{}:8443{}", site.address, balancer::STATUS);
    let answer = client.send(Request::get(url)).await.expect("an answer through the balancer");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"Primary Active\n"[..]));
    // What balancers do to the port every two seconds is no news.
    let log = site.fleet.servers[0].log();
    assert!(!log.contains("handshake"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn published_a_deprovisioned_server_is_sent_nobody_until_it_has_joined_again() {
    if installed() {
        deprovisioned("published.cfg").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recommended_a_deprovisioned_server_is_sent_nobody_over_https_either() {
    if installed() {
        let site = deprovisioned("recommended.cfg").await;
        site.server_is("s2_https", "UP").await;
    }
}

/// The secondary is removed for good and joins again. What it says in between is 503, and that is never mistaken for standing by.
async fn deprovisioned(file: &str) -> Site {
    let mut site = Site::start(file).await;
    site.answered_by("Primary").await;
    let caller = site.caller();
    let begun = std::time::Instant::now();
    let api = site.fleet.api(0);
    let servers = api.get("/api/v1/servers").await;
    let mut rows = servers.as_array().expect("a list").iter();
    let secondary = rows.find(|row| row["name"] == "pa-2").expect("it is enrolled")["id"].clone();
    let path = format!("/api/v1/servers/{}/deprovision", secondary.as_str().expect("an id"));
    api.post(&path, json!({"confirm": "pa-2"})).await;
    site.server_is("s2_http", "DOWN").await;
    let took = begun.elapsed();
    if file == "recommended.cfg" {
        site.server_is("s2_https", "DOWN").await;
    }
    // It starts anew without what it held, and stays out.
    let direct = format!("{}:8080", site.fleet.servers[1].address);
    harness::wait_for("an answer of the server that starts anew", balancer::PATIENCE, || async {
        let (status, line) = balancer::said(&direct).await.ok()?;
        assert_eq!((status, line.as_str()), (503, "Secondary Deprovisioned\n"));
        Some(())
    })
    .await;
    let (asked, failed) = caller.stop();
    println!("{file}: a deprovisioned server is out after {:.2} s", took.as_secs_f64());
    assert!(asked > 0 && failed.is_empty(), "{failed:?}");

    // With the primary gone too, nobody answers: a server that sends nothing is no stand-in.
    site.fleet.servers[0].kill();
    site.server_is("s1_http", "DOWN").await;
    let balancer = format!("{}:8080", site.address);
    let asked = move || balancer::ask(&balancer, balancer::STATUS, balancer::PATIENCE);
    let asked = tokio::task::spawn_blocking(asked).await.expect("asking does not panic");
    let (status, body) = asked.expect("the balancer itself answers");
    assert_eq!(status, 503, "{body}");
    assert!(!body.starts_with("Secondary"), "{body}");

    site.fleet.servers[0].start();
    site.answered_by("Primary").await;
    site.fleet.join(1, 0).expect("fresh credentials let it in again");
    site.server_is("s2_http", "UP").await;
    site.fleet.servers[0].kill();
    site.answered_by("Secondary").await;
    site
}
