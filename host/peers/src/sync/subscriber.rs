//! The side that follows: calls the primary, keeps calling, and hands the host's wishes to whoever serves the connection.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use onealert_core::{
    config::Table,
    ids::Incarnation,
    replicate::{Epoch, Position, SnapshotReason, SyncAnswer, SyncHello},
    time::Wall,
    version::VersionSet,
};
use onealert_store::{ConfigStore, StoreError, snapshot::SnapshotHeader};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    PROTOCOL, ask, blocking,
    channel::{Incoming, Receiver, Sender},
    event::SyncEvent,
    intake::{End, Intake},
    message::{Down, Login, Purpose, Up},
};
use crate::{
    activity::ActivitySource,
    files::{FetchError, is_name},
    identity::{Identity, IdentityError},
    mesh::PeerAddress,
    roster::Roster,
    tls,
};

/// How many bytes of bulk may be on the way.
pub(crate) const CREDIT: u64 = 2 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// After what only an operator can change.
const FINAL_PAUSE: Duration = Duration::from_secs(5);

/// What the subscriber asks of the host. Calls must not block for long.
pub trait SubscriberHost: Send + Sync + 'static {
    /// What this server runs.
    fn versions(&self) -> VersionSet;
    /// The newest generation it has seen anywhere, with every one that led to it, oldest first. Called where blocking is
    /// allowed.
    ///
    /// # Errors
    /// It cannot be read; the call is made later.
    fn newest_lineage(&self) -> Result<Vec<Epoch>, StoreError>;
    /// The synchronisation protocol that it speaks; another one than [`PROTOCOL`] in tests of upgrades.
    fn protocol(&self) -> u32 {
        PROTOCOL
    }
    /// Which life of its data folder.
    fn incarnation(&self) -> Incarnation;
    /// The time, for the log of changes.
    fn now(&self) -> Wall;
    /// This copy has records after `shared` that a snapshot of the primary is about to replace: the last chance to keep
    /// them for people. Called where blocking is allowed.
    ///
    /// # Errors
    /// They cannot be kept: the copy stays as it is, and the snapshot is asked for again later.
    fn superseded(&self, shared: u64, by: &SnapshotHeader) -> Result<(), NotKept>;
}

/// What a copy alone holds could not be kept for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the changes that only this server has cannot be kept in a conflict report: {0}")]
pub struct NotKept(pub String);

/// What the subscriber works with.
#[derive(Clone)]
pub struct SubscriberConfig {
    /// Its key and certificate.
    pub identity: Arc<Identity>,
    /// Who may answer.
    pub roster: Arc<Roster>,
    /// The copy of the configuration.
    pub store: Arc<dyn ConfigStore>,
    /// The host.
    pub host: Arc<dyn SubscriberHost>,
    /// Its own records, on their way to the primary.
    pub activity: Arc<dyn ActivitySource>,
    /// How often it tells where it stands when nothing happens.
    pub heartbeat: Duration,
}

/// What the host wants done.
pub(crate) enum Wish {
    Primary(Option<PeerAddress>),
    CallAgain,
    RecordsWritten,
    Check(Vec<Table>),
    Fetch { sha256: String, into: PathBuf, done: oneshot::Sender<Result<PathBuf, FetchError>> },
}

/// Follows a primary. Dropping it, or [`Subscriber::stop`], ends that.
#[derive(Debug)]
pub struct Subscriber {
    wishes: mpsc::UnboundedSender<Wish>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wish")
    }
}

impl Subscriber {
    /// Starts to follow; without a primary it waits until [`Subscriber::set_primary`] names one. Must be called within the
    /// runtime. Events must be taken: nothing more is applied until they are.
    ///
    /// # Errors
    /// The identity cannot be used for TLS.
    pub fn start(
        config: SubscriberConfig,
        primary: Option<PeerAddress>,
    ) -> Result<(Subscriber, mpsc::Receiver<SyncEvent>), IdentityError> {
        Subscriber::start_for(config, primary, Purpose::Follow, None)
    }

