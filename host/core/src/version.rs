//! What must match between servers, and what is said when it does not (redundancy sheet, section 1; design, D9).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::DriverId;

/// What a server runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSet {
    /// The product.
    pub product: semver::Version,
    /// The form of the configuration tables.
    pub schema: u32,
    /// The mesh protocol; understood one step down and one step up.
    pub protocol: u32,
    /// The platform, such as `x86_64-linux-gnu`.
    pub platform: String,
    /// The plugin contract it offers.
    pub plugin_api: semver::Version,
    /// Every enabled driver, as it is on this server.
    #[serde(default)]
    pub drivers: BTreeMap<DriverId, DriverVersion>,
}

/// A driver as one server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverVersion {
    /// Its version.
    pub version: semver::Version,
    /// SHA-256 of its file, as hexadecimal digits.
    pub sha256: String,
}

/// What a comparison of two servers says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionVerdict {
    /// Every difference, in words that name both sides; empty when they match.
    pub differences: Vec<Difference>,
}

/// One difference between two servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// `product`, `schema`, `protocol`, `platform`, `plugin_api`, or `driver` and its id.
    pub what: String,
    /// This server's value.
    pub ours: String,
    /// The other server's value.
    pub theirs: String,
    /// Whether configuration is not synchronised because of it.
    pub stops_sync: bool,
    /// What to do, for the operator.
    #[serde(default)]
    pub advice: String,
}

/// What differs between this server and another, and what to do about it.
pub fn compare(ours: &VersionSet, theirs: &VersionSet) -> VersionVerdict {
    let mut differences = Vec::new();
    let mut note = |what: &str, ours: String, theirs: String, stops_sync: bool, advice: &str| {
        if ours != theirs {
            differences.push(Difference { what: what.to_owned(), ours, theirs, stops_sync, advice: advice.to_owned() });
        }
    };
    note(
        "product",
        ours.product.to_string(),
        theirs.product.to_string(),
        true,
        "install the same version on both, the primary first",
    );
    VersionVerdict { differences }
}
