//! Listening: connections in, requests to the routes, and a stop that ends everything in time.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::{body::Incoming, server::conn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::{Service, util::BoxCloneSyncService};

use crate::{
    layers::{self, Body},
    needs::Needs,
    request::Peer,
    site::Site,
};

/// A TLS handshake that is not finished by then is cut.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// An HTTP/2 client is asked this often whether it is there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Where to listen and within which limits.
pub struct ServeConfig {
    /// Listeners that speak plain HTTP.
    pub http: Vec<TcpListener>,
    /// Listeners that speak TLS, and the certificate they show.
    pub https: Vec<(TcpListener, Arc<rustls::ServerConfig>)>,
    /// Whether people may sign in over plain HTTP. Passwords and cookies then cross the network readable.
    pub allow_http_login: bool,
    /// Connections at once, all listeners together.
    pub max_connections: usize,
    /// Connections at once from one address.
    pub max_connections_per_peer: usize,
    /// A client that has not sent its whole header by then is cut; so is one that keeps an idle connection longer.
    pub header_within: Duration,
    /// How long a stop waits for running requests.
    pub stop_within: Duration,
}

impl Default for ServeConfig {
    fn default() -> ServeConfig {
        ServeConfig {
            http: Vec::new(),
            https: Vec::new(),
            allow_http_login: false,
            max_connections: 4096,
            max_connections_per_peer: 512,
            header_within: Duration::from_secs(10),
            stop_within: Duration::from_secs(5),
        }
    }
}

/// Serves pages, API and status URL until `stop` turns true (or its sender is gone), then finishes running requests.
pub async fn serve(needs: Arc<dyn Needs>, config: ServeConfig, stop: watch::Receiver<bool>) {
    let site = Arc::new(Site::new(needs, config.allow_http_login, stop.clone()));
    let door = Door {
        service: layers::service(site),
        all: Arc::new(Semaphore::new(config.max_connections)),
        per_peer: PerPeer { limit: config.max_connections_per_peer, open: Arc::default() },
        header_within: config.header_within,
        stop,
    };
    let plain = config.http.into_iter().map(|listener| (listener, None));
    let tls = config.https.into_iter().map(|(listener, tls)| (listener, Some(acceptor(&tls))));
    // The graceful watchers live apart from each other, so that one listener's stop does not wait for another's clients.
    let loops = plain.chain(tls).map(|(listener, tls)| door.clone().listen(listener, tls, config.stop_within));
    futures_util::future::join_all(loops).await;
}

fn acceptor(config: &Arc<rustls::ServerConfig>) -> TlsAcceptor {
    let mut config = rustls::ServerConfig::clone(config);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

type Handler = BoxCloneSyncService<http::Request<Incoming>, http::Response<Body>, Infallible>;

/// What every connection needs.
#[derive(Clone)]
struct Door {
    service: Handler,
    all: Arc<Semaphore>,
    per_peer: PerPeer,
    header_within: Duration,
    stop: watch::Receiver<bool>,
}

impl Door {
    async fn listen(mut self, listener: TcpListener, tls: Option<TlsAcceptor>, stop_within: Duration) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => break,
                accepted = accept(&listener, &self.all) => accepted,
            };
            let Some((tcp, peer, permit)) = accepted else { continue };
            let Some(place) = self.per_peer.enter(peer.ip()) else {
                tracing::debug!(%peer, "connection refused: too many from this address");
                continue;
            };
            // Small answers and events go out at once.
            let _ = tcp.set_nodelay(true);
            let (door, tls, watcher) = (self.clone(), tls.clone(), graceful.watcher());
            tokio::spawn(async move {
                let _held = (permit, place);
                door.connection(tcp, peer, tls, watcher).await;
            });
        }
        drop(listener);
        if timeout(stop_within, graceful.shutdown()).await.is_err() {
            tracing::info!("some requests did not end within {stop_within:?} of the stop; their connections are cut");
        }
    }

    async fn connection(mut self, tcp: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, watcher: Watcher) {
        let service = WithPeer { inner: self.service.clone(), peer: Peer { addr: peer.ip(), secure: tls.is_some() } };
        let Some(tls) = tls else {
            return http1(tcp, service, watcher, peer, self.header_within).await;
        };
        let handshake = tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => return,
            handshake = timeout(HANDSHAKE_TIME, tls.accept(tcp)) => handshake,
        };
        match handshake {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                http2(stream, service, watcher, peer).await;
            }
            Ok(Ok(stream)) => http1(stream, service, watcher, peer, self.header_within).await,
            // Debug only: a balancer's TLS probe fails its handshake on purpose every two seconds.
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake not finished in time"),
        }
    }
}

/// The next connection, once there is room for it. `None` after a fault that a moment may cure (out of file handles).
async fn accept(listener: &TcpListener, all: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(all).acquire_owned().await.expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((tcp, peer)) => Some((tcp, peer, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn http1<S>(stream: S, service: WithPeer, watcher: Watcher, peer: SocketAddr, header_within: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_within)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    ended(watcher.watch(connection).await, peer);
}

async fn http2<S>(stream: S, service: WithPeer, watcher: Watcher, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    ended(watcher.watch(connection).await, peer);
}

fn ended(result: Result<(), hyper::Error>, peer: SocketAddr) {
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection ended early");
    }
}

/// Gives every request of a connection the address it came from.
#[derive(Clone)]
struct WithPeer {
    inner: Handler,
    peer: Peer,
}

impl Service<http::Request<Incoming>> for WithPeer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = <Handler as Service<http::Request<Incoming>>>::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}

/// How many connections each address has open.
#[derive(Clone)]
struct PerPeer {
    limit: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl PerPeer {
    fn enter(&self, addr: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().expect("no code panics while it holds this lock");
        let count = open.entry(addr).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { open: Arc::clone(&self.open), addr })
    }
}

/// One counted connection; leaving counts it off.
struct Place {
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    addr: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().expect("no code panics while it holds this lock");
        if let Some(count) = open.get_mut(&self.addr) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.addr);
            }
        }
    }
}

/// Binds a listener for [`ServeConfig`].
///
/// # Errors
/// The address cannot be listened on; the message names it.
pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("listen on {addr}: {error}"));
    TcpListener::bind(addr).await.map_err(named)
}
