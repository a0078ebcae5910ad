//! What other sites, hostile texts and curious readers of logs cannot do.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::{support::Server, world::World};

#[tokio::test]
async fn posts_from_other_sites_are_refused() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let post = |name: &'static str, value: String| {
        server
            .request("POST", "/running/stop-all")
            .cookie(&cookie)
            .header(name, &value)
            .form(&[("confirm", "yes")])
            .send()
    };
    post("Sec-Fetch-Site", "cross-site".into()).await.is(403).shows("another site");
    post("Sec-Fetch-Site", "same-site".into()).await.is(403);
    post("Origin", "https://evil.example".into()).await.is(403);
    post("Sec-Fetch-Site", "same-origin".into()).await.is(303);
    post("Origin", format!("http://{}", server.addr)).await.is(303);
    // Scripts send neither.
    server.request("POST", "/api/v1/running/stop").user("admin").send().await.is(200);
}

#[tokio::test]
async fn every_answer_carries_the_policy() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    for path in ["/status", "/login", "/nothing-here", "/api/v1/status", "/api/v1/nothing", "/assets/app.css", "/"] {
        let answer = server.get(path).cookie(&cookie).header("Accept", "text/html").send().await;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[tokio::test]
async fn no_page_has_inline_script_style_or_event_attributes() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    for path in [
        "/status",
        "/sent",
        "/notifications/lockdown",
        "/send",
        "/groups/DEFAULT",
        "/drivers/com.algo.speaker",
        "/users",
        "/logs",
    ] {
        let body = server.get(path).cookie(&cookie).send().await.is(200).body;
        for inline in ["<script>", "<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!body.contains(inline), "{path} holds {inline}");
        }
    }
}

#[tokio::test]
async fn names_with_markup_are_shown_as_text() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let name = "<script>alert(1)</script>\"'&";
    let body = json!({"name": name, "message": {"title": name, "body": name}});
    let id = server.request("POST", "/api/v1/notifications").user("admin").json(&body).send().await.is(201).json();
    server
        .request("POST", &format!("/api/v1/notifications/{}/send", escape(id["id"].as_str().expect("an id"))))
        .user("admin")
        .send()
        .await
        .is(202);
    for path in ["/notifications", "/send", "/sent", "/status", "/sent?q=%3Cscript%3Ealert(1)"] {
        let answer = server.get(path).cookie(&cookie).send().await.is(200).hides("<script>alert");
        assert!(answer.body.contains("alert(1)"), "{path} shows the name");
    }
}

fn escape(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    for path in ["/drivers/com.algo.speaker", "/endpoints/main-hall"] {
        server
            .get(path)
            .cookie(&cookie)
            .send()
            .await
            .is(200)
            .hides("-secret\"")
            .hides("device-secret")
            .hides("endpoint-secret");
    }
    for path in ["/api/v1/drivers/com.algo.speaker", "/api/v1/endpoints", "/api/v1/endpoints/main-hall"] {
        server.get(path).cookie(&cookie).send().await.is(200).hides("device-secret").hides("endpoint-secret");
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while writing").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Kept;
    fn make_writer(&'a self) -> Kept {
        self.clone()
    }
}

#[tokio::test]
async fn passwords_and_tokens_are_not_logged() {
    let kept = Kept::default();
    // The test runs on one thread, the server's tasks included.
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(kept.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    server.request("POST", "/login").form(&[("user", "admin"), ("password", "wrong-password-7")]).send().await.is(401);
    server.get("/api/v1/status").basic("admin", "wrong-password-8").send().await.is(401);
    let change = [("/old", "admin-secret-1"), ("/new", "new-password-9"), ("/again", "new-password-9")];
    server.request("POST", "/account").cookie(&cookie).form(&change).send().await.is(303);
    let settings =
        [("do", "save"), ("etag", "e0"), ("/settings/multicast", "239.1.1.1"), ("/settings/password", "device-pw-10")];
    server.request("POST", "/drivers/com.algo.speaker").cookie(&cookie).form(&settings).send().await.is(303);
    let token = cookie.split('=').nth(1).expect("a token").to_owned();
    let log = String::from_utf8_lossy(&kept.0.lock().expect("no panic while writing")).into_owned();
    assert!(log.contains("signed in") && log.contains("sign-in refused"), "the log was kept: {log}");
    for secret in ["admin-secret-1", "wrong-password", "new-password-9", "device-pw-10", &token] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
