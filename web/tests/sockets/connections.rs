//! Connections: limits, TLS, and clients that behave badly.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use onealert_web::{ServeConfig, bind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    support::{LONG, Server, talk},
    world::World,
};

/// A server that speaks TLS, and what a client needs to trust it.
async fn tls_server() -> (Server, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let certificate = made.cert.der().clone();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("key and certificate belong together");
    let listener = bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound listener has an address");
    let config = ServeConfig {
        https: vec![(listener, Arc::new(tls))],
        // Longer than any test waits: what ends sooner did not wait for its requests.
        stop_within: Duration::from_secs(60),
        ..ServeConfig::default()
    };
    (Server::serving(World::primary(), config, addr), certificate)
}

async fn connect(
    server: &Server,
    certificate: &CertificateDer<'static>,
    alpn: &[&[u8]],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let tcp = TcpStream::connect(server.addr).await.expect("the server listens");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("a handshake")
}

#[tokio::test]
async fn https_offers_both_protocols_and_serves_the_status_url() {
    let (server, certificate) = tls_server().await;
    let h2 = connect(&server, &certificate, &[b"h2", b"http/1.1"]).await;
    assert_eq!(h2.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    for alpn in [&[&b"http/1.1"[..]][..], &[]] {
        let mut stream = connect(&server, &certificate, alpn).await;
        let answer = talk(&mut stream, b"GET /SA-Announce/RevolutionStatus HTTP/1.0\r\n\r\n").await.is(200);
        assert_eq!(answer.body, "Primary Active\n");
    }
}

#[tokio::test]
async fn a_page_over_http_2_is_the_page() {
    let (server, certificate) = tls_server().await;
    let stream = connect(&server, &certificate, &[b"h2"]).await;
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.expect("an h2 connection");
    tokio::spawn(connection);
    let ask = http::Request::get("https://localhost/login")
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .expect("a request");
    let answer = timeout(LONG, sender.send_request(ask)).await.expect("in time").expect("an answer");
    assert_eq!(answer.status(), 200);
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.expect("a body").to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("Sign in to pa-1"));
}

#[tokio::test]
async fn over_tls_the_cookie_is_bound_to_the_host() {
    let (server, certificate) = tls_server().await;
    let mut stream = connect(&server, &certificate, &[]).await;
    let body = "user=admin&password=admin-secret-1";
    let ask = format!(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = talk(&mut stream, ask.as_bytes()).await.is(303);
    let set = answer.header("set-cookie").expect("a cookie");
    assert!(set.starts_with("__Host-onealert-") && set.contains("Secure"), "{set}");
}

#[tokio::test]
async fn a_balancers_sslv3_hello_is_answered_with_an_alert() {
    let (server, _) = tls_server().await;
    // What HAProxy's ssl-hello-chk sends: an SSLv3 client hello with three old ciphers.
    let mut hello = vec![0x16, 0x03, 0x00, 0x00, 0x33, 0x01, 0x00, 0x00, 0x2f, 0x03, 0x00];
    hello.extend([0x42; 32]);
    hello.extend([0x00, 0x00, 0x08, 0x00, 0x2f, 0x00, 0x35, 0x00, 0x0a, 0x00, 0x05, 0x01, 0x00]);
    let mut stream = TcpStream::connect(server.addr).await.expect("the server listens");
    stream.write_all(&hello).await.expect("the server reads");
    let mut first = [0u8; 1];
    timeout(LONG, stream.read_exact(&mut first)).await.expect("in time").expect("an answer, not a silent close");
    assert!(matches!(first[0], 0x15 | 0x16), "the first byte must be a TLS alert or handshake, it is {:#x}", first[0]);
}

#[tokio::test]
async fn one_address_cannot_take_every_connection() {
    let server = Server::with(World::primary(), |config| config.max_connections_per_peer = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.addr).await.expect("the server listens");
        // Answered, so counted; and kept open.
        stream
            .write_all(b"GET /SA-Announce/RevolutionStatus HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .expect("the server reads");
        let mut some = [0u8; 12];
        timeout(LONG, stream.read_exact(&mut some)).await.expect("in time").expect("an answer");
        held.push(stream);
    }
    let mut refused = TcpStream::connect(server.addr).await.expect("the kernel accepts");
    let _ = refused.write_all(b"GET /SA-Announce/RevolutionStatus HTTP/1.0\r\n\r\n").await;
    let mut bytes = Vec::new();
    let _ = timeout(LONG, refused.read_to_end(&mut bytes)).await.expect("it is closed");
    assert!(bytes.is_empty(), "the fourth connection was served");
    drop(held);
    // The places come free when the server has seen the ends.
    for _ in 0..2000 {
        let mut stream = TcpStream::connect(server.addr).await.expect("the kernel accepts");
        let _ = stream.write_all(b"GET /SA-Announce/RevolutionStatus HTTP/1.0\r\n\r\n").await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        if bytes.starts_with(b"HTTP/1.0 200") {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the places were never given back");
}

#[tokio::test]
async fn a_header_that_never_ends_is_cut() {
    let server = Server::with(World::primary(), |config| config.header_within = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(server.addr).await.expect("the server listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await.expect("the server reads");
    let mut bytes = Vec::new();
    timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the server ends it").expect("an orderly end");
    assert!(!String::from_utf8_lossy(&bytes).contains("200 OK"));
}

#[tokio::test]
async fn a_handshake_that_never_ends_does_not_hold_up_a_stop() {
    let (server, _) = tls_server().await;
    let silent = TcpStream::connect(server.addr).await.expect("the server listens");
    let mut known = silent;
    known.write_all(&[0x16]).await.expect("the server reads");
    server.stop.send_replace(true);
    timeout(LONG, server.task).await.expect("the server stops").expect("without a panic");
}

#[tokio::test]
async fn after_a_stop_nobody_is_accepted() {
    // An address of this test's own, so that nobody else is given the port before it is called again.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let listener = bind((Ipv4Addr::new(127, 64 | high, middle, low), 0).into()).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound listener has an address");
    let server =
        Server::serving(World::primary(), ServeConfig { http: vec![listener], ..ServeConfig::default() }, addr);
    server.stop.send_replace(true);
    timeout(LONG, server.task).await.expect("the server stops").expect("without a panic");
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn nonsense_on_the_socket_does_no_harm() {
    let server = Server::with(World::primary(), |_| {}).await;
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        &[0xff; 5000],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.addr).await.expect("the server listens");
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the server ends it");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{bytes:?}");
    }
    server.raw(b"GET /SA-Announce/RevolutionStatus HTTP/1.0\r\n\r\n").await.is(200);
}
