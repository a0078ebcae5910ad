//! All devices: their links, who watches them, and what was last said of each endpoint.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_client::{Client, Fingerprint, Options, Trust};
use onealert_plugin_api::{
    document::{EndpointStatus, Health, Target},
    host::Host,
};
use tokio::{sync::Semaphore, task::AbortHandle, time::Instant};

use crate::{
    device::Access,
    keep::Keep,
    link::{self, Link, Shared, Why},
    reason::Reason,
    runs::Runs,
    settings::{Endpoint, Settings},
};

/// Which device it is, is asked this often.
const IDENTITY: Duration = Duration::from_secs(600);
/// The settings that we depend on are read this often.
const SETTINGS: Duration = Duration::from_secs(60);
/// A device that has been silent for long is looked at this often.
const SILENT: Duration = Duration::from_secs(30);
/// How many routine looks may be under way at once, over all devices.
const LOOKS: usize = 128;

/// Everything the driver works with.
pub(crate) struct Fleet {
    pub host: Host,
    pub runs: Runs,
    keep: Arc<Keep>,
    writer: AbortHandle,
    shared: Shared,
    poll: Duration,
    looks: Semaphore,
    links: Mutex<HashMap<Access, Arc<Link>>>,
    clients: Mutex<HashMap<Option<Fingerprint>, Client>>,
    said: Mutex<HashMap<String, (Health, String)>>,
    watchers: Mutex<HashMap<Access, Watcher>>,
}

