//! What servers say to each other about activations and about themselves. Versioned apart from the product: unknown fields
//! are ignored, new ones have defaults, so that two adjacent versions understand each other.

use serde::{Deserialize, Serialize};

use crate::{
    activation::EndpointState,
    health::Health,
    ids::{ActivationId, EndpointId, EpochId, ServerId},
    knowledge::Knowledge,
    lineage::Generation,
    replicate::Position,
    time::Wall,
    version::VersionSet,
};

/// One message on the mesh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "t")]
pub enum PeerMessage {
    /// Every heartbeat interval, and at once when something in it changes.
    Heartbeat(Box<Heartbeat>),
    /// What the sender knows of an activation: join it. Answered by `Have` once durable, if `confirm`.
    Push {
        /// What is known.
        knowledge: Box<Knowledge>,
        /// Whether the sender waits for `Have`.
        confirm: bool,
    },
    /// The sender holds this activation durably, at least as far as said.
    Have {
        /// Which.
        activation: ActivationId,
        /// Its attempt as the sender knows it.
        attempt: u32,
        /// Its owner as the sender knows it.
        owner: ServerId,
        /// It is stopped, durably.
        #[serde(default)]
        stopped: bool,
    },
    /// Progress of an activation that the receiver is known to hold: a small `Push` (rule 4).
    Share {
        /// Which.
        activation: ActivationId,
        /// The endpoints whose state changed, by their index, with their id so that a different list does no harm.
        states: Vec<(u32, EndpointId, EndpointState)>,
    },
    /// The sender was away (restart, pause, cut) and asks for every unfinished activation before it resumes (rule 8).
    Ask {
        /// Repeated in `Told`, so that an old answer does not count for a new question.
        round: u64,
        /// The activations that the sender thinks unfinished: what is known of them is wanted even where they have ended.
        #[serde(default)]
        unfinished: Vec<ActivationId>,
    },
    /// Every unfinished activation, and what is known of those that the `Ask` listed, has been pushed before this message,
    /// on the same connection.
    Told {
        /// The round of the `Ask`.
        round: u64,
    },
}

/// The regular sign of life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Counts up; pairs answers with questions for the clock estimate.
    pub seq: u64,
    /// When it was sent, by the sender's clock, microseconds since the epoch.
    pub sent_us: i64,
    /// The last heartbeat that the sender heard from the receiver: its `seq`, its `sent_us`, and when it arrived by the
    /// sender's clock. With the arrival of this one that makes the four timestamps.
    #[serde(default)]
    pub echo: Option<Echo>,
    /// What the sender is and has.
    pub standing: Standing,
    /// It takes no new activations.
    #[serde(default)]
    pub draining: bool,
    /// The servers that the sender judges to be held: they came back recently and own nothing for a while.
    #[serde(default)]
    pub holds: Vec<Hold>,
    /// The servers that the sender hears: a receiver that does not hear one of them leaves its running activations alone.
    #[serde(default)]
    pub hears: Vec<ServerId>,
    /// How many activations it owns that have not ended.
    #[serde(default)]
    pub running: u32,
    /// The servers that an operator has let return, for some time after it.
    #[serde(default)]
    pub releases: Vec<Release>,
}

/// A server that came back recently, as one of its peers judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which server.
    pub server: ServerId,
    /// For how much longer, in milliseconds. 0: its time is over, but it waits for something else.
    pub remaining_ms: u64,
    /// How long ago it came back, in milliseconds.
    #[serde(default)]
    pub since_ms: u64,
    /// An operator has to let it return.
    #[serde(default)]
    pub operator: bool,
    /// Its configuration is behind the judge's.
    #[serde(default)]
    pub behind: bool,
    /// Its clock differs too much from the judge's.
    #[serde(default)]
    pub clock: bool,
}

/// An operator's word that a server that came back may own again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Which server.
    pub server: ServerId,
    /// How long ago it was said, in milliseconds: it ends what began before.
    pub age_ms: u64,
}

/// The receiver's heartbeat as the sender heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Its number.
    pub seq: u64,
    /// When it was sent, by the receiver's clock.
    pub sent_us: i64,
    /// When it arrived, by the sender's clock.
    pub arrived_us: i64,
}

/// What a server is and has, as it tells its peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Its configuration's position and digests.
    pub position: Position,
    /// The newest epoch it has seen.
    pub newest_epoch: EpochId,
    /// Its product, platform and drivers.
    pub versions: VersionSet,
    /// When its process was started, by its clock.
    pub started: Wall,
    /// The status line for people, such as `Secondary Standby`.
    #[serde(default)]
    pub status: String,
    /// Which generations led to its configuration, and who is its primary.
    #[serde(default)]
    pub generation: Generation,
    /// How it is, by its own account.
    #[serde(default)]
    pub health: Box<Health>,
}
