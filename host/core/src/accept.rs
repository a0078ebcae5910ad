//! When a trigger is answered (rule 1), and who is to own what it starts (rule 2).

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    activation::Content,
    effect::{Haste, Notice, Output, Refusal, Ticket},
    ids::{ActivationId, ServerId},
    knowledge::Knowledge,
    node::Node,
    order::Use,
    run::{Run, Waiter},
};

impl Node {
    /// A trigger event was turned into an activation here.
    pub(crate) fn trigger(&mut self, ticket: Ticket, content: Content) {
        let (id, now) = (content.id, self.now.mono);
        let (wider_at, until) = (now + self.tuning.half_budget(), now + self.tuning.budget());
        if let Some(run) = self.runs.get_mut(&id) {
            run.waiters.push(Waiter { ticket, duplicate: true, wider_at, until });
            let unconfirmed = run.have.is_empty() && run.known.ended.is_none();
            self.active.insert(id);
            if unconfirmed {
                self.push(id, true);
            }
            return;
        }
        if self.draining {
            self.out.push(Output::Refused { ticket, reason: Refusal::Draining });
            return;
        }
        let me = self.identity.server;
        let group = &content.group;
        let Some(first) = self.first_of_timed(group) else {
            self.out.push(Output::Refused { ticket, reason: Refusal::EmptyGroup });
            return;
        };
        let owner =
            if content.due.is_some() { first } else { self.would_own_with(group, &content.needs).unwrap_or(me) };
        let stopped = self.stopped_early.contains_key(&content.key);
        let timed = content.due.is_some();
        let mut run = Run::new(Knowledge { stopped, ..Knowledge::first(Arc::new(content), owner) }, now);
        run.waiters.push(Waiter { ticket, duplicate: false, wider_at, until });
        run.handed_over = owner != me && !timed;
        run.came_late = run.known.content.due.is_some_and(|due| due < self.now.wall);
        let offered = !timed || run.came_late;
        self.runs.insert(id, run);
        self.active.insert(id);
        // The write here and the copy there run in parallel. What every server computes by itself needs no copy; where it
        // comes up late, others may know that it was sent.
        self.persist(id);
        if offered {
            self.offer(id);
        }
    }

    /// Answers the triggers of a run that may be answered: durable here and on one other server of the group, or, as
    /// degraded, durable here when the budget is spent or nobody else is up.
    pub(crate) fn answer_triggers(&mut self, id: ActivationId) {
        self.ask_wider_if_due(id);
        let run = &self.runs[&id];
        if run.waiters.is_empty() {
            return;
        }
        let here = run.stored.is_some();
        let stuck = run.disk_is_stuck(self.now.mono, self.tuning.suspicion());
        if !here && !stuck {
            return;
        }
        let elsewhere = self.confirmers(run).any(|server| run.have.contains_key(&server));
        let nobody = self.confirmers(run).next().is_none();
        let alone = !run.known.content.group.iter().any(|member| *member != self.identity.server);
        let over = run.known.ended.is_some();
        let timed = run.is_timed();
        let now = self.now.mono;
        let (ready, waiting): (Vec<Waiter>, Vec<Waiter>) = run.waiters.iter().partition(|waiter| {
            let patience = nobody || waiter.until <= now;
            elsewhere || patience || (here && (timed || over))
        });
        // What somebody outside the group holds, or what is already being sent, is not taken back.
        let lost = !here && !timed && run.have.is_empty() && run.delivered.is_none();
        let degraded = !over && !(here && (elsewhere || timed));
        let reason = run.write_failed.clone();
        let run = self.runs.get_mut(&id).expect("looked up above");
        run.waiters = waiting;
        if ready.is_empty() {
            return;
        }
        if lost {
            // Nothing was promised and nothing is kept, so that a restart does not send what was refused.
            let reason = reason
                .unwrap_or_else(|| format!("the disk has not answered for {} ms", self.tuning.suspicion().as_millis()));
            let rest = std::mem::take(&mut run.waiters);
            for waiter in ready.into_iter().chain(rest) {
                let reason = Refusal::NotStored(reason.clone());
                self.out.push(Output::Refused { ticket: waiter.ticket, reason });
            }
            self.forget(id, Haste::Now);
            return;
        }
        let first = ready.iter().any(|waiter| !waiter.duplicate);
        if degraded && first && !run.known.degraded {
            run.known.degraded = true;
            self.write(id, Haste::Now);
            let real = self.runs[&id].known.content.drill.is_none();
            if !alone && real {
                self.out.push(Output::Notice(Notice::Degraded { activation: id }));
            }
        }
        let degraded = degraded || self.runs[&id].known.degraded;
        for Waiter { ticket, duplicate, .. } in ready {
            self.out.push(Output::Accepted { ticket, activation: id, degraded, duplicate });
        }
    }

    /// Asks the servers outside the group for a copy, where no other member confirms: at once where none of them is up, else
    /// when half of the budget is spent. An owner that is cut off and not yet believed down must not leave a page with one
    /// copy while a server is up that could keep the second. They take part until it ends, as an ingress server does.
    fn ask_wider_if_due(&mut self, id: ActivationId) {
        let run = &self.runs[&id];
        let Some(first) = run.waiters.iter().map(|waiter| waiter.wider_at).min() else { return };
        let content = &run.known.content;
        let redundant = content.group.iter().any(|member| *member != self.identity.server);
        let unconfirmed = run.have.is_empty() && run.known.ended.is_none();
        if run.wider.is_some() || run.is_timed() || content.drill.is_some() || !redundant || !unconfirmed {
            return;
        }
        if self.confirmers(run).next().is_some() && self.now.mono < first {
            return;
        }
        let outside = |peer: &ServerId| !content.group.contains(peer) && self.use_of(*peer) >= Use::Held;
        let wider: BTreeSet<ServerId> = self.peers.keys().copied().filter(outside).collect();
        let run = self.runs.get_mut(&id).expect("looked up above");
        run.friends.extend(&wider);
        run.wider = Some(wider.clone());
        for to in wider {
            self.push_to(to, id, true);
        }
    }
}
