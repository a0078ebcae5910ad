//! Redundancy status alerts on real servers: a trigger of what happens to the servers starts a notification like any other.

use std::{fs, path::Path, time::Duration};

use harness::{Api, Fleet, FleetOptions, Server, in_time, same, tell, wait_for};
use http_client::Method;
use serde_json::{Value, json};

use crate::site::Site;

const PATIENCE: Duration = Duration::from_secs(60);
const FAULTY: &str = "org.onealert.faulty";

/// A trigger of these kinds, and a notification to one endpoint that it starts.
async fn watch(api: &Api, kinds: &[&str], endpoint: &str) {
    let trigger = json!({
        "id": "staff", "name": "Staff", "driver": "onealert.redundancy-status", "group": "DEFAULT",
        "settings": {"kinds": kinds, "quiet_minutes": 10}
    });
    api.post("/api/v1/triggers", trigger).await;
    let notification = json!({
        "id": "alert", "name": "Staff alert", "triggers": ["staff"], "endpoints": [endpoint],
        "message": {"title": "{activatorTitle}", "body": "{activatorBody}", "hold_seconds": 1}
    });
    api.post("/api/v1/notifications", notification).await;
}

/// Every alert in a server's Sent Notifications, the newest first.
async fn alerts(api: &Api) -> Option<Vec<Value>> {
    let page = api.ask(Method::GET, "/api/v1/sent", None).await.ok()?.json;
    let rows = page["rows"].as_array()?.iter().filter(|row| row["notification"] == "alert");
    let mut found = Vec::new();
    for row in rows {
        let id = row["activation"].as_str()?;
        found.push(api.ask(Method::GET, &format!("/api/v1/sent/{id}"), None).await.ok()?.json);
    }
    Some(found)
}

/// Waits for an alert with this title. On a secondary it never is if somebody else has told it.
async fn told(api: &Api, title: &str) -> Result<Value, String> {
    in_time(&format!("{title:?} is in Sent Notifications"), PATIENCE, || async {
        alerts(api).await?.into_iter().find(|alert| alert["title"] == title)
    })
    .await
}

/// The titles that speak of this. What else happens on a busy machine, such as another server that stood still for long, is
/// rightly told too.
fn titles<'a>(alerts: &'a [Value], of: &str) -> Vec<&'a str> {
    let titles = alerts.iter().filter_map(|alert| alert["title"].as_str());
    let mut titles: Vec<&str> = titles.filter(|title| title.contains(of)).collect();
    titles.sort_unstable();
    titles
}

/// Whether that server has told it, and everybody who is to know it knows it. Another one tells what the first does not confirm
/// in time.
fn told_by(alert: &Value, server: &str) -> Result<(), String> {
    let (by, outcome) = (&alert["row"]["server_name"], &alert["row"]["outcome"]);
    same((by, outcome), (&server.into(), &"success".into()), &format!("who told {alert}"))
}

