//! What a draining server does with what it has not finished in time (redundancy sheet, section 7): it gives the activation up,
//! and the next server goes on by its own rules. That is a takeover with the owner's consent: the owner waits for the results
//! of what it has begun before it says so, so that the successor begins with nothing a second time.

use crate::{
    effect::{HaltReason, Output, TakeoverReason},
    ids::{ActivationId, ServerId},
    node::Node,
    run::Run,
};

impl Node {
    /// Hands over everything that this server owns, has begun or could begin, and that another server can go on with.
    pub(crate) fn hand_over(&mut self) {
        let (me, now) = (self.identity.server, self.now.mono);
        if !self.draining {
            return;
        }
        for id in self.active.clone() {
            let run = &self.runs[&id];
            let known = &run.known;
            let open = known.owner == me && known.ended.is_none() && !known.stopped && !known.fallen;
            // What is not due yet passes on by itself.
            if !open || known.content.drill.is_some() || !self.is_due(run) || self.heir(run).is_none() {
                continue;
            }
            let run = self.runs.get_mut(&id).expect("looked up above");
            match run.delivering.as_mut() {
                None => self.give_up(id),
                Some(delivering) if delivering.halted.is_none() => {
                    let reason = HaltReason::HandedOver;
                    (delivering.halted, delivering.handed_over) = (Some((now, reason)), true);
                    self.out.push(Output::Halt { activation: id, reason });
                }
                Some(_) => {}
            }
        }
    }

    /// Does no more for an activation, and tells everybody who could go on.
    pub(crate) fn give_up(&mut self, id: ActivationId) {
        let now = self.now.mono;
        let run = self.runs.get_mut(&id).expect("the caller looked it up");
        run.known.fallen = true;
        run.changed = now;
        self.active.insert(id);
        self.persist(id);
        self.push(id, false);
    }

    /// Waits for the next server's claim to what was handed over. Where nobody is left to claim it, or this server was started
    /// again before anybody did, it goes on itself.
    pub(crate) fn await_heir(&mut self, id: ActivationId) {
        let run = &self.runs[&id];
        let awaits = self.draining && self.heir(run).is_some();
        if !awaits && self.may_resume(run) {
            self.claim(id, TakeoverReason::Heir);
        }
    }

    /// Who goes on with an activation that this server gives up.
    fn heir(&self, run: &Run) -> Option<ServerId> {
        let content = &run.known.content;
        let heir = self.would_own_under(&content.group, &content.needs, &run.circumstances());
        heir.filter(|heir| *heir != self.identity.server)
    }
}
