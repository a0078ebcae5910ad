//! A listener for simulated devices and monitors: what a speaker on this address would have played.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::codec::Codec;

/// Everything heard since the start or the last [`Receiver::reset`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// Audio packets accepted.
    pub packets: u64,
    /// Milliseconds of audio accepted.
    pub ms: u64,
    /// Loudness of the accepted audio, in dBFS (RMS; a full-scale sine is -3); very low where nothing was heard.
    pub rms_dbfs: f64,
    /// Loudest sample, in dBFS.
    pub peak_dbfs: f64,
    /// Sources in order of appearance.
    pub ssrcs: Vec<u32>,
    /// The encoding of the last accepted packet.
    pub codec: Option<Codec>,
    /// Packets missing in the sequence.
    pub gaps: u64,
    /// Packets seen twice.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets with a payload type that is not accepted.
    pub wrong_payload: u64,
    /// Datagrams that are not RTP.
    pub malformed: u64,
    /// DTMF digits heard as RFC 4733 events.
    pub dtmf: String,
    /// Interarrival jitter (RFC 3550), in microseconds.
    pub jitter_us: u64,
    /// When the first accepted packet came.
    pub first_at: Option<Instant>,
    /// When the last accepted packet came.
    pub last_at: Option<Instant>,
}

/// Listens on one address, on a thread of its own, until dropped.
#[derive(Debug)]
pub struct Receiver {}

impl Receiver {
    /// Binds `addr` and, where it is a multicast group, joins it on `interface`. All three codecs are accepted.
    pub fn join(addr: SocketAddr, interface: Ipv4Addr) -> io::Result<Receiver> {
        let _ = (addr, interface);
        unimplemented!()
    }

    /// The same, for a device that takes only these codecs.
    pub fn join_accepting(addr: SocketAddr, interface: Ipv4Addr, codecs: &[Codec]) -> io::Result<Receiver> {
        let _ = (addr, interface, codecs);
        unimplemented!()
    }

    /// The address it is bound to (with the port that was chosen, if 0 was asked for).
    pub fn local_addr(&self) -> SocketAddr {
        unimplemented!()
    }

    /// What has been heard.
    pub fn snapshot(&self) -> Heard {
        unimplemented!()
    }

    /// Waits until what has been heard satisfies `enough`, or the time is over; gives what was heard then, and whether it did.
    pub fn wait(&self, time: Duration, enough: impl Fn(&Heard) -> bool) -> (Heard, bool) {
        let _ = (time, Box::new(enough));
        unimplemented!()
    }

    /// Forgets everything heard.
    pub fn reset(&self) {
        unimplemented!()
    }

    /// The samples heard, in order, mono, with their rate.
    pub fn pcm(&self) -> (u32, Vec<i16>) {
        unimplemented!()
    }

    /// Writes the samples heard as a WAV file.
    pub fn write_wav(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        unimplemented!()
    }
}
