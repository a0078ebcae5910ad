//! Driver files that were changed while the servers were down: each is refused with its file, what was expected and what was
//! found, on the pages of every server, and the other drivers deliver.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use conformance::with_manifest;
use harness::{FleetOptions, wait_for};
use http_client::Method;
use serde_json::{Value, json};

use crate::{
    drivers::replace,
    site::{BUILT, DRIVER, Site},
};

const OTHER: &str = "org.onealert.faulty";
const PATIENCE: Duration = Duration::from_secs(60);

/// Two servers with two drivers, one endpoint of each, and a notification to both. The secondary's driver folder is empty.
async fn site() -> Site {
    let drivers = vec!["plugin-skeleton", "faulty"];
    let options = FleetOptions { servers: 2, drivers, drivers_everywhere: false, ..FleetOptions::patient() };
    let site = Site::with(options).await;
    let api = site.fleet.api(0);
    api.enable(OTHER, json!({"fault": "none"})).await;
    api.post("/api/v1/endpoints", json!({"id": "other", "name": "Other", "driver": OTHER, "address": {}})).await;
    let message = json!({"title": "Both", "body": "To all", "hold_seconds": 1});
    let both = json!({"id": "both", "name": "Both", "endpoints": ["file", "other"], "message": message});
    api.post("/api/v1/notifications", both).await;
    for server in [0, 1] {
        on(&site, server, OTHER, server, |on| on["state"] == "ok").await;
    }
    site
}

/// Waits until the page Drivers of one server shows a driver on another as wanted; gives that.
async fn on(site: &Site, by: usize, driver: &str, server: usize, fits: impl Fn(&Value) -> bool) -> Value {
    let (api, name) = (site.fleet.api(by), site.fleet.servers[server].name.clone());
    let path = format!("/api/v1/drivers/{driver}");
    wait_for(&format!("{driver} is shown on {name} as wanted"), PATIENCE, || async {
        let view = api.ask(Method::GET, &path, None).await.ok()?.json["view"].clone();
        let shown = view["servers"].as_array()?.iter().find(|on| on["server_name"] == name.as_str())?.clone();
        fits(&shown).then_some(shown)
    })
    .await
}

/// The file of the driver in a server's store.
fn stored(site: &Site, server: usize, sha256: &str) -> PathBuf {
    let folder = site.fleet.folder().join(&site.fleet.servers[server].name).join("data/driver-store");
    folder.join(format!("{sha256}.so"))
}

async fn sha256(site: &Site) -> String {
    let status = site.fleet.api(0).get("/api/v1/status").await;
    let drivers = status["servers"][0]["drivers"].as_array().cloned().unwrap_or_default();
    let driver = drivers.into_iter().find(|one| one["id"] == DRIVER).expect("it runs");
    driver["sha256"].as_str().expect("a checksum").to_owned()
}

/// The driver's file in the folder of the primary.
fn in_folder(site: &Site) -> PathBuf {
    site.fleet.drivers().join(Path::new("libplugin_skeleton.so"))
}

