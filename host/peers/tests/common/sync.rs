//! A primary that publishes and a secondary that follows, both on real stores.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use onealert_core::{
    config::{Change, Role, Setting, Table},
    ids::{EpochId, Incarnation, ServerId},
    life::Life,
    lineage::Generation,
    promotion::Told,
    replicate::{Enrolment, Epoch, Position, PrimaryView, SyncAnswer, SyncHello, answer},
    time::Wall,
    version::VersionSet,
};
use onealert_peers::{
    Identity, Listener, ListenerConfig, Login, Mesh, NotKept, OwnRecords, PeerAddress, Publisher, PublisherConfig,
    PublisherHost, Roster, Services, Subscriber, SubscriberConfig, SubscriberHost, SyncEvent, sync::PROTOCOL,
};
use onealert_store::{ConfigStore, HistoryStore, SqliteStore, StoreError, change::Commit, snapshot::SnapshotHeader};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{HEARTBEAT, PATIENCE, mesh_config};

pub fn versions(product: &str) -> VersionSet {
    VersionSet {
        product: product.parse().expect("a version"),
        schema: 1,
        protocol: 1,
        platform: "x86_64-linux-gnu".into(),
        plugin_api: semver::Version::new(1, 0, 0),
        drivers: BTreeMap::new(),
    }
}

pub struct Primary {
    pub store: Arc<SqliteStore>,
    pub history: Arc<HistoryStore>,
    pub publisher: Publisher,
    pub listener: Listener,
    pub roster: Arc<Roster>,
    pub files: Arc<Mutex<BTreeMap<String, PathBuf>>>,
    /// What it was told to follow.
    pub followed: Arc<Mutex<Vec<Generation>>>,
    pub dir: TempDir,
    _mesh: Mesh,
}

struct PrimaryHost {
    store: Arc<SqliteStore>,
    files: Arc<Mutex<BTreeMap<String, PathBuf>>>,
    followed: Arc<Mutex<Vec<Generation>>>,
}

impl PublisherHost for PrimaryHost {
    fn answer(&self, hello: &SyncHello) -> Result<SyncAnswer, StoreError> {
        let head = self.store.position()?.expect("installed");
        let digests =
            hello.position.as_ref().map(|position| self.store.digests_at(position.lsn)).transpose()?.flatten();
        Ok(answer(
            &PrimaryView {
                is_primary: true,
                head: &head,
                tail: self.store.log_bounds()?.tail,
                epochs: &self.store.epochs()?,
                digests_at: digests.as_ref(),
                versions: &versions("1.0.0"),
                enrolment: Enrolment::Enrolled,
            },
            hello,
        ))
    }
    fn answer_taking(&self, hello: &SyncHello) -> Result<SyncAnswer, StoreError> {
        self.answer(hello)
    }
    fn told(&self) -> Result<Option<Told>, StoreError> {
        Ok(Some(Told {
            server: ServerId(1),
            name: "primary".into(),
            role: Role::Primary,
            life: Life::Active,
            position: self.store.position()?,
            lineage: self.store.epochs()?,
        }))
    }
    fn admits(&self, login: &Login) -> bool {
        (login.user.as_str(), login.password.as_str()) == ("admin", "right")
    }
    fn follow(&self, generation: &Generation) -> bool {
        self.followed.lock().expect("no panic").push(generation.clone());
        true
    }
    fn driver_file(&self, sha256: &str) -> Option<PathBuf> {
        self.files.lock().expect("no panic").get(sha256).cloned()
    }
}

impl Primary {
    pub fn start(identity: &Arc<Identity>, roster: Arc<Roster>) -> Primary {
        let dir = TempDir::new().expect("folder");
        let store = Arc::new(SqliteStore::open(&dir.path().join("config.db")).expect("store"));
        store.install(EpochId(1)).expect("an empty store");
        Primary::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), identity, roster, dir, store)
    }

    fn on(
        socket: TcpListener,
        identity: &Arc<Identity>,
        roster: Arc<Roster>,
        dir: TempDir,
        store: Arc<SqliteStore>,
    ) -> Primary {
        let history = Arc::new(HistoryStore::open(&dir.path().join("history.db")).expect("history"));
        let files = Arc::new(Mutex::default());
        let followed = Arc::new(Mutex::default());
        let host = PrimaryHost { store: store.clone(), files: Arc::clone(&files), followed: Arc::clone(&followed) };
        let publisher = Publisher::new(PublisherConfig {
            server: identity.server(),
            roster: roster.clone(),
            store: store.clone(),
            host: Arc::new(host),
            activity: history.clone(),
            heartbeat: HEARTBEAT,
        });
        let (mesh, _) = Mesh::start(mesh_config(identity, &roster, 1)).expect("identity");
        let services = Services { mesh: mesh.clone(), publisher: publisher.clone(), join: None };
        let listener = Listener::start(ListenerConfig::new(socket, identity.clone()), services).expect("identity");
        Primary { store, history, publisher, listener, roster, files, followed, dir, _mesh: mesh }
    }

    /// The same primary after a restart, at another address.
    pub fn restart(self, identity: &Arc<Identity>) -> Primary {
        let Primary { store, roster, dir, listener, .. } = self;
        listener.stop();
        Primary::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), identity, roster, dir, store)
    }

    pub fn address(&self) -> PeerAddress {
        PeerAddress { id: ServerId(1), address: self.listener.address().to_string() }
    }

    pub fn commit(&self, changes: Vec<Change>) -> Position {
        let committed = self.store.commit(&Commit::new(Wall(0), changes)).expect("a valid change");
        self.publisher.committed();
        committed.position
    }
}

