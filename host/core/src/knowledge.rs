//! What a server knows of one activation: a value with a join (redundancy sheet, section 4.2).
//!
//! Receiving any message means joining it in. The join is commutative, associative and idempotent, so lost, repeated and
//! reordered messages do no harm.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    activation::{Content, EndpointState},
    effect::{Ended, Outcome},
    ids::{EndpointId, ServerId},
    time::Wall,
};

/// What a server knows of one activation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knowledge {
    /// What is sent; the same wherever the activation is known.
    pub content: Arc<Content>,
    /// The highest attempt heard of: 0 for the first owner, one more at each takeover.
    pub attempt: u32,
    /// Who owns that attempt. On equal attempts the lower rank in the content's group wins.
    pub owner: ServerId,
    /// The owner of this attempt has begun.
    pub started: bool,
    /// The owner of this attempt does no more for it: it plays dead in a rehearsal, or has handed it over while it drained.
    #[serde(default)]
    pub fallen: bool,
    /// Somebody stopped it. Never becomes unset.
    pub stopped: bool,
    /// Accepted with one copy only.
    pub degraded: bool,
    /// What is known of each endpoint, by index.
    pub states: Vec<EndpointState>,
    /// It is over: how, and when by the clock of the server that ended it.
    pub ended: Option<(Outcome, Wall)>,
}

/// What a join changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Joined {
    /// Anything at all.
    pub changed: bool,
    /// Who owns it, or at which attempt.
    pub claim: bool,
}

impl Knowledge {
    /// Its record, for an end of this kind at this moment; without the times at endpoints, which whoever delivers knows.
    pub fn record(&self, outcome: Outcome, ended: Wall) -> Ended {
        Ended {
            content: self.content.as_ref().clone(),
            server: self.owner,
            attempt: self.attempt,
            outcome,
            states: self.states.clone(),
            ended,
            degraded: self.degraded,
            after_ms: Vec::new(),
        }
    }

    /// What the first server to know of an activation knows.
    pub fn first(content: Arc<Content>, owner: ServerId) -> Knowledge {
        let states = vec![EndpointState::Pending; content.endpoints.len()];
        Knowledge {
            content,
            attempt: 0,
            owner,
            started: false,
            fallen: false,
            stopped: false,
            degraded: false,
            states,
            ended: None,
        }
    }

    /// The place of a server in the priority group: 0 is tried first. A server outside the group comes after all of it.
    pub fn rank(&self, server: ServerId) -> usize {
        self.content.group.iter().position(|member| *member == server).unwrap_or(self.content.group.len())
    }

    /// Attempt and owner: what makes a delivery one delivery.
    pub fn claim(&self) -> (u32, ServerId) {
        (self.attempt, self.owner)
    }

    /// Takes in what another server knows.
    ///
    /// The claim is the greater of the two: the higher attempt, then the lower rank, then (outside the group) the lower id.
    /// `started`, `fallen` and `ended` belong to a claim and go with it. `stopped`, `degraded` and the endpoint states are joined
    /// whatever the claims: they are facts. Where two servers froze different content for the same event, the content of
    /// the greater claim counts, and between equal claims the one whose text sorts first; states follow their endpoint.
    pub fn join(&mut self, other: &Knowledge) -> Joined {
        debug_assert_eq!(self.content.id, other.content.id, "only knowledge of one activation is joined");
        let before_claim = self.claim();
        let order = self.precedence().cmp(&other.precedence());
        let mut changed = false;
        let mut theirs: std::borrow::Cow<'_, [EndpointState]> = (&other.states).into();
        if !Arc::ptr_eq(&self.content, &other.content) && *self.content != *other.content {
            let take = match order {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => text_of(&other.content) < text_of(&self.content),
            };
            if take {
                self.states = moved(&self.states, &self.content, &other.content);
                self.content = other.content.clone();
                changed = true;
            } else {
                theirs = moved(&other.states, &other.content, &self.content).into();
            }
        }
        match order {
            Ordering::Less => {
                self.attempt = other.attempt;
                self.owner = other.owner;
                self.started = other.started;
                self.fallen = other.fallen;
                self.ended = other.ended;
                changed = true;
            }
            Ordering::Greater => {}
            Ordering::Equal => {
                changed |= raise(&mut self.started, other.started);
                changed |= raise(&mut self.fallen, other.fallen);
                let ended = better_end(self.ended, other.ended);
                changed |= ended != self.ended;
                self.ended = ended;
            }
        }
        changed |= raise(&mut self.stopped, other.stopped);
        changed |= raise(&mut self.degraded, other.degraded);
        for (index, state) in theirs.iter().enumerate() {
            changed |= self.raise_state(index, state);
        }
        Joined { changed, claim: self.claim() != before_claim }
    }

    /// Takes in what happened at one endpoint; says whether that was more than was known.
    pub fn raise_state(&mut self, index: usize, state: &EndpointState) -> bool {
        match self.states.get_mut(index) {
            Some(known) if *known < *state => {
                *known = state.clone();
                true
            }
            _ => false,
        }
    }

    /// How a delivery with these states ended.
    pub fn outcome(&self) -> Outcome {
        let acked = self.states.iter().filter(|state| matches!(state, EndpointState::Acked { .. })).count();
        match acked {
            0 => Outcome::Error,
            all if all == self.states.len() => Outcome::Success,
            _ => Outcome::Partial,
        }
    }

    /// The claims' order as a value: greater wins.
    fn precedence(&self) -> (u32, Reverse<usize>, Reverse<ServerId>) {
        (self.attempt, Reverse(self.rank(self.owner)), Reverse(self.owner))
    }
}

fn raise(known: &mut bool, told: bool) -> bool {
    let changed = told && !*known;
    *known |= told;
    changed
}

/// Of two ends of one claim the one in which more was done, then the earlier.
fn better_end(ours: Option<(Outcome, Wall)>, theirs: Option<(Outcome, Wall)>) -> Option<(Outcome, Wall)> {
    let weight = |end: &(Outcome, Wall)| {
        let done = match end.0 {
            Outcome::Success => 0,
            Outcome::Partial => 1,
            Outcome::Stopped => 2,
            Outcome::Error => 3,
            Outcome::Missed => 4,
        };
        (done, end.1)
    };
    [ours, theirs].into_iter().flatten().min_by_key(weight)
}

/// The states as the endpoints of another content order them.
fn moved(states: &[EndpointState], from: &Content, to: &Content) -> Vec<EndpointState> {
    let of: BTreeMap<&EndpointId, &EndpointState> = from.endpoints.iter().zip(states).collect();
    let state = |endpoint| of.get(endpoint).map_or(EndpointState::Pending, |state| (*state).clone());
    to.endpoints.iter().map(state).collect()
}

fn text_of(content: &Content) -> String {
    serde_json::to_string(content).expect("content is plain data with text keys")
}
