//! Runs the tests of tests/browser: the pages in Debian's chromium, driven by Node.
//!
//! Without chromium, Node 20 or the two development packages it says SKIPPED; with `ONEALERT_REQUIRE_PEERS=1` that is a
//! failure, and the packages are fetched as the lock file names them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn pages_in_a_real_browser() {
    let required = std::env::var_os("ONEALERT_REQUIRE_PEERS").is_some_and(|value| value == "1");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser");
    let chromium =
        std::env::var_os("ONEALERT_CHROMIUM").map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from);
    if let Some(missing) = missing(&folder, &chromium, required) {
        assert!(!required, "browser tests are required and cannot run: {missing}");
        println!("SKIPPED browser tests: {missing}");
        return;
    }
    let preview = preview();
    let output = Command::new("node")
        .args(["--test", "--test-concurrency=1", "--test-reporter=spec"])
        .current_dir(&folder)
        .env("ONEALERT_PREVIEW", &preview)
        .env("ONEALERT_CHROMIUM", &chromium)
        .output()
        .expect("node was found a moment ago");
    let said = String::from_utf8_lossy(&output.stdout);
    let counted =
        |word: &str| said.lines().find_map(|line| line.split_once(&format!(" {word} "))?.1.trim().parse::<u32>().ok());
    if let (Some(passed), Some(failed)) = (counted("pass"), counted("fail")) {
        // `cargo verify` adds this up.
        println!("browser tests: {passed} passed, {failed} failed");
        assert!(passed + failed > 0, "node found no test in {}", folder.display());
    }
    if !output.status.success() {
        println!("{said}{}", String::from_utf8_lossy(&output.stderr));
        panic!(
            "browser tests failed; run one file with: cd tests/browser && ONEALERT_PREVIEW={} node --test FILE",
            preview.display()
        );
    }
}

/// What is missing, and what to do about it.
fn missing(folder: &Path, chromium: &Path, fetch: bool) -> Option<String> {
    if !chromium.exists() {
        return Some(format!("{} is not there; install Debian's chromium", chromium.display()));
    }
    let version = Command::new("node").arg("--version").output().ok().filter(|output| output.status.success());
    let Some(version) = version else { return Some("node is not there; install Node 20".to_owned()) };
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|text| text.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        return Some(format!("node is {version}; Node 20 or later is needed"));
    }
    if folder.join("node_modules/playwright-core").exists() && folder.join("node_modules/axe-core").exists() {
        return None;
    }
    let what = "the development packages are not there; run npm ci in tests/browser";
    if !fetch {
        return Some(what.to_owned());
    }
    let fetched = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder).output();
    match fetched {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Some(format!("{what}: npm: {error}")),
    }
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
