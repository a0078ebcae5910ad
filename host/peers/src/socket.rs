//! Calls to other servers.

use std::{io, net::SocketAddr, time::Duration};

use crate::net::TcpStream;

/// Opens a connection to `address:port`, within `limit`.
///
/// # Errors
/// `ConnectionRefused`: nobody listens there. `TimedOut`: nobody answered. Others as the system says.
pub async fn connect(address: &str, limit: Duration) -> io::Result<TcpStream> {
    let attempt = async {
        match address.parse::<SocketAddr>() {
            // No name lookup for what is an address: a stuck resolver must not delay it.
            Ok(address) => TcpStream::connect(address).await,
            Err(_) => TcpStream::connect(address).await,
        }
    };
    let stream = tokio::time::timeout(limit, attempt).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(stream)
}
