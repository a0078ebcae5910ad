//! The programs under test: built once a process by cargo, in the profile that this program was built in.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The packages that tests run as programs or load as drivers.
const PACKAGES: &[&str] = &["onealert", "plugin-algo", "plugin-cap", "plugin-skeleton"];

/// The server's program.
pub fn onealert() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| folder().join("onealert"))
}

/// A driver's library, by its package's name.
pub fn library(package: &str) -> PathBuf {
    folder().join(format!("lib{}.so", package.replace('-', "_")))
}

/// Where cargo puts what it builds.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut command = Command::new(cargo);
        command.current_dir(&root).args(["build", "--quiet"]);
        for package in PACKAGES {
            command.args(["--package", package]);
        }
        // Optimised tests and benchmarks run optimised servers.
        let optimised = !cfg!(debug_assertions);
        if optimised {
            command.arg("--release");
        }
        let status = command.status().expect("cargo runs, since it built this");
        assert!(status.success(), "the programs under test do not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let folder = target.join(if optimised { "release" } else { "debug" });
        folder.canonicalize().expect("cargo made its folder")
    })
}
