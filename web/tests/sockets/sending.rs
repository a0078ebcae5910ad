//! Sending, stopping and what was sent, through pages and API.

use serde_json::json;

use crate::{support::Server, world::World};

#[tokio::test]
async fn the_same_key_sends_once_and_another_key_again() {
    let server = Server::start(World::primary()).await;
    let send = |key: &'static str| {
        server
            .request("POST", "/api/v1/notifications/lockdown/send")
            .user("sender")
            .header("Idempotency-Key", key)
            .send()
    };
    let first = send("a").await.is(202).json();
    let again = send("a").await.is(202).json();
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&json!(false), &json!(true)));
    assert_eq!(first["activations"], again["activations"]);
    assert_ne!(send("b").await.is(202).json()["activations"], first["activations"]);
    let running = server.get("/api/v1/running").user("viewer").send().await.is(200).json();
    assert_eq!(running.as_array().expect("a list").len(), 2);
    server.request("POST", "/api/v1/notifications/nothing/send").user("sender").send().await.is(404);
}

#[tokio::test]
async fn without_script_a_page_asks_before_it_sends_and_a_form_posted_twice_is_sent_once() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("sender").await;
    let post = |fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.request("POST", "/notifications/lockdown/send").cookie(&cookie).form(&fields).send()
    };
    let page = post(Vec::new()).await.is(200).shows("Send Lockdown?").shows("Send Lockdown now").body;
    assert_eq!(server.world.change(|state| state.running.len()), 0, "asking sends nothing");
    let key =
        page.split("name=\"key\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a key").to_owned();
    assert_eq!(key.len(), 32);
    let confirmed = vec![("key", key), ("confirm", "yes".to_owned())];
    assert_eq!(post(confirmed.clone()).await.is(303).header("location"), Some("/status?done=sent"));
    assert_eq!(post(confirmed).await.is(303).header("location"), Some("/status?done=sent-before"));
    assert_eq!(server.world.change(|state| state.running.len()), 1);
    server
        .get("/status?done=sent")
        .cookie(&cookie)
        .send()
        .await
        .is(200)
        .shows("Accepted. It is safe")
        .shows("0 of 5 reached");
}

#[tokio::test]
async fn stopping_one_and_stopping_all() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("sender").await;
    for name in ["lockdown", "all-clear", "weather"] {
        server.request("POST", &format!("/api/v1/notifications/{name}/send")).cookie(&cookie).send().await.is(202);
    }
    let running = server.get("/api/v1/running").cookie(&cookie).send().await.json();
    let id = running[1]["activation"].as_str().expect("an id");
    server.request("POST", &format!("/running/{id}/stop")).cookie(&cookie).send().await.is(303);
    // It has ended: for a page what was wanted is so, the API says so.
    server.request("POST", &format!("/running/{id}/stop")).cookie(&cookie).send().await.is(303);
    server.request("POST", &format!("/api/v1/running/{id}/stop")).cookie(&cookie).send().await.is(404);
    server.request("POST", "/running/stop-all").cookie(&cookie).send().await.is(200).shows("2 running notifications");
    assert_eq!(server.world.change(|state| state.running.len()), 2, "asking stops nothing");
    server.request("POST", "/running/stop-all").cookie(&cookie).form(&[("confirm", "yes")]).send().await.is(303);
    assert_eq!(server.world.change(|state| state.running.len()), 0);
}

#[tokio::test]
async fn an_event_sets_off_a_trigger_of_ours_and_not_one_that_a_driver_watches() {
    let server = Server::start(World::primary()).await;
    let post = |trigger: &'static str, body| {
        server.request("POST", &format!("/api/v1/triggers/{trigger}/events")).user("sender").json(&body).send()
    };
    let accepted = post("panic-button", json!({"title": "Room 12"})).await.is(202).json();
    assert_eq!(accepted["activations"].as_array().map(Vec::len), Some(1));
    assert_eq!(accepted["degraded"], true);
    post("tornado", json!({})).await.is(422);
    post("panic-button", json!({"tittle": "x"})).await.is(400).shows("tittle");
    server.request("POST", "/api/v1/triggers/panic-button/events").user("sender").send().await.is(202);
}

#[tokio::test]
async fn what_was_sent_is_paged_without_gaps_or_doubles_and_filtered() {
    let server = Server::start(World::primary()).await;
    let mut seen = Vec::new();
    let mut path = "/api/v1/sent?limit=7".to_owned();
    loop {
        let page = server.get(&path).user("viewer").send().await.is(200).json();
        seen.extend(page["rows"].as_array().expect("rows").iter().map(|row| row["activation"].to_string()));
        match page["next"].as_str() {
            Some(next) if seen.len() < 1000 => path = format!("/api/v1/sent?limit=7&after={next}"),
            _ => break,
        }
    }
    let mut unique = seen.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((seen.len(), unique.len()), (60, 60));
    let missed = server.get("/api/v1/sent?outcome=missed&limit=500").user("viewer").send().await.json();
    let rows = missed["rows"].as_array().expect("rows");
    assert!(!rows.is_empty() && rows.iter().all(|row| row["outcome"] == "missed"));
    server.get("/api/v1/sent?outcome=fine").user("viewer").send().await.is(400);
}

#[tokio::test]
async fn the_list_shows_the_server_and_one_record_every_endpoint() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("viewer").await;
    server
        .get("/sent")
        .cookie(&cookie)
        .send()
        .await
        .is(200)
        .shows("scope=\"col\">Server")
        .shows("pa-2")
        .shows("took over")
        .shows(">Older<");
    let only =
        server.get("/sent?server=000000000000000000000000000000a2&outcome=missed").cookie(&cookie).send().await.is(200);
    only.shows("Show all").hides("data-label=\"Server\">pa-1");
    let first =
        server.get("/api/v1/sent?outcome=partial").cookie(&cookie).send().await.json()["rows"][0]["activation"].clone();
    let page = server.get(&format!("/sent/{}", first.as_str().expect("an id"))).cookie(&cookie).send().await.is(200);
    page.shows("Partial success: 4 of 5 endpoints reached")
        .shows("no answer from 10.0.1.23")
        .shows("First sound sent")
        .shows("2004 ms");
    server.get("/sent/00000000000000000000000000000000").cookie(&cookie).send().await.is(404);
    server.get("/sent/nonsense").cookie(&cookie).send().await.is(404);
    server.get("/sent?q=nothing-fits").cookie(&cookie).send().await.is(200).shows("Nothing that was sent fits this");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named_as_missing() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("viewer").await;
    server.world.change(|state| state.status.servers[1].state = onealert_web::needs::State::Bad);
    server.get("/sent").cookie(&cookie).send().await.shows("pa-2 cannot be reached");
}

#[tokio::test]
async fn the_csv_file_holds_all_that_fits_the_filter() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("viewer").await;
    let answer = server.get("/sent/list.csv").cookie(&cookie).send().await.is(200);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(answer.body.lines().count(), 61, "a head and 60 records");
    let some = server.get("/sent/list.csv?q=lockdown").cookie(&cookie).send().await.is(200).body;
    assert!(some.lines().skip(1).all(|line| line.contains("Lockdown")) && some.lines().count() == 13, "{some}");
}
