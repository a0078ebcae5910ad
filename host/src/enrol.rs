//! Lets servers join: the primary's judgement, and the rows that make a server one of the installation.

use std::{future::Future, pin::Pin, sync::Arc};

use onealert_core::{
    config::{Change, DEFAULT_GROUP, Role, Server, Table, UserRole},
    ids::{GroupId, UserId},
    version::compare,
};
use onealert_peers::join::{Enrol, Enrolled, Enrolment, JoinRefusal};
use onealert_store::change::{AuditEntry, Commit};

use crate::hub::Hub;

/// The primary's judgement.
pub struct Gate(pub Arc<Hub>);

impl Enrolment for Gate {
    fn enrol(&self, ask: Enrol) -> Pin<Box<dyn Future<Output = Result<Enrolled, JoinRefusal>> + Send + '_>> {
        Box::pin(enrol(&self.0, ask))
    }
}

async fn enrol(hub: &Hub, ask: Enrol) -> Result<Enrolled, JoinRefusal> {
    let config = hub.config();
    if hub.role != Role::Primary {
        return Err(JoinRefusal::NotPrimary(config.primary().map(|row| row.mesh.clone())));
    }
    let user = config.users.get(&UserId(ask.user.trim().to_lowercase()));
    let admin = user.filter(|row| row.active && row.role == UserRole::Admin);
    if !hub.passwords.check(admin.map(|row| row.password_hash.as_str()), &ask.password).await {
        return Err(JoinRefusal::WrongLogin);
    }
    let verdict = compare(&hub.versions(), &ask.versions);
    let differs: Vec<String> = verdict
        .differences
        .iter()
        .filter(|difference| difference.stops_sync)
        .map(|difference| format!("{}: {} here, {} there", difference.what, difference.ours, difference.theirs))
        .collect();
    if !differs.is_empty() {
        return Err(JoinRefusal::Versions(differs.join("; ")));
    }
    let primary = config.servers.get(&hub.server).cloned();
    let primary = primary.ok_or_else(|| JoinRefusal::Fault("the primary has no row of its own".to_owned()))?;
    let known = config.servers.values().find(|row| row.key_sha256 == ask.key_sha256 && !row.deprovisioned);
    if let Some(known) = known {
        return Ok(Enrolled { server: known.id, primary });
    }
    let secondaries = config.servers.values().filter(|row| row.role == Role::Secondary && !row.deprovisioned).count();
    let limit = hub.settings.licence.secondaries;
    if secondaries >= limit as usize {
        return Err(JoinRefusal::NotLicensed { limit });
    }
    if ask.mesh.parse::<std::net::SocketAddr>().is_err() && !ask.mesh.contains(':') {
        return Err(JoinRefusal::BadRequest(format!("the peer address {:?} is not address:port", ask.mesh)));
    }
    let row = Server {
        id: ask.server,
        name: ask.name,
        role: Role::Secondary,
        mesh: ask.mesh,
        web: ask.web,
        key_sha256: ask.key_sha256,
        enrolled: crate::clock::wall(),
        deprovisioned: false,
    };
    let default = config.groups.get(&GroupId::from(DEFAULT_GROUP));
    let mut group = default.cloned().ok_or_else(|| JoinRefusal::Fault("the group DEFAULT is missing".to_owned()))?;
    let before = onealert_core::config::canonical(&group);
    group.servers.push(row.id);
    let changes = vec![
        Change::put(Table::Servers, &row.id.to_string(), &row),
        Change::put(Table::PriorityGroups, DEFAULT_GROUP, &group),
    ];
    let entry =
        AuditEntry { who: ask.user, origin: ask.from.to_string(), what: format!("joined server {:?}", row.name) };
    let commit = Commit::new(crate::clock::wall(), changes)
        .expecting(Table::PriorityGroups, DEFAULT_GROUP, Some(before))
        .audited(entry);
    // Two that join at one moment: the later one is told to repeat, and finds room or not.
    hub.configuration.commit(commit).await.map_err(|error| JoinRefusal::Fault(format!("{error}; repeat the join")))?;
    Ok(Enrolled { server: row.id, primary })
}
