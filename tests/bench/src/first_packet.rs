//! From a trigger over the API to the first RTP packet at a receiver, with the audio rendered and all servers up.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use harness::{FleetOptions, wait_for};
use http_client::Method;
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;

use crate::{
    Options,
    report::{Goal, Report},
    samples::Samples,
    site::{Devices, PATIENCE, Site},
};

pub async fn run(options: Options) -> Report {
    let process = std::process::id();
    let group = SocketAddrV4::new(Ipv4Addr::new(239, 78, (process >> 8) as u8, process as u8), 50002);
    let site = Site::start(FleetOptions::default(), Devices::Speaker(group)).await;
    let mut packets = listen(group);
    let (mut from_request, mut from_accepted) = (Samples::default(), Samples::default());
    let rounds = options.rounds.unwrap_or(1000);
    let mut known = BTreeSet::new();
    // The first round renders the tone; what follows finds it ready.
    for round in 0..=rounds {
        let asked = Instant::now();
        let accepted = site.send(0).await;
        let answered = Instant::now();
        let first = first_of_another_stream(&mut packets, &mut known).await;
        if round > 0 {
            from_request.add(first.duration_since(asked));
            // The packet may be there before the answer is.
            from_accepted.add(first.saturating_duration_since(answered));
        }
        end(&site, accepted["activations"][0].as_str().expect("an activation")).await;
    }
    let mut report = Report::new("first-packet");
    report.note("from the request that triggers it, over an HTTP connection that stands, to the packet at a receiver");
    report.figure("median_ms", from_request.median_ms());
    report.judge("p99_ms", from_request.p99_ms(), Goal::AtMost(25.0));
    report.figure("most_ms", from_request.most_ms());
    report.figure("after_answer_p99_ms", from_accepted.p99_ms());
    report.figure("rounds", from_request.len() as f64);
    report
}

/// When the next stream began; the one before may still send its closing silence.
async fn first_of_another_stream(packets: &mut mpsc::UnboundedReceiver<Packet>, known: &mut BTreeSet<u32>) -> Instant {
    let mut next = async || loop {
        let packet = packets.recv().await.expect("the thread listens as long as we do");
        if known.insert(packet.stream) {
            return packet.at;
        }
    };
    tokio::time::timeout(PATIENCE, next()).await.expect("a packet arrives")
}

/// A packet that arrived.
struct Packet {
    at: Instant,
    /// Which stream it belongs to: the source number that every RTP packet carries.
    stream: u32,
}

/// Stops the activation and waits until it is over.
async fn end(site: &Site, activation: &str) {
    let api = site.fleet.api(0);
    api.post(&format!("/api/v1/running/{activation}/stop"), json!({})).await;
    wait_for("it has ended", PATIENCE, || async {
        let sent = api.ask(Method::GET, &format!("/api/v1/sent/{activation}"), None).await.ok()?;
        (sent.status == 200).then_some(())
    })
    .await;
}

/// When packets arrive on a group: a thread of its own, so that nothing else delays the look at the clock.
fn listen(group: SocketAddrV4) -> mpsc::UnboundedReceiver<Packet> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).expect("a socket");
    socket.set_reuse_address(true).expect("the simulated speaker listens on the same group");
    socket.bind(&std::net::SocketAddr::V4(group).into()).expect("the group's port");
    socket.join_multicast_v4(group.ip(), &Ipv4Addr::LOCALHOST).expect("the group");
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let (arrived, arrivals) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let mut packet = [0; 2048];
        while !arrived.is_closed() {
            let received = socket.recv(&mut packet);
            let at = Instant::now();
            if received.is_ok()
                && let Some(source) = packet[8..].first_chunk::<4>()
            {
                let _ = arrived.send(Packet { at, stream: u32::from_be_bytes(*source) });
            }
        }
    });
    arrivals
}
