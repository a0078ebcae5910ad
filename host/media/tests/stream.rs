//! The sender and the listeners on real sockets: what leaves is what arrives, everywhere the same, on time lines that can be
//! read from the packets themselves.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver as Events};
use std::time::{Duration, Instant};

use onealert_media::codec::Codec;
use onealert_media::engine::{Destination, Engine, EngineConfig, Interface, StreamEvent, StreamSpec};
use onealert_media::level::{Level, goertzel};
use onealert_media::receiver::Receiver;
use onealert_media::render::Rendered;
use onealert_media::rtp;
use onealert_media::witness::{Witness, listen};

/// Longer than anything here takes; reached only by a failure.
const LONG: Duration = Duration::from_secs(20);
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn engine() -> (Engine, Events<StreamEvent>) {
    let (sender, events) = mpsc::channel();
    let config = EngineConfig { interface: Interface::Address(LOOPBACK), ..EngineConfig::default() };
    let engine = Engine::start(config, move |event| {
        // A test that has seen enough no longer listens.
        let _ = sender.send(event);
    });
    (engine.expect("a sender"), events)
}

/// A 1 kHz tone at -6 dBFS.
fn tone(ms: usize, repeats: u32) -> Arc<Rendered> {
    let wave = |n: usize| (16_384.0 * (std::f64::consts::TAU * n as f64 / 8.0).sin()) as i16;
    Arc::new(Rendered::from_pcm_8k((0..ms * 8).map(wave).collect(), repeats))
}

fn spec(id: u128, audio: Arc<Rendered>, destinations: Vec<Destination>) -> StreamSpec {
    StreamSpec { id, ssrc: id as u32, audio, destinations, start_at_ms: 0 }
}

fn unicast() -> Receiver {
    Receiver::join("127.0.0.1:0".parse().expect("an address"), LOOPBACK).expect("a receiver")
}

/// A group and port that nobody else on this machine is likely to use at this moment.
fn group() -> SocketAddrV4 {
    let random = RandomState::new().build_hasher().finish().to_be_bytes();
    let address = Ipv4Addr::new(239, 192 | random[0] & 63, random[1], random[2].clamp(1, 254));
    let port = 20_000 + u16::from_be_bytes([random[3], random[4]]) % 20_000 * 2;
    println!("group {address}:{port}");
    SocketAddrV4::new(address, port)
}

/// Runs a scenario again where the machine stood still for so long that packet times were left out, as they must be, or that a
/// stream was over.
fn undisturbed(scenario: impl Fn() -> Option<()>) {
    for _ in 0..30 {
        if scenario().is_some() {
            return;
        }
        println!("this machine stood still for more than 60 ms; once more");
    }
    panic!("thirty times in a row packet times were left out");
}

/// The events up to and with the end of this stream; nothing when packet times were left out.
fn undisturbed_end(events: &Events<StreamEvent>, stream: u128) -> Option<Vec<StreamEvent>> {
    let seen = until_finished(events, stream);
    let disturbed = |event: &StreamEvent| matches!(event, StreamEvent::Finished { skipped: 1.., .. });
    (!seen.iter().any(disturbed)).then_some(seen)
}

/// The events up to and with the end of this stream.
fn until_finished(events: &Events<StreamEvent>, stream: u128) -> Vec<StreamEvent> {
    let mut seen = Vec::new();
    loop {
        let event = events.recv_timeout(LONG).unwrap_or_else(|_| panic!("the stream never finished; seen: {seen:?}"));
        let over = matches!(&event, StreamEvent::Finished { id, .. } if *id == stream);
        seen.push(event);
        if over {
            return seen;
        }
    }
}

fn failures(events: &[StreamEvent]) -> Vec<(u64, String)> {
    events
        .iter()
        .filter_map(|event| match event {
            StreamEvent::DestinationFailed { key, reason, .. } => Some((*key, reason.clone())),
            _ => None,
        })
        .collect()
}

/// Everything that waits in a plain socket, as packets: sequence, timestamp, marker, payload.
fn drain(socket: &UdpSocket) -> Vec<(u16, u32, bool, Vec<u8>)> {
    socket.set_nonblocking(true).expect("an option");
    let mut datagram = [0; 2_048];
    let mut packets = Vec::new();
    while let Ok(length) = socket.recv(&mut datagram) {
        let packet = rtp::parse(&datagram[..length]).expect("our sender sends RTP");
        let header = packet.header;
        packets.push((header.sequence, header.timestamp, header.marker, packet.payload.to_vec()));
    }
    packets
}