/// What a refusal must name: the file, what was expected, and what was found.
fn names(text: &str, file: &Path, expected: &str, found: &str, is: &str) {
    let file = file.file_name().expect("a name").to_string_lossy().into_owned();
    let checksums = format!("was changed: expected SHA-256 {}, found {}", &expected[..12], &found[..12]);
    for part in [file.as_str(), checksums.as_str(), is, BUILT] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_changed_while_the_servers_were_down_are_refused_in_words_everywhere_and_other_drivers_deliver()
{
    let mut site = site().await;
    let expected = sha256(&site).await;
    for server in [1, 0] {
        site.fleet.servers[server].stop();
    }
    let right = fs::read(in_folder(&site)).expect("the driver");
    // One made for a contract that this server does not speak, and one that only differs.
    let contract = with_manifest(&right, "\"api\":\"1.0\"", "\"api\":\"2.0\"");
    let differs = [&right[..], b"changed"].concat();
    replace(&in_folder(&site), &differs);
    replace(&stored(&site, 0, &expected), &contract);
    replace(&stored(&site, 1, &expected), &differs);
    for server in [0, 1] {
        site.fleet.servers[server].start();
    }
    site.fleet.in_step().await;

    let found = [conformance::sha256(&contract), conformance::sha256(&differs)];
    let is = ["made for API 2, this server loads 1", "which says that it is org.onealert.skeleton"];
    for by in [0, 1] {
        for server in [0, 1] {
            let refused = |on: &Value| on["state"] == "bad" && on["text"].to_string().contains("was changed");
            let shown = on(&site, by, DRIVER, server, refused).await;
            let text = shown["text"].as_str().unwrap_or_default();
            names(text, &stored(&site, server, &expected), &expected, &found[server], is[server]);
            assert_eq!(shown["version"], Value::Null, "nothing of it runs: {shown}");
        }
        let status = site.fleet.api(by).get("/api/v1/status").await;
        assert!(status["attention"].to_string().contains("was changed: expected SHA-256"), "{status}");
    }
    // In the driver folder too the changed file is refused, by the checksum that was pinned.
    let file = wait_for("the file in the folder is judged", PATIENCE, || async {
        let files = site.fleet.api(0).try_get("/api/v1/drivers").await?["files"].as_array()?.clone();
        files.into_iter().find(|file| file["driver"] == DRIVER && file["state"] == "bad")
    })
    .await;
    let text = file["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("Refused: not the file that was pinned as org.onealert.skeleton 0.1.0"), "{text}");
    assert!(text.contains(&format!("expected SHA-256 {}, found {}", &expected[..12], &found[1][..12])), "{text}");
    assert_eq!(file["may_be_pinned"], false);

    // What needs the other driver too is sent, and the record says what was not reached.
    let answer = site.fleet.api(1).post("/api/v1/notifications/both/send", json!({})).await;
    let activation = answer["activations"][0].as_str().expect("an activation").to_owned();
    let reached = |endpoint: &'static str, text: &'static str| {
        let (api, path) = (site.fleet.api(0), format!("/api/v1/sent/{activation}"));
        async move {
            wait_for(&format!("{endpoint} is told as {text}"), PATIENCE, || async {
                let record = api.ask(Method::GET, &path, None).await.ok()?.json;
                let one = record["endpoints"].as_array()?.iter().find(|one| one["endpoint"] == endpoint)?.clone();
                (one["text"] == text).then_some(one)
            })
            .await
        }
    };
    reached("other", "Reached").await;
    let failed = reached("file", "Failed").await;
    assert!(!failed["note"].as_str().unwrap_or_default().is_empty(), "with a reason: {failed}");

    // The right file comes back to the folder of the primary: nobody does anything else, and both run it.
    replace(&in_folder(&site), &right);
    for server in [0, 1] {
        on(&site, 0, DRIVER, server, |on| on["state"] == "ok" && on["version"] == BUILT).await;
        assert_eq!(fs::read(stored(&site, server, &expected)).expect("the file"), right);
    }
    site.send_by(1, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_whose_driver_file_was_changed_while_it_was_down_takes_the_right_one_from_the_primary() {
    let mut site = site().await;
    let expected = sha256(&site).await;
    site.fleet.servers[1].stop();
    let file = stored(&site, 1, &expected);
    let right = fs::read(&file).expect("the driver");
    replace(&file, &[&right[..], b"changed"].concat());
    site.fleet.servers[1].start();
    site.driver_on(1, |driver| driver["state"] == "ok" && driver["version"] == BUILT).await;
    assert_eq!(fs::read(&file).expect("the driver"), right);
    wait_for("its logs say what it found and whom it asked", PATIENCE, || async {
        let found = site.fleet.servers[1].log().contains("was changed: expected SHA-256");
        let log = site.fleet.api(1).try_get("/api/v1/logs/sync?limit=500").await?.to_string();
        (found && log.contains(&format!("fetched driver file {expected} from"))).then_some(())
    })
    .await;
}