struct Watcher {
    targets: Arc<Vec<Target<Endpoint>>>,
    task: AbortHandle,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fleet {
    pub(crate) fn new(host: Host, settings: &Settings) -> Arc<Fleet> {
        let keep = Keep::open(host.state_dir());
        let writer = tokio::spawn(keep.clone().write()).abort_handle();
        let shared = Shared {
            gate: Arc::new(Semaphore::new(settings.parallel as usize)),
            deadline: Duration::from_millis(settings.deadline_ms.into()),
            nonce: Arc::new(link::first_nonce()),
            keep: keep.clone(),
        };
        Arc::new(Fleet {
            host,
            runs: Runs::default(),
            keep,
            writer,
            shared,
            poll: Duration::from_secs(settings.poll_seconds.into()),
            looks: Semaphore::new(LOOKS),
            links: Mutex::default(),
            clients: Mutex::default(),
            said: Mutex::default(),
            watchers: Mutex::default(),
        })
    }

    /// The link to the endpoint's device; endpoints of one device share it.
    ///
    /// # Errors
    /// The endpoint makes no sense.
    pub(crate) fn link(&self, endpoint: &Endpoint) -> Result<Arc<Link>, Reason> {
        let access = Access::of(endpoint)?;
        let mut links = lock(&self.links);
        if let Some(link) = links.get(&access) {
            return Ok(link.clone());
        }
        let client = self.client(access.certificate);
        let link = Arc::new(Link::new(access.clone(), client, self.shared.clone()));
        links.insert(access, link.clone());
        Ok(link)
    }

    fn client(&self, certificate: Option<Fingerprint>) -> Client {
        let trust = certificate.map_or(Trust::Anybody, Trust::Pinned);
        lock(&self.clients)
            .entry(certificate)
            .or_insert_with(|| Client::new(Options { trust, idle_per_host: 1, ..Options::default() }))
            .clone()
    }

    /// Looks after these endpoints from here on, and after no others.
    pub(crate) fn look_after(self: &Arc<Self>, endpoints: Vec<Target<Endpoint>>) {
        let mut wanted: HashMap<Access, Vec<Target<Endpoint>>> = HashMap::new();
        let names: HashSet<String> = endpoints.iter().map(|target| target.endpoint.clone()).collect();
        for target in endpoints {
            match Access::of(&target.address) {
                Ok(access) => wanted.entry(access).or_default().push(target),
                Err(reason) => self.say(&target.endpoint, Health::Error, reason.to_string()),
            }
        }
        lock(&self.said).retain(|endpoint, _| names.contains(endpoint));
        let configured: HashSet<String> = wanted.keys().map(Access::name).collect();
        self.keep.retain(|device| configured.contains(device));
        let mut watchers = lock(&self.watchers);
        watchers.retain(|access, watcher| wanted.get(access) == Some(&watcher.targets));
        // A device that left may still have an announcement under way; its link stays until that lets go of it.
        lock(&self.links).retain(|access, link| wanted.contains_key(access) || Arc::strong_count(link) > 1);
        for (access, targets) in wanted {
            if watchers.contains_key(&access) {
                continue;
            }
            // The access was read from this endpoint.
            let Ok(link) = self.link(&targets[0].address) else { continue };
            let targets = Arc::new(targets);
            let task = tokio::spawn(watch(Arc::downgrade(self), link, targets.clone())).abort_handle();
            watchers.insert(access, Watcher { targets, task });
        }
    }

    /// Ends all watching.
    pub(crate) fn rest(&self) {
        lock(&self.watchers).clear();
        self.writer.abort();
    }

    /// Reports how these endpoints of a device are, where that changed.
    pub(crate) fn report(&self, link: &Link, targets: &[Target<Endpoint>]) {
        for target in targets {
            let health = link.device().health(&target.address);
            if let Some((health, detail)) = health {
                self.say(&target.endpoint, health, detail);
            }
        }
    }

    fn say(&self, endpoint: &str, health: Health, detail: String) {
        let new = (health, detail);
        if lock(&self.said).get(endpoint) == Some(&new) {
            return;
        }
        lock(&self.said).insert(endpoint.to_owned(), new.clone());
        self.host.endpoint_status(EndpointStatus { endpoint: endpoint.to_owned(), health: new.0, detail: new.1 });
    }
}

/// Looks at one device for as long as it is configured.
async fn watch(fleet: std::sync::Weak<Fleet>, link: Arc<Link>, targets: Arc<Vec<Target<Endpoint>>>) {
    let mut due = Due::default();
    let mut first = true;
    loop {
        let pause = {
            let Some(fleet) = fleet.upgrade() else { return };
            // Closed never: the semaphore lives as long as the fleet.
            let _permit = fleet.looks.acquire().await;
            round(&link, &targets, &mut due).await;
            fleet.report(&link, &targets);
            let silent = link.device().silent_looks();
            // All devices are first seen together; from then on each has a moment of its own.
            match (std::mem::take(&mut first), silent) {
                (true, _) => fleet.poll.mul_f64(share(&link.access)),
                (false, silent) if silent > 12 => SILENT.max(fleet.poll),
                _ => fleet.poll,
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// A number from 0.2 to 1 that is the same for a device every time.
fn share(access: &Access) -> f64 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(access);
    0.2 + 0.8 * (hash % 1000) as f64 / 1000.0
}

/// When what is to be asked next.
#[derive(Default)]
pub(crate) struct Due {
    identity: Option<Instant>,
    settings: Option<Instant>,
}

/// One look at a device: what is owed, who it is, how it is set, how it is.
pub(crate) async fn round(link: &Link, targets: &[Target<Endpoint>], due: &mut Due) {
    let looked = look(link, targets, due).await;
    match looked {
        Some(Ok(())) => link.device().handle_well(),
        Some(Err(reason)) => {
            // Whatever it was, all is asked again once the device is well.
            *due = Due::default();
            link.device().handle_trouble(reason);
        }
        // An announcement needed the device; the next look comes soon enough.
        None => {}
    }
}

async fn look(link: &Link, targets: &[Target<Endpoint>], due: &mut Due) -> Option<Result<(), Reason>> {
    let now = Instant::now();
    let is_due = |at: Option<Instant>| at.is_none_or(|at| at <= now);
    if is_due(due.identity) {
        if let Err(reason) = link.identify(Why::Look).await? {
            return Some(Err(reason));
        }
        due.identity = Some(now + IDENTITY);
    }
    settle(link).await;
    if is_due(due.settings) {
        let endpoints: Vec<&Endpoint> = targets.iter().map(|target| &target.address).collect();
        if let Err(reason) = link.learn_zones(Why::Look, &endpoints).await? {
            return Some(Err(reason));
        }
        due.settings = Some(now + SETTINGS);
        if let Ok(hold) = link.hold.try_lock() {
            link.remember(&hold);
        }
    }
    Some(link.look(Why::Look).await?.map(|_| ()))
}

/// Tells the device what could not be told when an announcement ended. Somebody who is at work on the device comes first.
pub(crate) async fn settle(link: &Link) {
    let Ok(mut hold) = link.hold.try_lock() else { return };
    for (function, stop) in hold.owed() {
        let mut told = true;
        for command in &stop {
            // A refusal settles it as well: asking again would bring the same.
            told &= !link.tell(command).await.is_err_and(|reason| reason.is_out_of_reach());
        }
        if told {
            hold.settled(function);
        }
    }
    crate::deliver::restore_volume(link, &mut hold).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
