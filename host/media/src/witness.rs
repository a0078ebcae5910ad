//! What is on the air: which multicast groups carry RTP, and from which sources (redundancy: two servers, one multicast group).

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// A standing listener on multicast groups, which answers at once what was heard on them lately.
#[derive(Debug)]
pub struct Witness {}

impl Witness {
    /// Starts a listener on this interface.
    pub fn start(interface: Ipv4Addr) -> io::Result<Witness> {
        let _ = interface;
        unimplemented!()
    }

    /// Joins a group; joining it again does nothing.
    pub fn watch(&self, group: SocketAddrV4) -> io::Result<()> {
        let _ = group;
        unimplemented!()
    }

    /// Leaves a group.
    pub fn unwatch(&self, group: SocketAddrV4) {
        let _ = group;
        unimplemented!()
    }

    /// The SSRCs heard on a watched group within this time, including this server's own.
    pub fn heard(&self, group: SocketAddrV4, within: Duration) -> Vec<u32> {
        let _ = (group, within);
        unimplemented!()
    }
}

/// Joins the groups, listens for this long, and says which SSRCs each of them carried. Blocks.
pub fn listen(
    groups: &[SocketAddrV4],
    interface: Ipv4Addr,
    time: Duration,
) -> io::Result<Vec<(SocketAddrV4, Vec<u32>)>> {
    let _ = (groups, interface, time);
    unimplemented!()
}
