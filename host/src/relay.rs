//! Brings what other servers say, and what is seen of them, to the loop.

use std::sync::Arc;

use onealert_core::{members, peer_message::PeerMessage};
use onealert_peers::{Admission, MeshEvent};
use onealert_web::needs::State;
use tokio::sync::mpsc;

use crate::{
    drive::{Happened, Loop},
    hub::Hub,
    meet, retire,
};

/// Until the mesh ends.
pub async fn run(mut events: mpsc::Receiver<MeshEvent>, way: Loop, hub: Arc<Hub>) {
    while let Some(event) = events.recv().await {
        match event {
            MeshEvent::Message { from, message, .. } => {
                if let PeerMessage::Heartbeat(heartbeat) = &message {
                    hub.beats.heard(from, hub.clock.now().mono, heartbeat.draining);
                }
                meet::heard(&hub, from, &message);
                way.tell(Happened::Message(from, Box::new(message)));
            }
            MeshEvent::Link { peer, seen } => way.tell(Happened::Link(peer, seen)),
            MeshEvent::TurnedAway { peer, reason, again } => {
                let text = format!("server {peer} does not let this server in: {reason}");
                // A server that has just started does not know yet who has joined; it is asked again.
                let state = if reason == Admission::UnknownServer { State::Warning } else { State::Bad };
                if !again {
                    hub.sync_log.push(state, "mesh", text);
                }
                // Not when it is the peer that was removed: that is what our own list says.
                let named = hub.config().servers.get(&peer).is_some_and(|row| !row.deprovisioned);
                if reason == Admission::Deprovisioned && named {
                    retire::told(&hub, &format!("server {peer}"));
                }
                if reason == Admission::NotLicensed && named && !members::left_out(&hub.config(), peer) {
                    retire::turned_away(&hub, &format!("server {peer}"), again);
                }
            }
        }
    }
}
