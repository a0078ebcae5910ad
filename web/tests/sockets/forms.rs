//! Forms of the pages, posted as a browser without script does.

use crate::{
    support::{Answer, Server},
    world::World,
};

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
    let page = server.post(&cookie, "/endpoints/new", &form).await.is(422);
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
    server.post(&cookie, "/endpoints/new", &good).await.is(303);
    let id = "library".into();
    let stored = server.world.change(|state| state.endpoints[&id].address.clone());
    assert_eq!((&stored["volume"], &stored["strobe"]["on"]), (&3.into(), &false.into()), "{stored}");
    server.post(&cookie, "/endpoints/new", &good).await.is(422).shows("is taken by another endpoint");
}

#[tokio::test]
async fn two_people_who_edit_one_row_do_not_overwrite_each_other() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    let etag = hidden(&server.get("/triggers/panic-button").cookie(&cookie).send().await.is(200), "etag");
    let form = |name| {
        [("etag", etag.as_str()), ("/name", name), ("/group", "pool"), ("/behaviour", "stop"), ("/late_limit_ms", "90")]
    };
    server.post(&cookie, "/triggers/panic-button", &form("First")).await.is(303);
    server.post(&cookie, "/triggers/panic-button", &form("Second")).await.is(409).shows("was changed by somebody else");
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
    server.post(&cookie, "/notifications/new", &form).await.is(303);
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
    server
        .post(&cookie, "/notifications/new", &wrong)
        .await
        .is(422)
        .shows("How often the sound is played: must be a whole number");
}

#[tokio::test]
async fn a_trigger_is_made_of_what_happens_to_the_servers_which_is_no_driver() {
    let server = Server::start(World::primary()).await;
    let cookie = server.sign_in("admin").await;
    server.get("/triggers/new").cookie(&cookie).send().await.is(200).shows("Redundancy status");
    server.get("/drivers").cookie(&cookie).send().await.is(200).hides("Redundancy status");
    server.get("/drivers/onealert.redundancy-status").cookie(&cookie).send().await.is(404);
    let form = server.get("/triggers/new?driver=onealert.redundancy-status").cookie(&cookie).send().await.is(200);
    form.shows("A server failed over").shows("Synchronisation error").shows("Quiet time in minutes");
    let mut posted = vec![
        ("driver", "onealert.redundancy-status"),
        ("/name", "Staff"),
        ("/group", "DEFAULT"),
        ("/behaviour", "start"),
        ("/settings/quiet_minutes", "15"),
    ];
    server.post(&cookie, "/triggers/new", &posted).await.is(422).shows("What happened");
    posted.extend([("/settings/kinds", "failed_over"), ("/settings/kinds", "clock")]);
    server.post(&cookie, "/triggers/new", &posted).await.is(303);
    let row = server.world.change(|state| state.triggers[&"staff".into()].clone());
    assert_eq!(row.settings["kinds"], serde_json::json!(["failed_over", "clock"]));
    assert_eq!(row.settings["quiet_minutes"], 15);
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
    let page = server.post(&cookie, "/groups/pool/delete", &[]).await.is(200);
    let etag = hidden(&page, "etag");
    page.shows("In use by Severe thunderstorm.").shows("What uses it goes to").shows("Delete priority group");
    let sure = [("confirm", "yes"), ("etag", etag.as_str())];
    server.post(&cookie, "/groups/pool/delete", &sure).await.is(422).shows("Must name the group");
    server.get("/groups/pool").cookie(&cookie).send().await.is(200);
    let chosen = [("confirm", "yes"), ("etag", etag.as_str()), ("/move_to", "DEFAULT")];
    server.post(&cookie, "/groups/pool/delete", &chosen).await.is(303);
    server.get("/groups/pool").cookie(&cookie).send().await.is(404);
    server.post(&cookie, "/endpoints/gym/delete", &[]).await.is(200).shows("taken out of 4 notifications");
    server
        .post(&cookie, "/drivers/com.algo.speaker/disable", &[])
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
    server.post(&cookie, path, &form("enable", "224.0.0.1")).await.is(422).shows("Port: must be 65535 or less");
    let mut good = form("check", "224.0.0.1").to_vec();
    good.pop();
    server
        .post(&cookie, path, &good)
        .await
        .is(422)
        .shows("<a href=\"#f-settings-multicast\">Multicast address: is every device&#39;s address");
    good[2].1 = "239.7.7.7";
    server
        .post(&cookie, path, &good)
        .await
        .is(200)
        .shows("The driver accepts these settings. They are not saved yet.")
        .shows("Default: 239.255.0.1");
    good[0].1 = "enable";
    server.post(&cookie, path, &good).await.is(303);
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
    server
        .post(&cookie, &switch, &[("version", "0.0.9")])
        .await
        .is(200)
        .shows("Go back to Algo 0.0.9?")
        .shows("0.0.9 is older than 0.1.0 in use");
    server.post(&cookie, &switch, &[("version", "0.0.9"), ("confirm", "yes")]).await.is(303);
    assert_eq!(server.world.change(|state| state.drivers[&id].view.version.clone()).as_deref(), Some("0.0.9"));
}

/// The value of a hidden field.
pub fn hidden(page: &Answer, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    page.body
        .split(&start)
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_else(|| panic!("no {name}"))
        .to_owned()
}
