//! Who is trusted with drivers: keys that may sign their files, and files that were pinned.

use onealert_core::{ids::DriverId, time::Wall};
use serde::{Deserialize, Serialize};

/// A key that may sign driver files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DriverKey {
    /// Its number, as minisign prints it.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// What it may sign: ids, or beginnings of ids with a dot at their end.
    pub prefixes: Vec<String>,
    /// Who trusts it: login name.
    pub by: String,
    /// Since when.
    #[schema(value_type = i64)]
    pub at: Wall,
}

/// A file that may run although no trusted key signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DriverPin {
    /// SHA-256 of the file.
    pub sha256: String,
    /// The driver that it holds.
    #[schema(value_type = String)]
    pub driver: DriverId,
    /// Its version.
    pub version: String,
    /// Who pinned it: login name.
    pub by: String,
    /// When.
    #[schema(value_type = i64)]
    pub at: Wall,
}

/// A key to be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDriverKey {
    /// Whose it is.
    pub name: String,
    /// The public key as minisign writes it.
    pub key: String,
    /// What it may sign: ids, or beginnings of ids such as `com.algo.*`.
    pub prefixes: Vec<String>,
}

/// A file by its checksum.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DriverFile {
    /// SHA-256 of a file in the driver folder.
    pub sha256: String,
}

/// A change of who is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustChange {
    /// Trusts a key. Wrong values are 422 at their names.
    AddKey(NewDriverKey),
    /// Trusts the key of this number no longer. 409 while an enabled driver rests on it.
    RemoveKey(String),
    /// Lets this file of the driver folder run. 422 at `/sha256` when there is no such file.
    Pin(DriverFile),
    /// No longer. 409 while an enabled driver rests on it.
    Unpin(String),
}
