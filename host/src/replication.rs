//! Configuration between servers, as the host carries it: what the primary answers, what a secondary says of itself, and what
//! is done with what arrives.

use std::{path::PathBuf, sync::Arc};

use onealert_core::{
    config::{Role, UserRole},
    effect::Absence,
    ids::{Incarnation, ServerId, UserId},
    life::{Deed, Life},
    lineage::Generation,
    members,
    promotion::Told,
    replicate::{Enrolment, Epoch, PrimaryView, SyncAnswer, SyncHello, answer},
    time::Wall,
    version::VersionSet,
};
use onealert_peers::{Login, NotKept, PublisherHost, Subscriber, SubscriberHost, SyncEvent};
use onealert_store::{StoreError, history::Mark, snapshot::SnapshotHeader};
use onealert_web::needs::State;
use tokio::sync::{Notify, mpsc};

use crate::{
    alerts::Noticed,
    hub::{Hub, SyncState},
    meet, product,
    records::Records,
    retire,
};

/// Tells the subscriber that there are records to send.
pub async fn deliver_records(records: Records, subscriber: Arc<Subscriber>) {
    let mut grown = records.grown();
    while grown.changed().await.is_ok() {
        subscriber.records_written();
    }
}

/// Folds in what the primary sends.
pub async fn copy(hub: Arc<Hub>, mut events: mpsc::Receiver<SyncEvent>, dirty: Arc<Notify>) {
    while let Some(event) = events.recv().await {
        let text = event.to_string();
        // What somebody meant is no warning in the log, though configuration is locked by it.
        let mut planned = false;
        let (state, news) = match &event {
            SyncEvent::Applied { position, changes } => {
                if let Err(error) = hub.configuration.fold(changes, position.clone()) {
                    tracing::error!(%error, "a change of the primary cannot be read; reading everything again");
                    reload(&hub);
                }
                (State::Ok, None)
            }
            SyncEvent::Replaced { .. } => {
                reload(&hub);
                (State::Ok, None)
            }
            SyncEvent::Repaired { .. } => {
                reload(&hub);
                // The rows agree again; that somebody edits the database by hand is for the operator to know.
                let _ = hub.alerts.send(Noticed::Rows(text.clone()));
                (State::Warning, None)
            }
            SyncEvent::InSync { .. } => {
                retire::licensed(&hub);
                (State::Ok, Some("In sync with the primary"))
            }
            SyncEvent::Connected { .. } => {
                hub.lives.primary_heard(true);
                (State::Ok, None)
            }
            SyncEvent::NothingLeft => {
                retire::nothing_left(&hub);
                (State::Ok, None)
            }
            SyncEvent::RecordsDelivered { upto } => {
                went_back(&hub, *upto);
                (State::Ok, None)
            }
            SyncEvent::Behind { .. } | SyncEvent::SnapshotBegun { .. } => {
                (State::Warning, Some("Receiving configuration"))
            }
            SyncEvent::Disconnected { primary, .. } => {
                hub.lives.primary_heard(false);
                planned = said_farewell(&hub, *primary).await;
                let news = if planned {
                    "The primary was stopped in good order; configuration is locked until it is back"
                } else {
                    "The primary cannot be reached; configuration is locked"
                };
                (State::Warning, Some(news))
            }
            SyncEvent::Withheld { primary, answer } => {
                if **answer == SyncAnswer::Deprovisioned {
                    retire::told(&hub, &format!("the primary {primary}"));
                }
                if matches!(**answer, SyncAnswer::NotLicensed { .. }) {
                    retire::unlicensed(&hub, &format!("the primary {primary}"));
                }
                (State::Bad, Some(text.as_str()))
            }
            SyncEvent::BranchLost { .. } | SyncEvent::Diverged { .. } | SyncEvent::Fault { .. } => {
                (State::Bad, Some(text.as_str()))
            }
        };
        if let Some(news) = news {
            hub.sync_state.send_replace(SyncState { state, text: news.to_owned() });
        }
        hub.sync_log.push(if planned { State::Ok } else { state }, "sync", text);
        dirty.notify_one();
    }
}

/// Whether a server said, in the life that was last heard, that it stops.
async fn said_farewell(hub: &Hub, server: ServerId) -> bool {
    let seen = hub.way.look(move |node| node.peers().into_iter().find(|peer| peer.id == server)).await;
    // Where the loop has ended, this server is stopping itself.
    seen.ok().flatten().is_some_and(|peer| peer.absence == Absence::Announced)
}

/// The primary knows records of this server that it does not have itself: its data folder is an older copy. They stay known
/// there, and what this server writes has numbers of the life that began with its start. Where that life is not above those that
/// the primary knows (the clock was set back too, or a machine was put back that ran), numbers would be given out twice: it
/// begins another one.
fn went_back(hub: &Hub, known: Mark) {
    if known.incarnation < hub.incarnation {
        if hub.records.is_behind(known) {
            let text = "the data folder of this server is an older copy: the primary has records of it that are not here; they \
                        stay there, and nothing is numbered twice";
            hub.sync_log.push(State::Warning, "servers", text);
        }
        return;
    }
    let own = hub.records.history().have().ok().and_then(|mut have| have.remove(&hub.server));
    let here = own.unwrap_or(Mark { incarnation: hub.incarnation, seq: 0 });
    if known <= here {
        return;
    }
    match hub.lives.local().draw_incarnation(known.incarnation) {
        Ok(identity) => {
            let text = format!(
                "the primary has records of this server that are not here: its data folder is an older copy; it begins \
                 life {}",
                identity.incarnation.0
            );
            hub.sync_log.push(State::Warning, "servers", text);
            hub.lives.start_anew();
        }
        Err(error) => tracing::error!(%error, "another life of the data folder could not be begun"),
    }
}

