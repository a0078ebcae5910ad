//! Configuration on its way from a primary to a secondary while the network and both ends misbehave.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use onealert_core::{
    config::{Change, Setting, Table},
    ids::{EpochId, Incarnation},
    replicate::{Enrolment, Epoch, PrimaryView, SyncAnswer, SyncHello, answer},
    time::Wall,
    version::VersionSet,
};
use onealert_store::{ConfigStore, HistoryStore, SqliteStore, StoreError, change::Commit, snapshot::SnapshotHeader};
use tempfile::TempDir;

use super::{HEARTBEAT, PORT, Site, mesh_config, name, network, peers, seed};
use crate::{
    Listener, ListenerConfig, Mesh, NotKept, OwnRecords, Publisher, PublisherConfig, PublisherHost, Services,
    Subscriber, SubscriberConfig, SubscriberHost, SyncEvent, net,
};

const ROWS: u32 = 20_000;
const PATIENCE: Duration = Duration::from_secs(300);

fn versions() -> VersionSet {
    VersionSet {
        product: semver::Version::new(1, 0, 0),
        schema: 1,
        protocol: 1,
        platform: "x86_64-linux".into(),
        plugin_api: semver::Version::new(1, 0, 0),
        drivers: Default::default(),
    }
}

fn setting(number: u32, value: &str) -> Change {
    let name = format!("name {number:06}");
    let value = format!("{value} {}", "x".repeat(60)).into();
    Change::put(Table::Settings, &name, &Setting { name: name.clone(), value })
}

/// A primary with a store of its own, and a secondary that follows it.
struct World {
    sim: turmoil::Sim<'static>,
    primary: Arc<SqliteStore>,
    secondary: Arc<SqliteStore>,
    seen: Arc<Mutex<Seen>>,
    publisher: Arc<Mutex<Option<Publisher>>>,
    _folder: TempDir,
}

#[derive(Default)]
struct Seen {
    events: Vec<SyncEvent>,
    stuck: bool,
}

impl World {
    fn new() -> World {
        let (folder, site) = (TempDir::new().expect("folder"), Arc::new(Site::of(2)));
        let store = |name: &str| Arc::new(SqliteStore::open(&folder.path().join(name)).expect("store"));
        let (primary, secondary) = (store("primary.db"), store("secondary.db"));
        primary.install(EpochId(1)).expect("an empty store");
        let (seen, publisher) = (Arc::<Mutex<Seen>>::default(), Arc::<Mutex<Option<Publisher>>>::default());
        let mut sim = network(seed()).build();
        {
            let (site, store, publisher) = (site.clone(), primary.clone(), publisher.clone());
            sim.host(name(0), move || publish(site.clone(), store.clone(), publisher.clone()));
        }
        let (copy, events) = (secondary.clone(), seen.clone());
        sim.host(name(1), move || follow(site.clone(), copy.clone(), events.clone()));
        World { sim, primary, secondary, seen, publisher, _folder: folder }
    }

