//! How knowledge travels: pushes, confirmations, progress, answers to rule 8, and the mending of what was lost on the way.

use crate::{
    activation::EndpointState,
    ids::{ActivationId, EndpointId, ServerId},
    knowledge::Knowledge,
    node::Node,
    peer_message::PeerMessage,
    run::{Held, Offer, Run},
};

impl Node {
    /// Takes in what a peer knows of an activation. `confirm`: it waits for `Have`.
    pub(crate) fn learn(&mut self, from: ServerId, told: &Knowledge, confirm: bool) {
        let (id, now) = (told.content.id, self.now.mono);
        if told.states.len() != told.content.endpoints.len() {
            // No server says this. It is not taken in, so that an index always has its endpoint.
            return;
        }
        let fresh = !self.runs.contains_key(&id);
        let stopped_early = self.stopped_early.contains_key(&told.content.key);
        let run = self.runs.entry(id).or_insert_with(|| Run::new(told.clone(), now));
        let ended_before = !fresh && run.known.ended.is_some();
        let owner_before = run.known.owner;
        let joined = run.known.join(told);
        let stops = stopped_early && !run.known.stopped;
        run.known.stopped |= stops;
        if joined.claim {
            run.claim_since = now;
            run.ending = None;
        }
        // The server that has lost it may not be reached by the one that took it.
        if fresh && confirm && !run.known.content.group.contains(&self.identity.server) {
            // Not before the server that asked has settled whose it is.
            run.introduce_at = Some(now + self.tuning.budget());
        }
        let loser = (joined.claim && ![from, run.known.owner].contains(&owner_before)).then_some(owner_before);
        if !run.known.content.group.contains(&from) {
            run.friends.insert(from);
        }
        // It was sent by somebody who knows less than we do, and so is told.
        let behind = run.known != *told;
        let changed = fresh || joined.changed || stops;
        if changed {
            run.changed = now;
            self.active.insert(id);
            if run.known.ended.is_some() && !ended_before {
                self.forgets.insert((now + self.tuning.forget(), id));
            }
            self.persist(id);
        }
        if behind {
            self.push_to(from, id, false);
        }
        if let Some(loser) = loser.filter(|loser| self.peers.get(loser).is_some_and(|peer| peer.lives())) {
            self.push_to(loser, id, false);
        }
        if confirm {
            let run = self.runs.get_mut(&id).expect("inserted above");
            if run.is_stored() {
                self.say_have(from, id);
            } else {
                run.owed.insert(from);
                self.active.insert(id);
            }
        }
    }

