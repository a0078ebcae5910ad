//! Who is trusted with drivers, as rows of the settings: keys that may sign, files that were pinned, and the signatures of files
//! in use, which so reach every server with the configuration. Each server judges for itself with them.

use onealert_core::{
    config::{Change, Config, Setting, Table},
    ids::DriverId,
    time::Wall,
};
use onealert_drivers::trust::{Pinned, Trust, TrustedKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Before the number of a key.
const KEY: &str = "driver_key:";
/// Before the SHA-256 of a pinned file.
const PIN: &str = "driver_pin:";
/// Before the SHA-256 of a signed file.
const SIGNATURE: &str = "driver_signature:";

/// A key that may sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// As minisign writes it.
    pub key: String,
    /// Whose it is.
    pub name: String,
    /// What it may sign.
    pub prefixes: Vec<String>,
    /// Who trusts it.
    pub by: String,
    /// Since when.
    pub at: Wall,
}

/// A pinned file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The driver that it holds.
    pub driver: DriverId,
    /// Its version.
    pub version: String,
    /// Who pinned it.
    pub by: String,
    /// When.
    pub at: Wall,
}

/// The rows whose names begin so: what stands behind, and the value. One that cannot be read counts as absent.
fn rows<T: DeserializeOwned>(config: &Config, begin: &'static str) -> impl Iterator<Item = (String, T)> {
    let of = config.settings.range(begin.to_owned()..).take_while(move |(name, _)| name.starts_with(begin));
    of.filter_map(move |(name, row)| {
        Some((name[begin.len()..].to_owned(), serde_json::from_value(row.value.clone()).ok()?))
    })
}

/// Keys by their numbers.
pub fn keys(config: &Config) -> impl Iterator<Item = (String, Key)> {
    rows(config, KEY)
}

/// Pins by the checksums of their files.
pub fn pins(config: &Config) -> impl Iterator<Item = (String, Pin)> {
    rows(config, PIN)
}

/// Who is trusted.
pub fn of(config: &Config) -> Trust {
    Trust {
        keys: keys(config).filter_map(|(_, row)| TrustedKey::new(&row.key, row.prefixes).ok()).collect(),
        pinned: pins(config)
            .map(|(sha256, row)| (sha256, Pinned { id: row.driver.to_string(), version: row.version }))
            .collect(),
        signatures: rows(config, SIGNATURE).collect(),
    }
}

fn put<T: Serialize>(begin: &str, id: &str, row: &T) -> Change {
    let name = format!("{begin}{id}");
    let value = serde_json::to_value(row).expect("plain data with text keys");
    Change::put(Table::Settings, &name, &Setting { name: name.clone(), value })
}

/// Trusts a key.
pub fn put_key(id: &str, row: &Key) -> Change {
    put(KEY, id, row)
}

/// Pins a file.
pub fn put_pin(sha256: &str, row: &Pin) -> Change {
    put(PIN, sha256, row)
}

/// Sends the signature of a file with the configuration.
pub fn put_signature(sha256: &str, text: &str) -> Change {
    put(SIGNATURE, sha256, &text)
}

/// Trusts a key no longer.
pub fn delete_key(id: &str) -> Change {
    Change::delete(Table::Settings, &format!("{KEY}{id}"))
}

/// Takes a pin back.
pub fn delete_pin(sha256: &str) -> Change {
    Change::delete(Table::Settings, &format!("{PIN}{sha256}"))
}
