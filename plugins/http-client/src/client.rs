//! The client: a request in, an answer or a reason out.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use async_compression::tokio::bufread::GzipDecoder;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Uri,
    header::{self, HeaderName, HeaderValue},
};
use rustls::ClientConfig;
use tokio::{io::AsyncReadExt, time::timeout};

use crate::{
    connect::{self, Connection, Place},
    error::{Cause, HttpError, Step},
    pool::Pool,
    redirect,
    request::{Limits, Request, Response},
    shown::shown,
    trust::Trust,
};

/// How a client behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whom to believe on https.
    pub trust: Trust,
    /// How long an idle connection is kept.
    pub keep_idle: Duration,
    /// How many idle connections are kept to one host and port.
    pub idle_per_host: usize,
}

impl Default for Options {
    /// The system's authorities; 2 idle connections to a host, for 90 s.
    fn default() -> Options {
        Options { trust: Trust::System, keep_idle: Duration::from_secs(90), idle_per_host: 2 }
    }
}

/// An HTTP client; cheap to clone, all clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    /// Made at the first https request: reading the system's authorities takes milliseconds that plain http need not pay.
    tls: OnceLock<Arc<ClientConfig>>,
    pool: Pool,
    started: Instant,
    /// Milliseconds after `started` when the pool was last swept.
    swept: std::sync::atomic::AtomicU64,
}

impl Client {
    /// A client of its own, without connections.
    pub fn new(options: Options) -> Client {
        let pool = Pool::new(options.keep_idle, options.idle_per_host);
        let inner = Inner { options, tls: OnceLock::new(), pool, started: Instant::now(), swept: Default::default() };
        Client { inner: Arc::new(inner) }
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// Dropping the future closes the connection it used.
    ///
    /// # Errors
    /// No whole answer came within the limits: the error names the host, the step and the value.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        self.inner.sweep_sometimes();
        let way = Way::default();
        let deadline = request.limits.deadline;
        match timeout(deadline, self.inner.follow(request, &way)).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::new(way.host(), way.step(), Cause::Deadline(deadline))),
        }
    }
}

/// How far a request has come, readable when its future was given up.
#[derive(Default)]
struct Way {
    step: AtomicU8,
    host: std::sync::Mutex<String>,
}

impl Way {
    const STEPS: [Step; 5] = [Step::Address, Step::Connect, Step::Tls, Step::Send, Step::Answer];

    fn at(&self, step: Step) {
        self.step.store(step as u8, Ordering::Relaxed);
    }
    fn step(&self) -> Step {
        Way::STEPS[usize::from(self.step.load(Ordering::Relaxed))]
    }
    fn visit(&self, host: String) {
        *self.host.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = host;
    }
    fn host(&self) -> String {
        self.host.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
    fn error(&self, cause: Cause) -> HttpError {
        HttpError::new(self.host(), self.step(), cause)
    }
}

impl Inner {
    fn tls(&self) -> Arc<ClientConfig> {
        self.tls.get_or_init(|| Arc::new(self.options.trust.config())).clone()
    }

    fn sweep_sometimes(&self) {
        let now = self.started.elapsed().as_millis() as u64;
        let swept = self.swept.load(Ordering::Relaxed);
        let due = now.saturating_sub(swept) > self.options.keep_idle.as_millis() as u64;
        if due && self.swept.compare_exchange(swept, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.pool.sweep();
        }
    }

    async fn follow(&self, mut request: Request, way: &Way) -> Result<Response, HttpError> {
        let mut followed = 0;
        let mut first_host = None;
        loop {
            way.at(Step::Address);
            way.visit(shown(&request.url));
            let uri: Uri = request.url.parse().map_err(|_| way.error(Cause::BadAddress(shown(&request.url))))?;
            let place = Place::of(&uri).ok_or_else(|| way.error(Cause::BadAddress(shown(&request.url))))?;
            way.visit(place.name());
            let first = first_host.get_or_insert_with(|| place.host.clone());
            let answer = self.exchange(&request, &uri, &place, way).await?;
            match redirect::next(&request, first, followed, answer.status, &answer.headers) {
                Ok(None) => return Ok(answer),
                Ok(Some(next)) => {
                    followed += 1;
                    request = next;
                }
                Err(cause) => return Err(way.error(cause)),
            }
        }
    }