    fn commit(&self, changes: Vec<Change>) {
        self.primary.commit(&Commit::new(Wall(0), changes)).expect("a valid change");
        if let Some(publisher) = &*self.publisher.lock().unwrap_or_else(PoisonError::into_inner) {
            publisher.committed();
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, wanted: impl Fn(&SyncEvent) -> bool) -> bool {
        self.seen().events.iter().any(wanted)
    }

    fn until(&mut self, what: &str, mut holds: impl FnMut(&World) -> bool) {
        let end = self.sim.elapsed() + PATIENCE;
        while !holds(self) {
            if self.sim.elapsed() > end {
                let texts: Vec<String> = self.seen().events.iter().map(ToString::to_string).collect();
                panic!("{what} did not happen within {PATIENCE:?} of simulated time; seen: {texts:#?}");
            }
            self.sim.step().expect("no server fails");
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.sim.elapsed() + time;
        while self.sim.elapsed() < end {
            self.sim.step().expect("no server fails");
        }
    }

    fn in_step(&mut self) {
        self.until("the copy stands where the primary stands", |world| {
            world.secondary.position().expect("readable") == world.primary.position().expect("readable")
        });
        let rows = |store: &SqliteStore| store.load().expect("readable").expect("a copy").rows;
        assert!(rows(&self.primary) == rows(&self.secondary), "equal positions and digests hold equal rows");
    }
}

async fn publish(site: Arc<Site>, store: Arc<SqliteStore>, shown: Arc<Mutex<Option<Publisher>>>) -> turmoil::Result {
    let (identity, folder) = (site.servers[0].clone(), TempDir::new()?);
    let publisher = Publisher::new(PublisherConfig {
        server: identity.server(),
        roster: site.roster(),
        store: store.clone(),
        host: Arc::new(PrimaryHost { store }),
        activity: Arc::new(HistoryStore::open(&folder.path().join("history.db"))?),
        heartbeat: HEARTBEAT,
    });
    let (mesh, _events) = Mesh::start(mesh_config(&identity, &site.roster(), 1))?;
    let listener = net::Bound(net::TcpListener::bind(("0.0.0.0", PORT)).await?);
    let services = Services { mesh, publisher: publisher.clone(), join: None };
    let _door = Listener::start(ListenerConfig::new(listener, identity), services)?;
    *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(publisher);
    std::future::pending().await
}

async fn follow(site: Arc<Site>, store: Arc<SqliteStore>, seen: Arc<Mutex<Seen>>) -> turmoil::Result {
    let (identity, folder) = (site.servers[1].clone(), TempDir::new()?);
    let history = Arc::new(HistoryStore::open(&folder.path().join("history.db"))?);
    let config = SubscriberConfig {
        identity: identity.clone(),
        roster: site.roster(),
        store,
        host: Arc::new(SecondaryHost),
        activity: Arc::new(OwnRecords { server: identity.server(), history }),
        heartbeat: HEARTBEAT,
    };
    let (_subscriber, mut events) = Subscriber::start(config, peers(1).pop())?;
    let lock = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if lock().stuck {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        let Some(event) = events.recv().await else { return Ok(()) };
        lock().events.push(event);
    }
}

struct PrimaryHost {
    store: Arc<SqliteStore>,
}

impl PublisherHost for PrimaryHost {
    fn answer(&self, hello: &SyncHello) -> Result<SyncAnswer, StoreError> {
        let head = self.store.position()?.expect("installed");
        let at = hello.position.as_ref().map(|position| self.store.digests_at(position.lsn)).transpose()?.flatten();
        let view = PrimaryView {
            is_primary: true,
            head: &head,
            tail: self.store.log_bounds()?.tail,
            epochs: &self.store.epochs()?,
            digests_at: at.as_ref(),
            versions: &versions(),
            enrolment: Enrolment::Enrolled,
        };
        Ok(answer(&view, hello))
    }
    fn driver_file(&self, _: &str) -> Option<std::path::PathBuf> {
        None
    }
}

struct SecondaryHost;

impl SubscriberHost for SecondaryHost {
    fn versions(&self) -> VersionSet {
        versions()
    }
    fn newest_lineage(&self) -> Result<Vec<Epoch>, StoreError> {
        Ok(Vec::new())
    }
    fn incarnation(&self) -> Incarnation {
        Incarnation(1)
    }
    fn now(&self) -> Wall {
        Wall(0)
    }
    fn superseded(&self, _: u64, _: &SnapshotHeader) -> Result<(), NotKept> {
        Ok(())
    }
}

fn is_begun(event: &SyncEvent) -> bool {
    matches!(event, SyncEvent::SnapshotBegun { .. })
}

#[test]
fn a_snapshot_that_is_cut_goes_on_where_it_was_and_changes_made_meanwhile_follow() {
    let mut world = World::new();
    world.commit((0..ROWS).map(|number| setting(number, "first")).collect());
    world.until("the snapshot begins", |world| world.saw(is_begun));
    world.pass(Duration::from_millis(300));
    for life in 0..3 {
        world.sim.crash(name(0));
        world.pass(Duration::from_secs(2));
        world.commit(vec![setting(life, "changed while it was away")]);
        world.sim.bounce(name(0));
        world.pass(Duration::from_millis(900));
    }
    world.in_step();
}

#[test]
fn a_secondary_that_stops_taking_what_comes_holds_nothing_up_and_catches_up() {
    let mut world = World::new();
    world.commit((0..100).map(|number| setting(number, "first")).collect());
    world.in_step();
    world.seen().stuck = true;
    // Far more than the credit that a secondary gives, in transactions of their own.
    for number in 0..600 {
        world.commit((0..20).map(|row| setting(number * 20 + row, "later")).collect());
        world.pass(Duration::from_millis(20));
    }
    world.pass(Duration::from_secs(30));
    world.seen().stuck = false;
    world.in_step();
}

#[test]
fn a_connection_that_dies_without_a_word_is_noticed_and_made_anew() {
    let mut world = World::new();
    world.commit((0..100).map(|number| setting(number, "first")).collect());
    world.in_step();
    // Nothing arrives any more, in either direction, and nobody is told.
    world.sim.hold(name(0), name(1));
    world.commit(vec![setting(1, "changed during the cut")]);
    world.until("the secondary says that the primary is silent", |world| {
        world.saw(|event| matches!(event, SyncEvent::Disconnected { .. }))
    });
    world.sim.release(name(0), name(1));
    world.in_step();
}
