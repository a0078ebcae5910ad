//! Pages as a browser without script uses them.

use crate::{
    support::{Answer, Server},
    world::World,
};

async fn post(server: &Server, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    server.request("POST", path).cookie(cookie).form(fields).send().await
}

/// The value of a hidden field.
fn hidden(page: &Answer, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    page.body
        .split(&start)
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_else(|| panic!("no {name}"))
        .to_owned()
}

#[tokio::test]
async fn every_page_shows_where_it_is_and_how_all_servers_are() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    for path in [
        "/status",
        "/sent",
        "/notifications",
        "/send",
        "/triggers",
        "/endpoints",
        "/groups",
        "/drivers",
        "/redundancy",
        "/redundancy/what-if",
        "/redundancy/drill",
        "/servers",
        "/servers/conflicts",
        "/logs",
        "/logs/sync",
        "/account",
    ] {
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
    post(&server, &cookie, "/endpoints/gym", &[]).await.is(403).shows("https://10.0.0.11");
}

#[tokio::test]
async fn a_form_with_mistakes_names_each_field_and_keeps_what_was_typed() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let form = [
        ("driver", "com.algo.speaker"),
        ("etag", ""),
        ("/name", ""),
        ("/address/host", "10.0.0.1 or so"),
        ("/address/volume", "loud"),
        ("/address/authentication", "hmac"),
    ];
    let page = post(&server, &cookie, "/endpoints/new", &form).await.is(422);
    for text in [
        "<a href=\"#f-name\">Name: must not be empty</a>",
        "<a href=\"#f-address-host\">Address: must be a host name or IPv4 address",
        "<a href=\"#f-address-volume\">Volume: must be a whole number</a>",
        "value=\"10.0.0.1 or so\"",
        "value=\"loud\"",
        "aria-invalid=\"true\" aria-describedby=\"f-address-volume-error",
    ] {
        assert!(page.body.contains(text), "{text} is not in {}", page.body);
    }
    let good = [
        ("driver", "com.algo.speaker"),
        ("etag", ""),
        ("/name", "Library"),
        ("/address/host", "10.0.0.1"),
        ("/address/volume", "3"),
    ];
    post(&server, &cookie, "/endpoints/new", &good).await.is(303);
    let id = "library".into();
    let stored = server.world.change(|state| state.endpoints[&id].address.clone());
    assert_eq!((&stored["volume"], &stored["strobe"]["on"]), (&3.into(), &false.into()), "{stored}");
    post(&server, &cookie, "/endpoints/new", &good).await.is(422).shows("is taken by another endpoint");
}

#[tokio::test]
async fn two_people_who_edit_one_row_do_not_overwrite_each_other() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let etag = hidden(&server.get("/triggers/panic-button").cookie(&cookie).send().await.is(200), "etag");
    let form = |name| {
        [("etag", etag.as_str()), ("/name", name), ("/group", "pool"), ("/behaviour", "stop"), ("/late_limit_ms", "90")]
    };
    post(&server, &cookie, "/triggers/panic-button", &form("First")).await.is(303);
    post(&server, &cookie, "/triggers/panic-button", &form("Second"))
        .await
        .is(409)
        .shows("was changed by somebody else");
    let id = "panic-button".into();
    let row = server.world.change(|state| state.triggers[&id].clone());
    assert_eq!((row.name.as_str(), row.group.as_str(), row.late_limit_ms), ("First", "pool", Some(90_000)));
}

