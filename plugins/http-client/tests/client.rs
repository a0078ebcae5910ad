//! The client against a small server that does exactly what each test says.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_compression::tokio::write::GzipEncoder;
use http_client::{Cause, Client, Fingerprint, Limits, Method, Options, Redirects, Request, Step, Trust};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
};
use tokio_rustls::TlsAcceptor;

#[tokio::test]
async fn a_request_goes_out_as_it_was_given_and_nothing_is_added_but_host_and_length() {
    let server = Server::start(|_, _| Reply::close("200 OK", "", b"fine")).await;
    let mut request =
        Request::new(Method::POST, server.url("/a/b?c=%20d")).header("X-First", "1").header("x-first", "2");
    request.body = "hello".into();
    let answer = client().send(request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"fine"[..]));
    let seen = server.requests().remove(0);
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<String> = head.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.remove(0), "post /a/b?c=%20d http/1.1");
    lines.sort();
    let host = format!("host: {}", server.addr);
    assert_eq!(lines, ["content-length: 5", &host, "x-first: 1", "x-first: 2"]);
    assert_eq!(body, "hello");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Server::start(|_, _| Reply::keep("200 OK", "", b"ok")).await;
    let client = client();
    for reused in [false, true, true] {
        assert_eq!(client.send(Request::get(server.url("/"))).await.unwrap().reused, reused);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_closes_when_asked_is_replaced_where_that_is_allowed() {
    // Each connection answers one request properly and drops the second unanswered.
    let server =
        Server::start(|_, count| if count == 1 { Reply::keep("200 OK", "", b"ok") } else { Reply::drop() }).await;
    let client = client();
    let post = |resend| {
        let limits = Limits { resend, ..Limits::default() };
        Request::new(Method::POST, server.url("/")).limits(limits)
    };
    client.send(post(false)).await.unwrap();
    let error = client.send(post(false)).await.unwrap_err();
    assert_eq!(error.step, Step::Answer, "it may have been acted on: {error}");
    client.send(post(false)).await.unwrap();
    assert!(!client.send(post(true)).await.unwrap().reused, "sent again on a fresh connection");
    client.send(Request::get(server.url("/"))).await.expect("a GET may always be sent again");
}

#[tokio::test]
async fn errors_name_host_step_and_value() {
    // Held and not listened at: nobody else is given the port meanwhile.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let closed = nobody.local_addr().unwrap();
    let error = client().send(Request::get(format!("http://{closed}/"))).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{closed}: connect: connection refused"));
    assert!(error.was_not_sent());

    for bad in ["", "ftp://host/", "http://", "/path", "http://a b/"] {
        let error = client().send(Request::get(bad)).await.unwrap_err();
        assert_eq!((error.step, &error.cause), (Step::Address, &Cause::BadAddress(bad.to_owned())));
    }
    let error = client().send(Request::get("http://127.0.0.1:1/").header("X\n", "1")).await.unwrap_err();
    assert_eq!(error.cause, Cause::BadHeader("X\n".to_owned()));

    let plain = Server::start(|_, _| Reply::close("200 OK", "", b"")).await;
    let soon = Limits { connect: Duration::from_secs(2), ..Limits::default() };
    let error = client().send(Request::get(format!("https://{}/", plain.addr)).limits(soon)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{}: tls: no answer within 2000 ms", plain.addr));
    assert!(error.was_not_sent());

    let garbage = Server::start(|_, _| Reply::raw(b"\x00\xffno protocol\r\n\r\n")).await;
    let error = client().send(Request::get(garbage.url("/"))).await.unwrap_err();
    assert_eq!(error.step, Step::Answer, "{error}");
    assert!(!error.was_not_sent());
}

#[tokio::test]
async fn one_deadline_holds_for_everything() {
    let limits = Limits { deadline: Duration::from_secs(1), ..Limits::default() };
    for reply in [Reply::stall(b""), Reply::stall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let mut tries = 0;
        let error = loop {
            let began = Instant::now();
            let error = client().send(Request::get(server.url("/")).limits(limits.clone())).await.unwrap_err();
            assert!(began.elapsed() < Duration::from_secs(60));
            tries += 1;
            // A machine that stands still uses up the time before the question has left, though not every time.
            if error.step == Step::Answer || tries == 10 {
                break error;
            }
        };
        assert_eq!((error.step, error.cause), (Step::Answer, Cause::Deadline(limits.deadline)));
    }
}

#[tokio::test]
async fn bodies_are_bounded_after_decompression() {
    let plain = vec![b'x'; 100_000];
    let packed = gzip(&plain).await;
    assert!(packed.len() < 1000, "a small answer that grows");
    let header = "Content-Encoding: gzip\r\n";
    let server = Server::start(move |_, _| Reply::keep("200 OK", header, &packed)).await;
    let ask = |body_bytes| {
        let request = Request::get(server.url("/")).header("Accept-Encoding", "gzip");
        request.limits(Limits { body_bytes, ..Limits::default() })
    };
    let client = client();
    assert_eq!(client.send(ask(100_000)).await.unwrap().body, plain);
    assert_eq!(client.send(ask(99_999)).await.unwrap_err().cause, Cause::TooLong(99_999));

    let server = Server::start(move |_, _| Reply::keep("200 OK", "", &plain)).await;
    let short = Request::get(server.url("/")).limits(Limits { body_bytes: 1000, ..Limits::default() });
    assert_eq!(client.send(short).await.unwrap_err().cause, Cause::TooLong(1000));

    let server = Server::start(move |_, _| Reply::keep("200 OK", header, b"not gzip")).await;
    let error = client.send(Request::get(server.url("/"))).await.unwrap_err();
    assert!(matches!(error.cause, Cause::BadCompression(_)), "{error}");
}

#[tokio::test]
async fn redirects_are_given_back_unless_asked_to_be_followed() {
    let to = Server::start(|_, _| Reply::keep("200 OK", "", b"there")).await;
    let location = format!("Location: {}\r\n", to.url("/there"));
    let from = Server::start(move |_, _| Reply::keep("302 Found", &location, b"")).await;
    let client = client();
    assert_eq!(client.send(Request::get(from.url("/"))).await.unwrap().status, 302);
    let follow = |https_only| Limits {
        redirects: Redirects::Follow { max: 1, https_only, hosts: Some([].into()) },
        ..Limits::default()
    };
    let request = Request::get(from.url("/")).header("Authorization", "secret");
    let answer = client.send(request.clone().limits(follow(false))).await.unwrap();
    assert_eq!((answer.status, answer.url), (200, to.url("/there")));
    assert!(!to.requests()[0].to_ascii_lowercase().contains("secret"), "another port is another party");
    let error = client.send(request.limits(follow(true))).await.unwrap_err();
    assert!(error.to_string().contains("only https"), "{error}");

    let round = Server::start(|_, _| Reply::keep("302 Found", "Location: /again\r\n", b"")).await;
    let error = client.send(Request::get(round.url("/")).limits(follow(false))).await.unwrap_err();
    assert!(error.to_string().contains("more than 1 redirects"), "{error}");
}

#[tokio::test]
async fn https_believes_the_system_a_fingerprint_or_anybody() {
    let server = Server::start_tls(|_, _| Reply::keep("200 OK", "", b"secret")).await;
    let ask = async |trust: Trust| {
        Client::new(Options { trust, ..Options::default() }).send(Request::get(server.url("/"))).await
    };
    let stranger = ask(Trust::System).await.unwrap_err();
    assert_eq!(stranger.step, Step::Tls, "{stranger}");
    let shown = ask(Trust::Anybody).await.unwrap().certificate.expect("https shows one");
    assert_eq!(ask(Trust::Pinned(shown)).await.unwrap().body, "secret");
    let error = ask(Trust::Pinned(Fingerprint([7; 32]))).await.unwrap_err();
    let wanted = "07".repeat(32);
    assert_eq!(error.cause, Cause::WrongCertificate { found: shown.to_string(), wanted });
}

#[tokio::test]
async fn an_authority_vouches_for_what_it_signed_and_for_nothing_that_is_only_shown_with_it() {
    let authority = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        let certificate = params.self_signed(&key).unwrap();
        (certificate.der().clone(), rcgen::Issuer::new(params, key))
    };
    let leaf = |issuer: &rcgen::Issuer<'static, rcgen::KeyPair>| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["server.invalid".to_owned()]).unwrap();
        (params.signed_by(&key, issuer).unwrap().der().clone(), key)
    };
    // Both authorities bear one name, so that the signature alone tells them apart.
    let ((site, ours), (_, theirs)) = (authority("Site"), authority("Site"));
    let believed = Trust::Authority(Fingerprint::of(&site));
    for (issuer, is_believed) in [(&ours, true), (&theirs, false)] {
        let (certificate, key) = leaf(issuer);
        let chain = vec![certificate, site.clone()];
        let server = Server::start_with(chain, &key, |_, _| Reply::keep("200 OK", "", b"secret")).await;
        let options = Options { trust: believed.clone(), ..Options::default() };
        let answer = Client::new(options).send(Request::get(server.url("/"))).await;
        assert_eq!(answer.is_ok(), is_believed, "{answer:?}");
        assert!(is_believed || server.requests().is_empty(), "nothing is said to a stranger");
    }
    let (certificate, key) = leaf(&ours);
    let server = Server::start_with(vec![certificate, site.clone()], &key, |_, _| Reply::drop()).await;
    let other = Options { trust: Trust::Authority(Fingerprint([7; 32])), ..Options::default() };
    let error = Client::new(other).send(Request::get(server.url("/"))).await.unwrap_err();
    let (found, wanted) = (Fingerprint::of(&site).to_string(), "07".repeat(32));
    assert_eq!(error.cause, Cause::WrongCertificate { found, wanted });
}

