//! What is each server's own: changed on every server, a secondary too, and never copied to another.

use serde::{Deserialize, Serialize};

/// The settings that are this server's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalSettings {
    /// Multicast IP Address: where this server sends audio for endpoints that listen to the server's own address. Empty: to
    /// none.
    pub multicast_address: String,
    /// Network Interface Select: the address of the interface that multicast leaves by, or `auto` for the default route's.
    pub network_interface: String,
}

/// The same with what there is to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct LocalSettingsView {
    /// What counts at present.
    pub settings: LocalSettings,
    /// The addresses of this machine.
    pub interfaces: Vec<InterfaceChoice>,
}

/// An address that multicast can leave from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InterfaceChoice {
    /// The interface's name.
    pub name: String,
    /// Its IPv4 address.
    pub address: String,
}
