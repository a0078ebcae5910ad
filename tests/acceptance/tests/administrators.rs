//! Two administrators change the configuration of a real server at the same moment: what either was told is saved stays saved,
//! or the other is told that somebody was faster.

use std::time::Duration;

use harness::{Api, Fleet, FleetOptions, wait_for};
use http_client::Method;
use serde_json::{Value, json};
use tokio::join;

const DRIVER: &str = "org.onealert.skeleton";
const PATIENCE: Duration = Duration::from_secs(60);

async fn site() -> Fleet {
    let options = FleetOptions { servers: 1, drivers: vec!["plugin-skeleton"], ..FleetOptions::patient() };
    let fleet = Fleet::start(options).await;
    fleet.api(0).enable(DRIVER, json!({})).await;
    fleet
}

/// Whether this was saved. If not, it is because somebody was faster, and the answer says what of and what to do.
async fn saved(api: &Api, method: Method, path: &str, body: Option<Value>) -> bool {
    let answer = api.ask_a_driver(method, path, body.as_ref()).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    if answer.status == 409 {
        let said = answer.json["detail"].as_str().unwrap_or_default();
        assert!(said.contains("was changed by somebody else") && said.contains("make your change again"), "{said}");
        return false;
    }
    assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
    true
}

fn page(title: &str, endpoints: &[&str], triggers: &[&str]) -> Value {
    let message = json!({"title": title, "body": "To all"});
    json!({"id": "page", "name": "Page", "endpoints": endpoints, "triggers": triggers, "message": message})
}

/// One administrator deletes what a notification uses, while another gives the notification another title. Played until they
/// met in the same moment.
async fn deleting_keeps_the_title(api: &Api, used: &str, make: Value, before: Value, after: impl Fn(&str) -> Value) {
    let mut round = 0;
    wait_for(&format!("{used} is deleted while its notification is saved"), PATIENCE, || {
        round += 1;
        let title = format!("Title {round}");
        let (make, before, after) = (make.clone(), before.clone(), after(&title));
        async move {
            api.put(used, make).await;
            api.put("/api/v1/notifications/page", before).await;
            let (titled, deleted) = join!(
                saved(api, Method::PUT, "/api/v1/notifications/page", Some(after)),
                saved(api, Method::DELETE, used, None)
            );
            assert!(titled, "nothing stands against it");
            let row = api.get("/api/v1/notifications/page").await;
            assert_eq!(row["row"]["message"]["title"], title.as_str(), "the title was saved; deleted too: {deleted}");
            (!deleted).then_some(())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_endpoint_or_a_trigger_does_not_undo_what_another_administrator_saved() {
    let fleet = site().await;
    let api = fleet.api(0);
    let endpoint = |id: &str| json!({"id": id, "name": id, "driver": DRIVER, "address": {"file": format!("{id}.txt")}});
    api.post("/api/v1/endpoints", endpoint("hall")).await;
    let both = page("Before", &["hall", "lobby"], &[]);
    let after = |title: &str| page(title, &["hall"], &[]);
    deleting_keeps_the_title(&api, "/api/v1/endpoints/lobby", endpoint("lobby"), both, after).await;
    let trigger = json!({"id": "button", "name": "Button", "group": "DEFAULT"});
    let with = page("Before", &["hall"], &["button"]);
    deleting_keeps_the_title(&api, "/api/v1/triggers/button", trigger, with, after).await;
}

/// Seen by reading: neither row is the other's, and both were saved.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_administrator_begins_to_use_is_not_deleted_by_another_in_the_same_moment() {
    let fleet = site().await;
    let api = fleet.api(0);
    let lobby = "/api/v1/endpoints/lobby";
    let mut slower = [0, 0];
    for round in 1..=200 {
        let row = json!({"id": "lobby", "name": "Lobby", "driver": DRIVER, "address": {"file": "lobby.txt"}});
        api.put(lobby, row).await;
        api.put("/api/v1/notifications/page", page("Before", &[], &[])).await;
        let after = page("After", &["lobby"], &[]);
        let begin = api.ask(Method::PUT, "/api/v1/notifications/page", Some(&after));
        let (begun, deleted) = join!(begin, saved(&api, Method::DELETE, lobby, None));
        let begun = begun.unwrap_or_else(|error| panic!("round {round}: {error}"));
        // It was there when this was begun, or not any more; both are said.
        assert!(matches!(begun.status, 200..300 | 409 | 422), "round {round}: {} {}", begun.status, begun.text);
        let there = api.get("/api/v1/endpoints").await.to_string().contains("lobby");
        let row = api.get("/api/v1/notifications/page").await;
        let named = row["row"]["endpoints"] == json!(["lobby"]);
        assert!(there || !named, "round {round}, begun {}, deleted {deleted}: {row}", begun.status);
        slower[0] += u32::from(begun.status == 409);
        slower[1] += u32::from(!deleted);
        if slower.iter().sum::<u32>() > 0 {
            break;
        }
    }
    println!("who began was slower {} times, who deleted {} times", slower[0], slower[1]);
    assert!(slower.iter().sum::<u32>() > 0, "they met");
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_a_driver_and_saving_its_settings_do_not_undo_each_other() {
    let fleet = site().await;
    let api = fleet.api(0);
    let driver = format!("/api/v1/drivers/{DRIVER}");
    let path = |what: &str| format!("{driver}/{what}");
    let (settings, disable, enable) = (path("settings"), path("disable"), path("enable"));
    let (mut save_lost, mut disable_lost) = (0, 0);
    for round in 1..=60_u32 {
        // Saving takes longer, because the driver is asked: the other goes a little later each time, so that either is slower
        // some time.
        let later = Duration::from_millis(u64::from(round - 1) * 3);
        let disabling = async {
            tokio::time::sleep(later).await;
            saved(&api, Method::POST, &disable, None).await
        };
        api.post(&enable, json!({"longest_line": 100})).await;
        let changed = json!({"longest_line": 100 + round});
        let (set, disabled) = join!(saved(&api, Method::PUT, &settings, Some(changed)), disabling);
        let now = api.get(&driver).await;
        if set {
            assert_eq!(now["settings"]["longest_line"], 100 + round, "saved; disabled too: {disabled}");
        }
        if disabled {
            assert_eq!(now["view"]["enabled"], false, "disabled; saved too: {set}");
        }
        assert!(set || disabled, "one of them is the first");
        (save_lost, disable_lost) = (save_lost + u32::from(!set), disable_lost + u32::from(!disabled));
        if save_lost > 0 && disable_lost > 0 {
            break;
        }
    }
    println!("saving was slower {save_lost} times, disabling {disable_lost} times");
    assert!(save_lost + disable_lost > 0, "they met");
}
