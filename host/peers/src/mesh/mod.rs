//! Heartbeats and activations: every server calls every other and speaks on the connection that it opened.
//!
//! [`link`] keeps one peer's connection and says what is seen of it, [`dial`] opens one, [`inbound`] reads what a peer
//! says, [`outbox`] holds what waits to be said. A peer that is slow, stuck or gone holds up no other: each has its own
//! task, its own connection and its own bounded queue.

pub mod dial;
pub mod inbound;
pub mod link;
pub mod outbox;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use onealert_core::{
    event::LinkSeen,
    ids::{Incarnation, ServerId},
    peer_message::PeerMessage,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    frame,
    identity::{Identity, IdentityError},
    roster::{Admission, Roster},
};

/// The mesh protocol, understood one step down and one step up.
pub const PROTOCOL: u32 = 1;

/// What the mesh needs to know of its own server.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// This server.
    pub server: ServerId,
    /// Which life of its data folder.
    pub incarnation: Incarnation,
    /// A number that differs whenever the process is started again.
    pub boot: u64,
    /// Its key and certificate.
    pub identity: Arc<Identity>,
    /// Who may speak.
    pub roster: Arc<Roster>,
    /// The mesh protocol that this server speaks, [`PROTOCOL`] but in tests of upgrades.
    pub protocol: u32,
    /// The heartbeat interval; every other time is derived from it.
    pub heartbeat: Duration,
}

/// Where a peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Which server.
    pub id: ServerId,
    /// `address:port`.
    pub address: String,
}

/// What the mesh tells the host.
#[derive(Debug, Clone, PartialEq)]
pub enum MeshEvent {
    /// A peer says something.
    Message {
        /// Who.
        from: ServerId,
        /// What.
        message: PeerMessage,
        /// When it was read from the socket, by this server's clock, microseconds since 1970.
        arrived_us: i64,
    },
    /// What is seen of a peer changed.
    Link {
        /// Which peer.
        peer: ServerId,
        /// What is seen.
        seen: LinkSeen,
    },
    /// This server and a peer do not take each other for peers. Told when the reason changes, and again now and then while it
    /// lasts: what it means depends on what this server knows at the time.
    TurnedAway {
        /// Which peer.
        peer: ServerId,
        /// Why.
        reason: Admission,
        /// It was told before.
        again: bool,
    },
}

/// The first frame in each direction: who speaks, and in which life.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub server: ServerId,
    pub incarnation: Incarnation,
    pub boot: u64,
    pub protocol: u32,
}

/// What the called side answers to a hello.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Welcome(Hello),
    TurnedAway(Admission),
}

/// The connections to all peers. Cheap to clone; the last clone's drop does not end it, [`Mesh::stop`] does.
#[derive(Debug, Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub config: MeshConfig,
    pub events: mpsc::Sender<MeshEvent>,
    peers: Mutex<BTreeMap<ServerId, link::Handle>>,
    connections: AtomicU64,
    unknown: AtomicU64,
    stop: CancellationToken,
}

impl Mesh {
    /// Starts without peers. Events must be taken promptly: when they are not, peers are read no further.
    ///
    /// # Errors
    /// The identity cannot be used for TLS.
    pub fn start(config: MeshConfig) -> Result<(Mesh, mpsc::Receiver<MeshEvent>), IdentityError> {
        // Fails at the start rather than at each call.
        crate::tls::caller_config(&config.identity, crate::tls::MESH)?;
        let (events, receiver) = mpsc::channel(1024);
        let shared = Arc::new(Shared {
            config,
            events,
            peers: Mutex::default(),
            connections: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            stop: CancellationToken::new(),
        });
        Ok((Mesh { shared }, receiver))
    }

    /// Says who the other servers are and where. Links to those that are missing are closed; a changed address is called
    /// at once. Must be called within the runtime.
    pub fn set_peers(&self, peers: Vec<PeerAddress>) {
        let mut held = self.shared.peers.lock().expect("no panic while peers are held");
        held.retain(|id, handle| {
            let stays = peers.iter().any(|peer| peer.id == *id && peer.address == handle.address());
            if !stays {
                handle.stop();
            }
            stays
        });
        for peer in peers {
            if peer.id != self.shared.config.server && !self.shared.stop.is_cancelled() {
                let shared = &self.shared;
                held.entry(peer.id).or_insert_with(|| link::start(shared.clone(), peer, shared.stop.child_token()));
            }
        }
    }

    /// Hands a message to the peer's queue if a connection stands, otherwise drops it. Never waits. When the queue is full
    /// a heartbeat is dropped; for anything else the link is closed, since messages are joins that are pushed again.
    pub fn send(&self, to: ServerId, message: &PeerMessage) {
        let outbox = {
            let held = self.shared.peers.lock().expect("no panic while peers are held");
            held.get(&to).map(|handle| handle.outbox.clone())
        };
        // Only a standing link is worth the work of writing the message.
        if let Some(outbox) = outbox.filter(|outbox| outbox.is_open()) {
            let heartbeat = matches!(message, PeerMessage::Heartbeat(_));
            outbox.push(frame::write(message), heartbeat);
        }
    }

    /// How many messages came that this version does not know.
    pub fn unknown_messages(&self) -> u64 {
        self.shared.unknown.load(Ordering::Relaxed)
    }

    /// Closes every link.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    pub(crate) fn hello(&self) -> Hello {
        let MeshConfig { server, incarnation, boot, protocol, .. } = self.config;
        Hello { server, incarnation, boot, protocol }
    }
    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }
    pub(crate) fn count_unknown(&self) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
    }
    pub(crate) fn notes_of(&self, peer: ServerId) -> Option<mpsc::Sender<link::Note>> {
        self.peers.lock().expect("no panic while peers are held").get(&peer).map(|handle| handle.notes.clone())
    }
    /// A hello from a version that is more than one step away cannot be understood safely.
    pub(crate) fn judge(&self, hello: &Hello, caller: &crate::tls::Caller) -> Admission {
        if hello.server != caller.server {
            return Admission::OtherName;
        }
        match self.config.roster.judge_peer(caller.server, &caller.key_sha256) {
            Admission::Welcome if hello.protocol.abs_diff(self.config.protocol) > 1 => Admission::Protocol,
            verdict => verdict,
        }
    }
}
