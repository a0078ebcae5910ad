//! The one door for calls from other servers: one TLS listener, the protocol name picks who serves the call.
//!
//! Outside bytes are held on a short leash: a deadline for the handshake, a number of seats in all and for one address, from
//! which strangers are pushed out by those who come later, and nothing but joining without a certificate of the site.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    identity::{Identity, IdentityError},
    join::JoinService,
    mesh::{self, Mesh},
    net::{self, TcpListener, TcpStream},
    seats::{Seat, Seats},
    sync::publisher::Publisher,
    tls::{self, Caller},
};

/// A flood of calls is told this often at most.
const TELL: Duration = Duration::from_secs(10);

/// The door.
#[derive(Debug)]
pub struct ListenerConfig {
    /// Where it listens; already bound.
    pub listener: net::Bound,
    /// Key and certificate to show.
    pub identity: Arc<Identity>,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// Connections from one address at most. Beyond it the oldest stranger of that address gives way.
    pub per_address: usize,
    /// Connections at most. Beyond it the oldest stranger gives way.
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
            seats: Seats::new(config.per_address, config.total),
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
    seats: Arc<Seats>,
    stop: CancellationToken,
}

impl Door {
    async fn take_calls(self: Arc<Self>, listener: TcpListener) {
        let mut told: Option<Instant> = None;
        while let Some(call) = self.stop.run_until_cancelled(listener.accept()).await {
            match call {
                Ok((stream, from)) => {
                    let seat = self.seats.take(from.ip());
                    if told.is_none_or(|told| told.elapsed() >= TELL) {
                        let gave_way = self.seats.gave_way();
                        if gave_way > 0 || seat.is_none() {
                            tracing::warn!(%from, gave_way, "more calls than seats: strangers give way to later ones");
                            told = Some(Instant::now());
                        }
                    }
                    let Some(seat) = seat else { continue };
                    let door = self.clone();
                    tokio::spawn(async move {
                        tokio::select! {
                            () = door.stop.cancelled() => {}
                            () = seat.left() => {}
                            () = door.serve(stream, from, &seat) => {}
                        }
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

    async fn serve(&self, stream: TcpStream, from: SocketAddr, seat: &Seat) {
        let shake = tokio::time::timeout(self.handshake, self.acceptor.accept(stream)).await;
        let stream = match shake {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%from, %error, "handshake failed"),
            Err(_) => return tracing::debug!(%from, "handshake not finished in time"),
        };
        let session = stream.get_ref().1;
        let caller = Caller::of(session.peer_certificates());
        if caller.is_some() && !seat.keep() {
            return;
        }
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