#[tokio::test]
async fn a_notification_is_made_by_hand_with_what_it_needs() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("editor").await;
    server
        .get("/notifications/new")
        .cookie(&cookie)
        .send()
        .await
        .is(200)
        .shows("Main hall")
        .shows("Tornado warning")
        .shows("Tone: chime");
    let form = [
        ("etag", ""),
        ("/name", "Fire drill"),
        ("/priority", "emergency"),
        ("/message/title", "Drill"),
        ("/message/body", "Line one\r\nline two"),
        ("/message/audio", "tone alarm"),
        ("/message/repeats", "3"),
        ("/message/hold_seconds", "20"),
        ("/endpoints", "gym"),
        ("/endpoints", "yard"),
        ("/triggers", "panic-button"),
        ("/on_takeover", "resume"),
    ];
    post(&server, &cookie, "/notifications/new", &form).await.is(303);
    let id = "fire-drill".into();
    let row = server.world.change(|state| state.notifications[&id].clone());
    let value = serde_json::to_value(row).expect("plain data");
    assert_eq!(value["endpoints"], serde_json::json!(["gym", "yard"]));
    assert_eq!(value["message"]["audio"], serde_json::json!({"kind": "tone", "name": "alarm"}));
    assert_eq!(value["message"]["body"], "Line one\nline two");
    assert_eq!((&value["priority"], &value["on_takeover"]), (&"emergency".into(), &"resume".into()));
    let mut wrong = form;
    wrong[6].1 = "often";
    wrong[1].1 = "Other";
    post(&server, &cookie, "/notifications/new", &wrong)
        .await
        .is(422)
        .shows("How often the sound is played: must be a whole number");
}

#[tokio::test]
async fn the_order_of_a_group_changes_on_the_page_and_is_saved_by_its_button() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let id = |n: u32| format!("000000000000000000000000000000{n:02x}");
    let (pa1, pa2, pb1) = (id(0xa1), id(0xa2), id(0xb1));
    let etag = hidden(&server.get("/groups/DEFAULT").cookie(&cookie).send().await.is(200), "etag");
    let up = format!("up {pa2}");
    let form = |extra: (&'static str, String)| {
        vec![
            ("etag", etag.clone()),
            ("/name", "DEFAULT".into()),
            ("server", pa1.clone()),
            ("server", pa2.clone()),
            ("server", pb1.clone()),
            ("in", pa1.clone()),
            ("in", pa2.clone()),
            extra,
        ]
    };
    let send = |fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.request("POST", "/groups/DEFAULT").cookie(&cookie).form(&fields).send()
    };
    let page = send(form(("move", up))).await.is(200).body;
    let place = |name: &str| page.find(&format!("data-name=\"{name}\"")).unwrap_or_else(|| panic!("no {name}"));
    assert!(place("pa-2") < place("pa-1") && place("pa-1") < place("pb-1"));
    let group = "DEFAULT".into();
    let stored = |server: &Server| {
        server.world.change(|state| state.groups[&group].servers.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(stored(&server), [pa1.clone(), pa2.clone(), pb1.clone()], "moving saves nothing");
    send(form(("do", "save".into()))).await.is(303);
    assert_eq!(stored(&server), [pa1.clone(), pa2.clone()], "a server that is not ticked is left out");
    send(form(("do", "save".into()))).await.is(409);
}

#[tokio::test]
async fn deleting_asks_and_says_what_hangs_on_it() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let page = post(&server, &cookie, "/groups/pool/delete", &[]).await.is(200);
    let etag = hidden(&page, "etag");
    page.shows("1 trigger uses it: Severe thunderstorm").shows("Its triggers go to").shows("Delete priority group");
    let sure = [("confirm", "yes"), ("etag", etag.as_str())];
    post(&server, &cookie, "/groups/pool/delete", &sure).await.is(422).shows("Must name the group");
    server.get("/groups/pool").cookie(&cookie).send().await.is(200);
    let chosen = [("confirm", "yes"), ("etag", etag.as_str()), ("/move_to", "DEFAULT")];
    post(&server, &cookie, "/groups/pool/delete", &chosen).await.is(303);
    server.get("/groups/pool").cookie(&cookie).send().await.is(404);
    post(&server, &cookie, "/endpoints/gym/delete", &[]).await.is(200).shows("taken out of 4 notifications");
    post(&server, &cookie, "/drivers/com.algo.speaker/disable", &[])
        .await
        .is(200)
        .shows("5 endpoints can then not be reached");
}

