//! Callers that mean harm, or are broken: nothing they send reaches the host, and nobody else notices.

mod common;

use std::{sync::Arc, time::Duration};

use common::{Node, PATIENCE, Site};
use onealert_core::{event::LinkSeen, ids::ServerId, peer_message::PeerMessage};
use onealert_peers::{Identity, Mesh, MeshEvent, PeerAddress, tls};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

const HELLO: &str = r#"{"server":"00000000000000000000000000000002","incarnation":1,"boot":5,"protocol":1}"#;

async fn call(identity: &Identity, protocol: &[u8], address: &str) -> TlsStream<TcpStream> {
    let connector = TlsConnector::from(tls::caller_config(identity, protocol).expect("identity"));
    let name = ServerName::try_from(format!("{}.server.onealert.internal", ServerId(1))).expect("a name");
    let stream = TcpStream::connect(address).await.expect("the door is open");
    connector.connect(name, stream).await.expect("a certificate of the site")
}

async fn say(stream: &mut TlsStream<TcpStream>, text: &str) {
    let length = u32::try_from(text.len()).expect("short");
    stream.write_all(&length.to_be_bytes()).await.expect("sent");
    stream.write_all(text.as_bytes()).await.expect("sent");
}

async fn hear(stream: &mut TlsStream<TcpStream>) -> String {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.expect("an answer");
    let mut text = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut text).await.expect("an answer");
    String::from_utf8(text).expect("text")
}

/// Says a word every second until it arrives: a link that broke because the machine stood still is made anew, and what was said
/// meanwhile is lost.
async fn heard<T>(
    from: &Mesh,
    (to, round): (ServerId, u64),
    at: &mut Node,
    what: &str,
    pick: impl Fn(MeshEvent) -> Option<T> + Copy,
) -> T {
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        from.send(to, &PeerMessage::Told { round });
        if let Ok(heard) = tokio::time::timeout(Duration::from_secs(1), at.next(what, pick)).await {
            return heard;
        }
    }
    panic!("{what} did not arrive");
}

/// Whether the other side closes the connection.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // Cut or closed in order: both are an end.
    drop(end.expect("the connection must be closed"));
}

