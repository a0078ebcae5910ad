//! Links between servers, as seen over real sockets and real TLS: up, gone, back, turned away.

mod common;

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Instant,
};

use common::{Node, PATIENCE, Site};
use onealert_core::{event::LinkSeen, ids::ServerId, peer_message::PeerMessage};
use onealert_peers::{Admission, Identity, MeshEvent, PeerAddress, Roster};

fn connected(peer: ServerId) -> impl FnMut(MeshEvent) -> Option<u64> {
    move |event| match event {
        MeshEvent::Link { peer: from, seen: LinkSeen::Connected { boot, .. } } if from == peer => Some(boot),
        _ => None,
    }
}

fn link(peer: ServerId, wanted: LinkSeen) -> impl FnMut(MeshEvent) -> Option<()> {
    move |event| (event == MeshEvent::Link { peer, seen: wanted }).then_some(())
}

fn told(round: u64) -> impl FnMut(MeshEvent) -> Option<ServerId> {
    move |event| match event {
        MeshEvent::Message { from, message: PeerMessage::Told { round: found }, .. } if found == round => Some(from),
        _ => None,
    }
}

#[tokio::test]
async fn both_sides_see_the_link_and_hear_each_other() {
    let site = Site::of(2);
    let mut a = Node::start(&site.servers[0], site.roster(), 11);
    let mut b = Node::start(&site.servers[1], site.roster(), 22);
    a.mesh.set_peers(vec![b.address()]);
    b.mesh.set_peers(vec![a.address()]);
    assert_eq!(a.next("the link", connected(b.id)).await, 22);
    assert_eq!(b.next("the link", connected(a.id)).await, 11);
    a.mesh.send(b.id, &PeerMessage::Told { round: 7 });
    b.mesh.send(a.id, &PeerMessage::Told { round: 8 });
    assert_eq!(b.next("the message", told(7)).await, a.id);
    assert_eq!(a.next("the message", told(8)).await, b.id);
}

#[tokio::test]
async fn a_killed_peer_is_refused_within_milliseconds_and_comes_back_under_another_boot() {
    let site = Site::of(2);
    let mut a = Node::start(&site.servers[0], site.roster(), 1);
    // The port stays this test's while the child lives and dies: nobody else can be given it.
    let address = free_address();
    a.mesh.set_peers(vec![PeerAddress { id: ServerId(2), address: address.clone() }]);
    a.next("refused before the peer runs", link(ServerId(2), LinkSeen::Refused)).await;
    let mut took = Vec::new();
    for boot in 100..110 {
        let mut child = spawn_peer(&site, &address, &a.address().address, boot);
        assert_eq!(a.next("the link", connected(ServerId(2))).await, boot);
        child.kill().expect("SIGKILL");
        let killed = Instant::now();
        a.next("gone", link(ServerId(2), LinkSeen::Refused)).await;
        let seen = killed.elapsed();
        println!("SIGKILL to refused: {:.1} ms", seen.as_secs_f64() * 1e3);
        child.wait().expect("reaped");
        took.push(seen);
        if seen < common::HEARTBEAT {
            break;
        }
    }
    // Far below the time that silence would take: the refusal was seen, not the suspicion. A machine that does other things may
    // be late now and then, and not every time.
    assert!(took.iter().any(|seen| *seen < common::HEARTBEAT), "{took:?}");
}

#[tokio::test]
async fn a_site_with_another_authority_is_not_let_in_and_not_believed() {
    let (ours, theirs) = (Site::of(2), Site::of(2));
    let mut a = Node::start(&ours.servers[0], ours.roster(), 1);
    // The stranger knows everything but our site's key: ids, roster, address.
    let mut stranger = Node::start(&theirs.servers[1], Roster::new(theirs.entries()), 2);
    a.mesh.set_peers(vec![stranger.address()]);
    stranger.mesh.set_peers(vec![a.address()]);
    a.next("no answer that can be believed", link(ServerId(2), LinkSeen::Lost)).await;
    stranger.next("no answer", link(ServerId(1), LinkSeen::Lost)).await;
    stranger.mesh.send(ServerId(1), &PeerMessage::Told { round: 1 });
    assert!(a.events.try_recv().is_err(), "nothing may reach the host");
}

#[tokio::test]
async fn a_deprovisioned_server_is_turned_away_while_connected_and_when_it_calls() {
    let site = Site::of(2);
    let mut a = Node::start(&site.servers[0], site.roster(), 1);
    let mut b = Node::start(&site.servers[1], site.roster(), 2);
    a.mesh.set_peers(vec![b.address()]);
    b.mesh.set_peers(vec![a.address()]);
    a.next("the link", connected(b.id)).await;
    b.next("the link", connected(a.id)).await;
    let mut entries = site.entries();
    entries[1].deprovisioned = true;
    a.roster.set(entries);
    b.next("the link is closed", link(a.id, LinkSeen::Lost)).await;
    // Told again while it lasts: who was told may not have known yet what it means.
    for again in [false, true, true] {
        let turned = |event| {
            let reason = Admission::Deprovisioned;
            (event == MeshEvent::TurnedAway { peer: ServerId(1), reason, again }).then_some(())
        };
        b.next("turned away", turned).await;
    }
}