    /// Starts to take what a server has, whatever its role, until the subscriber is stopped.
    ///
    /// # Errors
    /// As [`Subscriber::start`].
    pub fn take(
        config: SubscriberConfig,
        from: PeerAddress,
        login: Option<Login>,
    ) -> Result<(Subscriber, mpsc::Receiver<SyncEvent>), IdentityError> {
        Subscriber::start_for(config, Some(from), Purpose::Take, login)
    }

    fn start_for(
        config: SubscriberConfig,
        primary: Option<PeerAddress>,
        purpose: Purpose,
        login: Option<Login>,
    ) -> Result<(Subscriber, mpsc::Receiver<SyncEvent>), IdentityError> {
        tls::caller_config(&config.identity, tls::SYNC)?;
        let (events, receiver) = mpsc::channel(256);
        let (wishes, inbox) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let (suspects, pause) = (BTreeSet::new(), FIRST_PAUSE);
        let follower = Follower { config, events, inbox, primary, purpose, login, suspects, pause };
        let token = stop.clone();
        tokio::spawn(async move { token.run_until_cancelled(follower.run()).await });
        Ok((Subscriber { wishes, stop }, receiver))
    }

    /// Follow this server from here on.
    pub fn set_primary(&self, primary: Option<PeerAddress>) {
        self.wishes.send(Wish::Primary(primary)).ok();
    }
    /// What this server runs has changed: ask for another answer.
    pub fn call_again(&self) {
        self.wishes.send(Wish::CallAgain).ok();
    }
    /// Own records were written: send them.
    pub fn records_written(&self) {
        self.wishes.send(Wish::RecordsWritten).ok();
    }
    /// A scrub found rows of these tables changed behind the store's back: repair them from the primary.
    pub fn check(&self, tables: Vec<Table>) {
        self.wishes.send(Wish::Check(tables)).ok();
    }

    /// Fetches a file from the primary. It bears the name `into` only once it is whole and its SHA-256 is right.
    ///
    /// # Errors
    /// No connection, the primary does not have it, something else came, or it could not be written.
    pub async fn fetch(&self, sha256: &str, into: &Path) -> Result<PathBuf, FetchError> {
        if !is_name(sha256) {
            return Err(FetchError::BadName(sha256.to_owned()));
        }
        let (done, answer) = oneshot::channel();
        self.wishes.send(Wish::Fetch { sha256: sha256.to_owned(), into: into.to_owned(), done }).ok();
        answer.await.unwrap_or_else(|_| Err(FetchError::Disconnected { sha256: sha256.to_owned() }))
    }

    /// Ends the connection and calls no more.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) struct Follower {
    pub config: SubscriberConfig,
    pub events: mpsc::Sender<SyncEvent>,
    pub inbox: mpsc::UnboundedReceiver<Wish>,
    primary: Option<PeerAddress>,
    purpose: Purpose,
    login: Option<Login>,
    /// Tables that a scrub here found wrong and that were not repaired yet.
    pub suspects: BTreeSet<Table>,
    pause: Duration,
}

impl Follower {
    async fn run(mut self) {
        loop {
            let Some(primary) = self.primary.clone() else {
                self.wait(None).await;
                continue;
            };
            match self.follow(&primary).await {
                // The host wants something else now.
                End::Wished(wish) => {
                    self.take(wish);
                    self.pause = FIRST_PAUSE;
                }
                End::Final => self.wait(Some(FINAL_PAUSE)).await,
                End::Broken(reason) => {
                    self.tell(SyncEvent::Disconnected { primary: primary.id, reason }).await;
                    let pause = self.pause;
                    self.pause = (pause * 2).min(LONGEST_PAUSE);
                    self.wait(Some(pause)).await;
                }
            }
        }
    }

    async fn follow(&mut self, primary: &PeerAddress) -> End {
        let (sender, receiver, position, answer) = match self.call(primary).await {
            Ok(called) => called,
            Err(reason) => return End::Broken(reason),
        };
        self.tell(SyncEvent::Connected { primary: primary.id }).await;
        match answer {
            SyncAnswer::Snapshot { reason: SnapshotReason::BranchLost { by, fork } } => {
                self.tell(SyncEvent::BranchLost { primary: primary.id, by, fork }).await;
            }
            SyncAnswer::Stream { .. } | SyncAnswer::Snapshot { .. } => self.pause = FIRST_PAUSE,
            SyncAnswer::Deprovisioned | SyncAnswer::VersionMismatch { .. } => {
                self.pause = FIRST_PAUSE;
                self.tell(SyncEvent::Withheld { primary: primary.id, answer: Box::new(answer.clone()) }).await;
            }
            _ => {
                self.tell(SyncEvent::Withheld { primary: primary.id, answer: Box::new(answer) }).await;
                return End::Final;
            }
        }
        Intake::new(self, primary.id, sender, receiver, position, &answer).run().await
    }

