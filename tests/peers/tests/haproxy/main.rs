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

/// Whether requests failed only because the machine stood still for so long that the balancer, which asks twice a second, gave up
/// the server that was there all the while. Who runs a story again for that still fails when the product is at fault each time.
fn disturbed(site: &Site, stays: &str, failed: &[String]) -> bool {
    let downs = site.downs(stays);
    assert!(failed.is_empty() || downs > 0, "{failed:?}");
    if !failed.is_empty() {
        println!("the balancer gave up {stays} {downs} times; requests failed: {failed:?}");
    }
    !failed.is_empty()
}

/// Between the balancer's notice and the closed door lies about a second, which a busy machine may need for other things.
async fn drains(file: &str) {
    for _ in 0..3 {
        if drained(file).await {
            return;
        }
    }
    panic!("{file}: every time requests failed, or the door was closed before the 404 had moved them");
}

/// Says whether the 404 alone moved the requests, before the door closed, and none failed.
async fn drained(file: &str) -> bool {
    let mut site = Site::start(file).await;
    site.answered_by("Primary").await;
    let caller = site.caller();
    let mut server = site.fleet.servers.remove(0);
    let door = format!("{}:8080", server.address);
    let begun = std::time::Instant::now();
    let stopping = std::thread::spawn(move || {
        let well = server.stop();
        (server, well)
    });
    let took = site.answered_by("Secondary").await;
    let before_closing = std::net::TcpStream::connect(door).is_ok();
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
    before_closing && !disturbed(&site, "s2_http", &failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn recommended_kill_hang_and_return_fail_no_request() {
    if !installed() {
        return;
    }
    for _ in 0..3 {
        if killed_hung_and_returned().await {
            return;
        }
    }
    panic!("every time requests failed");
}

/// Says whether no request failed.
async fn killed_hung_and_returned() -> bool {
    let mut site = Site::start("recommended.cfg").await;
    site.answered_by("Primary").await;

    let caller = site.caller();
    site.fleet.servers[0].kill();
    let took = site.answered_by("Secondary").await;
    site.server_is("s1_http", "DOWN").await;
    site.fleet.servers[0].start();
    site.answered_by("Primary").await;
    if disturbed(&site, "s2_http", &told("recommended, killed and back", took, caller)) {
        return false;
    }

    let caller = site.caller();
    site.fleet.servers[0].pause();
    let took = site.answered_by("Secondary").await;
    site.fleet.servers[0].wake();
    site.answered_by("Primary").await;
    !disturbed(&site, "s2_http", &told("recommended, hanging and back", took, caller))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_tls_greeting_counts_as_up_and_https_passes_through_to_the_site_itself() {
    if !installed() {
        return;
    }
    let site = Site::start("published.cfg").await;
    // An SSLv3 hello, answered by an alert: what `ssl-hello-chk` takes for life.
    for name in ["s1_https", "s2_https"] {
        harness::wait_for(&format!("haproxy takes the alert of {name} for life"), balancer::PATIENCE, || async {
            (site.seen(name)? == ("UP".to_owned(), "L6OK".to_owned())).then_some(())
        })
        .await;
    }
    let fingerprint = site.fleet.servers[0].fingerprint().parse().expect("a fingerprint");
    let client = Client::new(Options { trust: Trust::Authority(fingerprint), ..Options::default() });
    let url = format!("https://{}:8443{}", site.address, balancer::STATUS);
    // A server whose loop stood still with the machine says 503 until it goes on.
    let body = harness::wait_for("an answer through the balancer", balancer::PATIENCE, || async {
        let answer = client.send(Request::get(&url)).await.ok()?;
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    assert_eq!(&body[..], b"Primary Active\n");
    // What balancers do to the port every two seconds is no news.
    let log = site.fleet.servers[0].log();
    assert!(!log.contains("handshake"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn published_a_deprovisioned_server_is_sent_nobody_until_it_has_joined_again() {
    if installed() {
        is_sent_nobody("published.cfg").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recommended_a_deprovisioned_server_is_sent_nobody_over_https_either() {
    if installed() {
        let site = is_sent_nobody("recommended.cfg").await;
        site.server_is("s2_https", "UP").await;
    }
}

async fn is_sent_nobody(file: &str) -> Site {
    for _ in 0..3 {
        if let Some(site) = deprovisioned(file).await {
            return site;
        }
    }
    panic!("{file}: every time requests failed");
}

/// The secondary is removed for good and joins again. What it says in between is 503, and that is never mistaken for standing by.
/// Nothing where requests failed because the machine stood still.
async fn deprovisioned(file: &str) -> Option<Site> {
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
        assert_ne!(status, 200, "{line}");
        ((status, line.as_str()) == (503, "Secondary Deprovisioned\n")).then_some(())
    })
    .await;
    let (asked, failed) = caller.stop();
    println!("{file}: a deprovisioned server is out after {:.2} s", took.as_secs_f64());
    assert!(asked > 0, "the caller asked");
    if disturbed(&site, "s1_http", &failed) {
        return None;
    }

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
    Some(site)
}
