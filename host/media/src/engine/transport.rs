//! The sockets that audio leaves through, and batches of packets.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};

use super::{EngineConfig, EngineError, Interface};
use crate::{route, rtp};

/// Packets in one system call.
const BATCH: usize = 64;
/// How long a full send buffer is waited for before a packet is given up.
const FULL_BUFFER: Duration = Duration::from_millis(2);
/// After so many packets given up in a row the rest of the batch is too: the network card does not keep up.
const GIVE_UP: usize = 3;
const SEND_BUFFER: usize = 4 * 1024 * 1024;

/// An address in the form that the kernel reads.
#[derive(Debug, Clone)]
pub(super) struct Address(SocketAddrAny);

impl Address {
    pub(super) fn new(address: SocketAddr) -> Address {
        Address(address.as_any())
    }

    fn is_v6(&self) -> bool {
        self.0.address_family() == rustix::net::AddressFamily::INET6
    }
}

/// One packet.
pub(super) struct Outgoing<'a> {
    pub(super) to: &'a Address,
    pub(super) header: &'a [u8; rtp::HEADER_BYTES],
    pub(super) payload: &'a [u8],
}

/// The sockets.
#[derive(Debug)]
pub(super) struct Transport {
    v4: Socket,
    /// Absent on a machine without IPv6.
    v6: Option<Socket>,
    multicast_from: Option<Ipv4Addr>,
}

/// The interface address that a setting means at this moment; nothing leaves the choice to the kernel.
pub(super) fn resolve(interface: Interface) -> Option<Ipv4Addr> {
    match interface {
        Interface::Address(address) if address.is_unspecified() => None,
        Interface::Address(address) => Some(address),
        Interface::Auto => route::default_interface().map(|(_, address)| address),
    }
}

impl Transport {
    pub(super) fn open(config: &EngineConfig) -> Result<Transport, EngineError> {
        let failed = |doing| move |source| EngineError::Io { doing, source };
        let v4 = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).map_err(failed("open a socket"))?;
        v4.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).map_err(failed("bind a socket"))?;
        v4.set_tos_v4(u32::from(config.tos)).map_err(failed("set the TOS byte"))?;
        v4.set_multicast_ttl_v4(u32::from(config.multicast_ttl)).map_err(failed("set the multicast TTL"))?;
        v4.set_multicast_loop_v4(config.multicast_loop).map_err(failed("set multicast loopback"))?;
        v4.set_write_timeout(Some(FULL_BUFFER)).map_err(failed("set the send time-out"))?;
        // The system grants less where it must.
        let _ = v4.set_send_buffer_size(SEND_BUFFER);
        let v6 = open_v6(config).inspect_err(|error| tracing::info!(%error, "audio is sent by IPv4 only")).ok();
        Ok(Transport { v4, v6, multicast_from: None })
    }

    /// Multicast leaves from the interface with this address from here on.
    pub(super) fn use_interface(&mut self, address: Option<Ipv4Addr>) {
        if address == self.multicast_from {
            return;
        }
        match self.v4.set_multicast_if_v4(&address.unwrap_or(Ipv4Addr::UNSPECIFIED)) {
            Ok(()) => self.multicast_from = address,
            Err(error) => tracing::warn!(
                ?address,
                %error,
                "multicast cannot leave from the interface with this address and takes the way it took before; \
                 correct the interface in Global Settings"
            ),
        }
    }

    /// Sends packets, and tells the outcome of each by its index. One that fails does not hold up the others.
    pub(super) fn send(&self, packets: &[Outgoing<'_>], mut outcome: impl FnMut(usize, io::Result<()>)) {
        let mut first = 0;
        for batch in packets.chunk_by(|a, b| a.to.is_v6() == b.to.is_v6()).flat_map(|family| family.chunks(BATCH)) {
            let socket = if batch[0].to.is_v6() { self.v6.as_ref() } else { Some(&self.v4) };
            match socket {
                Some(socket) => send_batch(socket, batch, |index, result| outcome(first + index, result)),
                None => (0..batch.len()).for_each(|index| {
                    let reason = "this machine has no IPv6";
                    outcome(first + index, Err(io::Error::new(io::ErrorKind::Unsupported, reason)));
                }),
            }
            first += batch.len();
        }
    }
}

fn open_v6(config: &EngineConfig) -> io::Result<Socket> {
    let v6 = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    v6.set_only_v6(true)?;
    v6.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
    v6.set_tclass_v6(u32::from(config.tos))?;
    v6.set_multicast_hops_v6(u32::from(config.multicast_ttl))?;
    v6.set_multicast_loop_v6(config.multicast_loop)?;
    v6.set_write_timeout(Some(FULL_BUFFER))?;
    let _ = v6.set_send_buffer_size(SEND_BUFFER);
    Ok(v6)
}

