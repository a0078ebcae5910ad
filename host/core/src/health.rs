//! What only a server itself knows of how it is, and tells its peers for their pages. Nothing is decided by it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ids::DriverId, time::Wall};

/// How a server is, by its own account. Part of every sign of life; a server that says nothing of it says the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The space of its data folder, if it could be asked for.
    #[serde(default)]
    pub disk: Option<Disk>,
    /// Its enabled drivers.
    #[serde(default)]
    pub drivers: BTreeMap<DriverId, DriverHealth>,
    /// When its operating system was started, by its clock.
    #[serde(default)]
    pub booted: Option<Wall>,
}

/// The space of a data folder, in whole mebibytes, so that it does not change with every written line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What the server may still write.
    pub free_mib: u64,
    /// The size of the file system.
    pub total_mib: u64,
}

/// How well a driver is on one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverHealth {
    /// How well.
    pub condition: Condition,
    /// The same in words.
    pub text: String,
    /// Since when, by that server's clock.
    #[serde(default)]
    pub since: Option<Wall>,
    /// How often its worker was started again.
    #[serde(default)]
    pub restarts: Option<u32>,
}

/// How well something is. A word that this version does not know reads as `Bad`: somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Well.
    Good,
    /// Works, but somebody should look.
    Warning,
    /// Does not work.
    #[serde(other)]
    Bad,
}
