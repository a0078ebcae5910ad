//! Where a server listens: the sockets, and what its operator is told of them.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use onealert_core::config::Role;
use onealert_peers::Identity;
use onealert_web::ServeConfig;
use tokio::time::{Instant, sleep};

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

/// How long a port that is taken is asked for again. A server that died while it started a worker leaves its sockets to that
/// process until it runs a program of its own, which on a busy machine is a moment after the next start.
const TAKEN: Duration = Duration::from_secs(5);

/// Takes a port, for what is said.
///
/// # Errors
/// It is taken and stays so for some seconds, or is not allowed.
pub async fn bind(address: SocketAddr, what: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    bind_within(address, what, TAKEN).await
}

async fn bind_within(
    address: SocketAddr,
    what: &'static str,
    within: Duration,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let until = Instant::now() + within;
    let mut told = false;
    loop {
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        match bound {
            Ok(bound) => return Ok(bound),
            Err(error) if error.kind() != ErrorKind::AddrInUse => {
                return Err(StartError::Listen { address, what, source: error });
            }
            Err(_) if Instant::now() >= until => return Err(StartError::Taken { address, what }),
            Err(_) => {}
        }
        if !told {
            tracing::warn!("{address} for {what} is taken by another process; asking again for {within:?}");
            told = true;
        }
        sleep(Duration::from_millis(50)).await;
    }
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_port_that_a_dead_server_still_holds_for_a_moment_is_had_when_it_is_free() {
        // An address of this process's own, so that nobody else is given the port in the moment in which it is free.
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let held = TcpListener::bind((Ipv4Addr::new(127, 64 | high, middle, low), 0)).expect("a port");
        let address = held.local_addr().expect("bound");
        let asking = tokio::spawn(bind(address, "the other servers"));
        // There is one thread: the other task has been refused and waits when this one goes on.
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(asking.await.expect("no panic").expect("it is free").1, address);
    }

    #[tokio::test]
    async fn a_port_that_another_program_keeps_is_refused_with_what_to_do() {
        let held = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = held.local_addr().expect("bound");
        let refused = bind_within(address, "pages", Duration::ZERO).await.expect_err("it is taken").to_string();
        assert_eq!(
            refused,
            format!("cannot listen on {address} for pages: another process does; end it, or change [listen]")
        );
    }
}
