//! The house rules: arrows between rooms, where the plugin ABI may be named, licences, sizes, leftovers.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project's folder")
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .current_dir(root())
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

/// Files that git tracks, or would: what an editor or a build leaves behind is not part of the house.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let root = root();
    let output = Command::new("git")
        .current_dir(&root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()
        .expect("git runs");
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted = |name: &&str| endings.iter().any(|ending| name.ends_with(ending));
    listed.lines().filter(wanted).map(|name| root.join(name)).filter(|path| path.is_file()).collect()
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Which rooms of the workspace a room may use. The manifest itself then proves, for one, that decisions do no IO.
#[test]
fn no_room_uses_another_against_the_arrows() {
    let core = "onealert-core";
    let api = "onealert-plugin-api";
    let allowed: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        (core, vec![]),
        (api, vec![]),
        ("http-client", vec![]),
        ("onealert-store", vec![core]),
        ("onealert-media", vec![core]),
        ("onealert-web", vec![core]),
        ("onealert-peers", vec![core, "onealert-store"]),
        ("onealert-drivers", vec![api]),
        (
            "onealert",
            vec![core, api, "onealert-store", "onealert-media", "onealert-web", "onealert-peers", "onealert-drivers"],
        ),
        // The HTTP client is a leaf that knows nothing of the workspace; a second one would be a second TLS judgement.
        ("onealert-installer", vec![core, "http-client"]),
        ("plugin-skeleton", vec![api]),
        ("plugin-algo", vec![api, "http-client"]),
        ("plugin-cap", vec![api, "http-client"]),
    ]);
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let members: BTreeSet<&str> = packages
        .iter()
        .filter(|package| package["source"].is_null())
        .filter_map(|package| package["name"].as_str())
        .collect();
    let mut wrong = Vec::new();
    for package in packages.iter().filter(|package| package["source"].is_null()) {
        let name = package["name"].as_str().expect("a name");
        let manifest = package["manifest_path"].as_str().expect("a path");
        if Path::new(manifest).starts_with(root().join("tests")) {
            continue;
        }
        let Some(may) = allowed.get(name) else {
            wrong.push(format!("{name} is not in the list of rooms; add it with what it may use"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let used = dependency["name"].as_str().expect("a name");
            let for_tests = dependency["kind"] == "dev";
            if members.contains(used) && !may.contains(&used) && !for_tests {
                wrong.push(format!("{name} uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the arrows of ARCHITECTURE.md:\n{}", wrong.join("\n"));
}

/// A decision that reads a socket, a file or a random number cannot be replayed. Clocks and hash maps are banned by
/// `host/core/clippy.toml`, which knows them under any name; whole modules it cannot ban.
#[test]
fn core_has_no_runtime_socket_file_thread_or_chance() {
    let banned = ["std::thread", "std::net::Tcp", "std::net::Udp", "std::fs", "tokio", "getrandom"];
    let mut wrong = Vec::new();
    for path in files(&[".rs"]).into_iter().filter(|path| path.starts_with(root().join("host/core/src"))) {
        let text = fs::read_to_string(&path).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = banned.iter().find(|word| code.contains(*word)) {
                wrong.push(format!("{}:{}: {word}", short(&path), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "the core decides and does nothing else:\n{}", wrong.join("\n"));
}

/// The ABI crate is unmaintained; it must be possible to leave it by changing two files.
#[test]
fn the_plugin_abi_is_named_in_two_files_only() {
    let allowed = ["plugin-api/src/abi.rs", "host/drivers/src/load.rs"];
    let naming: Vec<String> = files(&[".rs"])
        .into_iter()
        .filter(|path| {
            let text = fs::read_to_string(path).expect("a source file");
            text.lines().any(|line| line.split("//").next().unwrap_or_default().contains("abi_stable::"))
        })
        .map(|path| short(&path))
        .filter(|path| !allowed.contains(&path.as_str()) && !path.starts_with("tests/tidy"))
        .collect();
    assert!(naming.is_empty(), "abi_stable is named in {naming:?}; only {allowed:?} may");
}

/// Leftovers must not land; neither must paths of the machine on which something was written.
#[test]
fn no_leftovers() {
    let markers = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("/", "work/main"),
    ];
    let mut wrong = Vec::new();
    for path in files(&[".rs", ".md", ".toml", ".html", ".css", ".js", ".sh"]) {
        let text = fs::read_to_string(&path).expect("a text file");
        for (number, line) in text.lines().enumerate() {
            if let Some(marker) = markers.iter().find(|marker| line.contains(*marker)) {
                wrong.push(format!("{}:{}: {marker}", short(&path), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "finish these or take them out:\n{}", wrong.join("\n"));
}

/// A file that opens without saying what it is for is a file that nobody finds.
#[test]
fn every_source_file_opens_by_saying_what_it_is_for() {
    let mute: Vec<String> = files(&[".rs"])
        .into_iter()
        .filter(|path| {
            let text = fs::read_to_string(path).expect("a source file");
            !text.trim_start().starts_with("//!")
        })
        .map(|path| short(&path))
        .collect();
    assert!(mute.is_empty(), "these say nothing in their first line:\n{}", mute.join("\n"));
}

/// A file beyond this size holds more than one idea.
#[test]
fn no_source_file_swallows_everything() {
    const MOST: usize = 700;
    let long: Vec<String> = files(&[".rs"])
        .into_iter()
        .map(|path| (fs::read_to_string(&path).expect("a source file").lines().count(), path))
        .filter(|(lines, _)| *lines > MOST)
        .map(|(lines, path)| format!("{} has {lines} lines", short(&path)))
        .collect();
    assert!(long.is_empty(), "split these (at most {MOST} lines):\n{}", long.join("\n"));
}

/// Licences that may be part of a product that is sold.
const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "0BSD",
    "Unlicense",
    "CC0-1.0",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "OpenSSL",
    "MIT-0",
    "NCSA",
    "Apache-2.0 WITH LLVM-exception",
    "LicenseRef-OneAlert",
];

/// Crates under other terms, each with the reason why that is acceptable.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "generational-arena",
    "MPL-2.0",
    "linked unchanged, by the plugin ABI crate; its own files stay under its terms",
)];

/// Works without a network: the licence texts stand in the crates' own manifests.
#[test]
fn every_crate_has_a_licence_that_may_be_sold() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let licence = package["license"].as_str().unwrap_or_default();
        let fits = tidy::licence_fits(licence, LICENCES);
        let excepted = EXCEPTIONS.iter().any(|(known, terms, _)| *known == name && *terms == licence);
        if !fits && !excepted {
            wrong.push(format!("{name} {}: {licence:?}", package["version"]));
        }
    }
    assert!(wrong.is_empty(), "licences that are not on the list:\n{}", wrong.join("\n"));
}

/// Crates that must not come in by any way, each with the reason.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "needs headers on the user's machine; rustls does it"),
    ("ring", "a second crypto provider makes rustls panic at start; aws-lc-rs is the one"),
    ("native-tls", "needs the system's TLS library; rustls does it"),
];

#[test]
fn no_banned_crate_and_no_more_crates_than_the_plan_allows() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none", "--no-dedupe"])
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .args([
            "-p",
            "onealert",
            "-p",
            "plugin-algo",
            "-p",
            "plugin-cap",
            "-p",
            "plugin-skeleton",
            "-p",
            "onealert-installer",
        ])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let crates: BTreeSet<(&str, &str)> = text
        .lines()
        // The project's own rooms, which cargo shows with their folder, are not what the plan limits.
        .filter(|line| !line.contains("(/"))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect();
    for (name, reason) in BANNED {
        assert!(!crates.iter().any(|(found, _)| found == name), "{name} is banned: {reason}");
    }
    assert!(crates.len() <= 260, "the default build has {} packages, the plan allows 260", crates.len());
}
