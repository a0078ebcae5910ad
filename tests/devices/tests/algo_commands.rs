//! The Algo driver against the simulated device: what it sends, once, to whom, and how it ends.

mod common;

use common::{
    LONG, Rig, START_STROBE, START_TONE, activation, commands, destinations, endpoint, note, reason, refusal,
};
use devices::{
    AlgoConfig, AlgoSim,
    algo::{Auth, Http},
};
use onealert_plugin_api::{
    document::{Priority, Target},
    driver::Driver,
};
use plugin_algo::settings::Endpoint;
use serde_json::json;

async fn light(model: &str) -> AlgoSim {
    AlgoSim::start(AlgoConfig::light(model)).await.expect("the simulated device starts")
}

async fn with_firmware(model: &str, firmware: &str) -> AlgoSim {
    let config = AlgoConfig { firmware: firmware.to_owned(), ..AlgoConfig::light(model) };
    AlgoSim::start(config).await.expect("the simulated device starts")
}

#[tokio::test]
async fn a_tone_plays_with_each_way_of_signing_and_over_https() {
    for (auth, word) in [(Auth::Standard, "standard"), (Auth::Basic, "basic"), (Auth::None, "none")] {
        let config = AlgoConfig { auth, listen: false, ..AlgoConfig::new("8180") };
        let sim = AlgoSim::start(config).await.unwrap();
        let rig = Rig::new();
        let bell = activation("a", Priority::Bell, &[endpoint(&sim, "horn", "tone", json!({"auth": word}))]);
        assert_eq!(note(&rig.begin(&bell).await[0]), "device accepted tone bell-na.wav, once");
        assert_eq!(sim.state().tone.unwrap().path, "bell-na.wav");
        assert!(sim.log().iter().all(|entry| entry.https && entry.status == 200), "{word}: {:?}", sim.log());
        rig.end(&bell).await;
        assert!(sim.state().is_quiet(), "{word}");
    }
}

#[tokio::test]
async fn a_device_without_https_is_reached_by_http_but_not_with_a_plain_password() {
    let sim = light("8180").await;
    let rig = Rig::new();
    let bell = activation("a", Priority::Bell, &[endpoint(&sim, "horn", "tone", json!({}))]);
    note(&rig.begin(&bell).await[0]);
    let sim = AlgoSim::start(AlgoConfig { auth: Auth::Basic, ..AlgoConfig::light("8180") }).await.unwrap();
    let bell = activation("b", Priority::Bell, &[endpoint(&sim, "horn", "tone", json!({"auth": "basic"}))]);
    assert!(reason(&rig.begin(&bell).await[0]).contains("tls"), "the password must not travel in the clear");
    assert_eq!(sim.log(), []);
    let asked_for = json!({"auth": "basic", "scheme": "http"});
    let bell = activation("c", Priority::Bell, &[endpoint(&sim, "horn", "tone", asked_for)]);
    note(&rig.begin(&bell).await[0]);
}

