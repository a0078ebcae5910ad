//! What this server runs and where its copy stands, for tooling that compares servers.

use onealert_core::version::DriverVersion;
use onealert_web::needs::{OtherServer, ServerVersions};

use crate::hub::Hub;

/// From memory, without waiting for anything.
pub(super) fn versions(hub: &Hub) -> ServerVersions {
    let (config, position) = (hub.config(), hub.configuration.now().position);
    let sync = hub.sync_state.borrow().clone();
    let enabled = config
        .drivers
        .values()
        .filter(|row| row.enabled)
        .map(|row| (row.id.clone(), DriverVersion { version: row.version.clone(), sha256: row.sha256.clone() }));
    let others = config.servers.values().filter(|row| row.id != hub.server && !row.deprovisioned);
    ServerVersions {
        id: hub.server,
        name: config.servers.get(&hub.server).map_or_else(|| hub.settings.name.clone(), |row| row.name.clone()),
        role: hub.place().role,
        versions: hub.versions(),
        enabled: enabled.collect(),
        epoch: position.epoch.to_string(),
        position: position.lsn,
        sync: sync.state,
        sync_text: sync.text,
        others: others
            .map(|row| OtherServer { id: row.id, name: row.name.clone(), role: row.role, web: row.web.clone() })
            .collect(),
    }
}
