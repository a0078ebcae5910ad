//! Carries bytes between the servers of one installation: who they are, the mesh, configuration, records, files, joining.
//!
//! Nothing here decides: what a peer's silence means, who sends, and what a primary answers is the core's. Reading order:
//! [`identity`] and [`roster`] say who may speak, [`tls`] and [`frame`] how bytes become messages, [`listen`] is the one
//! door for calls from outside, with so many `seats`; then the three protocols behind it: [`mesh`], [`sync`] (with [`activity`] and [`files`])
//! and [`join`].

#![warn(clippy::print_stderr, clippy::print_stdout, reason = "a server speaks through tracing")]

pub mod activity;
pub mod files;
pub mod frame;
pub mod identity;
pub mod join;
pub mod listen;
pub mod mesh;
pub mod net;
pub mod roster;
mod seats;
#[cfg(test)]
mod simulated;
pub mod socket;
pub mod sync;
pub mod tls;

// The tests inside share their site with those outside.
#[cfg(test)]
extern crate self as onealert_peers;

pub use activity::{ActivitySink, ActivitySource, NoRecords, OwnRecords};
pub use identity::{Identity, IdentityError, PendingIdentity, SiteKeys};
pub use listen::{Listener, ListenerConfig, Services};
pub use mesh::{Mesh, MeshConfig, MeshEvent, PeerAddress};
pub use roster::{Admission, Roster, RosterEntry};
pub use sync::{
    ask::Asker,
    event::SyncEvent,
    message::Login,
    publisher::{Publisher, PublisherConfig, PublisherHost, SubscriberStatus},
    subscriber::{NotKept, Subscriber, SubscriberConfig, SubscriberHost},
};
