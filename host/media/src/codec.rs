//! The three encodings that paging devices take, and the figures they share.

use crate::{g711, g722};

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
    /// All of them.
    pub const ALL: [Codec; 3] = [Codec::Pcmu, Codec::Pcma, Codec::G722];

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
        Codec::ALL.into_iter().find(|codec| codec.payload_type() == payload_type)
    }

    /// The rate of the samples it encodes.
    pub fn sample_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8_000,
            Codec::G722 => 16_000,
        }
    }

    /// The byte that, repeated, is silence. For G.722 it is the code that lets every
    /// adaptive part of a decoder come to rest, which is also the state in which [`Codec::encode`] begins.
    pub fn silence(self) -> u8 {
        match self {
            Codec::Pcmu => g711::MU_SILENCE,
            Codec::Pcma => g711::A_SILENCE,
            Codec::G722 => 0xFD,
        }
    }

    /// Encodes samples of [`Codec::sample_rate`] from a fresh start.
    pub fn encode(self, samples: &[i16]) -> Vec<u8> {
        match self {
            Codec::Pcmu => samples.iter().map(|sample| g711::mu_encode(*sample)).collect(),
            Codec::Pcma => samples.iter().map(|sample| g711::a_encode(*sample)).collect(),
            Codec::G722 => {
                let mut out = Vec::new();
                g722::Encoder::default().encode(samples, &mut out);
                out
            }
        }
    }
}

/// Decodes the payloads of one source, in order.
#[derive(Debug, Clone, Default)]
pub struct Decoder {
    g722: g722::Decoder,
}

impl Decoder {
    /// Appends the samples of one payload, at [`Codec::sample_rate`].
    pub fn decode(&mut self, codec: Codec, payload: &[u8], out: &mut Vec<i16>) {
        match codec {
            Codec::Pcmu => out.extend(payload.iter().map(|byte| g711::mu_decode(*byte))),
            Codec::Pcma => out.extend(payload.iter().map(|byte| g711::a_decode(*byte))),
            Codec::G722 => self.g722.decode(payload, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    #[test]
    fn the_silence_byte_of_each_codec_decodes_to_silence_for_as_long_as_it_lasts() {
        for codec in Codec::ALL {
            let mut out = Vec::new();
            Decoder::default().decode(codec, &[codec.silence(); 16_000], &mut out);
            let peak = Level::of(&out).peak_dbfs();
            assert!(peak < -66.0, "{codec:?}: silence peaks at {peak:.1} dBFS");
        }
    }

    #[test]
    fn silence_after_loud_audio_is_silent_within_40_ms() {
        let loud: Vec<i16> = (0..16_000)
            .map(|n| (30_000.0 * (std::f64::consts::TAU * 700.0 * f64::from(n) / 16_000.0).sin()) as i16)
            .collect();
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        decoder.decode(Codec::G722, &Codec::G722.encode(&loud), &mut out);
        out.clear();
        decoder.decode(Codec::G722, &[Codec::G722.silence(); 1_600], &mut out);
        let peak = Level::of(&out[40 * 16..]).peak_dbfs();
        assert!(peak < -50.0, "still {peak:.1} dBFS");
    }

    #[test]
    fn payload_types_are_each_others_inverse() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_payload_type(codec.payload_type()), Some(codec));
        }
        assert_eq!(Codec::from_payload_type(101), None);
    }
}
