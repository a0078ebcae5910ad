//! Algo speakers, paging adapters, strobes and displays: the handle by which a test holds one.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use devices::{AlgoConfig, AlgoSim};
//!
//! let horn = AlgoSim::start(AlgoConfig::new("8190S")).await?;
//! println!("https://{}", horn.addr());
//! horn.wait_for(std::time::Duration::from_secs(2), |state| state.strobe.is_some()).await;
//! # Ok(())
//! # }
//! ```

mod actions;
mod auth;
mod config;
mod device;
mod model;
mod server;
mod state;
mod zones;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use onealert_media::receiver::Heard;
use tokio::sync::watch;

pub use self::{
    config::{AlgoConfig, Auth, Faults, Garbage, Http, MulticastMode, factory_zones},
    model::{MODELS, Role},
    state::{AlgoState, Call, Strobe, Tone},
};
use self::{device::Device, zones::Zones};

/// A request as the device saw it, and what it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// When it had arrived in full.
    pub at: Instant,
    /// `GET`, `POST` or `PUT`.
    pub method: String,
    /// The path.
    pub path: String,
    /// The body as text.
    pub body: String,
    /// Whether it came encrypted.
    pub https: bool,
    /// Which connection it came on, counted from 1: requests on one connection share the number.
    pub connection: u64,
    /// The status answered; 0 when none was, because the device stalled, died or restarted.
    pub status: u16,
    /// Why it was refused; empty when it was not.
    pub refusal: String,
}

/// A running simulated device. Clones are the same device; it stops when the last one is dropped.
#[derive(Clone)]
pub struct AlgoSim {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    servers: Vec<tokio::task::AbortHandle>,
    https: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

/// What the handle and the server tasks share.
pub(crate) struct Shared {
    device: Mutex<Device>,
    log: Mutex<Vec<Logged>>,
    zones: Zones,
    faults: watch::Sender<Weather>,
    /// Counts what happened, so that waiting needs no polling.
    changed: watch::Sender<u64>,
    in_flight: Mutex<(usize, usize)>,
    connections: std::sync::atomic::AtomicU64,
}

/// The faults, and how many times the device has gone down: a server task that was late must not miss a short outage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weather {
    faults: Faults,
    outages: u64,
}

impl Weather {
    fn change(&mut self, change: impl FnOnce(&mut Faults)) {
        let was_down = self.faults.down;
        change(&mut self.faults);
        self.outages += u64::from(self.faults.down && !was_down);
    }
}

impl Shared {
    fn faults(&self) -> Faults {
        self.faults.borrow().faults.clone()
    }

    fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(|weather| weather.change(change));
    }

    fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Vec<Logged>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl AlgoSim {
    /// Starts a device; its ports are open when this returns.
    ///
    /// # Errors
    /// A port or a multicast group cannot be had.
    ///
    /// # Panics
    /// The configuration names a model or firmware that does not exist: a mistake in the test.
    pub async fn start(config: AlgoConfig) -> io::Result<AlgoSim> {
        let zones = Zones::start(&config)?;
        let device = Device::new(config.clone());
        let shared = Arc::new(Shared {
            device: Mutex::new(device),
            log: Mutex::default(),
            zones,
            faults: watch::Sender::new(Weather::default()),
            changed: watch::Sender::new(0),
            in_flight: Mutex::default(),
            connections: Default::default(),
        });
        let ports = server::start(&shared, &config).await?;
        Ok(AlgoSim { inner: Arc::new(Inner { shared, servers: ports.tasks, https: ports.https, http: ports.http }) })
    }

    /// Where a driver reaches it: the https port, or the http port of a device without https.
    pub fn addr(&self) -> SocketAddr {
        self.inner.https.or(self.inner.http).expect("a device has at least one port")
    }

    /// The http port, if it has one.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.inner.http
    }

    /// The https port, if it has one.
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.inner.https
    }

    /// What the device is doing.
    pub fn state(&self) -> AlgoState {
        self.inner.shared.device().expired(Instant::now()).clone()
    }

    /// Every request so far, in order of arrival.
    pub fn log(&self) -> Vec<Logged> {
        self.inner.shared.log().clone()
    }

    /// The requests to this path that were carried out.
    pub fn done(&self, path: &str) -> Vec<Logged> {
        self.inner.shared.log().iter().filter(|entry| entry.path == path && entry.status == 200).cloned().collect()
    }

    /// Forgets the requests and the audio so far.
    pub fn clear(&self) {
        self.inner.shared.log().clear();
        self.inner.shared.zones.reset();
    }

    /// The most requests that were open at one time.
    pub fn most_in_flight(&self) -> usize {
        self.inner.shared.in_flight.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Waits until the state satisfies `enough`, at most `within`; says whether it did.
    pub async fn wait_for(&self, within: Duration, enough: impl Fn(&AlgoState) -> bool) -> bool {
        self.wait(within, |sim| enough(&sim.state())).await
    }

    /// Waits until the requests satisfy `enough`, at most `within`; says whether they did.
    pub async fn wait_for_log(&self, within: Duration, enough: impl Fn(&[Logged]) -> bool) -> bool {
        self.wait(within, |sim| enough(&sim.inner.shared.log())).await
    }

    /// Waits until what was heard satisfies `enough`, at most `within`; says whether it did.
    pub async fn wait_for_audio(&self, within: Duration, enough: impl Fn(&BTreeMap<u8, Heard>) -> bool) -> bool {
        self.wait(within, |sim| enough(&sim.heard())).await
    }

    async fn wait(&self, within: Duration, enough: impl Fn(&AlgoSim) -> bool) -> bool {
        let mut changed = self.inner.shared.changed.subscribe();
        let until = tokio::time::Instant::now() + within;
        loop {
            changed.borrow_and_update();
            if enough(self) {
                return true;
            }
            if tokio::time::Instant::now() >= until {
                return false;
            }
            // Requests announce themselves; audio and tones that run out do not.
            let look_again = (tokio::time::Instant::now() + Duration::from_millis(20)).min(until);
            let _ = tokio::time::timeout_at(look_again, changed.changed()).await;
        }
    }

    /// What was heard on each zone, by zone number. A deaf device hears nothing.
    pub fn heard(&self) -> BTreeMap<u8, Heard> {
        if self.faults().deaf { BTreeMap::new() } else { self.inner.shared.zones.heard() }
    }

    /// The zone that the device plays: the highest-ranked one on which packets arrive, unless a call has the speaker.
    pub fn playing_zone(&self) -> Option<u8> {
        self.inner.shared.playing_zone()
    }

    /// Writes what was heard on a zone as a WAV file.
    ///
    /// # Errors
    /// The device has no such zone, or the file cannot be written.
    pub fn write_wav(&self, zone: u8, path: &std::path::Path) -> io::Result<()> {
        self.inner.shared.zones.write_wav(zone, path)
    }

    /// The faults that are switched on.
    pub fn faults(&self) -> Faults {
        self.inner.shared.faults()
    }

    /// Switches faults on and off.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        self.inner.shared.set_faults(change);
    }

    /// Ends every connection and closes the ports, as a device does that lost its power; the state is lost.
    pub fn die(&self) {
        self.set_faults(|faults| faults.down = true);
        self.inner.shared.device().restart();
        self.inner.shared.tell();
    }

    /// Opens the ports again, at the same addresses.
    pub fn revive(&self) {
        self.set_faults(|faults| faults.down = false);
    }

    /// How many seconds the device's clock is ahead of ours.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.inner.shared.device().config.clock_offset_s = seconds;
    }

    /// Another RESTful API password, as if an administrator had changed it on the device.
    pub fn set_password(&self, password: &str) {
        self.inner.shared.device().config.password = password.to_owned();
    }

    /// Switches the RESTful API on or off, as an administrator does on the device's pages.
    pub fn set_api(&self, on: bool) {
        self.inner.shared.device().state_mut().api = on;
    }

    /// Changes a setting as an administrator does on the device's pages: saved and applied at once.
    ///
    /// # Errors
    /// A changed zone cannot be joined.
    pub fn configure(&self, parameter: &str, value: &str) -> io::Result<()> {
        let settings = {
            let mut device = self.inner.shared.device();
            device.state_mut().settings.insert(parameter.to_owned(), value.to_owned());
            device.state().settings.clone()
        };
        self.inner.shared.zones.apply(&settings)
    }

    /// Puts the device into a SIP call, or out of it.
    pub fn set_call(&self, call: Call) {
        self.inner.shared.device().state_mut().call = call;
    }
}

impl Shared {
    fn playing_zone(&self) -> Option<u8> {
        let faults = self.faults();
        let device = self.device();
        if device.state().call != Call::Idle || device.multicast_mode() != MulticastMode::Receiver {
            return None;
        }
        drop(device);
        if faults.pretend_zone.is_some() {
            return faults.pretend_zone;
        }
        if faults.deaf { None } else { self.zones.playing() }
    }
}

/// Unix seconds of our own clock.
#[expect(clippy::disallowed_methods, reason = "the devices ask here")]
fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
