//! The identities of a site with real certificates, and what its servers have in common: for tests outside the crate, and for
//! those inside it that run on a simulated network.

use std::{sync::Arc, time::Duration};

use onealert_core::{
    ids::{Incarnation, ServerId},
    replicate::{SyncAnswer, SyncHello},
};
use onealert_peers::{
    Identity, MeshConfig, PendingIdentity, PublisherHost, Roster, RosterEntry, identity::CheckedRequest,
};
use onealert_store::StoreError;
use tempfile::TempDir;

/// The heartbeat interval, from which the code derives its deadlines.
pub const HEARTBEAT: Duration = Duration::from_millis(250);

/// The identities of one site: the first is the primary's. Server ids count from 1.
pub struct Site {
    pub dirs: Vec<TempDir>,
    pub servers: Vec<Arc<Identity>>,
}

impl Site {
    pub fn of(count: u128) -> Site {
        let dir = TempDir::new().expect("folder");
        let primary = Identity::create_primary(dir.path(), ServerId(1), &[]).expect("site");
        let mut site = Site { dirs: vec![dir], servers: Vec::new() };
        for id in 2..=count {
            let dir = TempDir::new().expect("folder");
            let pending = PendingIdentity::prepare(dir.path()).expect("key");
            let request = CheckedRequest::from_pem(&pending.request().expect("request")).expect("own request");
            let issued = primary.issue(&request, ServerId(id), &[]).expect("issued");
            site.servers.push(Arc::new(pending.complete(&issued).expect("joined")));
            site.dirs.push(dir);
        }
        site.servers.insert(0, Arc::new(primary));
        site
    }

    pub fn entries(&self) -> Vec<RosterEntry> {
        let entry = |identity: &Arc<Identity>| RosterEntry {
            server: identity.server(),
            name: identity.server().to_string(),
            key_sha256: identity.key_sha256().to_owned(),
            deprovisioned: false,
            left_out: false,
        };
        self.servers.iter().map(entry).collect()
    }

    pub fn roster(&self) -> Arc<Roster> {
        Roster::new(self.entries())
    }
}

pub fn mesh_config(identity: &Arc<Identity>, roster: &Arc<Roster>, boot: u64) -> MeshConfig {
    MeshConfig {
        server: identity.server(),
        incarnation: Incarnation(1),
        boot,
        identity: identity.clone(),
        roster: roster.clone(),
        protocol: onealert_peers::mesh::PROTOCOL,
        heartbeat: HEARTBEAT,
    }
}

/// A server from which nobody can follow.
pub struct NotPrimary;

impl PublisherHost for NotPrimary {
    fn answer(&self, _: &SyncHello) -> Result<SyncAnswer, StoreError> {
        Ok(SyncAnswer::NotPrimary)
    }
    fn driver_file(&self, _: &str) -> Option<std::path::PathBuf> {
        None
    }
}
