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

/// Why an endpoint was not reached that a dead owner had left.
const EXPIRED: &str = "too late: it expired before a successor could send it";

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
        if run.known.fallen && run.known.content.drill.is_none() {
            // Also what was stopped meanwhile: whoever goes on switches off what was begun.
            self.await_heir(id);
        } else if run.known.stopped {
            self.end_stopped(id);
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
            if matches!(state, EndpointState::Sent | EndpointState::Acked { .. }) && run.delivering.is_some() {
                run.in_hand.extend(index);
            }
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
        let Some(delivering) = run.delivering.take() else { return };
        let handed_over = delivering.handed_over;
        if handed_over || delivering.halted.is_some_and(|(_, why)| why == HaltReason::Yielded) {
            // It has left on what it had begun.
            run.in_hand.clear();
        }
        self.active.insert(id);
        let known = &run.known;
        if known.claim() != (attempt, me) || known.ended.is_some() {
            return;
        }
        if handed_over {
            self.give_up(id);
        } else if !known.stopped {
            self.finish(id, "no result came before the delivery ended");
        }
    }

    /// Halts a delivery that another claim, an end elsewhere or a stop has overtaken.
    fn halt_if_lost(&mut self, id: ActivationId) {
        let (me, now) = (self.identity.server, self.now.mono);
        let run = self.runs.get_mut(&id).expect("active activations are known");
        let Some(delivering) = run.delivering.as_mut() else { return };
        let open = match delivering.halted {
            None => true,
            // What was left on for another server, and that one has ended it, or it was stopped: nobody else switches it off.
            Some((_, HaltReason::Yielded | HaltReason::HandedOver)) => run.known.stopped || run.known.ended.is_some(),
            Some(_) => false,
        };
        if !open {
            return;
        }
        let reason = if run.known.stopped {
            HaltReason::Stopped
        } else if run.known.ended.is_some() {
            HaltReason::Over
        } else if run.known.claim() != (delivering.attempt, me) {
            HaltReason::Yielded
        } else {
            return;
        };
        delivering.halted = Some((now, reason));
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
                let reason = HaltReason::Expired;
                delivering.halted = Some((now.mono, reason));
                self.out.push(Output::Halt { activation: id, reason });
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
            && !run.known.started
            && self.worth_of(me, &content.needs) != Worth::BEST
            && self.would_own_with(&content.group, &content.needs) != Some(me)
        {
            // Held, leaving, or with other drivers: a better server takes it, and this one does not start beside it. What it had
            // begun before it was started again nobody else takes while it lives.
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
        // A successor switches off what was switched on before it, also where nothing is left to be switched on; so does a
        // server that was started again in the middle.
        if attempt == 0 && !run.is_left_on() && run.known.states.iter().all(EndpointState::is_final) {
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
        self.order(id, content, states, listen_first, None);
    }

    /// Ends what a server before this one, or an earlier life of it, may have left switched on, where nothing more is sent: a
    /// delivery that has nobody to contact and is halted at once.
    fn switch_off(&mut self, id: ActivationId, why: HaltReason) {
        let run = &self.runs[&id];
        let Some(content) = Deliverable::of(&run.known.content) else { return };
        let over = |state: &EndpointState| match state {
            // Whether it was reached is not known, and it may be on.
            EndpointState::Sent => EndpointState::Acked { note: String::new() },
            EndpointState::Pending => EndpointState::Failed { reason: String::new() },
            state => state.clone(),
        };
        let states = run.known.states.iter().map(over).collect();
        self.order(id, content, states, false, Some(why));
    }

    fn order(
        &mut self,
        id: ActivationId,
        content: Deliverable,
        states: Vec<EndpointState>,
        listen_first: bool,
        halted: Option<HaltReason>,
    ) {
        let now = self.now.mono;
        let run = self.runs.get_mut(&id).expect("the caller looked it up");
        let attempt = run.known.attempt;
        let frozen = run.known.content.clone();
        let over = halted.map(|why| (now, why));
        let reached = (0..).zip(&states).filter(|(_, state)| matches!(state, EndpointState::Acked { .. }));
        run.in_hand.extend(reached.map(|(index, _)| index));
        run.delivering = Some(Delivering { attempt, content: frozen, halted: over, handed_over: false });
        run.delivered = Some(attempt);
        run.known.started = true;
        run.changed = now;
        self.out.push(Output::Deliver { activation: id, attempt, content, states, listen_first });
        self.out.extend(halted.map(|reason| Output::Halt { activation: id, reason }));
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
        let reports = |it: &Delivering| it.halted.is_none_or(|(at, _)| self.now.mono - at < patience);
        if run.delivering.as_ref().is_some_and(reports) {
            return;
        }
        if run.is_left_on() {
            self.switch_off(id, HaltReason::Stopped);
        } else {
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
        } else if self.runs[&id].is_left_on() {
            // It has its end when that is done.
            self.switch_off(id, HaltReason::Expired);
            self.fail_the_rest(id, EXPIRED);
        } else {
            self.finish(id, EXPIRED);
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
