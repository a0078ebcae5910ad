//! Lets servers join: the primary's judgement, and the rows that make a server one of the installation.

use std::{future::Future, pin::Pin, sync::Arc};

use onealert_core::{
    config::{Change, DEFAULT_GROUP, Role, Server, Table, UserRole},
    ids::{GroupId, UserId},
    life::{Deed, Denial},
    lineage::PrimaryAddress,
    members,
    version::compare,
};
use onealert_peers::join::{Enrol, Enrolled, Enrolment, JoinRefusal};
use onealert_store::{
    StoreError,
    change::{AuditEntry, Commit},
};

use crate::{configuration::ConfigurationError, hub::Hub};

/// The primary's judgement.
pub struct Gate(pub Arc<Hub>);

impl Enrolment for Gate {
    fn enrol(&self, ask: Enrol) -> Pin<Box<dyn Future<Output = Result<Enrolled, JoinRefusal>> + Send + '_>> {
        Box::pin(enrol(&self.0, ask))
    }
}

/// Two that join at one moment are written one after the other; the later one is judged again, this many times at most.
const TURNS: u32 = 10;

async fn enrol(hub: &Hub, ask: Enrol) -> Result<Enrolled, JoinRefusal> {
    let config = hub.config();
    match hub.may(Deed::Enrol) {
        Ok(()) => {}
        Err(Denial::Opening) => return Err(JoinRefusal::Fault(Denial::Opening.to_string())),
        Err(_) => return Err(JoinRefusal::NotPrimary(primary_elsewhere(hub))),
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
    for _ in 0..TURNS {
        match admit(hub, &ask).await {
            Err(Turn::Again) => {}
            Err(Turn::Refused(refusal)) => return Err(refusal),
            Ok(enrolled) => return Ok(enrolled),
        }
    }
    Err(JoinRefusal::Fault("too many servers join at once; repeat the join".to_owned()))
}

/// Where a server that is not the primary sends those who want to join.
fn primary_elsewhere(hub: &Hub) -> Option<String> {
    let followed = hub.lives.followed().map(|followed| followed.primary);
    let named = hub.config().primary().filter(|row| row.id != hub.server).map(Into::into);
    followed.or(named).map(|primary: PrimaryAddress| primary.mesh)
}

enum Turn {
    /// Somebody else changed what this was judged by.
    Again,
    Refused(JoinRefusal),
}

impl From<JoinRefusal> for Turn {
    fn from(refusal: JoinRefusal) -> Turn {
        Turn::Refused(refusal)
    }
}

/// Counts the licence and enrols, in one transaction.
async fn admit(hub: &Hub, ask: &Enrol) -> Result<Enrolled, Turn> {
    let config = hub.config();
    let primary = config.servers.get(&hub.server).cloned();
    let primary = primary.ok_or_else(|| JoinRefusal::Fault("the primary has no row of its own".to_owned()))?;
    let known = config.servers.values().find(|row| row.key_sha256 == ask.key_sha256 && !row.deprovisioned);
    if let Some(known) = known {
        return Ok(Enrolled { server: known.id, primary });
    }
    let limit = hub.licence_limit();
    if !members::has_room(&config, limit) {
        return Err(JoinRefusal::NotLicensed { limit }.into());
    }
    if ask.mesh.parse::<std::net::SocketAddr>().is_err() && !ask.mesh.contains(':') {
        return Err(JoinRefusal::BadRequest(format!("the peer address {:?} is not address:port", ask.mesh)).into());
    }
    let row = Server {
        id: ask.server,
        name: ask.name.clone(),
        role: Role::Secondary,
        mesh: ask.mesh.clone(),
        web: ask.web.clone(),
        key_sha256: ask.key_sha256.clone(),
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
    let entry = AuditEntry {
        who: ask.user.clone(),
        origin: ask.from.to_string(),
        what: format!("joined server {:?}", row.name),
    };
    let commit = Commit::new(crate::clock::wall(), changes)
        .expecting(Table::PriorityGroups, DEFAULT_GROUP, Some(before))
        .audited(entry);
    // Every enrolment changes DEFAULT, so that the room that was counted is the room at the commit.
    match hub.configuration.commit(commit).await {
        Ok(_) => Ok(Enrolled { server: row.id, primary }),
        Err(ConfigurationError::Store(StoreError::Conflict { .. })) => Err(Turn::Again),
        Err(error) => Err(JoinRefusal::Fault(format!("{error}; repeat the join")).into()),
    }
}
