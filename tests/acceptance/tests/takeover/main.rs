//! Servers die, pause and come back; the notification reaches every endpoint, and how often is counted at the endpoint.
//!
//! The endpoints are text files of the skeleton driver. Every server writes into a folder of its own, so that the lines of
//! all folders together count every delivery, whoever made it.

#[allow(dead_code, reason = "other targets tell stories on the same site and use the rest of it")]
mod site;

mod drain;
mod left_on;

use std::time::Duration;

use harness::{same, tell};
use http_client::Method;
use serde_json::json;
use site::{ENDPOINTS, Site};

#[tokio::test(flavor = "multi_thread")]
async fn without_faults_every_endpoint_is_reached_once_by_the_first_server() {
    let site = Site::start().await;
    // The head of the group sends, whoever was asked.
    let activation = site.send_by(1, "pa-1").await;
    assert_eq!(site.deliveries(&activation), [ENDPOINTS, 0, 0]);
    let record = site.fleet.api(0).get(&format!("/api/v1/sent/{activation}")).await;
    assert_eq!(record["row"]["outcome"], "success", "{record}");
    assert_eq!(record["row"]["server_name"], "pa-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_killed_after_it_accepted_and_the_next_server_does_it() {
    tell(the_next_does_what_a_killed_one_accepted).await;
}

async fn the_next_does_what_a_killed_one_accepted() -> Result<(), String> {
    // It stays for longer than anybody needs to kill its owner.
    let mut site = Site::start_with_hold(10).await;
    let activation = site.send_confirmed(0).await;
    site.fleet.servers[0].kill();
    same(site.ended_by(&activation).await, "pa-2", "who ended it")?;
    let reached = site.deliveries(&activation);
    let total: usize = reached.iter().sum();
    assert!(site.everybody_has_it(&activation), "{reached:?}");
    same(
        (reached[2], total <= 2 * ENDPOINTS),
        (0, true),
        &format!("at most once more for the one crash: {reached:?}"),
    )?;
    // The dead server comes back and learns what was done while it was away.
    site.fleet.servers[0].start();
    let found = site.sent_on(0, &activation, |row| row["server_name"] == "pa-2").await;
    assert_eq!(found["row"]["attempt"], 1, "{found}");
    assert_eq!(site.deliveries(&activation), reached, "coming back sends nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_first_server_dead_the_second_one_sends() {
    let mut site = Site::start().await;
    site.fleet.servers[0].kill();
    let activation = site.send_by(2, "pa-2").await;
    assert_eq!(site.deliveries(&activation), [0, ENDPOINTS, 0]);
    // Whoever looks at night sees who sends, and nothing of the dead server is shown as well.
    let api = site.fleet.api(1);
    harness::wait_for("the dead server is shown as dead on every page", Duration::from_secs(60), || async {
        let status = api.try_get("/api/v1/status").await?;
        let servers = api.try_get("/api/v1/servers").await?;
        let drivers = api.try_get("/api/v1/drivers").await?;
        let of = |rows: &serde_json::Value, field: &str, name: &str| -> Option<serde_json::Value> {
            rows.as_array()?.iter().find(|row| row[field] == name).cloned()
        };
        let dead = of(&servers, "name", "pa-1")?["state"] == "bad";
        let sends = of(&status["servers"], "name", "pa-2")?["text"].as_str()?.starts_with("Sending");
        let mut listed = drivers["drivers"].as_array()?.iter();
        let driver = listed.find_map(|driver| of(&driver["servers"], "server_name", "pa-1"))?;
        (dead && sends && driver["text"] == "Server not heard").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_owner_is_replaced_and_sends_nothing_when_it_wakes() {
    tell(a_paused_owner_is_replaced).await;
}

async fn a_paused_owner_is_replaced() -> Result<(), String> {
    let site = Site::start().await;
    site.fleet.servers[0].pause();
    let activation = site.send(1).await;
    same(site.ended_by(&activation).await, "pa-2", "who ended it")?;
    let before = site.deliveries(&activation);
    assert!(site.everybody_has_it(&activation), "{before:?}");
    site.fleet.servers[0].wake();
    site.fleet.in_step().await;
    site.sent_on(0, &activation, |row| row["server_name"] == "pa-2").await;
    assert_eq!(site.deliveries(&activation), before, "waking up sends nothing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_is_sent_once_however_often_and_wherever_it_is_asked() {
    let site = Site::start().await;
    let mut by = Vec::new();
    // An owner that stands still for long is replaced, and may have begun: with another key it is seen undisturbed.
    for key in ["bell-0815", "bell-0816", "bell-0817", "bell-0818"] {
        let first = site.send_with_key(0, key).await;
        let again = site.send_with_key(2, key).await;
        assert_eq!(first, again);
        site.ended_on(0, &first).await;
        assert!(site.everybody_has_it(&first), "{:?}", site.deliveries(&first));
        by.push(site.deliveries(&first));
        if by.last() == Some(&[ENDPOINTS, 0, 0]) {
            return;
        }
    }
    panic!("never once by the head of the group: {by:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_on_any_server_ends_it_everywhere() {
    let site = Site::start_with_hold(60).await;
    let activation = site.send(0).await;
    harness::wait_for("every endpoint has it", Duration::from_secs(60), || async {
        site.everybody_has_it(&activation).then_some(())
    })
    .await;
    site.fleet.api(2).stop(&activation).await;
    let record = site.sent_on(0, &activation, |row| row["outcome"] == "stopped").await;
    assert_eq!(record["row"]["outcome"], "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_refuses_configuration_and_names_the_primary() {
    let site = Site::start().await;
    let body = json!({"id": "x", "name": "X", "driver": site::DRIVER, "address": {"file": "x.txt"}});
    let answer = site.fleet.api(1).ask(Method::POST, "/api/v1/endpoints", Some(&body)).await.expect("an answer");
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert!(answer.text.contains(&site.fleet.servers[0].address), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_balancers_question_is_answered_by_role_and_state() {
    let mut site = Site::start().await;
    for (server, line) in [(0, "Primary Active\n"), (1, "Secondary Standby\n")] {
        harness::wait_for(&format!("a balancer is told {line}"), Duration::from_secs(60), || async {
            (site.balancer(server) == (200, line.to_owned())).then_some(())
        })
        .await;
    }
    site.fleet.servers[0].kill();
    harness::wait_for("the second server takes over", Duration::from_secs(60), || async {
        (site.balancer(1) == (200, "Secondary Active\n".to_owned())).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_server_answers_404_until_its_door_closes_and_never_503() {
    tell(a_draining_server_answers_404).await;
}

async fn a_draining_server_answers_404() -> Result<(), String> {
    let mut site = Site::start().await;
    let mut server = site.fleet.servers.remove(0);
    let address = format!("{}:8080", server.address);
    let stopping = std::thread::spawn(move || server.stop());
    let mut answers = Vec::new();
    while let Ok((status, body)) = site::ask_status(&address) {
        answers.push((status, body));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(stopping.join().expect("no panic"), "it ended in good order");
    // The first questions may have been earlier than the signal, and a server that stood still until then says so.
    let before = |(status, line): &(u16, String)| *status == 200 || line.contains("the core is stuck");
    let draining: Vec<_> = answers.into_iter().skip_while(before).collect();
    assert!(draining.iter().all(|(status, _)| *status == 404), "{draining:?}");
    // Nobody may have had the time to ask while it drained.
    same(draining.is_empty(), false, "nothing was asked in the drain")
}
