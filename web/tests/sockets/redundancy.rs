//! Servers that came back, what would happen if, and drills, through pages and API.

use serde_json::json;

use crate::{
    support::Server,
    world::{PA1, PA2, World},
};

#[tokio::test]
async fn a_server_that_holds_back_says_why_and_an_administrator_lets_it_return() {
    for world in [World::primary(), World::secondary()] {
        let server = Server::start(world).await;
        let cookie = server.sign_in("admin").await;
        let page = server.get("/redundancy").cookie(&cookie).send().await.is(200);
        page.shows("Back since 10:02:11, an administrator has to let it return").shows("Return pa-2 now");
        let path = format!("/redundancy/return/{PA2}");
        let done = server.request("POST", &path).cookie(&cookie).send().await.is(303);
        assert_eq!(done.header("location"), Some("/redundancy?done=returned"));
        let page = server.get("/redundancy").cookie(&cookie).send().await.is(200);
        assert!(!page.body.contains("Return pa-2 now"), "{}", page.body);
        let again = server.request("POST", &format!("/api/v1{path}")).user("admin").send().await.is(422).json();
        assert_eq!(again["detail"], "It does not hold back.");
    }
}

#[tokio::test]
async fn manual_return_is_configuration_and_only_the_primary_takes_it() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    server.request("POST", "/redundancy").cookie(&cookie).form(&[("x", "y")]).send().await.is(303);
    let shown = server.get("/api/v1/redundancy").user("editor").send().await.is(200).json();
    assert_eq!(shown["manual_return"], false);
    let put = |body| server.request("PUT", "/api/v1/redundancy").user("admin").json(&body).send();
    put(json!({"manual_return": true})).await.is(204);
    put(json!({"manual": true})).await.is(400);
    assert_eq!(server.get("/api/v1/redundancy").user("editor").send().await.json()["manual_return"], true);
    let secondary = Server::start(World::secondary()).await;
    let cookie = secondary.sign_in("admin").await;
    secondary.request("POST", "/redundancy").cookie(&cookie).form(&[("x", "y")]).send().await.is(403);
}

#[tokio::test]
async fn what_if_shows_who_would_send_and_says_what_is_wrong_with_a_question() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("editor").await;
    server.get("/redundancy/what-if").cookie(&cookie).send().await.is(200).shows("Show what would happen");
    let asked = format!("/redundancy/what-if?cause=notification%3Alockdown&dead={PA1}&day=&time=");
    server.get(&asked).cookie(&cookie).send().await.is(200).shows("pa-2 sends").shows("assumed dead");
    let bad = "/redundancy/what-if?cause=notification%3Alockdown&day=soon&time=08%3A00";
    server.get(bad).cookie(&cookie).send().await.is(422).shows("is no time; give it like");
    let timeless = "/redundancy/what-if?cause=notification%3Alockdown&day=&time=08%3A00";
    server.get(timeless).cookie(&cookie).send().await.is(422).shows("Choose a day for the time.");
    let whole_day = "/redundancy/what-if?cause=notification%3Alockdown&day=2026-11-30&time=";
    server.get(whole_day).cookie(&cookie).send().await.is(422).shows("Choose a time of the day.");
    let answer = server.get("/api/v1/redundancy/what-if?notification=lockdown&dead=xyz").user("editor").send().await;
    assert_eq!(answer.is(422).json()["fields"][0]["path"], "/dead");
    let both = "/api/v1/redundancy/what-if?notification=lockdown&trigger=tornado";
    server.get(both).user("editor").send().await.is(422);
    let answer = server.get("/api/v1/redundancy/what-if?notification=lockdown").user("editor").send().await.is(200);
    assert_eq!(answer.json()["runs"][0]["sender"]["name"], "pa-1");
}

#[tokio::test]
async fn what_if_shows_the_bells_of_a_day_with_who_rings_them() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("editor").await;
    let page = server.get("/redundancy/what-if").cookie(&cookie).send().await.is(200);
    page.shows("the bells of every schedule").shows("the bells of School bells");
    let asked = format!("/redundancy/what-if?cause=calendar%3Aschool&day=2026-11-30&time=&dead={PA1}");
    let page = server.get(&asked).cookie(&cookie).send().await.is(200);
    page.shows("First bell").shows("08:50").shows("pa-2 rings").shows("Monday 30 November 2026, Normal day: 2 events");
    let ask = |query: &str| {
        let path = format!("/api/v1/redundancy/what-if?{query}");
        let server = &server;
        async move { server.get(&path).user("editor").send().await }
    };
    let answer = ask("calendar=school&on=2026-11-30T08:00").await.is(200).json();
    assert_eq!(answer["days"][0]["bells"][1]["at"], "08:50", "{answer}");
    assert_eq!(ask("calendars=all").await.is(200).json()["days"][0]["calendar"]["id"], "school");
    for (query, path) in [
        ("calendar=school&trigger=tornado", "/trigger"),
        ("calendars=school", "/calendars"),
        ("calendar=school&at=2026-11-30T08:00", "/at"),
        ("notification=lockdown&on=2026-11-30", "/on"),
        ("calendar=school&on=Monday", "/on"),
    ] {
        assert_eq!(ask(query).await.is(422).json()["fields"][0]["path"], path, "{query}");
    }
}

#[tokio::test]
async fn a_drill_is_started_by_a_button_and_its_report_is_shown() {
    let server = Server::start(World::secondary()).await;
    let cookie = server.sign_in("admin").await;
    server.get("/redundancy/drill").cookie(&cookie).send().await.is(200).shows("No drill has been run");
    let done = server.request("POST", "/redundancy/drill").cookie(&cookie).send().await.is(303);
    assert_eq!(done.header("location"), Some("/redundancy/drill?done=drilled"));
    server
        .get("/redundancy/drill?done=drilled")
        .cookie(&cookie)
        .send()
        .await
        .is(200)
        .shows("Nothing was sent to any endpoint")
        .shows("6.3 ms")
        .shows("Old horn: no enabled driver reaches it")
        .shows("is 1.0.0 there, 1.1.0 is enabled")
        .shows("Gym horn: its driver is missing on the server that would send");
    let report = server.get("/api/v1/redundancy/drill").user("editor").send().await.is(200).json();
    assert_eq!(report["cases"][0]["takeover_ms"], 6.3);
}
