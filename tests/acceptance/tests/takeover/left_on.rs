//! What was begun by a server that is gone is switched off, also where nobody sends anything any more.

use std::time::Duration;

use harness::wait_for;

use crate::{
    drain::has_ended,
    site::{ENDPOINTS, Site},
};

const PATIENCE: Duration = Duration::from_secs(90);
/// How often a story is told whose moment a busy machine may miss.
const TRIES: usize = 3;

/// Waits until every endpoint has been told by some server that the activation is over.
async fn is_off_everywhere(site: &Site, activation: &str) {
    wait_for("every endpoint is switched off", PATIENCE, || async {
        // Whoever ends it ends it on all of them.
        site.ends(activation).contains(&ENDPOINTS).then_some(())
    })
    .await;
}

/// Seen by reading: between the hand-over and the next server's claim a stop ended the activation, and nobody's drivers.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_in_the_moment_in_which_it_is_handed_over_is_switched_off() {
    let mut site = Site::start_with_hold(600).await;
    let long = site.begun_by(0, "pa-1").await;
    let api = site.fleet.api(1);
    site.fleet.servers[0].terminate();
    let handed_over = || async { site.fleet.servers[0].log().contains("handed over").then_some(()) };
    wait_for("it is handed over", PATIENCE, handed_over).await;
    api.stop(&long).await;
    is_off_everywhere(&site, &long).await;
    let status = has_ended(&mut site.fleet.servers[0]).await;
    assert!(status.success(), "{status}");
}

/// Seen by reading: a server that was started again took what its endpoints had for their end.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_of_the_whole_site_what_was_on_is_switched_off_when_its_time_is_over() {
    let mut site = Site::start_with_hold(8).await;
    for _ in 0..TRIES {
        let page = site.begun_by(0, "pa-1").await;
        // Its endpoints' results are durable a moment later.
        tokio::time::sleep(Duration::from_secs(2)).await;
        for server in &mut site.fleet.servers {
            server.kill();
        }
        let before = site.ends(&page);
        for server in &mut site.fleet.servers {
            server.start();
        }
        is_off_everywhere(&site, &page).await;
        if before == [0, 0, 0] {
            return;
        }
        println!("it was over before the power was cut");
        site.fleet.in_step().await;
    }
    panic!("every time it was over before the power was cut");
}
