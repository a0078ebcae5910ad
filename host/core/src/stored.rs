//! What is durable: writes asked for, answered, failed, and what a restart finds.

use crate::{
    effect::{Haste, Output, Record, Ticket},
    ids::ActivationId,
    knowledge::Knowledge,
    node::Node,
    run::{Held, Run, Stored},
    time::Span,
};

/// A write that is not answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write {
    activation: ActivationId,
    held: Held,
}

impl Node {
    /// Has a run written. Its claim, its stop and its end are waited for where they are not durable yet; how far the
    /// endpoints are may come later.
    pub(crate) fn persist(&mut self, id: ActivationId) {
        let run = &self.runs[&id];
        let haste = if run.is_stored() && run.ending.is_none() { Haste::Soon } else { Haste::Now };
        self.write(id, haste);
    }

    /// Has a run written, and remembers what that write makes durable. Gives the write's name.
    pub(crate) fn write(&mut self, id: ActivationId, haste: Haste) -> Ticket {
        let now = self.now.mono;
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let run = self.runs.get_mut(&id).expect("only known activations are stored");
        run.writing_since.get_or_insert(now);
        run.write_failed = None;
        self.writes.insert(ticket, Write { activation: id, held: run.held() });
        self.out.push(Output::Persist { ticket, record: Record::Activation(Box::new(run.known.clone())), haste });
        ticket
    }

    /// Deletes a record; nothing waits for it, so its ticket is not remembered.
    pub(crate) fn forget(&mut self, id: ActivationId, haste: Haste) {
        self.runs.remove(&id);
        self.active.remove(&id);
        self.tickets += 1;
        self.out.push(Output::Persist { ticket: Ticket(self.tickets), record: Record::Forget(id), haste });
    }

    /// Takes in what the disk gave back.
    pub(crate) fn restore(&mut self, known: Knowledge) {
        let id = known.content.id;
        if known.states.len() != known.content.endpoints.len() {
            // Damaged on disk: its copies elsewhere are whole, and half of it would be read as something that was never said.
            return;
        }
        if let Some((_, at)) = known.ended {
            let age = u64::try_from(self.now.wall.0.saturating_sub(at.0)).unwrap_or(0);
            let left = Span(self.tuning.forget().0.saturating_sub(Span::millis(age).0));
            self.forgets.insert((self.now.mono + left, id));
        } else {
            self.active.insert(id);
        }
        let mut run = Run::new(known, self.now.mono);
        run.since = self.mono_of(run.known.content.accepted).min(self.now.mono);
        run.inherited = true;
        run.stored = Some(Stored { ticket: Ticket(0), held: run.held() });
        self.runs.insert(id, run);
    }

    pub(crate) fn persisted(&mut self, ticket: Ticket) {
        let Some(write) = self.writes.remove(&ticket) else { return };
        let more = self.writes.values().any(|other| other.activation == write.activation);
        let Some(run) = self.runs.get_mut(&write.activation) else { return };
        if run.stored.is_none_or(|stored| stored.ticket < ticket) {
            run.stored = Some(Stored { ticket, held: write.held });
        }
        run.writing_since = more.then_some(self.now.mono);
        let end_is_safe = run.ending.is_some_and(|ending| ending <= ticket);
        if end_is_safe {
            run.ending = None;
        }
        if run.is_stored() {
            for to in std::mem::take(&mut run.owed) {
                self.say_have(to, write.activation);
            }
        }
        if end_is_safe {
            self.push(write.activation, false);
        }
    }

    pub(crate) fn persist_failed(&mut self, ticket: Ticket, reason: String) {
        let Some(write) = self.writes.remove(&ticket) else { return };
        let more = self.writes.values().any(|other| other.activation == write.activation);
        let Some(run) = self.runs.get_mut(&write.activation) else { return };
        run.writing_since = more.then_some(self.now.mono);
        run.write_failed = Some(reason);
        self.active.insert(write.activation);
    }
}
