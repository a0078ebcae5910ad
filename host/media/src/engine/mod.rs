//! The one paced sender: every RTP packet of this server leaves from this thread, on absolute deadlines of the monotonic clock.

mod favour;
mod pacer;
mod stream;
mod tally;
mod timeline;
mod transport;
mod wake;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::codec::Codec;
use crate::render::Rendered;
use pacer::{Board, Call, Pacer, Visible};
use timeline::Timeline;
use transport::Transport;
use wake::{Bell, Wake};

/// From which interface multicast leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interface {
    /// The interface of the default route.
    #[default]
    Auto,
    /// The interface with this address.
    Address(Ipv4Addr),
}

/// Settings of the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// From which interface multicast leaves.
    pub interface: Interface,
    /// The TOS byte of every packet; 0xB8 is DSCP EF.
    pub tos: u8,
    /// Time to live of multicast packets.
    pub multicast_ttl: u8,
    /// Whether receivers on this machine hear multicast too. The witness of another server on the same machine needs it.
    pub multicast_loop: bool,
    /// Silence before the content of every stream, in milliseconds; a destination may ask for more.
    pub lead_in_ms: u32,
    /// Silence after the content of every stream, in milliseconds.
    pub trailing_ms: u32,
    /// Whether the sender's thread asks for real-time priority.
    pub realtime: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            interface: Interface::Auto,
            tos: 0xB8,
            multicast_ttl: 1,
            multicast_loop: true,
            lead_in_ms: 200,
            trailing_ms: 200,
            realtime: true,
        }
    }
}

/// One stream: the same audio to any number of destinations, in step.
#[derive(Debug, Clone)]
pub struct StreamSpec {
    /// The caller's name for it: the activation.
    pub id: u128,
    /// From [`crate::ssrc::ssrc`].
    pub ssrc: u32,
    /// What is heard.
    pub audio: Arc<Rendered>,
    /// Where it is heard.
    pub destinations: Vec<Destination>,
    /// Where in the audio to begin, in milliseconds (takeover with resume).
    pub start_at_ms: u64,
}

/// Where audio is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The caller's name for it, unique in its stream. Several keys may give the same address: it is sent once.
    pub key: u64,
    /// Address and port, unicast or multicast.
    pub addr: SocketAddr,
    /// The encoding.
    pub codec: Codec,
    /// Time a packet, in milliseconds: 10, 20 or 30.
    pub packet_ms: u8,
    /// Silence before the content, in milliseconds, where more than the engine's is needed.
    pub lead_in_ms: u32,
    /// Digits sent as RFC 4733 events (payload type 101) before the content; empty for none.
    pub dtmf: String,
}

impl Destination {
    /// A mu-law destination with 20 ms packets: what every device takes.
    pub fn pcmu(key: u64, addr: SocketAddr) -> Destination {
        Destination { key, addr, codec: Codec::Pcmu, packet_ms: 20, lead_in_ms: 0, dtmf: String::new() }
    }
}

/// What happened to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// The first packet has left for at least one destination.
    FirstPacket {
        /// The stream.
        id: u128,
        /// When it left.
        at: Instant,
    },
    /// The stream is over: played to its end, or stopped.
    Finished {
        /// The stream.
        id: u128,
        /// Packets sent, all destinations together.
        packets: u64,
        /// Packet times left out because the sender was late by more than 60 ms.
        skipped: u64,
        /// 99th percentile of the lateness of a tick, in microseconds.
        late_p99_us: u64,
        /// Whether it was stopped before its end.
        stopped: bool,
    },
    /// A destination is not being reached; others are not disturbed. Sending to it goes on where that can help. Said once for
    /// each spell of failures.
    DestinationFailed {
        /// The stream.
        id: u128,
        /// The destination.
        key: u64,
        /// Why, for people.
        reason: String,
    },
}

