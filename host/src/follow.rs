//! What a change of the configuration does: who the peers are, which drivers run, what they look after, what this server
//! says of itself.

use std::{
    collections::BTreeMap,
    path::Path,
    pin::pin,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use onealert_core::{
    alert::ACTIVATOR,
    config::{Config, DEFAULT_GROUP, Driver, Role, Server, Table},
    ids::{DriverId, EpochId, GroupId, ServerId},
    life::{Deed, Life},
    members,
    replicate::SyncHello,
};
use onealert_drivers::{DriverEvent, Enabled};
use onealert_peers::{Asker, Mesh, PeerAddress, Publisher, Roster, RosterEntry, Subscriber};
use onealert_plugin_api::document::{Desired, Event, Failure, Outcome, Target, TriggerAnswer, TriggerEvent, Watch};
use onealert_web::needs::State;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    drive::Happened,
    health::standing,
    hub::{Duty, Hub},
    intake::{self, Here},
    policy, retire,
    seal::{Row as SealedRow, Seal, Unopened},
    trust,
};

/// How often pages get the live state at most, and at least.
const LIVE: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(1));
/// How often this server looks how it is.
const HEALTH: Duration = Duration::from_secs(5);
/// How seldom the loop turns at most.
const LOOP_TURNS: Duration = Duration::from_millis(250);
/// How often a missing driver file is asked for again.
const FETCH_AGAIN: Duration = Duration::from_secs(5);
/// How long the primary may take to send one before others are asked.
const FETCH_MOST: Duration = Duration::from_secs(60);

/// What follows the configuration.
pub struct Followers {
    /// The running server.
    pub hub: Arc<Hub>,
    /// The connections to the other servers.
    pub mesh: Mesh,
    /// Who may speak.
    pub roster: Arc<Roster>,
    /// Sends configuration to secondaries.
    pub publisher: Publisher,
    /// On a secondary: receives it.
    pub subscriber: Option<Arc<Subscriber>>,
    /// Woken when a driver's version on this server changed.
    pub drivers_changed: Arc<Notify>,
}

