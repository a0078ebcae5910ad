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

pub use addresses::Addresses;
pub use api::{Answer, Api};
pub use build::{installer, library, onealert};
pub use fleet::{ADMIN, Fleet, FleetOptions, PASSWORD, put_driver};
pub use lan::Lan;
pub use relay::Network;
pub use server::Server;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Waits until `condition` gives something; panics with `what` when it has not within `within`.
///
/// # Panics
/// The condition was not fulfilled in time.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> F,
) -> T {
    let until = Instant::now() + within;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < until, "waited {within:?} in vain: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
