//! All that a step can ask of the shell. The list is closed.

use serde::{Deserialize, Serialize};

use crate::{
    activation::{Content, Deliverable, EndpointState},
    ids::{ActivationId, ServerId},
    knowledge::Knowledge,
    peer_message::PeerMessage,
    time::Wall,
    view::ClockLevel,
};

/// Names a question or a write, so that the answer finds back to it. Numbers given by the shell (triggers) and by the core
/// (writes) are apart; each is unique within the life of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// One thing to do. The shell carries outputs out in the order given.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Answer the trigger or stop with this ticket: it is safe.
    Accepted {
        /// Which question.
        ticket: Ticket,
        /// The activation that runs for it; several servers may answer for the same one.
        activation: ActivationId,
        /// Durable here only: nobody else confirmed within the budget, or nobody else is up. Shown to the operator.
        degraded: bool,
        /// The event was known already; nothing new was started.
        duplicate: bool,
    },
    /// Answer the trigger with this ticket: it is not taken.
    Refused {
        /// Which question.
        ticket: Ticket,
        /// Why.
        reason: Refusal,
    },
    /// Send to a peer, if a connection stands; otherwise drop it.
    Send {
        /// To whom.
        to: ServerId,
        /// What.
        message: PeerMessage,
    },
    /// Write, then say [`crate::event::Input::Persisted`]. Writes of one activation replace each other.
    Persist {
        /// Names the write.
        ticket: Ticket,
        /// What.
        record: Record,
        /// What the answer to it means.
        haste: Haste,
    },
    /// Deliver to these endpoints, and report by `Progress` and `DeliveryEnded`. Given at most once per attempt while there is
    /// somebody to contact.
    Deliver {
        /// Which activation.
        activation: ActivationId,
        /// Which attempt: 0 for the first owner.
        attempt: u32,
        /// What is sent.
        content: Deliverable,
        /// What is known of each endpoint, by index. Those already final are not contacted; those that were reached are switched
        /// off at the end with what this delivery begins, also where it is halted at once.
        states: Vec<EndpointState>,
        /// Whether another server might be sending the same audio (takeover, or some member of the group not heard): then
        /// listen on a multicast group before streaming (redundancy sheet, section 4.4).
        listen_first: bool,
    },
    /// Stop a delivery: start no further endpoint, end streams.
    Halt {
        /// Which activation.
        activation: ActivationId,
        /// Why.
        reason: HaltReason,
    },
    /// The activation has ended and this server is the one that writes its record into Sent Notifications.
    Ended {
        /// The record.
        record: Box<Ended>,
    },
    /// A rehearsal came further, as this server sees it.
    Rehearsed {
        /// Which activation.
        activation: ActivationId,
        /// What is known of it.
        seen: Rehearsed,
    },
    /// Something an operator may want to see; also written to the log.
    Notice(Notice),
}

/// How far a rehearsal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// Its attempt: above 0 it was taken over.
    pub attempt: u32,
    /// Who owns that attempt.
    pub owner: ServerId,
    /// The owner has begun: its claim is stored there and confirmed by another server, or nobody else was there to confirm.
    pub started: bool,
    /// The owner plays dead.
    pub fallen: bool,
    /// It is over.
    pub ended: bool,
}

/// Why a trigger was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The server is stopping; the caller should ask the next one.
    #[error("this server is draining; ask another server")]
    Draining,
    /// The disk refused the write, so nothing could be promised.
    #[error("the activation could not be stored: {0}")]
    NotStored(String),
    /// The server was deprovisioned, or is left out by the licence; the caller should ask another one.
    #[error("this server is out of service, deprovisioned or not licensed, and sends nothing; ask another server")]
    Retired,
    /// The content names no server, or not this one and nobody else.
    #[error("the priority group holds no server")]
    EmptyGroup,
    /// A stop names nothing that this server knows.
    #[error("nothing known to this server matches what is to be stopped")]
    NotKnown,
}

/// Why a delivery is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltReason {
    /// Another server has the higher claim: it goes on, and switches off what was begun here.
    Yielded,
    /// Another server with the higher claim has ended it already: what was begun here is switched off here.
    Over,
    /// Somebody stopped it.
    Stopped,
    /// It expired.
    Expired,
    /// This server was deprovisioned.
    Retired,
    /// This server is draining, and another goes on: what was begun comes to its result, and stays switched on.
    HandedOver,
}

