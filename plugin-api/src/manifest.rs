//! Who a driver is, readable without running its code.

use serde::{Deserialize, Serialize};

/// The manifest, as it stands in the library's section [`SECTION`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Form of the manifest itself; this crate writes and reads 1.
    pub format: u32,
    /// Reverse-DNS id, never reused.
    pub id: String,
    /// Who makes it.
    pub vendor: String,
    /// Name for people.
    pub name: String,
    /// The driver's version.
    pub version: semver::Version,
    /// The lowest plugin API that the driver needs, such as `1.0`; read as `^1.0`.
    pub api: String,
}

/// The ELF section that holds the manifest.
pub const SECTION: &str = ".plugin.manifest";

/// The form of the manifest that this crate writes and reads.
pub const FORMAT: u32 = 1;

/// The plugin API that this crate offers.
pub const API: semver::Version = semver::Version::new(1, 0, 0);
