//! When another server's activation becomes ours (rules 5, 7 and 8, and the hand-over of rule 2).

use crate::{
    effect::{Notice, Output, TakeoverReason},
    ids::{ActivationId, ServerId},
    node::Node,
    order::Use,
    plan::Circumstances,
    run::Run,
    time::{Mono, Span},
};

impl Node {
    /// Takes an activation over from its owner, where a rule says so.
    pub(crate) fn take_over_if_due(&mut self, id: ActivationId) {
        let run = &self.runs[&id];
        if !self.may_resume(run) {
            return;
        }
        if let Some(why) = self.reason_to_take_over(run) {
            self.claim(id, why);
        }
    }

    /// Whether nobody who could know better has yet to answer (rule 8).
    pub(crate) fn may_resume(&self, run: &Run) -> bool {
        // The ingress server may stand outside the group, and have taken it over while this server was away.
        let concerned = |id: &ServerId| {
            run.inherited || run.known.owner == *id || run.known.content.group.contains(id) || run.friends.contains(id)
        };
        !self.peers.values().any(|peer| peer.asking.is_some() && concerned(&peer.id))
    }

    /// The moment by which the owner must have started (rule 7). A timed event is watched from when it was due, anything
    /// else from when its claim became known here; and every claim is given one step before it is overruled.
    pub(crate) fn deadline(&self, run: &Run) -> Option<Mono> {
        let known = &run.known;
        if known.started || known.stopped || known.owner == self.identity.server {
            return None;
        }
        // Rank 0 watches those after it, and a server outside the group everybody: both come last.
        let group = known.content.group.len() as u64;
        let rank = match known.rank(self.identity.server) as u64 {
            0 => group,
            outside if outside == group => group + 1,
            rank => rank,
        };
        let step = self.tuning.deadline_step();
        let offset = self.peers.get(&known.owner).map_or(Span(0), |peer| peer.offset.size());
        // Where the link to the owner is cut, its word comes through a third server, when the pushes are mended.
        let offset = if self.is_heard_by_others(known.owner) { offset.max(self.tuning.suspicion()) } else { offset };
        let one_step = run.claim_since + step + offset;
        let from = match known.content.due {
            Some(due) => self.mono_of(due),
            None => run.claim_since + self.tuning.budget(),
        };
        Some((from + step.times(rank) + offset).max(one_step))
    }

    fn reason_to_take_over(&self, run: &Run) -> Option<TakeoverReason> {
        let (me, now, known) = (self.identity.server, self.now.mono, &run.known);
        let (group, needs) = (&known.content.group, &known.content.needs);
        let owner = self.worth_of(known.owner, needs);
        // A running delivery stays where it is while its server lives. What is timed and not begun passes on from a server
        // that is held or leaving, or whose drivers do not match.
        let heard_by_others = self.is_heard_by_others(known.owner);
        let unbegun = run.is_timed() && known.attempt == 0 && !known.started;
        let passes_on = unbegun && !self.keeps_timed(known.owner, needs, &Circumstances::default());
        if run.is_dead_here(me) {
            return None;
        }
        let heir = self.would_own_under(group, needs, &run.circumstances()).unwrap_or(me);
        let gone = known.fallen || (owner.usable == Use::None && !heard_by_others);
        if (gone || passes_on) && heir == me {
            return Some(TakeoverReason::Heir);
        }
        if run.handed_over && known.attempt == 0 {
            let confirmed = run.have.contains_key(&known.owner) || known.started;
            let spent = run.offered.is_none_or(|offer| offer.until <= now);
            if !confirmed && spent {
                return Some(TakeoverReason::NotConfirmed);
            }
        }
        let due = self.deadline(run).is_some_and(|deadline| deadline <= now);
        due.then_some(TakeoverReason::Deadline)
    }

    /// Whether a silent server is heard by another that is up: then the link between the two of us is cut, and it goes on
    /// with what it runs, and rings the bells that are its own. Without this, two servers that both reach a third would take
    /// a page from each other for as long as it lasts, each learning through the third that the other, believed down, has
    /// claimed it.
    pub fn is_heard_by_others(&self, id: ServerId) -> bool {
        self.is_heard_under(id, &Circumstances::default())
    }

    /// The same with servers assumed dead: they neither go on nor hear anybody.
    pub(crate) fn is_heard_under(&self, id: ServerId, circumstances: &Circumstances) -> bool {
        let dead = |id: ServerId| circumstances.dead.contains(&id);
        let silent = !dead(id) && self.peers.get(&id).is_some_and(|peer| peer.fell_silent());
        let mut others = self.peers.values().filter(|peer| peer.id != id && !dead(peer.id));
        silent && others.any(|peer| peer.lives() && peer.hears.contains(&id))
    }

    /// Makes an activation this server's own, by a higher attempt.
    pub(crate) fn claim(&mut self, id: ActivationId, why: TakeoverReason) {
        let (me, now) = (self.identity.server, self.now.mono);
        let run = self.runs.get_mut(&id).expect("the caller looked it up");
        let from = run.known.owner;
        let spent = run.offered.map(|offer| offer.until);
        run.known.attempt = run.known.attempt.saturating_add(1);
        run.known.owner = me;
        run.known.started = false;
        run.known.fallen = false;
        run.known.ended = None;
        run.ending = None;
        run.claim_since = now;
        run.changed = now;
        run.handed_over = false;
        let (attempt, real) = (run.known.attempt, run.known.content.drill.is_none());
        self.persist(id);
        self.offer(id);
        if why == TakeoverReason::NotConfirmed {
            // Its budget was spent on the hand-over: the alarm waits no second time.
            let run = self.runs.get_mut(&id).expect("looked up above");
            run.offered = run.offered.map(|offer| crate::run::Offer { until: spent.unwrap_or(now), ..offer });
        }
        if real {
            self.out.push(Output::Notice(Notice::TakenOver { activation: id, from, attempt, why }));
        }
    }
}
