//! Digits as RFC 4733 telephone events, sent before the content to choose a zone.

use crate::codec::BYTES_PER_MS;

/// The payload type of telephone events.
pub const PAYLOAD_TYPE: u8 = 101;
/// How long a digit sounds.
const TONE_MS: u32 = 100;
/// Silence between digits, counted from the end of the tone.
const GAP_MS: u32 = 100;
/// The end of an event is sent this often, because it must not get lost.
const ENDS: u32 = 3;
/// Loudness, in -dBm0.
const VOLUME: u8 = 10;

/// The event number of a digit.
pub fn event_of(digit: char) -> Option<u8> {
    match digit {
        '0'..='9' => Some(digit as u8 - b'0'),
        '*' => Some(10),
        '#' => Some(11),
        'A'..='D' => Some(digit as u8 - b'A' + 12),
        'a'..='d' => Some(digit as u8 - b'a' + 12),
        _ => None,
    }
}

/// The digit of an event number; events above 15 are not digits.
pub fn digit_of(event: u8) -> Option<char> {
    "0123456789*#ABCD".chars().nth(usize::from(event))
}

/// One telephone event, as in a packet's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Event number.
    pub event: u8,
    /// Whether the tone is over.
    pub end: bool,
    /// Loudness, in -dBm0.
    pub volume: u8,
    /// How long it has lasted, in steps of the RTP clock.
    pub duration: u16,
}

impl Event {
    /// The payload's bytes.
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, (u8::from(self.end) << 7) | (self.volume & 0x3F), high, low]
    }

    /// Reads a payload; nothing when it is too short.
    pub fn parse(payload: &[u8]) -> Option<Event> {
        let [event, flags, high, low] = *payload.first_chunk::<4>()?;
        Some(Event { event, end: flags & 0x80 != 0, volume: flags & 0x3F, duration: u16::from_be_bytes([high, low]) })
    }
}

/// What stands in place of audio at one packet time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An event packet. All packets of one digit carry the timestamp of its first.
    Event {
        /// The payload.
        payload: Event,
        /// The packet time, counted from the start of the script, at which this digit began.
        began: u64,
    },
    /// Silence between digits.
    Gap,
    /// The digits are over.
    Over,
}

/// The digits for one destination, laid out on packet times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    events: Vec<u8>,
    packet_ms: u32,
}

impl Script {
    /// A script for these digits.
    ///
    /// # Errors
    /// The first character that is not a digit.
    pub fn new(digits: &str, packet_ms: u8) -> Result<Script, char> {
        let events = digits.chars().map(|digit| event_of(digit).ok_or(digit)).collect::<Result<_, _>>()?;
        Ok(Script { events, packet_ms: u32::from(packet_ms) })
    }

    fn tone_packets(&self) -> u32 {
        TONE_MS.div_ceil(self.packet_ms)
    }

    fn packets_each(&self) -> u32 {
        self.tone_packets() + GAP_MS.div_ceil(self.packet_ms).max(ENDS)
    }

    /// How long it lasts.
    pub fn duration_ms(&self) -> u64 {
        self.events.len() as u64 * u64::from(self.packets_each() * self.packet_ms)
    }

    /// What is sent at this packet time, counted from its start.
    pub fn step(&self, time: u64) -> Step {
        let each = u64::from(self.packets_each());
        let Some(event) = usize::try_from(time / each).ok().and_then(|digit| self.events.get(digit)) else {
            return Step::Over;
        };
        let within = time % each;
        let tone = u64::from(self.tone_packets());
        // The packet that completes the tone is the first of its ends.
        if within >= tone + u64::from(ENDS) - 1 {
            return Step::Gap;
        }
        let sounded = (within + 1).min(tone) as u16;
        let duration = sounded * (self.packet_ms as usize * BYTES_PER_MS) as u16;
        let payload = Event { event: *event, end: within + 1 >= tone, volume: VOLUME, duration };
        Step::Event { payload, began: time - within }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digit_nine_is_byte_for_byte_the_worked_one() {
        let script = Script::new("9", 20).expect("9 is a digit");
        let sent: Vec<[u8; 4]> = (0..)
            .map_while(|time| match script.step(time) {
                Step::Event { payload, began } => {
                    assert_eq!(began, 0);
                    Some(payload.to_bytes())
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            sent,
            [
                [0x09, 0x0a, 0x00, 0xa0],
                [0x09, 0x0a, 0x01, 0x40],
                [0x09, 0x0a, 0x01, 0xe0],
                [0x09, 0x0a, 0x02, 0x80],
                [0x09, 0x8a, 0x03, 0x20],
                [0x09, 0x8a, 0x03, 0x20],
                [0x09, 0x8a, 0x03, 0x20],
            ]
        );
    }

    #[test]
    fn digits_follow_each_other_after_a_gap_and_end() {
        for packet_ms in [10, 20, 30] {
            let script = Script::new("1#", packet_ms).expect("digits");
            let packets = script.duration_ms() / u64::from(packet_ms);
            let began: std::collections::BTreeSet<u64> = (0..packets)
                .filter_map(|time| match script.step(time) {
                    Step::Event { began, .. } => Some(began),
                    _ => None,
                })
                .collect();
            assert_eq!(began.len(), 2, "{packet_ms} ms: digits began at {began:?}");
            assert_eq!(script.step(packets - 1), Step::Gap);
            assert_eq!(script.step(packets), Step::Over);
        }
    }

    #[test]
    fn events_and_digits_are_each_others_inverse_and_others_are_refused() {
        for event in 0..16 {
            assert_eq!(digit_of(event).and_then(event_of), Some(event));
        }
        assert_eq!(digit_of(16), None);
        assert_eq!(Script::new("12x", 20), Err('x'));
        assert_eq!(Event::parse(&[1, 2, 3]), None);
    }
}
