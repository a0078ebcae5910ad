//! What a simulated device is, and what goes wrong with it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    time::Duration,
};

/// How a device wants requests signed (`api.auth.basic`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// HMAC-SHA256, the vendor's recommendation.
    Standard,
    /// HTTP Basic.
    Basic,
    /// Anybody may do anything.
    None,
}

/// What the http port does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// It is closed.
    Off,
    /// It serves, as the factory setting is.
    On,
    /// It answers every request with the https address.
    Redirect,
}

/// What the device does with multicast (`mcast.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MulticastMode {
    /// Nothing.
    Off,
    /// It sends.
    Transmitter,
    /// It listens to its zones.
    Receiver,
}

/// A device to be started.
#[derive(Debug, Clone)]
pub struct AlgoConfig {
    /// The model number, such as `8190S`.
    pub model: String,
    /// The firmware version, such as `5.7.1`.
    pub firmware: String,
    /// The name that an administrator gave it.
    pub name: String,
    /// Its MAC address.
    pub mac: String,
    /// How requests must be signed.
    pub auth: Auth,
    /// The RESTful API password.
    pub password: String,
    /// Whether the RESTful API is switched on. A real device comes with it off.
    pub api: bool,
    /// The address it listens on.
    pub bind: IpAddr,
    /// Whether it serves https.
    pub https: bool,
    /// What its http port does.
    pub http: Http,
    /// The https port; 0 takes any.
    pub https_port: u16,
    /// The http port; 0 takes any.
    pub http_port: u16,
    /// What it does with multicast.
    pub multicast: MulticastMode,
    /// The zones it listens to, by number.
    pub zones: BTreeMap<u8, SocketAddrV4>,
    /// Whether it joins its zones for real. Without this it costs neither sockets nor threads and hears nothing.
    pub listen: bool,
    /// The interface on which it joins.
    pub interface: Ipv4Addr,
    /// How many seconds its clock is ahead of ours.
    pub clock_offset_s: i64,
    /// How many seconds a signature may be away from its clock (`api.auth.tsvar`).
    pub tolerance_s: i64,
    /// How long it is silent after a reboot.
    pub reboot: Duration,
    /// How long it is silent after a reload.
    pub reload: Duration,
}

impl AlgoConfig {
    /// A device of this model with current firmware, receiving multicast on its factory zones, reached at 127.0.0.1 by
    /// https and http, Standard authentication, password `algo`, API switched on.
    ///
    /// Restarts are shortened: 600 ms for a reboot (a real one takes about a minute), 100 ms for a reload (about ten seconds).
    pub fn new(model: &str) -> AlgoConfig {
        AlgoConfig {
            model: model.to_owned(),
            firmware: "5.7.1".to_owned(),
            name: format!("Algo {model}"),
            mac: "00:22:EE:00:00:01".to_owned(),
            auth: Auth::Standard,
            password: "algo".to_owned(),
            api: true,
            bind: Ipv4Addr::LOCALHOST.into(),
            https: true,
            http: Http::On,
            https_port: 0,
            http_port: 0,
            multicast: MulticastMode::Receiver,
            zones: factory_zones(),
            listen: true,
            interface: Ipv4Addr::LOCALHOST,
            clock_offset_s: 0,
            tolerance_s: 30,
            reboot: Duration::from_millis(600),
            reload: Duration::from_millis(100),
        }
    }

    /// The same without https and without joining its zones: a thousand of these fit one process.
    pub fn light(model: &str) -> AlgoConfig {
        AlgoConfig { https: false, listen: false, ..AlgoConfig::new(model) }
    }
}

/// The factory's basic zones.
///
/// Choice: the vendor prints the range 224.0.2.60:50000 to 50008 and the roles music, priority call and all call for the
/// first three; that zone 1 is all call is likely; that music and priority call are the zones 8 and 9 is ours.
pub fn factory_zones() -> BTreeMap<u8, SocketAddrV4> {
    let ports = [50002, 50003, 50004, 50005, 50006, 50007, 50008, 50000, 50001];
    (1..).zip(ports.map(|port| SocketAddrV4::new(Ipv4Addr::new(224, 0, 2, 60), port))).collect()
}

/// What comes back that is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garbage {
    /// Bytes that are not HTTP.
    NotHttp,
    /// HTTP with status 200 and a body that is not JSON.
    NotJson,
    /// A JSON body of 2 MiB.
    Endless,
}

/// What goes wrong, switched on and off while the device runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    /// Every answer is this late.
    pub delay: Duration,
    /// The ports are closed: connections are refused and open ones ended.
    pub down: bool,
    /// Requests are taken and never answered.
    pub stall: bool,
    /// Requests to this path are taken, and answered once this is taken back.
    pub hold: Option<String>,
    /// Something else comes back.
    pub garbage: Option<Garbage>,
    /// Every request is answered with this status.
    pub status: Option<u16>,
    /// Multicast does not reach it.
    pub deaf: bool,
    /// It reports that it plays this zone, whatever arrives: for tests without audio.
    pub pretend_zone: Option<u8>,
}
