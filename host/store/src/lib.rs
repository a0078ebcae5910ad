//! Everything a server keeps: the configuration behind a port ([`port::ConfigStore`]), activations in flight, the activity
//! log, and what is this server's own.
//!
//! Four files, so that none waits for another: `config.db` (replicated), `activations.db` (in flight), `history.db` (what
//! happened), `local.db` (never replicated, never in a backup). All are synced at every commit.

#![warn(clippy::print_stderr, clippy::print_stdout, reason = "a server speaks through tracing")]

pub mod activations;
pub mod change;
mod db;
pub mod error;
pub mod history;
pub mod local;
pub mod log;
pub mod port;
pub mod scrub;
pub mod snapshot;
pub mod sqlite;

pub use activations::{ActivationStore, ActivationWriter};
pub use error::{Fault, Result, StoreError};
pub use history::HistoryStore;
pub use local::LocalStore;
pub use port::{ConfigStore, Loaded, Notes, Promoted};
pub use sqlite::SqliteStore;
