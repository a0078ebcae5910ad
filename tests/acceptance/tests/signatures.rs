//! Signed and pinned drivers on real servers: who vouches for a file is shown, travels with the configuration, and is judged by
//! each server itself.

use std::{fs, time::Duration};

use conformance::signer::Signer;
use harness::{Fleet, FleetOptions, library, wait_for};
use http_client::Method;
use serde_json::{Value, json};

const DRIVER: &str = "org.onealert.skeleton";
const PATIENCE: Duration = Duration::from_secs(60);

/// Two servers; the secondary has a driver folder of its own, which is empty.
async fn fleet() -> Fleet {
    let options = FleetOptions { servers: 2, drivers: Vec::new(), ..FleetOptions::patient() };
    Fleet::start(FleetOptions { drivers_everywhere: false, ..options }).await
}

/// Waits until the primary has judged the driver's file.
async fn judged(fleet: &Fleet, fits: impl Fn(&Value) -> bool) -> Value {
    let api = fleet.api(0);
    wait_for("the file is judged", PATIENCE, || async {
        let files = api.try_get("/api/v1/drivers").await?["files"].as_array()?.clone();
        files.into_iter().find(|file| file["driver"] == DRIVER && fits(file))
    })
    .await
}

/// Waits until the driver runs on both servers.
async fn runs_everywhere(fleet: &Fleet) -> Value {
    let api = fleet.api(0);
    wait_for("it runs on both servers", PATIENCE, || async {
        let view = api.ask(Method::GET, &format!("/api/v1/drivers/{DRIVER}"), None).await.ok()?.json["view"].clone();
        let servers = view["servers"].as_array()?;
        (servers.len() == 2 && servers.iter().all(|on| on["state"] == "ok")).then_some(view)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_driver_runs_on_every_server_by_the_word_of_its_key() {
    let mut fleet = fleet().await;
    // What is signed and what is put are the same file, whatever is built meanwhile.
    let built = library("plugin-skeleton");
    let name = built.file_name().expect("a file").to_string_lossy().into_owned();
    let copy = fleet.folder().join(&name);
    fs::copy(&built, &copy).expect("a copy of the driver");
    let (maker, bytes) = (Signer::new(0x3F2A), fs::read(&copy).expect("the driver"));
    fs::write(fleet.drivers().join(format!("{name}.minisig")), maker.sign(&bytes)).expect("the signature");
    harness::put_driver(&fleet.drivers(), &copy);
    let file = judged(&fleet, |file| file["may_be_pinned"] == true).await;
    let text = file["text"].as_str().unwrap_or_default();
    assert!(text.starts_with(&format!("Key 0000000000003F2A is not trusted for {DRIVER}")), "{file}");
    let api = fleet.api(0);
    let early = api.ask(Method::POST, &format!("/api/v1/drivers/{DRIVER}/enable"), Some(&json!({}))).await;
    assert_eq!(early.expect("an answer").status, 404, "nothing of it is known before it may run");

    let key = json!({"name": "Makers", "key": maker.public(), "prefixes": ["org.onealert.*"]});
    let wrong = json!({"name": "Makers", "key": "no key", "prefixes": ["*"]});
    let refused = api.ask(Method::POST, "/api/v1/driver-keys", Some(&wrong)).await.expect("an answer");
    assert_eq!((refused.status, refused.json["fields"].as_array().map(Vec::len)), (422, Some(2)), "{}", refused.text);
    assert_eq!(api.post("/api/v1/driver-keys", key).await["id"], "0000000000003F2A");
    judged(&fleet, |file| file["text"] == "Can be used. Signed by key 0000000000003F2A (Makers).").await;
    api.enable(DRIVER, json!({})).await;
    assert_eq!(runs_everywhere(&fleet).await["trust"], "Signed by key 0000000000003F2A (Makers)");
    wait_for("it is judged on the secondary too, with the file there", PATIENCE, || async {
        let there = fleet.api(1).try_get(&format!("/api/v1/drivers/{DRIVER}")).await?;
        (there["view"]["trust"] == "Signed by key 0000000000003F2A (Makers)").then_some(())
    })
    .await;

    let kept = api.ask(Method::DELETE, "/api/v1/driver-keys/0000000000003F2A", None).await.expect("an answer");
    assert_eq!(kept.status, 409, "a key on which an enabled driver rests stays: {}", kept.text);
    let elsewhere = fleet.api(1).ask(Method::DELETE, "/api/v1/driver-keys/0000000000003F2A", None).await;
    assert_eq!(elsewhere.expect("an answer").status, 403, "trust is changed on the primary only");
    for server in 0..2 {
        fleet.servers[server].stop();
        fleet.servers[server].start();
    }
    runs_everywhere(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_driver_runs_after_an_administrator_has_pinned_it_and_says_who_did() {
    let fleet = fleet().await;
    harness::put_driver(&fleet.drivers(), &library("plugin-skeleton"));
    let file = judged(&fleet, |file| file["may_be_pinned"] == true).await;
    assert!(file["text"].as_str().is_some_and(|text| text.starts_with("Signature missing.")), "{file}");
    let api = fleet.api(0);
    let known = api.get("/api/v1/drivers").await["drivers"].clone();
    assert!(known.as_array().is_some_and(|all| all.iter().all(|one| one["id"] != DRIVER)), "none of its code has run");
    let other = json!({"sha256": "00".repeat(32)});
    let refused = api.ask(Method::POST, "/api/v1/driver-pins", Some(&other)).await.expect("an answer");
    assert_eq!((refused.status, refused.json["fields"][0]["path"].as_str()), (422, Some("/sha256")));
    api.enable(DRIVER, json!({})).await;
    let view = runs_everywhere(&fleet).await;
    let trust = view["trust"].as_str().unwrap_or_default();
    assert!(trust.starts_with("Not signed by a trusted key; this very file was pinned by admin on 20"), "{trust}");
    let pin = format!("/api/v1/driver-pins/{}", file["sha256"].as_str().expect("a checksum"));
    assert_eq!(api.ask(Method::DELETE, &pin, None).await.expect("an answer").status, 409, "it is in use");
    api.post(&format!("/api/v1/drivers/{DRIVER}/disable"), json!({})).await;
    assert_eq!(api.ask(Method::DELETE, &pin, None).await.expect("an answer").status, 204);
    judged(&fleet, |file| file["may_be_pinned"] == true).await;
}
