//! TCP sockets as the peers need them: no delay, and dead links noticed.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

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

/// Small messages leave at once, and a link on which nothing is acknowledged for `silence` is given up.
///
/// # Errors
/// The system refuses an option.
pub fn tune(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_user_timeout(Some(silence))?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(silence.max(Duration::from_secs(1)))
        .with_interval(Duration::from_secs(1))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)
}
