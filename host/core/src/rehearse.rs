//! Rehearsals: what an owner does in place of a delivery, and what the shell is told meanwhile.

use crate::{
    effect::{Outcome, Output, Rehearsed},
    ids::ActivationId,
    node::Node,
};

impl Node {
    /// This server owns a rehearsal and would deliver if it were real. It plays dead, where that is its part, or ends it.
    pub(crate) fn rehearse(&mut self, id: ActivationId) {
        let (me, now) = (self.identity.server, self.now.mono);
        let run = self.runs.get_mut(&id).expect("the caller looked it up");
        if run.known.fallen {
            return;
        }
        run.delivered = Some(run.known.attempt);
        run.known.started = true;
        run.changed = now;
        if run.known.content.plays_dead(me) {
            run.known.fallen = true;
            self.persist(id);
            self.push(id, false);
        } else {
            self.end(id, Outcome::Success);
        }
    }

    /// Tells the shell of every rehearsal that came further.
    pub(crate) fn tell_rehearsals(&mut self) {
        for id in &self.active {
            let Some(run) = self.runs.get_mut(id).filter(|run| run.known.content.drill.is_some()) else { continue };
            let known = &run.known;
            let seen = Rehearsed {
                attempt: known.attempt,
                owner: known.owner,
                started: known.started,
                fallen: known.fallen,
                ended: known.ended.is_some(),
            };
            if run.told != Some(seen) {
                run.told = Some(seen);
                self.out.push(Output::Rehearsed { activation: *id, seen });
            }
        }
    }
}
