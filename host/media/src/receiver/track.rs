//! What is made of the datagrams on one address: order, gaps, samples, levels. No sockets, no clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Heard;
use crate::codec::{BYTES_PER_MS, Codec, Decoder};
use crate::dtmf;
use crate::level::Level;
use crate::rtp;

/// Packets that may wait for a missing one before it is given up.
const WINDOW: usize = 3;
/// A sequence number this far from the expected one is a new beginning, not a gap.
const JUMP: i16 = 500;
/// Sources that are followed. One more takes the place of the one not heard for longest.
const MAX_SOURCES: usize = 64;
/// Packets louder than this are audible.
const AUDIBLE_DBFS: f64 = -50.0;
/// Milliseconds of samples that are kept.
const KEPT_MS: usize = 10 * 60 * 1_000;
/// The longest silence that stands in for missing packets.
const MAX_FILL_MS: u32 = 2_000;
/// Digits that are remembered.
const MAX_DIGITS: usize = 64;

#[derive(Debug)]
enum Content {
    Audio(Codec, Vec<u8>),
    Digit(u8),
}

#[derive(Debug)]
struct Waiting {
    timestamp: u32,
    content: Content,
}

/// One source.
#[derive(Debug)]
struct Track {
    ssrc: u32,
    heard_at: Instant,
    /// The sequence number that comes next, extended over the wrap.
    expected: i64,
    /// The last 64 numbers before `expected` that have been seen, the latest in bit 0.
    seen: u64,
    waiting: BTreeMap<i64, Waiting>,
    /// Where the samples taken so far end.
    audio_until: Option<u32>,
    digit_at: Option<u32>,
    decoder: Decoder,
    /// Relative transit time of the last packet and smoothed jitter, in RTP steps.
    transit: Option<f64>,
    jitter: f64,
}

/// Everything heard on one address.
#[derive(Debug)]
pub(super) struct Tracks {
    codecs: Vec<Codec>,
    tracks: Vec<Track>,
    latest: Option<usize>,
    rate: u32,
    pcm: Vec<i16>,
    level: Level,
    counts: Counts,
    epoch: Instant,
}

#[derive(Debug, Default)]
struct Counts {
    packets: u64,
    bytes: u64,
    audible_bytes: u64,
    codec: Option<Codec>,
    gaps: u64,
    duplicates: u64,
    reordered: u64,
    wrong_payload: u64,
    malformed: u64,
    dtmf: String,
    first_at: Option<Instant>,
    last_at: Option<Instant>,
}

impl Tracks {
    pub(super) fn new(codecs: &[Codec]) -> Tracks {
        Tracks {
            codecs: codecs.to_vec(),
            tracks: Vec::new(),
            latest: None,
            rate: 8_000,
            pcm: Vec::new(),
            level: Level::default(),
            counts: Counts::default(),
            epoch: Instant::now(),
        }
    }

    pub(super) fn reset(&mut self) {
        *self = Tracks::new(&self.codecs);
    }

    /// Takes one datagram.
    pub(super) fn take(&mut self, datagram: &[u8], at: Instant) {
        let Ok(packet) = rtp::parse(datagram) else {
            self.counts.malformed += 1;
            return;
        };
        let header = packet.header;
        let accepted = Codec::from_payload_type(header.payload_type).filter(|codec| self.codecs.contains(codec));
        let content = match (accepted, header.payload_type) {
            (Some(codec), _) => Content::Audio(codec, packet.payload.to_vec()),
            (None, dtmf::PAYLOAD_TYPE) => match dtmf::Event::parse(packet.payload) {
                Some(event) => Content::Digit(event.event),
                None => {
                    self.counts.malformed += 1;
                    return;
                }
            },
            (None, _) => {
                self.counts.wrong_payload += 1;
                return;
            }
        };
        let index = self.track(&header, at);
        self.counts.first_at.get_or_insert(at);
        self.counts.last_at = Some(at);
        self.latest = Some(index);
        let track = &mut self.tracks[index];
        track.arrive(header.timestamp, at.saturating_duration_since(self.epoch));
        let offset = header.sequence.wrapping_sub(track.expected as u16) as i16;
        if offset.unsigned_abs() > JUMP as u16 {
            self.flush(index);
            let track = &mut self.tracks[index];
            (track.expected, track.seen, track.audio_until) = (i64::from(header.sequence), 0, None);
        }
        let track = &mut self.tracks[index];
        let number = track.expected + i64::from(header.sequence.wrapping_sub(track.expected as u16) as i16);
        if track.has(number) {
            self.counts.duplicates += 1;
        } else if number < track.expected {
            // Its place has been played already.
            self.counts.reordered += 1;
            track.seen |= 1u64.checked_shl((track.expected - 1 - number) as u32).unwrap_or(0);
        } else {
            if track.waiting.keys().next_back().is_some_and(|last| *last > number) {
                self.counts.reordered += 1;
            }
            track.waiting.insert(number, Waiting { timestamp: header.timestamp, content });
            self.release(index, WINDOW);
        }
    }

