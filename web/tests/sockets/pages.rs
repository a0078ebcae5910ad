//! Pages as a browser without script sees them.

use onealert_web::needs::State;

use crate::{
    support::{PAGES, Server},
    world::{PA1, World},
};

#[tokio::test]
async fn every_page_shows_where_it_is_and_how_all_servers_are() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    for path in PAGES.iter().copied().chain(["/servers/conflicts", "/logs/sync"]) {
        let page = server.get(path).cookie(&cookie).send().await.is(200);
        page.shows("<strong>pa-1</strong>")
            .shows(">Primary<")
            .shows("pb-1: Driver CAP alerts differs")
            .shows(">Send</a>")
            .shows(">Stop all</button>")
            .hides("secondary server");
    }
}

#[tokio::test]
async fn a_secondary_says_so_on_every_page_and_its_forms_are_shut() {
    let server = Server::start(World::secondary()).await;
    let cookie = server.sign_in("admin").await;
    for path in [
        "/status",
        "/sent",
        "/notifications",
        "/endpoints/gym",
        "/groups/pool",
        "/drivers/com.algo.speaker",
        "/account",
    ] {
        let page = server.get(path).cookie(&cookie).send().await.is(200);
        page.shows("This is a secondary server.").shows(&format!("href=\"https://10.0.0.11{path}\""));
    }
    for path in
        ["/endpoints/gym", "/triggers/tornado", "/groups/pool", "/notifications/lockdown", "/drivers/com.algo.speaker"]
    {
        let page = server.get(path).cookie(&cookie).send().await.is(200);
        assert!(!page.body.contains("<fieldset class=\"all\">"), "{path} has an open form");
        page.shows("<fieldset class=\"all\" disabled>");
    }
    server.get("/endpoints").cookie(&cookie).send().await.hides("New endpoint");
    server.post(&cookie, "/endpoints/gym", &[]).await.is(403).shows("https://10.0.0.11");
}

#[tokio::test]
async fn a_dead_primary_is_not_linked_to_and_what_is_known_of_it_is_called_old() {
    let server = Server::start(World::secondary()).await;
    let cookie = server.sign_in("admin").await;
    server.get("/status").cookie(&cookie).send().await.is(200).shows("Open this page on pa-1").hides("last heard.");
    server.world.change(|state| {
        let primary = state.status.servers.iter_mut().find(|it| it.id == PA1).expect("in the sample");
        (primary.state, primary.heard_ms_ago) = (State::Bad, Some(9000));
        primary.text = "Down, not heard for 9 s".to_owned();
        primary.duties[0].sends = false;
    });
    let page = server.get("/status").cookie(&cookie).send().await.is(200);
    page.hides("Open this page on pa-1")
        .shows("What follows is from when it was last heard.")
        .shows("not while it is down, place 1")
        .hides("https://pa-1.school.example");
}

#[tokio::test]
async fn drivers_show_refused_files_with_what_was_expected_and_found() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("editor").await;
    let page = server.get("/drivers").cookie(&cookie).send().await.is(200);
    page.shows("Refused: com.horn.old 2.0.0 made for API 3, this server loads 1.")
        .shows("old-horn.so")
        .shows("differs")
        .hides("Set up and enable");
}

#[tokio::test]
async fn on_the_first_day_each_empty_list_says_the_next_step() {
    let server = Server::start(World::empty()).await;
    let cookie = server.sign_in("admin").await;
    for (path, text) in [
        ("/status", "Nothing needs attention."),
        ("/sent", "Nothing has been sent yet."),
        ("/notifications", "A notification says what is sent to whom"),
        ("/endpoints", "Enable a driver, then create"),
        ("/endpoints/new", "No driver with endpoints is enabled."),
        ("/triggers", "There are no triggers yet"),
        ("/drivers", "Copy a driver file into the driver folder"),
        ("/send", "There is no notification to send yet"),
    ] {
        server.get(path).cookie(&cookie).send().await.is(200).shows(text);
    }
}

#[tokio::test]
async fn lists_are_searched_and_filtered_by_state() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let list = |query: &str| server.get(&format!("/endpoints?{query}")).cookie(&cookie).send();
    list("q=HALL").await.is(200).shows("Main hall").hides("School yard").shows("1 of 5");
    list("state=bad").await.is(200).shows("Pool strobe").hides("Main hall");
    list("q=nothing").await.is(200).shows("None fits this search");
}

#[tokio::test]
async fn paths_that_do_not_exist_say_so_with_the_frame() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("viewer").await;
    let page = server.get("/nothing/here").cookie(&cookie).header("Accept", "text/html").send().await.is(404);
    page.shows("Not found").shows("System Status");
    server
        .get("/endpoints/nothing")
        .cookie(&server.sign_in("admin").await)
        .send()
        .await
        .is(404)
        .shows("There is no endpoint nothing");
    server.get("/nothing").header("Accept", "text/html").send().await.is(404).hides("System Status");
}

