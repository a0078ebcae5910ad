//! No crate of the lock file is one of which a security advisory is known, without a network: the advisories are a list of facts in
//! `advisories.toml`.
//!
//! To renew the list, clone the public RustSec advisory database and run
//! `ONEALERT_ADVISORY_DB=FOLDER cargo test -p tidy --test advisories`: the test then reads the database itself, and says what the
//! list lacks, in the form in which it is to be added.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use semver::{Version, VersionReq};
use serde::Deserialize;

/// Advisories that we live with, each with the reason.
const ACCEPTED: &[(&str, &str)] = &[
    (
        "RUSTSEC-2024-0014",
        "generational-arena has no maintainer any more; no fault is known, and the pinned plugin ABI crate needs it",
    ),
    (
        "RUSTSEC-2024-0436",
        "paste has no maintainer any more; it runs while compiling only, for the pinned plugin ABI crate",
    ),
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    of: String,
    patched: Vec<String>,
    unaffected: Vec<String>,
}

impl Advisory {
    fn affects(&self, version: &Version) -> bool {
        let reads =
            |text: &String| VersionReq::parse(text).unwrap_or_else(|error| panic!("{}: `{text}`: {error}", self.id));
        !self.patched.iter().chain(&self.unaffected).any(|good| reads(good).matches(version))
    }
}

/// Other people's crates of the lock file, with the versions of each.
fn locked() -> BTreeMap<String, Vec<Version>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    let lock: toml::Table = fs::read_to_string(file).expect("the lock file").parse().expect("cargo writes TOML");
    let mut all: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for package in
        lock["package"].as_array().expect("packages").iter().filter(|package| package.get("source").is_some())
    {
        let text = |field: &str| package[field].as_str().expect("a text");
        let version = text("version").parse().expect("a version");
        all.entry(text("name").to_owned()).or_default().push(version);
    }
    all
}

#[derive(Deserialize)]
struct List {
    advisory: Vec<Advisory>,
}

fn listed() -> Vec<Advisory> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("advisories.toml");
    let list: List =
        toml::from_str(&fs::read_to_string(file).expect("the list")).expect("the list is as described in it");
    list.advisory
}

/// The advisories of a copy of the database that are about crates of ours and were not taken back.
fn database(folder: &Path, locked: &BTreeMap<String, Vec<Version>>) -> Vec<Advisory> {
    let mut all = Vec::new();
    for name in locked.keys() {
        let Ok(files) = fs::read_dir(folder.join("crates").join(name)) else { continue };
        for file in files.flatten() {
            let text = fs::read_to_string(file.path()).expect("an advisory");
            let front = text.split("```toml").nth(1).and_then(|rest| rest.split("```").next());
            let front: toml::Table = front.expect("an advisory begins with TOML").parse().expect("TOML");
            if front["advisory"].get("withdrawn").is_some() {
                continue;
            }
            let versions = |field: &str| -> Vec<String> {
                let list =
                    front.get("versions").and_then(|versions| versions.get(field)).and_then(toml::Value::as_array);
                list.into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
            };
            all.push(Advisory {
                id: front["advisory"]["id"].as_str().expect("an id").to_owned(),
                of: name.clone(),
                patched: versions("patched"),
                unaffected: versions("unaffected"),
            });
        }
    }
    all
}

#[test]
fn no_crate_has_a_known_security_advisory() {
    let (locked, mut known) = (locked(), listed());
    if let Some(folder) = std::env::var_os("ONEALERT_ADVISORY_DB").map(PathBuf::from) {
        let found = database(&folder, &locked);
        assert!(
            !found.is_empty(),
            "{} holds no advisory about any crate of ours: is it the database?",
            folder.display()
        );
        let mut lacking = String::new();
        for one in found.iter().filter(|one| !known.contains(one)) {
            let Advisory { id, of, patched, unaffected } = one;
            let _ = write!(
                lacking,
                "[[advisory]]\nid = {id:?}\ncrate = {of:?}\npatched = {patched:?}\nunaffected = {unaffected:?}\n\n"
            );
        }
        assert!(lacking.is_empty(), "advisories.toml lacks, or has otherwise:\n\n{lacking}");
        known = found;
    }
    let mut wrong = Vec::new();
    for advisory in &known {
        for version in locked.get(&advisory.of).into_iter().flatten().filter(|version| advisory.affects(version)) {
            if !ACCEPTED.iter().any(|(id, _)| *id == advisory.id) {
                wrong.push(format!("{} {version}: {}, patched in {:?}", advisory.of, advisory.id, advisory.patched));
            }
        }
    }
    assert!(wrong.is_empty(), "crates with known advisories:\n{}", wrong.join("\n"));
}

/// What is accepted is accepted for a reason that still holds: the crate is there, and in such a version.
#[test]
fn nothing_is_accepted_that_need_not_be() {
    let (locked, known) = (locked(), listed());
    for (id, _) in ACCEPTED {
        let advisory = known.iter().find(|advisory| advisory.id == *id).unwrap_or_else(|| panic!("{id} is not listed"));
        let versions = locked.get(&advisory.of).unwrap_or_else(|| panic!("{id}: {} is not used any more", advisory.of));
        assert!(versions.iter().any(|version| advisory.affects(version)), "{id}: {versions:?} are not affected");
    }
}

#[test]
fn an_affected_version_is_told_from_a_patched_one() {
    let advisory = Advisory {
        id: "X".to_owned(),
        of: "x".to_owned(),
        patched: vec![">= 1.2.3, < 2.0.0".to_owned(), ">= 2.0.1".to_owned()],
        unaffected: vec!["< 1.0.0".to_owned()],
    };
    let affected = |version: &str| advisory.affects(&version.parse().expect("a version"));
    assert_eq!(["0.9.0", "1.0.0", "1.2.3", "2.0.0", "2.1.0"].map(affected), [false, true, false, true, false]);
}
