//! Drill, what if and return at the console of real servers: text and JSON, and an exit status by verdict.

use std::{fs, time::Duration};

use harness::{Addresses, Server, asked, same, wait_for};
use serde_json::{Value, json};

use crate::{
    returning::site_with_one_that_came_back,
    site::{ENDPOINTS, Site},
    until_said,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command; gives its exit status and what it printed, errors included.
fn console(server: &Server, arguments: &[&str]) -> (Option<i32>, String) {
    let (status, out, err) = server.verdict(arguments, &[]);
    (status, out + &err)
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn drill_and_what_if_at_a_console_say_what_pages_say_and_end_by_their_verdict() {
    let mut site = Site::start().await;
    let servers = &site.fleet.servers;

    // Where a confirmation misses its time the drill says that another took over, and measures nothing; where the next server
    // stands still for long it says that this is bad. It is repeated.
    let text = wait_for("a drill measures the takeover", PATIENCE, || async {
        let (status, text) = console(&servers[2], &["drill"]);
        assert!(matches!(status, Some(0 | 3 | 4)), "{status:?} {text}");
        assert!(text.contains("pa-1  DEFAULT") && text.contains("takeover"), "{text}");
        (status != Some(4) && text.contains(" ms ")).then_some(text)
    })
    .await;
    let kept = site.fleet.api(2).get("/api/v1/redundancy/drill").await;
    assert!(text.starts_with(kept["text"].as_str().expect("a verdict")), "the page shows the same: {kept}");
    assert_eq!(kept["by"], "console");
    let text = wait_for("a drill is well again", PATIENCE, || async {
        let (status, text) = console(&servers[2], &["drill", "--json"]);
        assert!(matches!(status, Some(0 | 3 | 4)), "{status:?} {text}");
        (status != Some(4)).then_some(text)
    })
    .await;
    assert_eq!(document(&text), site.fleet.api(2).get("/api/v1/redundancy/drill").await);
    assert!(!site.anything_was_delivered(), "nothing reached an endpoint");

    // A server that stood still for a moment counts as dead for one.
    let said = asked(PATIENCE, || async {
        let (status, text) = console(&servers[1], &["what-if", "--notification", "Page"]);
        let as_it_stands = text.contains("pa-1 sends") && text.contains("in this order: pa-1, pa-2, pa-3");
        same((status, as_it_stands), (Some(0), true), &text)?;
        let (status, text) = console(&servers[1], &["what-if", "--notification", "page", "--dead", "pa-1", "--json"]);
        let answer = document(&text);
        same((status, &answer["runs"][0]["sender"]["name"]), (Some(0), &"pa-2".into()), &text)
    });
    said.await.unwrap_or_else(|why| panic!("{why}"));
    let all_dead = ["what-if", "--notification", "page", "--dead", "pa-1", "--dead", "pa-2", "--dead", "pa-3"];
    let (status, text) = console(&servers[0], &all_dead);
    assert!(status == Some(4) && text.contains("Nobody sends"), "{status:?} {text}");
    assert_eq!(text.matches("stranded: nobody sends").count(), ENDPOINTS, "{text}");

    for (arguments, says) in [
        (&["what-if", "--notification", "Pgae"][..], "There is no notification Pgae"),
        (&["what-if", "--notification", "page", "--dead", "pa-9"], "no server pa-9"),
        (&["what-if", "--notification", "page", "--at", "noon"], "give it like 2026-11-23T10:42"),
        (&["return", "pa-1"], "pa-1 does not hold back"),
    ] {
        let (status, text) = console(&servers[0], arguments);
        assert!(status == Some(1) && text.contains(says), "{arguments:?}: {status:?} {text}");
    }
    assert_eq!(console(&servers[0], &["what-if"]).0, Some(2), "one of trigger and notification is needed");
    site.fleet.servers[2].kill();
    let (status, text) = console(&site.fleet.servers[2], &["drill"]);
    assert!(status == Some(1) && text.contains("no server runs on") && text.contains("start it first"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_let_return_from_the_console_of_another() {
    let (site, attendant) = site_with_one_that_came_back().await;
    until_said(&site, 2, "pa-1", |server| server["waits_for"] == json!(["operator"])).await;
    let (status, text) = console(&site.fleet.servers[2], &["return", "pa-1"]);
    assert!(status == Some(0) && text.contains("pa-1 takes activations again"), "{status:?} {text}");
    attendant.leave_the_first(false);
    until_said(&site, 0, "pa-1", |server| server["held"] == false).await;
    site.send_by(2, "pa-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_with_a_long_name_takes_orders_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let long = folder.path().join("d".repeat(120)).join("e".repeat(120));
    fs::create_dir_all(&long).expect("a folder with a long name");
    let addresses = Addresses::claim();
    let address = format!("{}.1", addresses.prefix());
    let config = format!(
        "name = \"pa-1\"\ndata = \"{}\"\n\
         [listen]\nmesh = \"{address}:7400\"\nhttp = \"{address}:8080\"\nhttps = \"{address}:8443\"\n",
        long.join("data").display()
    );
    let mut server = Server::new("pa-1", &folder.path().join("pa-1"), &address, &config, &[]);
    server.start();
    wait_for("the server takes orders", PATIENCE, || async {
        let (status, text) = console(&server, &["servers"]);
        (status == Some(0) && text.contains("pa-1")).then_some(())
    })
    .await;
}
