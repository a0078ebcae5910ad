//! The owner is lost in the middle of a delivery, in every way in which a server is lost; every device is reached, and how often
//! each was reached is counted at the device.
//!
//! The bound is that of the specification: once, and once more for each crash, restart, cut and false suspicion since
//! acceptance. What the other servers knew to be reached is not reached again at all.

mod late;
mod site;

use harness::{same, tell};
use site::{STROBES, Site};

/// How often each strobe was started, told as those that were known to be reached, and the slow one.
fn fast_and_slow(site: &Site) -> (Vec<usize>, usize) {
    let mut counts = site.counts();
    let slow = counts.pop().expect("five strobes");
    (counts, slow)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_killed_between_acceptance_and_delivery() {
    tell(killed_before_delivery).await;
}

async fn killed_before_delivery() -> Result<(), String> {
    let mut site = Site::start(false).await;
    // Accepted means that a second server has it.
    let activation = site.send_confirmed(0).await;
    site.fleet.servers[0].kill();
    site.everybody_has_it(1).await;
    let record = site.stop(1, &activation).await;
    same(&record["row"]["server_name"], "pa-2", "who sends after it")?;
    let counts = site.counts();
    let bound = counts.iter().all(|count| (1..=2).contains(count));
    same(bound, true, &format!("once, and once more for the crash: {counts:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_killed_in_the_middle_of_delivery() {
    tell(killed_in_the_middle).await;
}

async fn killed_in_the_middle() -> Result<(), String> {
    let mut site = Site::start(false).await;
    let activation = site.in_the_middle(1).await;
    site.slow_stalls(false);
    site.fleet.servers[0].kill();
    site.everybody_has_it(1).await;
    site.runs_on(1, &activation, "the successor knows that all have it", |row| row["reached"] == STROBES).await?;
    let (fast, slow) = fast_and_slow(&site);
    same(&fast[..], [1; STROBES - 1], "what the successor knew to be reached is not reached again")?;
    assert!((1..=2).contains(&slow), "once, and once more for the crash: {slow}");
    // The killed server comes back in the middle as well, asks the others, and does nothing.
    site.fleet.servers[0].start();
    site.fleet.in_step().await;
    site.runs_on(0, &activation, "the returned server knows who has it", |row| row["server"] == "pa-2").await?;
    let record = site.stop(0, &activation).await;
    assert_eq!(record["row"]["reached"], STROBES, "{record}");
    assert_eq!(fast_and_slow(&site), (fast, slow), "coming back sends nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_stops_running_in_the_middle_of_delivery_and_wakes_up_again() {
    tell(asleep_in_the_middle).await;
}

async fn asleep_in_the_middle() -> Result<(), String> {
    let mut site = Site::start(false).await;
    let activation = site.in_the_middle(1).await;
    site.slow_stalls(false);
    site.fleet.servers[0].pause();
    site.runs_on(1, &activation, "the next server has it all done", |row| {
        row["server"] == "pa-2" && row["reached"] == STROBES
    })
    .await?;
    site.fleet.servers[0].wake();
    site.fleet.in_step().await;
    site.runs_on(0, &activation, "the owner that slept has yielded", |row| row["server"] == "pa-2").await?;
    let (fast, slow) = fast_and_slow(&site);
    same(&fast[..], [1; STROBES - 1], "what was known to be reached is reached once")?;
    assert!((1..=2).contains(&slow), "once, and once more for the suspicion: {slow}");
    site.stop(0, &activation).await;
    assert_eq!(fast_and_slow(&site), (fast, slow), "neither waking up nor the end sends anything");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_cut_off_in_the_middle_of_delivery_and_the_cut_heals() {
    tell(cut_off_in_the_middle).await;
}

async fn cut_off_in_the_middle() -> Result<(), String> {
    let mut site = Site::start(true).await;
    let activation = site.in_the_middle(1).await;
    site.slow_stalls(false);
    site.fleet.network().cut(0);
    site.runs_on(1, &activation, "the next server has it all done", |row| {
        row["server"] == "pa-2" && row["reached"] == STROBES
    })
    .await?;
    site.runs_on(0, &activation, "the owner on its side of the cut goes on", |row| row["server"] == "pa-1").await?;
    site.fleet.network().heal(0);
    site.fleet.in_step().await;
    site.runs_on(0, &activation, "the higher claim goes on", |row| row["server"] == "pa-2").await?;
    let (fast, slow) = fast_and_slow(&site);
    same(&fast[..], [1; STROBES - 1], "what both sides knew to be reached is reached once")?;
    assert!((1..=2).contains(&slow), "once, and once more for the cut: {slow}");
    site.stop(0, &activation).await;
    assert_eq!(fast_and_slow(&site), (fast, slow), "nothing is sent because of healing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_of_a_cut_sends_what_it_is_asked_to_and_once() {
    tell(each_side_of_a_cut_sends_once).await;
}

async fn each_side_of_a_cut_sends_once() -> Result<(), String> {
    let mut site = Site::start(true).await;
    site.fleet.network().cut(0);
    // Until the silence is noticed, a server hands over to the owner that it believes up, and waits for it in vain.
    site.believed_down(1, "pa-1").await;
    site.believed_down(0, "pa-2").await;
    // Two servers are on this side.
    let theirs = site.send_confirmed(1).await;
    site.everybody_has_it(1).await;
    site.runs_on(1, &theirs, "their side has done it", |row| row["server"] == "pa-2" && row["reached"] == STROBES)
        .await?;
    same(site.counts(), [1; STROBES], "each once by their side")?;
    let (ours, degraded) = site.send(0).await;
    assert!(degraded, "a server that is alone says so");
    site.everybody_has_it(2).await;
    site.fleet.network().heal(0);
    site.fleet.in_step().await;
    site.runs_on(0, &theirs, "the cut-off server learns what was sent", |row| row["server"] == "pa-2").await?;
    site.stop(1, &theirs).await;
    site.stop(0, &ours).await;
    assert_eq!(site.counts(), [2; STROBES], "each was sent once, and healing sends nothing");
    Ok(())
}