#[test]
fn fingerprints_are_read_as_browsers_print_them() {
    let whole = "ab".repeat(32);
    let with_colons = ["AB"; 32].join(":");
    assert_eq!(whole.parse::<Fingerprint>(), Ok(Fingerprint([0xab; 32])));
    assert_eq!(with_colons.parse::<Fingerprint>(), Ok(Fingerprint([0xab; 32])));
    assert_eq!(whole.parse::<Fingerprint>().unwrap().to_string(), whole);
    for bad in ["", "ab", &whole[1..], &format!("{whole}a"), &whole.replace('b', "g")] {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
}

fn client() -> Client {
    Client::new(Options::default())
}

async fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(plain).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

/// What the server does with a request: bytes to write, then keep the connection, close it, or do nothing more.
#[derive(Clone)]
struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    Keep,
    Close,
    Stall,
}

impl Reply {
    fn keep(status: &str, headers: &str, body: &[u8]) -> Reply {
        let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend(body);
        Reply { bytes, then: Then::Keep }
    }
    fn close(status: &str, headers: &str, body: &[u8]) -> Reply {
        Reply { then: Then::Close, ..Reply::keep(status, &format!("{headers}Connection: close\r\n"), body) }
    }
    fn raw(bytes: &[u8]) -> Reply {
        Reply { bytes: bytes.to_vec(), then: Then::Close }
    }
    fn drop() -> Reply {
        Reply::raw(b"")
    }
    fn stall(bytes: &[u8]) -> Reply {
        Reply { bytes: bytes.to_vec(), then: Then::Stall }
    }
}