    /// One request and its answer, on a kept connection where there is one.
    async fn exchange(&self, request: &Request, uri: &Uri, place: &Place, way: &Way) -> Result<Response, HttpError> {
        let mut outgoing = Some(build(request, uri, place).map_err(|cause| way.error(cause))?);
        let repeatable = request.limits.resend || matches!(request.method, Method::GET | Method::HEAD);
        // A kept connection may be dead already: each of them is tried at most once, then a fresh one decides.
        loop {
            let kept = self.pool.take(place);
            let reused = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.open(place, &request.limits, way).await.map_err(|cause| way.error(cause))?,
            };
            way.at(Step::Send);
            if let Err(error) = connection.sender.ready().await {
                if reused {
                    continue;
                }
                return Err(way.error(Cause::Protocol(plain(&error))));
            }
            let spare = (reused && repeatable).then(|| outgoing.clone()).flatten();
            let ready = match outgoing.take() {
                Some(ready) => ready,
                None => build(request, uri, place).map_err(|cause| way.error(cause))?,
            };
            way.at(Step::Answer);
            match connection.sender.try_send_request(ready).await {
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    let body = read(&parts.headers, body, request).await.map_err(|cause| way.error(cause))?;
                    let certificate = connection.certificate;
                    self.keep(place, connection, &parts.headers).await;
                    return Ok(Response {
                        status: parts.status.as_u16(),
                        headers: parts.headers,
                        body,
                        url: request.url.clone(),
                        certificate,
                        reused,
                    });
                }
                Err(mut error) => {
                    // With the message handed back not a byte of it was written.
                    outgoing = error.take_message();
                    if outgoing.is_some() {
                        way.at(Step::Send);
                        if reused {
                            continue;
                        }
                    }
                    let error = error.into_error();
                    if reused && (error.is_incomplete_message() || error.is_closed() || is_reset(&error)) {
                        outgoing = spare;
                        if outgoing.is_some() {
                            continue;
                        }
                    }
                    return Err(way.error(Cause::Protocol(plain(&error))));
                }
            }
        }
    }

    async fn open(&self, place: &Place, limits: &Limits, way: &Way) -> Result<Connection, Cause> {
        let opened = connect::open(place, || self.tls(), limits, |step| way.at(step));
        timeout(limits.connect, opened).await.unwrap_or(Err(Cause::Deadline(limits.connect)))
    }

    async fn keep(&self, place: &Place, mut connection: Connection, headers: &HeaderMap) {
        let closes = headers
            .get(header::CONNECTION)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().contains("close"));
        // The connection's task needs a moment to see that the body is over; until then it takes no request.
        if !closes
            && timeout(Duration::from_millis(50), connection.sender.ready()).await.is_ok_and(|ready| ready.is_ok())
        {
            self.pool.give(place.clone(), connection);
        }
    }
}

fn build(request: &Request, uri: &Uri, place: &Place) -> Result<hyper::Request<Full<Bytes>>, Cause> {
    let target = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut built = hyper::Request::builder()
        .method(request.method.clone())
        .uri(target)
        .body(Full::new(request.body.clone()))
        .map_err(|_| Cause::BadAddress(shown(&request.url)))?;
    let headers = built.headers_mut();
    for (name, value) in &request.headers {
        let bad = || Cause::BadHeader(name.clone());
        let name = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
        headers.append(name, HeaderValue::try_from(value.as_str()).map_err(|_| bad())?);
    }
    if !headers.contains_key(header::HOST) {
        let usual = if place.https { 443 } else { 80 };
        let host = uri.host().unwrap_or_default();
        let value = if place.port == usual { host.to_owned() } else { format!("{host}:{}", place.port) };
        headers.insert(header::HOST, HeaderValue::try_from(value).map_err(|_| Cause::BadHeader("Host".to_owned()))?);
    }
    if request.body.is_empty() && matches!(request.method, Method::POST | Method::PUT | Method::PATCH) {
        headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    }
    Ok(built)
}

async fn read(headers: &HeaderMap, body: hyper::body::Incoming, request: &Request) -> Result<Bytes, Cause> {
    let most = request.limits.body_bytes;
    let raw = match Limited::new(body, most).collect().await {
        Ok(raw) => raw.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(Cause::TooLong(most)),
        Err(error) => return Err(Cause::Protocol(error.to_string())),
    };
    let coding =
        headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity").trim();
    if coding.eq_ignore_ascii_case("identity") || raw.is_empty() {
        return Ok(raw);
    }
    if !coding.eq_ignore_ascii_case("gzip") && !coding.eq_ignore_ascii_case("x-gzip") {
        return Err(Cause::BadCompression(format!("`{coding}` was not asked for")));
    }
    let mut decoder = GzipDecoder::new(raw.as_ref());
    decoder.multiple_members(true);
    let mut plain = Vec::new();
    decoder
        .take(most as u64 + 1)
        .read_to_end(&mut plain)
        .await
        .map_err(|error| Cause::BadCompression(error.to_string()))?;
    if plain.len() > most { Err(Cause::TooLong(most)) } else { Ok(plain.into()) }
}

fn is_reset(error: &hyper::Error) -> bool {
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
        matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
    })
}

/// hyper's text with the cause behind it.
fn plain(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