#[test]
fn what_is_played_is_what_is_heard_between_silences() {
    undisturbed(|| {
        let (engine, events) = engine();
        let speaker = unicast();
        let audio = tone(500, 1);
        engine.play(spec(7, audio.clone(), vec![Destination::pcmu(1, speaker.local_addr())]));
        let seen = undisturbed_end(&events, 7)?;
        assert!(matches!(seen[0], StreamEvent::FirstPacket { id: 7, .. }), "{seen:?}");
        assert!(
            matches!(seen[1], StreamEvent::Finished { id: 7, packets: 45, stopped: false, .. }) && seen.len() == 2,
            "200 ms, 500 ms and 200 ms are 45 packets: {seen:?}"
        );
        let (heard, complete) = speaker.wait(LONG, |heard| heard.packets == 45);
        assert!(complete, "{heard:?}");
        assert_eq!((heard.ms, heard.gaps, heard.duplicates, heard.reordered, heard.malformed), (900, 0, 0, 0, 0));
        assert_eq!((heard.ssrcs.as_slice(), heard.codec), ([7].as_slice(), Some(Codec::Pcmu)));
        assert_eq!(heard.audible_ms, 500);
        let (rate, pcm) = speaker.pcm();
        assert_eq!((rate, pcm.len()), (8_000, 7_200));
        assert!(pcm[..1_600].iter().chain(&pcm[5_600..]).all(|sample| *sample == 0));
        let level = goertzel(&pcm[1_600..5_600], 8_000, 1_000.0);
        assert!((level + 6.0).abs() < 0.2, "the tone is at {level:.2} dBFS");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("heard.wav");
        speaker.write_wav(&path).expect("writable");
        let clip = onealert_media::render::wav::read(&std::fs::read(&path).expect("readable")).expect("a WAV file");
        assert_eq!((clip.rate, clip.samples.len()), (8_000, 7_200));
        Some(())
    });
}

#[test]
fn three_hundred_destinations_get_the_same_packets_with_the_same_numbers() {
    undisturbed(|| {
        let (engine, events) = engine();
        let sockets: Vec<UdpSocket> = (0..300).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port")).collect();
        let destinations = sockets
            .iter()
            .zip(0..)
            .map(|(socket, key)| Destination::pcmu(key, socket.local_addr().expect("bound")))
            .collect();
        engine.play(spec(3, tone(100, 1), destinations));
        let seen = undisturbed_end(&events, 3)?;
        assert_eq!(failures(&seen), []);
        let first = drain(&sockets[0]);
        // 200 + 100 + 200 ms.
        assert_eq!(first.len(), 25);
        for (index, socket) in sockets.iter().enumerate().skip(1) {
            assert_eq!(drain(socket), first, "destination {index} differs from the first");
        }
        for (before, after) in first.iter().zip(&first[1..]) {
            assert_eq!(after.0, before.0.wrapping_add(1));
            assert_eq!(after.1, before.1.wrapping_add(160));
        }
        assert!(first[0].2 && first[1..].iter().all(|packet| !packet.2), "the marker belongs to the first packet only");
        Some(())
    });
}

#[test]
fn groups_and_single_devices_with_different_codecs_and_packet_times_play_in_step() {
    undisturbed(|| {
        let (engine, events) = engine();
        let (one, two) = (group(), group());
        let narrow = Receiver::join(one.into(), LOOPBACK).expect("a group");
        let law = Receiver::join_accepting(two.into(), LOOPBACK, &[Codec::Pcma]).expect("a group");
        let wide = unicast();
        let destinations = vec![
            Destination::pcmu(1, one.into()),
            Destination { codec: Codec::Pcma, packet_ms: 10, ..Destination::pcmu(2, two.into()) },
            Destination { codec: Codec::G722, packet_ms: 30, ..Destination::pcmu(3, wide.local_addr()) },
        ];
        engine.play(spec(4, tone(800, 1), destinations));
        assert_eq!(failures(&undisturbed_end(&events, 4)?), []);
        for (speaker, codec, rate) in
            [(&narrow, Codec::Pcmu, 8_000), (&law, Codec::Pcma, 8_000), (&wide, Codec::G722, 16_000)]
        {
            let (heard, complete) = speaker.wait(LONG, |heard| heard.ms >= 1_200);
            assert!(complete && heard.codec == Some(codec), "{codec:?}: {heard:?}");
            assert_eq!((heard.gaps, heard.wrong_payload, heard.malformed), (0, 0, 0), "{codec:?}");
            let (heard_rate, pcm) = speaker.pcm();
            assert_eq!(heard_rate, rate);
            let at = |ms: usize| ms * rate as usize / 1_000;
            // Content begins at 200 ms everywhere; G.722 needs a moment to settle, and delays by its filters.
            assert!(Level::of(&pcm[..at(200)]).rms_dbfs() < -60.0, "{codec:?} sounds before its time");
            let tone = goertzel(&pcm[at(300)..at(900)], rate, 1_000.0);
            assert!((tone + 6.0).abs() < 0.6, "{codec:?}: {tone:.2} dBFS");
            assert!(Level::of(&pcm[at(1_010)..at(1_200)]).rms_dbfs() < -40.0, "{codec:?} sounds after the end");
        }
        Some(())
    });
}

