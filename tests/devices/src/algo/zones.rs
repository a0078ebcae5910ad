//! The multicast zones that a device listens to: joined for real, ranked by role.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use onealert_media::receiver::{Heard, Receiver};

use super::config::{AlgoConfig, MulticastMode};

/// Choice: a stream has ended after this long without a packet; the vendor prints no figure.
const ENDED: Duration = Duration::from_millis(800);

pub(crate) struct Zones {
    listen: bool,
    interface: Ipv4Addr,
    joined: Mutex<BTreeMap<u8, (SocketAddrV4, Receiver)>>,
}

impl Zones {
    pub(crate) fn start(config: &AlgoConfig) -> io::Result<Zones> {
        let zones = Zones { listen: config.listen, interface: config.interface, joined: Mutex::default() };
        if config.multicast == MulticastMode::Receiver {
            zones.join(&config.zones)?;
        }
        Ok(zones)
    }

    /// Listens to what the settings say, as after a reload.
    pub(crate) fn apply(&self, settings: &BTreeMap<String, String>) -> io::Result<()> {
        let receives = settings.get("mcast.mode").is_some_and(|mode| mode == "2");
        let wanted = if receives { configured(settings) } else { BTreeMap::new() };
        self.join(&wanted)
    }

    fn join(&self, wanted: &BTreeMap<u8, SocketAddrV4>) -> io::Result<()> {
        if !self.listen {
            return Ok(());
        }
        let mut joined = self.joined();
        joined.retain(|zone, (addr, _)| wanted.get(zone) == Some(addr));
        for (zone, addr) in wanted {
            if !joined.contains_key(zone) {
                joined.insert(*zone, (*addr, Receiver::join(SocketAddr::V4(*addr), self.interface)?));
            }
        }
        Ok(())
    }

    fn joined(&self) -> MutexGuard<'_, BTreeMap<u8, (SocketAddrV4, Receiver)>> {
        self.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn heard(&self) -> BTreeMap<u8, Heard> {
        self.joined().iter().map(|(zone, (_, receiver))| (*zone, receiver.snapshot())).collect()
    }

    pub(crate) fn reset(&self) {
        for (_, receiver) in self.joined().values() {
            receiver.reset();
        }
    }

    pub(crate) fn write_wav(&self, zone: u8, path: &Path) -> io::Result<()> {
        match self.joined().get(&zone) {
            Some((_, receiver)) => receiver.write_wav(path),
            None => Err(io::Error::new(io::ErrorKind::NotFound, format!("zone {zone} is not listened to"))),
        }
    }

    /// The highest-ranked zone with a stream.
    pub(crate) fn playing(&self) -> Option<u8> {
        let active = |heard: &Heard| heard.packets >= 2 && heard.active(ENDED);
        self.heard().into_iter().filter(|(_, heard)| active(heard)).map(|(zone, _)| zone).max_by_key(|zone| rank(*zone))
    }
}

/// The zones that the settings name.
pub(crate) fn configured(settings: &BTreeMap<String, String>) -> BTreeMap<u8, SocketAddrV4> {
    let zone = |(name, value): (&String, &String)| {
        Some((name.strip_prefix("mcast.zone")?.parse::<u8>().ok()?, value.parse::<SocketAddrV4>().ok()?))
    };
    settings.iter().filter_map(zone).collect()
}

/// Higher wins. By role: priority call, all call, numbered zones, music; which number has which role is the choice told at
/// [`super::factory_zones`]. Choice: among numbered zones the lower number wins.
fn rank(zone: u8) -> (u8, u8) {
    let role = match zone {
        9 => 3,
        1 => 2,
        8 => 0,
        _ => 1,
    };
    (role, u8::MAX - zone)
}
