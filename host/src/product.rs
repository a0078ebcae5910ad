//! Which product this is. A release build says what it was built as, and nothing else.
//!
//! Debug builds have a door for tests of upgrades: `ONEALERT_PRETEND_VERSION` is the product version and
//! `ONEALERT_PRETEND_PROTOCOL` and `ONEALERT_PRETEND_SYNC_PROTOCOL` the protocols that the server shows to others. All are compiled out of release builds, so
//! that no environment can make a server that is in use lie about what it runs.

use onealert_core::version::VersionSet;

/// This product's version, as other servers, pages and tooling are told.
pub fn version() -> semver::Version {
    pretended("ONEALERT_PRETEND_VERSION")
        .unwrap_or_else(|| env!("CARGO_PKG_VERSION").parse().expect("cargo gives a semantic version"))
}

/// The mesh protocol that this server speaks.
pub fn protocol() -> u32 {
    pretended("ONEALERT_PRETEND_PROTOCOL").unwrap_or(onealert_peers::mesh::PROTOCOL)
}

/// The synchronisation protocol that this server speaks.
pub fn sync_protocol() -> u32 {
    pretended("ONEALERT_PRETEND_SYNC_PROTOCOL").unwrap_or(onealert_peers::sync::PROTOCOL)
}

/// What this build is, without drivers.
pub fn versions() -> VersionSet {
    VersionSet {
        product: version(),
        schema: onealert_store::sqlite::SCHEMA,
        protocol: protocol(),
        platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        plugin_api: onealert_plugin_api::manifest::API,
        drivers: Default::default(),
    }
}

#[cfg(debug_assertions)]
fn pretended<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

#[cfg(not(debug_assertions))]
fn pretended<T>(_variable: &str) -> Option<T> {
    None
}
