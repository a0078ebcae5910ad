//! Reads what a peer says on the connection that it opened.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use tokio_rustls::server::TlsStream;
use tokio_util::codec::Framed;

use super::{Hello, MeshEvent, Reply, Shared, link::Note};
use crate::{
    frame::{self, Frames, MESH_LIMIT, Unread},
    net::{self, TcpStream},
    roster::Admission,
    tls::Caller,
};

const HELLO_DEADLINE: Duration = Duration::from_secs(3);

/// Serves one call until it ends.
pub(crate) async fn serve(shared: &Shared, caller: Caller, stream: TlsStream<TcpStream>) {
    if net::tune(stream.get_ref().0, shared.config.heartbeat * 8).is_err() {
        return;
    }
    let mut connection = Framed::new(stream, Frames { limit: MESH_LIMIT });
    let first = tokio::time::timeout(HELLO_DEADLINE, connection.next()).await;
    let Ok(Some(Ok(first))) = first else { return };
    let Ok(hello) = frame::read::<Hello>(&first) else {
        tracing::warn!(
            caller = shared.config.roster.called(caller.server),
            "the first message on the mesh is not a hello"
        );
        return;
    };
    let mut verdict = shared.judge(&hello, &caller);
    let notes = shared.notes_of(caller.server);
    if verdict == Admission::Welcome && notes.is_none() {
        // The roster admits it, the list of peers does not name it yet: it calls again.
        verdict = Admission::UnknownServer;
    }
    let (Some(notes), Admission::Welcome) = (notes, verdict) else {
        connection.send(frame::write(&Reply::TurnedAway(verdict))).await.ok();
        connection.close().await.ok();
        tracing::warn!(caller = shared.config.roster.called(caller.server), reason = %verdict, "refused a call on the mesh");
        return;
    };
    if connection.send(frame::write(&Reply::Welcome(shared.hello()))).await.is_err() {
        return;
    }
    let id = shared.next_connection();
    let up = Note::Up { connection: id, incarnation: hello.incarnation, boot: hello.boot };
    if notes.send(up).await.is_err() {
        return;
    }
    tokio::select! {
        end = listen(shared, &caller, &mut connection) => {
            tracing::debug!(peer = shared.config.roster.called(caller.server), %end, "the peer's connection ended");
        }
        () = notes.closed() => {}
        () = removed(shared, &caller) => {
            tracing::warn!(peer = shared.config.roster.called(caller.server), "the peer may no longer speak; its connection is closed");
        }
    }
    notes.send(Note::Down { connection: id }).await.ok();
}

async fn listen(shared: &Shared, caller: &Caller, connection: &mut Framed<TlsStream<TcpStream>, Frames>) -> String {
    // A peer that is up says something every heartbeat. What it opened before a pause or a cut is not kept for ever.
    let idle = shared.config.heartbeat * 40;
    loop {
        let bytes = match tokio::time::timeout(idle, connection.next()).await {
            Ok(Some(Ok(bytes))) => bytes,
            Ok(Some(Err(error))) => return error.to_string(),
            Ok(None) => return "closed by the peer".to_owned(),
            Err(_) => return "silent".to_owned(),
        };
        let arrived_us = now_us();
        match frame::read(&bytes) {
            Ok(message) => {
                let event = MeshEvent::Message { from: caller.server, message, arrived_us };
                if shared.events.send(event).await.is_err() {
                    return "the host has stopped listening".to_owned();
                }
            }
            Err(Unread::Unknown) => {
                shared.count_unknown();
                tracing::debug!(
                    peer = shared.config.roster.called(caller.server),
                    bytes = bytes.len(),
                    "skipped a message of an unknown kind"
                );
            }
            Err(Unread::Garbage(reason)) => {
                tracing::warn!(peer = shared.config.roster.called(caller.server), %reason, "what came on the mesh is not a message");
                return reason;
            }
        }
    }
}

/// Returns when the roster no longer lets the caller speak.
pub(crate) async fn removed(shared: &Shared, caller: &Caller) {
    let mut changes = shared.config.roster.changes();
    while shared.config.roster.judge_peer(caller.server, &caller.key_sha256) == Admission::Welcome {
        changes.changed().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a stamp for the other server, which compares clocks")]
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
