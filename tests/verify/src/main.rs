//! `cargo verify`: everything a change must pass before it lands, in the order in which it fails fastest.
//!
//! Quiet when green: a step prints one line, and what it said only when it failed. The last line counts the tests.

mod report;

use std::{
    env,
    path::Path,
    process::{Command, ExitCode, Output},
    time::Instant,
};

use report::Counts;

/// Debian packages of the programs that tests talk to.
const PACKAGES: &[(&str, &str)] =
    &[("chromium", "chromium"), ("espeak-ng", "espeak-ng"), ("faketime", "faketime"), ("haproxy", "haproxy")];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if let Err(error) = env::set_current_dir(&root) {
        eprintln!("verify: {}: {error}", root.display());
        return ExitCode::FAILURE;
    }
    install_peers();
    fetch_browser_packages();
    let mut counts = Counts::default();
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let steps: &[(&str, &[&str])] = &[
        ("formatting", &["fmt", "--all", "--check"]),
        ("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
        ("documentation", &["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"]),
        ("programs and drivers", &["build", "--workspace", "--quiet"]),
        ("tests", &["test", "--workspace", "--quiet", "--no-fail-fast", "--", "--show-output"]),
    ];
    for (name, arguments) in steps {
        let started = Instant::now();
        let mut command = Command::new(&cargo);
        command.args(*arguments);
        match *name {
            "documentation" => command.env("RUSTDOCFLAGS", "-D warnings"),
            // A panic says where it was; a backtrace through the runtime hides what a test says of its servers.
            "tests" => command.env("RUST_BACKTRACE", "0"),
            _ => &mut command,
        };
        let output = match command.output() {
            Ok(output) => output,
            Err(error) => {
                eprintln!("verify: {cargo} {}: {error}", arguments.join(" "));
                return ExitCode::FAILURE;
            }
        };
        let said = String::from_utf8_lossy(&output.stdout);
        counts.read(&said);
        println!("{:<22} {:>6.1} s  {}", name, started.elapsed().as_secs_f64(), word(&output));
        for line in report::skipped(&said) {
            println!("    {line}");
        }
        if !output.status.success() {
            print_failure(&said, &String::from_utf8_lossy(&output.stderr));
            println!("{} passed, {} failed", counts.passed, counts.failed.max(1));
            return ExitCode::FAILURE;
        }
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    ExitCode::SUCCESS
}

/// What a step said that failed: of tests those that failed, of everything else all.
fn print_failure(said: &str, complained: &str) {
    let failures = report::failures(said);
    if failures.is_empty() {
        print!("{said}");
    }
    print!("{complained}");
    for failure in failures {
        failure.print();
    }
}

fn word(output: &Output) -> &'static str {
    if output.status.success() { "ok" } else { "FAILED" }
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
