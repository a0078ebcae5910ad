//! What is on the air: which multicast groups carry RTP, and from which sources (redundancy: two servers, one multicast group).

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use socket2::Socket;

use crate::receiver::open;
use crate::{route, rtp};

/// The sources remembered for one group: enough for every server there could be, few enough that a flood does no harm.
const MAX_SOURCES: usize = 64;
/// Datagrams read from one group before the others have their turn.
const TURN: usize = 64;
/// Marks the event that ends the thread; groups are numbered from 1.
const END: u64 = 0;

#[derive(Debug)]
struct Watched {
    number: u64,
    socket: Socket,
    heard: HashMap<u32, Instant>,
}

#[derive(Debug, Default)]
struct Groups {
    last_number: u64,
    watched: HashMap<SocketAddrV4, Watched>,
}

#[derive(Debug)]
struct Shared {
    epoll: Epoll,
    end: EventFd,
    groups: Mutex<Groups>,
}

impl Shared {
    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what has come until the end is asked for.
    fn run(&self) {
        let mut events = [EpollEvent::empty(); 32];
        loop {
            let ready = match self.epoll.wait(&mut events, EpollTimeout::NONE) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(error) => return tracing::error!(%error, "the listener on multicast groups has ended"),
            };
            for event in &events[..ready] {
                if event.data() == END {
                    return;
                }
                let mut groups = self.groups();
                // A group that was left a moment ago may still have an event.
                if let Some(watched) = groups.watched.values_mut().find(|watched| watched.number == event.data()) {
                    watched.read();
                }
            }
        }
    }
}

impl Watched {
    fn read(&mut self) {
        let mut datagram = [0; 2_048];
        for _ in 0..TURN {
            // Nothing left, or an error that the next datagram will not have.
            let Ok(length) = io::Read::read(&mut &self.socket, &mut datagram) else {
                return;
            };
            let Ok(packet) = rtp::parse(&datagram[..length]) else {
                continue;
            };
            if self.heard.len() >= MAX_SOURCES && !self.heard.contains_key(&packet.header.ssrc) {
                let oldest = self.heard.iter().min_by_key(|(_, at)| **at).map(|(ssrc, _)| *ssrc);
                oldest.map(|ssrc| self.heard.remove(&ssrc));
            }
            self.heard.insert(packet.header.ssrc, Instant::now());
        }
    }
}

/// A standing listener on multicast groups, which answers at once what was heard on them lately.
#[derive(Debug)]
pub struct Witness {
    shared: Arc<Shared>,
    interface: Ipv4Addr,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Starts a listener on this interface; `0.0.0.0` is the interface of the default route.
    ///
    /// # Errors
    /// The system refuses a descriptor or a thread.
    pub fn start(interface: Ipv4Addr) -> io::Result<Witness> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let end = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        epoll.add(&end, EpollEvent::new(EpollFlags::EPOLLIN, END))?;
        let shared = Arc::new(Shared { epoll, end, groups: Mutex::default() });
        let running = shared.clone();
        let thread = thread::Builder::new().name("media-witness".to_owned()).spawn(move || running.run())?;
        Ok(Witness { shared, interface, thread: Some(thread) })
    }

    /// Joins a group; joining it again does nothing.
    ///
    /// # Errors
    /// The group cannot be joined.
    pub fn watch(&self, group: SocketAddrV4) -> io::Result<()> {
        let mut groups = self.shared.groups();
        if groups.watched.contains_key(&group) {
            return Ok(());
        }
        let interface = match self.interface {
            Ipv4Addr::UNSPECIFIED => route::default_interface().map_or(self.interface, |(_, address)| address),
            address => address,
        };
        let socket = open(SocketAddr::V4(group), interface)?;
        groups.last_number += 1;
        let number = groups.last_number;
        self.shared.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
        groups.watched.insert(group, Watched { number, socket, heard: HashMap::new() });
        Ok(())
    }

    /// Leaves a group.
    pub fn unwatch(&self, group: SocketAddrV4) {
        // Closing the socket leaves the group and the descriptor set.
        self.shared.groups().watched.remove(&group);
    }

    /// The SSRCs heard on a watched group within this time, including this server's own, in rising order.
    pub fn heard(&self, group: SocketAddrV4, within: Duration) -> Vec<u32> {
        let groups = self.shared.groups();
        let Some(watched) = groups.watched.get(&group) else {
            return Vec::new();
        };
        let mut heard: Vec<u32> =
            watched.heard.iter().filter(|(_, at)| at.elapsed() <= within).map(|(ssrc, _)| *ssrc).collect();
        heard.sort_unstable();
        heard
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It fails only when the end has been asked for more often than can be counted.
        let _ = self.shared.end.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Joins the groups, listens for this long, and says which SSRCs each of them carried. Blocks. The interface `0.0.0.0` is that
/// of the default route.
///
/// # Errors
/// A group cannot be joined.
#[expect(
    clippy::disallowed_methods,
    reason = "listening is waiting on the caller's own thread: there is no condition to wait for"
)]
pub fn listen(
    groups: &[SocketAddrV4],
    interface: Ipv4Addr,
    time: Duration,
) -> io::Result<Vec<(SocketAddrV4, Vec<u32>)>> {
    let witness = Witness::start(interface)?;
    for group in groups {
        witness.watch(*group)?;
    }
    thread::sleep(time);
    Ok(groups.iter().map(|group| (*group, witness.heard(*group, Duration::MAX))).collect())
}
