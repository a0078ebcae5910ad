//! Who vouches for a driver file: real libraries, real signatures, right and wrong ones. None of a file's code runs before.

use std::fs;

use conformance::{library, signer::Signer, site::Site};
use onealert_drivers::{
    DriverState, Found, Verdict, files,
    trust::{Standing, TrustedKey},
};
use serde_json::json;

const ID: &str = "org.onealert.skeleton";
const SIGNATURE: &str = "driver.so.minisig";

fn skeleton() -> Vec<u8> {
    fs::read(library("plugin-skeleton")).expect("the skeleton's library")
}

fn unsigned(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Unsigned(_))
}

fn refused(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(_))
}

fn ready(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Ready(_))
}

fn trusts(site: &Site, signer: &Signer, prefixes: &[&str]) {
    let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    let key = TrustedKey::new(&signer.public(), prefixes).expect("a public key");
    site.trust(|trust| trust.keys.push(key));
}

fn found(site: &Site) -> Found {
    site.drivers.found().into_iter().find(|found| found.file.ends_with("driver.so")).expect("it was found")
}

#[tokio::test]
async fn a_file_that_nobody_signed_waits_for_a_pin_and_runs_none_of_its_code_before() {
    let (site, bytes) = (Site::new(), skeleton());
    site.put_unsigned("driver.so", &bytes);
    assert_eq!(site.judged("driver.so", unsigned).await, "signature missing");
    let sha256 = files::sha256(&bytes);
    assert_eq!(site.drivers.description(&sha256), None, "what it would say of itself takes its code");
    let refused = site.drivers.check_settings(ID, &sha256, json!({})).await.expect_err("nor is it asked anything");
    assert_eq!(refused.message, "signature missing");
    site.drivers.set_enabled(vec![site.unpinned_row(ID, &bytes)]);
    let status = site.status(ID, |status| status.state == DriverState::Failed).await;
    assert_eq!((status.last_error.as_deref(), status.pid), (Some("signature missing"), None));
    // A pin frees it at once, for the folder and for the worker.
    site.put("driver.so", &bytes);
    site.judged("driver.so", ready).await;
    site.status(ID, |status| status.state == DriverState::Running).await;
    assert_eq!(found(&site).standing, Some(Standing::Pinned));
}

#[tokio::test]
async fn a_right_signature_of_a_trusted_key_is_enough() {
    let (site, bytes, maker) = (Site::new(), skeleton(), Signer::new(0x3F2A));
    trusts(&site, &maker, &["org.onealert."]);
    site.put_unsigned(SIGNATURE, maker.sign(&bytes).as_bytes());
    site.put_unsigned("driver.so", &bytes);
    site.judged("driver.so", ready).await;
    let Some(Standing::Signed(key)) = found(&site).standing else { panic!("{:?}", found(&site)) };
    assert_eq!(key.to_string(), "0000000000003F2A");
    // Before anything of it is configured it can be asked about settings, and then it runs.
    let findings = site.drivers.check_settings(ID, &files::sha256(&bytes), json!({})).await;
    assert_eq!(findings.map(|it| it.len()).map_err(|failure| failure.message), Ok(0));
    site.drivers.set_enabled(vec![site.unpinned_row(ID, &bytes)]);
    site.status(ID, |status| status.state == DriverState::Running).await;
}

#[tokio::test]
async fn a_file_that_was_changed_after_signing_is_refused_even_where_it_is_pinned() {
    let (site, bytes, maker) = (Site::new(), skeleton(), Signer::new(0x3F2A));
    trusts(&site, &maker, &[ID]);
    // Behind the section table nobody reads, so that it is a driver like the other.
    let changed = [&bytes[..], b"more"].concat();
    site.put_unsigned(SIGNATURE, maker.sign(&bytes).as_bytes());
    site.put("driver.so", &changed);
    assert_eq!(site.judged("driver.so", refused).await, "changed after signing");
    assert_eq!(site.drivers.description(&files::sha256(&changed)), None);
    // The right signature comes: the same file is judged again.
    site.put_unsigned(SIGNATURE, maker.sign(&changed).as_bytes());
    site.judged("driver.so", ready).await;
}

#[tokio::test]
async fn a_key_that_nobody_trusts_or_that_is_for_other_drivers_is_named() {
    let (site, bytes) = (Site::new(), skeleton());
    let (maker, stranger) = (Signer::new(0x3F2A), Signer::new(0x99));
    trusts(&site, &maker, &["com.algo.", "org.onealert.skeletons", "org.onealert.skel"]);
    site.put_unsigned(SIGNATURE, maker.sign(&bytes).as_bytes());
    site.put_unsigned("driver.so", &bytes);
    let not_trusted = |number: &str| format!("key {number} is not trusted for {ID}");
    assert_eq!(site.judged("driver.so", unsigned).await, not_trusted("0000000000003F2A"));
    site.put_unsigned(SIGNATURE, stranger.sign(&bytes).as_bytes());
    let of_stranger = |verdict: &Verdict| matches!(verdict, Verdict::Unsigned(text) if text.contains("0099 is"));
    assert_eq!(site.judged("driver.so", of_stranger).await, not_trusted("0000000000000099"));
    // Whoever only copies a trusted number has not the key.
    site.put_unsigned(SIGNATURE, Signer::new(0x3F2A).sign(&bytes).as_bytes());
    assert_eq!(site.judged("driver.so", refused).await, "changed after signing");
    site.put_unsigned(SIGNATURE, b"nothing of the kind");
    let unreadable = |verdict: &Verdict| matches!(verdict, Verdict::Refused(text) if text.contains("cannot be read"));
    site.judged("driver.so", unreadable).await;
    site.remove(SIGNATURE);
    assert_eq!(site.judged("driver.so", unsigned).await, "signature missing");
}

#[tokio::test]
async fn a_file_that_came_from_elsewhere_is_judged_here_by_the_signature_that_came_with_the_configuration() {
    let (site, bytes, maker) = (Site::new(), skeleton(), Signer::new(7));
    trusts(&site, &maker, &[ID]);
    site.drivers.set_enabled(vec![site.unpinned_row(ID, &bytes)]);
    let status = site.status(ID, |status| status.state == DriverState::Failed).await;
    assert_eq!(status.last_error.as_deref(), Some("signature missing"));
    let sha256 = files::sha256(&bytes);
    site.trust(|trust| drop(trust.signatures.insert(sha256.clone(), maker.sign(b"other bytes"))));
    site.status(ID, |status| status.last_error.as_deref() == Some("changed after signing")).await;
    site.trust(|trust| drop(trust.signatures.insert(sha256, maker.sign(&bytes))));
    site.status(ID, |status| status.state == DriverState::Running).await;
}
