//! The three encodings that paging devices take, and the figures they share.

/// An audio encoding.
///
/// All three carry 8 bytes a millisecond and step the RTP timestamp by 8 a millisecond (RFC 3551 keeps the clock of G.722 at
/// 8000 although it samples at 16000).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    /// G.711 mu-law, payload type 0: what every device takes.
    #[default]
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, payload type 9.
    G722,
}

/// Bytes of payload, and steps of the RTP timestamp, in one millisecond of any [`Codec`].
pub const BYTES_PER_MS: usize = 8;

impl Codec {
    /// The static RTP payload type.
    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
        }
    }

    /// The codec of a static RTP payload type.
    pub fn from_payload_type(payload_type: u8) -> Option<Codec> {
        match payload_type {
            0 => Some(Codec::Pcmu),
            8 => Some(Codec::Pcma),
            9 => Some(Codec::G722),
            _ => None,
        }
    }

    /// The rate of the samples it encodes.
    pub fn sample_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8_000,
            Codec::G722 => 16_000,
        }
    }
}
