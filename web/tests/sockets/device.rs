//! Requests of devices, handed on to their driver.

use crate::{support::Server, world::World};

#[tokio::test]
async fn a_device_needs_no_login_and_the_driver_sees_what_it_sent() {
    let server = Server::with(World::primary(), |_| {}).await;
    let answer = server
        .request("POST", "/device/org.oasis.cap/feed%2Fone/alerts?pin=7&x")
        .header("X-Device", "ab")
        .header("Authorization", "Basic ZGV2aWNlOnB3")
        .header("Cookie", "onealert-a1=stolen")
        .body(b"<alert/>\xff")
        .send()
        .await
        .is(201);
    assert_eq!(answer.header("content-type"), Some("application/x-said+json"));
    assert_eq!(answer.json()["path"], "/feed%2Fone/alerts");
    let requests = server.world.change(|state| std::mem::take(&mut state.requests));
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((request.method.as_str(), request.query.as_str()), ("POST", "pin=7&x"));
    assert_eq!(&request.body[..], b"<alert/>\xff");
    assert_eq!(request.headers.get("x-device").map(String::as_str), Some("ab"));
    assert_eq!(request.headers.get("authorization").map(String::as_str), Some("Basic ZGV2aWNlOnB3"));
    assert!(!request.headers.contains_key("cookie"), "{request:?}");
    assert!(request.peer.is_loopback());
}

#[tokio::test]
async fn a_path_without_a_driver_is_not_found() {
    let server = Server::with(World::primary(), |_| {}).await;
    server.get("/device/nobody/x").send().await.is(404);
    server.get("/device").send().await.is(404);
    // Devices that look for a provisioning file get a short answer.
    server.get("/0020f7350058.xml").send().await.is(404).hides("<html");
}

#[tokio::test]
async fn the_token_of_a_user_does_not_reach_a_driver() {
    let server = Server::start(World::primary()).await;
    let token = server.sign_in("admin").await.split('=').nth(1).expect("a token").to_owned();
    server.get("/device/org.oasis.cap/x").header("Authorization", &format!("Bearer {token}")).send().await.is(201);
    server.get("/device/org.oasis.cap/x").header("Authorization", "Bearer the-devices-own").send().await.is(201);
    let requests = server.world.change(|state| std::mem::take(&mut state.requests));
    assert_eq!(requests[0].headers.get("authorization"), None);
    assert_eq!(requests[1].headers.get("authorization").map(String::as_str), Some("Bearer the-devices-own"));
}
