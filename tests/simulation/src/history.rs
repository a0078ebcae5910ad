//! What an outsider saw of a run: who was asked, who answered what, which endpoint rang when, and which faults there were.

use std::collections::{BTreeMap, BTreeSet};

use onealert_core::{activation::Content, ids::ActivationId};

use crate::doubled::Kinds;

/// One delivery that an endpoint received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rang {
    pub at_us: u64,
    pub server: usize,
    pub attempt: u32,
    /// The device answered that it did not work: nobody heard anything.
    pub failed: bool,
    /// When its answer reached the driver, if it was a good one.
    pub answered_us: Option<u64>,
}

/// An answer "accepted".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    pub at_us: u64,
    pub server: usize,
    pub degraded: bool,
    /// The server that answered knew it to have ended already: that answer promises nothing.
    pub over: bool,
}

/// What was seen of one activation.
#[derive(Debug)]
pub struct Activation {
    /// As the first server that was asked froze it.
    pub content: Content,
    /// When it was first asked for.
    pub asked_us: u64,
    pub accepted: Vec<Accepted>,
    /// Somebody asked to stop it.
    pub stop_asked: bool,
    /// Per endpoint, each time that it rang.
    pub rang: Vec<Vec<Rang>>,
    /// Endpoints whose acknowledgement reached the driver.
    pub acked: BTreeSet<usize>,
    /// Endpoints that were begun, by which server and when, and that nobody has switched off since.
    pub on: BTreeMap<usize, (usize, u64)>,
    /// When a server first ended it.
    pub ended_us: Option<u64>,
    /// The servers that are allowed to start endpoints at this moment, and for which attempt.
    pub delivering: BTreeMap<usize, u32>,
}

/// What a fault was, as far as invariants count faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    Crash,
    Restart,
    DiskLost,
    Pause,
    Cut,
    Disk,
    Drain,
    FalseSuspicion,
    Deprovisioned,
    /// The licence leaves a server out, and it was told so.
    Unlicensed,
    Restored,
    Clock,
    Promoted,
    /// A server's clockwork stands still.
    Stuck,
}

/// A fault and how long it lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    pub server: usize,
    /// The other end of what was cut, or who was suspected.
    pub other: Option<usize>,
    pub from_us: u64,
    pub until_us: u64,
}

/// What was seen of a run.
#[derive(Debug, Default)]
pub struct History {
    pub activations: BTreeMap<ActivationId, Activation>,
    /// Those of which something was seen since they were last checked.
    touched: BTreeSet<ActivationId>,
    /// What somebody asked to stop.
    stops: BTreeSet<ActivationId>,
    /// Timed content, which every server computes by itself, also one that starts later.
    pub bells: Vec<Content>,
    pub faults: Vec<Fault>,
    /// Deliveries to endpoints that had been reached before, by kind.
    pub doubled: Kinds,
}

impl History {
    /// An activation of which something is seen.
    pub fn see(&mut self, activation: ActivationId) -> Option<&mut Activation> {
        self.touched.insert(activation);
        self.activations.get_mut(&activation)
    }

    /// Somebody asks to stop an activation, maybe before anybody knows of it.
    pub fn stopped(&mut self, activation: ActivationId) {
        self.stops.insert(activation);
        if let Some(seen) = self.see(activation) {
            seen.stop_asked = true;
        }
    }

    /// Something was seen that concerns all of them.
    pub fn touch_all(&mut self) {
        self.touched.extend(self.activations.keys());
    }

    /// Those of which something was seen since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<ActivationId> {
        std::mem::take(&mut self.touched)
    }

    /// A notification is asked for.
    pub fn asked(&mut self, content: &Content, at_us: u64) {
        self.touched.insert(content.id);
        self.activations.entry(content.id).or_insert_with(|| Activation {
            content: content.clone(),
            asked_us: at_us,
            accepted: Vec::new(),
            stop_asked: self.stops.contains(&content.id),
            rang: vec![Vec::new(); content.endpoints.len()],
            acked: BTreeSet::new(),
            on: BTreeMap::new(),
            ended_us: None,
            delivering: BTreeMap::new(),
        });
    }

    /// A fault that lasts.
    pub fn fault(&mut self, kind: FaultKind, server: usize, from_us: u64, until_us: u64) {
        self.faults.push(Fault { kind, server, other: None, from_us, until_us });
    }

    /// A fault between two servers.
    pub fn fault_between(&mut self, kind: FaultKind, server: usize, other: usize, from_us: u64, until_us: u64) {
        self.faults.push(Fault { kind, server, other: Some(other), from_us, until_us });
    }

    /// How many faults of the kinds wanted had not ended by a moment.
    pub fn faults_since(&self, at_us: u64, wanted: impl Fn(FaultKind) -> bool) -> usize {
        self.faults.iter().filter(|fault| fault.until_us >= at_us && wanted(fault.kind)).count()
    }

    /// A fault that began at an earlier moment and has lasted until this one, or goes on.
    pub fn lasted(&mut self, kind: FaultKind, server: usize, until_us: u64) {
        let mut faults = self.faults.iter_mut().rev();
        if let Some(fault) = faults.find(|fault| (fault.kind, fault.server) == (kind, server)) {
            fault.until_us = until_us;
        }
    }

    /// A server is gone: it delivers nothing any more.
    pub fn gone(&mut self, server: usize) {
        for activation in self.activations.values_mut() {
            activation.delivering.remove(&server);
        }
    }

    /// Deliveries to endpoints that had been reached before.
    pub fn doubled(&self) -> u64 {
        self.doubled.values().sum()
    }

    /// All deliveries that reached an endpoint, or may have.
    pub fn deliveries(&self) -> u64 {
        let rings = self.activations.values().flat_map(|activation| activation.rang.iter().flatten());
        rings.filter(|rang| !rang.failed).count() as u64
    }
}