/// Why the sender could not be started.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The operating system refused.
    #[error("the audio sender could not {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Handle to the sender's thread. Dropping it ends every stream at once.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    /// From which interface multicast leaves at present.
    interface: Mutex<Interface>,
    /// Taken only when the engine is dropped.
    calls: Option<Sender<Call>>,
    bell: Bell,
    board: Board,
    /// Events that are known without asking the thread.
    events: Sender<StreamEvent>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the sender. `sink` is called on a thread of its own, in order, so it may take its time.
    ///
    /// # Errors
    /// The operating system refuses a socket, a timer or a thread.
    pub fn start(config: EngineConfig, sink: impl Fn(StreamEvent) + Send + 'static) -> Result<Engine, EngineError> {
        let failed = |doing| move |source| EngineError::Io { doing, source };
        let mut transport = Transport::open(&config)?;
        transport.use_interface(transport::resolve(config.interface));
        let (wake, bell) = Wake::new().map_err(failed("make a timer"))?;
        let (calls, taken) = mpsc::channel();
        let (events, told) = mpsc::channel::<StreamEvent>();
        thread::Builder::new()
            .name("media-events".to_owned())
            .spawn(move || {
                for event in told {
                    // One event that the sink cannot bear must not cost those after it.
                    if catch_unwind(AssertUnwindSafe(|| sink(event))).is_err() {
                        tracing::error!("an audio event was lost because its receiver panicked");
                    }
                }
            })
            .map_err(failed("start a thread"))?;
        let board = Board::default();
        let pacer = Pacer::new(transport, wake, taken, events.clone(), board.clone(), config.trailing_ms);
        let (thread_id, known) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("media-pacer".to_owned())
            .spawn(move || {
                let _ = thread_id.send(nix::unistd::gettid().as_raw());
                pacer.run();
            })
            .map_err(failed("start a thread"))?;
        if let (true, Ok(id)) = (config.realtime, known.recv()) {
            favour::favour(id);
        }
        let interface = Mutex::new(config.interface);
        Ok(Engine { config, interface, calls: Some(calls), bell, board, events, thread: Some(thread) })
    }

    /// Multicast leaves by this interface from the next stream on.
    pub fn leave_by(&self, interface: Interface) {
        *self.interface.lock().unwrap_or_else(PoisonError::into_inner) = interface;
    }

    fn call(&self, call: Call) {
        if let Some(calls) = &self.calls
            && calls.send(call).is_ok()
        {
            self.bell.ring();
        }
    }

    fn board(&self) -> std::sync::MutexGuard<'_, HashMap<u128, Visible>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a stream: its first packet leaves at once. A destination whose address carries another stream is refused with
    /// [`StreamEvent::DestinationFailed`], unless that stream has been stopped or has come to its trailing silence. A second
    /// stream with the id of a running one is refused as a whole. A stream without destinations runs too: they may come late.
    ///
    /// Encodings that the audio does not have yet are made in this call.
    pub fn play(&self, spec: StreamSpec) {
        for destination in &spec.destinations {
            spec.audio.encoded(destination.codec);
        }
        let interface = *self.interface.lock().unwrap_or_else(PoisonError::into_inner);
        let multicast_from = transport::resolve(interface);
        let duration_ms = spec.audio.duration_ms();
        let mut timeline = Timeline::new(&self.config, &spec.destinations, duration_ms, spec.start_at_ms);
        timeline.begins = wake::now();
        self.board().entry(spec.id).or_insert_with(|| Visible { timeline, audio: spec.audio.clone() });
        self.call(Call::Play { spec, timeline, multicast_from });
    }

    /// Adds a destination to a running stream; it joins at the current position, after its digits if it has any.
    pub fn add_destination(&self, id: u128, destination: Destination) {
        let audio = self.board().get(&id).map(|visible| visible.audio.clone());
        match audio {
            Some(audio) => {
                audio.encoded(destination.codec);
                self.call(Call::Add { id, destination });
            }
            None => {
                let reason = "the stream is over".to_owned();
                // The receiver outlives every sender.
                let _ = self.events.send(StreamEvent::DestinationFailed { id, key: destination.key, reason });
            }
        }
    }

    /// Stops sending to one destination at once.
    pub fn remove_destination(&self, id: u128, key: u64) {
        self.call(Call::Remove { id, key });
    }

    /// Stops a stream: silence for the trailing time, then nothing.
    pub fn stop(&self, id: u128) {
        self.call(Call::Stop { id });
    }

    /// How much of the audio has been sent, in milliseconds from its beginning (all repeats); nothing when the stream is not
    /// running. This is what a successor takes as `start_at_ms`.
    pub fn position(&self, id: u128) -> Option<u64> {
        self.board().get(&id).map(|visible| visible.timeline.position(wake::now()))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.calls = None;
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            // It ends with an error only if it panicked, which has been printed.
            let _ = thread.join();
        }
    }
}