#[test]
fn a_device_that_takes_only_one_codec_counts_the_others() {
    undisturbed(|| {
        let (engine, events) = engine();
        let speaker = Receiver::join_accepting("127.0.0.1:0".parse().expect("an address"), LOOPBACK, &[Codec::Pcmu])
            .expect("a receiver");
        let wrong = Destination { codec: Codec::Pcma, ..Destination::pcmu(1, speaker.local_addr()) };
        engine.play(spec(5, tone(20, 1), vec![wrong]));
        undisturbed_end(&events, 5)?;
        let (heard, complete) = speaker.wait(LONG, |heard| heard.wrong_payload == 21);
        assert!(complete && heard.packets == 0 && heard.ssrcs.is_empty(), "{heard:?}");
        Some(())
    });
}

#[test]
fn a_late_destination_joins_where_the_others_are() {
    undisturbed(|| {
        let (engine, events) = engine();
        let early = unicast();
        let late = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let watch = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let first =
            vec![Destination::pcmu(1, early.local_addr()), Destination::pcmu(2, watch.local_addr().expect("bound"))];
        engine.play(spec(6, tone(2_000, 1), first));
        let (_, begun) = early.wait(LONG, |heard| heard.audible_ms >= 40);
        assert!(begun);
        // Two packets of content have come, so the first of them is over. It is all over where the machine stood still.
        assert!(engine.position(6)? >= 20);
        engine.add_destination(6, Destination::pcmu(3, late.local_addr().expect("bound")));
        let seen = until_finished(&events, 6);
        if failures(&seen).iter().any(|(key, reason)| *key == 3 && reason.contains("over")) {
            return None;
        }
        let (watched, joined) = (drain(&watch), drain(&late));
        assert!(!joined.is_empty() && joined.len() < watched.len(), "{} of {}", joined.len(), watched.len());
        assert!(joined[0].2, "its first packet carries no marker");
        let tail = &watched[watched.len() - joined.len()..];
        for (mine, theirs) in joined.iter().zip(tail) {
            assert_eq!((mine.0, mine.1, &mine.3), (theirs.0, theirs.1, &theirs.3));
        }
        assert_eq!(engine.position(6), None);
        engine.add_destination(6, Destination::pcmu(4, late.local_addr().expect("bound")));
        match events.recv_timeout(LONG) {
            Ok(StreamEvent::DestinationFailed { id: 6, key: 4, reason }) => {
                assert!(reason.contains("over"), "{reason}")
            }
            other => panic!("a destination for a stream that is over: {other:?}"),
        }
        Some(())
    });
}

#[test]
fn a_stop_ends_a_long_stream_with_silence_and_a_removed_destination_gets_nothing_more() {
    undisturbed(|| {
        let (engine, events) = engine();
        let (stays, leaves) = (unicast(), unicast());
        let destinations = vec![Destination::pcmu(1, stays.local_addr()), Destination::pcmu(2, leaves.local_addr())];
        engine.play(spec(8, tone(1_000, 1_000), destinations));
        assert!(stays.wait(LONG, |heard| heard.audible_ms >= 40).1);
        engine.remove_destination(8, 2);
        let (then, _) = stays.wait(LONG, |heard| heard.audible_ms >= 100);
        // The removal was carried out by then: calls come before packets. Those that one of the two has read may differ by what
        // waits in the other's socket, and by far less than a second.
        let (now, complete) = stays.wait(LONG, |heard| heard.packets >= then.packets + 50);
        assert!(complete, "{now:?}");
        let left = leaves.snapshot();
        assert!(left.packets + 40 <= now.packets, "{left:?} {now:?}");
        engine.stop(8);
        let seen = undisturbed_end(&events, 8)?;
        assert!(matches!(seen.last(), Some(StreamEvent::Finished { stopped: true, .. })), "{seen:?}");
        let (_, pcm) = stays.pcm();
        // The packet that was on its way when the stop came may take 20 of the 200 ms.
        let tail = &pcm[pcm.len() - 180 * 8..];
        assert!(tail.iter().all(|sample| *sample == 0), "the trailing silence is not silent");
        Some(())
    });
}

