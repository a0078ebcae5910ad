//! A network between servers that can be cut, for those who may not make networks: every server is known to the others by the
//! address of a relay, and the relay knows who called it by whose socket the call came from.
//!
//! What is cut is silent, as a dead switch is: calls are taken, nothing passes, nothing is refused.

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::AbortHandle,
    time::sleep,
};

/// How often a caller is looked for, before it counts as none of the servers.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The process of a server, 0 while it does not run.
pub(crate) type ProcessCell = Arc<AtomicI32>;

/// Stands for the process of a server that is being started: it may call before its number is known.
pub(crate) const STARTING: i32 = -1;

/// Relays in front of every server's mesh.
pub struct Network {
    /// Servers that are cut off from all others, by number.
    cut: watch::Sender<BTreeSet<usize>>,
    tasks: Vec<AbortHandle>,
}

impl Network {
    /// Relays from each first address to the second; the servers have these processes.
    ///
    /// # Panics
    /// An address cannot be had.
    pub(crate) async fn new(routes: Vec<(SocketAddr, SocketAddr)>, servers: Vec<ProcessCell>) -> Network {
        let cut = watch::Sender::new(BTreeSet::new());
        let servers = Arc::new(servers);
        let mut tasks = Vec::new();
        for (to, (relay, server)) in routes.into_iter().enumerate() {
            let listener = TcpListener::bind(relay).await.expect("the relay's address is free");
            let route = Route { to, server, servers: servers.clone(), cut: cut.subscribe() };
            tasks.push(tokio::spawn(route.serve(listener)).abort_handle());
        }
        Network { cut, tasks }
    }

    /// Cuts a server off from all others.
    pub fn cut(&self, server: usize) {
        self.cut.send_modify(|cut| {
            cut.insert(server);
        });
    }

    /// Joins it to them again. Connections of before the cut end, as those end that a network has forgotten.
    pub fn heal(&self, server: usize) {
        self.cut.send_modify(|cut| {
            cut.remove(&server);
        });
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// The way to one server.
#[derive(Clone)]
struct Route {
    to: usize,
    server: SocketAddr,
    servers: Arc<Vec<ProcessCell>>,
    cut: watch::Receiver<BTreeSet<usize>>,
}

impl Route {
    async fn serve(self, listener: TcpListener) {
        loop {
            let Ok((caller, from)) = listener.accept().await else { continue };
            let route = self.clone();
            tokio::spawn(async move {
                let from = route.caller(&caller, from).await;
                route.carry(caller, from).await;
            });
        }
    }

    /// Which of the servers called. A call that is taken for a stranger's passes a cut, so that one look is not enough: the
    /// kernel shows its table piece by piece, and may leave out a socket while others come and go.
    async fn caller(&self, call: &TcpStream, from: SocketAddr) -> Option<usize> {
        let (SocketAddr::V4(from), Ok(SocketAddr::V4(to))) = (from, call.local_addr()) else { return None };
        let mut looks = 0;
        while looks < LOOKS {
            // Of one that is being started nobody can say yet what is whose.
            let all_known = self.servers.iter().all(|server| server.load(Ordering::Acquire) != STARTING);
            looks += u32::from(all_known);
            let servers = self.servers.clone();
            if let Ok(Some(server)) = tokio::task::spawn_blocking(move || whose(from, to, &servers)).await {
                return Some(server);
            }
            sleep(BETWEEN_LOOKS).await;
        }
        None
    }

    /// Carries bytes both ways until one side ends, or a cut has come and gone. `from` is nobody for a program that is no
    /// server, such as one that is joining.
    async fn carry(mut self, caller: TcpStream, from: Option<usize>) {
        let ends: Vec<usize> = from.into_iter().chain([self.to]).collect();
        let is_cut = move |cut: &BTreeSet<usize>| from.is_some() && ends.iter().any(|end| cut.contains(end));
        if self.cut.wait_for(|cut| !is_cut(cut)).await.is_err() {
            return;
        }
        let Ok(server) = TcpStream::connect(self.server).await else { return };
        for stream in [&caller, &server] {
            let _ = stream.set_nodelay(true);
        }
        // Both stay open while a cut lasts: what is silent has not ended.
        let (mut caller, mut server) = (caller.into_split(), server.into_split());
        let silent = async {
            let mut watched = self.cut.clone();
            let _ = watched.wait_for(&is_cut).await;
        };
        tokio::select! {
            biased;
            () = silent => {
                let _ = self.cut.wait_for(|cut| !is_cut(cut)).await;
            }
            () = pass(&mut caller.0, &mut server.1) => {}
            () = pass(&mut server.0, &mut caller.1) => {}
        }
    }
}

async fn pass(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count) = from.read(&mut bytes).await {
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// Which of the servers' processes has the calling end of a connection between these addresses.
fn whose(from: SocketAddrV4, to: SocketAddrV4, servers: &[ProcessCell]) -> Option<usize> {
    let socket = format!("socket:[{}]", inode(from, to)?);
    servers.iter().position(|server| {
        let pid = server.load(Ordering::Acquire);
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|link| link.to_string_lossy() == socket))
    })
}

/// The number that the kernel knows the calling socket by. Both addresses count: the kernel gives a port of the caller's out
/// again for another destination, and lists a connection that has ended for a minute more.
fn inode(from: SocketAddrV4, to: SocketAddrV4) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let [from, to] =
        [from, to].map(|address| format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port()));
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (*fields.get(1)? == from && *fields.get(2)? == to).then(|| fields.get(9)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpSocket;

    use super::*;

    async fn call(from: SocketAddr, to: &TcpListener) -> (TcpStream, TcpStream) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("a port may be taken again");
        socket.bind(from).expect("the port is free for another destination");
        let (called, taken) = tokio::join!(socket.connect(to.local_addr().expect("an address")), to.accept());
        (called.expect("a connection"), taken.expect("a connection").0)
    }

    /// Seen as a cut server that reached the others: its call came from a port that a connection of before still stood in the
    /// kernel's table with.
    #[tokio::test]
    async fn a_caller_is_known_though_its_port_has_called_somebody_else_just_before() {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (before, relay) = (listen().await.expect("a port"), listen().await.expect("a port"));
        let me: ProcessCell = Arc::new(AtomicI32::new(std::process::id() as i32));
        // Which of the two stands first in the table is the kernel's choice.
        for _ in 0..20 {
            let free = listen().await.expect("a port").local_addr().expect("an address");
            let (first, end) = call(free, &before).await;
            // The side that closes first is the one that is remembered.
            drop(first);
            drop(end);
            let (_call, taken) = call(free, &relay).await;
            let (SocketAddr::V4(from), Ok(SocketAddr::V4(to))) = (free, taken.local_addr()) else { panic!("IPv4") };
            let (mut found, mut looks) = (None, 0);
            while found.is_none() && looks < LOOKS {
                found = whose(from, to, std::slice::from_ref(&me));
                looks += 1;
                sleep(BETWEEN_LOOKS).await;
            }
            assert_eq!(found, Some(0), "{from}");
        }
    }
}
