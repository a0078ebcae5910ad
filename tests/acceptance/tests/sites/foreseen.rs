//! Bells asked about beforehand: who rings which if a server is dead, at the console, in the API and in a drill's report; and
//! that what then rings is what was said.

use std::time::Duration;

use harness::{asked, same, tell, wait_for};
use serde_json::{Value, json};

use crate::district::{District, Site, in_seconds, time_of_day};

const LONG: Duration = Duration::from_secs(60);
const BELLS: [(&str, &str, Site); 3] = [
    ("elementary-bell", "elementary-group", Site::Elementary),
    ("high-bell", "high-group", Site::High),
    ("office-bell", "DEFAULT", Site::Office),
];

/// Asks at the console of a site; gives the exit status and what was printed, errors included.
fn console(district: &District, site: Site, arguments: &[&str]) -> (Option<i32>, String) {
    let (status, out, err) = district.fleet.servers[site as usize].verdict(arguments, &[]);
    (status, out + &err)
}

/// The bells of an answer: calendar, event, and who rings.
fn named(answer: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("nobody").to_owned();
    let days = answer["days"].as_array().expect("days");
    let bells = days.iter().flat_map(|day| day["bells"].as_array().expect("bells").iter().map(move |bell| (day, bell)));
    bells
        .map(|(day, bell)| (text(&day["calendar"]["id"]), text(&bell["event"]), text(&bell["sender"]["name"])))
        .collect()
}

fn site_named(name: &str) -> Site {
    Site::ALL.into_iter().find(|site| site.name() == name).unwrap_or_else(|| panic!("{name} is no site's server"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_if_and_drill_say_who_rings_the_bells_with_a_server_dead_and_so_they_ring() {
    tell(they_ring_as_was_said).await;
}

async fn they_ring_as_was_said() -> Result<(), String> {
    let mut district = District::start().await;
    // Far enough for any machine to ask everything before the first is due.
    let (first, second) = (in_seconds(900), in_seconds(901));
    for (bell, group, _) in BELLS {
        district.schedule(bell, group, &[("First", first), ("Second", second)]).await;
    }
    district.fleet.in_step().await;
    let today = district.api(Site::Office).get("/api/v1/calendars/high-bell").await["next"]["date"].clone();
    let today = today.as_str().expect("the next bell's date").to_owned();

    // As it stands: the next bell of every schedule, each by its own site's server.
    let own = BELLS.map(|(bell, _, site)| (bell.to_owned(), "First".to_owned(), site.name().to_owned()));
    asked(LONG, || async {
        let (status, text) = console(&district, Site::High, &["what-if", "--calendars", "--json"]);
        let answer: Value = serde_json::from_str(&text).expect(&text);
        assert_eq!(answer["at"], first, "{text}");
        same((status, named(&answer)), (Some(0), own.to_vec()), "as it stands")
    })
    .await?;

    // With Elementary dead: both bells of the day, by console and API, of every server the same.
    let elementary = district.id(Site::Elementary);
    let path = format!("/api/v1/redundancy/what-if?calendars=all&on={today}&dead={elementary}");
    let mut foreseen = named(&district.api(Site::High).get(&path).await);
    assert_eq!(foreseen.len(), 6, "{foreseen:?}");
    for (bell, _, server) in &mut foreseen {
        let by = if bell == "elementary-bell" { "HighSchool" } else { site_of(bell).name() };
        by.clone_into(server);
    }
    for site in [Site::High, Site::Office] {
        asked(LONG, || async {
            same(named(&district.api(site).get(&path).await), &foreseen[..], "with Elementary dead")
        })
        .await?;
    }
    asked(LONG, || async {
        let question = ["what-if", "--calendar", "elementary-bell", "--on", &today, "--dead", "Elementary"];
        let (status, text) = console(&district, Site::Office, &question);
        assert!(status == Some(0) && text.contains("Every day: 2 events (UTC, ElementaryGroup)"), "{status:?} {text}");
        assert!(text.contains("assumed dead"), "{text}");
        let by_high = |line: &&str| line.contains("→ elementary-bell") && line.ends_with("HighSchool rings");
        same(text.lines().filter(by_high).count(), 2, &text)?;
        same(text.contains("in this order: HighSchool, DistrictOffice"), true, &text)
    })
    .await?;
    let all = ["Elementary", "HighSchool", "DistrictOffice"].map(|name| ["--dead", name]).concat();
    let (status, text) = console(&district, Site::High, &[&["what-if", "--calendar", "high-bell"], &all[..]].concat());
    assert!(status == Some(4) && text.contains("Nobody rings") && text.contains("high-bell: nobody sends"), "{text}");
    for (arguments, says) in [
        (&["what-if", "--calendar", "Nowhere"][..], "There is no schedule Nowhere"),
        (&["what-if", "--calendars", "--on", "2020-01-01"], "lies in the past"),
        (&["what-if", "--calendars", "--on", "Monday"], "write it as 2026-11-30"),
    ] {
        let (status, text) = console(&district, Site::High, arguments);
        assert!(status == Some(1) && text.contains(says), "{arguments:?}: {status:?} {text}");
    }
    let both = ["what-if", "--calendars", "--notification", "high-bell"];
    assert_eq!(console(&district, Site::High, &both).0, Some(2), "one cause at a time");

    // The drill says it of every bell that is to come, and rings none.
    let report = district.api(Site::Office).post("/api/v1/redundancy/drill", json!({})).await;
    let bells = report["bells"].as_array().expect("bells");
    let ours = |it: &&Value| BELLS.iter().any(|(bell, ..)| it["calendar"] == *bell);
    let first_of: Vec<&Value> = bells.iter().filter(ours).filter(|it| it["due"] == first).collect();
    assert_eq!(first_of.len(), 3, "{report}");
    for it in first_of {
        let bell = it["calendar"].as_str().unwrap_or_default();
        let heir = if site_of(bell) == Site::Elementary { Site::High } else { Site::Elementary };
        // A server that stands still for a moment is rightly counted as dead.
        same((&it["before"], &it["after"]), (&site_of(bell).name().into(), &heir.name().into()), bell)?;
        same((&it["state"], &it["event"]), (&"ok".into(), &"First".into()), bell)?;
    }
    assert!(
        report.to_string().contains("elementary-bell → elementary-bell"),
        "the way of bells is rehearsed: {report}"
    );
    assert!(BELLS.iter().all(|(bell, ..)| district.rings(bell).is_empty()), "asking and drilling ring nothing");

    // And so it comes, when the bells are brought forward.
    district.kill(Site::Elementary);
    let (first, second) = (in_seconds(30), in_seconds(31));
    for (bell, ..) in BELLS {
        let path = format!("/api/v1/calendars/{bell}");
        let mut calendar = district.api(Site::Office).get(&path).await["row"].clone();
        for (event, due) in [first, second].into_iter().enumerate() {
            calendar["templates"][0]["events"][event]["at"] = json!(time_of_day(due));
        }
        district.api(Site::Office).put(&path, calendar).await;
    }
    for (bell, ..) in BELLS {
        let rings = wait_for(&format!("both bells of {bell} have rung"), LONG, || async {
            let rings = district.rings(bell);
            (rings.iter().map(|(_, n)| n).sum::<usize>() >= 2).then_some(rings)
        })
        .await;
        let said = foreseen.iter().find(|(of, ..)| of == bell).expect("it was asked about");
        same(rings, [(site_named(&said.2), 2)], bell)?;
    }
    Ok(())
}

fn site_of(bell: &str) -> Site {
    BELLS.iter().find(|(of, ..)| *of == bell).expect("one of ours").2
}
