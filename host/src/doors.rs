//! Where a server listens: the sockets, and what its operator is told of them.

use std::net::{SocketAddr, TcpListener};

use onealert_core::config::Role;
use onealert_peers::Identity;
use onealert_web::ServeConfig;

use crate::{app::StartError, hub::Hub, process};

/// Where a server listens, and what its operator has to know at the start.
#[derive(Debug, Clone)]
pub struct Listening {
    /// For the other servers.
    pub mesh: SocketAddr,
    /// Pages without TLS.
    pub http: Option<SocketAddr>,
    /// Pages with TLS.
    pub https: Option<SocketAddr>,
    /// The site's fingerprint, which a joining server may be given.
    pub fingerprint: String,
    /// The first administrator's password, if it was drawn at this start.
    pub drawn_password: Option<String>,
    /// Primary or secondary.
    pub role: Role,
    /// This server's display name.
    pub name: String,
}

/// Takes a port, for what is said.
///
/// # Errors
/// It is taken, or not allowed.
pub fn bind(address: SocketAddr, what: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|source| StartError::Listen { address, what, source })
}

/// What the pages are served on.
///
/// # Errors
/// The system refuses a socket, or the server's certificate cannot be used.
pub fn pages(
    hub: &Hub,
    http: Option<(TcpListener, SocketAddr)>,
    https: Option<(TcpListener, SocketAddr)>,
    identity: &Identity,
) -> Result<ServeConfig, StartError> {
    let listener = |listener: TcpListener| {
        tokio::net::TcpListener::from_std(listener)
            .map_err(|source| StartError::Io { doing: "listen for pages", source })
    };
    let usual = ServeConfig::default();
    let max_connections = process::connections_within(process::raise_file_limit(), usual.max_connections);
    let allow_http_login = hub.settings.listen.allow_http_login;
    let mut config = ServeConfig { allow_http_login, max_connections, ..usual };
    if let Some((socket, _)) = http {
        config.http.push(listener(socket)?);
    }
    if let Some((socket, _)) = https {
        config.https.push((listener(socket)?, onealert_peers::tls::web_config(identity)?));
    }
    Ok(config)
}