#[test]
fn an_address_that_cannot_be_reached_is_reported_once_and_disturbs_nobody() {
    undisturbed(|| {
        let (engine, events) = engine();
        let speaker = unicast();
        let destinations = vec![
            // Broadcast is refused by the kernel for a socket that did not ask for it.
            Destination::pcmu(1, "255.255.255.255:9".parse().expect("an address")),
            Destination::pcmu(2, speaker.local_addr()),
            Destination { packet_ms: 25, ..Destination::pcmu(3, speaker.local_addr()) },
            Destination { dtmf: "9x".into(), ..Destination::pcmu(4, speaker.local_addr()) },
        ];
        engine.play(spec(9, tone(100, 1), destinations));
        let failed = failures(&undisturbed_end(&events, 9)?);
        let mut keys: Vec<u64> = failed.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [1, 3, 4], "{failed:?}");
        assert!(failed.iter().any(|(key, reason)| *key == 1 && reason.contains("255.255.255.255:9")), "{failed:?}");
        let (heard, complete) = speaker.wait(LONG, |heard| heard.packets == 25);
        assert!(complete && heard.gaps == 0, "{heard:?}");
        Some(())
    });
}

#[test]
fn one_address_carries_one_stream_and_hears_it_once() {
    undisturbed(|| {
        let (engine, events) = engine();
        let group = group();
        let speaker = Receiver::join(group.into(), LOOPBACK).expect("a group");
        let twice = vec![Destination::pcmu(1, group.into()), Destination::pcmu(2, group.into())];
        engine.play(spec(10, tone(60_000, 1), twice));
        assert!(speaker.wait(LONG, |heard| heard.packets >= 5).1);
        assert_eq!(speaker.snapshot().duplicates, 0);

        // A second stream is refused while the first sounds, and says which one it is.
        engine.play(spec(11, tone(100, 1), vec![Destination::pcmu(3, group.into())]));
        let seen = until_finished(&events, 11);
        let failed = failures(&seen);
        assert!(matches!(&failed[..], [(3, reason)] if reason.contains(&format!("{:032x}", 10))), "{seen:?}");
        assert!(matches!(seen.last(), Some(StreamEvent::Finished { packets: 0, .. })), "{seen:?}");

        // The same activation is not begun a second time either.
        engine.play(spec(10, tone(100, 1), vec![Destination::pcmu(4, group.into())]));
        match events.recv_timeout(LONG) {
            Ok(StreamEvent::DestinationFailed { id: 10, key: 4, reason }) => {
                assert!(reason.contains("already"), "{reason}")
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(speaker.snapshot().ssrcs, [10]);

        // Once stopped it gives the group up at once: no packet of it comes after the first of the next.
        engine.stop(10);
        engine.play(spec(12, tone(100, 1), vec![Destination::pcmu(5, group.into())]));
        assert_eq!(failures(&undisturbed_end(&events, 12)?), []);
        let (heard, complete) = speaker.wait(LONG, |heard| heard.ssrcs == [10, 12]);
        assert!(complete && heard.gaps == 0, "{heard:?}");
        Some(())
    });
}

#[test]
fn digits_come_before_the_content_and_hold_nobody_out_of_step() {
    undisturbed(|| {
        let (engine, events) = engine();
        let (zone, plain) = (unicast(), unicast());
        let destinations = vec![
            Destination { dtmf: "7#".into(), ..Destination::pcmu(1, zone.local_addr()) },
            Destination::pcmu(2, plain.local_addr()),
        ];
        engine.play(spec(13, tone(200, 1), destinations));
        assert_eq!(failures(&undisturbed_end(&events, 13)?), []);
        let (heard, complete) = zone.wait(LONG, |heard| heard.audible_ms == 200);
        assert!(complete && heard.dtmf == "7#" && heard.gaps == 0, "{heard:?}");
        // Two digits of 200 ms stand before the content, for the plain device as silence.
        let (heard, complete) = plain.wait(LONG, |heard| heard.ms == 400 + 200 + 200);
        assert!(complete && heard.dtmf.is_empty(), "{heard:?}");
        assert!(plain.pcm().1[..400 * 8].iter().all(|sample| *sample == 0));
        Some(())
    });
}

#[test]
fn repeats_are_all_heard_and_a_resumed_stream_plays_only_the_rest() {
    undisturbed(|| {
        let (engine, events) = engine();
        let (all, rest) = (unicast(), unicast());
        let audio = tone(100, 2);
        engine.play(spec(14, audio.clone(), vec![Destination::pcmu(1, all.local_addr())]));
        let resumed = StreamSpec { start_at_ms: 60, ..spec(15, audio, vec![Destination::pcmu(1, rest.local_addr())]) };
        engine.play(resumed);
        undisturbed_end(&events, 14)?;
        let (heard, complete) = all.wait(LONG, |heard| heard.audible_ms == 200);
        assert!(complete, "{heard:?}");
        let (heard, complete) = rest.wait(LONG, |heard| heard.audible_ms == 140);
        assert!(complete, "{heard:?}");
        Some(())
    });
}

#[test]
fn dropping_the_sender_ends_its_streams_and_its_threads() {
    let (engine, events) = engine();
    let speaker = unicast();
    engine.play(spec(16, tone(60_000, 1), vec![Destination::pcmu(1, speaker.local_addr())]));
    assert!(speaker.wait(LONG, |heard| heard.packets >= 3).1);
    drop(engine);
    while let Ok(event) = events.recv_timeout(LONG) {
        assert!(matches!(event, StreamEvent::FirstPacket { .. }), "{event:?}");
    }
    assert_eq!(events.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn the_witness_tells_who_is_on_a_group() {
    let (engine, events) = engine();
    let (busy, quiet) = (group(), group());
    let witness = Witness::start(LOOPBACK).expect("a witness");
    witness.watch(busy).expect("a group");
    witness.watch(busy).expect("watching twice does nothing");
    witness.watch(quiet).expect("a group");
    assert_eq!(witness.heard(busy, LONG), []);
    let speaker = Receiver::join(busy.into(), LOOPBACK).expect("a group");
    engine.play(spec(0xC0FFEE, tone(60_000, 1), vec![Destination::pcmu(1, busy.into())]));
    assert!(speaker.wait(LONG, |heard| heard.packets >= 10).1);
    let begun = Instant::now();
    while witness.heard(busy, LONG) != [0xC0FFEE] {
        assert!(begun.elapsed() < LONG, "the witness heard {:?}", witness.heard(busy, LONG));
        std::thread::yield_now();
    }
    assert_eq!(witness.heard(quiet, LONG), []);
    // Asked now, without standing by: the same answer after listening for a moment.
    let heard = listen(&[busy, quiet], LOOPBACK, Duration::from_secs(1)).expect("groups");
    assert_eq!(heard, [(busy, vec![0xC0FFEE]), (quiet, vec![])]);
    engine.stop(0xC0FFEE);
    until_finished(&events, 0xC0FFEE);
    // What has ended is soon no longer heard, but not forgotten.
    let after = (0..10_000).any(|_| {
        std::thread::yield_now();
        witness.heard(busy, Duration::from_micros(1)).is_empty()
    });
    assert!(after);
    assert_eq!(witness.heard(busy, LONG), [0xC0FFEE]);
    witness.unwatch(busy);
    assert_eq!(witness.heard(busy, LONG), []);
}

#[test]
fn a_receiver_shares_its_group_and_can_begin_anew() {
    undisturbed(|| {
        let (engine, events) = engine();
        let group: SocketAddr = group().into();
        let speakers = [0, 1].map(|_| Receiver::join(group, LOOPBACK).expect("a group is shared"));
        engine.play(spec(17, tone(20, 1), vec![Destination::pcmu(1, group)]));
        undisturbed_end(&events, 17)?;
        for speaker in &speakers {
            let (heard, complete) = speaker.wait(LONG, |heard| heard.packets == 21);
            assert!(complete, "{heard:?}");
            speaker.reset();
            assert_eq!(speaker.snapshot().packets, 0);
            assert!(!speaker.snapshot().active(LONG));
        }
        Some(())
    });
}