    /// Takes in endpoint states. An activation that is not known comes as a whole when the pushes are mended.
    pub(crate) fn learn_states(
        &mut self,
        from: ServerId,
        id: ActivationId,
        states: &[(u32, EndpointId, EndpointState)],
    ) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let mut changed = false;
        for (index, endpoint, state) in states {
            let endpoints = &run.known.content.endpoints;
            let index = match endpoints.get(*index as usize) {
                Some(here) if here == endpoint => Some(*index as usize),
                _ => endpoints.iter().position(|here| here == endpoint),
            };
            changed |= index.is_some_and(|index| run.known.raise_state(index, state));
        }
        let overtaken = run.known.owner != from;
        if changed {
            run.changed = self.now.mono;
            self.persist(id);
        }
        if overtaken {
            // It goes on with what it has lost: it does not know yet.
            self.push_to(from, id, false);
        }
    }

    /// A peer holds an activation durably.
    pub(crate) fn note_have(&mut self, from: ServerId, id: ActivationId, claim: (u32, ServerId), stopped: bool) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.have.insert(from, Held { claim, stopped });
        }
    }

    /// Answers a peer that was away: everything unfinished that concerns it, and what is known of the activations that it
    /// thinks unfinished. A server outside the group is told of nothing else: it would hear no more of it, and take silence
    /// for a missed deadline.
    pub(crate) fn tell(&mut self, to: ServerId, round: u64, unfinished: &[ActivationId]) {
        let concerns = |run: &Run| run.known.content.group.contains(&to) || run.friends.contains(&to);
        let open = self.active.iter().filter(|id| self.runs[*id].known.ended.is_none() && concerns(&self.runs[*id]));
        let asked = unfinished.iter().filter(|id| self.runs.contains_key(id));
        let ids: std::collections::BTreeSet<ActivationId> = open.chain(asked).copied().collect();
        for id in ids {
            self.push_to(to, id, false);
        }
        self.send(to, PeerMessage::Told { round });
    }

    /// Pushes the claim to everybody concerned and waits for the first confirmation until the budget is spent.
    pub(crate) fn offer(&mut self, id: ActivationId) {
        let until = self.now.mono + self.tuning.budget();
        let run = self.runs.get_mut(&id).expect("only known activations are offered");
        run.offered = Some(Offer { claim: run.known.claim(), until });
        self.push(id, true);
    }

    /// Pushes to every member of the group, and to the ingress server. Also to those believed down: if a connection stands
    /// after all, a wrongly suspected owner learns at once that it has to yield.
    pub(crate) fn push(&mut self, id: ActivationId, confirm: bool) {
        let run = self.runs.get_mut(&id).expect("only known activations are pushed");
        run.unshared.clear();
        run.share_at = None;
        for to in self.audience(id) {
            self.push_to(to, id, confirm);
        }
    }

    /// Shares an endpoint's state by the share time at the latest (rule 4): at once when nothing was shared for that long,
    /// otherwise together with what else changes until then.
    pub(crate) fn share_soon(&mut self, id: ActivationId, index: usize) {
        let run = self.runs.get_mut(&id).expect("only known activations make progress");
        let at = run.shared.map_or(self.now.mono, |last| last + self.tuning.share()).max(self.now.mono);
        run.unshared.insert(index);
        run.share_at.get_or_insert(at);
        run.changed = self.now.mono;
        self.active.insert(id);
    }

    /// Shares what changed, and stores it, when its time has come.
    pub(crate) fn share_if_due(&mut self, id: ActivationId) {
        let run = self.runs.get_mut(&id).expect("active activations are known");
        if run.share_at.is_none_or(|at| at > self.now.mono) {
            return;
        }
        run.share_at = None;
        run.shared = Some(self.now.mono);
        let indexes = std::mem::take(&mut run.unshared);
        let content = &run.known.content;
        let state = |index: usize| (index as u32, content.endpoints[index].clone(), run.known.states[index].clone());
        let states: Vec<_> = indexes.into_iter().map(state).collect();
        let holders: Vec<ServerId> = run.have.keys().copied().collect();
        for to in self.audience(id) {
            if holders.contains(&to) {
                self.send(to, PeerMessage::Share { activation: id, states: states.clone() });
            } else {
                self.push_to(to, id, false);
            }
        }
        self.persist(id);
    }

    /// A server outside the group that keeps a copy makes itself known to the owner, so that it hears how it goes on: it would
    /// take silence for a missed deadline.
    pub(crate) fn introduce_if_due(&mut self, id: ActivationId) {
        let run = self.runs.get_mut(&id).expect("active activations are known");
        if run.introduce_at.take_if(|at| *at <= self.now.mono).is_none() || run.known.ended.is_some() {
            return;
        }
        let owner = run.known.owner;
        if self.peers.get(&owner).is_some_and(|peer| peer.lives()) {
            self.push_to(owner, id, false);
        }
    }

    /// A connection to a peer stands: what was pushed over the one before may be lost.
    pub(crate) fn push_own_to(&mut self, to: ServerId) {
        let me = self.identity.server;
        for id in self.active.clone() {
            let run = &self.runs[&id];
            let concerned = run.known.content.group.contains(&to) || run.friends.contains(&to);
            if concerned && run.known.owner == me {
                self.push_to(to, id, run.known.ended.is_none());
            }
        }
    }

    /// Makes good, once in a suspicion time, what was lost on the way: the owner pushes to those who did not confirm, a
    /// holder that has heard nothing tells the owner what it knows (and is told more), a failed write is tried again.
    pub(crate) fn mend(&mut self) {
        let (me, now) = (self.identity.server, self.now.mono);
        self.mend_at = now + self.tuning.suspicion();
        for id in self.active.clone() {
            if self.runs[&id].write_failed.is_some() {
                self.persist(id);
            }
            let run = &self.runs[&id];
            if run.known.ended.is_some() {
                continue;
            }
            if run.known.owner == me {
                let held = run.held();
                let confirmed = |to: &ServerId| run.have.get(to) == Some(&held);
                let lacking = |to: &ServerId| !confirmed(to) && self.peers[to].lives();
                for to in self.audience(id).into_iter().filter(lacking).collect::<Vec<_>>() {
                    self.push_to(to, id, true);
                }
            } else if now - run.changed >= self.tuning.suspicion() {
                // Where the owner cannot be heard, somebody who hears it may know more.
                let owner_lives = self.peers.get(&run.known.owner).is_some_and(|peer| peer.lives());
                let owner = run.known.owner;
                let useful = |to: &ServerId| if owner_lives { *to == owner } else { self.peers[to].lives() };
                let mut asked: Vec<ServerId> = self.audience(id).into_iter().filter(useful).collect();
                if owner_lives && asked.is_empty() {
                    asked.push(owner);
                }
                for to in asked {
                    self.push_to(to, id, false);
                }
            }
        }
    }

    /// An owner fell silent: where only the link to it is cut, others know what it has done meanwhile, and tell whoever knows
    /// less.
    pub(crate) fn ask_about(&mut self, owner: ServerId) {
        for id in self.active.clone() {
            let known = &self.runs[&id].known;
            if known.owner == owner && known.ended.is_none() {
                let lives = |to: &ServerId| self.peers.get(to).is_some_and(|peer| peer.lives());
                for to in self.audience(id).into_iter().filter(lives).collect::<Vec<_>>() {
                    self.push_to(to, id, false);
                }
            }
        }
    }

    pub(crate) fn say_have(&mut self, to: ServerId, id: ActivationId) {
        let Held { claim: (attempt, owner), stopped } = self.runs[&id].held();
        self.send(to, PeerMessage::Have { activation: id, attempt, owner, stopped });
    }

    pub(crate) fn push_to(&mut self, to: ServerId, id: ActivationId, confirm: bool) {
        let run = &self.runs[&id];
        let mut knowledge = Box::new(run.known.clone());
        if run.ending.is_some() {
            knowledge.ended = None;
        }
        self.send(to, PeerMessage::Push { knowledge, confirm });
    }

    /// Everybody who takes part in an activation and to whom a connection may stand.
    fn audience(&self, id: ActivationId) -> Vec<ServerId> {
        let run = &self.runs[&id];
        let mut all: Vec<ServerId> = Vec::new();
        let concerned = run.known.content.group.iter().chain(&run.friends).copied();
        for to in concerned.chain(self.stand_ins(run)) {
            if !all.contains(&to) && self.peers.get(&to).is_some_and(|peer| peer.may_be_connected()) {
                all.push(to);
            }
        }
        all
    }
}
