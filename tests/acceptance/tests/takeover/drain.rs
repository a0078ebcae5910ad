//! A server is asked to stop while it has something to do: it finishes, or the next server goes on. Nothing is lost, and nothing
//! is begun twice.

use std::{
    process::ExitStatus,
    time::{Duration, Instant},
};

use harness::{Server, wait_for};

use crate::site::{ENDPOINTS, Site};

/// A drain ends by itself after 20 s at the latest; the rest is for a busy machine.
const LONGEST: Duration = Duration::from_secs(60);

/// Waits until a server that was asked to stop has ended.
async fn has_ended(server: &mut Server) -> ExitStatus {
    let server = std::sync::Mutex::new(server);
    wait_for("it has ended", LONGEST, || async { server.lock().expect("held here only").ended() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_a_moment_before_a_drain_and_what_runs_in_it_is_sent_once() {
    let mut site = Site::start_with_hold(2).await;
    // In the middle of a delivery: everything is begun, and stays for two seconds.
    let running = site.send(0).await;
    wait_for("it is begun", LONGEST, || async { (site.deliveries(&running) == [ENDPOINTS, 0, 0]).then_some(()) }).await;
    // Before it: accepted by the second server for the first, which is told to stop at once.
    let before = site.send(1).await;
    let asked = Instant::now();
    site.fleet.servers[0].terminate();
    let during = site.send(2).await;
    let status = has_ended(&mut site.fleet.servers[0]).await;
    println!("drained in {} ms: {status}", asked.elapsed().as_millis());
    assert!(status.success(), "{status}");
    // What it finished itself is in its own records, and nothing of it is sent again when it returns.
    site.fleet.servers[0].start();
    for activation in [&running, &before, &during] {
        site.ended_on(0, activation).await;
    }
    for activation in [&running, &before, &during] {
        let reached: usize = site.deliveries(activation).iter().sum();
        assert_eq!(reached, ENDPOINTS, "{activation}: {:?}", site.deliveries(activation));
        assert!(site.everybody_has_it(activation), "{activation}");
    }
    assert_eq!(site.deliveries(&running)[0], ENDPOINTS, "what ran stayed where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_longer_than_a_drain_waits_is_handed_over_and_ended_by_the_next_server() {
    let mut site = Site::start_with_hold(25).await;
    let long = site.send(0).await;
    wait_for("it is begun", LONGEST, || async { (site.deliveries(&long) == [ENDPOINTS, 0, 0]).then_some(()) }).await;
    let asked = Instant::now();
    site.fleet.servers[0].terminate();
    let status = has_ended(&mut site.fleet.servers[0]).await;
    println!("drained in {} ms: {status}", asked.elapsed().as_millis());
    assert!(status.success(), "{status}");
    assert!(site.fleet.servers[0].log().contains("handed over"), "it says so in its log");
    assert_eq!(site.ends(&long), [0, 0, 0], "nobody has switched it off yet");
    let record = wait_for("the next server has ended it", LONGEST, || async {
        let page = site.fleet.api(1).ask(http_client::Method::GET, "/api/v1/sent", None).await.ok()?.json;
        page["rows"].as_array()?.iter().find(|row| row["activation"] == long.as_str()).cloned()
    })
    .await;
    assert_eq!((&record["server_name"], &record["outcome"]), (&"pa-2".into(), &"success".into()), "{record}");
    assert_eq!(site.deliveries(&long), [ENDPOINTS, 0, 0], "begun once");
    assert_eq!(site.ends(&long), [0, ENDPOINTS, 0], "and switched off once");
}