    /// The track of a packet's source, made where it is the first.
    fn track(&mut self, header: &rtp::Header, at: Instant) -> usize {
        if let Some(index) = self.tracks.iter().position(|track| track.ssrc == header.ssrc) {
            self.tracks[index].heard_at = at;
            return index;
        }
        if self.tracks.len() >= MAX_SOURCES {
            let oldest = (0..self.tracks.len()).min_by_key(|index| self.tracks[*index].heard_at).unwrap_or(0);
            self.flush(oldest);
            self.tracks.remove(oldest);
        }
        self.tracks.push(Track {
            ssrc: header.ssrc,
            heard_at: at,
            expected: i64::from(header.sequence),
            seen: 0,
            waiting: BTreeMap::new(),
            audio_until: None,
            digit_at: None,
            decoder: Decoder::default(),
            transit: None,
            jitter: 0.0,
        });
        self.tracks.len() - 1
    }

    /// Takes over what is in order; what is missing is given up when more than `window` packets wait for it.
    fn release(&mut self, index: usize, window: usize) {
        loop {
            let track = &mut self.tracks[index];
            let Some(first) = track.waiting.first_entry() else {
                return;
            };
            let missing = *first.key() - track.expected;
            if missing > 0 && track.waiting.len() <= window {
                return;
            }
            let (number, waiting) = track.waiting.pop_first().expect("the first entry was just seen");
            self.counts.gaps += missing as u64;
            track.seen = track.seen.checked_shl(missing as u32 + 1).unwrap_or(0) | 1;
            track.expected = number + 1;
            match waiting.content {
                Content::Audio(codec, payload) => self.hear(index, waiting.timestamp, codec, &payload),
                Content::Digit(event) => self.digit(index, waiting.timestamp, event),
            }
        }
    }

    fn flush(&mut self, index: usize) {
        self.release(index, 0);
    }

    /// Takes over what waits, where nothing has come for a while.
    pub(super) fn settle(&mut self, now: Instant, idle: Duration) {
        if self.counts.last_at.is_some_and(|last| now.saturating_duration_since(last) >= idle) {
            (0..self.tracks.len()).for_each(|index| self.flush(index));
        }
    }

    fn hear(&mut self, index: usize, timestamp: u32, codec: Codec, payload: &[u8]) {
        let track = &mut self.tracks[index];
        if self.rate != codec.sample_rate() {
            // Samples of two rates cannot be kept side by side; a device plays one stream.
            self.rate = codec.sample_rate();
            self.pcm.clear();
        }
        let per_step = self.rate as usize / 8_000;
        if let Some(until) = track.audio_until {
            let missing = timestamp.wrapping_sub(until);
            if missing <= MAX_FILL_MS * BYTES_PER_MS as u32 {
                self.pcm.resize(self.pcm.len() + missing as usize * per_step, 0);
            }
        }
        let begins = self.pcm.len();
        track.decoder.decode(codec, payload, &mut self.pcm);
        track.audio_until = Some(timestamp.wrapping_add(payload.len() as u32));
        let packet = Level::of(&self.pcm[begins..]);
        self.level.add(&self.pcm[begins..]);
        self.counts.packets += 1;
        self.counts.bytes += payload.len() as u64;
        self.counts.codec = Some(codec);
        if packet.rms_dbfs() > AUDIBLE_DBFS {
            self.counts.audible_bytes += payload.len() as u64;
        }
        let kept = KEPT_MS * self.rate as usize / 1_000;
        // Cut in large pieces, so that cutting costs nothing per packet.
        if self.pcm.len() > kept + kept / 4 {
            self.pcm.drain(..self.pcm.len() - kept);
        }
    }

