//! The programs under test: each built once a process by cargo, in the profile that this program was built in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// The server's program.
pub fn onealert() -> PathBuf {
    folder_of("onealert").join("onealert")
}

/// The program that compares and upgrades servers.
pub fn installer() -> PathBuf {
    folder_of("onealert-installer").join("onealert-installer")
}

/// A driver's library, by its package's name.
pub fn library(package: &str) -> PathBuf {
    folder_of(package).join(format!("lib{}.so", package.replace('-', "_")))
}

/// Builds a package, once a process; gives the folder in which its result lies.
fn folder_of(package: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    // Held while cargo runs: tests that need the same package wait for it.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(package.to_owned()).or_insert_with(|| build(package)).clone()
}

fn build(package: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    // With the harness itself, because of the features that it asks for: see its Cargo.toml.
    command.current_dir(&root).args(["build", "--quiet", "--package", package, "--package", env!("CARGO_PKG_NAME")]);
    // Optimised tests and benchmarks run optimised servers.
    let optimised = !cfg!(debug_assertions);
    if optimised {
        command.arg("--release");
    }
    let status = command.status().expect("cargo runs, since it built this");
    assert!(status.success(), "{package} does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join(if optimised { "release" } else { "debug" });
    folder.canonicalize().expect("cargo made its folder")
}
