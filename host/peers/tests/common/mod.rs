//! A site of a few servers with real certificates, for tests over real sockets.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod proxy;
mod site;
pub mod sync;

use std::{net::TcpListener, sync::Arc, time::Duration};

use onealert_core::ids::ServerId;
use onealert_peers::{
    Identity, Listener, ListenerConfig, Mesh, MeshEvent, PeerAddress, Publisher, PublisherConfig, Roster, Services,
    activity::ActivitySink,
};
use onealert_store::{HistoryStore, SqliteStore};
use tempfile::TempDir;
use tokio::sync::mpsc;

pub use site::{HEARTBEAT, NotPrimary, Site, mesh_config};

/// Nothing in these tests takes this long; a condition that is not met by then never will be.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One server with a mesh and a door.
pub struct Node {
    pub id: ServerId,
    pub mesh: Mesh,
    pub events: mpsc::Receiver<MeshEvent>,
    pub listener: Listener,
    pub roster: Arc<Roster>,
    _dir: TempDir,
}

impl Node {
    pub fn start(identity: &Arc<Identity>, roster: Arc<Roster>, boot: u64) -> Node {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Node::on(socket, identity, roster, boot, |_| {})
    }

    pub fn on(
        socket: TcpListener,
        identity: &Arc<Identity>,
        roster: Arc<Roster>,
        boot: u64,
        limits: impl FnOnce(&mut ListenerConfig),
    ) -> Node {
        let (mesh, events) = Mesh::start(mesh_config(identity, &roster, boot)).expect("a usable identity");
        let dir = TempDir::new().expect("folder");
        let store = Arc::new(SqliteStore::open(&dir.path().join("config.db")).expect("store"));
        let history: Arc<dyn ActivitySink> =
            Arc::new(HistoryStore::open(&dir.path().join("history.db")).expect("history"));
        let publisher = Publisher::new(PublisherConfig {
            server: identity.server(),
            roster: roster.clone(),
            store,
            host: Arc::new(NotPrimary),
            activity: history,
            heartbeat: HEARTBEAT,
        });
        let mut config = ListenerConfig::new(socket, identity.clone());
        limits(&mut config);
        let services = Services { mesh: mesh.clone(), publisher, join: None };
        let listener = Listener::start(config, services).expect("a usable identity");
        Node { id: identity.server(), mesh, events, listener, roster, _dir: dir }
    }

    pub fn address(&self) -> PeerAddress {
        PeerAddress { id: self.id, address: self.listener.address().to_string() }
    }

    /// The next event of which `pick` makes something; others are passed over.
    pub async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(MeshEvent) -> Option<T>) -> T {
        let mut passed = Vec::new();
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the mesh runs");
                match pick(event.clone()) {
                    Some(found) => return found,
                    None => passed.push(event),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(found) => found,
            Err(_) => panic!("server {}: {what} did not happen; instead: {passed:#?}", self.id),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.mesh.stop();
    }
}