    /// All packets of one digit carry one timestamp.
    fn digit(&mut self, index: usize, timestamp: u32, event: u8) {
        let track = &mut self.tracks[index];
        if track.digit_at == Some(timestamp) {
            return;
        }
        track.digit_at = Some(timestamp);
        if let Some(digit) = dtmf::digit_of(event)
            && self.counts.dtmf.len() < MAX_DIGITS
        {
            self.counts.dtmf.push(digit);
        }
    }

    pub(super) fn pcm(&self) -> (u32, Vec<i16>) {
        let kept = KEPT_MS * self.rate as usize / 1_000;
        (self.rate, self.pcm[self.pcm.len().saturating_sub(kept)..].to_vec())
    }

    pub(super) fn heard(&self) -> Heard {
        let counts = &self.counts;
        let jitter = self.latest.map_or(0.0, |index| self.tracks[index].jitter);
        Heard {
            packets: counts.packets,
            ms: counts.bytes / BYTES_PER_MS as u64,
            audible_ms: counts.audible_bytes / BYTES_PER_MS as u64,
            rms_dbfs: self.level.rms_dbfs(),
            peak_dbfs: self.level.peak_dbfs(),
            ssrcs: self.tracks.iter().map(|track| track.ssrc).collect(),
            codec: counts.codec,
            gaps: counts.gaps,
            duplicates: counts.duplicates,
            reordered: counts.reordered,
            wrong_payload: counts.wrong_payload,
            malformed: counts.malformed,
            dtmf: counts.dtmf.clone(),
            jitter_us: (jitter * 1_000.0 / BYTES_PER_MS as f64) as u64,
            first_at: counts.first_at,
            last_at: counts.last_at,
        }
    }
}

impl Track {
    fn has(&self, number: i64) -> bool {
        let back = self.expected - 1 - number;
        self.waiting.contains_key(&number) || (0..64).contains(&back) && self.seen >> back & 1 == 1
    }