/// How soon a write has to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Haste {
    /// Nobody waits for it: it is answered when it survives the end of the process, and has to survive power loss within
    /// about a second. What power loss takes is known to the other servers, which are asked before anything is resumed
    /// (rule 8); where all of them lose it at once, endpoints may be reached a second time.
    Soon,
    /// Something is promised on the strength of it: it is answered when it survives power loss.
    Now,
}

/// What is kept durable. A restart gives all of them back to `Node::new`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// What is known of an activation. Replaces what was stored for the same id.
    Activation(Box<Knowledge>),
    /// Forget an activation: it ended long ago.
    Forget(ActivationId),
}

/// How an activation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every endpoint was reached.
    Success,
    /// Some, not all.
    Partial,
    /// None, or it has no endpoints.
    Error,
    /// Somebody stopped it before its end.
    Stopped,
    /// It was too late to be sent.
    Missed,
}

/// The record of a finished activation, as Sent Notifications shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// What was sent.
    pub content: Content,
    /// Which server carried it to its end.
    pub server: ServerId,
    /// Which attempt that was; above 0 another server had begun.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What happened at each endpoint, by index.
    pub states: Vec<EndpointState>,
    /// When, by this server's clock.
    pub ended: Wall,
    /// It was accepted with one copy only.
    pub degraded: bool,
    /// How long after acceptance each endpoint had its result, in milliseconds, by index; by the clocks of the server that
    /// delivered, from when it learned of the activation. `None`, or missing at the end, where
    /// the server that wrote the record does not know it, such as for what a server before it reached. The core leaves it
    /// empty: whoever delivers knows.
    #[serde(default)]
    pub after_ms: Vec<Option<u64>>,
}

/// Something an operator may want to see.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// A peer is believed up.
    PeerUp {
        /// Which.
        peer: ServerId,
    },
    /// A peer is believed down.
    PeerDown {
        /// Which.
        peer: ServerId,
        /// What led to the belief.
        why: DownReason,
        /// What that means to people.
        absence: Absence,
    },
    /// This server takes an activation over.
    TakenOver {
        /// Which activation.
        activation: ActivationId,
        /// From whom.
        from: ServerId,
        /// The attempt that starts.
        attempt: u32,
        /// Which rule says so.
        why: TakeoverReason,
    },
    /// This server's own loop was late by more than a heartbeat: it was paused or starved (rule 8).
    Resumed {
        /// By how much, in milliseconds.
        late_ms: u64,
    },
    /// An activation was accepted with one copy only.
    Degraded {
        /// Which.
        activation: ActivationId,
    },
    /// An activation of this server was too late to be sent.
    Missed {
        /// Which.
        activation: ActivationId,
    },
    /// A peer's clock differs, by a level more than was told before.
    ClockOffset {
        /// Which peer.
        peer: ServerId,
        /// How bad that is.
        level: ClockLevel,
        /// Its clock minus ours, in milliseconds.
        offset_ms: i64,
    },
}

/// Why an activation is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakeoverReason {
    /// Its owner is believed down, or takes nothing new, and this server is the next (rule 5).
    Heir,
    /// Its owner did not confirm the hand-over within the budget (rule 2).
    NotConfirmed,
    /// Its owner has not started by the deadline (rule 7).
    Deadline,
    /// It was called missed by a clock that was ahead, and its moment is yet to come.
    CalledMissed,
}

impl std::fmt::Display for TakeoverReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TakeoverReason::Heir => "it is down or leaving",
            TakeoverReason::NotConfirmed => "it did not confirm in time",
            TakeoverReason::Deadline => "it had not begun by the deadline",
            TakeoverReason::CalledMissed => "a clock that was ahead called it missed before its time",
        })
    }
}

/// What led to the belief that a peer is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownReason {
    /// Its process is gone: connection closed, dialling refused.
    Refused,
    /// Nothing heard for the suspicion time.
    Silent,
    /// It says that it is draining.
    Draining,
}

/// What it means to people that a server is down. A fault is only what nobody meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// It said before that it would stop: somebody has stopped it in good order.
    Announced,
    /// It was not heard since this server was started. It may have joined and not been started yet.
    Unmet,
    /// It was there, and said nothing of going.
    Unannounced,
}
