//! A listener for simulated devices and monitors: what a speaker on this address would have played.

mod track;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use socket2::{Domain, Protocol, Socket, Type};

use crate::codec::Codec;
use crate::render::wav;
use track::Tracks;

/// Room for a burst from a busy sender.
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// After this long without a packet those that were held back for a missing one are taken as they are.
const IDLE: Duration = Duration::from_millis(100);

/// Everything heard since the start or the last [`Receiver::reset`].
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Audio packets accepted.
    pub packets: u64,
    /// Milliseconds of audio accepted.
    pub ms: u64,
    /// Milliseconds of it that were louder than -50 dBFS, judged packet by packet.
    pub audible_ms: u64,
    /// Loudness of the accepted audio, in dBFS (RMS; a full-scale sine is -3); -120 where nothing was heard.
    pub rms_dbfs: f64,
    /// Loudest sample, in dBFS.
    pub peak_dbfs: f64,
    /// Sources in order of appearance; of more than 64 those heard last.
    pub ssrcs: Vec<u32>,
    /// The encoding of the last accepted packet.
    pub codec: Option<Codec>,
    /// Packets missing in the sequence.
    pub gaps: u64,
    /// Packets seen twice.
    pub duplicates: u64,
    /// Packets that came after a later one. Those within three packets are put back in order; others are dropped.
    pub reordered: u64,
    /// Packets with a payload type that is not accepted.
    pub wrong_payload: u64,
    /// Datagrams that are not RTP.
    pub malformed: u64,
    /// DTMF digits heard as RFC 4733 events.
    pub dtmf: String,
    /// Interarrival jitter (RFC 3550), in microseconds, of the source heard last.
    pub jitter_us: u64,
    /// When the first accepted packet came.
    pub first_at: Option<Instant>,
    /// When the last accepted packet came.
    pub last_at: Option<Instant>,
}

impl Default for Heard {
    fn default() -> Self {
        Tracks::new(&Codec::ALL).heard()
    }
}

impl Heard {
    /// Whether a stream is running: something was accepted within this time (vendors use 500 to 1000 ms).
    pub fn active(&self, within: Duration) -> bool {
        self.last_at.is_some_and(|at| at.elapsed() <= within)
    }
}

/// A socket bound to `addr`, ready to be shared with other listeners on this machine; a multicast group is joined on
/// `interface`, and only what is sent to that group is heard.
pub(crate) fn open(addr: SocketAddr, interface: Ipv4Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.ip().is_multicast() {
        socket.set_reuse_address(true)?;
    }
    // The system grants less where it must.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    match addr.ip() {
        IpAddr::V4(group) if group.is_multicast() => {
            // Otherwise memberships of other sockets, on other interfaces, would be heard as well.
            socket.set_multicast_all_v4(false)?;
            socket.join_multicast_v4(&group, &interface)?;
        }
        IpAddr::V6(group) if group.is_multicast() => socket.join_multicast_v6(&group, 0)?,
        _ => {}
    }
    Ok(socket)
}

#[derive(Debug)]
struct Shared {
    tracks: Mutex<Tracks>,
    changed: Condvar,
    end: EventFd,
}

impl Shared {
    fn tracks(&self) -> MutexGuard<'_, Tracks> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, socket: &Socket, epoll: &Epoll) {
        let mut datagram = [0; 65_536];
        let mut events = [EpollEvent::empty(); 2];
        loop {
            match epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return tracing::error!(%error, "an audio receiver has ended"),
            }
            if self.end.read().is_ok() {
                return;
            }
            let mut tracks = self.tracks();
            // Bounded, so that a flood cannot keep the others from looking.
            for _ in 0..64 {
                let Ok(length) = io::Read::read(&mut &*socket, &mut datagram) else {
                    break;
                };
                tracks.take(&datagram[..length], Instant::now());
            }
            drop(tracks);
            self.changed.notify_all();
        }
    }
}

/// Listens on one address, on a thread of its own, until dropped.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    local: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Binds `addr` and, where it is a multicast group, joins it on `interface`. All three codecs are accepted.
    ///
    /// # Errors
    /// The address is taken or not there, or the group cannot be joined.
    pub fn join(addr: SocketAddr, interface: Ipv4Addr) -> io::Result<Receiver> {
        Receiver::join_accepting(addr, interface, &Codec::ALL)
    }

    /// The same, for a device that takes only these codecs.
    ///
    /// # Errors
    /// As for [`Receiver::join`].
    pub fn join_accepting(addr: SocketAddr, interface: Ipv4Addr, codecs: &[Codec]) -> io::Result<Receiver> {
        let socket = open(addr, interface)?;
        let local = socket.local_addr()?.as_socket().unwrap_or(addr);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let end = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        epoll.add(&end, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
        let shared = Arc::new(Shared { tracks: Mutex::new(Tracks::new(codecs)), changed: Condvar::new(), end });
        let running = shared.clone();
        let thread =
            thread::Builder::new().name("media-receiver".to_owned()).spawn(move || running.run(&socket, &epoll))?;
        Ok(Receiver { shared, local, thread: Some(thread) })
    }

    /// The address it is bound to (with the port that was chosen, if 0 was asked for).
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What has been heard.
    pub fn snapshot(&self) -> Heard {
        let mut tracks = self.shared.tracks();
        tracks.settle(Instant::now(), IDLE);
        tracks.heard()
    }

    /// Waits until what has been heard satisfies `enough`, or the time is over; gives what was heard then, and whether it did.
    pub fn wait(&self, time: Duration, enough: impl Fn(&Heard) -> bool) -> (Heard, bool) {
        let deadline = Instant::now() + time;
        let mut tracks = self.shared.tracks();
        loop {
            tracks.settle(Instant::now(), IDLE);
            let heard = tracks.heard();
            if enough(&heard) {
                return (heard, true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (heard, false);
            }
            // Conditions such as "nothing for 500 ms" become true without a packet.
            let pause = left.min(Duration::from_millis(50));
            tracks = self.shared.changed.wait_timeout(tracks, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Forgets everything heard.
    pub fn reset(&self) {
        self.shared.tracks().reset();
    }

    /// The samples heard, in order, mono, with their rate. Missing packets are silence; at most the last ten minutes are kept.
    pub fn pcm(&self) -> (u32, Vec<i16>) {
        let mut tracks = self.shared.tracks();
        tracks.settle(Instant::now(), IDLE);
        tracks.pcm()
    }

    /// Writes the samples heard as a WAV file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_wav(&self, path: &Path) -> io::Result<()> {
        let (rate, samples) = self.pcm();
        wav::write(path, rate, &samples)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It fails only when the end has been asked for more often than can be counted.
        let _ = self.shared.end.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
