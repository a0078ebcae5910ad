//! Driver files and versions across servers: files that travel, files that come wrong, versions that go up and down.

use std::{fs, path::Path, time::Duration};

use harness::{FleetOptions, library, wait_for};
use http_client::Method;
use serde_json::json;

use crate::site::{BUILT, DRIVER, Site};

const LATER: &str = "0.2.0";
const PATIENCE: Duration = Duration::from_secs(60);

/// A site whose secondary has an empty driver folder: what it runs has come from the primary.
async fn site() -> Site {
    let options = FleetOptions { servers: 2, drivers: vec!["plugin-skeleton"], ..FleetOptions::patient() };
    Site::with(FleetOptions { drivers_everywhere: false, ..options }).await
}

/// Puts a later version of the driver into the primary's folder. A version is what a library's manifest says.
fn put_later_version(site: &Site) {
    let mut bytes = fs::read(library("plugin-skeleton")).expect("the driver");
    let (from, to) = (format!("\"version\":\"{BUILT}\""), format!("\"version\":\"{LATER}\""));
    let places: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, at)| *at == from.as_bytes()).map(|it| it.0).collect();
    assert!(!places.is_empty(), "the manifest is in the file");
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    let unfinished = site.fleet.drivers().join(".later.tmp");
    fs::write(&unfinished, bytes).expect("the driver");
    fs::rename(&unfinished, site.fleet.drivers().join("later.so")).expect("the driver");
}

/// Waits until the primary offers the version, then asks for it; gives status and text.
async fn switch(site: &Site, version: &str, confirm: bool) -> (u16, String) {
    let api = site.fleet.api(0);
    wait_for("the version is offered", PATIENCE, || async {
        api.pin(DRIVER).await;
        let driver = api.try_get(&format!("/api/v1/drivers/{DRIVER}")).await?;
        driver["view"]["other_versions"].as_array()?.iter().any(|other| other == version).then_some(())
    })
    .await;
    let body = json!({"version": version, "confirm_downgrade": confirm});
    let answer = api.ask(Method::POST, &format!("/api/v1/drivers/{DRIVER}/version"), Some(&body)).await;
    let answer = answer.expect("an answer");
    (answer.status, answer.text)
}

