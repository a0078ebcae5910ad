//! The two settings that are each server's own and never replicated: the multicast address it sends to and the interface
//! that multicast leaves by. A change is stored and counts from the next stream on.

use std::{net::Ipv4Addr, sync::Arc};

use onealert_media::engine::Interface;
use onealert_store::{LocalStore, StoreError, local};

use crate::sound::{Outlet, Sound};

/// The word for the interface of the default route.
pub const AUTO: &str = "auto";

/// The settings, where they are kept and where they count.
pub struct Locality {
    store: Arc<LocalStore>,
    sound: Arc<Sound>,
}

/// An address that multicast can leave from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The interface's name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// What is stored; the interface as the server's file has it where nothing is.
///
/// # Errors
/// The store cannot be read.
pub fn stored(store: &LocalStore, file_interface: &str) -> Result<Outlet, StoreError> {
    let settings = store.settings()?;
    let interface = settings.get(local::NETWORK_INTERFACE).map_or(file_interface, String::as_str);
    Ok(Outlet {
        interface: interface.parse().map_or(Interface::Auto, Interface::Address),
        multicast: settings.get(local::MULTICAST_ADDRESS).and_then(|text| text.parse().ok()),
    })
}

impl Locality {
    /// The settings of a server that speaks with this voice.
    pub fn new(store: Arc<LocalStore>, sound: Arc<Sound>) -> Locality {
        Locality { store, sound }
    }

    /// What counts at present.
    pub fn now(&self) -> Outlet {
        self.sound.outlet()
    }

    /// Stores both and lets them count. Blocks for two small writes.
    ///
    /// # Errors
    /// The store cannot be written; what counted before still does.
    pub fn change(&self, outlet: Outlet) -> Result<(), StoreError> {
        let multicast = outlet.multicast.map(|address| address.to_string());
        self.store.set(local::MULTICAST_ADDRESS, multicast.as_deref())?;
        self.store.set(local::NETWORK_INTERFACE, Some(&interface_text(outlet.interface)))?;
        self.sound.leave_by(outlet);
        Ok(())
    }
}

/// `auto` or the interface's address.
pub fn interface_text(interface: Interface) -> String {
    match interface {
        Interface::Auto => AUTO.to_owned(),
        Interface::Address(address) => address.to_string(),
    }
}

/// Every IPv4 address of this machine, with its interface.
pub fn ways() -> Vec<Way> {
    let Ok(found) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let way = |found: nix::ifaddrs::InterfaceAddress| {
        let address = found.address?.as_sockaddr_in()?.ip();
        Some(Way { name: found.interface_name, address })
    };
    found.filter_map(way).collect()
}

/// Whether multicast can leave from this address: an interface has it, or it is one of the loopback's, which has them all.
pub fn has(address: Ipv4Addr) -> bool {
    address.is_loopback() || ways().iter().any(|way| way.address == address)
}
