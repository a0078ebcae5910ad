//! The side that has the configuration: answers secondaries that call, and knows how far each of them is.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use onealert_core::{
    ids::ServerId,
    lineage::Generation,
    promotion::Told,
    replicate::{Position, SyncAnswer, SyncHello},
    version::compare_sync,
};
use onealert_store::{ConfigStore, StoreError};
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use super::{
    PROTOCOL, ask, blocking,
    channel::{self, Incoming},
    feed::Feed,
    message::{Down, Login, Purpose, Up},
};
use crate::{
    activity::ActivitySink,
    net::{self, TcpStream},
    roster::{Admission, Roster},
    tls::Caller,
};

/// What the publisher asks of the host. Calls block.
pub trait PublisherHost: Send + Sync + 'static {
    /// The core's answer to a caller that the roster welcomes. A server that is not the primary says so here.
    ///
    /// # Errors
    /// The store could not be read.
    fn answer(&self, hello: &SyncHello) -> Result<SyncAnswer, StoreError>;
    /// The answer to a caller that takes what this server has, whatever its role. A server that gives nothing away this way
    /// says so.
    ///
    /// # Errors
    /// The store could not be read.
    fn answer_taking(&self, _hello: &SyncHello) -> Result<SyncAnswer, StoreError> {
        Ok(SyncAnswer::NotPrimary)
    }
    /// Where this server stands; `None` when it does not say.
    ///
    /// # Errors
    /// The store could not be read.
    fn told(&self) -> Result<Option<Told>, StoreError> {
        Ok(None)
    }
    /// Whether a login is that of an administrator.
    fn admits(&self, _login: &Login) -> bool {
        false
    }
    /// A caller that was admitted says that it is the primary of this generation. Returns whether this server follows it.
    fn follow(&self, _generation: &Generation) -> bool {
        false
    }
    /// A caller was told why it gets nothing although it is enrolled: for the log that operators read.
    fn withheld(&self, _caller: ServerId, _answer: &SyncAnswer) {}
    /// The synchronisation protocol that this server speaks; another one than [`PROTOCOL`] in tests of upgrades.
    fn protocol(&self) -> u32 {
        PROTOCOL
    }
    /// Where the driver file with this SHA-256 lies, if this server has it.
    fn driver_file(&self, sha256: &str) -> Option<PathBuf>;
}

/// What the publisher works with.
#[derive(Clone)]
pub struct PublisherConfig {
    /// This server.
    pub server: ServerId,
    /// Who may speak.
    pub roster: Arc<Roster>,
    /// The configuration.
    pub store: Arc<dyn ConfigStore>,
    /// The host.
    pub host: Arc<dyn PublisherHost>,
    /// Where secondaries' records go.
    pub activity: Arc<dyn ActivitySink>,
    /// How often it tells where it stands when nothing happens.
    pub heartbeat: Duration,
}

/// What is known of a secondary that has called, for the status page and for trimming the log.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriberStatus {
    /// Which server.
    pub server: ServerId,
    /// Whether its connection stands.
    pub connected: bool,
    /// What it was answered last.
    pub answer: SyncAnswer,
    /// What it has, durably; `None` before its first acknowledgement.
    pub acknowledged: Option<Position>,
    /// How long ago that was.
    pub heard: Duration,
}

/// Serves the secondaries. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("server", &self.shared.config.server).finish_non_exhaustive()
    }
}

pub(crate) struct Shared {
    pub config: PublisherConfig,
    /// Counts commits: woken connections look into the log.
    pub commits: watch::Sender<u64>,
    /// Counts reasons to answer everybody anew.
    pub turns: watch::Sender<u64>,
    /// Secondaries that are to get a snapshot, and which wish that is: it stands until the snapshot is in place there.
    pub rebuilds: watch::Sender<BTreeMap<ServerId, u64>>,
    pub unknown: AtomicU64,
    subscribers: Mutex<BTreeMap<ServerId, Known>>,
    connections: AtomicU64,
    wishes: AtomicU64,
}

