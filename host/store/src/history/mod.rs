//! The activity log: what happened on every server, appended at its origin, gathered by the primary, never changed.

pub mod sent;
mod shrink;
mod store;

pub use sent::{SentCursor, SentEntry, SentFilter, SentPage};
pub use shrink::Limits;
pub use store::HistoryStore;

use std::collections::BTreeMap;

use onealert_core::{
    ids::{Incarnation, ServerId},
    time::Wall,
};
use serde::{Deserialize, Serialize};

/// Kind of a record whose document is an [`onealert_core::effect::Ended`]: it shows in Sent Notifications.
pub const ENDED: &str = "ended";
/// Kind of a record that stands for records which were deleted at their origin; its document is a [`Gap`].
pub const GAP: &str = "gap";

/// One record. `(origin, incarnation, seq)` names it everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityRecord {
    /// The server on which it happened.
    pub origin: ServerId,
    /// Which life of that server's data folder.
    pub incarnation: Incarnation,
    /// Its number in that life, from 1 without gaps.
    pub seq: u64,
    /// When, by the origin's clock.
    pub at: Wall,
    /// What it tells of. Kinds that a server does not know are kept all the same.
    pub kind: String,
    /// The record as JSON text.
    pub document: String,
}

/// Something that happened here, not numbered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// When.
    pub at: Wall,
    /// What it tells of, such as [`ENDED`].
    pub kind: String,
    /// The record as JSON text.
    pub document: String,
}

/// How far an origin's log goes: records are ordered by life, then number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// Which life.
    pub incarnation: Incarnation,
    /// The last number in it.
    pub seq: u64,
}

/// How far the log of every origin is known here.
pub type Have = BTreeMap<ServerId, Mark>;

/// The document of a gap record: the numbers that it stands for, in its own life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first.
    pub from: u64,
    /// The last; also the gap record's own number.
    pub to: u64,
}
