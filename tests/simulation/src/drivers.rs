//! The drivers of a server: they ring endpoints one by one, report, and stop at a halt.

use std::collections::BTreeSet;

use onealert_core::{activation::EndpointState, effect::HaltReason, event::Input, ids::ActivationId};

use crate::{
    checks,
    doubled::{self, Cause, Knew, Rule},
    history::{Fault, FaultKind, Rang},
    law,
    planted::Planted,
    schedule::{Pace, Weather},
    server::Delivery,
    world::{Event, World, id},
};

impl World {
    pub(crate) fn deliver(&mut self, at: usize, activation: ActivationId, attempt: u32, states: &[EndpointState]) {
        let contacts = states.iter().any(|state| !state.is_final());
        if let Some(delivery) = self.servers[at].deliveries.get_mut(&(activation, attempt)).filter(|_| contacts) {
            if !std::mem::replace(&mut delivery.ordered, true) {
                return;
            }
            self.violate("contract", format!("server {at} asks twice for attempt {attempt} of {activation}"));
            return;
        }
        let boot = self.servers[at].boot;
        let open = (0..states.len()).filter(|endpoint| !states[*endpoint].is_final());
        let waiting: BTreeSet<usize> = open.collect();
        for endpoint in waiting.iter().copied() {
            // Where faults come within milliseconds, so do the drivers.
            let slowest = if self.schedule.pace == Pace::Close { 20_000 } else { 300_000 };
            let delay = self.draw("begin", at, endpoint).between(500, slowest);
            self.after(delay, Event::Begins { at, boot, activation, attempt, endpoint });
        }
        let heeds = self.planted != Some(Planted::LeavesItOn);
        let reached = |endpoint: &usize| heeds && matches!(states[*endpoint], EndpointState::Acked { .. });
        let delivery = Delivery {
            waiting,
            running: BTreeSet::new(),
            lit: (0..states.len()).filter(reached).collect(),
            leaves_on: false,
            halted: false,
            ordered: true,
            ended: false,
        };
        self.servers[at].deliveries.insert((activation, attempt), delivery);
        if let Some(seen) = self.history.see(activation) {
            seen.delivering.insert(at, attempt);
        }
        self.end_if_done(at, activation, attempt);
    }

    /// Where rule 3 is broken on purpose: a driver begins as soon as its server owns what came in.
    pub(crate) fn begin_unbacked(&mut self, at: usize, input: &Input) {
        let Input::Trigger { content, .. } = input else { return };
        if self.planted != Some(Planted::DeliversUnbacked) || content.due.is_some() {
            return;
        }
        let known = self.servers[at].node.as_ref().and_then(|node| node.knowledge(content.id));
        let mine = known.filter(|known| known.claim() == (0, id(at)) && known.ended.is_none() && !known.stopped);
        let Some(states) = mine.map(|known| known.states.clone()) else { return };
        if !self.servers[at].deliveries.contains_key(&(content.id, 0)) {
            self.deliver(at, content.id, 0, &states);
            if let Some(delivery) = self.servers[at].deliveries.get_mut(&(content.id, 0)) {
                delivery.ordered = false;
            }
        }
    }

    pub(crate) fn begin(&mut self, at: usize, activation: ActivationId, attempt: u32, endpoint: usize) {
        let server = &mut self.servers[at];
        let boot = server.boot;
        let Some(delivery) = server.deliveries.get_mut(&(activation, attempt)) else { return };
        if !delivery.waiting.remove(&endpoint) {
            return;
        }
        delivery.running.insert(endpoint);
        delivery.lit.insert(endpoint);
        let may =
            checks::may_begin(self, at, activation, attempt).and_then(|()| checks::not_too_late(self, at, activation));
        let may = may.and_then(|()| checks::is_the_first(self, at, activation));
        let may = may.and_then(|()| checks::was_not_told_of_it(self, at, activation, attempt, endpoint));
        if let Err(violation) = may.and_then(|()| law::i12_who_was_removed_delivers_nothing(self, at)) {
            self.violation.get_or_insert(violation);
        }
        let delay = self.draw("answer", at, endpoint).between(500, 250_000);
        self.note(|| format!("{at} rings endpoint {endpoint} of {activation} attempt {attempt}"));
        self.rings(
            activation,
            endpoint,
            Rang { at_us: self.now_us, server: at, attempt, failed: false, answered_us: None },
        );
        self.after(delay, Event::Answered { at, boot, activation, attempt, endpoint });
        let states = vec![(endpoint as u32, EndpointState::Sent)];
        self.feed(at, Input::Progress { activation, attempt, states });
    }