#[tokio::test]
async fn styles_and_script_are_served_for_ever_under_their_revision() {
    let server = Server::start(World::primary()).await;
    let page = server.get("/login").send().await.is(200);
    let path =
        page.body.split('"').find(|part| part.ends_with("/app.css")).expect("the page names its styles").to_owned();
    let answer = server.get(&path).send().await.is(200);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(answer.header("content-type"), Some("text/css; charset=utf-8"));
    let packed = server.get(&path).header("Accept-Encoding", "gzip").send().await.is(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    server.get("/assets/x/..%2Fapp.css").send().await.is(404);
}

#[tokio::test]
async fn the_two_local_settings_are_changed_on_a_secondary_and_everything_else_says_why_not() {
    let server = Server::start(World::secondary()).await;
    let cookie = server.sign_in("admin").await;
    let page = server.get("/local").cookie(&cookie).send().await.is(200);
    page.shows("belong to pa-2 alone").shows("Multicast IP Address").shows("10.0.0.11 (eth0)").hides("disabled");
    let good = [("/multicast_address", "239.192.0.7"), ("/network_interface", "10.0.0.11")];
    server.post(&cookie, "/local", &good).await.is(303);
    assert_eq!(server.world.change(|state| state.local.multicast_address.clone()), "239.192.0.7");
    let wrong = [("/multicast_address", "10.1.1.1"), ("/network_interface", "auto")];
    server.post(&cookie, "/local", &wrong).await.is(422).shows("Is not a multicast address").shows("10.1.1.1");
    for path in ["/groups/pool", "/endpoints/gym", "/triggers/storm", "/notifications/lockdown", "/drivers", "/status"]
    {
        let page = server.get(path).cookie(&cookie).send().await.is(200);
        page.shows("This is a secondary server.")
            .shows("https://10.0.0.11")
            .shows("Configuration is changed on the primary");
    }
    // A user who may not change them sees them shut.
    let editor = server.sign_in("editor").await;
    server.get("/local").cookie(&editor).send().await.is(200).shows("fieldset class=\"all\" disabled");
    server.post(&editor, "/local", &good).await.is(403);
}

#[tokio::test]
async fn a_server_is_renamed_where_its_status_is_shown() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let path = format!("/status/servers/{}", crate::world::PB1);
    server.get("/status").cookie(&cookie).send().await.is(200).shows(&path);
    server.post(&cookie, &path, &[("/name", "pa-2")]).await.is(422).shows("name of another server");
    server.post(&cookie, &path, &[("/name", "  ")]).await.is(422);
    server.post(&cookie, &path, &[("/name", "Pool building")]).await.is(303);
    let name = |state: &mut crate::world::Inner| state.status.servers[2].name.clone();
    assert_eq!(server.world.change(name), "Pool building");
    let secondary = Server::start(World::secondary()).await;
    let cookie = secondary.sign_in("admin").await;
    secondary.get("/status").cookie(&cookie).send().await.is(200).hides(&path);
    secondary.post(&cookie, &path, &[("/name", "x")]).await.is(403);
}

#[tokio::test]
async fn every_server_that_ever_sent_has_a_tab_and_one_event_of_two_servers_is_one_row() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("viewer").await;
    let page = server.get("/sent").cookie(&cookie).send().await.is(200);
    page.shows("All servers").shows("pc-1 (deprovisioned)").shows("pa-1 and pb-1 <span class=\"quiet\">each sent it");
    let page = server.get(&format!("/sent?server={}", crate::world::PB1)).cookie(&cookie).send().await.is(200);
    assert_eq!(page.body.matches("data-label=\"Result\"").count(), 1, "only what pb-1 sent: {page:?}");
    let id = page.body.split("/sent/").nth(1).and_then(|rest| rest.get(..32)).expect("a link to it").to_owned();
    let detail = server.get(&format!("/sent/{id}")).cookie(&cookie).send().await.is(200);
    detail.shows("2 servers sent this one event").shows("Reached by pa-1 and pb-1");
    let page = server.get(&format!("/sent?server={}", crate::world::GONE)).cookie(&cookie).send().await.is(200);
    page.shows("Nothing that this server sent is here.");
    let secondary = Server::start(World::secondary()).await;
    let cookie = secondary.sign_in("viewer").await;
    secondary.get("/sent").cookie(&cookie).send().await.is(200).hides("All servers").shows("What this server sent.");
}

#[tokio::test]
async fn the_synchronisation_log_is_read_and_searched() {
    let server = Server::start(World::secondary()).await;
    let cookie = server.sign_in("admin").await;
    let all = server.get("/logs/sync").cookie(&cookie).send().await.is(200);
    all.shows("In step at 1482").shows("Driver CAP alerts differs").shows("target SyncLog").shows("Fault");
    let trouble = server.get("/logs/sync?trouble=1").cookie(&cookie).send().await.is(200);
    trouble.hides("In step at 1482").shows("Driver CAP alerts differs");
    server.get("/logs/sync?q=STEP").cookie(&cookie).send().await.is(200).shows("In step").hides("0.0.9 there");
    server.get("/logs/sync?q=nothing").cookie(&cookie).send().await.is(200).shows("Nothing fits this.");
}