struct Known {
    connection: u64,
    connected: bool,
    answer: SyncAnswer,
    acknowledged: Option<Position>,
    heard: Instant,
}

impl Publisher {
    /// A publisher. Connections come from [`crate::listen::Listener`].
    pub fn new(config: PublisherConfig) -> Publisher {
        let shared = Shared {
            config,
            commits: watch::Sender::new(0),
            turns: watch::Sender::new(0),
            rebuilds: watch::Sender::default(),
            unknown: AtomicU64::new(0),
            subscribers: Mutex::default(),
            connections: AtomicU64::new(0),
            wishes: AtomicU64::new(0),
        };
        Publisher { shared: Arc::new(shared) }
    }

    /// Something was committed: what is new in the log goes out at once. Never waits.
    pub fn committed(&self) {
        self.shared.commits.send_modify(|count| *count += 1);
    }

    /// Role, licence or versions changed: every connection is closed, and who calls again is answered anew.
    pub fn reconsider(&self) {
        self.shared.turns.send_modify(|count| *count += 1);
    }

    /// A secondary is to build its copy anew from a snapshot: at once when it is connected, else when it calls, and again when
    /// the connection breaks before the copy is in place. Returns whether it is connected.
    pub fn rebuild(&self, server: ServerId) -> bool {
        let connected = self.shared.lock().get(&server).is_some_and(|known| known.connected);
        let wish = self.shared.wishes.fetch_add(1, Ordering::Relaxed);
        self.shared.rebuilds.send_modify(|wanted| {
            wanted.insert(server, wish);
        });
        connected
    }

    /// What is known of every secondary that has called since the start.
    pub fn status(&self) -> Vec<SubscriberStatus> {
        let all = self.shared.lock();
        let status = |(server, known): (&ServerId, &Known)| SubscriberStatus {
            server: *server,
            connected: known.connected,
            answer: known.answer.clone(),
            acknowledged: known.acknowledged.clone(),
            heard: known.heard.elapsed(),
        };
        all.iter().map(status).collect()
    }

    /// How many messages came that this version does not know.
    pub fn unknown_messages(&self) -> u64 {
        self.shared.unknown.load(Ordering::Relaxed)
    }

    /// Serves one call until it ends.
    pub(crate) async fn serve(&self, caller: Caller, stream: TlsStream<TcpStream>) {
        let server = caller.server;
        let end = self.shared.clone().conversation(caller, stream).await;
        tracing::debug!(secondary = self.shared.config.roster.called(server), %end, "synchronisation connection ended");
    }
}

const HELLO_DEADLINE: Duration = Duration::from_secs(5);

