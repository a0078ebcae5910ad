//! The one door for calls from other servers: one TLS listener, the protocol name picks who serves the call.
//!
//! Outside bytes are held on a short leash: a deadline for the handshake, a cap on connections in all and from one address,
//! and nothing but joining without a certificate of the site.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    identity::{Identity, IdentityError},
    join::JoinService,
    mesh::{self, Mesh},
    net::{self, TcpListener, TcpStream},
    sync::publisher::Publisher,
    tls::{self, Caller},
};

/// The door.
#[derive(Debug)]
pub struct ListenerConfig {
    /// Where it listens; already bound.
    pub listener: net::Bound,
    /// Key and certificate to show.
    pub identity: Arc<Identity>,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// Connections from one address at most.
    pub per_address: usize,
    /// Connections at most.
    pub total: usize,
}

impl ListenerConfig {
    /// The usual limits.
    pub fn new(listener: net::Bound, identity: Arc<Identity>) -> ListenerConfig {
        ListenerConfig { listener, identity, handshake: Duration::from_secs(5), per_address: 64, total: 1024 }
    }
}

/// Who serves which protocol.
#[derive(Debug, Clone)]
pub struct Services {
    /// Heartbeats and activations.
    pub mesh: Mesh,
    /// Configuration, records and files. Every server has one: a secondary's answers that it is not the primary.
    pub publisher: Publisher,
    /// Servers that want to join. `None`: refused.
    pub join: Option<JoinService>,
}

/// The running door; closed by [`Listener::stop`].
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Listener {
    /// Starts to take calls. Must be called within the runtime.
    ///
    /// # Errors
    /// The identity cannot be used for TLS, or the socket not for the runtime.
    pub fn start(config: ListenerConfig, services: Services) -> Result<Listener, IdentityError> {
        let acceptor = TlsAcceptor::from(tls::listener_config(&config.identity)?);
        let socket = |error: io::Error| tls::refused("listen for peers", &error);
        let listener = net::listen(config.listener).map_err(socket)?;
        let address = listener.local_addr().map_err(socket)?;
        let stop = CancellationToken::new();
        let door = Arc::new(Door {
            acceptor,
            services,
            handshake: config.handshake,
            count: Count { per_address: config.per_address, total: config.total, held: Mutex::default() },
            stop: stop.clone(),
        });
        tokio::spawn(door.take_calls(listener));
        Ok(Listener { address, stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the door and every connection that came through it.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Door {
    acceptor: TlsAcceptor,
    services: Services,
    handshake: Duration,
    count: Count,
    stop: CancellationToken,
}

impl Door {
    async fn take_calls(self: Arc<Self>, listener: TcpListener) {
        while let Some(call) = self.stop.run_until_cancelled(listener.accept()).await {
            match call {
                Ok((stream, from)) => {
                    let Some(seat) = self.count.seat(&self, from.ip()) else {
                        tracing::warn!(%from, "too many connections; the call is dropped");
                        continue;
                    };
                    tokio::spawn(async move {
                        let door = seat.door.clone();
                        door.stop.run_until_cancelled(door.serve(stream, from)).await;
                        drop(seat);
                    });
                }
                Err(error) => {
                    // No descriptors left, or a call that was gone before it was taken.
                    tracing::warn!(%error, "a call could not be taken");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn serve(&self, stream: TcpStream, from: SocketAddr) {
        let shake = tokio::time::timeout(self.handshake, self.acceptor.accept(stream)).await;
        let stream = match shake {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%from, %error, "handshake failed"),
            Err(_) => return tracing::debug!(%from, "handshake not finished in time"),
        };
        let session = stream.get_ref().1;
        let caller = Caller::of(session.peer_certificates());
        match (session.alpn_protocol(), caller) {
            (Some(tls::MESH), Some(caller)) => mesh::inbound::serve(self.services.mesh.shared(), caller, stream).await,
            (Some(tls::SYNC), Some(caller)) => self.services.publisher.serve(caller, stream).await,
            (Some(tls::JOIN), _) => match &self.services.join {
                Some(join) => join.serve(stream, from).await,
                None => tracing::warn!(%from, "a server wants to join, but this is not the primary"),
            },
            (protocol, caller) => {
                let protocol = protocol.map(String::from_utf8_lossy);
                tracing::warn!(%from, ?protocol, certificate = caller.is_some(), "refused a call: wrong protocol or no certificate");
            }
        }
    }
}

/// How many connections are open, in all and by address.
struct Count {
    per_address: usize,
    total: usize,
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place in the count.
struct Seat {
    door: Arc<Door>,
    address: IpAddr,
}

impl Count {
    fn seat(&self, door: &Arc<Door>, address: IpAddr) -> Option<Seat> {
        let mut held = self.held.lock().expect("no panic while the count is held");
        let total: usize = held.values().sum();
        let here = held.get(&address).copied().unwrap_or(0);
        if total >= self.total || here >= self.per_address {
            return None;
        }
        held.insert(address, here + 1);
        Some(Seat { door: door.clone(), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut held = self.door.count.held.lock().expect("no panic while the count is held");
        match held.get_mut(&self.address) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(held.remove(&self.address)),
        }
    }
}
