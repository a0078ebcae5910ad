//! `cargo verify`: everything a change must pass before it lands, in the order in which it fails fastest.
//!
//! Quiet when green: a step prints one line, and what it said only when it failed. The last line counts the tests.

mod report;
mod targets;

use std::{
    env,
    path::Path,
    process::{Command, ExitCode, Output},
    time::Instant,
};

use report::Counts;
use targets::Run;

/// Debian packages of the programs that tests talk to.
const PACKAGES: &[(&str, &str)] =
    &[("chromium", "chromium"), ("espeak-ng", "espeak-ng"), ("faketime", "faketime"), ("haproxy", "haproxy")];

/// What cargo does before any test runs; those that build test programs say which.
///
/// One package stands apart: its simulated network asks for a tokio whose clock a test can turn. Built with it, everything else
/// would be compiled twice, with that clock for the tests and without it as it is installed.
const STEPS: &[(&str, &[&str])] = &[
    ("formatting", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--exclude", APART, "--all-targets", "--quiet", "--", "-D", "warnings"]),
    ("lints apart", &["clippy", "--package", APART, "--all-targets", "--quiet", "--", "-D", "warnings"]),
    ("documentation", &["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"]),
    ("programs and drivers", &["build", "--workspace", "--quiet"]),
    (
        "test programs",
        &["test", "--workspace", "--exclude", APART, "--no-run", "--quiet", "--message-format", MESSAGES],
    ),
    ("test programs apart", &["test", "--package", APART, "--no-run", "--quiet", "--message-format", MESSAGES]),
];
const DOC_TESTS: &[&str] = &["test", "--workspace", "--exclude", APART, "--doc", "--quiet", "--no-fail-fast"];
const APART: &str = "onealert-peers";
const MESSAGES: &str = "json-render-diagnostics";
/// Where the whole output of every test program is kept.
const OUTPUT: &str = "target/verify";

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if let Err(error) = env::set_current_dir(&root) {
        eprintln!("verify: {}: {error}", root.display());
        return ExitCode::FAILURE;
    }
    install_peers();
    fetch_browser_packages();
    match verify() {
        Ok(counts) => {
            println!("{} passed, {} failed", counts.passed, counts.failed);
            ExitCode::SUCCESS
        }
        Err(counts) => {
            println!("{} passed, {} failed", counts.passed, counts.failed.max(1));
            ExitCode::FAILURE
        }
    }
}

/// All of it; what the tests counted, as an error where something failed. That was printed then.
fn verify() -> Result<Counts, Counts> {
    let mut messages = String::new();
    for (name, arguments) in STEPS {
        let started = Instant::now();
        let output = cargo(arguments).map_err(|error| {
            println!("{error}");
            Counts::default()
        })?;
        print_step(name, started, output.status.success());
        messages.push_str(&String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            print!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            return Err(Counts::default());
        }
    }
    tests(&messages)
}

/// The tests of all programs, then those in the documentation.
fn tests(messages: &str) -> Result<Counts, Counts> {
    // What the build wrote goes to the disk first: servers whose disk is busy with it for seconds are rightly replaced.
    let _ = Command::new("sync").status();
    let mut counts = Counts::default();
    let started = Instant::now();
    let mut runs = targets::run(targets::built(messages), Path::new(OUTPUT));
    print_step("tests", started, runs.iter().all(|run| run.failure.is_none()));
    let started = Instant::now();
    let documented = match cargo(DOC_TESTS) {
        Ok(output) => {
            let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
            let failure = (!output.status.success()).then(|| format!("cargo {}", DOC_TESTS.join(" ")));
            Run { said, failure }
        }
        Err(error) => Run { said: String::new(), failure: Some(error) },
    };
    print_step("tests in documentation", started, documented.failure.is_none());
    runs.push(documented);
    for run in &runs {
        counts.read(&run.said);
        for line in report::skipped(&run.said) {
            println!("    {line}");
        }
    }
    let failed: Vec<(&Run, &String)> = runs.iter().filter_map(|run| Some((run, run.failure.as_ref()?))).collect();
    if failed.is_empty() {
        return Ok(counts);
    }
    for (_, failure) in &failed {
        println!("failed: {failure}");
    }
    println!("all that the tests said is kept in {OUTPUT}");
    for (run, failure) in failed {
        report::print_failures(failure, &run.said);
    }
    Err(counts)
}

fn cargo(arguments: &[&str]) -> Result<Output, String> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(&cargo);
    command.args(arguments).env("RUST_BACKTRACE", "0");
    if arguments[0] == "doc" {
        command.env("RUSTDOCFLAGS", "-D warnings");
    }
    command.output().map_err(|error| format!("{cargo} {}: {error}", arguments.join(" ")))
}

fn print_step(name: &str, started: Instant, well: bool) {
    println!("{:<22} {:>6.1} s  {}", name, started.elapsed().as_secs_f64(), if well { "ok" } else { "FAILED" });
}

/// Installs the programs that tests talk to, where this user may; elsewhere the tests say that they skip.
fn install_peers() {
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(_, program)| !on_path(program)).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return;
    }
    let runs = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive").output();
        output.is_ok_and(|output| output.status.success())
    };
    let sudo: &[&str] = match (runs("test", &["-w", "/var/lib/dpkg"]), runs("sudo", &["-n", "true"])) {
        (true, _) => &[],
        (false, true) => &["sudo", "-n"],
        (false, false) => {
            println!(
                "not installed, and this user may not install: {}; tests that need them are skipped",
                missing.join(" ")
            );
            return;
        }
    };
    let as_root = |arguments: &[&str]| {
        let all: Vec<&str> = sudo.iter().chain(arguments).copied().collect();
        runs(all[0], &all[1..])
    };
    let installed = as_root(&["apt-get", "update", "-qq"])
        && as_root(&[&["apt-get", "install", "-y", "-qq", "--no-install-recommends"], missing.as_slice()].concat());
    let state = if installed { "installed" } else { "could not be installed; tests that need them are skipped" };
    println!("{}: {state}", missing.join(" "));
}

/// Fetches the packages of the browser tests, as their lock file names them, where node is and they are not; where that does not
/// work the tests say that they skip, and why.
fn fetch_browser_packages() {
    let folder = Path::new("tests/browser");
    let changed = |file: &str| std::fs::metadata(folder.join(file)).and_then(|found| found.modified()).ok();
    // npm writes the second file when it has finished.
    let current = changed("node_modules/.package-lock.json") >= changed("package-lock.json");
    if current || !on_path("node") || !on_path("npm") {
        return;
    }
    let output = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder).output();
    match output {
        Ok(output) if output.status.success() => println!("packages of the browser tests: fetched"),
        Ok(output) => {
            println!("packages of the browser tests: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Err(error) => println!("packages of the browser tests: npm: {error}"),
    }
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).exists()))
}
