//! Opens the connection on which this server speaks to one peer.

use std::{io, time::Duration};

use futures_util::{SinkExt, StreamExt};
use onealert_core::ids::ServerId;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::codec::Framed;

use super::{Hello, PeerAddress, Reply, Shared};
use crate::{
    frame::{self, FrameError, Frames, MESH_LIMIT},
    identity,
    net::{self, TcpStream},
    roster::Admission,
    socket,
    tls::{self, Caller},
};

/// A connection over which this server may speak.
pub(crate) type Connection = Framed<TlsStream<TcpStream>, Frames>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// Nobody listens there: the process is gone.
    #[error("refused")]
    Refused,
    /// The connection was made and then cut, as a dying process does.
    #[error("cut during the handshake: {0}")]
    Cut(io::Error),
    /// One side does not take the other for a peer.
    #[error("{0}")]
    TurnedAway(Admission),
    /// Nothing, or not what was expected, came back.
    #[error("{0}")]
    Silent(String),
}

/// Calls the peer and exchanges hellos. The peer's hello tells in which life it is.
pub(crate) async fn dial(shared: &Shared, peer: &PeerAddress) -> Result<(Connection, Hello), DialError> {
    let limit = shared.config.heartbeat * 4;
    let stream = socket::connect(&peer.address, limit).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused,
        io::ErrorKind::ConnectionReset => DialError::Cut(error),
        _ => DialError::Silent(error.to_string()),
    })?;
    let shake = handshake(shared, peer.id, stream);
    match tokio::time::timeout(limit.max(Duration::from_secs(1)), shake).await {
        Ok(result) => result,
        Err(_) => Err(DialError::Silent("the handshake was not answered".to_owned())),
    }
}

async fn handshake(shared: &Shared, peer: ServerId, stream: TcpStream) -> Result<(Connection, Hello), DialError> {
    let silent = |error: &dyn std::fmt::Display| DialError::Silent(error.to_string());
    net::tune(&stream, shared.config.heartbeat * 8).map_err(DialError::Cut)?;
    let config = tls::caller_config(&shared.config.identity, tls::MESH).map_err(|error| silent(&error))?;
    let stream = TlsConnector::from(config).connect(identity::server_name(peer), stream).await.map_err(by_kind)?;
    let caller =
        Caller::of(stream.get_ref().1.peer_certificates()).ok_or(DialError::TurnedAway(Admission::OtherName))?;
    let mut connection = Framed::new(stream, Frames { limit: MESH_LIMIT });
    connection.send(frame::write(&shared.hello())).await.map_err(by_frame)?;
    let answer = connection.next().await.ok_or_else(|| DialError::Cut(io::ErrorKind::UnexpectedEof.into()))?;
    match frame::read(&answer.map_err(by_frame)?) {
        Ok(Reply::Welcome(hello)) => match shared.judge(&hello, &caller) {
            Admission::Welcome => Ok((connection, hello)),
            reason => Err(DialError::TurnedAway(reason)),
        },
        Ok(Reply::TurnedAway(reason)) => Err(DialError::TurnedAway(reason)),
        Err(_) => Err(DialError::Silent(format!("the answer is not one of mesh protocol {}", shared.config.protocol))),
    }
}

fn by_frame(error: FrameError) -> DialError {
    match error {
        FrameError::Io(error) => by_kind(error),
        FrameError::Cut { .. } => DialError::Cut(io::ErrorKind::UnexpectedEof.into()),
        other => DialError::Silent(other.to_string()),
    }
}

fn by_kind(error: io::Error) -> DialError {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            DialError::Cut(error)
        }
        _ => DialError::Silent(error.to_string()),
    }
}
