//! Every operation of the API against every role, taken from the API's own description; and a server that takes no
//! configuration.

use serde_json::{Value, json};

use crate::{
    support::{Answer, Server},
    world::World,
};

const ROLES: [&str; 4] = ["viewer", "sender", "editor", "admin"];

/// Every described operation: method, path with keys that do not exist, the least role, whether it has a body.
async fn operations(server: &Server) -> Vec<(String, String, usize)> {
    let document = server.get("/api/v1/openapi.json").send().await.is(200).json();
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let Some(about) = operation["description"].as_str() else { continue };
            let role = about.trim_start_matches("Needs the role ").split(' ').next().unwrap_or_default().to_lowercase();
            let least =
                ROLES.iter().position(|known| *known == role).unwrap_or_else(|| panic!("{method} {path}: {about}"));
            let id = if path.contains("/logs/") { "audit" } else { "000000000000000000000000000000ff" };
            found.push((method.to_uppercase(), path.replace("{id}", id), least));
        }
    }
    assert!(found.len() > 35, "{}", found.len());
    found
}

async fn ask(server: &Server, method: &str, path: &str, user: Option<&str>) -> Answer {
    let mut ask = server.request(method, path);
    if let Some(user) = user {
        ask = ask.user(user);
    }
    let body = body_for(method, path);
    if body.is_null() { ask.send().await } else { ask.json(&body).send().await }
}

/// A body that can be read, so that what refuses is the role.
fn body_for(method: &str, path: &str) -> Value {
    if method != "POST" && method != "PUT" {
        return Value::Null;
    }
    match path.split('/').nth(3).unwrap_or_default() {
        "notifications" if !path.ends_with("send") => json!({"name": "n"}),
        "endpoints" => json!({"name": "e", "driver": "com.algo.speaker", "address": {"host": "10.0.0.1"}}),
        "triggers" if !path.ends_with("events") => json!({"name": "t", "group": "DEFAULT"}),
        "phone-login" => json!({"user": "paging", "password": "long enough to be one"}),
        "servers" if path.ends_with("deprovision") => json!({"confirm": "pa-2"}),
        "servers" => json!({"name": "s"}),
        "local-settings" => json!({"multicast_address": "", "network_interface": "auto"}),
        "calendars" if path.ends_with("exceptions") => json!({"from": "2026-09-01", "to": "2026-09-01", "reason": "r"}),
        "calendars" => json!({"name": "c", "zone": "UTC", "group": "DEFAULT"}),
        "groups" => json!({"name": "g", "servers": ["000000000000000000000000000000a1"]}),
        "drivers" if path.ends_with("disable") => Value::Null,
        "drivers" if path.ends_with("version") => json!({"version": "0.1.0"}),
        "drivers" => json!({}),
        "driver-keys" => json!({"name": "k", "key": "k", "prefixes": ["com.k"]}),
        "driver-pins" => json!({"sha256": "00"}),
        "redundancy" if method == "PUT" => json!({"manual_return": true}),
        "licence" => json!({"secondaries": 9}),
        "password" => json!({"old": "not-the-old-one", "new": "long-enough"}),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn each_operation_is_open_to_its_roles_and_shut_to_the_others() {
    let server = Server::start(World::primary()).await;
    for (method, path, least) in operations(&server).await {
        if path.ends_with("/logout") {
            continue;
        }
        let nobody = ask(&server, &method, &path, None).await;
        assert_eq!(nobody.status, 401, "{method} {path} without a login: {nobody:?}");
        assert_eq!(nobody.header("content-type"), Some("application/problem+json"));
        for (rank, user) in ROLES.into_iter().enumerate() {
            let answer = ask(&server, &method, &path, Some(user)).await;
            let refused = answer.status == 403;
            assert_eq!(refused, rank < least, "{method} {path} as {user}: {answer:?}");
            assert!(!matches!(answer.status, 400 | 401 | 405 | 500..), "{method} {path} as {user}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_secondary_refuses_every_change_and_says_where_the_primary_is() {
    let server = Server::start(World::secondary()).await;
    let before = server.get("/api/v1/endpoints").user("admin").send().await.is(200).body;
    for (method, path, _) in operations(&server).await {
        let harmless = ["/send", "/events", "/stop", "/logout", "/check", "/drill", "/promote"]
            .iter()
            .any(|end| path.ends_with(end));
        // What is the server's own is no configuration, and neither is who may own again.
        let harmless = harmless || path.contains("/redundancy/return/");
        if method == "GET" || harmless || path.ends_with("/local-settings") {
            continue;
        }
        let answer = ask(&server, &method, &path, Some("admin")).await.is(403);
        assert_eq!(answer.json()["primary"], "https://10.0.0.11", "{method} {path}");
    }
    assert_eq!(server.get("/api/v1/endpoints").user("admin").send().await.body, before);
    // Sending goes on.
    server.request("POST", "/api/v1/notifications/lockdown/send").user("sender").send().await.is(202);
}

#[tokio::test]
async fn pages_refuse_what_the_api_refuses() {
    let server = Server::start(World::primary()).await;
    let posts = [
        ("/notifications/new", 2),
        ("/notifications/lockdown", 2),
        ("/notifications/lockdown/delete", 2),
        ("/endpoints/new", 3),
        ("/endpoints/gym", 3),
        ("/endpoints/gym/delete", 3),
        ("/triggers/new", 3),
        ("/triggers/tornado/delete", 3),
        ("/groups/new", 3),
        ("/groups/pool", 3),
        ("/groups/pool/delete", 3),
        ("/drivers/com.algo.speaker", 3),
        ("/drivers/com.algo.speaker/disable", 3),
        ("/drivers/trust/pin", 3),
        ("/drivers/trust/key", 3),
        ("/drivers/trust/unpin", 3),
        ("/drivers/trust/forget", 3),
        ("/notifications/lockdown/send", 1),
        ("/servers/000000000000000000000000000000ff/deprovision", 3),
        ("/servers/000000000000000000000000000000ff/reconfigure", 3),
        ("/servers/promote", 3),
        ("/running/stop-all", 1),
    ];
    for (rank, user) in ROLES.into_iter().enumerate() {
        let cookie = server.sign_in(user).await;
        for (path, least) in posts {
            // Without a confirmation and without fields nothing is done even where it is allowed.
            let answer =
                server.request("POST", path).cookie(&cookie).form(&[("driver", "com.algo.speaker")]).send().await;
            assert_eq!(answer.status == 403, rank < least, "{path} as {user}: {answer:?}");
        }
        let menu = server.get("/status").cookie(&cookie).send().await.is(200).body;
        assert_eq!(menu.contains(">Drivers</a>"), rank >= 2, "{user}");
        assert_eq!(menu.contains(">Stop all</button>"), rank >= 1, "{user}");
    }
}
