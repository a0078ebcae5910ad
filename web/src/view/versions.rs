//! What one server runs and where it stands: what tooling compares before, during and after an upgrade.

use std::collections::BTreeMap;

use onealert_core::{
    config::Role,
    ids::{DriverId, ServerId},
    version::{DriverVersion, VersionSet},
};
use serde::Serialize;

use super::State;

/// The answering server, in the figures that `onealert_core::version::compare` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ServerVersions {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ServerId,
    /// Its display name.
    pub name: String,
    /// Primary or secondary.
    #[schema(value_type = String)]
    pub role: Role,
    /// Product, schema, protocol, platform, plugin contract, and every driver that runs with its version and file.
    #[schema(value_type = Object)]
    pub versions: VersionSet,
    /// Every enabled driver as this server's copy of the configuration names it.
    #[schema(value_type = Object)]
    pub enabled: BTreeMap<DriverId, DriverVersion>,
    /// The generation of its configuration.
    pub epoch: String,
    /// The last change that its copy holds.
    pub position: u64,
    /// How well its copy follows the primary; [`State::Ok`] on the primary.
    pub sync: State,
    /// The same in words, such as why synchronisation has stopped.
    pub sync_text: String,
    /// The other servers of the installation, as its configuration names them.
    pub others: Vec<OtherServer>,
}

/// Another server, and where it can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OtherServer {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ServerId,
    /// Its display name.
    pub name: String,
    /// Primary or secondary.
    #[schema(value_type = String)]
    pub role: Role,
    /// Base URL of its pages; empty when it has none.
    pub web: String,
}