fn activation(alert: &Value) -> &str {
    alert["row"]["activation"].as_str().expect("it has an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_primary_is_told_once_by_the_next_server_and_its_return_once() {
    tell(a_killed_primary_is_told_once).await;
}

async fn a_killed_primary_is_told_once() -> Result<(), String> {
    let mut site = Site::start().await;
    watch(&site.fleet.api(0), &["failed_over", "came_back", "stopped"], "file-1").await;
    site.fleet.in_step().await;
    site.fleet.servers[0].kill();
    let alert = told(&site.fleet.api(1), "Server pa-1 failed over").await?;
    told_by(&alert, "pa-2")?;
    let body = alert["body"].as_str().unwrap_or_default();
    for part in ["pa-1 is down since ", "pa-2 sends in its place for DEFAULT.", "start OneAlert there"] {
        assert!(body.contains(part), "{part:?} in {body}");
    }
    site.fleet.servers[0].start();
    // By then every server has had its turn to tell of the failure.
    let back = told(&site.fleet.api(0), "Server pa-1 came back").await?;
    wait_for("both are on the primary", PATIENCE, || async {
        (titles(&alerts(&site.fleet.api(0)).await?, "pa-1").len() >= 2).then_some(())
    })
    .await;
    let all = alerts(&site.fleet.api(0)).await.expect("it answers");
    assert_eq!(titles(&all, "pa-1"), ["Server pa-1 came back", "Server pa-1 failed over"]);
    same(site.deliveries(activation(&alert)), [0, 1, 0], "by the server whose turn it is")?;
    same(site.deliveries(activation(&back)).iter().sum::<usize>(), 1, "the return, once")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_in_good_order_has_not_failed_over() {
    tell(stopped_in_good_order).await;
}

async fn stopped_in_good_order() -> Result<(), String> {
    let mut site = Site::start().await;
    watch(&site.fleet.api(0), &["failed_over", "stopped"], "file-1").await;
    site.fleet.in_step().await;
    assert!(site.fleet.servers[2].stop());
    told_by(&told(&site.fleet.api(0), "Server pa-3 was stopped").await?, "pa-1")?;
    site.fleet.servers[1].kill();
    told(&site.fleet.api(0), "Server pa-2 failed over").await?;
    let all = alerts(&site.fleet.api(0)).await.expect("it answers");
    assert_eq!(titles(&all, "pa-3"), ["Server pa-3 was stopped"]);
    Ok(())
}

/// Sends, and leaves the servers the time to do something with it before that is done again.
async fn send_at_leisure(api: &Api) {
    api.post("/api/v1/notifications/page/send", json!({})).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_ends_again_and_again_on_one_server_is_told() {
    let drivers = vec!["plugin-skeleton", "faulty"];
    let fleet = Fleet::start(FleetOptions { servers: 2, drivers, ..FleetOptions::patient() }).await;
    let api = fleet.api(0);
    for (driver, settings) in [(crate::site::DRIVER, json!({})), (FAULTY, json!({"fault": "begin_exits"}))] {
        api.enable(driver, settings).await;
    }
    let good = json!({"id": "good", "name": "Good", "driver": crate::site::DRIVER, "address": {"file": "1.txt"}});
    api.post("/api/v1/endpoints", good).await;
    api.post("/api/v1/endpoints", json!({"id": "bad", "name": "Bad", "driver": FAULTY, "address": {}})).await;
    let page =
        json!({"id": "page", "name": "Page", "endpoints": ["bad"], "message": {"title": "x", "hold_seconds": 1}});
    api.post("/api/v1/notifications", page).await;
    watch(&api, &["driver_degraded", "failed_over"], "good").await;
    fleet.in_step().await;
    let title = "Driver Faulty driver is degraded on pa-1";
    let alert = wait_for("the driver has ended often enough to be told", PATIENCE, || async {
        send_at_leisure(&api).await;
        alerts(&api).await?.into_iter().find(|alert| alert["title"] == title)
    })
    .await;
    let all = alerts(&api).await.expect("it answers");
    assert_eq!(titles(&all, "Driver "), [title]);
    assert!(alert["body"].as_str().is_some_and(|body| body.contains("Look at Drivers")), "{alert}");

    // The page Drivers of the other server shows it as well, with how often it was started again there.
    let other = fleet.api(1);
    wait_for("another server shows the driver of this one as degraded", PATIENCE, || async {
        send_at_leisure(&api).await;
        let view = other.ask(Method::GET, &format!("/api/v1/drivers/{FAULTY}"), None).await.ok()?.json["view"].clone();
        let on = view["servers"].as_array()?.iter().find(|on| on["server_name"] == "pa-1")?.clone();
        let degraded = on["state"] == "bad" && on["text"].as_str()?.starts_with("Ends again and again");
        (degraded && on["restarts"].as_u64() >= Some(5) && on["since"].is_i64()).then_some(())
    })
    .await;
}

/// Waits until a server shows another, or itself, in this state; gives what it says of it.
async fn shown(api: &Api, name: &str, state: &str) -> Value {
    wait_for(&format!("{name} is shown as {state}"), PATIENCE, || async {
        let status = api.ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
        let row = status["servers"].as_array()?.iter().find(|row| row["name"] == name)?.clone();
        (row["state"] == state).then_some(row)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_whose_copy_stands_still_is_told_once_and_is_in_order_again_when_it_is_mended() {
    tell(a_copy_that_stands_still_is_told_once).await;
}

async fn a_copy_that_stands_still_is_told_once() -> Result<(), String> {
    let mut site = Site::start().await;
    watch(&site.fleet.api(0), &["sync_error"], "file-1").await;
    site.fleet.in_step().await;
    // Upgraded too early: it takes part in sending, and its copy stands still.
    assert!(site.fleet.servers[1].stop());
    site.fleet.servers[1].set_environment("ONEALERT_PRETEND_VERSION", Some("0.2.0"));
    site.fleet.servers[1].start();
    let alert = told(&site.fleet.api(0), "Synchronisation error on pa-2").await?;
    told_by(&alert, "pa-1")?;
    let body = alert["body"].as_str().unwrap_or_default();
    for part in ["The configuration on pa-2 is not in order since ", "0.2.0", "Look at Logging, SyncLog"] {
        assert!(body.contains(part), "{part:?} in {body}");
    }
    shown(&site.fleet.api(0), "pa-2", "bad").await;

    assert!(site.fleet.servers[1].stop());
    site.fleet.servers[1].set_environment("ONEALERT_PRETEND_VERSION", None);
    site.fleet.servers[1].start();
    shown(&site.fleet.api(0), "pa-2", "ok").await;
    site.fleet.in_step().await;
    // When what came later has ended everywhere, whoever would have told it again has had the time.
    let page = site.send(1).await;
    site.ended_on(0, &page).await;
    let all = alerts(&site.fleet.api(0)).await.expect("it answers");
    assert_eq!(titles(&all, "pa-2"), ["Synchronisation error on pa-2"], "once, and nothing of what is mended");
    same(site.deliveries(activation(&alert)), [1, 0, 0], "by the server whose turn it is")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_somebody_edited_is_told_once_and_mended() {
    let (drivers, sections) = (vec!["plugin-skeleton"], "[replication]\nscrub_s = 1");
    let fleet = Fleet::start(FleetOptions { servers: 2, drivers, sections, ..FleetOptions::patient() }).await;
    let api = fleet.api(0);
    api.enable(crate::site::DRIVER, json!({})).await;
    let good = json!({"id": "good", "name": "Good", "driver": crate::site::DRIVER, "address": {"file": "1.txt"}});
    api.post("/api/v1/endpoints", good).await;
    watch(&api, &["sync_error"], "good").await;
    fleet.in_step().await;
    fleet.api(1).knows_endpoints(1).await;
    let file = fleet.folder().join(&fleet.servers[1].name).join("data/config.db");
    let store = rusqlite::Connection::open(file).expect("the file is there");
    store.busy_timeout(PATIENCE).expect("a limit");
    let edit = "UPDATE row_endpoints SET row = replace(row, 'Good', 'Evil') WHERE key = 'good'";
    assert_eq!(store.execute(edit, []).expect("it is edited"), 1);
    let alert = told(&api, "Synchronisation error on pa-2").await.expect("it is told");
    let body = alert["body"].as_str().unwrap_or_default();
    assert!(body.contains("endpoint good was changed outside OneAlert"), "{body}");
    wait_for("the primary's row is back", PATIENCE, || async {
        let select = "SELECT row FROM row_endpoints WHERE key = 'good'";
        let row: String = store.query_row(select, [], |row| row.get(0)).ok()?;
        row.contains("Good").then_some(())
    })
    .await;
    shown(&api, "pa-2", "ok").await;
    assert_eq!(titles(&alerts(&api).await.expect("it answers"), "pa-2"), ["Synchronisation error on pa-2"]);
}

/// Makes a program believe that it is another time.
pub fn faketime() -> Option<String> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|file| Path::exists(file))?;
    Some(found.display().to_string())
}

/// Has a server believe from its next start on that it is later.
pub fn set_clock(server: &mut Server, library: &str, later: &str) {
    for (name, value) in [("LD_PRELOAD", library), ("FAKETIME", later), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")] {
        server.set_environment(name, Some(value));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_clock_is_three_seconds_ahead_is_told_once_and_named() {
    let Some(library) = faketime() else {
        println!("SKIPPED a_server_whose_clock_is_three_seconds_ahead_is_told_once_and_named: needs faketime");
        return;
    };
    tell(async || a_clock_is_told_once(&library).await).await;
}

async fn a_clock_is_told_once(library: &str) -> Result<(), String> {
    let mut site = Site::start().await;
    watch(&site.fleet.api(0), &["clock", "failed_over"], "file-1").await;
    site.fleet.in_step().await;
    assert!(site.fleet.servers[2].stop());
    set_clock(&mut site.fleet.servers[2], library, "+3.0");
    site.fleet.servers[2].start();
    let alert = told(&site.fleet.api(0), "Clock of server pa-3 is wrong").await?;
    let body = alert["body"].as_str().unwrap_or_default();
    assert!(body.contains(" ms ahead of the other servers'") && body.contains("NTP"), "{body}");
    told_by(&alert, "pa-1")?;
    // When a later matter has been told, everybody has had a turn to tell of the clock.
    site.fleet.servers[1].kill();
    told(&site.fleet.api(0), "Server pa-2 failed over").await?;
    let all = alerts(&site.fleet.api(0)).await.expect("it answers");
    assert_eq!(titles(&all, "Clock of "), ["Clock of server pa-3 is wrong"]);
    Ok(())
}