    /// Interarrival jitter as RFC 3550 section 6.4.1 defines it.
    fn arrive(&mut self, timestamp: u32, at: Duration) {
        let transit = at.as_secs_f64() * 8_000.0 - f64::from(timestamp);
        if let Some(last) = self.transit.replace(transit) {
            let change = (transit - last).abs();
            // A timestamp that wrapped or began anew is no jitter.
            if change < 80_000.0 {
                self.jitter += (change - self.jitter) / 16.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Header;

    struct Sender {
        tracks: Tracks,
        start: Instant,
    }

    impl Sender {
        fn new() -> Sender {
            Sender { tracks: Tracks::new(&[Codec::Pcmu]), start: Instant::now() }
        }

        fn raw(&mut self, payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) {
            let header = Header { marker: false, payload_type, sequence, timestamp, ssrc };
            let datagram = [&header.to_bytes()[..], payload].concat();
            let at = self.start + Duration::from_micros(u64::from(timestamp) * 125);
            self.tracks.take(&datagram, at);
        }

        /// A packet of a source whose every packet holds its own number as a mu-law byte.
        fn packet(&mut self, sequence: u16) {
            self.raw(0, sequence, u32::from(sequence) * 160, 7, &[sequence as u8; 160]);
        }

        fn settled(mut self) -> (Heard, Vec<i16>) {
            self.tracks.settle(Instant::now() + Duration::from_secs(3_600), Duration::ZERO);
            (self.tracks.heard(), self.tracks.pcm().1)
        }
    }

    fn samples(numbers: &[u8]) -> Vec<i16> {
        numbers.iter().flat_map(|number| [crate::g711::mu_decode(*number); 160]).collect()
    }

    #[test]
    fn packets_in_order_are_heard_without_complaint() {
        let mut sender = Sender::new();
        (10..20).for_each(|sequence| sender.packet(sequence));
        let (heard, pcm) = sender.settled();
        assert_eq!((heard.packets, heard.ms, heard.gaps, heard.duplicates, heard.reordered), (10, 200, 0, 0, 0));
        assert_eq!(heard.jitter_us, 0);
        assert_eq!(pcm, samples(&(10..20).collect::<Vec<_>>()));
    }

    #[test]
    fn packets_out_of_order_are_put_in_order_and_twins_are_dropped() {
        let mut sender = Sender::new();
        for sequence in [10, 12, 11, 11, 12, 13] {
            sender.packet(sequence);
        }
        let (heard, pcm) = sender.settled();
        assert_eq!((heard.packets, heard.gaps, heard.duplicates, heard.reordered), (4, 0, 2, 1));
        assert_eq!(pcm, samples(&[10, 11, 12, 13]));
    }

    #[test]
    fn a_lost_packet_is_a_gap_and_silence_and_a_late_one_does_not_come_back() {
        let mut sender = Sender::new();
        for sequence in [10, 12, 13, 14, 15, 11] {
            sender.packet(sequence);
        }
        let (heard, pcm) = sender.settled();
        assert_eq!((heard.packets, heard.gaps, heard.reordered, heard.duplicates), (5, 1, 1, 0));
        assert_eq!(pcm[160..320], [0; 160]);
        assert_eq!(pcm[320..], samples(&[12, 13, 14, 15]));
    }

    #[test]
    fn a_gap_at_the_end_is_seen_once_nothing_comes_any_more() {
        let mut sender = Sender::new();
        [10, 12].into_iter().for_each(|sequence| sender.packet(sequence));
        assert_eq!(sender.tracks.heard().packets, 1);
        let (heard, _) = sender.settled();
        assert_eq!((heard.packets, heard.gaps), (2, 1));
    }

    #[test]
    fn the_sequence_may_wrap_and_may_begin_anew() {
        let mut sender = Sender::new();
        for sequence in [65_534, 65_535, 0, 1] {
            sender.raw(0, sequence, 0, 7, &[0; 160]);
        }
        sender.raw(0, 30_000, 0, 7, &[0; 160]);
        let (heard, _) = sender.settled();
        assert_eq!((heard.packets, heard.gaps, heard.reordered), (5, 0, 0));
    }

    #[test]
    fn other_payload_types_and_what_is_no_rtp_are_counted_and_not_heard() {
        let mut sender = Sender::new();
        sender.raw(8, 1, 0, 7, &[0; 160]);
        sender.raw(96, 2, 0, 7, &[0; 160]);
        sender.tracks.take(b"hello", Instant::now());
        let (heard, pcm) = sender.settled();
        assert_eq!((heard.packets, heard.wrong_payload, heard.malformed), (0, 2, 1));
        assert!(pcm.is_empty() && heard.first_at.is_none() && heard.ssrcs.is_empty());
    }

    #[test]
    fn a_digit_sent_seven_times_is_one_digit_and_the_same_digit_again_is_another() {
        let mut sender = Sender::new();
        let script = dtmf::Script::new("99#", 20).expect("digits");
        for time in 0..30 {
            match script.step(time) {
                dtmf::Step::Event { payload, began } => {
                    sender.raw(101, time as u16, began as u32 * 160, 7, &payload.to_bytes());
                }
                _ => sender.raw(0, time as u16, time as u32 * 160, 7, &[0xFF; 160]),
            }
        }
        let (heard, _) = sender.settled();
        assert_eq!((heard.dtmf.as_str(), heard.gaps), ("99#", 0));
    }

    #[test]
    fn sources_are_followed_apart_and_a_flood_of_them_is_bounded() {
        let mut sender = Sender::new();
        for sequence in 0..5 {
            sender.raw(0, sequence, u32::from(sequence) * 160, 1, &[0; 160]);
            sender.raw(0, sequence + 900, u32::from(sequence) * 160, 2, &[0; 160]);
        }
        assert_eq!(sender.tracks.heard().ssrcs, [1, 2]);
        assert_eq!(sender.tracks.heard().gaps, 0);
        for ssrc in 100..1_000 {
            sender.raw(0, 0, 0, ssrc, &[0; 160]);
        }
        let (heard, _) = sender.settled();
        assert_eq!(heard.ssrcs.len(), MAX_SOURCES);
        assert_eq!(heard.ssrcs.last(), Some(&999), "a listener that has heard many streams is deaf to the next");
        assert_eq!(heard.packets, 10 + 900);
    }

    #[test]
    fn uneven_arrival_is_jitter() {
        let mut sender = Sender::new();
        for sequence in 0..200u16 {
            let header =
                Header { marker: false, payload_type: 0, sequence, timestamp: u32::from(sequence) * 160, ssrc: 7 };
            let late = if sequence % 2 == 0 { 0 } else { 4 };
            let at = sender.start + Duration::from_millis(u64::from(sequence) * 20 + late);
            sender.tracks.take(&[&header.to_bytes()[..], &[0; 160]].concat(), at);
        }
        let (heard, _) = sender.settled();
        assert!((3_900..=4_000).contains(&heard.jitter_us), "4 ms to and fro gave {} us", heard.jitter_us);
    }
}