fn send_batch(socket: &Socket, batch: &[Outgoing<'_>], mut outcome: impl FnMut(usize, io::Result<()>)) {
    let slices: Vec<[IoSlice<'_>; 2]> =
        batch.iter().map(|packet| [IoSlice::new(packet.header), IoSlice::new(packet.payload)]).collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> = batch.iter().map(|_| Default::default()).collect();
    let mut messages: Vec<MMsgHdr<'_>> = batch
        .iter()
        .zip(&slices)
        .zip(&mut controls)
        .map(|((packet, slices), control)| MMsgHdr::new_with_addr(&packet.to.0, slices, control))
        .collect();
    let (mut at, mut given_up) = (0, 0);
    while at < messages.len() {
        match sendmmsg(socket, &mut messages[at..], SendFlags::empty()) {
            // It never says zero without an error; taking that as progress keeps the loop bounded.
            Ok(sent) => {
                let sent = sent.max(1);
                (at..at + sent).for_each(|index| outcome(index, Ok(())));
                at += sent;
                given_up = 0;
            }
            Err(rustix::io::Errno::INTR) => {}
            // The error belongs to the first message that was not sent.
            Err(error) => {
                let full = matches!(error, rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS);
                given_up += usize::from(full);
                let lost = if given_up >= GIVE_UP { messages.len() - at } else { 1 };
                (at..at + lost).for_each(|index| outcome(index, Err(error.into())));
                at += lost;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn packets_are_marked_expedited_and_multicast_stays_within_its_hops() {
        let config = EngineConfig { multicast_ttl: 8, ..EngineConfig::default() };
        let mut transport = Transport::open(&config).expect("sockets");
        transport.use_interface(Some(Ipv4Addr::LOCALHOST));
        assert_eq!(transport.v4.tos_v4().expect("an option"), 0xB8);
        assert_eq!(transport.v4.multicast_ttl_v4().expect("an option"), 8);
        assert!(transport.v4.multicast_loop_v4().expect("an option"));
        assert_eq!(transport.v4.multicast_if_v4().expect("an option"), Ipv4Addr::LOCALHOST);
        // An interface that is not there leaves things as they were.
        transport.use_interface(Some(Ipv4Addr::new(198, 51, 100, 77)));
        assert_eq!(transport.v4.multicast_if_v4().expect("an option"), Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn one_unreachable_address_costs_nobody_else_a_packet() {
        let transport = Transport::open(&EngineConfig::default()).expect("sockets");
        let receivers: Vec<UdpSocket> = (0..200).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port")).collect();
        let mut addresses: Vec<Address> =
            receivers.iter().map(|receiver| Address::new(receiver.local_addr().expect("bound"))).collect();
        // Broadcast is refused by the kernel for a socket that did not ask for it.
        for at in [0, 70, 71, 200] {
            addresses.insert(at, Address::new("255.255.255.255:9".parse().expect("an address")));
        }
        let packets: Vec<Outgoing<'_>> =
            addresses.iter().map(|to| Outgoing { to, header: &[7; 12], payload: b"audio" }).collect();
        let mut failed = Vec::new();
        let mut told = 0;
        transport.send(&packets, |index, result| {
            told += 1;
            if result.is_err() {
                failed.push(index);
            }
        });
        assert_eq!((told, failed), (204, vec![0, 70, 71, 200]));
        for receiver in &receivers {
            receiver.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
            let mut buffer = [0; 64];
            let length = receiver.recv(&mut buffer).expect("every receiver gets its packet");
            assert_eq!(&buffer[..length], b"\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07audio");
        }
    }

    #[test]
    fn both_families_go_in_one_call() {
        let transport = Transport::open(&EngineConfig::default()).expect("sockets");
        let Ok(six) = UdpSocket::bind("[::1]:0") else {
            return println!("skipped: no IPv6 on this machine");
        };
        let four = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let addresses = [&four, &six, &four].map(|socket| Address::new(socket.local_addr().expect("bound")));
        let packets: Vec<Outgoing<'_>> =
            addresses.iter().map(|to| Outgoing { to, header: &[1; 12], payload: b"" }).collect();
        transport.send(&packets, |index, result| result.unwrap_or_else(|error| panic!("packet {index}: {error}")));
        for socket in [&four, &six, &four] {
            socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
            assert_eq!(socket.recv(&mut [0; 64]).expect("a packet"), 12);
        }
    }
}
