//! The use models of the redundancy guide on three real servers: a district whose schools ring their own bells, the same
//! installation as active and passive, and what each server says and takes while another one is down.

mod bells;
mod district;
mod foreseen;

use district::{District, Site};
use harness::{FleetOptions, wait_for};
use http_client::Method;
use serde_json::json;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn each_site_rings_from_its_own_server_fails_over_in_its_order_and_returns() {
    let mut district = District::start().await;
    let bells = [("office-bell", Site::Office), ("elementary-bell", Site::Elementary), ("high-bell", Site::High)];
    // Whoever hears the bell's button, the site's own server rings.
    for (number, (bell, site)) in bells.into_iter().enumerate() {
        district.rung_by(Site::ALL[number], bell, site).await;
        district.rung_by(Site::ALL[(number + 1) % 3], bell, site).await;
    }

    // Elementary dies: its bells go to the second of its group, everybody else's stay.
    district.kill(Site::Elementary);
    district.rung_by(Site::Office, "elementary-bell", Site::High).await;
    district.rung_by(Site::High, "high-bell", Site::High).await;
    district.rung_by(Site::High, "office-bell", Site::Office).await;

    // The high school's server dies as well: the last of both groups is left.
    district.kill(Site::High);
    for (bell, _) in bells {
        district.rung_by(Site::Office, bell, Site::Office).await;
    }

    // They come back and ring their own bells again.
    district.start_again(Site::Elementary).await;
    district.rung_by(Site::Office, "elementary-bell", Site::Elementary).await;
    district.rung_by(Site::Office, "high-bell", Site::Elementary).await;
    district.start_again(Site::High).await;
    for (bell, site) in bells {
        district.rung_by(Site::Office, bell, site).await;
    }

    // The primary has everybody's records under everybody's name; a secondary has its own.
    for site in Site::ALL {
        let name = site.name();
        wait_for("the primary has what every server sent", LONG, || async {
            let of = district.sent(Site::Office, &format!("?server={}", district.id(site))).await;
            (!of.is_empty() && of.iter().all(|row| row["server_name"] == name)).then_some(())
        })
        .await;
    }
    let senders = district.api(Site::Office).get("/api/v1/senders").await;
    let names: Vec<&str> = senders.as_array().expect("a list").iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["DistrictOffice", "Elementary", "HighSchool"]);
    let own = district.sent(Site::Elementary, "").await;
    assert!(!own.is_empty() && own.iter().all(|row| row["server_name"] == "Elementary"), "{own:?}");
    assert_eq!(district.api(Site::Elementary).get("/api/v1/senders").await.as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_default_alone_the_primary_sends_and_the_others_stand_by_in_order() {
    let mut district = District::start().await;
    for heard in Site::ALL {
        district.rung_by(heard, "office-bell", Site::Office).await;
    }
    district.kill(Site::Office);
    district.rung_by(Site::High, "office-bell", Site::Elementary).await;

    // The primary is down: sending works, and what only the primary can do is refused with the reason and the way.
    let old = json!({"old": harness::PASSWORD, "new": "Another-1234"});
    let row = json!({"name": "Yard", "servers": [district.id(Site::High)]});
    let rename = format!("/api/v1/servers/{}", district.id(Site::High));
    for (method, path, body) in [
        (Method::POST, "/api/v1/password", &old),
        (Method::POST, "/api/v1/groups", &row),
        (Method::PUT, rename.as_str(), &json!({"name": "Gym"})),
    ] {
        let answer = district.api(Site::High).ask(method, path, Some(body)).await.expect("an answer");
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
        assert!(answer.text.contains("primary"), "{path}: {}", answer.text);
        let primary = answer.json["primary"].as_str().unwrap_or_default();
        assert!(primary.contains(&district.address(Site::Office)), "{path}: {}", answer.text);
    }

    district.start_again(Site::Office).await;
    district.rung_by(Site::High, "office-bell", Site::Office).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_in_use_is_deleted_only_with_a_place_for_its_triggers() {
    let district = District::start().await;
    let api = district.api(Site::Office);
    let path = "/api/v1/groups/elementary-group";
    for nowhere in ["", "?move_to=elementary-group", "?move_to=nowhere"] {
        let answer = api.ask(Method::DELETE, &format!("{path}{nowhere}"), None).await.expect("an answer");
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_eq!(answer.json["fields"][0]["path"], "/move_to", "{}", answer.text);
    }
    district.rung_by(Site::High, "elementary-bell", Site::Elementary).await;
    let answer = api.ask(Method::DELETE, &format!("{path}?move_to=high-group"), None).await.expect("an answer");
    assert_eq!(answer.json, json!({"moved_to": "high-group", "triggers": ["elementary-bell"], "calendars": []}));
    district.fleet.in_step().await;
    district.rung_by(Site::Elementary, "elementary-bell", Site::High).await;
    // DEFAULT stays, under its name, with somebody in it.
    let default = api.get("/api/v1/groups/DEFAULT").await;
    let renamed = json!({"name": "Main", "servers": default["row"]["servers"]});
    let empty = json!({"name": "DEFAULT", "servers": []});
    for (method, body) in [(Method::PUT, Some(&renamed)), (Method::PUT, Some(&empty)), (Method::DELETE, None)] {
        let answer = api.ask(method, "/api/v1/groups/DEFAULT", body).await.expect("an answer");
        assert_eq!(answer.status, 422, "{}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_every_server_says_what_only_it_knows() {
    // At the usual heartbeat: with a slower one it takes a minute.
    let district = District::start_on(FleetOptions::default()).await;
    let status = wait_for("sixty heartbeats of every server", 2 * LONG, || async {
        let status = district.api(Site::Office).try_get("/api/v1/status").await?;
        let full = |server: &serde_json::Value| server["heartbeats"].as_array().is_some_and(|beats| beats.len() == 60);
        status["servers"].as_array()?.iter().all(full).then_some(status)
    })
    .await;
    for server in status["servers"].as_array().expect("servers") {
        assert!(server["disk"]["total_mib"].as_u64() > Some(0), "{server}");
        assert!(server["booted"].as_i64() < server["started"].as_i64(), "{server}");
        assert_eq!(server["drivers"][0]["sha256"].as_str().map(str::len), Some(64), "{server}");
        assert_eq!(server["drivers"][0]["text"], "Runs", "{server}");
        assert!(server["licence"].as_str().is_some_and(|text| text.contains("of 9")), "{server}");
        assert_eq!(server["duties"].as_array().map(Vec::len), Some(3), "{server}");
    }
    // What is synchronised is told, with names and not with numbers; an event that came when the server had another name may
    // have kept that.
    let log = district.api(Site::Elementary).get("/api/v1/logs/sync").await;
    let texts: Vec<&str> = log.as_array().expect("lines").iter().filter_map(|line| line["text"].as_str()).collect();
    let is_up = |text: &&str| ["DistrictOffice", "pa-1"].iter().any(|name| text.starts_with(&format!("{name} is up")));
    assert!(texts.iter().any(is_up), "{texts:?}");
    assert!(texts.contains(&"connected to primary DistrictOffice"), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_multicast_address_of_a_secondary_counts_at_once_and_for_it_alone() {
    let district = District::start().await;
    let (api, primary) = (district.api(Site::Elementary), district.api(Site::Office));
    for group in ["239.255.77.1", "239.255.77.2"] {
        let ear = district::Ear::at(group);
        let settings = json!({"multicast_address": group, "network_interface": "127.0.0.1"});
        api.put("/api/v1/local-settings", settings.clone()).await;
        assert_eq!(api.get("/api/v1/local-settings").await["settings"], settings);
        district.hear(Site::Elementary, ear.port).await;
        assert!(ear.packets(LONG) > 0, "nothing was heard at {group}");
    }
    assert_eq!(primary.get("/api/v1/local-settings").await["settings"]["multicast_address"], "");
    let wrong = json!({"multicast_address": "10.0.0.1", "network_interface": "127.0.0.1"});
    let answer = api.ask(Method::PUT, "/api/v1/local-settings", Some(&wrong)).await.expect("an answer");
    assert_eq!(answer.status, 422, "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_live_server_answers_phones_also_while_the_primary_is_down() {
    let mut district = District::start().await;
    let login = json!({"user": "paging", "password": "correct horse battery"});
    district.api(Site::Office).put("/api/v1/phone-login", login).await;
    district.fleet.in_step().await;
    let ask = "UserID=paging&Password=correct+horse+battery&devicename=SEP001122334455";
    for site in Site::ALL {
        assert_eq!(district.phone_asks(site, ask), "AUTHORIZED", "{}", site.name());
        assert_eq!(district.phone_asks(site, "UserID=paging&Password=x&devicename=SEP0"), "UN-AUTHORIZED");
    }
    district.kill(Site::Office);
    for site in [Site::Elementary, Site::High] {
        assert_eq!(district.phone_asks(site, ask), "AUTHORIZED", "{}", site.name());
    }
}
