//! Runs tests of `tests/browser` in Debian's chromium, driven by Node. The tests of `web` include this file by its path: they
//! are built without a server.
//!
//! Without chromium, Node 20 or the two development packages it says SKIPPED; with `ONEALERT_REQUIRE_PEERS=1` that is a
//! failure, and the packages are fetched as the lock file names them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The folder of the tests.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|it| it.join("tests/browser"))
        .find(|it| it.is_dir())
        .expect("the tests lie in the project's folder")
}

/// Runs these files, or every one that is named like a test; `environment` is theirs. Gives whether they were run.
///
/// # Panics
/// One of them fails.
pub fn run(files: &[&str], environment: &[(&str, &str)]) -> bool {
    let folder = folder();
    let chromium =
        std::env::var_os("ONEALERT_CHROMIUM").map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from);
    let required = std::env::var_os("ONEALERT_REQUIRE_PEERS").is_some_and(|value| value == "1");
    if let Some(missing) = missing(&folder, &chromium, required) {
        assert!(!required, "browser tests are required and cannot run: {missing}");
        println!("SKIPPED browser tests: {missing}");
        return false;
    }
    let output = Command::new("node")
        .args(["--test", "--test-concurrency=1", "--test-reporter=spec"])
        .args(files)
        .current_dir(&folder)
        .env("ONEALERT_CHROMIUM", &chromium)
        .envs(environment.iter().copied())
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
        let set: Vec<String> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        panic!("browser tests failed; run one file with: cd tests/browser && {} node --test FILE", set.join(" "));
    }
    true
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
