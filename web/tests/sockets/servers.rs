//! Advanced Settings: what is final wants the name typed, what another server took over says so, and a server that is out of
//! service shows one page.

use serde_json::json;

use crate::{
    support::Server,
    world::{PA2, World},
};

#[tokio::test]
async fn deprovisioning_says_that_it_is_final_and_wants_the_name_typed() {
    let world = World::primary();
    let server = Server::start(world.clone()).await;
    let cookie = server.sign_in("admin").await;
    let page = format!("/servers/{PA2}");
    let shown = server.get(&page).cookie(&cookie).send().await.is(200);
    shown.shows("This is final.").shows("It leaves the priority group DEFAULT.").shows("Type pa-2 to confirm");
    let wrong = server.post(&cookie, &format!("{page}/deprovision"), &[("confirm", "pa-1")]).await.is(422);
    wrong.shows("must be pa-2");
    assert!(world.change(|state| state.gone.is_empty()), "a wrong name does nothing");
    server
        .post(&cookie, &format!("{page}/deprovision"), &[("confirm", "pa-2")])
        .await
        .is(200)
        .shows("pa-2 is deprovisioned");
    assert_eq!(world.change(|state| state.gone.clone()), [PA2]);
    let gone = server.get(&page).cookie(&cookie).send().await.is(200);
    gone.shows("was deprovisioned").hides("Type pa-2 to confirm");
}

#[tokio::test]
async fn a_copy_is_rebuilt_from_the_page_and_from_the_api() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let page = server.post(&cookie, &format!("/servers/{PA2}/reconfigure"), &[]).await.is(303);
    assert!(page.header("location").is_some_and(|to| to.ends_with("done=rebuilding")), "{page:?}");
    let answer = server.request("POST", &format!("/api/v1/servers/{PA2}/reconfigure")).user("admin").send().await;
    assert_eq!(answer.is(200).json(), json!({"at_once": true}));
}

#[tokio::test]
async fn a_secondary_offers_promotion_and_nothing_else_and_wants_its_name_typed() {
    let server = Server::start(World::secondary()).await;
    let cookie = server.sign_in("admin").await;
    server.get("/servers").cookie(&cookie).send().await.is(200).shows("Promote this server").hides("Save licence");
    server.get(&format!("/servers/{PA2}")).cookie(&cookie).send().await.is(200).hides("Type pa-2 to confirm");
    server.post(&cookie, "/servers/promote", &[("confirm", "x")]).await.is(422).shows("Type the name of this server");
    let lives = server.post(&cookie, "/servers/promote", &[("confirm", "pa-2")]).await.is(409);
    lives.shows("The primary pa-1 answers");
    let meant = [("confirm", "pa-2"), ("even_though_primary_answers", "yes")];
    server.post(&cookie, "/servers/promote", &meant).await.is(200).shows("This server is the primary.");
}

#[tokio::test]
async fn a_conflict_report_shows_the_rows_and_escapes_them() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let page = server.get("/servers/conflicts").cookie(&cookie).send().await.is(200);
    page.shows("greeting").hides("<b>hello</b>");
    let list = server.get("/api/v1/conflicts").user("admin").send().await.is(200).json();
    assert_eq!(list[0]["rows"][0]["key"], "greeting");
}

#[tokio::test]
async fn a_fenced_primary_shows_it_in_red_on_every_page() {
    let world = World::primary();
    world.change(|state| {
        state.identity.can_configure = Err("This primary is fenced.".to_owned());
        state.identity.fenced = true;
    });
    let server = Server::start(world).await;
    let cookie = server.sign_in("admin").await;
    let page = server.get("/endpoints").cookie(&cookie).send().await.is(200);
    page.shows("This primary is fenced.").shows("banner bad");
}

#[tokio::test]
async fn a_server_out_of_service_shows_one_page_to_whoever_asks() {
    let world = World::secondary();
    world.change(|state| state.identity.closed = Some("This server was deprovisioned.".to_owned()));
    let server = Server::start(world).await;
    for path in ["/", "/login", "/status", "/servers"] {
        server.get(path).header("Accept", "text/html").send().await.is(503).shows("This server was deprovisioned.");
    }
    let answer = server.get("/api/v1/status").user("admin").send().await.is(503);
    assert!(answer.body.contains("deprovisioned"), "{}", answer.body);
}
