//! Activations in flight, in a file of their own on every server: accepting an alarm waits for no other database.

mod salvage;
mod store;
mod writer;

pub use store::{ActivationStore, Quarantined, Recovered};
pub use writer::{ActivationWriter, Written};
