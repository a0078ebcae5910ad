//! One stream: what each of its destinations gets at each packet time. No sockets, no clock.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Destination;
use super::timeline::{MAX_LEAD_MS, MS, Timeline};
use super::transport::Address;
use crate::codec::{BYTES_PER_MS, Codec};
use crate::dtmf::{self, Script, Step};
use crate::render::Rendered;
use crate::rtp::{HEADER_BYTES, Header};

/// Destinations that are sent to at the same instant. Further ones follow a millisecond later each, so that a long burst
/// delays nobody by more than his own place in it, and every one keeps its own even spacing.
const SLOT_LEGS: usize = 256;
const SLOT_OFFSET: u64 = MS;
/// Later slots share the last offset: speakers further apart than this are heard as an echo.
const MAX_OFFSETS: u64 = 8;
/// Later than this, packet times are left out.
const TOO_LATE: u64 = 60 * MS;

/// One address that is sent to.
#[derive(Debug)]
pub(super) struct Leg {
    /// Everybody who wants it.
    pub(super) keys: Vec<u64>,
    pub(super) addr: SocketAddr,
    pub(super) address: Address,
    /// How many packets in a row could not be sent.
    pub(super) failures: u32,
    script: Option<Script>,
    joined_tick: u64,
    /// Whether the first audio packet, which carries the marker, is still to come.
    fresh: bool,
}

/// The packets of one packet time: when they are due, and what each leg of the slot gets.
pub(super) struct Due {
    pub(super) deadline: u64,
    pub(super) packets: Vec<([u8; HEADER_BYTES], Body)>,
}

/// What a leg gets at one packet time.
pub(super) enum Body {
    Audio,
    Silence,
    Event([u8; 4]),
}

/// Legs with the same encoding and packet time that are sent to at the same instant.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) legs: Vec<Leg>,
    codec: Codec,
    packet_ms: u64,
    offset: u64,
    tick: u64,
    sequence: u16,
    pub(super) audio: Vec<u8>,
    pub(super) silence: Vec<u8>,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u128,
    pub(super) timeline: Timeline,
    pub(super) slots: Vec<Slot>,
    ssrc: u32,
    audio: Arc<Rendered>,
    first_sequence: u16,
    first_timestamp: u32,
}

/// The digits of a destination, if it wants any.
pub(super) fn script(destination: &Destination) -> Result<Option<Script>, char> {
    match destination.dtmf.as_str() {
        "" => Ok(None),
        digits => Script::new(digits, destination.packet_ms.max(1)).map(Some),
    }
}

/// Why a destination cannot be sent to at all, for people.
pub(super) fn objection(destination: &Destination) -> Option<String> {
    if !matches!(destination.packet_ms, 10 | 20 | 30) {
        return Some(format!("a packet time of {} ms is not possible; choose 10, 20 or 30", destination.packet_ms));
    }
    if destination.addr.port() == 0 || destination.addr.ip().is_unspecified() {
        return Some(format!("{} is not an address that can be sent to", destination.addr));
    }
    match script(destination) {
        Err(digit) => Some(format!("`{digit}` is not a DTMF digit; digits are 0-9 * # A-D")),
        Ok(Some(script)) if script.duration_ms() > MAX_LEAD_MS => {
            Some(format!("{} DTMF digits take longer than {MAX_LEAD_MS} ms", destination.dtmf.len()))
        }
        Ok(_) => None,
    }
}

impl Stream {
    pub(super) fn new(id: u128, ssrc: u32, audio: Arc<Rendered>, timeline: Timeline, random: u64) -> Stream {
        let (first_sequence, first_timestamp) = (random as u16, (random >> 16) as u32);
        Stream { id, timeline, slots: Vec::new(), ssrc, audio, first_sequence, first_timestamp }
    }

    pub(super) fn leg(&mut self, addr: SocketAddr) -> Option<&mut Leg> {
        self.slots.iter_mut().flat_map(|slot| &mut slot.legs).find(|leg| leg.addr == addr)
    }

