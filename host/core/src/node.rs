//! One server's mind: takes what happened, says what to do.

use std::collections::BTreeMap;

use crate::{
    effect::Output,
    event::Input,
    ids::{ActivationId, Incarnation, ServerId},
    knowledge::Knowledge,
    peer_message::Standing,
    time::{Mono, Now, Wall},
    tuning::Tuning,
    view::PeerView,
};

/// Who this server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub server: ServerId,
    /// Which life of its data folder.
    pub incarnation: Incarnation,
    /// A number that differs at every start of the process.
    pub boot: u64,
    /// When the process was started.
    pub started: Wall,
}

/// One server's mind.
#[derive(Debug)]
pub struct Node {
    identity: Identity,
    tuning: Tuning,
    peers: Vec<ServerId>,
    standing: Standing,
    activations: BTreeMap<ActivationId, Knowledge>,
    draining: bool,
}

impl Node {
    /// A server that starts with what its disk gave back.
    pub fn new(
        identity: Identity,
        tuning: Tuning,
        peers: Vec<ServerId>,
        standing: Standing,
        restored: Vec<Knowledge>,
        now: Now,
    ) -> Node {
        let _ = now;
        let activations = restored.into_iter().map(|known| (known.content.id, known)).collect();
        Node { identity, tuning, peers, standing, activations, draining: false }
    }

    /// Takes in one thing that happened; the outputs are to be carried out in order.
    pub fn step(&mut self, now: Now, input: Input) -> Vec<Output> {
        let _ = now;
        match input {
            Input::Standing { standing } => self.standing = standing,
            Input::Peers { peers } => self.peers = peers,
            Input::Drain => self.draining = true,
            _ => {}
        }
        Vec::new()
    }

    /// When the node wants its next [`Input::Tick`], at the latest. `None` when nothing is awaited.
    pub fn next_wake(&self) -> Option<Mono> {
        None
    }

    /// Who this server is.
    pub fn identity(&self) -> Identity {
        self.identity
    }
    /// The times in use.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }
    /// Every activation known here, the finished ones of the last 24 hours included, in order of id.
    pub fn activations(&self) -> impl Iterator<Item = &Knowledge> {
        self.activations.values()
    }
    /// What is known of one activation.
    pub fn knowledge(&self, id: ActivationId) -> Option<&Knowledge> {
        self.activations.get(&id)
    }
    /// Every peer as this server sees it, in order of id.
    pub fn peers(&self) -> Vec<PeerView> {
        Vec::new()
    }
    /// The server that would own an activation of a priority group if it came in at this moment. `None` for an empty group.
    pub fn would_own(&self, group: &[ServerId]) -> Option<ServerId> {
        group.first().copied()
    }
    /// Whether this server takes no new activations because it was asked to stop.
    pub fn is_draining(&self) -> bool {
        self.draining
    }
    /// Whether it was asked to stop and nothing of it is left to do.
    pub fn is_drained(&self) -> bool {
        self.draining
    }
    /// Whether this server came back recently and owns nothing until its hold-down has passed.
    pub fn is_held(&self) -> bool {
        false
    }
    /// Whether it still waits for its peers' answers before it resumes unfinished activations (rule 8).
    pub fn is_resuming(&self) -> bool {
        false
    }
}
