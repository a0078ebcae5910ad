//! A server becomes one of the installation, or learns why not.

mod common;

use std::{
    future::Future,
    net::{Ipv4Addr, TcpListener},
    pin::Pin,
    sync::{Arc, Mutex},
};

use common::{Node, Site, mesh_config, sync::versions};
use onealert_core::{
    config::{Role, Server},
    event::LinkSeen,
    ids::ServerId,
    time::Wall,
};
use onealert_peers::{
    Listener, ListenerConfig, Mesh, MeshEvent, PeerAddress, Publisher, PublisherConfig, PublisherHost, Roster,
    RosterEntry, Services,
    join::{self, Enrol, Enrolled, Enrolment, JoinError, JoinRefusal, JoinRequest, JoinService, Joined},
};
use onealert_store::{HistoryStore, SqliteStore, StoreError};
use tempfile::TempDir;
use tokio::net::TcpSocket;

struct Office {
    primary: Server,
    limit: u32,
    enrolled: Mutex<Vec<Server>>,
    asked: Mutex<u32>,
}

impl Enrolment for Office {
    fn enrol(&self, ask: Enrol) -> Pin<Box<dyn Future<Output = Result<Enrolled, JoinRefusal>> + Send + '_>> {
        Box::pin(async move {
            *self.asked.lock().expect("no panic") += 1;
            if (ask.user.as_str(), ask.password.as_str()) != ("admin", "right") {
                return Err(JoinRefusal::WrongLogin);
            }
            let mut enrolled = self.enrolled.lock().expect("no panic");
            if let Some(known) = enrolled.iter().find(|server| server.key_sha256 == ask.key_sha256) {
                return Ok(Enrolled { server: known.id, primary: self.primary.clone() });
            }
            if enrolled.len() >= self.limit as usize {
                return Err(JoinRefusal::NotLicensed { limit: self.limit });
            }
            enrolled.push(Server {
                id: ask.server,
                name: ask.name,
                role: Role::Secondary,
                mesh: ask.mesh,
                web: ask.web,
                key_sha256: ask.key_sha256,
                enrolled: Wall(0),
                deprovisioned: false,
            });
            Ok(Enrolled { server: ask.server, primary: self.primary.clone() })
        })
    }
}

struct NoSync;

impl PublisherHost for NoSync {
    fn answer(
        &self,
        _: &onealert_core::replicate::SyncHello,
    ) -> Result<onealert_core::replicate::SyncAnswer, StoreError> {
        Ok(onealert_core::replicate::SyncAnswer::NotPrimary)
    }
    fn driver_file(&self, _: &str) -> Option<std::path::PathBuf> {
        None
    }
}

struct Primary {
    site: Site,
    office: Arc<Office>,
    roster: Arc<Roster>,
    mesh: Mesh,
    _events: tokio::sync::mpsc::Receiver<MeshEvent>,
    listener: Listener,
    _dir: TempDir,
}

fn primary(limit: u32) -> Primary {
    let site = Site::of(1);
    let identity = site.servers[0].clone();
    let roster = site.roster();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let row = Server {
        id: identity.server(),
        name: "primary".into(),
        role: Role::Primary,
        mesh: socket.local_addr().expect("bound").to_string(),
        web: "https://127.0.0.1".into(),
        key_sha256: identity.key_sha256().into(),
        enrolled: Wall(0),
        deprovisioned: false,
    };
    let office = Arc::new(Office { primary: row, limit, enrolled: Mutex::default(), asked: Mutex::default() });
    let dir = TempDir::new().expect("folder");
    let (mesh, events) = Mesh::start(mesh_config(&identity, &roster, 1)).expect("identity");
    let publisher = Publisher::new(PublisherConfig {
        server: identity.server(),
        roster: roster.clone(),
        store: Arc::new(SqliteStore::open(&dir.path().join("config.db")).expect("store")),
        host: Arc::new(NoSync),
        activity: Arc::new(HistoryStore::open(&dir.path().join("history.db")).expect("history")),
        heartbeat: common::HEARTBEAT,
    });
    let join = Some(JoinService::new(identity.clone(), office.clone()));
    let services = Services { mesh: mesh.clone(), publisher, join };
    let listener = Listener::start(ListenerConfig::new(socket, identity), services).expect("identity");
    Primary { site, office, roster, mesh, _events: events, listener, _dir: dir }
}

impl Primary {
    fn request(&self, dir: &TempDir, password: &str) -> JoinRequest {
        JoinRequest {
            dir: dir.path().to_owned(),
            primary: self.listener.address().to_string(),
            user: "admin".into(),
            password: password.into(),
            name: "second".into(),
            mesh: "127.0.0.2:4000".into(),
            web: "https://127.0.0.2:8443/".into(),
            versions: versions("1.0.0"),
            fingerprint: None,
            keep_key: false,
        }
    }
}

