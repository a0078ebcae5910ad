//! The authentication URL of IP phones, byte by byte: what a phone sends and what it compares.

use crate::{support::Server, world::World};

const PATH: &str = "/SA-Announce/PhoneAuthentication";
/// The login of the world, encoded as phones do.
const RIGHT: &str = "UserID=paging&Password=p%26ss+w%3Drd%20100%25&devicename=SEP001122334455";

async fn get(server: &Server, query: &str) -> String {
    let ask = format!("GET {PATH}?{query} HTTP/1.1\r\nHost: 10.0.0.11\r\nConnection: close\r\n\r\n");
    exactly(server.raw(ask.as_bytes()).await)
}

async fn post(server: &Server, body: &str) -> String {
    let ask = format!(
        "POST {PATH} HTTP/1.1\r\nHost: 10.0.0.11\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exactly(server.raw(ask.as_bytes()).await)
}

/// The body of an answer that is as a phone wants it.
fn exactly(answer: crate::support::Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    for absent in ["location", "set-cookie", "transfer-encoding", "content-encoding"] {
        assert_eq!(answer.header(absent), None, "{answer:?}");
    }
    answer.body
}

#[tokio::test]
async fn a_phone_hears_exactly_one_word_by_get_and_by_post_on_every_server() {
    for world in [World::primary(), World::secondary()] {
        // Without sign-in over plain HTTP: phones are no people.
        let server = Server::with(world, |_| {}).await;
        assert_eq!(get(&server, RIGHT).await, "AUTHORIZED");
        assert_eq!(post(&server, RIGHT).await, "AUTHORIZED");
        for wrong in ["UserID=paging&Password=other", "UserID=Paging&Password=p%26ss+w%3Drd%20100%25"] {
            assert_eq!(get(&server, wrong).await, "UN-AUTHORIZED");
            assert_eq!(post(&server, wrong).await, "UN-AUTHORIZED");
        }
    }
}

#[tokio::test]
async fn names_of_parameters_come_in_any_case_and_order() {
    let server = Server::with(World::primary(), |_| {}).await;
    assert_eq!(get(&server, "password=p%26ss%20w%3drd+100%25&USERID=paging&DeviceName=x").await, "AUTHORIZED");
    // Old firmware: HTTP/1.0, no Host, and a POST whose parameters stand in the address.
    let old = format!("POST {PATH}?{RIGHT} HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(exactly(server.raw(old.as_bytes()).await), "AUTHORIZED");
}

#[tokio::test]
async fn what_is_no_question_is_an_error_and_harms_nothing() {
    let server = Server::with(World::primary(), |_| {}).await;
    let long = format!("UserID=paging&Password={}", "x".repeat(300));
    let longer = format!("{RIGHT}&x={}", "y".repeat(4000));
    let twice = format!("{RIGHT}&UserID=paging");
    let questions =
        ["", "UserID=paging", "Password=x", "UserID=&Password=x", "&&&=&=", &long, &longer, &twice, "%00%ff"];
    for question in questions {
        assert_eq!(get(&server, question).await, "ERROR", "{question:.60}");
        assert_eq!(post(&server, question).await, "ERROR", "{question:.60}");
    }
    // A body that never comes to its end is not waited for.
    let half = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 500\r\n\r\n{RIGHT}");
    assert_eq!(server.raw(half.as_bytes()).await.body, "ERROR");
    let answer = server.request("PUT", PATH).send().await.is(405);
    assert_eq!(answer.header("allow"), Some("GET, POST"));
    assert_eq!(get(&server, RIGHT).await, "AUTHORIZED");
}

#[tokio::test]
async fn nobody_is_authorised_where_no_login_is_set() {
    let server = Server::with(World::primary(), |_| {}).await;
    server.world.change(|state| state.phones = None);
    assert_eq!(get(&server, RIGHT).await, "UN-AUTHORIZED");
}

#[tokio::test]
async fn the_login_is_set_on_the_primary_and_its_password_never_shown() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let page = server.get("/phones").cookie(&cookie).send().await.is(200);
    page.shows(PATH).shows("paging").hides("w=rd").shows("Leave it empty to keep");
    let form = [("/user", "pager"), ("/password", "short")];
    server
        .request("POST", "/phones")
        .cookie(&cookie)
        .form(&form)
        .send()
        .await
        .is(422)
        .shows("at least 12")
        .hides("short");
    let form = [("/user", "pager"), ("/password", "twelve letters and more")];
    server.request("POST", "/phones").cookie(&cookie).form(&form).send().await.is(303);
    assert_eq!(get(&server, "UserID=pager&Password=twelve+letters+and+more").await, "AUTHORIZED");
    let api = server.get("/api/v1/phone-login").user("admin").send().await.is(200);
    assert_eq!(api.body, r#"{"user":"pager","set":true}"#);
    let secondary = Server::start(World::secondary()).await;
    let cookie = secondary.sign_in("admin").await;
    secondary.request("POST", "/phones").cookie(&cookie).form(&form).send().await.is(403);
}
