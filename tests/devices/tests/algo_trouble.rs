//! The Algo driver when devices, networks and administrators do what they do: what is said, and that nobody else suffers.

mod common;

use std::time::{Duration, Instant};

use common::{LONG, Rig, START_TONE, activation, destinations, endpoint, note, reason, refusal};
use devices::{
    AlgoConfig, AlgoSim,
    algo::{Call, Garbage, MulticastMode},
};
use onealert_plugin_api::document::{Event, Health, PreparedState, Priority};
use serde_json::json;

async fn light(model: &str) -> AlgoSim {
    AlgoSim::start(AlgoConfig::light(model)).await.expect("the simulated device starts")
}

#[tokio::test]
async fn a_device_that_stalls_or_talks_nonsense_fails_alone_and_in_time() {
    for what in ["stall", "not http", "endless", "status 500", "down"] {
        let (bad, good) = (light("8180").await, light("8180").await);
        let rig = Rig::new();
        let targets = [endpoint(&bad, "1 bad", "tone", json!({})), endpoint(&good, "2 good", "tone", json!({}))];
        rig.probe(&targets[0]).await;
        bad.set_faults(|faults| match what {
            "stall" => faults.stall = true,
            "not http" => faults.garbage = Some(Garbage::NotHttp),
            "endless" => faults.garbage = Some(Garbage::Endless),
            "status 500" => faults.status = Some(500),
            _ => faults.down = true,
        });
        if what == "not http" {
            // Only a fresh connection brings the nonsense.
            bad.set_faults(|faults| faults.down = true);
            bad.set_faults(|faults| faults.down = false);
        }
        let began = Instant::now();
        let delivered = rig.begin(&activation("a", Priority::Bell, &targets)).await;
        assert!(reason(&delivered[0]).len() > 20, "{what}: {delivered:?}");
        note(&delivered[1]);
        assert!(began.elapsed() < LONG, "{what}");
        assert_eq!(good.done(START_TONE).len(), 1, "{what}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_reported_as_such() {
    let sim = light("8180").await;
    sim.set_faults(|faults| faults.garbage = Some(Garbage::NotJson));
    let status = Rig::new().probe(&endpoint(&sim, "horn", "tone", json!({}))).await;
    assert_eq!(status.health, Health::Error);
    assert!(status.detail.contains("cannot be read") && status.detail.contains("<html>"), "{status:?}");
}

#[tokio::test]
async fn a_device_that_was_cut_off_is_switched_off_when_it_is_back() {
    let (lost, fine) = (light("8128").await, light("8128").await);
    let rig = Rig::new();
    let targets = [endpoint(&lost, "1", "strobe", json!({})), endpoint(&fine, "2", "strobe", json!({}))];
    let alarm = activation("a", Priority::Emergency, &targets);
    for delivered in rig.begin(&alarm).await {
        note(&delivered);
    }
    lost.set_faults(|faults| faults.down = true);
    rig.end(&alarm).await;
    assert!(fine.state().is_quiet());
    assert!(lost.state().strobe.is_some(), "nobody could tell it");
    lost.set_faults(|faults| faults.down = false);
    let told = async {
        while !lost.state().is_quiet() {
            rig.probe(&targets[0]).await;
        }
    };
    assert!(tokio::time::timeout(LONG, told).await.is_ok(), "it is told at a look");
}

#[tokio::test]
async fn a_device_that_dies_during_an_announcement_turns_red_and_green_again() {
    let sim = light("8128").await;
    // So seldom that no look of its own comes between those of this test.
    let rig = Rig::with(json!({"poll_seconds": 300}));
    let lamp = endpoint(&sim, "light", "strobe", json!({}));
    rig.look_after(std::slice::from_ref(&lamp)).await;
    assert!(rig.hears("light", Health::Ok, "Algo 8128, firmware 5.7.1").await);
    note(&rig.begin(&activation("a", Priority::Emergency, std::slice::from_ref(&lamp))).await[0]);
    sim.die();
    assert_eq!(rig.probe(&lamp).await.health, Health::Ok, "one lost packet frightens nobody");
    let status = rig.probe(&lamp).await;
    assert_eq!(status.health, Health::Error);
    assert!(status.detail.contains("connection refused") && status.detail.contains("check its power"), "{status:?}");
    let failed = rig.begin(&activation("b", Priority::Emergency, std::slice::from_ref(&lamp))).await;
    assert!(reason(&failed[0]).contains("connection refused"));
    sim.revive();
    assert!(rig.hears("light", Health::Error, "connection refused").await);
    let mut later = activation("b", Priority::Emergency, std::slice::from_ref(&lamp));
    later.attempt = 1;
    note(&rig.begin(&later).await[0]);
    assert_eq!(rig.probe(&lamp).await.health, Health::Ok);
}

#[tokio::test]
async fn what_is_wrong_and_what_to_do_is_said_without_being_asked() {
    let (off, locked, fine) = (light("8180").await, light("8180").await, light("8180").await);
    off.set_api(false);
    locked.set_password("changed");
    let rig = Rig::new();
    let targets = [
        endpoint(&off, "off", "tone", json!({})),
        endpoint(&locked, "locked", "tone", json!({})),
        endpoint(&fine, "lamp", "strobe", json!({})),
        endpoint(&fine, "typo", "tone", json!({"host": "not a host"})),
        endpoint(&fine, "fine", "zone", json!({"zone": 2})),
    ];
    rig.look_after(&targets).await;
    assert!(rig.hears("off", Health::Error, "switch it on under Advanced Settings").await);
    assert!(rig.hears("locked", Health::Error, "refuses the password").await);
    assert!(rig.hears("lamp", Health::Error, "model 8180 does not have a strobe").await);
    assert!(rig.hears("typo", Health::Error, "`not a host` is not a host name").await);
    assert!(rig.hears("fine", Health::Ok, "Algo 8180, firmware 5.7.1, zone 2 is 224.0.2.60:50003").await);
    let told = rig.host.events().len();
    rig.probe(&targets[4]).await;
    assert_eq!(rig.host.events().len(), told, "what has not changed is not said again");
}

#[tokio::test]
async fn zones_are_read_from_the_device_and_followed_when_they_change() {
    let sim = light("8188").await;
    let rig = Rig::new();
    let three = endpoint(&sim, "ceiling", "zone", json!({"zone": 3}));
    let page = activation("a", Priority::Page, std::slice::from_ref(&three));
    assert_eq!(destinations(&rig.prepared(&page).await), ["224.0.2.60:50004"], "asked at the first need");
    sim.configure("mcast.zone3", "239.7.7.7:6006").unwrap();
    rig.probe(&three).await;
    assert_eq!(destinations(&rig.prepare(&page).await[0]), ["239.7.7.7:6006"]);
    sim.configure("mcast.mode", "1").unwrap();
    rig.probe(&three).await;
    assert!(refusal(&rig.prepare(&page).await[0]).contains("set Multicast Mode to Receiver"));
}

#[tokio::test]
async fn urgency_chooses_the_zone_by_role_where_none_was_chosen() {
    let sim = light("8301").await;
    let rig = Rig::new();
    let any = [endpoint(&sim, "adapter", "zone", json!({}))];
    rig.probe(&any[0]).await;
    for (priority, addr) in [
        (Priority::Emergency, "224.0.2.60:50001"),
        (Priority::Alert, "224.0.2.60:50001"),
        (Priority::Page, "224.0.2.60:50002"),
        (Priority::Bell, "224.0.2.60:50002"),
        (Priority::Music, "224.0.2.60:50000"),
    ] {
        assert_eq!(destinations(&rig.prepare(&activation("a", priority, &any)).await[0]), [addr], "{priority:?}");
    }
}

#[tokio::test]
async fn a_speaker_is_said_to_receive_only_when_it_says_so() {
    let sim = light("8180").await;
    let rig = Rig::new();
    let three = [endpoint(&sim, "horn", "zone", json!({"zone": 3}))];
    assert_eq!(destinations(&rig.prepared(&activation("0", Priority::Page, &three)).await), ["224.0.2.60:50004"]);
    let begin = async |id: &str| rig.begin(&activation(id, Priority::Page, &three)).await.remove(0);

    sim.set_faults(|faults| faults.pretend_zone = Some(3));
    assert_eq!(note(&begin("1").await), "device reports it is receiving zone 3");

    sim.set_faults(|faults| faults.pretend_zone = Some(1));
    assert!(reason(&begin("2").await).contains("receiving zone 1, not zone 3"));

    sim.set_faults(|faults| faults.pretend_zone = None);
    let silent = begin("3").await;
    assert!(reason(&silent).contains("Receiver (Idle)") && reason(&silent).contains("IGMP"), "{silent:?}");

    sim.set_call(Call::Connected);
    assert!(reason(&begin("4").await).contains("in a call (Connected)"));

    sim.set_password("changed");
    let unheard = begin("5").await;
    assert!(note(&unheard).starts_with("packets were sent; the device could not be asked"), "{unheard:?}");
    assert!(note(&unheard).contains("password"));

    sim.die();
    let dead = begin("6").await;
    assert!(note(&dead).starts_with("packets were sent; the device could not be asked"), "{dead:?}");
    let page = activation("7", Priority::Page, &three);
    assert_eq!(destinations(&rig.prepare(&page).await[0]), ["224.0.2.60:50004"], "its zones are still known");
}

#[tokio::test]
async fn a_speaker_that_becomes_active_late_is_still_seen() {
    let sim = light("8180").await;
    let rig = Rig::new();
    let three = [endpoint(&sim, "horn", "zone", json!({"zone": 3}))];
    rig.probe(&three[0]).await;
    sim.clear();
    let alarm = activation("a", Priority::Page, &three);
    let begun = rig.begin(&alarm);
    let wake = async {
        // It has said once that it hears nothing.
        assert!(sim.wait_for_log(LONG, |log| log.iter().any(|entry| entry.status == 200)).await);
        sim.set_faults(|faults| faults.pretend_zone = Some(3));
    };
    let (delivered, ()) = tokio::join!(begun, wake);
    assert_eq!(note(&delivered[0]), "device reports it is receiving zone 3");
}

#[tokio::test]
async fn results_of_fast_devices_do_not_wait_for_slow_ones() {
    let (slow, fast) = (light("8180").await, light("8180").await);
    let rig = Rig::with(json!({"deadline_ms": 10_000}));
    let targets = [endpoint(&slow, "slow", "tone", json!({})), endpoint(&fast, "fast", "tone", json!({}))];
    for target in &targets {
        rig.probe(target).await;
    }
    slow.set_faults(|faults| faults.hold = Some(START_TONE.to_owned()));
    let alarm = activation("a", Priority::Bell, &targets);
    let begun = rig.begin(&alarm);
    let early = async {
        let told = |event: &Event| matches!(event, Event::Delivered { results, .. } if results.iter().any(|one| one.endpoint == "fast"));
        let heard = rig.host.wait_for(LONG, |host| host.events().iter().any(told)).await;
        let slow_done = slow.done(START_TONE).len();
        slow.set_faults(|faults| faults.hold = None);
        (heard, slow_done)
    };
    let (all, (heard, slow_done)) = tokio::join!(begun, early);
    assert!(heard, "the fast one's result comes as an event");
    assert_eq!(slow_done, 0, "while the slow one is still at it");
    assert_eq!(all.len(), 2, "the answer holds all of them");
}

#[tokio::test]
async fn only_the_pinned_certificate_is_spoken_to() {
    let sim = AlgoSim::start(AlgoConfig { listen: false, ..AlgoConfig::new("8180") }).await.unwrap();
    let options = http_client::Options { trust: http_client::Trust::Anybody, ..Default::default() };
    let request = http_client::Request::get(format!("https://{}/", sim.addr()));
    let shown = http_client::Client::new(options).send(request).await.unwrap().certificate.unwrap();
    let rig = Rig::new();
    let pinned = endpoint(&sim, "1", "tone", json!({"certificate": shown.to_string()}));
    note(&rig.begin(&activation("a", Priority::Bell, &[pinned])).await[0]);
    let asked = sim.log().len();
    let other = endpoint(&sim, "1", "tone", json!({"certificate": "00".repeat(32)}));
    let delivered = rig.begin(&activation("b", Priority::Bell, &[other])).await;
    assert!(reason(&delivered[0]).contains("is not the pinned 0000"), "{delivered:?}");
    assert_eq!(sim.log().len(), asked, "a stranger hears no command and no signature");
}

#[tokio::test]
async fn a_device_that_sends_and_does_not_listen_is_named() {
    let config = AlgoConfig { multicast: MulticastMode::Transmitter, ..AlgoConfig::light("8301") };
    let sim = AlgoSim::start(config).await.unwrap();
    let rig = Rig::new();
    let zone = endpoint(&sim, "adapter", "zone", json!({"zone": 1}));
    let status = rig.probe(&zone).await;
    assert_eq!(status.health, Health::Error);
    assert!(status.detail.contains("set to transmit"), "{status:?}");
}

#[tokio::test]
async fn known_zones_survive_a_restart_while_the_device_cannot_be_asked() {
    let sim = light("8180").await;
    let rig = Rig::new();
    let three = endpoint(&sim, "horn", "zone", json!({"zone": 3}));
    rig.probe(&three).await;
    let file = rig.folder().join("devices.json");
    let end = Instant::now() + LONG;
    while !std::fs::read_to_string(&file).is_ok_and(|text| text.contains("224.0.2.60:50004")) {
        assert!(Instant::now() < end, "the zones are written down");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sim.die();
    let rig = rig.restarted();
    let page = activation("a", Priority::Page, &[three]);
    assert_eq!(destinations(&rig.prepare(&page).await[0]), ["224.0.2.60:50004"]);
}

/// The zones of a device that could not be asked in time were reported as failed, and the device was left out.
#[tokio::test]
async fn a_device_that_is_away_when_it_is_prepared_joins_late() {
    let (here, away) = (light("8180").await, light("8180").await);
    let rig = Rig::new();
    let targets =
        [endpoint(&here, "here", "zone", json!({"zone": 3})), endpoint(&away, "away", "zone", json!({"zone": 3}))];
    rig.probe(&targets[0]).await;
    away.die();
    let mut prepared = rig.prepare(&activation("a", Priority::Page, &targets)).await;
    prepared.sort_by(|a, b| b.endpoint.cmp(&a.endpoint));
    assert_eq!(destinations(&prepared[0]), ["224.0.2.60:50004"], "the one that is known is ready at once");
    assert!(matches!(&prepared[1].state, PreparedState::Later { reason } if reason.contains("250 ms")), "{prepared:?}");
    away.revive();
    let told = |event: &Event| match event {
        Event::Prepared { activation, prepared } if activation == "a" => {
            prepared.iter().any(|one| one.endpoint == "away" && destinations(one) == ["224.0.2.60:50004"])
        }
        _ => false,
    };
    assert!(
        rig.host.wait_for(LONG, |host| host.events().iter().any(told)).await,
        "and is told when the device is back"
    );
}