impl Shared {
    async fn conversation(self: Arc<Self>, caller: Caller, stream: TlsStream<TcpStream>) -> String {
        if let Err(error) = net::tune(stream.get_ref().0, self.config.heartbeat * 10) {
            return error.to_string();
        }
        let (mut sender, mut receiver) = channel::open(stream.into());
        let (hello, protocol, credit, purpose, login) =
            match tokio::time::timeout(HELLO_DEADLINE, receiver.next()).await {
                Ok(Ok(Incoming::Document(Up::Hello { hello, protocol, credit, purpose, login }, _))) => {
                    (hello, protocol, credit, purpose, login)
                }
                Ok(Ok(_)) => return "the first message is not a hello".to_owned(),
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return "no hello".to_owned(),
            };
        if hello.server != caller.server {
            return format!("the hello names server {}, the certificate another", hello.server);
        }
        let mut admission = self.config.roster.judge(caller.server, &caller.key_sha256);
        let by_login = admission == Admission::UnknownServer && purpose != Purpose::Follow;
        if let (true, Some(login)) = (by_login, login) {
            let host = self.config.host.clone();
            tracing::warn!(caller = %caller.server, user = login.user, ?purpose, "an unknown server of the site calls");
            if blocking(move || host.admits(&login)).await {
                admission = Admission::Welcome;
            }
        }
        let apart = compare_sync(self.config.host.protocol(), protocol);
        if let (Purpose::Ask, Admission::Welcome, None) = (purpose, admission, &apart) {
            return ask::serve(&self.config, sender, receiver).await;
        }
        let answer = match admission {
            Admission::Welcome if apart.is_some() => {
                // Whoever speaks another protocol still understands who answers and why.
                SyncAnswer::VersionMismatch { verdict: apart.unwrap_or_default() }
            }
            Admission::Welcome => {
                let host = self.config.host.clone();
                let answer = move || match purpose {
                    Purpose::Take => host.answer_taking(&hello),
                    Purpose::Follow | Purpose::Ask => host.answer(&hello),
                };
                match blocking(answer).await {
                    Ok(answer) => answer,
                    Err(error) => return error.to_string(),
                }
            }
            Admission::Deprovisioned => SyncAnswer::Deprovisioned,
            _ => SyncAnswer::UnknownServer,
        };
        let store = self.config.store.clone();
        let epochs = match blocking(move || store.epochs()).await {
            Ok(epochs) => epochs,
            Err(error) => return error.to_string(),
        };
        let told = Down::Answer { answer: Box::new(answer.clone()), server: self.config.server, epochs };
        if let Err(error) = sender.send(&told).await {
            return error.to_string();
        }
        tracing::info!(secondary = self.config.roster.called(caller.server), ?answer, "a secondary called");
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        if purpose == Purpose::Follow {
            self.note_answer(caller.server, connection, &answer);
        }
        if let SyncAnswer::VersionMismatch { .. } = &answer {
            let (host, server, answer) = (self.config.host.clone(), caller.server, answer.clone());
            blocking(move || host.withheld(server, &answer)).await;
        }
        let end = match answer {
            SyncAnswer::UnknownServer
            | SyncAnswer::NotLicensed { .. }
            | SyncAnswer::Fenced { .. }
            | SyncAnswer::NotPrimary => {
                sender.close().await;
                "answered".to_owned()
            }
            answer => {
                let mut feed = Feed::new(self.clone(), caller.clone(), connection, sender, receiver, credit);
                feed.admitted_by_login = by_login;
                feed.follows = purpose == Purpose::Follow;
                feed.run(answer).await
            }
        };
        self.note_end(caller.server, connection);
        end
    }

    fn note_answer(&self, server: ServerId, connection: u64, answer: &SyncAnswer) {
        let mut all = self.lock();
        let acknowledged = all.get(&server).and_then(|known| known.acknowledged.clone());
        let known = Known { connection, connected: true, answer: answer.clone(), acknowledged, heard: Instant::now() };
        all.insert(server, known);
    }

    /// The wish that a secondary builds its copy anew.
    pub(crate) fn rebuild_wanted(&self, server: ServerId) -> Option<u64> {
        self.rebuilds.borrow().get(&server).copied()
    }

    /// A copy that was wished for is in place. A later wish stands.
    pub(crate) fn note_rebuilt(&self, server: ServerId, wish: u64) {
        self.rebuilds.send_if_modified(|all| {
            if all.get(&server) == Some(&wish) {
                all.remove(&server);
            }
            // Nobody has to act on that.
            false
        });
    }

    pub(crate) fn note_ack(&self, server: ServerId, connection: u64, position: Position) {
        if let Some(known) = self.lock().get_mut(&server).filter(|known| known.connection == connection) {
            known.acknowledged = Some(position);
            known.heard = Instant::now();
        }
    }

    fn note_end(&self, server: ServerId, connection: u64) {
        if let Some(known) = self.lock().get_mut(&server).filter(|known| known.connection == connection) {
            known.connected = false;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServerId, Known>> {
        self.subscribers.lock().expect("no panic while the list is held")
    }
}
