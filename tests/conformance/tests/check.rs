//! `driver check` as a vendor runs it: on the skeleton, on drivers that are wrong, and on every driver of this repository.


use conformance::{library, worker};
use onealert_drivers::check::{self, Finding};

#[tokio::test(flavor = "multi_thread")]
async fn the_skeleton_passes_the_highest_level() {
    let report = check::run(&library("plugin-skeleton"), None, 3, worker()).await;
    assert!(report.passed(), "{}", report.text());
    let skipped: Vec<_> = report.checks.iter().filter(|check| matches!(check.finding, Finding::Skip(_))).collect();
    assert!(skipped.is_empty(), "the template lets every check be made: {}", report.text());
    assert_eq!(report.exit_code(), 0);
}
