//! The mesh and synchronisation over a simulated network: what the code on top of the sockets does when calls are cut, held up,
//! refused or read slowly. The clock is the simulation's, so that a minute passes in moments and a busy machine changes nothing.
//!
//! Each run prints its seed; [`World::new`] takes `ONEALERT_SEED` to repeat one.

mod mesh;
#[path = "../../tests/common/site.rs"]
mod site;
mod sync;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use onealert_core::{ids::ServerId, peer_message::PeerMessage};
use onealert_store::{HistoryStore, SqliteStore};
use tempfile::TempDir;

use self::site::{HEARTBEAT, NotPrimary, Site, mesh_config};
use crate::{Listener, ListenerConfig, Mesh, MeshEvent, PeerAddress, Publisher, PublisherConfig, Services, net};

const PORT: u16 = 7400;

/// What a test sees of one server, whatever life it is in.
#[derive(Default)]
struct Seen {
    mesh: Option<Mesh>,
    boot: u64,
    events: Vec<MeshEvent>,
    /// The host does not take events: a server whose loop is stuck.
    stuck: bool,
}

/// Servers on a simulated network.
struct World {
    sim: turmoil::Sim<'static>,
    seen: Vec<Arc<Mutex<Seen>>>,
}

fn name(server: usize) -> String {
    format!("server-{}", server + 1)
}

fn peers(count: usize) -> Vec<PeerAddress> {
    let peer = |server| PeerAddress { id: ServerId(server as u128 + 1), address: format!("{}:{PORT}", name(server)) };
    (0..count).map(peer).collect()
}

/// The seed of a run: a new one each time, or the one that is to be repeated.
#[expect(clippy::disallowed_methods, reason = "a number that differs from run to run")]
fn seed() -> u64 {
    let given = std::env::var("ONEALERT_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::from(since.subsec_nanos())
    });
    println!("ONEALERT_SEED={seed}");
    seed
}

fn network(seed: u64) -> turmoil::Builder {
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .enable_random_order()
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .simulation_duration(Duration::from_secs(600));
    builder
}

impl World {
    /// A mesh of so many servers, each of which calls every other.
    fn new(count: usize) -> World {
        let site = Arc::new(Site::of(count as u128));
        let mut sim = network(seed()).build();
        let seen: Vec<Arc<Mutex<Seen>>> = (0..count).map(|_| Arc::default()).collect();
        for server in 0..count {
            let (site, seen) = (site.clone(), seen[server].clone());
            sim.host(name(server), move || run(site.clone(), server, count, seen.clone()));
        }
        World { sim, seen }
    }

    fn seen(&self, server: usize) -> MutexGuard<'_, Seen> {
        self.seen[server].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass until the condition holds.
    fn until(&mut self, what: &str, within: Duration, mut holds: impl FnMut(&World) -> bool) {
        let end = self.sim.elapsed() + within;
        while !holds(self) {
            if self.sim.elapsed() > end {
                let seen: Vec<_> = (0..self.seen.len()).map(|server| self.seen(server).events.clone()).collect();
                panic!("{what} did not happen within {within:?} of simulated time; seen: {seen:#?}");
            }
            self.sim.step().expect("no server fails");
        }
    }

    /// Lets so much time pass.
    fn pass(&mut self, time: Duration) {
        let end = self.sim.elapsed() + time;
        while self.sim.elapsed() < end {
            self.sim.step().expect("no server fails");
        }
    }

    fn send(&self, from: usize, to: usize, message: &PeerMessage) {
        let mesh = self.seen(from).mesh.clone().expect("it runs");
        mesh.send(ServerId(to as u128 + 1), message);
    }
}

/// The life of one server: a mesh, a door, and a host that takes events unless it is stuck.
async fn run(site: Arc<Site>, server: usize, count: usize, seen: Arc<Mutex<Seen>>) -> turmoil::Result {
    let identity = site.servers[server].clone();
    let lock = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let boot = {
        let mut seen = lock();
        seen.boot += 1;
        seen.boot
    };
    let roster = site.roster();
    let (mesh, mut events) = Mesh::start(mesh_config(&identity, &roster, boot))?;
    let folder = TempDir::new()?;
    let publisher = Publisher::new(PublisherConfig {
        server: identity.server(),
        roster,
        store: Arc::new(SqliteStore::open(&folder.path().join("config.db"))?),
        host: Arc::new(NotPrimary),
        activity: Arc::new(HistoryStore::open(&folder.path().join("history.db"))?),
        heartbeat: HEARTBEAT,
    });
    let listener = net::Bound(net::TcpListener::bind(("0.0.0.0", PORT)).await?);
    let services = Services { mesh: mesh.clone(), publisher, join: None };
    let _door = Listener::start(ListenerConfig::new(listener, identity), services)?;
    mesh.set_peers(peers(count));
    lock().mesh = Some(mesh);
    loop {
        if lock().stuck {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        }
        let Some(event) = events.recv().await else { return Ok(()) };
        lock().events.push(event);
    }
}
