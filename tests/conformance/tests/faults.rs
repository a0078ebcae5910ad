//! A driver that segfaults, hangs, leaks or dies beside a good one: the good one answers every call all the while.

use std::{fs, time::Duration};

use conformance::{
    library,
    site::{Site, lines},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use onealert_drivers::DriverState;
use serde_json::json;

const GOOD: &str = "org.onealert.skeleton";
const BAD: &str = "org.onealert.faulty";
const SHORT: Duration = Duration::from_millis(300);
/// More than a busy machine needs for a process to die or to start.
const AMPLE: Duration = Duration::from_secs(30);

/// Both drivers, enabled and running.
async fn pair(fault: &str) -> Site {
    let site = Site::new();
    enable(&site, fault);
    site.status(GOOD, |status| status.state == DriverState::Running).await;
    site.status(BAD, |status| status.state == DriverState::Running).await;
    site
}

fn enable(site: &Site, fault: &str) {
    let good = fs::read(library("plugin-skeleton")).expect("the skeleton's library");
    let bad = fs::read(library("faulty")).expect("the faulty library");
    let rows = vec![site.row(GOOD, &good, json!({})), site.row(BAD, &bad, json!({"fault": fault}))];
    site.drivers.set_enabled(rows);
}

/// The good driver's calls all succeeded, and each wrote its line once.
async fn undisturbed(site: &Site, traffic: conformance::site::Traffic) {
    let (calls, failed) = traffic.end().await;
    assert!(failed.is_empty(), "{} of {calls} calls of the good driver failed: {failed:?}", failed.len());
    assert_eq!(lines(&site.state(GOOD).join("lobby.txt"), "begin "), calls, "each call wrote one line");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_segfaults_again_and_again_does_not_disturb_its_neighbour() {
    let site = pair("begin_segfaults").await;
    let traffic = site.traffic(GOOD);
    for number in 0..6 {
        let failure = site.begin(BAD, &format!("bad-{number}"), AMPLE).await.expect_err("its process ended");
        assert!(["restarted", "not_running"].contains(&failure.code.as_str()), "{failure:?}");
        traffic.more(20).await;
    }
    let status = site.status(BAD, |status| status.restarts >= 6).await;
    assert_eq!(status.last_end.as_deref(), Some("ended by SIGSEGV during begin"));
    // However often it ended, it is tried again whenever it is needed.
    let echo = site.drivers.call(BAD, "$echo", None, AMPLE, json!("here")).await;
    assert_eq!(echo.expect("it serves again"), json!("here"));
    undisturbed(&site, traffic).await;
    assert_eq!(site.status(GOOD, |_| true).await.restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_whose_threads_never_return_is_ended_and_does_not_disturb_its_neighbour() {
    let site = pair("begin_blocks").await;
    let traffic = site.traffic(GOOD);
    let (one, two) = tokio::join!(site.begin(BAD, "bad-1", SHORT), site.begin(BAD, "bad-2", SHORT));
    for failure in [one.expect_err("it never answers"), two.expect_err("it never answers")] {
        assert!(["timeout", "restarted", "not_running"].contains(&failure.code.as_str()), "{failure:?}");
    }
    let status = site.status(BAD, |status| status.restarts >= 1).await;
    let end = status.last_end.expect("its end is told in words");
    assert!(end.contains("not answered twice") || end.contains("no sign of life"), "{end}");
    traffic.more(20).await;
    undisturbed(&site, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_leaks_is_ended_at_its_limit_and_does_not_disturb_its_neighbour() {
    let site = pair("begin_leaks").await;
    let traffic = site.traffic(GOOD);
    // 32 MiB a call, 256 MiB are allowed. It is looked at now and then; how much a machine can spare is not asked.
    for number in 0..10 {
        let _ = site.begin(BAD, &format!("bad-{number}"), SHORT * 10).await;
        traffic.more(5).await;
        if site.status(BAD, |_| true).await.restarts > 0 {
            break;
        }
    }
    let end = site.status(BAD, |status| status.restarts > 0).await.last_end.expect("its end is told in words");
    assert!(end.contains("MiB of memory, 256 are allowed"), "{end}");
    undisturbed(&site, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_answer_and_an_exit_is_told_with_its_status() {
    let site = pair("begin_panics").await;
    let failure = site.begin(BAD, "bad-1", SHORT * 20).await.expect_err("it panics");
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("panicked", "plugin panicked: the vendor did not expect that")
    );
    let status = site.status(BAD, |_| true).await;
    assert_eq!((status.state, status.restarts), (DriverState::Running, 0), "its process lives on");
    let site = pair("begin_exits").await;
    let failure = site.begin(BAD, "bad-1", AMPLE).await.expect_err("its process ended");
    assert!(["restarted", "not_running"].contains(&failure.code.as_str()), "{failure:?}");
    let status = site.status(BAD, |status| status.restarts >= 1).await;
    assert_eq!(status.last_end.as_deref(), Some("exited with status 3 during begin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_prints_without_end_stays_a_driver() {
    let site = pair("begin_prints").await;
    let traffic = site.traffic(GOOD);
    let answer = site.begin(BAD, "bad-1", SHORT * 30).await.expect("it answers");
    assert_eq!(answer[0]["state"], "acked");
    traffic.more(5).await;
    undisturbed(&site, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_cannot_be_opened_says_why_and_its_neighbour_runs() {
    let site = Site::new();
    for (fault, expected) in [
        ("open_fails", "the amplifier at 10.0.0.9 has no licence"),
        ("open_panics", "plugin panicked: the vendor did not expect that"),
        ("open_exits", "crashed while opening (exited with status 7)"),
        ("no_such_fault", "settings: fault: must be one of none, open_fails"),
    ] {
        enable(&site, fault);
        let fits = |text: &Option<String>| text.as_ref().is_some_and(|text| text.starts_with(expected));
        let status = site.status(BAD, |status| fits(&status.last_error)).await;
        assert_eq!(status.pid, None, "{status:?}");
        let failure = site.begin(BAD, "bad", SHORT).await.expect_err("it does not run");
        assert_eq!(failure.code, "not_running", "{failure:?}");
        assert!(failure.message.contains(BAD), "{failure:?}");
    }
    let traffic = site.traffic(GOOD);
    traffic.more(5).await;
    undisturbed(&site, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_under_load_costs_no_call() {
    let site = pair("none").await;
    let traffic = site.traffic(GOOD);
    traffic.more(10).await;
    for _ in 0..5 {
        let before = site.status(GOOD, |status| status.pid.is_some()).await;
        let pid = before.pid.expect("it runs") as i32;
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("our own worker");
        let after = site.status(GOOD, |status| status.restarts > before.restarts).await;
        assert_eq!(after.last_end.as_deref().map(|end| end.starts_with("ended by SIGKILL")), Some(true), "{after:?}");
        traffic.more(10).await;
    }
    undisturbed(&site, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_under_load_costs_no_call_and_one_that_does_not_open_changes_nothing() {
    let site = pair("none").await;
    let good = fs::read(library("plugin-skeleton")).expect("the skeleton's library");
    let traffic = site.traffic(GOOD);
    for number in 0..4u8 {
        traffic.more(20).await;
        let mut next = good.clone();
        next.extend_from_slice(&[number; 8]);
        let row = site.row(GOOD, &next, json!({}));
        let sha = row.sha256.clone();
        site.drivers.set_enabled(vec![row]);
        site.status(GOOD, |status| status.sha256 == sha).await;
        traffic.more(20).await;
        let refused = site.row(GOOD, &good, json!({"folder": "not a full path"}));
        site.drivers.set_enabled(vec![refused]);
        let status = site.status(GOOD, |status| status.last_error.is_some()).await;
        assert_eq!((status.state, &status.sha256), (DriverState::Running, &sha), "the old one goes on");
        assert!(status.last_error.is_some_and(|why| why.contains("full path")));
    }
    assert_eq!(site.status(GOOD, |_| true).await.restarts, 0, "a replacement is no end");
    undisturbed(&site, traffic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_be_had_leaves_the_old_one_serving_even_when_that_dies_and_is_taken_once_its_file_comes()
{
    let site = pair("none").await;
    let bytes = fs::read(library("plugin-skeleton")).expect("the skeleton's library");
    let later = conformance::with_manifest(&bytes, "\"name\":\"Text files\"", "\"name\":\"Text lines\"");
    let wanted = onealert_drivers::Enabled {
        id: GOOD.to_owned(),
        version: "0.2.0".to_owned(),
        sha256: onealert_drivers::files::sha256(&later),
        settings: Ok(json!({})),
    };
    site.drivers.set_enabled(vec![wanted]);
    let before = site.status(GOOD, |status| status.last_error.is_some()).await;
    assert_eq!((before.state, before.version.as_str()), (DriverState::Running, "0.1.0"));
    assert!(before.last_error.is_some_and(|why| why.contains("is not on this server yet")));
    let pid = before.pid.expect("it runs") as i32;
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("the worker is ours");
    let after = site.status(GOOD, |status| status.restarts == 1 && status.state == DriverState::Running).await;
    assert_eq!(after.version, "0.1.0", "it sends with what it has");
    site.begin(GOOD, "meanwhile", SHORT * 20).await.expect("it serves");
    site.pin(&later);
    site.drivers.add_file(&later).expect("the file comes");
    let taken = site.status(GOOD, |status| status.version == "0.2.0" && status.state == DriverState::Running).await;
    assert_eq!(taken.last_error, None);
}