    /// Adds a destination that has no objection. An address that is there already is not sent to twice.
    pub(super) fn add(&mut self, destination: &Destination, now: u64) {
        if let Some(leg) = self.leg(destination.addr) {
            if !leg.keys.contains(&destination.key) {
                leg.keys.push(destination.key);
            }
            return;
        }
        let packet_ms = u64::from(destination.packet_ms);
        let same = |slot: &Slot| slot.codec == destination.codec && slot.packet_ms == packet_ms;
        let at = match self.slots.iter().position(|slot| same(slot) && slot.legs.len() < SLOT_LEGS) {
            Some(at) => at,
            None => {
                let offset =
                    (self.slots.iter().filter(|slot| same(slot)).count() as u64).min(MAX_OFFSETS) * SLOT_OFFSET;
                self.slots.push(Slot {
                    legs: Vec::new(),
                    codec: destination.codec,
                    packet_ms,
                    offset,
                    // The packet time that is running has begun for others; the next one is common.
                    tick: now.saturating_sub(self.timeline.begins + offset).div_ceil(packet_ms * MS),
                    sequence: self.first_sequence,
                    audio: Vec::new(),
                    silence: vec![destination.codec.silence(); packet_ms as usize * BYTES_PER_MS],
                });
                self.slots.len() - 1
            }
        };
        let slot = &mut self.slots[at];
        slot.legs.push(Leg {
            keys: vec![destination.key],
            addr: destination.addr,
            address: Address::new(destination.addr),
            failures: 0,
            script: script(destination).ok().flatten(),
            joined_tick: slot.tick,
            fresh: true,
        });
    }

    /// Takes a key off; its address is no longer sent to when nobody else wants it.
    pub(super) fn remove(&mut self, key: u64) {
        for slot in &mut self.slots {
            slot.legs.iter_mut().for_each(|leg| leg.keys.retain(|known| *known != key));
            slot.legs.retain(|leg| !leg.keys.is_empty());
        }
    }

    /// No longer sends to an address.
    pub(super) fn release(&mut self, addr: SocketAddr) {
        self.slots.iter_mut().for_each(|slot| slot.legs.retain(|leg| leg.addr != addr));
    }

    /// When something is to be done next.
    pub(super) fn deadline(&self) -> u64 {
        let end = self.timeline.begins + self.timeline.ends_ms * MS;
        self.slots.iter().filter_map(|slot| slot.deadline(&self.timeline)).min().unwrap_or(end)
    }

    /// Whether every packet has had its time.
    pub(super) fn over(&self, now: u64) -> bool {
        now >= self.timeline.begins + self.timeline.ends_ms * MS
            && self.slots.iter().all(|slot| slot.deadline(&self.timeline).is_none())
    }

    /// Makes the packets of a slot's next packet time, if that has come.
    /// Packet times that are too late are passed over; how many is added to `skipped`.
    pub(super) fn packets(&mut self, slot: usize, now: u64, skipped: &mut u64) -> Option<Due> {
        let (timeline, slot) = (self.timeline, &mut self.slots[slot]);
        let mut deadline = slot.deadline(&timeline).filter(|deadline| *deadline <= now)?;
        if now - deadline > TOO_LATE {
            // Timestamps follow the clock, sequence numbers the packets that are sent.
            let current = (now - timeline.begins - slot.offset) / (slot.packet_ms * MS);
            let last = timeline.ends_ms.div_ceil(slot.packet_ms);
            *skipped += current.min(last) - slot.tick;
            slot.tick = current;
            deadline = slot.deadline(&timeline)?;
        }
        let tick = slot.tick;
        slot.fill(&self.audio, &timeline);
        let timestamp =
            |tick: u64| self.first_timestamp.wrapping_add((tick * slot.packet_ms) as u32 * BYTES_PER_MS as u32);
        let audio_header = Header {
            marker: false,
            payload_type: slot.codec.payload_type(),
            sequence: slot.sequence,
            timestamp: timestamp(tick),
            ssrc: self.ssrc,
        };
        let packets = slot.legs.iter_mut().map(|leg| {
            let since = tick - leg.joined_tick;
            let (header, body) = match leg.script.as_ref().map_or(Step::Over, |script| script.step(since)) {
                Step::Event { payload, began } => {
                    let header = Header {
                        marker: since == began,
                        payload_type: dtmf::PAYLOAD_TYPE,
                        timestamp: timestamp(leg.joined_tick + began),
                        ..audio_header
                    };
                    (header, Body::Event(payload.to_bytes()))
                }
                step => {
                    let marker = std::mem::take(&mut leg.fresh);
                    let body = if step == Step::Gap { Body::Silence } else { Body::Audio };
                    (Header { marker, ..audio_header }, body)
                }
            };
            (header.to_bytes(), body)
        });
        let packets = packets.collect();
        slot.tick += 1;
        slot.sequence = slot.sequence.wrapping_add(1);
        Some(Due { deadline, packets })
    }
}

