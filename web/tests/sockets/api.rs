//! The configuration through the API: rows, conflicts, secrets, problems.

use serde_json::{Value, json};

use crate::{
    support::{Answer, Server},
    world::{Inner, World},
};

async fn put(server: &Server, path: &str, etag: Option<&str>, body: &Value) -> Answer {
    let ask = server.request("PUT", path).user("admin").json(body);
    match etag {
        Some(etag) => ask.header("If-Match", etag).send().await,
        None => ask.send().await,
    }
}

#[tokio::test]
async fn an_endpoint_is_created_read_changed_and_deleted() {
    let server = Server::start(World::primary()).await;
    let new = json!({"name": "  Library ", "driver": "com.algo.speaker", "address": {"host": "10.0.0.9", "password": "library-secret"}});
    let created = server.request("POST", "/api/v1/endpoints").user("admin").json(&new).send().await.is(201).json();
    assert_eq!(created["id"], "library");
    let answer = server.get("/api/v1/endpoints/library").user("editor").send().await.is(200).hides("library-secret");
    let etag = answer.header("etag").expect("an ETag").to_owned();
    assert_eq!(answer.json()["row"]["name"], "Library");

    let change = json!({"name": "Library", "driver": "com.algo.speaker", "address": {"host": "10.0.0.10"}});
    put(&server, "/api/v1/endpoints/library", Some(&etag), &change).await.is(204);
    let id = "library".into();
    let stored = server.world.change(|state| state.endpoints[&id].address.clone());
    assert_eq!(
        stored,
        json!({"host": "10.0.0.10", "password": "library-secret"}),
        "the secret that was left out is kept"
    );

    let refused = put(&server, "/api/v1/endpoints/library", Some(&etag), &change).await.is(409);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    server.request("DELETE", "/api/v1/endpoints/library").user("admin").header("If-Match", &etag).send().await.is(409);
    server.request("DELETE", "/api/v1/endpoints/library").user("admin").send().await.is(204);
    server.get("/api/v1/endpoints/library").user("admin").send().await.is(404).shows("There is no endpoint library");
}

#[tokio::test]
async fn every_wrong_value_is_named_at_once() {
    let server = Server::start(World::primary()).await;
    let body = json!({"name": " ", "driver": "com.algo.speaker", "address": {"host": "a_b", "volume": 11, "strobe": {"colour": "pink"}}});
    let problem = server.request("POST", "/api/v1/endpoints").user("admin").json(&body).send().await.is(422).json();
    let fields = problem["fields"].as_array().expect("fields");
    let paths: Vec<&str> = fields.iter().filter_map(|field| field["path"].as_str()).collect();
    assert_eq!(paths, ["/name", "/address/host", "/address/strobe/colour", "/address/volume"]);
    let body = json!({"name": "x", "driver": "com.nobody", "address": {}});
    let problem = server.request("POST", "/api/v1/endpoints").user("admin").json(&body).send().await.is(422).json();
    assert_eq!(problem["fields"][0]["path"], "/driver");
}

#[tokio::test]
async fn what_cannot_be_read_says_why() {
    let server = Server::start(World::primary()).await;
    let post = |body: &'static [u8]| server.request("POST", "/api/v1/notifications").user("admin").body(body).send();
    post(b"{\"name\": ").await.is(400).shows("line 1");
    post(b"[]").await.is(400);
    post(b"\xff\xfe").await.is(400);
    post(b"{\"name\": \"n\", \"priority\": \"loud\"}").await.is(400).shows("loud");
    server.get("/api/v1/nothing").user("admin").send().await.is(404);
    let answer = server.request("PATCH", "/api/v1/notifications").user("admin").send().await.is(405);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.body.contains("GET, POST"), "{answer:?}");
    server.get("/api/v2/status").user("admin").send().await.is(404);
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let server = Server::start(World::primary()).await;
    let big = vec![b' '; 5 * 1024 * 1024];
    let head = format!(
        "POST /api/v1/notifications HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        big.len()
    );
    // Refused by its announced length, before it is sent.
    server.raw(head.as_bytes()).await.is(413);
}

