//! One activation as this server works on it: what is known, and what only this life of the process knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    activation::{Content, EndpointState},
    effect::{HaltReason, Rehearsed, Ticket},
    ids::ServerId,
    knowledge::Knowledge,
    plan::Circumstances,
    time::{Mono, Span},
};

/// One activation as this server works on it.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) known: Knowledge,
    /// When it became known here; of what a restart gave back, when it was accepted as far as the world's clock tells.
    pub(crate) since: Mono,
    /// When the claim in `known` became known here.
    pub(crate) claim_since: Mono,
    /// When anything in `known` last changed here.
    pub(crate) changed: Mono,
    /// What of it survives power loss here.
    pub(crate) stored: Option<Stored>,
    /// The oldest write that is not answered.
    pub(crate) writing_since: Option<Mono>,
    /// Why the last write failed, if it did.
    pub(crate) write_failed: Option<String>,
    /// What other servers said they hold durably.
    pub(crate) have: BTreeMap<ServerId, Held>,
    /// Servers outside the group that take part: the ingress server that handed it over.
    pub(crate) friends: BTreeSet<ServerId>,
    /// Servers outside the group that were asked to keep a copy, because nobody of the group confirmed; `None` before that.
    pub(crate) wider: Option<BTreeSet<ServerId>>,
    /// This server stands outside the group and keeps a copy: when it makes itself known to the owner.
    pub(crate) introduce_at: Option<Mono>,
    /// It comes from the disk of an earlier process: who took part besides the group is forgotten.
    pub(crate) inherited: bool,
    /// Who waits for our `Have`.
    pub(crate) owed: BTreeSet<ServerId>,
    /// Triggers that wait for their answer.
    pub(crate) waiters: Vec<Waiter>,
    /// The claim for which confirmation was asked, and until when it is waited for.
    pub(crate) offered: Option<Offer>,
    /// It came in here and its owner, another server, has to confirm.
    pub(crate) handed_over: bool,
    /// It was due before it came up here: a server that has just been started computes what others may have sent long ago.
    pub(crate) came_late: bool,
    /// The delivery that the shell runs.
    pub(crate) delivering: Option<Delivering>,
    /// The last attempt of this life for which a delivery was asked.
    pub(crate) delivered: Option<u32>,
    /// Endpoints that deliveries of this life have switched off, or switch off at their end.
    pub(crate) in_hand: BTreeSet<usize>,
    /// Endpoints whose change is not shared yet, and when it has to be.
    pub(crate) unshared: BTreeSet<usize>,
    pub(crate) share_at: Option<Mono>,
    /// When progress was last shared.
    pub(crate) shared: Option<Mono>,
    /// The write that makes our end of it durable. Until it is answered the others are not told of the end: if this server
    /// dies with its record of it, one of them goes on and leaves a record of its own (invariant I13).
    pub(crate) ending: Option<Ticket>,
    /// Of a rehearsal: what the shell was last told.
    pub(crate) told: Option<Rehearsed>,
}

/// What is durable, as far as it matters to rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) claim: (u32, ServerId),
    pub(crate) stopped: bool,
}

/// What is durable here, and by which write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) ticket: Ticket,
    pub(crate) held: Held,
}

/// A trigger that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    pub(crate) ticket: Ticket,
    pub(crate) duplicate: bool,
    /// From when on servers outside the group are asked for a copy too.
    pub(crate) wider_at: Mono,
    pub(crate) until: Mono,
}

/// A claim that others were asked to confirm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) claim: (u32, ServerId),
    pub(crate) until: Mono,
}

/// A delivery that the shell runs.
#[derive(Debug, Clone)]
pub(crate) struct Delivering {
    pub(crate) attempt: u32,
    /// The content as it was given to the shell: indexes in its reports refer to this one.
    pub(crate) content: Arc<Content>,
    /// When it was halted, and why.
    pub(crate) halted: Option<(Mono, HaltReason)>,
    /// It was halted for another server to go on, whatever came after that: what it has begun may be switched on.
    pub(crate) handed_over: bool,
}

impl Run {
    pub(crate) fn new(known: Knowledge, now: Mono) -> Run {
        Run {
            known,
            since: now,
            claim_since: now,
            changed: now,
            stored: None,
            writing_since: None,
            write_failed: None,
            have: BTreeMap::new(),
            friends: BTreeSet::new(),
            wider: None,
            introduce_at: None,
            inherited: false,
            owed: BTreeSet::new(),
            waiters: Vec::new(),
            offered: None,
            handed_over: false,
            came_late: false,
            delivering: None,
            delivered: None,
            in_hand: BTreeSet::new(),
            unshared: BTreeSet::new(),
            share_at: None,
            shared: None,
            ending: None,
            told: None,
        }
    }

    /// What is to be durable.
    pub(crate) fn held(&self) -> Held {
        Held { claim: self.known.claim(), stopped: self.known.stopped }
    }

    /// Whether the claim and the stop, as known, are durable here.
    pub(crate) fn is_stored(&self) -> bool {
        self.stored.is_some_and(|stored| stored.held == self.held())
    }

    /// Whether the disk cannot be waited for: it refused the write, or has not answered for `patience`.
    pub(crate) fn disk_is_stuck(&self, now: Mono, patience: Span) -> bool {
        self.write_failed.is_some() || self.writing_since.is_some_and(|since| now - since >= patience)
    }

    /// A server that plays dead in this rehearsal, since its first owner fell: it confirms nothing and takes nothing over.
    pub(crate) fn is_dead_here(&self, server: ServerId) -> bool {
        (self.known.fallen || self.known.attempt > 0) && self.known.content.plays_dead(server)
    }

    /// The circumstances under which its next owner is chosen.
    pub(crate) fn circumstances(&self) -> Circumstances {
        let dead = self.known.content.drill.iter().flat_map(|drill| &drill.dead).copied();
        Circumstances { dead: dead.collect(), ..Circumstances::default() }
    }

    /// Every server computes it by itself.
    pub(crate) fn is_timed(&self) -> bool {
        self.known.content.due.is_some()
    }

    /// Whether endpoints were begun, by another server or by an earlier life of this one, that no delivery of this server has
    /// switched off or is going to: nobody but the owner does.
    pub(crate) fn is_left_on(&self) -> bool {
        let begun = |state: &EndpointState| matches!(state, EndpointState::Sent | EndpointState::Acked { .. });
        let mut begun = (0..).zip(&self.known.states).filter(|(_, state)| begun(state));
        self.known.content.drill.is_none() && begun.any(|(index, _)| !self.in_hand.contains(&index))
    }

    /// Whether anything is left to do or to wait for.
    pub(crate) fn is_active(&self) -> bool {
        self.known.ended.is_none()
            || !self.waiters.is_empty()
            || self.delivering.is_some()
            || self.share_at.is_some()
            || self.write_failed.is_some()
            || !self.owed.is_empty()
    }
}