impl Slot {
    /// When its next packets are due; nothing when its last have had their time.
    fn deadline(&self, timeline: &Timeline) -> Option<u64> {
        let at_ms = self.tick * self.packet_ms;
        (at_ms < timeline.ends_ms).then_some(timeline.begins + self.offset + at_ms * MS)
    }

    /// Puts the content of the packet time into `audio`.
    fn fill(&mut self, audio: &Rendered, timeline: &Timeline) {
        self.audio.resize(self.silence.len(), 0);
        let first_ms = self.tick * self.packet_ms;
        for (at_ms, out) in (first_ms..).zip(self.audio.chunks_exact_mut(BYTES_PER_MS)) {
            if at_ms >= timeline.lead_ms && at_ms < timeline.content_until_ms {
                audio.millisecond(self.codec, at_ms - timeline.lead_ms + timeline.start_at_ms, out);
            } else {
                out.fill(self.codec.silence());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineConfig;
    use crate::rtp;

    const START: u64 = 1_000 * MS;

    /// A stream of 1 s whose every millisecond sounds different from its neighbours.
    fn stream(destinations: &[Destination], start_at_ms: u64) -> Stream {
        let pcm: Vec<i16> = (0..8_000).map(|n| 1_000 + n / 8 * 20).collect();
        let audio = Arc::new(Rendered::from_pcm_8k(pcm, 1));
        let config = EngineConfig::default();
        let mut timeline = Timeline::new(&config, destinations, audio.duration_ms(), start_at_ms);
        timeline.begins = START;
        let mut stream = Stream::new(1, 0xABCD, audio, timeline, 0xFFFF_FF00_FFFE);
        destinations.iter().for_each(|destination| stream.add(destination, START));
        stream
    }

    fn to(key: u64, port: u16) -> Destination {
        Destination::pcmu(key, SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// What the first leg of a slot gets at this time: header and the number of the content's millisecond it begins with.
    fn next(stream: &mut Stream, slot: usize, now: u64, skipped: &mut u64) -> Option<(Header, Option<u64>)> {
        let due = stream.packets(slot, now, skipped)?;
        let (header, body) = due.packets.first().expect("there is a leg");
        let header = rtp::parse(header).expect("our own header").header;
        let slot = &stream.slots[slot];
        let heard = match body {
            Body::Audio => (0..1_000).find(|ms| slot.audio[0] == stream.audio.encoded(slot.codec)[ms * 8]),
            _ => None,
        };
        Some((header, heard.map(|ms| ms as u64)))
    }

    #[test]
    fn packets_are_due_at_packet_times_and_count_up_across_the_wrap() {
        let mut stream = stream(&[to(1, 9)], 0);
        let mut skipped = 0;
        assert!(next(&mut stream, 0, START - 1, &mut skipped).is_none());
        let (first, silent) = next(&mut stream, 0, START, &mut skipped).expect("due");
        assert_eq!((first.marker, first.sequence, silent), (true, 0xFFFE, None));
        assert!(next(&mut stream, 0, START + 19 * MS, &mut skipped).is_none());
        for n in 1..4u16 {
            let (header, _) = next(&mut stream, 0, START + u64::from(n) * 20 * MS, &mut skipped).expect("due");
            assert!(!header.marker);
            assert_eq!(header.sequence, 0xFFFEu16.wrapping_add(n));
            assert_eq!(header.timestamp, first.timestamp.wrapping_add(u32::from(n) * 160));
        }
        assert_eq!(skipped, 0);
    }

    #[test]
    fn content_follows_the_lead_in_and_the_stream_ends_after_the_trailing_silence() {
        let mut stream = stream(&[to(1, 9)], 0);
        let heard: Vec<Option<u64>> =
            (0..100).map_while(|n| next(&mut stream, 0, START + n * 20 * MS, &mut 0)).map(|(_, heard)| heard).collect();
        assert_eq!(heard.len(), (200 + 1_000 + 200) / 20);
        assert!(heard[..10].iter().all(Option::is_none) && heard[60..].iter().all(Option::is_none));
        assert_eq!(heard[10], Some(0));
        assert!(heard[10..60].iter().all(Option::is_some));
        assert!(!stream.over(START + 1_399 * MS));
        assert!(stream.over(START + 1_400 * MS));
    }

    #[test]
    fn a_delay_of_up_to_60_ms_is_caught_up_without_loss() {
        let mut stream = stream(&[to(1, 9)], 0);
        let (mut skipped, late) = (0, START + 60 * MS);
        let sequences: Vec<u16> = std::iter::from_fn(|| next(&mut stream, 0, late, &mut skipped))
            .map(|(header, _)| header.sequence)
            .collect();
        assert_eq!((sequences, skipped), (vec![0xFFFE, 0xFFFF, 0, 1], 0));
    }

    #[test]
    fn after_a_longer_delay_packets_are_left_out_and_timestamps_stay_with_the_clock() {
        let mut stream = stream(&[to(1, 9)], 0);
        let mut skipped = 0;
        let (first, _) = next(&mut stream, 0, START, &mut skipped).expect("due");
        // A pause of half a second: the packets for 20 to 480 ms are not sent any more.
        let late = START + 509 * MS;
        let (after, heard) = next(&mut stream, 0, late, &mut skipped).expect("due");
        assert_eq!(skipped, 24);
        assert_eq!(after.sequence, first.sequence.wrapping_add(1));
        assert_eq!(after.timestamp, first.timestamp.wrapping_add(500 * 8));
        assert_eq!(
            heard,
            (0..1_000)
                .find(|ms| stream.audio.encoded(Codec::Pcmu)[ms * 8] == stream.audio.encoded(Codec::Pcmu)[300 * 8])
                .map(|ms| ms as u64)
        );
        assert!(next(&mut stream, 0, late, &mut skipped).is_none(), "a burst followed the pause");
        // A pause beyond the end sends nothing more.
        assert!(next(&mut stream, 0, START + 60_000 * MS, &mut skipped).is_none());
        assert_eq!(skipped, 24 + 44);
        assert!(stream.over(START + 60_000 * MS));
    }

    #[test]
    fn the_longest_lead_in_counts_for_all_so_that_content_begins_together() {
        let slow = Destination { lead_in_ms: 500, ..to(2, 11) };
        let timeline = stream(&[to(1, 9), slow], 0).timeline;
        assert_eq!(timeline.lead_ms, 500);
        let digits = Destination { dtmf: "1234".to_owned(), ..to(2, 11) };
        assert_eq!(stream(&[to(1, 9), digits], 0).timeline.lead_ms, 4 * 200);
        let endless = Destination { lead_in_ms: u32::MAX, ..to(2, 11) };
        assert_eq!(stream(&[endless], 0).timeline.lead_ms, MAX_LEAD_MS);
    }

    #[test]
    fn resuming_begins_where_it_stopped_and_at_the_end_sends_nothing() {
        let mut resumed = stream(&[to(1, 9)], 960);
        let heard: Vec<u64> = (0..100)
            .map_while(|n| next(&mut resumed, 0, START + n * 20 * MS, &mut 0))
            .filter_map(|(_, heard)| heard)
            .collect();
        assert_eq!(heard.len(), 2);
        assert_eq!(resumed.timeline.position(START), 960);
        assert_eq!(resumed.timeline.position(START + 210 * MS), 970);
        assert_eq!(resumed.timeline.position(START + 9_000 * MS), 1_000);
        let mut nothing = stream(&[to(1, 9)], 1_000);
        assert!(next(&mut nothing, 0, START, &mut 0).is_none());
        assert!(nothing.over(START));
    }

    #[test]
    fn a_stop_is_followed_by_the_trailing_silence_only() {
        let mut stream = stream(&[to(1, 9)], 0);
        (0..=20).for_each(|n| {
            next(&mut stream, 0, START + n * 20 * MS, &mut 0).expect("due");
        });
        stream.timeline.stop(START + 410 * MS, 200);
        stream.timeline.stop(START + 900 * MS, 200);
        let after: Vec<Option<u64>> = (21..100)
            .map_while(|n| next(&mut stream, 0, START + n * 20 * MS, &mut 0))
            .map(|(_, heard)| heard)
            .collect();
        assert_eq!(after, vec![None; 10]);
        assert_eq!(stream.timeline.position(START + 5_000 * MS), 210);
    }

    #[test]
    fn the_257th_destination_is_sent_to_a_millisecond_later_with_the_same_numbers() {
        let many: Vec<Destination> = (0..300).map(|key| to(key, 1_000 + key as u16)).collect();
        let mut stream = stream(&many, 0);
        assert_eq!(stream.slots.iter().map(|slot| slot.legs.len()).collect::<Vec<_>>(), [256, 44]);
        let (first, _) = next(&mut stream, 0, START, &mut 0).expect("due");
        assert!(next(&mut stream, 1, START, &mut 0).is_none());
        let (second, _) = next(&mut stream, 1, START + MS, &mut 0).expect("due");
        assert_eq!(first, second);
    }

    #[test]
    fn a_late_joiner_begins_at_the_next_packet_time_with_a_marker() {
        let mut stream = stream(&[to(1, 9)], 0);
        next(&mut stream, 0, START, &mut 0).expect("due");
        stream.add(&to(2, 11), START + 5 * MS);
        let due = stream.packets(0, START + 20 * MS, &mut 0).expect("due");
        let markers: Vec<bool> =
            due.packets.iter().map(|(header, _)| rtp::parse(header).expect("our own").header.marker).collect();
        assert_eq!(markers, [false, true]);
        // With a packet time of its own it joins the common time line too.
        stream.add(&Destination { packet_ms: 30, ..to(3, 13) }, START + 65 * MS);
        assert!(stream.packets(1, START + 89 * MS, &mut 0).is_none());
        let due = stream.packets(1, START + 90 * MS, &mut 0).expect("due");
        let header = rtp::parse(&due.packets[0].0).expect("our own").header;
        assert_eq!(header.timestamp, stream.first_timestamp.wrapping_add(90 * 8));
    }

    #[test]
    fn an_address_given_twice_is_sent_to_until_its_last_key_is_taken_off() {
        let mut stream = stream(&[to(1, 9), to(2, 9)], 0);
        assert_eq!(stream.slots[0].legs.len(), 1);
        stream.remove(1);
        assert_eq!(stream.leg(to(0, 9).addr).expect("still wanted").keys, [2]);
        stream.remove(2);
        assert!(stream.leg(to(0, 9).addr).is_none());
    }

    #[test]
    fn impossible_destinations_are_objected_to_with_the_value() {
        let refused = |destination: Destination| objection(&destination).unwrap_or_default();
        assert_eq!(refused(to(1, 9)), "");
        assert!(refused(Destination { packet_ms: 25, ..to(1, 9) }).contains("25 ms"));
        assert!(refused(Destination { packet_ms: 0, dtmf: "1".into(), ..to(1, 9) }).contains("0 ms"));
        assert!(refused(to(1, 0)).contains("127.0.0.1:0"));
        assert!(refused(Destination { dtmf: "1x".into(), ..to(1, 9) }).contains("`x`"));
        assert!(refused(Destination { dtmf: "1".repeat(51), ..to(1, 9) }).contains("51 DTMF digits"));
    }
}
