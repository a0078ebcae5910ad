//! What the loop can do to the world: send, write, deliver, record, tell.

use std::sync::Arc;

use onealert_core::{
    effect::{Ended, HaltReason, Haste, Notice, Record, Rehearsed, Ticket},
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
            Notice::PeerDown { peer, why } => {
                (State::Bad, format!("server {peer} is believed down ({why:?})").to_lowercase())
            }
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
