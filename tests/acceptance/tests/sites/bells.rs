//! Bells by calendar on three real servers: each site's own server rings, the next in its group's order when that one is gone
//! or stuck, nobody twice, and what could not be rung is recorded.

use std::time::Duration;

use harness::{in_time, same, tell, wait_for};
use http_client::Method;
use serde_json::{Value, json};

use crate::district::{District, Site, in_seconds, until};

const LONG: Duration = Duration::from_secs(60);
const BELLS: [(&str, &str, Site); 3] = [
    ("office-bell", "DEFAULT", Site::Office),
    ("elementary-bell", "elementary-group", Site::Elementary),
    ("high-bell", "high-group", Site::High),
];

/// How far the time that the kernel gives a file lies behind the clock at most, in milliseconds.
const CLOCK_STEP: i64 = 20;

/// Waits until a bell has rung so often in all; gives who rang it how often.
async fn rung(district: &District, bell: &str, times: usize) -> Vec<(Site, usize)> {
    wait_for(&format!("{bell} has rung {times} times"), LONG, || async {
        let rings = district.rings(bell);
        (rings.iter().map(|(_, n)| n).sum::<usize>() >= times).then_some(rings)
    })
    .await
}

/// What a server has in Sent Notifications of a bell: how it ended, and which server says so.
async fn sent(district: &District, site: Site, bell: &str) -> Vec<(String, String)> {
    let rows = district.sent(site, "").await;
    let of = rows.iter().filter(|row| row["notification"] == bell);
    of.map(|row| (text(&row["outcome"]), text(&row["server_name"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sites_bells_ring_by_calendar_from_its_own_server_and_from_the_next_when_that_one_is_dead() {
    tell(each_site_rings_its_own_bells).await;
}

async fn each_site_rings_its_own_bells() -> Result<(), String> {
    let mut district = District::start().await;
    let (first, second) = (in_seconds(30), in_seconds(45));
    for (bell, group, _) in BELLS {
        district.schedule(bell, group, &[("First", first), ("Second", second)]).await;
    }
    district.fleet.in_step().await;
    for (bell, _, site) in BELLS {
        same(rung(&district, bell, 1).await, [(site, 1)], bell)?;
        let late = district.last_rung(site, bell) - first;
        println!("{bell}: rung by {} {late} ms after it was due", site.name());
        assert!(late >= -CLOCK_STEP, "{bell} was rung {} ms before its time", -late);
    }
    wait_for("the first bell's record is on the primary, so that its end is nobody else's to tell", LONG, || async {
        (!sent(&district, Site::Office, "elementary-bell").await.is_empty()).then_some(())
    })
    .await;
    district.kill(Site::Elementary);
    let rings = rung(&district, "elementary-bell", 2).await;
    same(rings, [(Site::Elementary, 1), (Site::High, 1)], "the second of its group rings the second bell")?;
    println!(
        "elementary-bell: rung by the next {} ms after it was due",
        district.last_rung(Site::High, "elementary-bell") - second
    );
    for (bell, site) in [("office-bell", Site::Office), ("high-bell", Site::High)] {
        same(rung(&district, bell, 2).await, [(site, 2)], bell)?;
    }

    // It comes back inside the minute in which both bells rang, and rings neither of them again.
    district.start_again(Site::Elementary).await;
    let records = wait_for("the primary has every bell", LONG, || async {
        let records = sent(&district, Site::Office, "elementary-bell").await;
        (records.len() >= 2).then_some(records)
    })
    .await;
    let by = |name: &str| ("success".to_owned(), name.to_owned());
    same(records, [by("HighSchool"), by("Elementary")], "each once, the newest first")?;
    for (bell, _, _) in BELLS {
        let rings: usize = district.rings(bell).iter().map(|(_, n)| n).sum();
        same(rings, 2, bell)?;
    }
    let next = district.api(Site::Elementary).get("/api/v1/calendars/elementary-bell").await;
    assert_eq!(next["next"]["event"], "First", "tomorrow's: {next}");
    assert_eq!((&next["sends_name"], &next["group_name"]), (&"Elementary".into(), &"ElementaryGroup".into()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bell_whose_server_hangs_just_before_it_is_due_is_rung_by_the_next_by_the_deadline() {
    tell(the_next_rings_for_one_that_hangs).await;
}

async fn the_next_rings_for_one_that_hangs() -> Result<(), String> {
    let district = District::start().await;
    let due = in_seconds(30);
    district.schedule("elementary-bell", "elementary-group", &[("First", due)]).await;
    district.fleet.in_step().await;
    // It does not answer, and nobody can believe it down by then: heartbeats looked healthy a moment ago.
    until(due, 1200).await;
    district.fleet.servers[Site::Elementary as usize].pause();
    same(rung(&district, "elementary-bell", 1).await, [(Site::High, 1)], "the next rings it")?;
    let late = district.last_rung(Site::High, "elementary-bell") - due;
    println!("owner stuck: the bell rang {late} ms after it was due");
    assert!(late >= -CLOCK_STEP, "rung {} ms before its time", -late);
    // It wakes, asks the others, and leaves the bell alone.
    district.fleet.servers[Site::Elementary as usize].wake();
    district.fleet.in_step().await;
    wait_for("it knows that the bell was rung", LONG, || async {
        let status = district.api(Site::Elementary).try_get("/api/v1/status").await?;
        status["servers"].as_array()?.iter().all(|server| server["state"] == "ok").then_some(())
    })
    .await;
    same(district.rings("elementary-bell"), [(Site::High, 1)], "and nobody else")?;
    let records = in_time("its record is with who rang it", LONG, || async {
        let records = sent(&district, Site::High, "elementary-bell").await;
        (!records.is_empty()).then_some(records)
    })
    .await?;
    same(records, [("success".to_owned(), "HighSchool".to_owned())], "its record")
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_started_again_inside_the_minute_of_a_bell_do_not_ring_it_twice() {
    tell(started_again_they_do_not_ring_again).await;
}

async fn started_again_they_do_not_ring_again() -> Result<(), String> {
    let mut district = District::start().await;
    let due = in_seconds(30);
    district.schedule("high-bell", "high-group", &[("First", due)]).await;
    district.fleet.in_step().await;
    same(rung(&district, "high-bell", 1).await, [(Site::High, 1)], "its own server rings it")?;
    let recorded = || async { (sent(&district, Site::Office, "high-bell").await.len() == 1).then_some(()) };
    wait_for("its record is on the primary: that it was rung is known before all are killed", LONG, recorded).await;
    for site in Site::ALL {
        district.kill(site);
    }
    for site in Site::ALL {
        district.fleet.servers[site as usize].start();
    }
    district.fleet.in_step().await;
    // Longer than any of them takes to hand over what was due, ask the others, and take over from one that says nothing.
    until(due, -12_000).await;
    wait_for("its record is on the primary, whole", LONG, || async {
        (sent(&district, Site::Office, "high-bell").await.len() == 1).then_some(())
    })
    .await;
    same(district.rings("high-bell"), [(Site::High, 1)], "nobody rings it again")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bell_that_nobody_could_ring_in_time_is_recorded_once_as_missed_and_told() {
    let mut district = District::start().await;
    let api = district.api(Site::Office);
    let due = in_seconds(30);
    district.schedule("elementary-bell", "elementary-group", &[("First", due)]).await;
    let mut calendar = api.get("/api/v1/calendars/elementary-bell").await["row"].clone();
    calendar["late_limit_s"] = json!(2);
    api.put("/api/v1/calendars/elementary-bell", calendar).await;
    let trigger = json!({
        "id": "missed", "name": "Missed", "driver": "onealert.redundancy-status", "group": "DEFAULT",
        "settings": {"kinds": ["missed"], "quiet_minutes": 10}
    });
    api.post("/api/v1/triggers", trigger).await;
    let told = json!({
        "id": "told", "name": "Told", "triggers": ["missed"], "endpoints": ["office-bell"],
        "message": {"title": "{activatorTitle}", "body": "{activatorBody}", "hold_seconds": 0}
    });
    api.post("/api/v1/notifications", told).await;
    district.fleet.in_step().await;
    // All are gone before it is handed over, and come back when it is too late.
    until(due, 8000).await;
    for site in Site::ALL {
        district.kill(site);
    }
    until(due, -2500).await;
    for site in Site::ALL {
        district.fleet.servers[site as usize].start();
    }
    district.fleet.in_step().await;
    let alert = wait_for("what was missed is told", LONG, || async {
        let rows = district.sent(Site::Office, "").await;
        rows.into_iter().find(|row| row["notification"] == "told")
    })
    .await;
    assert_eq!(alert["outcome"], "success", "{alert}");
    let missed = wait_for("the primary has the record", LONG, || async {
        let records = sent(&district, Site::Office, "elementary-bell").await;
        (!records.is_empty()).then_some(records)
    })
    .await;
    assert_eq!(missed.len(), 1, "{missed:?}");
    assert_eq!(missed[0].0, "missed");
    assert_eq!(district.rings("elementary-bell"), []);
    let rows = district.sent(Site::Office, "?outcome=missed").await;
    let id = text(&rows[0]["activation"]);
    let detail = district.api(Site::Office).get(&format!("/api/v1/sent/{id}")).await;
    assert!(detail["why"].to_string().contains("too late"), "{detail}");
    // Two servers that do not hear each other when they start may each find that it was missed.
    let told: usize = district.rings("office-bell").iter().map(|(_, n)| n).sum();
    assert!((1..=2).contains(&told), "told {told} times");
    wait_for("System Status says that something was missed", LONG, || async {
        let status = district.api(Site::Office).try_get("/api/v1/status").await?;
        let attention = status["attention"].as_array()?;
        attention.iter().any(|entry| entry["href"] == "/sent?outcome=missed").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bells_today_counts_to_the_last_second_and_editors_may_say_so_on_the_primary_only() {
    tell(no_bells_today_counts).await;
}

async fn no_bells_today_counts() -> Result<(), String> {
    let district = District::start().await;
    let due = in_seconds(30);
    district.schedule("high-bell", "high-group", &[("First", due)]).await;
    district.fleet.in_step().await;
    let api = district.api(Site::Office);
    let today = text(&api.get("/api/v1/calendars/high-bell").await["next"]["date"]);
    let none = json!({"from": today, "to": today, "reason": "Snow day"});
    let path = "/api/v1/calendars/high-bell/exceptions";
    let refused = district.api(Site::High).ask(Method::POST, path, Some(&none)).await.expect("an answer");
    assert_eq!(refused.status, 403, "{}", refused.text);
    // Every server has it in hand by then.
    until(due, 4500).await;
    let answer = api.ask(Method::POST, path, Some(&none)).await.expect("an answer");
    assert_eq!(answer.status, 204, "{}", answer.text);
    let record = in_time("it was taken back", LONG, || async {
        sent(&district, Site::Office, "high-bell").await.into_iter().next()
    })
    .await?;
    // A disk that syncs for seconds may bring the word to the one who rings after the bell.
    same(record.0, "stopped", "how it ended")?;
    until(due, -3000).await;
    same(district.rings("high-bell"), [], "who rang it")
}
