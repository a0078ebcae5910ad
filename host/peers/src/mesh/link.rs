//! Keeps one peer's link and says what is seen of it: one task that owns the state of both directions.
//!
//! The order of a loss: the connection breaks, `Lost` is told, the peer is called again at once. A refusal proves that its
//! process is gone; an answer brings `Connected` with the number of its start. A dying process may still complete a
//! handshake in the kernel, so that the first calls after a loss follow each other without a pause.

use std::{io, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use onealert_core::{event::LinkSeen, ids::Incarnation};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    MeshEvent, PeerAddress, Shared,
    dial::{Connection, DialError, dial},
    outbox::Outbox,
};
use crate::{roster::Admission, socket};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How many calls follow a loss with hardly a pause.
const QUICK_CALLS: u32 = 6;
/// After how many refusals for one reason it is told again.
const TOLD_AGAIN: u32 = 5;

/// What the reading side tells the task that owns the link.
#[derive(Debug)]
pub(crate) enum Note {
    /// The peer has called and was let in.
    Up { connection: u64, incarnation: Incarnation, boot: u64 },
    /// That call has ended.
    Down { connection: u64 },
}

/// The mesh's hold on a link.
#[derive(Debug)]
pub(crate) struct Handle {
    address: String,
    pub outbox: Arc<Outbox>,
    pub notes: mpsc::Sender<Note>,
    cancel: CancellationToken,
}

impl Handle {
    pub fn address(&self) -> &str {
        &self.address
    }
    pub fn stop(&self) {
        self.outbox.close();
        self.cancel.cancel();
    }
}

/// Starts the task.
pub(crate) fn start(shared: Arc<Shared>, peer: PeerAddress, cancel: CancellationToken) -> Handle {
    let (notes, inbox) = mpsc::channel(16);
    let outbox = Arc::new(Outbox::default());
    let handle = Handle { address: peer.address.clone(), outbox: outbox.clone(), notes, cancel: cancel.clone() };
    let link = Link { shared, peer, outbox, inbox, outbound: None, inbound: None, seen: None, turned_away: None };
    tokio::spawn(async move {
        let outbox = link.outbox.clone();
        cancel.run_until_cancelled(link.run()).await;
        outbox.close();
    });
    handle
}

/// The life a peer is in.
type Life = (Incarnation, u64);

struct Link {
    shared: Arc<Shared>,
    peer: PeerAddress,
    outbox: Arc<Outbox>,
    inbox: mpsc::Receiver<Note>,
    /// The peer that answered our call.
    outbound: Option<Life>,
    /// The peer that called us, and on which connection.
    inbound: Option<(u64, Life)>,
    seen: Option<LinkSeen>,
    /// Why it was turned away last, and how often for that reason before.
    turned_away: Option<(Admission, u32)>,
}