#[tokio::test]
async fn a_driver_is_checked_and_enabled_from_its_form() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let path = "/drivers/com.valcom.page";
    server
        .get(path)
        .cookie(&cookie)
        .send()
        .await
        .is(200)
        .shows("value=\"239.255.0.1\"")
        .shows("type=\"password\"")
        .shows(">Enable</button>");
    let form = |wanted, address| {
        [
            ("do", wanted),
            ("etag", ""),
            ("/settings/multicast", address),
            ("/settings/transport", "unicast"),
            ("/settings/port", "70000"),
        ]
    };
    post(&server, &cookie, path, &form("enable", "224.0.0.1")).await.is(422).shows("Port: must be 65535 or less");
    let mut good = form("check", "224.0.0.1").to_vec();
    good.pop();
    post(&server, &cookie, path, &good)
        .await
        .is(422)
        .shows("<a href=\"#f-settings-multicast\">Multicast address: is every device&#39;s address");
    good[2].1 = "239.7.7.7";
    post(&server, &cookie, path, &good)
        .await
        .is(200)
        .shows("The driver accepts these settings. They are not saved yet.")
        .shows("Default: 239.255.0.1");
    good[0].1 = "enable";
    post(&server, &cookie, path, &good).await.is(303);
    let id = "com.valcom.page".into();
    assert!(server.world.change(|state| state.drivers[&id].view.enabled));
}

#[tokio::test]
async fn going_back_to_an_older_driver_is_asked_for_by_name_first() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let (id, path) = ("com.algo.speaker".into(), "/drivers/com.algo.speaker");
    server.world.change(|state| {
        let view = &mut state.drivers.get_mut(&id).expect("in the sample").view;
        view.other_versions = vec!["0.0.9".to_owned()];
    });
    server.get(path).cookie(&cookie).send().await.is(200).shows(">Use version 0.0.9</button>");
    let switch = format!("{path}/version");
    post(&server, &cookie, &switch, &[("version", "0.0.9")])
        .await
        .is(200)
        .shows("Go back to Algo 0.0.9?")
        .shows("0.0.9 is older than 0.1.0 in use");
    post(&server, &cookie, &switch, &[("version", "0.0.9"), ("confirm", "yes")]).await.is(303);
    assert_eq!(server.world.change(|state| state.drivers[&id].view.version.clone()).as_deref(), Some("0.0.9"));
}

#[tokio::test]
async fn drivers_show_refused_files_with_what_was_expected_and_found() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("editor").await;
    let page = server.get("/drivers").cookie(&cookie).send().await.is(200);
    page.shows("Speaks contract 3.0; this server offers 1.0")
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
    post(&server, &cookie, "/local", &good).await.is(303);
    assert_eq!(server.world.change(|state| state.local.multicast_address.clone()), "239.192.0.7");
    let wrong = [("/multicast_address", "10.1.1.1"), ("/network_interface", "auto")];
    post(&server, &cookie, "/local", &wrong).await.is(422).shows("Is not a multicast address").shows("10.1.1.1");
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
    post(&server, &editor, "/local", &good).await.is(403);
}

#[tokio::test]
async fn a_server_is_renamed_where_its_status_is_shown() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let path = format!("/status/servers/{}", crate::world::PB1);
    server.get("/status").cookie(&cookie).send().await.is(200).shows(&path);
    post(&server, &cookie, &path, &[("/name", "pa-2")]).await.is(422).shows("name of another server");
    post(&server, &cookie, &path, &[("/name", "  ")]).await.is(422);
    post(&server, &cookie, &path, &[("/name", "Pool building")]).await.is(303);
    let name = |state: &mut crate::world::Inner| state.status.servers[2].name.clone();
    assert_eq!(server.world.change(name), "Pool building");
    let secondary = Server::start(World::secondary()).await;
    let cookie = secondary.sign_in("admin").await;
    secondary.get("/status").cookie(&cookie).send().await.is(200).hides(&path);
    post(&secondary, &cookie, &path, &[("/name", "x")]).await.is(403);
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