#[tokio::test]
async fn scripts_are_told_how_to_sign_in_and_browsers_are_not() {
    let server = Server::start(World::primary()).await;
    let script = server.get("/api/v1/status").send().await.is(401);
    assert!(script.header("www-authenticate").is_some_and(|text| text.starts_with("Basic")), "{script:?}");
    let browser = server.get("/api/v1/status").header("Sec-Fetch-Mode", "cors").send().await.is(401);
    assert_eq!(browser.header("www-authenticate"), None);
    server.get("/api/v1/status").header("Authorization", "Basic !!!").send().await.is(401);
}

#[tokio::test]
async fn deleting_a_priority_group_says_where_its_triggers_went() {
    let server = Server::start(World::primary()).await;
    let refused = server.request("DELETE", "/api/v1/groups/pool").user("admin").send().await.is(422).json();
    assert_eq!(refused["fields"][0]["path"], "/move_to", "{refused}");
    for nowhere in ["nowhere", "pool"] {
        let path = format!("/api/v1/groups/pool?move_to={nowhere}");
        server.request("DELETE", &path).user("admin").send().await.is(422);
    }
    let path = "/api/v1/groups/pool?move_to=DEFAULT";
    let answer = server.request("DELETE", path).user("admin").send().await.is(200).json();
    assert_eq!(answer, json!({"moved_to": "DEFAULT", "triggers": ["storm"], "calendars": []}));
    server.request("DELETE", "/api/v1/groups/DEFAULT").user("admin").send().await.is(422);
    let group =
        json!({"name": "Twice", "servers": ["000000000000000000000000000000a1", "000000000000000000000000000000a1"]});
    server.request("POST", "/api/v1/groups").user("admin").json(&group).send().await.is(422).shows("each server once");
    server
        .request("POST", "/api/v1/groups")
        .user("admin")
        .json(&json!({"name": "None", "servers": []}))
        .send()
        .await
        .is(422);
}

#[tokio::test]
async fn a_driver_is_checked_enabled_and_disabled() {
    let server = Server::start(World::primary()).await;
    let base = "/api/v1/drivers/com.valcom.page";
    let post =
        |end: &'static str, body| server.request("POST", &format!("{base}/{end}")).user("admin").json(&body).send();
    post("check", json!({"multicast": "nonsense"})).await.is(422).shows("IPv4");
    // What only the driver knows.
    post("enable", json!({"multicast": "224.0.0.1"})).await.is(422).shows("239.0.0.0");
    let enabled = |server: &Server| {
        let id = "com.valcom.page".into();
        server.world.change(|state| state.drivers[&id].view.enabled)
    };
    assert!(!enabled(&server), "never on with settings that were not accepted");
    post("enable", json!({"multicast": "239.0.0.1", "ttl": 2.0})).await.is(204);
    assert!(enabled(&server));
    post("disable", json!({})).await.is(204);
    assert!(!enabled(&server));
    put(&server, "/api/v1/drivers/com.nobody/settings", None, &json!({})).await.is(404);
}

#[tokio::test]
async fn another_version_of_a_driver_is_taken_and_an_older_one_only_when_confirmed() {
    let server = Server::start(World::primary()).await;
    let id = "com.algo.speaker".into();
    let others = |state: &mut Inner| {
        let view = &mut state.drivers.get_mut(&id).expect("in the sample").view;
        view.other_versions = vec!["0.2.0".to_owned(), "0.0.9".to_owned()];
    };
    server.world.change(others);
    let path = "/api/v1/drivers/com.algo.speaker/version";
    let post = |body| server.request("POST", path).user("admin").json(&body).send();
    post(json!({"version": "3.0.0"})).await.is(422).shows("/version");
    post(json!({"version": "0.0.9"})).await.is(422).shows("0.0.9 is older than 0.1.0 in use; confirm the downgrade");
    post(json!({"version": "0.0.9", "confirm_downgrade": true})).await.is(204);
    post(json!({"version": "0.2.0", "colour": "red"})).await.is(400);
    post(json!({"version": "0.2.0"})).await.is(204);
    let version = |state: &mut Inner| state.drivers[&id].view.version.clone();
    assert_eq!(server.world.change(version).as_deref(), Some("0.2.0"));
}
