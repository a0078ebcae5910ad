//! Starting and stopping: what is made in which order, and in which order it ends. Wiring only.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, atomic::AtomicBool, atomic::Ordering},
    time::{Duration, Instant},
};

use onealert_core::{
    config::Role,
    life::{Deed, Life},
    members,
    node::{Identity as NodeIdentity, Node},
    time::Span,
    tuning::{BadTuning, Tuning},
};
use onealert_drivers::{Config as DriverConfig, Drivers, Timings};
use onealert_media::engine::EngineError;
use onealert_peers::{
    IdentityError, Listener, ListenerConfig, Mesh, MeshConfig, OwnRecords, Publisher, PublisherConfig, Roster,
    Services, Subscriber, SubscriberConfig, join::JoinService,
};
use onealert_store::{ActivationStore, ActivationWriter, HistoryStore, StoreError};
use onealert_web::{
    needs::{Live, Status},
    serve,
};
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    alerts,
    answers::Answers,
    beats::Beats,
    clock::Clock,
    configuration::{Configuration, ConfigurationError},
    control,
    deliver::Deliveries,
    doors::{Listening, bind, pages},
    drill::Rehearsals,
    drive::{Driver, Happened, Loop},
    enrol::Gate,
    follow::{self, Followers},
    health,
    hub::{Hub, Peers, Ring},
    install::{self, InstallError},
    life::Lives,
    locality::{self, Locality},
    meet,
    occupancy::Occupancy,
    passwords::Passwords,
    records::Records,
    relay,
    replication::{self, Publishes, Subscribes},
    scheduler,
    seal::Seal,
    settings::Settings,
    sound::{self, Sound},
    upkeep,
    watched::Watch,
    world::Outside,
};

