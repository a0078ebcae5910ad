//! What is said of files in the driver folder: real libraries, whole, cut and changed.

use std::{fs, time::Duration};

use conformance::{library, site::Site, with_manifest};
use onealert_drivers::Verdict;

fn refused(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(_))
}

fn ready(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Ready(_))
}

fn skeleton() -> Vec<u8> {
    fs::read(library("plugin-skeleton")).expect("the skeleton's library")
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::test]
async fn a_good_library_is_ready_and_others_beside_it_name_what_is_wrong() {
    let (site, good) = (Site::new(), skeleton());
    let mut other_processor = good.clone();
    other_processor[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
    site.put("good.so", &good);
    site.put("text.so", b"#!/bin/sh\necho not a library\n");
    site.put("arm.so", &other_processor);
    site.put("format.so", &with_manifest(&good, "\"format\":1", "\"format\":2"));
    site.put("api2.so", &with_manifest(&good, "\"api\":\"1.0\"", "\"api\":\"2.0\""));
    site.put("api16.so", &with_manifest(&good, "\"api\":\"1.0\"", "\"api\":\"1.6\""));
    site.put("broken.so", &with_manifest(&good, "{\"format\"", "{{format\""));
    site.put("section.so", &without_manifest(&good));
    site.put("lies.so", &with_manifest(&good, "\"vendor\":\"OneAlert\"", "\"vendor\":\"TwoAlert\""));
    assert_eq!(site.judged("good.so", ready).await, format!("org.onealert.skeleton {VERSION}"));
    assert_eq!(site.judged("text.so", refused).await, "not a shared library");
    let said = site.judged("arm.so", refused).await;
    assert!(said.starts_with("built for ") && said.ends_with(std::env::consts::ARCH), "{said}");
    assert_eq!(site.judged("format.so", refused).await, "manifest format 2, this server reads 1");
    let id = format!("org.onealert.skeleton {VERSION}");
    assert_eq!(site.judged("api2.so", refused).await, format!("{id} made for API 2, this server loads 1"));
    let newer = "needs plugin API 1.6, this server has 1.0; update the server or take an older driver";
    assert_eq!(site.judged("api16.so", refused).await, format!("{id} {newer}"));
    let said = site.judged("broken.so", refused).await;
    assert!(said.starts_with("the plugin manifest cannot be read: "), "{said}");
    assert_eq!(site.judged("section.so", refused).await, "no plugin manifest; build it with plugin-api");
    assert_eq!(site.judged("lies.so", refused).await, "describe() says vendor OneAlert, manifest TwoAlert");
}

#[tokio::test]
async fn a_file_that_is_cut_is_waited_for_then_refused_and_taken_when_it_is_whole() {
    let (site, good) = (Site::new(), skeleton());
    let half = &good[..good.len() / 2];
    site.put("slow.so", half);
    let waiting = |verdict: &Verdict| matches!(verdict, Verdict::Waiting(text) if text.starts_with("incomplete"));
    assert_eq!(site.judged("slow.so", waiting).await, format!("incomplete, {} bytes so far; waiting", half.len()));
    let said = site.judged("slow.so", refused).await;
    assert!(said.contains(&format!("{} bytes", half.len())) && said.ends_with("copy it again"), "{said}");
    site.put("slow.so", &good);
    site.judged("slow.so", ready).await;
}

/// Seen by reading: one standstill of the machine while a driver was looked at, and it was refused until its file changed.
#[tokio::test]
async fn a_driver_whose_worker_was_slow_once_is_asked_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (program, arguments) = conformance::worker();
    let slow_once = folder.path().join("slow-once");
    let mark = folder.path().join("mark");
    let begins = format!("{} {}", program.display(), arguments.join(" "));
    let script = format!("#!/bin/sh\n/bin/mkdir {} && exec /bin/sleep 60\nexec {begins} \"$@\"\n", mark.display());
    fs::write(&slow_once, script).expect("a script");
    fs::set_permissions(&slow_once, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it may run");
    let (load, give_up) = (Duration::from_secs(2), Duration::from_secs(60));
    let site = Site::of((slow_once, Vec::new()), |timings| (timings.load, timings.give_up) = (load, give_up));
    site.put("good.so", &skeleton());
    assert_eq!(site.judged("good.so", refused).await, "did not load within 2 s");
    site.judged("good.so", ready).await;
}

#[tokio::test]
async fn two_files_with_one_version_and_other_contents_are_both_refused_until_one_is_removed() {
    let (site, good) = (Site::new(), skeleton());
    let mut other = good.clone();
    // Behind the section table nobody reads, but the checksum differs.
    other.extend_from_slice(b"other contents");
    site.put("one.so", &good);
    site.put("two.so", &other);
    let said = site.judged("one.so", refused).await;
    let expected = |file: &str| {
        format!("org.onealert.skeleton {VERSION} is also in {file}, with other contents; remove one of the two")
    };
    assert_eq!(said, expected("two.so"));
    assert_eq!(site.judged("two.so", refused).await, expected("one.so"));
    site.remove("two.so");
    site.judged("one.so", ready).await;
}

#[tokio::test]
async fn the_same_file_twice_is_no_quarrel() {
    let (site, good) = (Site::new(), skeleton());
    site.put("one.so", &good);
    site.put("copy.so", &good);
    site.judged("one.so", ready).await;
    site.judged("copy.so", ready).await;
}

/// The library with its manifest's section under another name.
fn without_manifest(bytes: &[u8]) -> Vec<u8> {
    let name = b".plugin.manifest\0";
    let at = bytes.windows(name.len()).rposition(|window| window == name).expect("the section has a name");
    let mut changed = bytes.to_vec();
    changed[at + 1] = b'x';
    changed
}