fn refused(result: Result<Joined, JoinError>) -> JoinRefusal {
    match result.expect_err("must be refused") {
        JoinError::Refused { refusal, .. } => refusal,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_joined_server_is_a_peer() {
    let primary = primary(5);
    let fingerprint = primary.site.servers[0].fingerprint();
    let dir = TempDir::new().expect("folder");
    let mut request = primary.request(&dir, "right");
    // As people copy it.
    let pairs: Vec<_> =
        fingerprint.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
    request.fingerprint = Some(pairs.join(":"));
    let joined = join::request(request).await.expect("joins");
    assert!(joined.verified && joined.fingerprint == fingerprint);
    assert_eq!((&joined.primary, joined.server), (&primary.office.primary, joined.identity.server()));
    assert!(joined.identity.is_issuer(), "whoever has joined can be promoted and then let others join");

    let rows = [primary.office.primary.clone(), primary.office.enrolled.lock().expect("no panic")[0].clone()];
    primary.roster.set(rows.iter().map(RosterEntry::from));
    let mut node = Node::start(&Arc::new(joined.identity), Roster::new(rows.iter().map(RosterEntry::from)), 9);
    primary.mesh.set_peers(vec![node.address()]);
    node.mesh.set_peers(vec![PeerAddress { id: ServerId(1), address: primary.listener.address().to_string() }]);
    let up = |event| matches!(event, MeshEvent::Link { seen: LinkSeen::Connected { .. }, .. }).then_some(());
    node.next("the link", up).await;
}

#[tokio::test]
async fn without_a_fingerprint_the_site_is_trusted_and_that_is_said() {
    let primary = primary(5);
    let dir = TempDir::new().expect("folder");
    let shown = join::fingerprint(&primary.listener.address().to_string()).await.expect("a primary");
    let joined = join::request(primary.request(&dir, "right")).await.expect("joins");
    assert!(!joined.verified, "the operator has to be told");
    assert_eq!(
        (joined.fingerprint, shown),
        (primary.site.servers[0].fingerprint(), primary.site.servers[0].fingerprint())
    );
}

#[tokio::test]
async fn to_a_site_with_another_fingerprint_no_password_is_sent() {
    let primary = primary(5);
    let dir = TempDir::new().expect("folder");
    let mut request = primary.request(&dir, "right");
    request.fingerprint = Some("00".repeat(32));
    let error = join::request(request).await.expect_err("another site");
    let words = error.to_string();
    assert!(
        matches!(error, JoinError::OtherSite { .. }) && words.contains(&primary.site.servers[0].fingerprint()),
        "{words}"
    );
    assert_eq!(*primary.office.asked.lock().expect("no panic"), 0);
}

#[tokio::test]
async fn wrong_passwords_are_refused_and_after_a_few_not_even_looked_at() {
    let primary = primary(5);
    let dir = TempDir::new().expect("folder");
    for _ in 0..5 {
        assert_eq!(refused(join::request(primary.request(&dir, "wrong")).await), JoinRefusal::WrongLogin);
    }
    let refusal = refused(join::request(primary.request(&dir, "right")).await);
    assert!(matches!(refusal, JoinRefusal::TooManyAttempts { seconds: 1..=61 }), "{refusal}");
    assert_eq!(*primary.office.asked.lock().expect("no panic"), 5);
    assert!(!onealert_peers::Identity::exists(dir.path()), "nothing may be left behind that looks like a server");
}

#[tokio::test]
async fn a_server_over_the_licence_is_refused_and_joins_after_it_was_raised() {
    let full = primary(0);
    let dir = TempDir::new().expect("folder");
    assert_eq!(refused(join::request(full.request(&dir, "right")).await), JoinRefusal::NotLicensed { limit: 0 });
    let raised = primary(1);
    join::request(raised.request(&dir, "right")).await.expect("the same folder, repeated");
}

#[tokio::test]
async fn a_lost_answer_does_not_enrol_the_server_twice() {
    let primary = primary(1);
    let dir = TempDir::new().expect("folder");
    let spare = TempDir::new().expect("folder");
    let first = join::request(primary.request(&dir, "right")).await.expect("joins");
    // The folder as it was before the answer came: the pending key alone.
    std::fs::copy(dir.path().join("server-key.pem"), spare.path().join("join-key.pem")).expect("copied");
    let second = join::request(primary.request(&spare, "right")).await.expect("joins again");
    assert_eq!(first.server, second.server);
    assert_eq!(primary.office.enrolled.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn a_secondary_and_an_unusable_request_are_told_apart() {
    let primary = primary(5);
    let dir = TempDir::new().expect("folder");
    let mut request = primary.request(&dir, "right");
    request.name = "two\nlines".into();
    assert!(matches!(refused(join::request(request).await), JoinRefusal::BadRequest(_)));
    let mut request = primary.request(&dir, "right");
    // Held and not listened at: nobody else is given the port meanwhile.
    let nobody = TcpSocket::new_v4().expect("a socket");
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let closed = nobody.local_addr().expect("bound");
    request.primary = closed.to_string();
    let error = join::request(request).await.expect_err("nobody there");
    assert!(error.to_string().contains(&closed.to_string()), "{error}");
}
