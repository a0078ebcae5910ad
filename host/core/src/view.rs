//! What the node shows of its peers, for pages, status and tests.

use crate::{
    effect::{Absence, DownReason},
    ids::ServerId,
    peer_message::Standing,
    time::{Mono, Span},
};

/// What this server believes of a peer. Belief is per link: two servers may differ about a third.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// Nothing heard of it since this server started. Treated as up until the suspicion time has passed.
    Unheard,
    /// It lives and may own activations.
    Up,
    /// It lives and keeps copies, but came back recently and owns nothing until its hold-down has passed.
    Held,
    /// It is gone, silent, or draining.
    Down,
}

/// How far a peer's clock is from ours, in steps (redundancy sheet, section 5, "Clocks").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ClockLevel {
    /// Below 100 ms, or not known yet.
    #[default]
    Fine,
    /// 100 ms: worth a line in the log.
    Warn,
    /// 500 ms: somebody should look; a server that came back does not own yet.
    Alert,
    /// 2 s.
    Red,
}

/// Why a server that came back owns nothing yet, by everybody who judges it and is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldView {
    /// How long ago it came back.
    pub since: Span,
    /// How much of the waiting time remains.
    pub remaining: Span,
    /// An operator has to let it return.
    pub operator: bool,
    /// Its configuration is behind.
    pub behind: bool,
    /// Its clock differs too much.
    pub clock: bool,
    /// Who says so, in order of id.
    pub by: Vec<ServerId>,
}

/// One peer as this server sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerView {
    /// Which server.
    pub id: ServerId,
    /// Whether it is believed up.
    pub belief: Belief,
    /// What led to the belief that it is down.
    pub why: Option<DownReason>,
    /// What it means if it is down.
    pub absence: Absence,
    /// When any message of it last arrived.
    pub last_heard: Option<Mono>,
    /// Its clock minus ours, in milliseconds, as far as known.
    pub offset_ms: Option<i64>,
    /// How bad that is.
    pub clock: ClockLevel,
    /// The round trip behind that estimate.
    pub rtt: Option<Span>,
    /// It takes no new activations.
    pub draining: bool,
    /// How much of its hold-down remains.
    pub held_for: Option<Span>,
    /// How many activations it last said it runs.
    pub running: u32,
    /// Why it owns nothing although it lives, if so.
    pub hold: Option<HoldView>,
    /// What it last said of itself.
    pub standing: Option<Standing>,
}
