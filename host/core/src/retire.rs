//! The end of a server that was deprovisioned (redundancy sheet, section 7).

use crate::{
    effect::{HaltReason, Output, Refusal},
    event::Input,
    node::Node,
};

impl Node {
    /// Ends everything at once: what runs is halted, who waits is refused, nothing is awaited. What was accepted is with the
    /// other servers of its group; this one may not send it any more (invariant I12).
    pub(crate) fn retire(&mut self) {
        self.retired = true;
        for (id, run) in &mut self.runs {
            if run.delivering.as_ref().is_some_and(|it| it.halted.is_none()) {
                self.out.push(Output::Halt { activation: *id, reason: HaltReason::Retired });
            }
            for waiter in std::mem::take(&mut run.waiters) {
                self.out.push(Output::Refused { ticket: waiter.ticket, reason: Refusal::Retired });
            }
        }
        for wait in std::mem::take(&mut self.stops) {
            self.out.push(Output::Refused { ticket: wait.ticket, reason: Refusal::Retired });
        }
        self.peers.clear();
        self.active.clear();
        self.wake = None;
    }

    /// A retired server answers, so that nobody waits for it, and does nothing else.
    pub(crate) fn refuse_as_retired(&mut self, input: &Input) {
        self.draining |= matches!(input, Input::Drain);
        if let Input::Trigger { ticket, .. } | Input::Stop { ticket, .. } = input {
            self.out.push(Output::Refused { ticket: *ticket, reason: Refusal::Retired });
        }
    }
}
