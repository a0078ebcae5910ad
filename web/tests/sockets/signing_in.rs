//! Signing in, staying signed in, and being signed out.

use onealert_core::config::UserRole;
use serde_json::json;

use crate::{
    support::{PAGES, Server},
    world::{PASSWORD, World},
};

#[tokio::test]
async fn the_cookie_is_strict_names_its_server_and_is_closed_to_scripts() {
    let server = Server::start(World::primary()).await;
    let secondary = Server::start(World::secondary()).await;
    let password = format!("admin{PASSWORD}");
    let answer =
        server.request("POST", "/login").form(&[("user", "Admin "), ("password", &password)]).send().await.is(303);
    let set = answer.header("set-cookie").expect("a cookie");
    for part in ["onealert-000000000000000000000000000000a1=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{part} is not in {set}");
    }
    // Cookies ignore ports: two servers of one machine must not overwrite each other's.
    assert!(secondary.sign_in("admin").await.starts_with("onealert-000000000000000000000000000000a2="));
    server.get("/status").cookie(&answer.cookie()).send().await.is(200);
}

#[tokio::test]
async fn every_page_asks_for_a_login_and_leads_back() {
    let server = Server::start(World::primary()).await;
    for page in PAGES {
        let answer = server.get(page).send().await.is(303);
        assert_eq!(answer.header("location"), Some(format!("/login?next={}", page.replace('/', "%2F")).as_str()));
    }
    let fields = [("user", "admin"), ("password", "admin-secret-1"), ("next", "/sent?q=a")];
    let answer = server.request("POST", "/login").form(&fields).send().await.is(303);
    assert_eq!(answer.header("location"), Some("/sent?q=a"));
    let fields = [("user", "admin"), ("password", "admin-secret-1"), ("next", "https://evil.example/")];
    let answer = server.request("POST", "/login").form(&fields).send().await.is(303);
    assert_eq!(answer.header("location"), Some("/status"));
}

#[tokio::test]
async fn a_wrong_pair_says_the_same_for_known_and_unknown_names() {
    let server = Server::start(World::primary()).await;
    let mut said = Vec::new();
    for user in ["admin", "nobody"] {
        let answer =
            server.request("POST", "/login").form(&[("user", user), ("password", "wrong-one")]).send().await.is(401);
        assert_eq!(answer.header("set-cookie"), None);
        said.push(answer.hides("wrong-one").body.replace(user, "USER"));
    }
    assert_eq!(said[0], said[1]);
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let server = Server::start(World::primary()).await;
    let first = server.sign_in("admin").await;
    let fields = [("user", "admin"), ("password", "admin-secret-1")];
    let second = server.request("POST", "/login").cookie(&first).form(&fields).send().await.is(303).cookie();
    assert_ne!(first, second);
    server.get("/status").cookie(&first).send().await.is(303);
    server.get("/status").cookie(&second).send().await.is(200);
    server.request("POST", "/logout").cookie(&second).send().await.is(303);
    server.get("/status").cookie(&second).send().await.is(303);
}

#[tokio::test]
async fn a_changed_role_counts_from_the_next_request_and_an_inactive_account_is_out() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    server.get("/logs").cookie(&cookie).send().await.is(200);
    let id = "admin".into();
    server.world.change(|state| state.accounts.get_mut(&id).expect("admin").0.role = UserRole::Viewer);
    server.get("/logs").cookie(&cookie).send().await.is(403).shows("the role Admin is needed");
    server.world.change(|state| state.accounts.remove(&id));
    server.get("/status").cookie(&cookie).send().await.is(303);
}

#[tokio::test]
async fn over_plain_http_nobody_signs_in_unless_it_is_allowed() {
    let server = Server::with(World::primary(), |_| {}).await;
    server.get("/login").send().await.is(403).shows("https").hides("type=\"password\"");
    let fields = [("user", "admin"), ("password", "admin-secret-1")];
    server.request("POST", "/login").form(&fields).send().await.is(403);
    let body = json!({"user": "admin", "password": "admin-secret-1"});
    server.request("POST", "/api/v1/login").json(&body).send().await.is(403);
    server.get("/api/v1/status").user("admin").send().await.is(403);
    server.get("/api/v1/status").header("Authorization", "Bearer 0123").send().await.is(403);
}

#[tokio::test]
async fn guessing_is_slowed_down_and_sending_is_not() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("sender").await;
    let mut refused = 0;
    for n in 0..40 {
        let password = format!("guess-{n}");
        let answer = server.request("POST", "/login").form(&[("user", "admin"), ("password", &password)]).send().await;
        refused += u32::from(answer.status == 429);
    }
    assert!(refused >= 15, "{refused} of 40 guesses were refused");
    server.get("/api/v1/status").basic("admin", "guess").send().await.is(429);
    for _ in 0..50 {
        server.request("POST", "/api/v1/notifications/lockdown/send").cookie(&cookie).send().await.is(202);
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let server = Server::start(World::primary()).await;
    let (here, there) = (server.sign_in("viewer").await, server.sign_in("viewer").await);
    server.get("/api/v1/status").user("viewer").send().await.is(200);
    let change = |old: &'static str, new: &'static str, again: &'static str| {
        server.request("POST", "/account").cookie(&here).form(&[("/old", old), ("/new", new), ("/again", again)]).send()
    };
    change("viewer-secret-1", "short", "short").await.is(422).shows("Must have at least 8 characters");
    change("viewer-secret-1", "longer-one", "other-one").await.is(422).shows("New password again");
    change("not-it-at-all", "longer-one", "longer-one").await.is(422).shows("Is not your present password");
    change("viewer-secret-1", "longer-one", "longer-one").await.is(303);
    server.get("/status").cookie(&here).send().await.is(200);
    server.get("/status").cookie(&there).send().await.is(303);
    server.get("/api/v1/status").user("viewer").send().await.is(401);
    server.get("/api/v1/status").basic("viewer", "longer-one").send().await.is(200);
}

#[tokio::test]
async fn while_configuration_is_locked_no_password_changes() {
    let server = Server::start(World::secondary()).await;
    let body = json!({"old": "viewer-secret-1", "new": "longer-one"});
    let answer = server.request("POST", "/api/v1/password").user("viewer").json(&body).send().await.is(403);
    assert_eq!(answer.json()["primary"], "https://10.0.0.11");
}

#[tokio::test]
async fn a_script_signs_in_once_and_uses_the_token() {
    let server = Server::start(World::primary()).await;
    let body = json!({"user": "sender", "password": "sender-secret-1"});
    let session = server.request("POST", "/api/v1/login").json(&body).send().await.is(200).json();
    assert_eq!((&session["role"], &session["server"]), (&json!("sender"), &json!("pa-1")));
    let bearer = format!("Bearer {}", session["token"].as_str().expect("a token"));
    let ask = |method: &str, path: &str| server.request(method, path).header("Authorization", &bearer);
    ask("GET", "/api/v1/session").send().await.is(200).shows("\"user\":\"sender\"").hides("token");
    ask("POST", "/api/v1/logout").send().await.is(204);
    ask("GET", "/api/v1/session").send().await.is(401);
}
