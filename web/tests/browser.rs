//! The pages in Debian's chromium, with an installation that exists in memory only.

#[path = "../../tests/harness/src/browser.rs"]
mod browser;

use std::{path::PathBuf, process::Command};

#[test]
fn pages_in_a_real_browser() {
    browser::run(&[], &[("ONEALERT_PREVIEW", &preview().display().to_string())]);
}

/// The preview server, built by the same cargo.
fn preview() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "onealert-web", "--example", "preview"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs this test");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let test = std::env::current_exe().expect("a test knows its path");
    let folder = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps");
    folder.join("examples/preview")
}