#[tokio::test]
async fn a_key_of_an_earlier_life_is_turned_away() {
    let (site, mut entries) = (Site::of(2), Site::of(2).entries());
    entries[0] = site.entries()[0].clone();
    let a = Node::start(&site.servers[0], Roster::new(entries), 1);
    let mut b = Node::start(&site.servers[1], site.roster(), 2);
    a.mesh.set_peers(vec![b.address()]);
    b.mesh.set_peers(vec![a.address()]);
    let turned = |event| {
        (event == MeshEvent::TurnedAway { peer: ServerId(1), reason: Admission::OtherKey, again: false }).then_some(())
    };
    b.next("turned away", turned).await;
}

#[tokio::test]
async fn another_server_at_the_configured_address_is_not_taken_for_the_peer() {
    let site = Site::of(3);
    let mut a = Node::start(&site.servers[0], site.roster(), 1);
    let c = Node::start(&site.servers[2], site.roster(), 3);
    a.mesh.set_peers(vec![PeerAddress { id: ServerId(2), address: c.address().address }]);
    c.mesh.set_peers(vec![a.address()]);
    a.next("not the peer", link(ServerId(2), LinkSeen::Lost)).await;
    a.mesh.send(ServerId(2), &PeerMessage::Told { round: 1 });
    assert!(a.events.try_recv().is_err(), "no link to server 2 may be told");
}

#[tokio::test]
async fn a_removed_peer_is_not_heard_any_more() {
    let site = Site::of(3);
    let mut a = Node::start(&site.servers[0], site.roster(), 1);
    let mut b = Node::start(&site.servers[1], site.roster(), 2);
    let c = Node::start(&site.servers[2], site.roster(), 3);
    a.mesh.set_peers(vec![b.address(), c.address()]);
    b.mesh.set_peers(vec![a.address()]);
    c.mesh.set_peers(vec![a.address()]);
    b.next("the link", connected(a.id)).await;
    a.mesh.set_peers(vec![c.address()]);
    b.next("closed", link(a.id, LinkSeen::Lost)).await;
    a.next("the other link stands", connected(c.id)).await;
}

/// Not a test of its own: the process that the test above kills.
#[tokio::test]
#[ignore = "run as a child by a_killed_peer_is_refused_within_milliseconds_and_comes_back_under_another_boot"]
async fn child_peer() {
    let Ok(job) = std::env::var("ONEALERT_CHILD_PEER") else { return };
    let parts: Vec<&str> = job.split('|').collect();
    let [dir, listen, other, boot, key] = parts[..] else { panic!("{job}") };
    let identity = std::sync::Arc::new(Identity::load(dir.as_ref()).expect("identity"));
    let entry = |id, key: &str| onealert_peers::RosterEntry {
        server: ServerId(id),
        name: format!("pa-{id}"),
        key_sha256: key.to_owned(),
        deprovisioned: false,
        left_out: false,
    };
    let roster = Roster::new([entry(1, key), entry(2, identity.key_sha256())]);
    let socket = TcpListener::bind(listen).expect("the test's port");
    let mut node = Node::on(socket, &identity, roster, boot.parse().expect("number"), |_| {});
    node.mesh.set_peers(vec![PeerAddress { id: ServerId(1), address: other.to_owned() }]);
    println!("child runs");
    // The parent ends this process; without a parent it ends by itself.
    tokio::time::timeout(PATIENCE * 3, async { while node.events.recv().await.is_some() {} }).await.ok();
}

fn spawn_peer(site: &Site, listen: &str, other: &str, boot: u64) -> Child {
    let dir = site.dirs[1].path().display();
    let job = format!("{dir}|{listen}|{other}|{boot}|{}", site.servers[0].key_sha256());
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child_peer", "--ignored", "--nocapture"])
        .env("ONEALERT_CHILD_PEER", job)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test runs itself");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    assert!(output.lines().map_while(Result::ok).any(|line| line.contains("child runs")), "the child did not start");
    child
}

/// An address on which nobody listens: taken from a range of its own, so that no test's free port is given out twice.
fn free_address() -> String {
    let process = std::process::id();
    let host = format!("127.{}.{}.{}", 1 + process % 250, 1 + process / 250 % 250, 1 + process / 62500 % 250);
    TcpListener::bind((host.as_str(), 0)).expect("a free port").local_addr().expect("bound").to_string()
}
