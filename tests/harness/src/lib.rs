//! Real server processes for tests, the demo and benchmarks: built once, started on loopback addresses of their own, killed,
//! paused and woken at will, spoken to through the JSON API.
//!
//! [`Fleet`] is an installation of a primary and its secondaries; [`Server`] is one process of it; [`Api`] asks it things;
//! [`Network`] is what lies between the servers and can be cut; [`Lan`] gives each a cable that can be pulled; [`browser`] looks
//! at their pages.

mod addresses;
mod api;
pub mod browser;
mod build;
mod fleet;
mod lan;
mod relay;
mod server;
mod story;

pub use addresses::Addresses;
pub use api::{Answer, Api};
pub use build::{installer, library, onealert};
pub use fleet::{ADMIN, Fleet, FleetOptions, PASSWORD, put_driver};
pub use lan::Lan;
pub use relay::Network;
pub use server::Server;
pub use story::{asked, in_time, same, tell, wait_for};