    /// Calls, says where this copy stands, and hears the answer.
    async fn call(
        &mut self,
        primary: &PeerAddress,
    ) -> Result<(Sender, Receiver, Option<Position>, SyncAnswer), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let (store, host, purpose) = (self.config.store.clone(), self.config.host.clone(), self.purpose);
        let read = move || -> Result<_, StoreError> {
            // Who takes what another server has means to have it, whatever else it has seen.
            let newest = if purpose == Purpose::Follow { host.newest_lineage()? } else { Vec::new() };
            Ok((store.position()?, store.epochs()?, newest))
        };
        let (position, lineage, newest) = blocking(read).await.map_err(|error| text(&error))?;
        let conversation = async {
            let SubscriberConfig { identity, roster, heartbeat, .. } = &self.config;
            let (mut sender, mut receiver) = ask::connect(identity, roster, primary, *heartbeat).await?;
            let hello = SyncHello {
                server: self.config.identity.server(),
                incarnation: self.config.host.incarnation(),
                versions: self.config.host.versions(),
                position: position.clone(),
                lineage,
                newest,
            };
            let hello = Up::Hello {
                hello: Box::new(hello),
                protocol: self.config.host.protocol(),
                credit: CREDIT,
                purpose: self.purpose,
                login: self.login.clone(),
            };
            sender.send(&hello).await.map_err(|error| text(&error))?;
            loop {
                match receiver.next::<Down>().await.map_err(|error| text(&error))? {
                    Incoming::Document(Down::Answer { answer, epochs, .. }, _) => {
                        return Ok((sender, receiver, *answer, epochs));
                    }
                    Incoming::Unknown(_) => {}
                    _ => return Err("the first message is not an answer".to_owned()),
                }
            }
        };
        let answered: Result<_, String> = match tokio::time::timeout(Duration::from_secs(10), conversation).await {
            Ok(answered) => answered,
            Err(_) => Err("no answer".to_owned()),
        };
        let (sender, receiver, answer, epochs) = answered?;
        if matches!(answer, SyncAnswer::Stream { .. }) {
            let store = self.config.store.clone();
            blocking(move || store.learn_epochs(&epochs)).await.map_err(|error| text(&error))?;
        }
        Ok((sender, receiver, position, answer))
    }

    /// Waits for a while, or until something is wished that is a reason to call at once.
    async fn wait(&mut self, pause: Option<Duration>) {
        let until = pause.map(|pause| Instant::now() + pause);
        loop {
            let wish = match until {
                None => self.inbox.recv().await,
                Some(until) => match tokio::time::timeout_at(until, self.inbox.recv()).await {
                    Ok(wish) => wish,
                    Err(_) => return,
                },
            };
            match wish {
                Some(wish) => {
                    if self.take(wish) {
                        return;
                    }
                }
                // The subscriber is gone; its token ends this task.
                None => std::future::pending().await,
            }
        }
    }

    /// Takes a wish while no connection stands. Returns whether it is a reason to call at once.
    fn take(&mut self, wish: Wish) -> bool {
        match wish {
            Wish::Primary(primary) => {
                let differs = self.primary != primary;
                self.primary = primary;
                differs
            }
            Wish::CallAgain => true,
            Wish::RecordsWritten => false,
            Wish::Check(tables) => {
                self.suspects.extend(tables);
                false
            }
            Wish::Fetch { sha256, done, .. } => {
                done.send(Err(FetchError::Disconnected { sha256 })).ok();
                false
            }
        }
    }

    pub(crate) fn follows(&self, primary: Option<&PeerAddress>) -> bool {
        self.primary.as_ref() == primary
    }

    pub(crate) async fn tell(&self, event: SyncEvent) {
        self.events.send(event).await.ok();
    }
}