#[tokio::test]
async fn http_that_redirects_means_use_https() {
    let config = AlgoConfig { http: Http::Redirect, listen: false, ..AlgoConfig::new("8180") };
    let sim = AlgoSim::start(config).await.unwrap();
    let port = sim.http_addr().unwrap().port();
    let rig = Rig::new();
    let horn = endpoint(&sim, "horn", "tone", json!({"scheme": "http", "port": port}));
    note(&rig.begin(&activation("a", Priority::Bell, std::slice::from_ref(&horn))).await[0]);
    assert_eq!(sim.done(START_TONE).len(), 1);
    assert!(sim.done(START_TONE)[0].https);
    let redirected = |sim: &AlgoSim| sim.log().iter().filter(|entry| entry.status == 307).count();
    assert_eq!(redirected(&sim), 1);
    note(&rig.begin(&activation("b", Priority::Bell, &[horn])).await[0]);
    assert_eq!(redirected(&sim), 1, "the second announcement knows the way");
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_costs_one_refusal_and_no_alarm() {
    let sim = light("8190S").await;
    // And half a minute, so that a second that passes meanwhile is not seen in the minutes.
    sim.set_clock_offset(3630);
    let rig = Rig::new();
    let both = [endpoint(&sim, "horn", "tone", json!({})), endpoint(&sim, "light", "strobe", json!({}))];
    for delivered in rig.begin(&activation("a", Priority::Emergency, &both)).await {
        note(&delivered);
    }
    let refused: Vec<_> = sim.log().into_iter().filter(|entry| entry.status == 401).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    let status = rig.probe(&both[0]).await;
    assert!(status.detail.contains("clock is about 60 min ahead"), "{status:?}");
}

#[tokio::test]
async fn a_wrong_password_is_said_after_one_question() {
    let sim = light("8180").await;
    sim.set_password("something else");
    let rig = Rig::new();
    let bell = activation("a", Priority::Bell, &[endpoint(&sim, "horn", "tone", json!({}))]);
    assert!(reason(&rig.begin(&bell).await[0]).contains("refuses the password"));
    assert_eq!(sim.log().len(), 1, "a refusal with clocks in step is not tried again: {:?}", sim.log());
    assert!(sim.state().is_quiet());
}

#[tokio::test]
async fn what_the_firmware_or_the_model_lacks_is_not_even_asked() {
    for (model, firmware, what, words) in [
        ("8410", "5.6.2", "screen", "came with 5.7"),
        ("8180", "5.6", "announcement", "came with 5.7"),
        ("8180", "5.3.1", "announcement", "firmware before 5.4"),
        ("8180", "5.7", "strobe", "model 8180 does not have a strobe"),
        ("8128", "5.7", "tone", "model 8128 does not have stored tones"),
        ("8301", "5.7", "relay", "model 8301 does not have a relay output"),
    ] {
        let sim = with_firmware(model, firmware).await;
        let rig = Rig::new();
        let target = endpoint(&sim, "it", what, json!({"announcement": 1}));
        rig.probe(&target).await;
        let alarm = activation("a", Priority::Emergency, &[target]);
        let prepared = rig.prepare(&alarm).await;
        assert!(refusal(&prepared[0]).contains(words), "{model} {what}: {}", refusal(&prepared[0]));
        let delivered = rig.begin(&alarm).await;
        assert!(reason(&delivered[0]).contains(words), "{model} {what}: {}", reason(&delivered[0]));
        assert_eq!(commands(&sim), 0, "{model} {what}");
    }
}

#[tokio::test]
async fn every_model_takes_what_it_is_sent_at_every_urgency() {
    let urgencies = [Priority::Music, Priority::Bell, Priority::Page, Priority::Alert, Priority::Emergency];
    for (model, kinds) in [
        ("8180", &["tone", "announcement"][..]),
        ("8190S", &["tone", "strobe", "announcement"]),
        ("8128", &["strobe", "announcement"]),
        ("8138", &["strobe", "announcement"]),
        ("8301", &["tone", "announcement"]),
        ("8410", &["tone", "strobe", "screen", "announcement"]),
        ("8420", &["tone", "strobe", "screen", "announcement"]),
        ("8063", &["relay"]),
        ("8201", &["tone"]),
    ] {
        let sim = light(model).await;
        let rig = Rig::new();
        let targets: Vec<_> = kinds.iter().map(|what| endpoint(&sim, what, what, json!({"announcement": 3}))).collect();
        for (number, urgency) in urgencies.into_iter().enumerate() {
            let alarm = activation(&format!("{model}-{number}"), urgency, &targets);
            for delivered in rig.begin(&alarm).await {
                assert!(note(&delivered).starts_with("device accepted"), "{model} {urgency:?}");
            }
            let state = sim.state();
            assert!(!state.is_quiet(), "{model}");
            if kinds.contains(&"screen") {
                assert_eq!(state.shown_text(), Some("Tornado warning: Go to the shelter"));
            }
            if kinds.contains(&"tone") {
                assert_eq!(state.tone.unwrap().looped, urgency >= Priority::Alert, "{model} {urgency:?}");
            }
            rig.end(&alarm).await;
            assert!(sim.state().is_quiet(), "{model} {urgency:?}: {:?}", sim.state());
        }
        let refused: Vec<_> = sim.log().into_iter().filter(|entry| entry.status != 200).collect();
        assert_eq!(refused, [], "{model}");
    }
}

#[tokio::test]
async fn brightness_is_in_each_models_own_figures() {
    for (model, level) in [("8190S", 1), ("8128", 0), ("8420", 0)] {
        let sim = light(model).await;
        let target = endpoint(&sim, "light", "strobe", json!({"brightness": "low", "colour": "green"}));
        note(&Rig::new().begin(&activation("a", Priority::Emergency, &[target])).await[0]);
        let strobe = sim.state().strobe.unwrap();
        assert_eq!((strobe.level, strobe.color1.as_str()), (Some(level), "green"), "{model}");
    }
}

#[tokio::test]
async fn old_firmware_is_told_which_tone_to_stop() {
    for firmware in ["5.4.3", "5.2"] {
        let sim = with_firmware("8180", firmware).await;
        let rig = Rig::new();
        let alarm = activation("a", Priority::Emergency, &[endpoint(&sim, "horn", "tone", json!({}))]);
        note(&rig.begin(&alarm).await[0]);
        assert!(sim.state().tone.is_some());
        rig.end(&alarm).await;
        assert!(sim.state().tone.is_none(), "{firmware}: {:?}", sim.log());
    }
}

#[tokio::test]
async fn a_stored_slide_is_shown_where_text_is_not_possible() {
    let sim = with_firmware("8410", "5.5").await;
    let rig = Rig::new();
    let alarm = activation("a", Priority::Alert, &[endpoint(&sim, "hall", "screen", json!({"slide": "shelter"}))]);
    note(&rig.begin(&alarm).await[0]);
    assert_eq!(sim.state().screen.unwrap()["screenName"], "shelter");
    rig.end(&alarm).await;
    assert!(sim.state().is_quiet());
}

#[tokio::test]
async fn the_text_of_a_running_announcement_changes() {
    let sim = light("8420").await;
    let rig = Rig::new();
    let mut alarm = activation("a", Priority::Alert, &[endpoint(&sim, "hall", "screen", json!({}))]);
    rig.begin(&alarm).await;
    alarm.body = "All clear at noon".to_owned();
    rig.driver.clone().update(alarm.clone()).await.unwrap();
    assert_eq!(sim.state().shown_text(), Some("Tornado warning: All clear at noon"));
    rig.end(&alarm).await;
    rig.driver.clone().update(alarm).await.unwrap();
    assert!(sim.state().is_quiet(), "an update that comes after the end shows nothing");
}

#[tokio::test]
async fn the_same_announcement_acts_once_and_answers_the_same() {
    let sim = light("8190S").await;
    let rig = Rig::new();
    let horn = endpoint(&sim, "horn", "tone", json!({}));
    let lamp = endpoint(&sim, "light", "strobe", json!({}));
    let first = activation("a", Priority::Emergency, std::slice::from_ref(&horn));
    let answers = rig.begin(&first).await;
    assert_eq!(rig.begin(&first).await, answers);
    let both = activation("a", Priority::Emergency, &[horn.clone(), lamp.clone()]);
    let turned = activation("a", Priority::Emergency, &[lamp, horn]);
    let (one, two) = tokio::join!(rig.begin(&both), rig.begin(&turned));
    assert_eq!(one, two);
    assert_eq!(one[0], answers[0]);
    assert_eq!((sim.done(START_TONE).len(), sim.done(START_STROBE).len()), (1, 1));
    rig.end(&first).await;
    let stops = sim.done("/api/controls/tone/stop").len();
    rig.end(&first).await;
    assert_eq!(sim.done("/api/controls/tone/stop").len(), stops, "the end acts once, too");
    assert!(sim.state().strobe.is_some(), "an end for one endpoint leaves the other alone");
}

#[tokio::test]
async fn the_end_of_an_interrupted_announcement_leaves_the_one_that_interrupted_it() {
    let sim = light("8128").await;
    let rig = Rig::new();
    let lamp = endpoint(&sim, "light", "strobe", json!({}));
    let weather = activation("weather", Priority::Alert, std::slice::from_ref(&lamp));
    let lockdown = activation("lockdown", Priority::Emergency, &[lamp]);
    rig.begin(&weather).await;
    rig.begin(&lockdown).await;
    rig.end(&weather).await;
    assert_eq!(sim.state().strobe.unwrap().color1, "red");
    rig.end(&lockdown).await;
    assert!(sim.state().is_quiet());
}

#[tokio::test]
async fn the_volume_is_raised_and_set_back_even_after_a_restart_in_between() {
    let sim = light("8180").await;
    let rig = Rig::new();
    let alarm = activation("a", Priority::Emergency, &[endpoint(&sim, "horn", "tone", json!({"volume_db": -3}))]);
    note(&rig.begin(&alarm).await[0]);
    assert_eq!(sim.state().volume(), "-3dB");
    rig.end(&alarm).await;
    assert_eq!(sim.state().volume(), "-12dB");

    let again = activation("b", alarm.priority, &alarm.endpoints);
    note(&rig.begin(&again).await[0]);
    let file = rig.folder().join("devices.json");
    let written = || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("\"before\": \"-12dB\""));
    assert!(eventually(written).await, "the volume to go back to is on disk");
    let rig = rig.restarted();
    note(&rig.begin(&again).await[0]);
    assert_eq!(sim.state().volume(), "-3dB");
    rig.end(&again).await;
    assert_eq!(sim.state().volume(), "-12dB", "the raised volume was not taken for the usual one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_devices_are_told_exactly_once_each() {
    let mut sims = Vec::new();
    let mut targets: Vec<Target<Endpoint>> = Vec::new();
    for number in 0..300 {
        let config = AlgoConfig { auth: Auth::None, ..AlgoConfig::light("8128") };
        let sim = AlgoSim::start(config).await.unwrap();
        targets.push(endpoint(&sim, &format!("{number:04}"), "strobe", json!({"auth": "none", "scheme": "http"})));
        sims.push(sim);
    }
    let rig = Rig::with(json!({"deadline_ms": 10_000}));
    let alarm = activation("a", Priority::Emergency, &targets);
    let delivered = rig.begin(&alarm).await;
    assert_eq!(delivered.len(), 300);
    for one in &delivered {
        note(one);
    }
    for (number, sim) in sims.iter().enumerate() {
        assert_eq!(commands(sim), 1, "device {number}: {:?}", sim.log());
        assert!(sim.state().strobe.is_some(), "device {number}");
    }
    rig.end(&alarm).await;
    assert!(sims.iter().all(|sim| sim.state().is_quiet()));
}

#[tokio::test]
async fn a_device_is_asked_one_thing_at_a_time_on_one_connection() {
    let sim = light("8420").await;
    sim.set_faults(|faults| faults.delay = std::time::Duration::from_millis(15));
    let rig = Rig::new();
    let targets: Vec<_> = ["tone", "strobe", "screen", "announcement", "zone"]
        .iter()
        .map(|what| endpoint(&sim, what, what, json!({"announcement": 1, "scheme": "http"})))
        .collect();
    rig.look_after(&targets).await;
    let alarm = activation("a", Priority::Emergency, &targets[..4]);
    for delivered in rig.begin(&alarm).await {
        note(&delivered);
    }
    rig.probe(&targets[4]).await;
    assert_eq!(sim.most_in_flight(), 1);
    let mut used: Vec<u64> = sim.log().iter().map(|entry| entry.connection).collect();
    used.dedup();
    assert!(used.len() <= 2, "connections are kept: {used:?}");
    assert_eq!(
        destinations(&rig.prepare(&activation("b", Priority::Page, &targets[4..])).await[0]),
        ["224.0.2.60:50002"]
    );
}

/// Waits until something outside the simulated devices is so.
async fn eventually(is_so: impl Fn() -> bool) -> bool {
    let end = tokio::time::Instant::now() + LONG;
    while tokio::time::Instant::now() < end {
        if is_so() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    false
}