#[tokio::test]
async fn messages_of_an_unknown_kind_are_skipped_and_counted_and_the_next_one_is_heard() {
    let site = Site::of(2);
    let mut a = Node::start(&site.servers[0], site.roster(), 1);
    a.mesh.set_peers(vec![PeerAddress { id: ServerId(2), address: "127.0.0.1:9".into() }]);
    let mut stream = call(&site.servers[1], tls::MESH, &a.address().address).await;
    say(&mut stream, HELLO).await;
    assert!(hear(&mut stream).await.contains("welcome"));
    say(&mut stream, r#"{"t":"sing","key":"c minor"}"#).await;
    say(&mut stream, r#"{"t":"told","round":3,"a later field":true}"#).await;
    let round = |event| match event {
        MeshEvent::Message { message: PeerMessage::Told { round }, .. } => Some(round),
        _ => None,
    };
    assert_eq!(a.next("the message after it", round).await, 3);
    assert_eq!(a.mesh.unknown_messages(), 1);
}

#[tokio::test]
async fn garbage_an_endless_frame_and_a_false_hello_end_the_connection() {
    let site = Site::of(3);
    let a = Node::start(&site.servers[0], site.roster(), 1);
    let peer = |id| PeerAddress { id: ServerId(id), address: "127.0.0.1:9".into() };
    a.mesh.set_peers(vec![peer(2), peer(3)]);
    let address = a.address().address;

    let mut garbage = call(&site.servers[1], tls::MESH, &address).await;
    say(&mut garbage, HELLO).await;
    hear(&mut garbage).await;
    say(&mut garbage, "GET / HTTP/1.1").await;
    closed(&mut garbage).await;

    let mut endless = call(&site.servers[1], tls::MESH, &address).await;
    endless.write_all(&[0x7f, 0xff, 0xff, 0xff]).await.expect("sent");
    closed(&mut endless).await;

    let mut endless = call(&site.servers[1], tls::SYNC, &address).await;
    endless.write_all(&[0, 2, 0, 0, 1]).await.expect("sent");
    closed(&mut endless).await;

    // Server 3 says that it is server 2.
    let mut liar = call(&site.servers[2], tls::MESH, &address).await;
    say(&mut liar, HELLO).await;
    assert!(hear(&mut liar).await.contains("other_name"));
    closed(&mut liar).await;
}

#[tokio::test]
async fn who_never_finishes_the_handshake_is_dropped_and_holds_up_nobody() {
    let site = Site::of(2);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let a = Node::on(socket, &site.servers[0], site.roster(), 1, |limits| limits.handshake = Duration::from_secs(3));
    let address = a.address().address;
    let mut silent = TcpStream::connect(&address).await.expect("open");
    let mut slow = TcpStream::connect(&address).await.expect("open");
    slow.write_all(&[22, 3]).await.expect("sent");
    a.mesh.set_peers(vec![PeerAddress { id: ServerId(2), address: "127.0.0.1:9".into() }]);
    let mut stream = call(&site.servers[1], tls::MESH, &address).await;
    say(&mut stream, HELLO).await;
    assert!(hear(&mut stream).await.contains("welcome"), "others are served meanwhile");
    closed(&mut silent).await;
    closed(&mut slow).await;
}

#[tokio::test]
async fn one_address_pushes_out_its_own_strangers_only() {
    let site = Site::of(2);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let a = Node::on(socket, &site.servers[0], site.roster(), 1, |limits| limits.per_address = 2);
    let address = a.address().address;
    let other = bound(TcpSocket::new_v4().expect("a socket"), [127, 9, 9, 9]);
    let other = other.connect(address.parse().expect("an address")).await.expect("open");
    let mut first = TcpStream::connect(&address).await.expect("open");
    let _second = TcpStream::connect(&address).await.expect("open");
    // A server of the site is served all the same, and the one that was silent longest gives way.
    a.mesh.set_peers(vec![PeerAddress { id: ServerId(2), address: "127.0.0.1:9".into() }]);
    let mut peer = call(&site.servers[1], tls::MESH, &address).await;
    say(&mut peer, HELLO).await;
    assert!(hear(&mut peer).await.contains("welcome"));
    closed(&mut first).await;
    let nothing = other.try_read(&mut [0]).expect_err("nothing came, and it is open");
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

fn bound(socket: TcpSocket, from: [u8; 4]) -> TcpSocket {
    socket.bind((from, 0).into()).expect("every address of the loopback network may be used");
    socket
}

/// Opens calls from one address after the other, as fast as it goes, and holds so many of them open without a word.
async fn flood(to: std::net::SocketAddr, held: usize) {
    let mut silent = std::collections::VecDeque::new();
    for number in 0_u32.. {
        let [_, high, middle, low] = (number % 4000).to_be_bytes();
        let socket = bound(TcpSocket::new_v4().expect("a socket"), [127, 30 + high, middle, low.max(1)]);
        if let Ok(stream) = socket.connect(to).await {
            silent.push_back(stream);
        }
        if silent.len() > held {
            silent.pop_front();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_from_thousands_of_addresses_does_not_keep_a_server_out() {
    let site = Site::of(3);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    // Who never speaks would hold a seat for the whole test: only giving way frees it.
    let limits = |limits: &mut onealert_peers::ListenerConfig| {
        (limits.total, limits.handshake) = (256, Duration::from_secs(600));
    };
    let mut a = Node::on(socket, &site.servers[0], site.roster(), 1, limits);
    let address = a.address();
    // A link is one when each has called the other.
    let let_in = |event| matches!(event, MeshEvent::Link { seen: LinkSeen::Connected { .. }, .. }).then_some(());
    // One that was there before the flood.
    let mut c = Node::start(&site.servers[2], site.roster(), 1);
    a.mesh.set_peers(vec![c.address()]);
    c.mesh.set_peers(vec![address.clone()]);
    c.next("the link of the server that was there before", let_in).await;

    let to = address.address.parse().expect("an address");
    let strangers: Vec<_> = (0..2).map(|_| tokio::spawn(flood(to, 200))).collect();
    let mut took = Vec::new();
    for boot in 1..=5 {
        let began = tokio::time::Instant::now();
        let mut b = Node::start(&site.servers[1], site.roster(), boot);
        a.mesh.set_peers(vec![b.address(), c.address()]);
        b.mesh.set_peers(vec![address.clone()]);
        b.next("the link of a server that comes in the flood", let_in).await;
        took.push(began.elapsed());
    }
    println!("connected in the flood within {took:?}");
    let round = |event| match event {
        MeshEvent::Message { from: ServerId(3), message: PeerMessage::Told { round }, .. } => Some(round),
        _ => None,
    };
    let what = "a word of the server that was there before";
    assert_eq!(heard(&c.mesh, (ServerId(1), 7), &mut a, what, round).await, 7);
    strangers.into_iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn without_a_certificate_or_a_known_protocol_nothing_is_served() {
    let site = Site::of(2);
    let a = Node::start(&site.servers[0], site.roster(), 1);
    let address = a.address().address;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in ca_of(&site) {
        roots.add(certificate).expect("the site's certificate");
    }
    let mut config = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![tls::MESH.to_vec()];
    let name = ServerName::try_from(format!("{}.server.onealert.internal", ServerId(1))).expect("a name");
    let stream = TcpStream::connect(&address).await.expect("open");
    let mut nameless =
        TlsConnector::from(Arc::new(config)).connect(name.clone(), stream).await.expect("joining needs none");
    closed(&mut nameless).await;

    let connector = TlsConnector::from(tls::caller_config(&site.servers[1], b"onealert-mesh/99").expect("identity"));
    let stream = TcpStream::connect(&address).await.expect("open");
    assert!(connector.connect(name, stream).await.is_err(), "no common protocol");
}

#[tokio::test]
async fn a_peer_that_does_not_read_delays_nobody_and_loses_its_link() {
    let site = Site::of(3);
    let mut a = Node::start(&site.servers[0], site.roster(), 1);
    let mut c = Node::start(&site.servers[2], site.roster(), 3);
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let deaf_address = deaf.local_addr().expect("bound").to_string();
    a.mesh.set_peers(vec![PeerAddress { id: ServerId(2), address: deaf_address }, c.address()]);
    c.mesh.set_peers(vec![a.address()]);
    let acceptor = TlsAcceptor::from(tls::listener_config(&site.servers[1]).expect("identity"));
    let (stream, _) = deaf.accept().await.expect("called");
    let mut stream = acceptor.accept(stream).await.expect("a certificate of the site");
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.expect("a hello");
    let mut hello = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut hello).await.expect("a hello");
    let answer = format!(r#"{{"welcome":{HELLO}}}"#);
    stream.write_all(&u32::try_from(answer.len()).expect("short").to_be_bytes()).await.expect("sent");
    stream.write_all(answer.as_bytes()).await.expect("sent");

    let up = |event| matches!(event, MeshEvent::Link { seen: LinkSeen::Connected { .. }, .. }).then_some(());
    c.next("the link", up).await;
    // It has told so when it has said welcome. That may not have been read yet.
    let up =
        |event| matches!(event, MeshEvent::Link { peer: ServerId(3), seen: LinkSeen::Connected { .. } }).then_some(());
    a.next("its own link", up).await;
    // More than kernel and queue take, so that the queue must overflow or the write must time out.
    let mut round = 0;
    let lost = async {
        loop {
            for _ in 0..2000 {
                round += 1;
                a.mesh.send(ServerId(2), &PeerMessage::Told { round });
            }
            let wanted = round;
            let arrived = move |event| match event {
                MeshEvent::Message { message: PeerMessage::Told { round }, .. } if round == wanted => Some(()),
                _ => None,
            };
            heard(&a.mesh, (ServerId(3), wanted), &mut c, "a message past the deaf peer", arrived).await;
            while let Ok(event) = a.events.try_recv() {
                if event == (MeshEvent::Link { peer: ServerId(2), seen: LinkSeen::Lost }) {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, lost).await.expect("the deaf peer's link is closed");
}

fn ca_of(site: &Site) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    let text = std::fs::read(site.dirs[0].path().join("site-ca.pem")).expect("written at the start");
    rustls::pki_types::CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().expect("certificates")
}
