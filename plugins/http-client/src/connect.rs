//! From an address to an open HTTP/1.1 connection.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    error::{Cause, Step},
    request::Limits,
    trust::{Fingerprint, NotPinned},
};

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub https: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
}

impl Place {
    /// Of an absolute address; `None` unless it is http or https with a host.
    pub(crate) fn of(uri: &hyper::Uri) -> Option<Place> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        (!host.is_empty()).then_some(Place { https, host, port })
    }

    /// `host:port`, as it appears in messages.
    pub(crate) fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// An open connection, ready for one request at a time.
pub(crate) struct Connection {
    pub sender: SendRequest<Full<Bytes>>,
    pub certificate: Option<Fingerprint>,
}

/// Longest time for one of several addresses of a name, so that a dead first one does not use up the deadline.
const ONE_ADDRESS: Duration = Duration::from_secs(2);

/// Opens a connection. `at` is told how far it came.
pub(crate) async fn open(
    place: &Place,
    tls: impl FnOnce() -> Arc<ClientConfig>,
    limits: &Limits,
    at: impl Fn(Step),
) -> Result<Connection, Cause> {
    at(Step::Connect);
    let stream = dial(place, limits).await?;
    if !place.https {
        return Ok(Connection { sender: handshake(stream).await?, certificate: None });
    }
    at(Step::Tls);
    let name = ServerName::try_from(place.host.clone())
        .map_err(|_| Cause::Tls(format!("`{}` is not a host name", place.host)))?;
    let stream = TlsConnector::from(tls()).connect(name, stream).await.map_err(tls_cause)?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|shown| Fingerprint::of(shown));
    Ok(Connection { sender: handshake(stream).await?, certificate })
}

async fn dial(place: &Place, limits: &Limits) -> Result<TcpStream, Cause> {
    let found: Vec<SocketAddr> = lookup_host((place.host.as_str(), place.port)).await.map_err(io_cause)?.collect();
    let several = found.len() > 1;
    let most = limits.connect.min(limits.deadline);
    let mut last = Cause::Io(format!("name `{}` has no address", place.host));
    for addr in found {
        let time = if several { ONE_ADDRESS.min(most / 2) } else { most };
        match timeout(time, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => {
                // Requests are one small write each: waiting for more to send would only delay them.
                stream.set_nodelay(true).map_err(io_cause)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = io_cause(error),
            Err(_) => last = Cause::Deadline(time),
        }
    }
    Err(last)
}

async fn handshake<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Cause>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(64 << 10)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Cause::Protocol(error.to_string()))?;
    tokio::spawn(async move {
        // The request that is under way gets the error itself; one on an idle connection interests nobody.
        if let Err(error) = connection.await {
            tracing::trace!("connection ended: {error}");
        }
    });
    Ok(sender)
}

fn io_cause(error: io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::Refused,
        _ => Cause::Io(error.to_string()),
    }
}

fn tls_cause(error: io::Error) -> Cause {
    let mut inner: Option<&(dyn std::error::Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(found) = inner {
        if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) = found.downcast_ref()
            && let Some(pin) = other.0.downcast_ref::<NotPinned>()
        {
            return Cause::WrongCertificate { found: pin.found.to_string(), wanted: pin.wanted.to_string() };
        }
        inner = found.source();
    }
    Cause::Tls(error.to_string())
}
