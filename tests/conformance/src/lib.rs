//! What the conformance tests share: driver libraries and the worker as files, and bytes that were changed on purpose.

pub mod signer;
pub mod site;

pub use onealert_drivers::files::sha256;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use object::{Object, ObjectSection};

/// The folder into which this test program's own build puts programs and libraries.
pub fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let own = std::env::current_exe().expect("a program knows its own file");
        let profile = own.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
        profile.to_owned()
    })
}

/// Builds these packages' libraries once a test program and gives their files.
pub fn library(package: &str) -> PathBuf {
    static BUILD: OnceLock<()> = OnceLock::new();
    BUILD.get_or_init(|| build(&["plugin-skeleton", "faulty"]));
    built().join(format!("lib{}.so", package.replace('-', "_")))
}

/// Builds packages of the workspace into the folder of this test program.
pub fn build(packages: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--lib"]);
    if built().ends_with("release") {
        cargo.arg("--release");
    }
    for package in packages {
        cargo.args(["-p", package]);
    }
    // With the harness, because of the features that it asks for, as the harness itself builds: a library that is built with
    // others takes the place of the one that another test is reading.
    cargo.args(["-p", "harness"]);
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "cargo build of {packages:?}: {status}");
}

/// A library's bytes with its manifest changed. The new text must be as long as the old one.
///
/// # Panics
/// The old text is not there, or the lengths differ.
pub fn with_manifest(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    assert_eq!(old.len(), new.len(), "the section keeps its length");
    let file = object::File::parse(bytes).expect("a library");
    let section = file.section_by_name(onealert_plugin_api::manifest::SECTION).expect("a manifest");
    let (start, length) = section.file_range().expect("the section is in the file");
    let range = start as usize..(start + length) as usize;
    let manifest = std::str::from_utf8(&bytes[range.clone()]).expect("a manifest is text");
    assert!(manifest.contains(old), "{old} is not in {manifest}");
    let mut changed = bytes.to_vec();
    changed[range].copy_from_slice(manifest.replacen(old, new, 1).as_bytes());
    changed
}

/// The worker's program and its first arguments.
pub fn worker() -> (PathBuf, Vec<String>) {
    (built().join("conformance-worker"), Vec::new())
}
