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

/// How often a story about exact counts is told: an owner that stands still for long on a busy machine is rightly replaced, and
/// may have begun. What happens every time is a fault.
const TRIES: usize = 3;

/// Waits until a server that was asked to stop has ended.
pub async fn has_ended(server: &mut Server) -> ExitStatus {
    let server = std::sync::Mutex::new(server);
    wait_for("it has ended", LONGEST, || async { server.lock().expect("held here only").ended() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_a_moment_before_a_drain_and_what_runs_in_it_is_sent_once() {
    let mut site = Site::start_with_hold(2).await;
    for _ in 0..TRIES {
        let [running, before, during] = sent_around_a_drain(&mut site).await;
        println!("by: {running:?}, {before:?}, {during:?}");
        let once = [before, during].iter().all(|by| by.iter().sum::<usize>() == ENDPOINTS);
        if once && running == [ENDPOINTS, 0, 0] {
            return;
        }
    }
    panic!("every time something was sent twice, or what ran did not stay where it was");
}

/// Drains the first server while something runs on it, and sends before and during that; gives who delivered each how often.
async fn sent_around_a_drain(site: &mut Site) -> [[usize; 3]; 3] {
    // In the middle of a delivery: everything is begun, and stays for two seconds.
    let running = site.begun_by(0, "pa-1").await;
    // Before it: accepted by the second server for the first, which is told to stop at once.
    let before = site.send(1).await;
    let asked = Instant::now();
    // As the system does when it goes down: everybody is told at once, and the drivers are needed to the end.
    site.fleet.servers[0].terminate_with_workers();
    let during = site.send(2).await;
    let status = has_ended(&mut site.fleet.servers[0]).await;
    println!("drained in {} ms: {status}", asked.elapsed().as_millis());
    assert!(status.success(), "{status}");
    let log = site.fleet.servers[0].log();
    assert!(!log.contains("ended by SIGTERM"), "a driver's process went before its server: {log}");
    // What it finished itself is in its own records, and nothing of it is sent again when it returns.
    site.fleet.servers[0].start();
    for activation in [&running, &before, &during] {
        site.ended_on(0, activation).await;
    }
    site.fleet.in_step().await;
    [running, before, during].map(|activation| {
        assert!(site.everybody_has_it(&activation), "{activation}: {:?}", site.deliveries(&activation));
        site.deliveries(&activation)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_longer_than_a_drain_waits_is_handed_over_and_ended_by_the_next_server() {
    let mut site = Site::start_with_hold(40).await;
    for _ in 0..TRIES {
        if handed_over_and_ended_by_the_next(&mut site).await {
            return;
        }
        site.fleet.servers[0].start();
        site.fleet.in_step().await;
    }
    panic!("every time somebody else than the next server ended it, or it was begun or switched off twice");
}

/// Drains the first server while it holds something for longer than that; says whether the second ended it, and once.
async fn handed_over_and_ended_by_the_next(site: &mut Site) -> bool {
    let long = site.begun_by(0, "pa-1").await;
    let asked = Instant::now();
    site.fleet.servers[0].terminate();
    let status = has_ended(&mut site.fleet.servers[0]).await;
    println!("drained in {} ms: {status}", asked.elapsed().as_millis());
    assert!(status.success(), "{status}");
    if !site.fleet.servers[0].log().contains("handed over") {
        // One that stood still and was replaced before it was asked to stop has nothing to hand over.
        println!("nothing was handed over");
        return false;
    }
    assert_eq!(site.ends(&long), [0, 0, 0], "nobody has switched it off yet");
    let by = site.ended_by(&long).await;
    let (begun, ended) = (site.deliveries(&long), site.ends(&long));
    println!("ended by {by}, begun {begun:?}, switched off {ended:?}");
    assert_eq!(begun[0], ENDPOINTS, "{begun:?}");
    if by != "pa-2" || begun != [ENDPOINTS, 0, 0] || ended != [0, ENDPOINTS, 0] {
        return false;
    }
    let record = site.fleet.api(1).get(&format!("/api/v1/sent/{long}")).await;
    assert_eq!(record["row"]["outcome"], "success", "{record}");
    true
}