struct Server {
    addr: SocketAddr,
    https: bool,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    requests: std::sync::Mutex<Vec<String>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// `reply` is given the request and its number on this connection, counted from 1.
    async fn start(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Server {
        Server::listen(reply, None).await
    }

    async fn start_tls(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Server {
        let made = rcgen::generate_simple_self_signed(vec!["device.invalid".to_owned()]).unwrap();
        Server::start_with(vec![made.cert.der().clone()], &made.signing_key, reply).await
    }

    async fn start_with(
        chain: Vec<rustls::pki_types::CertificateDer<'static>>,
        key: &rcgen::KeyPair,
        reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key.into())
            .unwrap();
        Server::listen(reply, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static, tls: Option<TlsAcceptor>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, https) = (listener.local_addr().unwrap(), tls.is_some());
        let (state, reply) = (Arc::new(State::default()), Arc::new(reply));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let (state, reply, tls) = (shared.clone(), reply.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &state, &*reply).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &state, &*reply).await;
                            }
                        }
                    }
                });
            }
        });
        Server { addr, https, state, task }
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", if self.https { "https" } else { "http" }, self.addr)
    }

    fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    state: &State,
    reply: &(dyn Fn(&str, usize) -> Reply + Sync),
) {
    let mut seen = Vec::new();
    for number in 1.. {
        let Some(request) = read(&mut stream, &mut seen).await else { return };
        state.requests.lock().unwrap().push(request.clone());
        let reply = reply(&request, number);
        if stream.write_all(&reply.bytes).await.is_err() {
            return;
        }
        match reply.then {
            Then::Keep => {}
            Then::Close => {
                let _ = stream.shutdown().await;
                return;
            }
            Then::Stall => std::future::pending().await,
        }
    }
}

/// One request out of the stream: its head, and as much body as the head says.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, seen: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(seen).into_owned();
        if let Some(head) = text.find("\r\n\r\n") {
            let length = text[..head]
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok())
                .unwrap_or(0);
            let whole = head + 4 + length;
            if seen.len() >= whole {
                let rest = seen.split_off(whole);
                let request = String::from_utf8_lossy(seen).into_owned();
                *seen = rest;
                return Some(request);
            }
        }
        stream.read_buf(seen).await.ok().filter(|read| *read > 0)?;
    }
}