fn reload(hub: &Hub) {
    if let Err(error) = hub.configuration.reload() {
        tracing::error!(%error, "the configuration cannot be read");
    }
}

/// The answers to those who call for configuration.
pub struct Publishes {
    /// The running server.
    pub hub: Arc<Hub>,
}

impl Publishes {
    fn view(&self, hello: &SyncHello, publishes: bool, enrolment: Enrolment) -> Result<SyncAnswer, StoreError> {
        let store = self.hub.configuration.store();
        let head = self.hub.configuration.now().position;
        let epochs = store.epochs()?;
        let tail = store.log_bounds()?.tail;
        let digests_at = match &hello.position {
            Some(position) => store.digests_at(position.lsn)?,
            None => None,
        };
        let versions = self.hub.versions();
        let view = PrimaryView {
            is_primary: publishes,
            head: &head,
            tail,
            epochs: &epochs,
            digests_at: digests_at.as_ref(),
            versions: &versions,
            enrolment,
        };
        Ok(answer(&view, hello))
    }
}

impl PublisherHost for Publishes {
    fn answer(&self, hello: &SyncHello) -> Result<SyncAnswer, StoreError> {
        let config = self.hub.config();
        let publishes = self.hub.may(Deed::Publish).is_ok();
        let enrolment = match publishes {
            true => members::enrolment(&config, hello.server, self.hub.licence_limit()),
            // Whoever is not the primary has nobody enrolled; it says that it is none.
            false => Enrolment::Enrolled,
        };
        if self.hub.configuration.now().lineage.is_empty() {
            return Ok(SyncAnswer::NotPrimary);
        }
        if let Some(position) = &hello.position {
            meet::position(&self.hub, hello.server, position);
        }
        let publishes = publishes && self.hub.may(Deed::Publish).is_ok();
        let answer = self.view(hello, publishes, enrolment)?;
        if let SyncAnswer::Fenced { .. } = answer {
            // Whoever calls has met the server that was promoted; this one need not hear it itself.
            for lineage in [&hello.newest, &hello.lineage] {
                let generation = Generation { lineage: lineage.clone(), primary: None, life: Life::Active };
                meet::generation(&self.hub, &generation);
            }
        }
        Ok(answer)
    }

    fn answer_taking(&self, hello: &SyncHello) -> Result<SyncAnswer, StoreError> {
        if self.hub.configuration.now().lineage.is_empty() {
            return Ok(SyncAnswer::NotPrimary);
        }
        self.view(hello, true, Enrolment::Enrolled)
    }

    fn told(&self) -> Result<Option<Told>, StoreError> {
        let (now, place) = (self.hub.configuration.now(), self.hub.place());
        let row = now.config.servers.get(&self.hub.server);
        Ok(Some(Told {
            server: self.hub.server,
            name: row.map_or_else(|| self.hub.settings.name.clone(), |row| row.name.clone()),
            role: place.role,
            life: place.life,
            position: (!now.lineage.is_empty()).then(|| now.position.clone()),
            lineage: now.lineage.to_vec(),
        }))
    }

    fn admits(&self, login: &Login) -> bool {
        let config = self.hub.config();
        let user = config.users.get(&UserId(login.user.trim().to_lowercase()));
        let admin = user.filter(|row| row.active && row.role == UserRole::Admin).map(|row| row.password_hash.as_str());
        // Called on a thread that may wait.
        tokio::runtime::Handle::current().block_on(self.hub.passwords.check(admin, &login.password))
    }

    fn follow(&self, generation: &Generation) -> bool {
        meet::generation(&self.hub, generation)
    }

    fn withheld(&self, caller: ServerId, answer: &SyncAnswer) {
        let SyncAnswer::VersionMismatch { verdict } = answer else { return };
        let config = self.hub.config();
        let name = config.servers.get(&caller).map_or_else(|| caller.to_string(), |row| row.name.clone());
        self.hub.sync_log.push(State::Bad, "sync", format!("{name} gets no configuration: {verdict}"));
    }

    fn protocol(&self) -> u32 {
        product::sync_protocol()
    }

    fn driver_file(&self, sha256: &str) -> Option<PathBuf> {
        self.hub.drivers.file(sha256)
    }
}

/// What a secondary says of itself when it calls.
pub struct Subscribes {
    /// The running server.
    pub hub: Arc<Hub>,
}

impl SubscriberHost for Subscribes {
    fn versions(&self) -> VersionSet {
        self.hub.versions()
    }
    fn protocol(&self) -> u32 {
        product::sync_protocol()
    }
    fn newest_lineage(&self) -> Result<Vec<Epoch>, StoreError> {
        self.hub.lives.local().newest_lineage()
    }
    fn incarnation(&self) -> Incarnation {
        self.hub.incarnation
    }
    fn now(&self) -> Wall {
        crate::clock::wall()
    }
    fn superseded(&self, shared: u64, by: &SnapshotHeader) -> Result<(), NotKept> {
        meet::report(&self.hub, by.position.epoch, shared).map_err(|error| NotKept(error.to_string()))
    }
}

/// How a server's copy stands before anything was heard.
pub fn first_state(role: Role) -> SyncState {
    match role {
        Role::Primary => SyncState { state: State::Ok, text: "Primary".to_owned() },
        Role::Secondary => SyncState { state: State::Warning, text: "Not yet connected to the primary".to_owned() },
    }
}