impl Link {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut quick = 0;
        loop {
            match self.call().await {
                Ok((connection, life)) => {
                    self.turned_away = None;
                    self.speak(connection, life).await;
                    (pause, quick) = (FIRST_PAUSE, QUICK_CALLS);
                    continue;
                }
                Err(DialError::Refused) => {
                    quick = 0;
                    self.tell(LinkSeen::Refused).await;
                }
                Err(DialError::Cut(_)) if quick > 0 => {
                    quick -= 1;
                    sleep(Duration::from_millis(1 << (QUICK_CALLS - quick).min(4))).await;
                    continue;
                }
                Err(DialError::TurnedAway(reason)) => {
                    let times = match self.turned_away {
                        Some((before, times)) if before == reason => times + 1,
                        _ => 0,
                    };
                    self.turned_away = Some((reason, times));
                    if times == 0 {
                        tracing::warn!(peer = self.shared.config.roster.called(self.peer.id), address = %self.peer.address, %reason, "turned away");
                    }
                    if times % TOLD_AGAIN == 0 {
                        let event = MeshEvent::TurnedAway { peer: self.peer.id, reason, again: times > 0 };
                        self.shared.events.send(event).await.ok();
                    }
                    self.tell(LinkSeen::Lost).await;
                }
                Err(error @ (DialError::Cut(_) | DialError::Silent(_))) => {
                    tracing::debug!(peer = self.shared.config.roster.called(self.peer.id), address = %self.peer.address, %error, "no answer");
                    self.tell(LinkSeen::Lost).await;
                }
            }
            if self.wait(pause).await {
                pause = FIRST_PAUSE;
            } else {
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Calls the peer; notes are taken meanwhile.
    async fn call(&mut self) -> Result<(Connection, Life), DialError> {
        let (shared, peer) = (self.shared.clone(), self.peer.clone());
        let call = dial(&shared, &peer);
        tokio::pin!(call);
        let mut begun = Instant::now();
        loop {
            tokio::select! {
                done = &mut call => return done.map(|(connection, hello)| (connection, (hello.incarnation, hello.boot))),
                Some(note) = self.inbox.recv() => {
                    let up = matches!(note, Note::Up { .. });
                    self.take(note).await;
                    // The peer is there: a call whose first packet was lost would wait long for its repetition.
                    if up && begun.elapsed() > shared.config.heartbeat {
                        call.set(dial(&shared, &peer));
                        begun = Instant::now();
                    }
                }
            }
        }
    }

    /// Speaks until the connection breaks.
    async fn speak(&mut self, connection: Connection, life: Life) {
        self.outbox.open();
        self.outbound = Some(life);
        self.connected().await;
        let limit = self.shared.config.heartbeat * 8;
        let outbox = self.outbox.clone();
        let speech = carry(connection, &outbox, limit);
        tokio::pin!(speech);
        let (probe_limit, address) = (self.shared.config.heartbeat, self.peer.address.clone());
        let mut probing = false;
        let probe = socket::connect(&address, probe_limit);
        tokio::pin!(probe);
        loop {
            tokio::select! {
                end = &mut speech => {
                    tracing::debug!(peer = self.shared.config.roster.called(self.peer.id), %end, "link closed");
                    break;
                }
                answer = &mut probe, if probing => {
                    if answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
                        break;
                    }
                    probing = false;
                    probe.set(socket::connect(&address, probe_limit));
                }
                // The peer's own connection ended. Ours may not have noticed yet: a bare call tells whether it is gone,
                // and closing ours for it would make the peer close its next one in turn, without end.
                Some(note) = self.inbox.recv() => probing |= self.take(note).await,
            }
        }
        self.outbox.close();
        self.outbound = None;
        self.tell(LinkSeen::Lost).await;
    }

    /// Waits before the next call. Returns early, and true, when the peer calls: then it is there.
    async fn wait(&mut self, pause: Duration) -> bool {
        let pause = sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return false,
                Some(note) = self.inbox.recv() => {
                    let up = matches!(note, Note::Up { .. });
                    self.take(note).await;
                    if up {
                        return true;
                    }
                }
            }
        }
    }

    /// Returns whether the peer's connection, and not an earlier one, has ended.
    async fn take(&mut self, note: Note) -> bool {
        match note {
            Note::Up { connection, incarnation, boot } => {
                self.inbound = Some((connection, (incarnation, boot)));
                self.connected().await;
                false
            }
            Note::Down { connection } => {
                let current = self.inbound.is_some_and(|(held, _)| held == connection);
                if current {
                    self.inbound = None;
                }
                current
            }
        }
    }

    /// Tells `Connected` once both directions stand and lead to the same life of the peer.
    async fn connected(&mut self) {
        if let (Some((incarnation, boot)), Some((_, life))) = (self.outbound, self.inbound)
            && life == (incarnation, boot)
        {
            self.tell(LinkSeen::Connected { incarnation, boot }).await;
        }
    }

    /// Tells what is seen, once. `Lost` says less than `Refused` and does not follow it.
    async fn tell(&mut self, seen: LinkSeen) {
        let says_nothing = seen == LinkSeen::Lost && self.seen == Some(LinkSeen::Refused);
        if self.seen != Some(seen) && !says_nothing {
            self.seen = Some(seen);
            self.shared.events.send(MeshEvent::Link { peer: self.peer.id, seen }).await.ok();
        }
    }
}

/// Writes what waits and watches for the end. Returns why it ended.
async fn carry(connection: Connection, outbox: &Outbox, limit: Duration) -> String {
    let (mut sink, mut stream) = connection.split();
    let write = async {
        loop {
            let Some(batch) = outbox.next().await else {
                return "the peer does not read what waits for it".to_owned();
            };
            let flush = async {
                for message in batch {
                    sink.feed(message).await?;
                }
                sink.flush().await
            };
            match tokio::time::timeout(limit, flush).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return "the peer takes no bytes".to_owned(),
            }
        }
    };
    let read = async {
        // Nothing is said in this direction after the hello; what a later version says is skipped.
        loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.to_string(),
                None => return "closed by the peer".to_owned(),
            }
        }
    };
    tokio::select! {
        end = write => end,
        end = read => end,
    }
}