fn store(site: &Site, server: usize) -> Vec<String> {
    let folder = site.fleet.folder().join(&site.fleet.servers[server].name).join("data/driver-store");
    let entries =
        fs::read_dir(folder).expect("the driver store").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = entries.filter(|name| name.ends_with(".so")).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn enabling_a_driver_on_the_primary_brings_its_file_to_a_secondary_that_never_saw_it() {
    let mut site = site().await;
    assert_eq!(store(&site, 0), store(&site, 1), "the same file, by its checksum");
    assert_eq!(site.check(&["--wait", "60"]).status, 0);
    site.fleet.servers[0].kill();
    site.send_by(1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_goes_to_every_server_and_an_earlier_one_only_when_that_is_meant() {
    let site = site().await;
    put_later_version(&site);
    assert_eq!(switch(&site, LATER, false).await.0, 204);
    for server in 0..2 {
        site.driver_on(server, |driver| driver["state"] == "ok" && driver["version"] == LATER).await;
    }
    site.send_by(1, 0).await;

    let (status, text) = switch(&site, BUILT, false).await;
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("0.1.0 is older than 0.2.0 in use; confirm the downgrade"), "{text}");
    site.driver_on(0, |driver| driver["version"] == LATER).await;
    assert_eq!(switch(&site, BUILT, true).await.0, 204);
    for server in 0..2 {
        site.driver_on(server, |driver| driver["state"] == "ok" && driver["version"] == BUILT).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_on_the_primary_is_not_handed_on_and_the_server_is_red_and_sends_with_what_it_has_until_it_comes_right()
 {
    let mut site = site().await;
    put_later_version(&site);
    // The secondary does not run while the primary changes over, so that the wrong file is there before it asks.
    let before = store(&site, 0);
    site.fleet.servers[1].pause();
    assert_eq!(switch(&site, LATER, false).await.0, 204);
    site.driver_on(0, |driver| driver["state"] == "ok" && driver["version"] == LATER).await;
    let later = store(&site, 0).into_iter().find(|name| !before.contains(name)).expect("the later file");
    let later = site.fleet.folder().join("pa-1/data/driver-store").join(later);
    let right = fs::read(&later).expect("the file");
    replace(&later, &[&right[..right.len() - 1], &[!right[right.len() - 1]][..]].concat());
    site.fleet.servers[1].wake();

    let driver = site.driver_on(1, |driver| driver["state"] == "bad" && driver["version"] == BUILT).await;
    let text = driver["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("Runs version 0.1.0; what is configured for 0.2.0 is not applied here"), "{text}");
    wait_for("the wrong file is seen where it lies, and not handed on", PATIENCE, || async {
        let seen = site.fleet.servers[0].log().contains("was changed: expected SHA-256");
        (seen && site.fleet.servers[1].log().contains("could not be fetched; it is asked for again")).then_some(())
    })
    .await;
    assert_eq!(store(&site, 1), before, "nothing wrong bears a name");
    // The primary shows it too, and tooling is told.
    let shown = site.shown(0, 1, |server| server["drivers"][0]["state"] == "bad").await;
    assert!(shown["differences"].to_string().contains("driver org.onealert.skeleton"), "{shown}");
    let check = site.check(&["--json"]);
    assert_eq!((check.status, &check.json["verdict"]), (4, &json!("drivers")), "{}", check.text);

    // An endpoint of the later configuration is not given to the earlier driver there, and sending goes on with what it has.
    let added = json!({"id": "added", "name": "Added", "driver": DRIVER, "address": {"file": "added.txt"}});
    site.fleet.api(0).post("/api/v1/endpoints", added).await;
    site.fleet.in_step().await;

    // The right file appears on the primary, and nobody does anything on the secondary.
    replace(&later, &right);
    site.driver_on(1, |driver| driver["state"] == "ok" && driver["version"] == LATER).await;
    assert_eq!(site.check(&["--wait", "60"]).status, 0);
    site.fleet.servers[0].kill();
    site.send_by(1, 1).await;
}

/// Another file under the name: a driver that runs from the old one goes on with that.
pub fn replace(path: &Path, bytes: &[u8]) {
    let unfinished = path.with_extension("tmp");
    fs::write(&unfinished, bytes).expect("the file");
    fs::rename(&unfinished, path).expect("the file");
}

/// Takes every file of the driver away from a server that is stopped, as a disk that was restored without it does.
fn lose(site: &Site, server: usize) {
    let folder = site.fleet.folder().join(&site.fleet.servers[server].name).join("data/driver-store");
    fs::remove_dir_all(folder).expect("the driver store");
    if server == 0 {
        for entry in fs::read_dir(site.fleet.drivers()).expect("the driver folder") {
            fs::remove_file(entry.expect("an entry").path()).expect("a driver file");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_lost_a_drivers_file_has_it_from_a_secondary_after_its_restart() {
    let mut site = site().await;
    let before = store(&site, 0);
    site.fleet.servers[0].stop();
    lose(&site, 0);
    site.fleet.servers[0].start();
    site.driver_on(0, |driver| driver["state"] == "ok" && driver["version"] == BUILT).await;
    assert_eq!(store(&site, 0), before, "the same file");
    wait_for("its log says from whom", PATIENCE, || async {
        let log = site.fleet.api(0).try_get("/api/v1/logs/sync?limit=500").await?;
        log.to_string().contains("from pa-2").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_cannot_run_is_remembered_with_its_version_and_the_reason_across_a_restart() {
    let mut site = site().await;
    for server in [0, 1] {
        site.fleet.servers[server].stop();
    }
    for server in [0, 1] {
        lose(&site, server);
    }
    for server in [0, 1] {
        site.fleet.servers[server].start();
    }
    let says = format!("Version {BUILT} is configured and does not run here: its file ");
    for server in [0, 1] {
        let driver = site.driver_on(server, |driver| driver["state"] == "bad").await;
        let text = driver["text"].as_str().unwrap_or_default();
        assert!(text.starts_with(&says) && text.contains("is not on this server yet"), "{server}: {text}");
        let status = site.fleet.api(server).get("/api/v1/status").await;
        assert!(status["attention"].to_string().contains("is configured and does not run here"), "{status}");
    }
    let api = site.fleet.api(0);
    let all = api.get("/api/v1/drivers").await["drivers"].as_array().cloned().unwrap_or_default();
    let shown = all.into_iter().find(|one| one["id"] == DRIVER).expect("it is configured");
    assert_eq!((&shown["id"], &shown["enabled"], &shown["version"]), (&json!(DRIVER), &json!(true), &json!(BUILT)));
    assert!(shown["text"].as_str().is_some_and(|text| text.contains("does not run")), "{shown}");
    // Its file comes back: nobody does anything else.
    harness::put_driver(&site.fleet.drivers(), &library("plugin-skeleton"));
    for server in [0, 1] {
        site.driver_on(server, |driver| driver["state"] == "ok" && driver["version"] == BUILT).await;
    }
}
