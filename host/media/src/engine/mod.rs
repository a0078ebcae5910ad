//! The one paced sender: every RTP packet of this server leaves from this thread, on absolute deadlines of the monotonic clock.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::codec::Codec;
use crate::render::Rendered;

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
pub struct Engine {}

impl Engine {
    /// Starts the sender. `sink` is called on a thread of its own, in order, so it may take its time.
    pub fn start(config: EngineConfig, sink: impl Fn(StreamEvent) + Send + 'static) -> Result<Engine, EngineError> {
        let _ = (config, Box::new(sink));
        unimplemented!()
    }

    /// Starts a stream. A destination whose address carries another stream is refused with
    /// [`StreamEvent::DestinationFailed`], unless that stream has been stopped. A second stream with the id of a running one is
    /// refused as a whole.
    pub fn play(&self, spec: StreamSpec) {
        let _ = spec;
        unimplemented!()
    }

    /// Adds a destination to a running stream; it joins at the current position.
    pub fn add_destination(&self, id: u128, destination: Destination) {
        let _ = (id, destination);
        unimplemented!()
    }

    /// Stops sending to one destination at once.
    pub fn remove_destination(&self, id: u128, key: u64) {
        let _ = (id, key);
        unimplemented!()
    }

    /// Stops a stream: silence for the trailing time, then nothing.
    pub fn stop(&self, id: u128) {
        let _ = id;
        unimplemented!()
    }

    /// How much of the content has been sent, in milliseconds; nothing when the stream is not running.
    pub fn position(&self, id: u128) -> Option<u64> {
        let _ = id;
        unimplemented!()
    }
}
