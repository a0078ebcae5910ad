//! Which TCP the servers speak over, and how its sockets are set: the system's. In this crate's own unit tests it is a simulated
//! one, so that cuts, silence and slowness come when a test says so and not when the machine is busy (`simulated`).

pub use system::{Bound, TcpListener, TcpStream, listen, tune};

#[cfg(not(test))]
mod system {
    use std::{io, time::Duration};

    pub use tokio::net::{TcpListener, TcpStream};

    /// A socket that is bound already.
    pub type Bound = std::net::TcpListener;

    /// Takes calls on a bound socket.
    ///
    /// # Errors
    /// The system refuses.
    pub fn listen(bound: Bound) -> io::Result<TcpListener> {
        bound.set_nonblocking(true)?;
        TcpListener::from_std(bound)
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
}

#[cfg(test)]
mod system {
    use std::{io, time::Duration};

    pub use turmoil::net::{TcpListener, TcpStream};

    pub struct Bound(pub TcpListener);

    impl std::fmt::Debug for Bound {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a simulated listener")
        }
    }

    pub fn listen(bound: Bound) -> io::Result<TcpListener> {
        Ok(bound.0)
    }

    /// The simulation has no kernel that gives a dead link up: what the crate's own deadlines do is seen alone.
    pub fn tune(stream: &TcpStream, _silence: Duration) -> io::Result<()> {
        stream.set_nodelay(true)
    }
}