pub fn setting(name: &str, value: &str) -> Change {
    Change::put(Table::Settings, name, &Setting { name: name.into(), value: value.into() })
}

pub fn settings(count: u32) -> Vec<Change> {
    (0..count).map(|n| setting(&format!("name {n:06}"), &format!("value {n} {}", "x".repeat(60)))).collect()
}

pub struct Secondary {
    pub store: Arc<SqliteStore>,
    pub history: Arc<HistoryStore>,
    pub subscriber: Subscriber,
    pub events: mpsc::Receiver<SyncEvent>,
    pub host: Arc<SecondaryHost>,
    pub dir: TempDir,
    identity: Arc<Identity>,
    roster: Arc<Roster>,
}

pub struct SecondaryHost {
    pub product: Mutex<String>,
    /// After which records a snapshot replaced what was here.
    pub superseded: Mutex<Vec<u64>>,
    /// The newest generation that it has seen.
    pub newest: Mutex<Vec<Epoch>>,
    /// The synchronisation protocol that it speaks.
    pub protocol: AtomicU32,
    /// Nothing can be kept at this moment.
    pub disk_is_full: AtomicBool,
}

impl SubscriberHost for SecondaryHost {
    fn versions(&self) -> VersionSet {
        versions(&self.product.lock().expect("no panic"))
    }
    fn protocol(&self) -> u32 {
        self.protocol.load(Ordering::Acquire)
    }
    fn newest_lineage(&self) -> Result<Vec<Epoch>, StoreError> {
        Ok(self.newest.lock().expect("no panic").clone())
    }
    fn incarnation(&self) -> Incarnation {
        Incarnation(1)
    }
    fn now(&self) -> Wall {
        Wall(0)
    }
    fn superseded(&self, shared: u64, _: &SnapshotHeader) -> Result<(), NotKept> {
        if self.disk_is_full.load(Ordering::Acquire) {
            return Err(NotKept("no space left on device".to_owned()));
        }
        self.superseded.lock().expect("no panic").push(shared);
        Ok(())
    }
}

impl Secondary {
    pub fn start(identity: &Arc<Identity>, roster: Arc<Roster>, product: &str, primary: PeerAddress) -> Secondary {
        let dir = TempDir::new().expect("folder");
        Secondary::on(dir, identity.clone(), roster, product, primary)
    }

    fn on(
        dir: TempDir,
        identity: Arc<Identity>,
        roster: Arc<Roster>,
        product: &str,
        primary: PeerAddress,
    ) -> Secondary {
        let store = Arc::new(SqliteStore::open(&dir.path().join("config.db")).expect("store"));
        let history = Arc::new(HistoryStore::open(&dir.path().join("history.db")).expect("history"));
        let host = Arc::new(SecondaryHost {
            product: Mutex::new(product.to_owned()),
            superseded: Mutex::default(),
            newest: Mutex::default(),
            protocol: AtomicU32::new(PROTOCOL),
            disk_is_full: AtomicBool::new(false),
        });
        let config = SubscriberConfig {
            identity: identity.clone(),
            roster: roster.clone(),
            store: store.clone(),
            host: host.clone(),
            activity: Arc::new(OwnRecords { server: identity.server(), history: history.clone() }),
            heartbeat: HEARTBEAT,
        };
        let (subscriber, events) = Subscriber::start(config, Some(primary)).expect("identity");
        Secondary { store, history, subscriber, events, host, dir, identity, roster }
    }

    /// The same secondary after a restart.
    pub fn restart(self, primary: PeerAddress) -> Secondary {
        let Secondary { dir, identity, roster, host, subscriber, events, store, history } = self;
        subscriber.stop();
        drop((subscriber, events, store, history));
        let product = host.product.lock().expect("no panic").clone();
        Secondary::on(dir, identity, roster, &product, primary)
    }

    /// The next event of which `pick` makes something; others are passed over.
    pub async fn next<T>(&mut self, what: &str, mut pick: impl FnMut(&SyncEvent) -> Option<T>) -> T {
        let mut passed = Vec::new();
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the subscriber runs");
                match pick(&event) {
                    Some(found) => return found,
                    None => passed.push(event.to_string()),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(found) => found,
            Err(_) => panic!("{what} did not happen; instead: {passed:#?}"),
        }
    }

    pub async fn in_sync_at(&mut self, lsn: u64) {
        self.next(&format!("in sync at {lsn}"), |event| match event {
            SyncEvent::InSync { position } if position.lsn == lsn => Some(()),
            _ => None,
        })
        .await;
    }

    pub fn rows(&self) -> Vec<(Table, String, String)> {
        self.store.load().expect("readable").expect("a copy").rows
    }
}

/// Waits until `condition` holds, and says what did not.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what} did not happen");
}
