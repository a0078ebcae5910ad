//! What the loop can do to the world: send, write, deliver, record, tell.

use std::sync::Arc;

use onealert_core::{
    effect::{Absence, DownReason, Ended, HaltReason, Haste, Notice, Record, Rehearsed, Ticket},
    ids::{ActivationId, ServerId},
    peer_message::PeerMessage,
    view::ClockLevel,
};
use onealert_peers::Mesh;
use onealert_store::ActivationWriter;
use onealert_web::needs::State;
use tokio::sync::{Notify, mpsc};

use crate::{
    alerts::Noticed,
    deliver::{Deliveries, Order},
    drill::Rehearsals,
    drive::{Happened, World},
    hub::Ring,
    records::Records,
};

/// The real world.
pub struct Outside {
    /// The connections to the other servers.
    pub mesh: Mesh,
    /// The activations' database.
    pub writer: ActivationWriter,
    /// The way back to the loop, for writes that cannot even be asked for.
    pub report: mpsc::UnboundedSender<Happened>,
    /// Running deliveries.
    pub deliveries: Deliveries,
    /// Sent Notifications.
    pub records: Records,
    /// Who waits for rehearsals.
    pub rehearsals: Rehearsals,
    /// The synchronisation log.
    pub log: Arc<Ring>,
    /// Who makes alerts of what is noticed.
    pub alerts: mpsc::UnboundedSender<Noticed>,
    /// Woken when pages have something new to show.
    pub dirty: Arc<Notify>,
}

impl World for Outside {
    fn send(&mut self, to: ServerId, message: PeerMessage) {
        self.mesh.send(to, &message);
    }

    fn persist(&mut self, ticket: Ticket, record: Record, haste: Haste) {
        if let Err(error) = self.writer.write(ticket, record, haste) {
            let _ = self.report.send(Happened::PersistFailed(ticket, error.to_string()));
        }
    }

    fn deliver(&mut self, order: Order) {
        let content = &order.content;
        tracing::info!(activation = %content.id, name = content.name, attempt = order.attempt, "delivering");
        self.deliveries.start(order);
        self.dirty.notify_one();
    }

    fn halt(&mut self, activation: ActivationId, reason: HaltReason) {
        tracing::info!(%activation, ?reason, "halting");
        self.deliveries.halt(activation, reason);
        self.dirty.notify_one();
    }

    fn ended(&mut self, mut record: Ended) {
        record.after_ms = self.deliveries.after_ms(record.content.id, record.states.len());
        tracing::info!(activation = %record.content.id, name = record.content.name, outcome = ?record.outcome, "ended");
        // A write to the local disk, once an activation; the loop is told that it blocks.
        tokio::task::block_in_place(|| self.records.ended(&record));
        self.dirty.notify_one();
    }

    fn rehearsed(&mut self, activation: ActivationId, seen: Rehearsed) {
        self.rehearsals.saw(activation, seen);
    }

    fn notice(&mut self, notice: Notice) {
        let (state, text) = match &notice {
            Notice::PeerUp { peer } => (State::Ok, format!("server {peer} is up")),
            Notice::PeerDown { peer, why, absence } => gone(*peer, *why, *absence),
            Notice::TakenOver { activation, from, attempt, why } => {
                (State::Warning, format!("activation {activation} taken over from {from}, attempt {attempt}: {why}"))
            }
            Notice::Resumed { late_ms } => (
                State::Warning,
                format!("this server did not run for {late_ms} ms; asking the others before it goes on"),
            ),
            Notice::Degraded { activation } => {
                (State::Warning, format!("activation {activation} was accepted with one copy only"))
            }
            Notice::Missed { activation } => {
                (State::Bad, format!("activation {activation} was too late to be sent; its record says why"))
            }
            Notice::ClockOffset { peer, level, offset_ms } => {
                let state = if *level == ClockLevel::Red { State::Bad } else { State::Warning };
                (state, format!("the clock of server {peer} differs by {offset_ms} ms"))
            }
        };
        self.log.push(state, "mesh", text);
        // After the watch's end the server is stopping.
        let _ = self.alerts.send(Noticed::Node(notice));
        self.dirty.notify_one();
    }
}

/// What the log says of a server that went: a stop in good order is no fault, and who was never there has not failed.
fn gone(peer: ServerId, why: DownReason, absence: Absence) -> (State, String) {
    let how = match why {
        DownReason::Refused => "its program does not run",
        DownReason::Silent => "nothing is heard of it",
        DownReason::Draining => "it takes no new activations",
    };
    match (absence, why) {
        (Absence::Announced, DownReason::Draining) => {
            (State::Ok, format!("server {peer} is being stopped in good order: {how}"))
        }
        (Absence::Announced, _) => (State::Ok, format!("server {peer} was stopped in good order: {how}")),
        (Absence::Unmet, _) => (
            State::Warning,
            format!(
                "server {peer} was not heard since this server was started: it is not started yet, or cannot be reached"
            ),
        ),
        (Absence::Unannounced, _) => (State::Bad, format!("server {peer} is believed down: {how}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_went_without_a_word_is_a_fault() {
        let said = |why, absence| gone(ServerId(7), why, absence);
        for (why, absence, state, words) in [
            (DownReason::Draining, Absence::Announced, State::Ok, "is being stopped in good order"),
            (DownReason::Refused, Absence::Announced, State::Ok, "was stopped in good order"),
            (DownReason::Silent, Absence::Announced, State::Ok, "was stopped in good order"),
            (DownReason::Refused, Absence::Unmet, State::Warning, "not started yet"),
            (DownReason::Silent, Absence::Unmet, State::Warning, "cannot be reached"),
            (DownReason::Refused, Absence::Unannounced, State::Bad, "believed down: its program does not run"),
            (DownReason::Silent, Absence::Unannounced, State::Bad, "believed down: nothing is heard of it"),
        ] {
            let (found, text) = said(why, absence);
            assert!(found == state && text.contains(words), "{why:?} {absence:?}: {found:?} {text}");
        }
    }
}
