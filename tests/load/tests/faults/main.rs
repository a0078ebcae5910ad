//! Ten activations a second while something happens to a server; what was accepted is counted at the displays.
//!
//! Accepted and never shown: 0, whatever happens. Shown twice: 0 without a fault, in a drain and in an upgrade; with a fault at
//! most once more for each crash, pause or cut (invariant I4 of the redundancy sheet), and only what the fault explains: each
//! test prints how many repetitions there were and why. Where the machine that runs this stood still, that explains them too, and
//! is printed. `ONEALERT_LOAD_SECONDS` makes each load longer.

mod disk;

use std::time::Duration;

use harness::{FleetOptions, Lan};
use load::{Count, Explained, Fault, Sent, Site, Why};
use tokio::time::{Instant, sleep};

const PER_SECOND: u32 = 10;

/// How long a load lasts before and after what happens.
fn stretch() -> Duration {
    let seconds = std::env::var("ONEALERT_LOAD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    Duration::from_secs(seconds) / 2
}

/// Servers that give each other twice the usual time: what this machine's own disk delays now and then is not the fault that a
/// test is about.
fn unhurried() -> FleetOptions {
    FleetOptions { heartbeat_ms: 500, ..FleetOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_faults_and_while_the_owner_drains_and_returns_nothing_is_lost_or_doubled() {
    let mut site = Site::start(FleetOptions::patient()).await;
    let load = site.load("drain", PER_SECOND);
    sleep(stretch()).await;
    let owner = &mut site.fleet.servers[0];
    assert!(owner.stop(), "it drains and ends well");
    sleep(stretch()).await;
    owner.start();
    sleep(stretch()).await;
    let sent = load.end().await;
    let count = site.settle(&sent).await;
    exact(&count, &sent, "drain");
    let by = |name: &str| sent.iter().filter(|sent| sent.owner == name).count();
    assert!(by("pa-1") > 0 && by("pa-2") > 0, "the next server did it while the first was away");
}

/// The primary first, then one secondary at a time, each back in step before the next (sheet, section 7).
#[tokio::test(flavor = "multi_thread")]
async fn three_servers_are_upgraded_one_after_the_other_under_load() {
    let mut site = Site::start(FleetOptions::patient()).await;
    let load = site.load("upgrade", PER_SECOND);
    sleep(stretch()).await;
    for server in 0..3 {
        assert!(site.fleet.servers[server].stop(), "it drains and ends well");
        site.fleet.servers[server].set_environment("ONEALERT_PRETEND_VERSION", Some("0.2.0"));
        site.fleet.servers[server].start();
        site.displays_are_known(server).await;
    }
    site.fleet.in_step().await;
    sleep(stretch()).await;
    let sent = load.end().await;
    exact(&site.settle(&sent).await, &sent, "upgrade");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_killed_under_load() {
    let mut site = Site::start(unhurried()).await;
    let load = site.load("kill", PER_SECOND);
    sleep(stretch()).await;
    let from = Instant::now();
    site.fleet.servers[0].kill();
    let fault = Fault { what: "kill", from, until: Instant::now() };
    sleep(stretch()).await;
    site.fleet.servers[0].start();
    sleep(stretch()).await;
    let sent = load.end().await;
    bounded(&site.settle(&sent).await, &sent, fault);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_paused_under_load_and_wakes() {
    let site = Site::start(unhurried()).await;
    let load = site.load("pause", PER_SECOND);
    sleep(stretch()).await;
    let from = Instant::now();
    site.fleet.servers[0].pause();
    sleep(stretch()).await;
    site.fleet.servers[0].wake();
    let fault = Fault { what: "pause", from, until: Instant::now() };
    sleep(stretch()).await;
    let sent = load.end().await;
    bounded(&site.settle(&sent).await, &sent, fault);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_cable_is_pulled_under_load_and_put_back() {
    if let Some(missing) = Lan::needs() {
        println!("SKIPPED the_owners_cable_is_pulled_under_load_and_put_back: needs {missing}");
        return;
    }
    let site = Site::start(FleetOptions { cables: true, ..unhurried() }).await;
    let load = site.load("cut", PER_SECOND);
    sleep(stretch()).await;
    let lan = site.fleet.lan.as_ref().expect("made with cables");
    let from = Instant::now();
    lan.pull(1);
    sleep(stretch()).await;
    lan.plug_in(1);
    let fault = Fault { what: "cut", from, until: Instant::now() };
    sleep(stretch()).await;
    let sent = load.end().await;
    bounded(&site.settle(&sent).await, &sent, fault);
}

/// Everybody was served, and nothing that was accepted is missing.
fn whole(count: &Count, sent: &[Sent]) {
    println!(
        "{} accepted ({} of them with one copy), {} contacts, {} doubled, {} lost, longest answer {} ms",
        count.accepted,
        count.degraded,
        count.contacts,
        count.doubled.len(),
        count.lost.len(),
        sent.iter().map(|sent| sent.took.as_millis()).max().unwrap_or_default()
    );
    assert!(count.accepted > 0, "{sent:?}");
    assert_eq!(count.refused, Vec::<String>::new(), "some server takes each of them");
    assert_eq!(count.lost, Vec::<String>::new(), "what was accepted is shown");
}

/// The same, and nothing was shown twice, except where the machine itself stood still.
fn exact(count: &Count, sent: &[Sent], what: &'static str) {
    whole(count, sent);
    let explained = count.explained(what, None);
    println!("{explained}");
    assert_eq!(explained.for_reason(Why::Unexplained), 0, "{explained}: {:?}", count.doubled);
    assert_few_by_the_machine(&explained);
}

/// The same, and each display was contacted at most once more for the one fault, which explains it.
fn bounded(count: &Count, sent: &[Sent], fault: Fault) {
    whole(count, sent);
    let explained = count.explained(fault.what, Some(&fault));
    println!("{explained}");
    assert_eq!(explained.for_reason(Why::Unexplained), 0, "{explained}: {:?}", count.doubled);
    let machine = explained.for_reason(Why::Machine) > 0;
    assert!(count.most <= 2 || machine, "one fault, one repetition: {:?}", count.doubled);
    assert_few_by_the_machine(&explained);
}

/// However often the machine stands still, it does not excuse a product that doubles whatever it sends.
fn assert_few_by_the_machine(explained: &Explained) {
    assert!(
        explained.for_reason(Why::Machine) * 3 <= explained.contacts,
        "the machine is not to blame for so many: {explained}"
    );
}
