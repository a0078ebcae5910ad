//! What an owner does: deliver when it may (rule 3), yield when it must (rule 6), end.

use crate::{
    activation::{Deliverable, EndpointState},
    config::OnTakeover,
    effect::{HaltReason, Haste, Notice, Outcome, Output, TakeoverReason},
    ids::{ActivationId, ServerId},
    node::Node,
    order::{Use, Worth},
    run::{Delivering, Run},
};

impl Node {
    /// Looks at one activation again: the only place from which deliveries start, halt and end, and takeovers happen.
    pub(crate) fn settle(&mut self, id: ActivationId) {
        self.halt_if_lost(id);
        if self.is_yet_to_come(id) {
            self.claim(id, TakeoverReason::CalledMissed);
        }
        let run = &self.runs[&id];
        if run.known.ended.is_some() || !self.was_asked_about(run) {
            return;
        }
        if run.known.owner != self.identity.server {
            self.take_over_if_due(id);
        }
        let run = &self.runs[&id];
        if run.known.owner != self.identity.server {
            return;
        }
        if run.known.stopped {
            self.end_stopped(id);
        } else if run.known.fallen && run.known.content.drill.is_none() {
            self.await_heir(id);
        } else if run.delivered == Some(run.known.attempt) && !run.known.fallen {
            // The shell is at it; its reports end it.
        } else if self.is_too_late(run) {
            self.end_expired(id);
        } else {
            self.deliver_if_allowed(id);
        }
    }

