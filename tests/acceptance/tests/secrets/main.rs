//! Secrets at rest: a device's password is in no file, log or answer of any server, and opens the device from each of them.

mod site;

use harness::ADMIN;
use http_client::Method;
use serde_json::{Value, json};
use site::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_in_no_file_log_or_answer_and_every_server_can_use_it() {
    let mut site = Site::start(2).await;
    let sealed = site.sealed(0, "endpoints", "strobe", "/address/password");
    assert_eq!(sealed, site.sealed(1, "endpoints", "strobe", "/address/password"), "the same bytes on every server");

    let feed = site.fleet.api(0).get("/api/v1/triggers/feed").await;
    assert_eq!(feed["row"]["settings"]["url"], "http://127.0.0.1:9/county", "the address is shown without its query");
    for field in ["url_query", "url_login"] {
        let path = format!("/settings/{field}");
        assert_eq!(site.sealed(0, "triggers", "feed", &path), site.sealed(1, "triggers", "feed", &path));
    }
    let mut whole = feed["row"].clone();
    whole["settings"]["url"] = json!(format!("http://127.0.0.1:9/county?{}", FEED[0]));
    let refused = site.fleet.api(0).ask(Method::PUT, "/api/v1/triggers/feed", Some(&whole)).await.expect("an answer");
    assert_eq!((refused.status, refused.json["fields"][0]["path"].as_str()), (422, Some("/settings/url")));
    assert!(!refused.text.contains(FEED[0]), "{}", refused.text);

    // Another field changes; the secret is left out, as a page does.
    let mut row = site.fleet.api(0).get("/api/v1/endpoints/strobe").await["row"].clone();
    row["name"] = json!("Strobe at the door");
    site.fleet.api(0).put("/api/v1/endpoints/strobe", row).await;
    assert_eq!(
        sealed,
        site.sealed(0, "endpoints", "strobe", "/address/password"),
        "an unchanged secret is kept as it is"
    );
    site.send_reaches(0).await;

    for server in 0..2 {
        site.driver_told(server, CAP, "http://127.0.0.1:9/county: unreachable").await;
        for path in [
            "endpoints",
            "endpoints/strobe",
            "triggers",
            "triggers/feed",
            "drivers",
            &format!("drivers/{CAP}"),
            "logs/audit",
            "logs/sync",
            "sent",
        ] {
            let answer = site.fleet.api(server).get(&format!("/api/v1/{path}")).await.to_string();
            for secret in [PASSWORD, TOKEN, FEED[0], FEED[1], "sealed", "v1:"] {
                assert!(!answer.contains(secret), "{secret} is in the answer to {path}: {answer}");
            }
        }
    }
    let folder = site.fleet.folder().to_owned();
    let file = |name: &str| folder.join(name).display().to_string();
    let (backup, locked) = (file("site.backup"), file("locked.backup"));
    site.command(0, &["backup", &backup]).expect("a backup");
    site.command(0, &["backup", "--passphrase", &locked]).expect("a backup whose key is locked");
    assert!(holds(backup.as_ref(), "PRIVATE KEY"), "a backup opens its secrets by itself");
    assert!(!holds(locked.as_ref(), "PRIVATE KEY"), "but for one whose key is locked");

    // The secondary takes over, and becomes the primary.
    site.fleet.servers[0].kill();
    site.send_reaches(1).await;
    site.command(1, &["promote"]).expect("the primary is lost");
    site.rename(1, "Strobe at the gate").await;
    site.send_reaches(1).await;
    assert_eq!(sealed, site.sealed(1, "endpoints", "strobe", "/address/password"));
    site.fleet.servers[1].stop();

    // A machine that has nothing but the backup.
    let new = site.fleet.add();
    let refused = site.command(new, &["restore", &locked]).expect_err("without its passphrase");
    assert!(refused.contains("repeat the command with --passphrase"), "{refused}");
    let wrong = [("ONEALERT_PASSPHRASE", "another passphrase")];
    let refused = site.fleet.servers[new].command(&["restore", "--passphrase", &locked], &wrong).expect_err("wrong");
    assert!(refused.contains("not the one that the backup was made with"), "{refused}");
    site.command(new, &["restore", "--passphrase", &locked]).expect("into an empty folder");
    site.command(new, &["promote"]).expect("nobody else is there");
    site.fleet.servers[new].start();
    site.send_reaches(new).await;
    assert!(
        !holds(&site.data(new).join("config.db"), "PRIVATE KEY"),
        "the restored database does not keep the site's key"
    );
    site.fleet.servers[new].stop();

    let files = site.files();
    let named = |name: &str| files.iter().any(|file| file.ends_with(name));
    for expected in ["pa-1/data/config.db", "pa-2/data/activations.db", "pa-2/log", "pa-1/all.log", "site.backup"] {
        assert!(named(expected), "{expected} is looked at: {files:?}");
    }
    for secret in [PASSWORD, TOKEN, FEED[0], FEED[1]] {
        let found: Vec<_> = files.iter().filter(|file| holds(file, secret)).collect();
        assert!(found.is_empty(), "{secret} is in {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_does_not_open_stops_one_endpoint_and_says_what_to_do() {
    let mut site = Site::start(1).await;
    site.fleet.servers[0].stop();
    // Somebody with a database tool gives the strobe the other strobe's sealed password.
    let (mine, other) = ("strobe", "strobe-2");
    let stranger = site.sealed(0, "endpoints", other, "/address/password");
    site.edit(0, "endpoints", mine, |row| row["address"]["password"] = json!({"sealed": stranger}));
    site.fleet.servers[0].start();
    let api = site.fleet.api(0);
    let shown = site.state_of(mine, "bad").await;
    assert_eq!(
        shown["text"],
        "The secret /password of endpoint \"strobe\" was changed or moved here outside OneAlert; enter it again"
    );
    let status = api.get("/api/v1/status").await;
    assert!(status["attention"].to_string().contains("enter it again"), "{status}");
    site.state_of(other, "ok").await;
    let record = site.send_and_end(0).await;
    let result = |id: &str| {
        let all = record["endpoints"].as_array().expect("endpoints");
        all.iter().find(|endpoint| endpoint["endpoint"] == id).expect("it is in the record").clone()
    };
    assert_eq!(result(other)["state"], "ok", "{record}");
    assert!(result(mine)["note"].as_str().is_some_and(|note| note.contains("enter it again")), "{record}");

    // Nobody can hand in ciphertext in place of a secret.
    let mut row = shown["row"].clone();
    row["address"]["password"] = json!({"sealed": "v1:AAAA"});
    let refused = api.ask(Method::PUT, "/api/v1/endpoints/strobe", Some(&row)).await.expect("an answer");
    assert_eq!((refused.status, refused.json["fields"][0]["path"].as_str()), (422, Some("/address/password")));
    row["address"]["password"] = Value::from(PASSWORD);
    api.put("/api/v1/endpoints/strobe", row).await;
    site.state_of(mine, "ok").await;
    site.send_reaches(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drivers_own_secret_that_does_not_open_stops_that_driver_only() {
    let mut site = Site::start(1).await;
    site.fleet.servers[0].stop();
    let stranger = site.sealed(0, "endpoints", "strobe", "/address/password");
    site.edit(0, "drivers", CAP, |row| row["settings"]["post_token"] = json!({"sealed": stranger}));
    site.fleet.servers[0].start();
    let shown = site.driver_is(CAP, "bad").await;
    assert!(shown["text"].as_str().is_some_and(|text| text.contains("/post_token of driver")), "{shown}");
    site.driver_is(ALGO, "ok").await;
    site.send_reaches(0).await;
    // Saving other settings cannot silently keep what does not open; the field is named.
    let path = format!("/api/v1/drivers/{CAP}/settings");
    let api = site.fleet.api(0);
    let kept = api.ask(Method::PUT, &path, Some(&json!({"contact": ADMIN}))).await.expect("an answer");
    assert_eq!((kept.status, kept.json["fields"][0]["path"].as_str()), (422, Some("/post_token")), "{}", kept.text);
    api.put(&path, json!({"post_token": TOKEN})).await;
    site.driver_is(CAP, "ok").await;
}