/// A balancer must have seen the 404 of a draining server before its doors close.
const DRAIN_LEAST: Duration = Duration::from_secs(3);
/// So long a drain lets running deliveries finish; then they are handed over to the next server.
const DRAIN_FINISH: Duration = Duration::from_secs(12);
/// A drain does not wait longer than this for what was handed over; another server takes it over without being asked.
const DRAIN_MOST: Duration = Duration::from_secs(20);

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// A database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration.
    #[error("configuration: {0}")]
    Configuration(#[from] ConfigurationError),
    /// Key or certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Redundancy times that do not fit together.
    #[error("timing: {0}")]
    Timing(#[from] BadTuning),
    /// The audio sender.
    #[error(transparent)]
    Sound(#[from] EngineError),
    /// A port is taken.
    #[error("cannot listen on {address} for {what}: another process does; end it, or change [listen]")]
    Taken {
        /// Where.
        address: SocketAddr,
        /// For what.
        what: &'static str,
    },
    /// A port is not allowed, or its address not there.
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// For what.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// Something else that the system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

/// A running server.
pub struct App {
    hub: Arc<Hub>,
    stop: watch::Sender<bool>,
    mesh: Mesh,
    door: Listener,
    subscriber: Option<Arc<Subscriber>>,
    watch: Watch,
    looping: tokio::task::JoinHandle<()>,
    serving: tokio::task::JoinHandle<()>,
    _occupancy: Occupancy,
    /// Where it listens, for people.
    pub listening: Listening,
}

impl App {
    /// Starts a server. Returns when it listens and has read everything that it kept.
    ///
    /// # Errors
    /// Something that it needs cannot be had; the text names it.
    pub async fn start(settings: Settings) -> Result<App, StartError> {
        let clock = Clock::new();
        let started = clock.now().wall;
        let (mesh_listener, mesh_address) = bind(settings.listen.mesh, "the other servers").await?;
        let http = match settings.listen.http {
            Some(address) => Some(bind(address, "pages").await?),
            None => None,
        };
        let https = match settings.listen.https {
            Some(address) => Some(bind(address, "pages with TLS").await?),
            None => None,
        };
        let (http_address, https_address) = (http.as_ref().map(|it| it.1), https.as_ref().map(|it| it.1));
        let advertised = (
            install::advertised_mesh(&settings, mesh_address),
            install::advertised_web(&settings, https_address, http_address),
        );
        let folder = {
            let (settings, (mesh, web)) = (settings.clone(), advertised);
            let opened = tokio::task::spawn_blocking(move || install::open(&settings, &mesh, &web)).await;
            opened.map_err(|error| StartError::Io {
                doing: "open the data folder",
                source: std::io::Error::other(error),
            })??
        };
        let (me, occupancy) = (folder.me, folder.occupancy);
        let local = Arc::new(folder.local);
        let boot = u64::from_be_bytes(crate::draw());
        let heartbeat = Duration::from_millis(settings.timing.heartbeat_ms);
        let tuning = Tuning::from_heartbeat(Span::millis(settings.timing.heartbeat_ms))?
            .with_hold_down(Span::secs(settings.timing.hold_down_s))?;

        // What was kept.
        let (activations, recovered) = ActivationStore::open(&folder.path.join("activations.db"))?;
        for row in &recovered.quarantined {
            tracing::error!(
                activation = row.id,
                reason = row.reason,
                "a stored activation cannot be read; it is set aside"
            );
        }
        let history = HistoryStore::open(&folder.path.join("history.db"))?;
        let records = Records::new(me, history)?;
        records.reconcile(&recovered.knowledge)?;
        let configuration = Arc::new(Configuration::open(Arc::new(folder.store))?);
        let identity = Arc::new(folder.identity);
        let seal = Arc::new(Seal::of(&identity)?);
        let roster = Roster::new([]);

        // Sound, drivers, deliveries.
        let (way, events) = Loop::new(clock);
        let own = locality::stored(&local, &settings.media.interface)?;
        std::fs::create_dir_all(&settings.audio)
            .map_err(|source| StartError::Io { doing: "make the audio folder", source })?;
        let sound = Arc::new(Sound::start(&settings.media, own, &settings.audio)?);
        let program = (PathBuf::from("/proc/self/exe"), vec!["driver-worker".to_owned()]);
        let (drivers, driver_events) = Drivers::start(DriverConfig {
            folder: settings.drivers.clone(),
            store: folder.path.join("driver-store"),
            state: folder.path.join("driver-state"),
            worker: program,
            timings: Timings::default(),
        })
        .map_err(|source| StartError::Io { doing: "open the driver folders", source })?;
        let name = configuration.config().servers.get(&me.server).map_or(settings.name.clone(), |row| row.name.clone());
        let address = settings.listen.mesh.ip().to_string();
        let deliveries = Deliveries::new(
            me.server,
            name.clone(),
            address,
            drivers.clone(),
            seal.clone(),
            sound.clone(),
            way.sender(),
        );

        // The hub.
        let (mesh, mesh_events) = Mesh::start(MeshConfig {
            server: me.server,
            incarnation: me.incarnation,
            boot,
            identity: identity.clone(),
            roster: roster.clone(),
            protocol: crate::product::protocol(),
            heartbeat,
        })?;
        let now = configuration.now();
        if !now.lineage.is_empty() {
            local.see_lineage(&now.lineage)?;
        }
        let waits = folder.role == Role::Primary && !members::licensed_order(&now.config).is_empty();
        let life = if folder.life == Life::Active && waits { Life::Opening } else { folder.life };
        let empty =
            Live { status: Status { at: started, servers: Vec::new(), attention: Vec::new() }, running: Vec::new() };
        let (notices, noticed) = mpsc::unbounded_channel();
        let hub = Arc::new(Hub {
            server: me.server,
            incarnation: me.incarnation,
            lives: Lives::new(local.clone(), folder.role, life, folder.followed),
            identity: identity.clone(),
            seal,
            unopened: Mutex::default(),
            roster: roster.clone(),
            own_row: folder.own_row,
            opening: Mutex::default(),
            report_due: Mutex::default(),
            opening_changed: Notify::new(),
            promoting: tokio::sync::Mutex::default(),
            unproven: watch::Sender::default(),
            peers: OnceLock::new(),
            started,
            clock,
            sync_log: Arc::new(Ring::new(configuration.clone())),
            configuration,
            rehearsals: Rehearsals::default(),
            way: way.clone(),
            drivers,
            deliveries: deliveries.clone(),
            records: records.clone(),
            passwords: Passwords::new(),
            beats: Beats::new(Span::millis(settings.timing.heartbeat_ms)),
            locality: Locality::new(local.clone(), sound),
            live: watch::Sender::new(Arc::new(empty)),
            standing: watch::Sender::default(),
            alerts: notices.clone(),
            known: Default::default(),
            sync_state: watch::Sender::new(replication::first_state(folder.role)),
            ready: AtomicBool::new(false),
            store_refuses: AtomicBool::new(false),
            sound_files: Mutex::new(sound::files(&settings.audio)),
            settings,
        });
        let (dirty, drivers_changed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (stop, stopped) = watch::channel(false);
        let watch = Watch::new(hub.lives.restart.clone());

        // The loop.
        let standing = health::standing(&hub);
        let identity_of_node = NodeIdentity { server: me.server, incarnation: me.incarnation, boot, started };
        let config = hub.config();
        let others = config.servers.values().filter(|row| row.id != me.server && !row.deprovisioned);
        let peers = others.map(|row| row.id).collect();
        let out_of_service = matches!(life, Life::Inert | Life::Restored | Life::Unlicensed);
        let restored = if out_of_service { Vec::new() } else { recovered.knowledge };
        let node = Node::new(identity_of_node, tuning, peers, standing, restored, clock.now());
        let report = way.sender();
        let stores = hub.clone();
        let writer = ActivationWriter::start(activations, move |written| {
            stores.store_refuses.store(written.result.is_err(), Ordering::Relaxed);
            let _ = report.send(match written.result {
                Ok(()) => Happened::Persisted(written.ticket),
                Err(reason) => Happened::PersistFailed(written.ticket, reason),
            });
        })?;
        let outside = Outside {
            mesh: mesh.clone(),
            writer,
            report: way.sender(),
            deliveries,
            records: records.clone(),
            rehearsals: hub.rehearsals.clone(),
            log: hub.sync_log.clone(),
            alerts: notices,
            dirty: dirty.clone(),
        };
        let looping = watch.keep("loop", Driver::new(node, outside, &way, events).run());
        if out_of_service {
            way.tell(Happened::Retire);
        }
        watch.keep("relay", relay::run(mesh_events, way.clone(), hub.clone()));

        // Peers.
        let publisher = Publisher::new(PublisherConfig {
            server: me.server,
            roster: roster.clone(),
            store: hub.configuration.store().clone(),
            host: Arc::new(Publishes { hub: hub.clone() }),
            activity: Arc::new(records.clone()),
            heartbeat,
        });
        let subscriber = match folder.role {
            Role::Primary => None,
            Role::Secondary => {
                let (subscriber, events) = Subscriber::start(
                    SubscriberConfig {
                        identity: identity.clone(),
                        roster: roster.clone(),
                        store: hub.configuration.store().clone(),
                        host: Arc::new(Subscribes { hub: hub.clone() }),
                        activity: Arc::new(OwnRecords { server: me.server, history: records.history() }),
                        heartbeat,
                    },
                    None,
                )?;
                let subscriber = Arc::new(subscriber);
                watch.finish("copy", replication::copy(hub.clone(), events, dirty.clone()));
                watch.keep("records", replication::deliver_records(records.clone(), subscriber.clone()));
                Some(subscriber)
            }
        };
        let peers = Peers { publisher: publisher.clone(), subscriber: subscriber.clone() };
        hub.peers.set(peers).map_err(drop).expect("set once, here");
        let join = Some(JoinService::new(identity.clone(), Arc::new(Gate(hub.clone()))));
        let services = Services { mesh: mesh.clone(), publisher: publisher.clone(), join };
        let door = Listener::start(ListenerConfig::new(mesh_listener, identity.clone()), services)?;

        // What follows the configuration, and pages.
        let followers = Followers {
            hub: hub.clone(),
            mesh: mesh.clone(),
            roster,
            publisher,
            subscriber: subscriber.clone(),
            drivers_changed: drivers_changed.clone(),
        };
        watch.keep("followers", followers.run(stopped.clone()));
        watch.keep("drivers", follow::drivers(hub.clone(), driver_events, drivers_changed, dirty.clone()));
        watch.keep("live", follow::live(hub.clone(), dirty, stopped.clone()));
        watch.keep("health", follow::health(hub.clone(), heartbeat, stopped.clone()));
        watch.keep("alerts", alerts::watch(hub.clone(), noticed, heartbeat, stopped.clone()));
        watch.keep("scheduler", scheduler::run(hub.clone(), stopped.clone()));
        watch.finish("opening", meet::open(hub.clone()));
        watch.keep("upkeep", upkeep::run(hub.clone(), stopped.clone()));
        let answers = Arc::new(Answers(hub.clone()));
        if let Some(orders) = control::listen(&hub.settings.data) {
            watch.keep("control", control::serve(answers.clone(), orders, stopped.clone()));
        }
        let listening = Listening {
            mesh: mesh_address,
            http: http_address,
            https: https_address,
            fingerprint: identity.fingerprint(),
            drawn_password: folder.drawn_password,
            role: folder.role,
            name,
        };
        let serving = watch.keep("pages", serve(answers, pages(&hub, http, https, &identity)?, stopped));
        hub.ready.store(true, Ordering::Release);
        Ok(App { hub, stop, mesh, door, subscriber, watch, looping, serving, _occupancy: occupancy, listening })
    }

    /// Returns when the program is to be started anew in its place, because what is in the data folder is another server's
    /// from here on, or because something that the server needs has broken down.
    pub async fn starts_anew(&self) {
        let mut restart = self.hub.lives.restart.subscribe();
        // The hub lives as long as this: the wait ends by the wish only.
        let _ = restart.wait_for(|restart| *restart).await;
    }

    /// Stops in good order: takes nothing new, lets what runs finish or be taken over, then closes.
    pub async fn stop(self) {
        let began = Instant::now();
        self.watch.stopping();
        self.hub.way.tell(Happened::Drain);
        self.hub.standing.send_modify(|duty| duty.draining = true);
        let alone = self.hub.config().servers.values().filter(|row| !row.deprovisioned).count() <= 1;
        let mut looping = self.looping;
        if tokio::time::timeout(DRAIN_FINISH, &mut looping).await.is_err() {
            tracing::info!("what has not finished is handed over to the next server");
            self.hub.way.tell(Happened::HandOver);
            let _ = tokio::time::timeout(DRAIN_MOST - DRAIN_FINISH, looping).await;
        }
        // Without another server, and for one that is out of service, there is no balancer to wait for.
        if !alone && self.hub.may(Deed::Send).is_ok() {
            tokio::time::sleep_until((began + DRAIN_LEAST).into()).await;
        }
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(Duration::from_secs(6), self.serving).await;
        if let Some(subscriber) = &self.subscriber {
            subscriber.stop();
        }
        self.mesh.stop();
        self.door.stop();
        self.hub.drivers.stop();
    }
}
