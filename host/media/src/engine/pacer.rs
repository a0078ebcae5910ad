//! The sender's thread: takes calls, sends what is due, sleeps until the next deadline.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::stream::{Body, Due, Leg, Stream, objection};
use super::tally::Tally;
use super::timeline::Timeline;
use super::transport::{Outgoing, Transport};
use super::wake::{self, Wake};
use super::{Destination, StreamEvent, StreamSpec};
use crate::render::Rendered;

/// A full send buffer is a failure only when it stays full for so many packets; one lost packet is hardly heard.
const FULL_IN_A_ROW: u32 = 10;

/// What callers ask for.
pub(super) enum Call {
    Play { spec: StreamSpec, timeline: Timeline, multicast_from: Option<Ipv4Addr> },
    Add { id: u128, destination: Destination },
    Remove { id: u128, key: u64 },
    Stop { id: u128 },
}

/// What callers may see of running streams without asking the thread.
#[derive(Debug, Clone)]
pub(super) struct Visible {
    pub(super) timeline: Timeline,
    pub(super) audio: Arc<Rendered>,
}

pub(super) type Board = Arc<Mutex<HashMap<u128, Visible>>>;

struct Running {
    stream: Stream,
    tally: Tally,
}

/// The thread's state.
pub(super) struct Pacer {
    pub(super) transport: Transport,
    pub(super) wake: Wake,
    pub(super) calls: Receiver<Call>,
    pub(super) events: Sender<StreamEvent>,
    pub(super) board: Board,
    pub(super) trailing_ms: u32,
    running: Vec<Running>,
}

impl Pacer {
    pub(super) fn new(
        transport: Transport,
        wake: Wake,
        calls: Receiver<Call>,
        events: Sender<StreamEvent>,
        board: Board,
        trailing_ms: u32,
    ) -> Pacer {
        Pacer { transport, wake, calls, events, board, trailing_ms, running: Vec::new() }
    }

