//! Stop wins (rule 9): a stop is stored and joined like everything else, and beats any attempt.

use std::collections::BTreeSet;

use crate::{
    effect::{Output, Refusal, Ticket},
    event::StopWhat,
    ids::ActivationId,
    node::Node,
    time::Mono,
};

/// How many events are remembered that were stopped before anything of them was known.
const REMEMBERED: usize = 10_000;

/// A stop that waits for its answer.
#[derive(Debug, Clone)]
pub(crate) struct StopWait {
    pub(crate) ticket: Ticket,
    /// The activation that the answer names.
    first: ActivationId,
    /// Those whose stop is not safe yet.
    left: BTreeSet<ActivationId>,
    degraded: bool,
    pub(crate) until: Mono,
}

impl Node {
    /// Somebody stops an event or an activation.
    pub(crate) fn stop(&mut self, ticket: Ticket, what: &StopWhat) {
        let matching: Vec<ActivationId> = match what {
            StopWhat::Activation(id) => self.runs.contains_key(id).then_some(*id).into_iter().collect(),
            StopWhat::Event(key) => {
                let of_event = self.runs.iter().filter(|(_, run)| run.known.content.key == *key);
                of_event.map(|(id, _)| *id).collect()
            }
        };
        if let StopWhat::Event(key) = what {
            // The event, or another notification of it, may still be on its way to this server.
            if self.stopped_early.len() < REMEMBERED {
                self.stopped_early.insert(key.clone(), self.now.mono + self.tuning.forget());
            }
        }
        let Some(first) = matching.first().copied() else {
            self.out.push(Output::Refused { ticket, reason: Refusal::NotKnown });
            return;
        };
        let running = |id: &ActivationId| self.runs[id].known.ended.is_none();
        let left: BTreeSet<ActivationId> = matching.into_iter().filter(running).collect();
        if left.is_empty() {
            self.out.push(Output::Accepted { ticket, activation: first, degraded: false, duplicate: true });
            return;
        }
        for id in &left {
            let run = self.runs.get_mut(id).expect("matched above");
            if !run.known.stopped {
                run.known.stopped = true;
                run.changed = self.now.mono;
                self.persist(*id);
            }
            self.push(*id, true);
        }
        let until = self.now.mono + self.tuning.budget();
        self.stops.push(StopWait { ticket, first, left, degraded: false, until });
    }

    /// Answers the stops that are safe: durable here and on one other server, or, as degraded, when the budget is spent or
    /// nobody else is up. A stop takes effect at once in any case.
    pub(crate) fn answer_stops(&mut self) {
        for mut wait in std::mem::take(&mut self.stops) {
            let spent = wait.until <= self.now.mono;
            let mut degraded = wait.degraded;
            wait.left.retain(|id| {
                let Some(run) = self.runs.get(id) else { return false };
                let here = run.stored.is_some_and(|stored| stored.held.stopped);
                let elsewhere =
                    self.confirmers(run).any(|server| run.have.get(&server).is_some_and(|held| held.stopped));
                let nobody = self.confirmers(run).next().is_none();
                let stuck = run.disk_is_stuck(self.now.mono, self.tuning.suspicion());
                let done = (here || stuck) && (elsewhere || spent || nobody);
                degraded |= done && !(here && elsewhere);
                !done
            });
            wait.degraded = degraded;
            if wait.left.is_empty() {
                let StopWait { ticket, first, degraded, .. } = wait;
                self.out.push(Output::Accepted { ticket, activation: first, degraded, duplicate: false });
            } else {
                self.stops.push(wait);
            }
        }
    }
}