    /// Endpoint states changed in a delivery that runs here. What happened counts whoever owns the activation meanwhile.
    pub(crate) fn progress(&mut self, id: ActivationId, attempt: u32, states: &[(u32, EndpointState)]) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let given = run.delivering.as_ref().filter(|it| it.attempt == attempt).map(|it| it.content.clone());
        let mut changed = Vec::new();
        for (index, state) in states {
            let index = *index as usize;
            let here = &run.known.content.endpoints;
            // Normally the content is the one that was given; where another server's counts since, follow the endpoint.
            let index = match given.as_ref().and_then(|content| content.endpoints.get(index)) {
                Some(endpoint) if here.get(index) != Some(endpoint) => here.iter().position(|it| it == endpoint),
                _ => Some(index),
            };
            changed.extend(index.filter(|index| run.known.raise_state(*index, state)));
        }
        for index in changed {
            self.share_soon(id, index);
        }
    }

    /// A delivery that ran here has nothing more to do.
    pub(crate) fn delivery_ended(&mut self, id: ActivationId, attempt: u32) {
        let me = self.identity.server;
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.delivering.as_ref().is_none_or(|it| it.attempt != attempt) {
            return;
        }
        let handed_over = run.delivering.take().is_some_and(|it| it.handed_over);
        self.active.insert(id);
        let known = &run.known;
        if known.claim() != (attempt, me) || known.ended.is_some() || known.stopped {
            return;
        }
        if handed_over {
            self.give_up(id);
        } else {
            self.finish(id, "no result came before the delivery ended");
        }
    }

    /// Halts a delivery that another claim, an end elsewhere or a stop has overtaken.
    fn halt_if_lost(&mut self, id: ActivationId) {
        let (me, now) = (self.identity.server, self.now.mono);
        let run = self.runs.get_mut(&id).expect("active activations are known");
        let Some(delivering) = run.delivering.as_mut().filter(|it| it.halted.is_none()) else { return };
        let reason = if run.known.stopped {
            HaltReason::Stopped
        } else if run.known.claim() != (delivering.attempt, me) || run.known.ended.is_some() {
            HaltReason::Yielded
        } else {
            return;
        };
        delivering.halted = Some(now);
        self.out.push(Output::Halt { activation: id, reason });
    }

    /// Halts what expired while this server was away: nobody may start hearing it after its time.
    pub(crate) fn halt_what_expired(&mut self) {
        let now = self.now;
        for id in self.active.clone() {
            let run = self.runs.get_mut(&id).expect("active activations are known");
            let expired = run.known.content.expires.is_some_and(|at| at < now.wall);
            let running = run.delivering.as_mut().filter(|it| it.halted.is_none());
            if let Some(delivering) = running.filter(|_| expired) {
                delivering.halted = Some(now.mono);
                self.out.push(Output::Halt { activation: id, reason: HaltReason::Expired });
            }
        }
    }

    fn deliver_if_allowed(&mut self, id: ActivationId) {
        let run = &self.runs[&id];
        let me = self.identity.server;
        if !self.may_resume(run) || !self.is_due(run) {
            return;
        }
        let first_of_timed = run.is_timed() && run.known.attempt == 0;
        let content = &run.known.content;
        if first_of_timed
            && self.worth_of(me, &content.needs) != Worth::BEST
            && self.would_own_with(&content.group, &content.needs) != Some(me)
        {
            // Held, leaving, or with other drivers: a better server takes it, and this one does not start beside it.
            return;
        }
        if !run.is_stored() && !run.disk_is_stuck(self.now.mono, self.tuning.suspicion()) {
            return;
        }
        if (!first_of_timed || run.came_late) && !self.is_backed(id) {
            return;
        }
        self.deliver(id);
    }

    /// Whether the claim is confirmed by another live server, its budget is spent, or nobody else is believed up (rule 3).
    fn is_backed(&mut self, id: ActivationId) -> bool {
        let run = &self.runs[&id];
        if self.confirmers(run).next().is_none() {
            return true;
        }
        let held = run.held();
        let lives = |id: &ServerId| self.peers.get(id).is_some_and(|peer| peer.lives()) && !run.is_dead_here(*id);
        if run.have.iter().any(|(server, has)| *has == held && lives(server)) {
            return true;
        }
        match run.offered {
            Some(offer) if offer.claim == held.claim => offer.until <= self.now.mono,
            _ => {
                self.offer(id);
                false
            }
        }
    }

    fn deliver(&mut self, id: ActivationId) {
        let run = &self.runs[&id];
        let Some(content) = Deliverable::of(&run.known.content) else {
            return self.rehearse(id);
        };
        let attempt = run.known.attempt;
        // A successor switches off what was switched on before it, also where nothing is left to be switched on.
        if attempt == 0 && run.known.states.iter().all(EndpointState::is_final) {
            self.finish(id, "");
            return;
        }
        self.pass_over_started(id);
        let run = &self.runs[&id];
        let mut states = run.known.states.clone();
        if attempt > 0 {
            // A successor tries again what failed for the one before. The join knows no way back, so this goes only into the
            // order to the shell.
            for state in states.iter_mut().filter(|state| matches!(state, EndpointState::Failed { .. })) {
                *state = EndpointState::Pending;
            }
        }
        let heard = |member: &ServerId| *member == self.identity.server || self.use_of(*member) >= Use::Held;
        // Another of our servers may be sending the same audio when this is not the first attempt, or when a member of the
        // group cannot be heard and so may be sending on its side of a cut.
        let listen_first = attempt > 0 || !run.known.content.group.iter().all(heard);
        let delivering = Delivering { attempt, content: run.known.content.clone(), halted: None, handed_over: false };
        let run = self.runs.get_mut(&id).expect("looked up above");
        run.delivering = Some(delivering);
        run.delivered = Some(attempt);
        run.known.started = true;
        run.changed = self.now.mono;
        self.out.push(Output::Deliver { activation: id, attempt, content, states, listen_first });
        self.persist(id);
        self.push(id, false);
    }

    /// What was begun by another server, or by this one before it was started again, is not begun again where the
    /// activation says so: a bell rings once, even if it was cut short. The delivery is still asked for, so that what was
    /// switched on is switched off.
    fn pass_over_started(&mut self, id: ActivationId) {
        let run = self.runs.get_mut(&id).expect("the caller looked it up");
        if run.known.content.on_takeover != OnTakeover::SkipStarted {
            return;
        }
        for state in run.known.states.iter_mut().filter(|state| **state == EndpointState::Sent) {
            *state = EndpointState::Acked { note: "begun by the server before; not repeated".to_owned() };
        }
    }

    fn end_stopped(&mut self, id: ActivationId) {
        let run = &self.runs[&id];
        // The halted delivery's last results belong into the record; a shell that does not report is not waited for.
        let patience = self.tuning.suspicion();
        let reports = |it: &Delivering| it.halted.is_none_or(|at| self.now.mono - at < patience);
        if !run.delivering.as_ref().is_some_and(reports) {
            self.end(id, Outcome::Stopped);
        }
    }

    /// Whether others could say what became of a timed activation that came up here after its moment: one of them has answered,
    /// or the budget is spent, or nobody else is believed up. A server that was away must neither ring again nor call missed
    /// what another has rung.
    fn was_asked_about(&self, run: &Run) -> bool {
        let lives = |id: &ServerId| self.peers.get(id).is_some_and(|peer| peer.lives());
        let answered = || run.have.keys().any(lives) || self.confirmers(run).next().is_none();
        !run.came_late || run.offered.is_none_or(|offer| offer.until <= self.now.mono) || answered()
    }

    /// Whether an activation was called missed by a clock that is or was ahead: its moment is yet to come. Whoever holds it opens
    /// it again, also when it comes up here anew.
    fn is_yet_to_come(&self, id: ActivationId) -> bool {
        let known = &self.runs[&id].known;
        let missed = matches!(known.ended, Some((Outcome::Missed, _)));
        missed && !self.draining && known.content.due.is_some_and(|due| due > self.now.wall)
    }

    fn is_too_late(&self, run: &Run) -> bool {
        run.known.content.expires.is_some_and(|at| at < self.now.wall) && self.may_resume(run)
    }

    fn end_expired(&mut self, id: ActivationId) {
        let known = &self.runs[&id].known;
        if known.states.iter().all(|state| *state == EndpointState::Pending) {
            let real = known.content.drill.is_none();
            self.fail_the_rest(id, "too late: it expired before it could be sent");
            self.end(id, Outcome::Missed);
            if real {
                self.out.push(Output::Notice(Notice::Missed { activation: id }));
            }
        } else {
            self.finish(id, "too late: it expired before a successor could send it");
        }
    }

    /// Ends a delivery: what has no result has failed, for the reason given.
    fn finish(&mut self, id: ActivationId, reason: &str) {
        self.fail_the_rest(id, reason);
        let outcome = self.runs[&id].known.outcome();
        self.end(id, outcome);
    }

    fn fail_the_rest(&mut self, id: ActivationId, reason: &str) {
        let run = self.runs.get_mut(&id).expect("only known activations end");
        for state in run.known.states.iter_mut().filter(|state| !state.is_final()) {
            *state = EndpointState::Failed { reason: reason.to_owned() };
        }
    }

    pub(crate) fn end(&mut self, id: ActivationId, outcome: Outcome) {
        let now = self.now;
        let run = self.runs.get_mut(&id).expect("only known activations end");
        let known = &mut run.known;
        known.ended = Some((outcome, now.wall));
        let record = known.record(outcome, now.wall);
        run.changed = now.mono;
        self.forgets.insert((now.mono + self.tuning.forget(), id));
        if record.content.drill.is_none() {
            self.out.push(Output::Ended { record: Box::new(record) });
        }
        let ticket = self.write(id, Haste::Now);
        self.runs.get_mut(&id).expect("looked up above").ending = Some(ticket);
        self.push(id, false);
    }
}