    /// Runs until every caller has gone.
    pub(super) fn run(mut self) {
        // The kernel may delay an ordinary thread's timers by 50 microseconds to save power; not this one's.
        let _ = nix::sys::prctl::set_timerslack(1);
        while self.take_calls() {
            self.send_due();
            self.finish();
            let next = self.running.iter().map(|running| running.stream.deadline()).min();
            if let Err(error) = self.wake.wait(next) {
                tracing::error!(%error, "the audio sender's timer failed; it sleeps in coarse steps");
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a thread of its own; without a timer this keeps audio going"
                )]
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Carries out what was asked for; false when nobody can ask any more.
    fn take_calls(&mut self) -> bool {
        loop {
            match self.calls.try_recv() {
                Ok(Call::Play { spec, timeline, multicast_from }) => self.play(spec, timeline, multicast_from),
                Ok(Call::Add { id, destination }) => self.add(id, &destination),
                Ok(Call::Remove { id, key }) => {
                    if let Some(running) = self.find(id) {
                        running.stream.remove(key);
                    }
                }
                Ok(Call::Stop { id }) => self.stop(id),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn find(&mut self, id: u128) -> Option<&mut Running> {
        self.running.iter_mut().find(|running| running.stream.id == id)
    }

    fn tell(&self, event: StreamEvent) {
        // Nobody listens any more only while everything is being shut down.
        let _ = self.events.send(event);
    }

    fn show(&self, id: u128, visible: Option<Visible>) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        match visible {
            Some(visible) => board.insert(id, visible),
            None => board.remove(&id),
        };
    }

    fn play(&mut self, spec: StreamSpec, timeline: Timeline, multicast_from: Option<Ipv4Addr>) {
        let StreamSpec { id, ssrc, audio, destinations, start_at_ms: _ } = spec;
        if let Some(at) = self.running.iter().position(|running| running.stream.id == id) {
            if !self.running[at].stream.timeline.content_over(wake::now()) {
                for destination in destinations {
                    let reason = "this activation is being played already; it was not begun a second time".to_owned();
                    self.tell(StreamEvent::DestinationFailed { id, key: destination.key, reason });
                }
                return;
            }
            let replaced = self.running.swap_remove(at);
            self.tell(replaced.tally.finished(id, &replaced.stream.timeline));
        }
        self.transport.use_interface(multicast_from);
        self.show(id, Some(Visible { timeline, audio: audio.clone() }));
        // Random enough that a receiver does not take a new stream for the one before: keyed hashing with fresh keys.
        let random = RandomState::new().build_hasher().finish();
        let stream = Stream::new(id, ssrc, audio, timeline, random);
        self.running.push(Running { stream, tally: Tally::default() });
        for destination in &destinations {
            self.add_from(id, destination, timeline.begins);
        }
    }

    fn add(&mut self, id: u128, destination: &Destination) {
        self.add_from(id, destination, wake::now());
    }

    /// Adds a destination to a running stream, or says why not.
    fn add_from(&mut self, id: u128, destination: &Destination, now: u64) {
        let reason = match objection(destination) {
            Some(reason) => Some(reason),
            None if self.find(id).is_none() => Some("the stream is over".to_owned()),
            None => self.occupied(id, destination.addr),
        };
        match (reason, self.find(id)) {
            (None, Some(running)) => running.stream.add(destination, now),
            (reason, _) => {
                let reason = reason.unwrap_or_default();
                self.tell(StreamEvent::DestinationFailed { id, key: destination.key, reason });
            }
        }
    }

    /// Why an address cannot be used by this stream. A stream that is over or stopped gives its address up.
    fn occupied(&mut self, id: u128, addr: SocketAddr) -> Option<String> {
        let now = wake::now();
        for other in self.running.iter_mut().filter(|other| other.stream.id != id) {
            if other.stream.leg(addr).is_none() {
                continue;
            }
            if !other.stream.timeline.content_over(now) {
                let other = other.stream.id;
                return Some(format!(
                    "{addr} is carrying activation {other:032x}; two streams at once would garble each other"
                ));
            }
            other.stream.release(addr);
        }
        None
    }

    fn stop(&mut self, id: u128) {
        let trailing_ms = self.trailing_ms;
        if let Some(running) = self.find(id) {
            running.stream.timeline.stop(wake::now(), trailing_ms);
            let timeline = running.stream.timeline;
            let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(visible) = board.get_mut(&id) {
                visible.timeline = timeline;
            }
        }
    }

    /// Sends at most one packet time of every slot. What is still due comes next, after calls had their turn.
    fn send_due(&mut self) {
        for Running { stream, tally } in &mut self.running {
            for slot in 0..stream.slots.len() {
                let Some(Due { deadline, packets }) = stream.packets(slot, wake::now(), &mut tally.skipped) else {
                    continue;
                };
                let Stream { id, slots, .. } = stream;
                let slot = &mut slots[slot];
                let outgoing: Vec<Outgoing<'_>> = slot
                    .legs
                    .iter()
                    .zip(&packets)
                    .map(|(leg, (header, body))| Outgoing {
                        to: &leg.address,
                        header,
                        payload: match body {
                            Body::Audio => &slot.audio,
                            Body::Silence => &slot.silence,
                            Body::Event(event) => event,
                        },
                    })
                    .collect();
                let mut outcomes = Vec::with_capacity(outgoing.len());
                self.transport.send(&outgoing, |_, outcome| outcomes.push(outcome));
                if !outcomes.is_empty() {
                    tally.late(wake::now().saturating_sub(deadline));
                }
                for (leg, outcome) in slot.legs.iter_mut().zip(outcomes) {
                    report(*id, leg, outcome, tally, &self.events);
                }
            }
        }
    }

    fn finish(&mut self) {
        let now = wake::now();
        let mut at = 0;
        while at < self.running.len() {
            if self.running[at].stream.over(now) {
                let Running { stream, tally } = self.running.swap_remove(at);
                self.show(stream.id, None);
                self.tell(tally.finished(stream.id, &stream.timeline));
            } else {
                at += 1;
            }
        }
    }
}

/// Counts a packet, and tells of the first one and of the beginning of failures.
fn report(id: u128, leg: &mut Leg, outcome: io::Result<()>, tally: &mut Tally, events: &Sender<StreamEvent>) {
    match outcome {
        Ok(()) => {
            leg.failures = 0;
            tally.packets += 1;
            if tally.packets == 1 {
                let _ = events.send(StreamEvent::FirstPacket { id, at: Instant::now() });
            }
        }
        Err(error) => {
            leg.failures = leg.failures.saturating_add(1);
            let full = error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(Errno::ENOBUFS as i32);
            if leg.failures != if full { FULL_IN_A_ROW } else { 1 } {
                return;
            }
            for key in &leg.keys {
                let reason = format!("audio to {} could not be sent: {error}; sending goes on", leg.addr);
                let _ = events.send(StreamEvent::DestinationFailed { id, key: *key, reason });
            }
        }
    }
}