impl Followers {
    /// Follows until the server stops.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut changes = self.hub.configuration.changes();
        let mut lives = self.hub.lives.changes();
        // Goes on through every change of the configuration: a file of some megabytes must not begin again with each of them.
        let missing = watch::Sender::new(Vec::new());
        let mut fetching = pin!(self.fetch(missing.subscribe()));
        loop {
            let config = self.hub.config();
            if self.hub.place().role == Role::Secondary && members::left_out(&config, self.hub.server) {
                retire::unlicensed(&self.hub, "the configuration");
            }
            self.peers(&config);
            self.drivers(&config);
            if let Some(row) = config.servers.get(&self.hub.server) {
                self.hub.deliveries.rename(&row.name);
            }
            self.hub.way.tell(Happened::Policy(policy::of(&config)));
            self.remember_generation();
            self.hub.way.tell(Happened::Standing(Box::new(standing(&self.hub))));
            self.publisher.committed();
            missing.send_if_modified(|known| {
                let found = self.missing(&config);
                let differs = *known != found;
                *known = found;
                differs
            });
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                changed = lives.changed() => if changed.is_err() { return },
                () = self.drivers_changed.notified() => {}
                () = &mut fetching => return,
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Tells everybody who the other servers are.
    fn peers(&self, config: &Config) {
        let mut rows: BTreeMap<ServerId, &Server> = config.servers.iter().map(|(id, row)| (*id, row)).collect();
        let place = self.hub.place();
        // Whom this server was told to follow counts until the configuration is of that generation and names it itself.
        let lineage = self.hub.configuration.now().lineage;
        let reached = |generation: Option<EpochId>| match generation {
            Some(generation) => lineage.iter().any(|epoch| epoch.id == generation),
            None => !lineage.is_empty(),
        };
        let followed = self.hub.lives.followed().filter(|it| place.role == Role::Secondary && !reached(it.generation));
        let followed = followed.map(|followed| followed.row());
        if let Some(primary) = &followed {
            rows.insert(primary.id, primary);
        }
        let entry =
            |row: &&Server| RosterEntry { left_out: members::left_out(config, row.id), ..RosterEntry::from(*row) };
        self.roster.set(rows.values().map(entry));
        let in_service = self.hub.may(Deed::Send).is_ok();
        // Whom the licence leaves out is passed over like one that has left; it may call for configuration all the same.
        let serves = |row: &Server| !row.deprovisioned && !members::left_out(config, row.id);
        let others = rows.values().filter(|row| in_service && row.id != self.hub.server && serves(row));
        let addresses: Vec<PeerAddress> =
            others.map(|row| PeerAddress { id: row.id, address: row.mesh.clone() }).collect();
        self.hub.way.tell(Happened::Peers(addresses.iter().map(|peer| peer.id).collect()));
        if let Some(subscriber) = &self.subscriber {
            let named = rows.values().find(|row| row.role == Role::Primary && !row.deprovisioned).copied();
            // An inert server calls until it has given up what it held; a server that is being promoted calls nobody.
            let promoting = self.hub.promoting.try_lock().is_err();
            let calls =
                !promoting && place.role == Role::Secondary && (place.life != Life::Inert || !lineage.is_empty());
            let primary = followed.as_ref().or(named).filter(|row| calls && row.id != self.hub.server);
            subscriber.set_primary(primary.map(|row| PeerAddress { id: row.id, address: row.mesh.clone() }));
        }
        self.hub.beats.retain(|id| rows.contains_key(&id));
        self.mesh.set_peers(addresses);
    }

    /// Starts, replaces and stops workers, and tells them what to look after. Here secrets are opened; what has one that
    /// does not open is left alone, and everything else goes on.
    fn drivers(&self, config: &Config) {
        self.hub.drivers.set_trust(trust::of(config));
        let seal = &self.hub.seal;
        let mut unopened = Vec::new();
        let desired = desired(seal, config, &mut unopened);
        for (driver, desired) in desired {
            self.hub.drivers.set_desired(driver.as_str(), desired);
        }
        let in_service = self.hub.may(Deed::Send).is_ok();
        let mut settings = |row: &Driver| {
            let opened = seal.open(SealedRow { table: Table::Drivers, key: row.id.as_str() }, &row.settings);
            opened.map_err(|lost| {
                let text = lost.to_string();
                unopened.push(lost);
                text
            })
        };
        let enabled = config.drivers.values().filter(|row| in_service && row.enabled).map(|row| Enabled {
            id: row.id.to_string(),
            version: row.version.to_string(),
            sha256: row.sha256.clone(),
            settings: settings(row),
        });
        let enabled = enabled.collect();
        self.hub.drivers.set_enabled(enabled);
        let mut known = self.hub.unopened.lock().unwrap_or_else(PoisonError::into_inner);
        for lost in unopened.iter().filter(|lost| !known.contains(lost)) {
            tracing::error!("{lost}");
        }
        *known = Arc::new(unopened);
    }

    /// Remembers the generation of the configuration in the server's own file, where a restored database cannot take it back.
    fn remember_generation(&self) {
        let lineage = self.hub.configuration.now().lineage;
        if !lineage.is_empty()
            && let Err(error) = self.hub.lives.local().see_lineage(&lineage)
        {
            tracing::error!(%error, "a generation could not be remembered");
        }
    }

    /// Files of enabled drivers that are not on this server. One that is out of service needs none.
    fn missing(&self, config: &Config) -> Vec<String> {
        let fetches = self.hub.may(Deed::Send).is_ok();
        let enabled = config.drivers.values().filter(|row| fetches && row.enabled);
        enabled.map(|row| row.sha256.clone()).filter(|sha| self.hub.drivers.file(sha).is_none()).collect()
    }

    /// Fetches missing files from the other servers, one after the other, each again and again until it has come or is not
    /// wanted any more. Ends with whoever says what is missing.
    async fn fetch(&self, mut missing: watch::Receiver<Vec<String>>) {
        loop {
            let wanted = match missing.wait_for(|missing| !missing.is_empty()).await {
                Ok(wanted) => wanted.clone(),
                Err(_) => return,
            };
            for sha in wanted.iter().filter(|sha| self.hub.drivers.lacks_file(sha)) {
                match self.fetch_one(sha, &self.hub.drivers.file_place(sha)).await {
                    Ok(from) => {
                        self.hub.sync_log.push(State::Ok, "drivers", format!("fetched driver file {sha} from {from}"));
                        self.hub.drivers.file_came();
                        self.drivers_changed.notify_one();
                    }
                    Err(error) => {
                        tracing::warn!(%error, "driver file {sha} could not be fetched; it is asked for again")
                    }
                }
            }
            // Whoever wants something else wants it at once.
            let _ = tokio::time::timeout(FETCH_AGAIN, missing.changed()).await;
        }
    }

    /// One file: from the primary over the connection that stands, or else from any other server. Gives from whom.
    async fn fetch_one(&self, sha: &str, into: &Path) -> Result<String, String> {
        let mut reasons = Vec::new();
        if let (Some(subscriber), Ok(())) = (&self.subscriber, self.hub.may(Deed::Follow)) {
            match tokio::time::timeout(FETCH_MOST, subscriber.fetch(sha, into)).await {
                Ok(Ok(_)) => return Ok("the primary".to_owned()),
                Ok(Err(error)) => reasons.push(error.to_string()),
                Err(_) => reasons.push("the primary did not send it in time".to_owned()),
            }
        }
        let asker = Asker {
            identity: self.hub.identity.clone(),
            roster: self.roster.clone(),
            hello: SyncHello {
                server: self.hub.server,
                incarnation: self.hub.incarnation,
                versions: self.hub.versions(),
                position: None,
                lineage: Vec::new(),
                newest: Vec::new(),
            },
            login: None,
            heartbeat: Duration::from_millis(self.hub.settings.timing.heartbeat_ms),
        };
        let config = self.hub.config();
        for row in config.servers.values().filter(|row| row.id != self.hub.server && !row.deprovisioned) {
            match asker.fetch(&PeerAddress { id: row.id, address: row.mesh.clone() }, sha, into).await {
                Ok(_) => return Ok(row.name.clone()),
                Err(reason) => reasons.push(format!("{}: {reason}", row.name)),
            }
        }
        if reasons.is_empty() {
            reasons.push("there is no other server; put the file into the driver folder".to_owned());
        }
        Err(reasons.join("; "))
    }
}

/// What each driver is to look after. What has a secret that does not open is not part of it.
fn desired(seal: &Seal, config: &Config, unopened: &mut Vec<Unopened>) -> BTreeMap<DriverId, Desired> {
    let mut open = |table: Table, key: &str, value: &Value| match seal.open(SealedRow { table, key }, value) {
        Ok(value) => Some(value),
        Err(lost) => {
            unopened.push(lost);
            None
        }
    };
    let mut all: BTreeMap<DriverId, Desired> =
        config.drivers.keys().map(|id| (id.clone(), Desired::default())).collect();
    for row in config.endpoints.values() {
        let Some(address) = open(Table::Endpoints, row.id.as_str(), &row.address) else { continue };
        let target = Target { endpoint: row.id.to_string(), name: row.name.clone(), address };
        all.entry(row.driver.clone()).or_default().endpoints.push(target);
    }
    for row in config.triggers.values() {
        // This server's own activator is told nothing: it reads the configuration.
        if let Some(driver) = row.driver.as_ref().filter(|driver| driver.as_str() != ACTIVATOR) {
            let Some(settings) = open(Table::Triggers, row.id.as_str(), &row.settings) else { continue };
            let watch = Watch { trigger: row.id.to_string(), name: row.name.clone(), settings };
            all.entry(driver.clone()).or_default().triggers.push(watch);
        }
    }
    all
}

/// Takes what drivers say until they are stopped.
pub async fn drivers(
    hub: Arc<Hub>,
    mut events: mpsc::UnboundedReceiver<DriverEvent>,
    changed: Arc<Notify>,
    dirty: Arc<Notify>,
) {
    while let Some(event) = events.recv().await {
        match event {
            DriverEvent::FoundChanged => changed.notify_one(),
            DriverEvent::StateChanged { .. } => changed.notify_one(),
            DriverEvent::Event { id, event } => {
                hub.drivers.remember(&event);
                let handed = match event {
                    Event::Delivered { activation, results } => {
                        activation.parse().map(|activation| hub.deliveries.results(activation, results))
                    }
                    Event::Prepared { activation, prepared } => {
                        activation.parse().map(|activation| hub.deliveries.prepared(activation, prepared))
                    }
                    _ => Ok(()),
                };
                if let Err(error) = handed {
                    tracing::warn!(driver = id, %error, "a driver reports results of what is no activation");
                }
            }
            DriverEvent::Request { id, op, body, answer } => {
                let hub = hub.clone();
                tokio::spawn(async move {
                    let _ = answer.send(request(&hub, DriverId::from(id), &op, body).await);
                });
            }
        }
        dirty.notify_one();
    }
}

async fn request(hub: &Hub, driver: DriverId, op: &str, body: Value) -> Outcome {
    if op != "trigger" {
        return Outcome::Err(Failure::new("unsupported", format!("this server does not know the request {op}")));
    }
    match trigger(hub, &driver, body).await {
        Ok(answer) => Outcome::Ok(serde_json::to_value(answer).expect("an answer is plain data")),
        Err(failure) => {
            tracing::warn!(%driver, %failure, "a trigger event was not taken");
            Outcome::Err(failure)
        }
    }
}

async fn trigger(hub: &Hub, driver: &DriverId, body: Value) -> Result<TriggerAnswer, Failure> {
    let event: TriggerEvent = serde_json::from_value(body)
        .map_err(|error| Failure::new("bad_document", format!("trigger event: {error}")))?;
    let config = hub.config();
    let here = Here { config: &config, wall: crate::clock::wall() };
    let asked = intake::from_driver(here, driver, &event, u128::from_be_bytes(crate::draw()))
        .map_err(|error| Failure::new("refused", error.to_string()))?;
    tracing::info!(%driver, trigger = event.trigger, key = event.key, action = ?event.action, "trigger event");
    let taken = hub.way.submit(asked).await.map_err(|refusal| Failure::new("refused", refusal.to_string()))?;
    Ok(TriggerAnswer {
        activations: taken.iter().map(|taken| taken.activation.to_string()).collect(),
        duplicate: !taken.is_empty() && taken.iter().all(|taken| taken.duplicate),
        degraded: taken.iter().any(|taken| taken.degraded),
    })
}

/// Keeps the live state and the balancer's answer fresh until the server stops.
pub async fn live(hub: Arc<Hub>, dirty: Arc<Notify>, mut stop: watch::Receiver<bool>) {
    loop {
        let config = hub.config();
        let order = config.group_order(&GroupId::from(DEFAULT_GROUP));
        let me = hub.server;
        let duty = hub.way.look(move |node| Duty {
            draining: node.is_draining(),
            held: node.is_held(),
            resuming: node.is_resuming(),
            owner: node.would_own(&order) == Some(me),
        });
        let Ok(duty) = duty.await else { return };
        hub.standing.send_if_modified(|held| {
            // A stop that has begun since the loop was asked is not taken back.
            let duty = Duty { draining: duty.draining || held.draining, ..duty };
            std::mem::replace(held, duty) != duty
        });
        match crate::answers::live(&hub).await {
            Ok(live) => drop(hub.live.send_replace(Arc::new(live))),
            Err(_) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LIVE.1) => {}
            () = async { dirty.notified().await; tokio::time::sleep(LIVE.0).await } => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Beats this server's own heartbeat while its loop turns, and tells the peers when something about its health changed.
pub async fn health(hub: Arc<Hub>, heartbeat: Duration, mut stop: watch::Receiver<bool>) {
    let mut told = crate::health::health(&hub);
    // A disk that is found well needs no word.
    let mut disk = None;
    let mut looked: Option<Instant> = None;
    loop {
        // The loop wakes at least four times a second, whatever the heartbeat interval.
        if hub.way.last_turn() < 2 * heartbeat.max(LOOP_TURNS) {
            let draining = hub.standing.borrow().draining;
            hub.beats.heard(hub.server, hub.clock.now().mono, draining);
        }
        if looked.is_none_or(|at| at.elapsed() >= HEALTH) {
            looked = Some(Instant::now());
            // A server that a balancer leaves alone is asked to store nothing: it must find out by itself that it can again.
            if hub.store_refuses.load(Ordering::Relaxed) && crate::health::disk_takes(&hub.settings.data) {
                hub.store_refuses.store(false, Ordering::Relaxed);
            }
            tokio::task::block_in_place(|| hub.records.catch_up());
            let health = crate::health::health(&hub);
            if let Some((state, text)) = crate::health::disk_news(&hub.settings.data, disk, health.disk) {
                hub.sync_log.push(state, "disk", text);
            }
            disk = health.disk;
            if health != told {
                hub.way.tell(Happened::Standing(Box::new(standing(&hub))));
                told = health;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(heartbeat) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
