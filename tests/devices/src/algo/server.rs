//! The device's ports: connections in, requests to the device, faults on the way.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response, body::Incoming as Body, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use super::{
    Logged, Shared,
    config::{AlgoConfig, Garbage, Http},
    device::{Answer, Incoming},
};

/// The open ports and the tasks behind them.
pub(crate) struct Ports {
    pub https: Option<SocketAddr>,
    pub http: Option<SocketAddr>,
    pub tasks: Vec<AbortHandle>,
}

/// What one port does with a request.
#[derive(Clone)]
enum Port {
    Http,
    Https(TlsAcceptor),
    /// Sends everybody to the https port.
    Redirect(Option<SocketAddr>),
}

pub(crate) async fn start(shared: &Arc<Shared>, config: &AlgoConfig) -> io::Result<Ports> {
    let mut ports = Ports { https: None, http: None, tasks: Vec::new() };
    if config.https {
        let listener = TcpListener::bind((config.bind, config.https_port)).await?;
        ports.https = Some(listener.local_addr()?);
        ports.tasks.push(tokio::spawn(serve(shared.clone(), listener, Port::Https(acceptor()))).abort_handle());
    }
    let port = match config.http {
        Http::Off => return Ok(ports),
        Http::On => Port::Http,
        Http::Redirect => Port::Redirect(ports.https),
    };
    let listener = TcpListener::bind((config.bind, config.http_port)).await?;
    ports.http = Some(listener.local_addr()?);
    ports.tasks.push(tokio::spawn(serve(shared.clone(), listener, port)).abort_handle());
    Ok(ports)
}

/// One throw-away certificate for all devices of the process: making a key for each of many would cost more than they do.
fn acceptor() -> TlsAcceptor {
    static CONFIG: OnceLock<Arc<rustls::ServerConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let made =
            rcgen::generate_simple_self_signed(vec!["algo.invalid".to_owned()]).expect("the name is a plain one");
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs offers TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("the key belongs to the certificate");
        Arc::new(config)
    });
    TlsAcceptor::from(config.clone())
}

/// Accepts until aborted; with the device down the port is closed, and opened again at the same address.
async fn serve(shared: Arc<Shared>, listener: TcpListener, port: Port) {
    let mut faults = shared.faults.subscribe();
    let Ok(addr) = listener.local_addr() else { return };
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut outages = 0;
    loop {
        let weather = faults.borrow_and_update().clone();
        if weather.outages != outages {
            outages = weather.outages;
            listener = None;
            connections.shutdown().await;
        }
        if !weather.faults.down && listener.is_none() {
            match TcpListener::bind(addr).await {
                Ok(opened) => listener = Some(opened),
                Err(error) => {
                    tracing::warn!("simulated device: port {addr} cannot be opened again: {error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            }
        }
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = faults.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
            accepted = accept => if let Ok((stream, _)) = accepted {
                connections.spawn(connection(shared.clone(), stream, port.clone()));
            }
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, port: Port) {
    let _ = stream.set_nodelay(true);
    match port.clone() {
        Port::Https(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                speak(shared, stream, port).await;
            }
        }
        Port::Http | Port::Redirect(_) => speak(shared, stream, port).await,
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(shared: Arc<Shared>, mut stream: S, port: Port) {
    if shared.faults().garbage == Some(Garbage::NotHttp) {
        let _ = stream.write_all(b"\x00\xff\x13no protocol at all\r\n\r\n").await;
        return;
    }
    let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
    let service = service_fn(|request| {
        let (shared, port) = (shared.clone(), port.clone());
        async move { Ok::<_, Infallible>(answer(&shared, request, &port, number).await) }
    });
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::trace!("simulated device: connection {number}: {error}");
    }
}

/// Counts a request as open until dropped, whatever becomes of it.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Open<'a> {
        let mut count = shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        count.0 += 1;
        count.1 = count.1.max(count.0);
        Open(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner).0 -= 1;
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Body>, port: &Port, connection: u64) -> Response<Full<Bytes>> {
    let _open = Open::new(shared);
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, 64 << 10).collect().await else {
        return respond(shared, &Answer::refused(413, "body too long"), None);
    };
    let incoming = Incoming {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: body.to_bytes().to_vec(),
    };
    let logged = Logged {
        at: Instant::now(),
        method: incoming.method.clone(),
        path: incoming.path.clone(),
        body: String::from_utf8_lossy(&incoming.body).into_owned(),
        https: matches!(port, Port::Https(_)),
        connection,
        status: 0,
        refusal: String::new(),
    };
    let at = logged.at;
    shared.log().push(logged);
    shared.tell();
    let faults = shared.faults();
    if faults.stall {
        std::future::pending::<()>().await;
    }
    let mut weather = shared.faults.subscribe();
    let held = |weather: &super::Weather| weather.faults.hold.as_deref() == Some(incoming.path.as_str());
    let _ = weather.wait_for(|weather| !held(weather)).await;
    if !faults.delay.is_zero() {
        tokio::time::sleep(faults.delay).await;
    }
    let mut answer = match port {
        Port::Redirect(_) => Answer::refused(307, "http is redirected to https"),
        _ if faults.garbage == Some(Garbage::NotJson) => Answer { body: b"<html>??".to_vec(), ..Answer::done() },
        _ if faults.garbage == Some(Garbage::Endless) => Answer { body: vec![b'['; 2 << 20], ..Answer::done() },
        _ => match faults.status {
            Some(status) => Answer::refused(status, "asked to answer so"),
            None => shared.handle(&incoming),
        },
    };
    // Not there any more if the log was cleared meanwhile.
    if let Some(logged) = shared.log().iter_mut().rfind(|logged| logged.at == at && logged.connection == connection) {
        logged.status = answer.status;
        logged.refusal.clone_from(&answer.refusal);
    }
    shared.tell();
    if let Some(silent) = answer.silent.take() {
        tokio::spawn(silence(shared.clone(), silent));
    }
    let location = match port {
        Port::Redirect(Some(https)) => Some(format!("https://{https}{}", incoming.path)),
        _ => None,
    };
    respond(shared, &answer, location)
}

/// Keeps the ports closed for a while, as during a restart.
async fn silence(shared: Arc<Shared>, time: Duration) {
    // The answer has to leave first.
    tokio::time::sleep(Duration::from_millis(10)).await;
    shared.set_faults(|faults| faults.down = true);
    tokio::time::sleep(time).await;
    shared.set_faults(|faults| faults.down = false);
    shared.tell();
}

fn respond(shared: &Shared, answer: &Answer, location: Option<String>) -> Response<Full<Bytes>> {
    let date = jiff::Timestamp::from_second(shared.device().clock()).unwrap_or_default();
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap_or_default();
    let mut response = Response::builder().status(answer.status).header(header::DATE, date);
    if !answer.body.is_empty() {
        response = response.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(location) = location {
        response = response.header(header::LOCATION, location);
    }
    response.body(Full::new(answer.body.clone().into())).expect("status and headers are plain ones")
}