    /// An endpoint rings. Where it had been reached before, the kind of the repetition is noted.
    fn rings(&mut self, activation: ActivationId, endpoint: usize, again: Rang) {
        let Some(seen) = self.history.see(activation) else { return };
        let first = seen.rang[endpoint].iter().rev().find(|rang| !rang.failed).copied();
        seen.rang[endpoint].push(again);
        seen.on.insert(endpoint, (again.server, again.at_us));
        let Some(first) = first else { return };
        let cause = match self.knew(again.server, activation, endpoint) {
            Knew::Reached => Cause::KnewBetter,
            Knew::Begun | Knew::Failed => Cause::ResultUnknown,
            Knew::Nothing => self.why_unknown(first, again),
        };
        let why = self.servers[again.server].took_over.get(&(activation, again.attempt)).copied();
        let rule = if again.attempt == 0 { Rule::First } else { Rule::Successor(why) };
        let fault = doubled::fault_before(&self.history.faults, first, again);
        *self.history.doubled.entry((fault, cause, rule)).or_default() += 1;
    }

    /// Why a server does not know what another has done.
    fn why_unknown(&self, first: Rang, again: Rang) -> Cause {
        let other = &self.servers[first.server];
        let since = |kind| {
            let faults = self.history.faults.iter().filter(move |fault| fault.kind == kind);
            faults.filter(|fault| fault.until_us >= first.at_us && fault.from_us <= again.at_us)
        };
        let between = |fault: &Fault| {
            let ends = [fault.server, fault.other.unwrap_or(fault.server)];
            ends.contains(&first.server) && ends.contains(&again.server)
        };
        if other.node.is_none() || since(FaultKind::Crash).any(|fault| fault.server == first.server) {
            Cause::DiedBeforeSharing
        } else if since(FaultKind::Pause).any(|fault| [first.server, again.server].contains(&fault.server)) {
            Cause::StoodStill
        } else if since(FaultKind::Cut).any(between) {
            Cause::CutApart
        } else {
            Cause::TooSlow
        }
    }

    fn knew(&self, at: usize, activation: ActivationId, endpoint: usize) -> Knew {
        let node = self.servers[at].node.as_ref();
        match node.and_then(|node| node.knowledge(activation)).map(|known| &known.states[endpoint]) {
            None | Some(EndpointState::Pending) => Knew::Nothing,
            Some(EndpointState::Sent) => Knew::Begun,
            Some(EndpointState::Failed { .. }) => Knew::Failed,
            Some(EndpointState::Acked { .. }) => Knew::Reached,
        }
    }

    pub(crate) fn answered(&mut self, at: usize, activation: ActivationId, attempt: u32, endpoint: usize) {
        let fails = self.schedule.weather == Weather::Storm && self.draw("fails", at, endpoint).chance(3);
        let Some(delivery) = self.servers[at].deliveries.get_mut(&(activation, attempt)) else { return };
        delivery.running.remove(&endpoint);
        let state = if fails {
            if let Some(seen) = self.history.see(activation) {
                let mut rang = seen.rang[endpoint].iter_mut().rev();
                if let Some(rang) = rang.find(|rang| (rang.server, rang.attempt) == (at, attempt)) {
                    rang.failed = true;
                }
            }
            EndpointState::Failed { reason: "the device answered 503".to_owned() }
        } else {
            let now_us = self.now_us;
            if let Some(seen) = self.history.see(activation) {
                seen.acked.insert(endpoint);
                let mut rang = seen.rang[endpoint].iter_mut().rev();
                if let Some(rang) = rang.find(|rang| (rang.server, rang.attempt) == (at, attempt)) {
                    rang.answered_us = Some(now_us);
                }
            }
            EndpointState::Acked { note: String::new() }
        };
        self.feed(at, Input::Progress { activation, attempt, states: vec![(endpoint as u32, state)] });
        self.end_if_done(at, activation, attempt);
    }

    /// A delivery has come to its end, and its drivers switch off what it lit.
    pub(crate) fn switch_off(&mut self, at: usize, activation: ActivationId, attempt: u32) {
        let Some(delivery) = self.servers[at].deliveries.get(&(activation, attempt)) else { return };
        if delivery.leaves_on {
            return;
        }
        if let Some(seen) = self.history.see(activation) {
            seen.on.retain(|endpoint, _| !delivery.lit.contains(endpoint));
        }
    }

    pub(crate) fn halt(&mut self, at: usize, activation: ActivationId, reason: HaltReason) {
        if let Some(seen) = self.history.see(activation) {
            seen.delivering.remove(&at);
        }
        let mut attempts = Vec::new();
        for ((of, attempt), delivery) in &mut self.servers[at].deliveries {
            if *of == activation && !delivery.ended {
                (delivery.halted, delivery.ordered) = (true, true);
                delivery.leaves_on = matches!(reason, HaltReason::Yielded | HaltReason::HandedOver);
                delivery.waiting.clear();
                attempts.push(*attempt);
            }
        }
        for attempt in attempts {
            self.end_if_done(at, activation, attempt);
        }
    }

    pub(crate) fn end_if_done(&mut self, at: usize, activation: ActivationId, attempt: u32) {
        let server = &mut self.servers[at];
        let boot = server.boot;
        let Some(delivery) = server.deliveries.get_mut(&(activation, attempt)) else { return };
        if delivery.waiting.is_empty() && delivery.running.is_empty() && !delivery.ended {
            delivery.ended = true;
            let delay = self.draw("end", at, 0).between(100, 20_000);
            self.after(delay, Event::Ends { at, boot, activation, attempt });
        }
    }
}
