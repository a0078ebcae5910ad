//! Audio ready to be sent: samples at both rates and bytes in every encoding, each made once.

use std::sync::{Arc, OnceLock};

use super::resample::resample;
use crate::codec::{BYTES_PER_MS, Codec};

/// Silence between two repeats, in milliseconds.
pub const GAP_MS: u64 = 600;

/// Samples of one play, and what was made of them.
#[derive(Debug)]
pub(super) struct Take {
    rate: u32,
    samples: Vec<i16>,
    /// The samples at the other of the two rates.
    other: OnceLock<Vec<i16>>,
    encoded: [OnceLock<Vec<u8>>; 3],
}

impl Take {
    /// A take from samples at 8 or 16 kHz, completed with silence to a whole millisecond.
    pub(super) fn new(rate: u32, mut samples: Vec<i16>) -> Take {
        let per_ms = rate as usize / 1_000;
        samples.resize(samples.len().next_multiple_of(per_ms), 0);
        Take { rate, samples, other: OnceLock::new(), encoded: Default::default() }
    }

    fn at(&self, rate: u32) -> &[i16] {
        if rate == self.rate {
            return &self.samples;
        }
        self.other.get_or_init(|| {
            let samples: Vec<f32> = self.samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
            to_pcm(&resample(&samples, self.rate, rate))
        })
    }

    pub(super) fn encoded(&self, codec: Codec) -> &[u8] {
        let slot = match codec {
            Codec::Pcmu => 0,
            Codec::Pcma => 1,
            Codec::G722 => 2,
        };
        self.encoded[slot].get_or_init(|| codec.encode(self.at(codec.sample_rate())))
    }

    fn ms(&self) -> u64 {
        self.samples.len() as u64 / u64::from(self.rate / 1_000)
    }

    /// Bytes of memory when everything has been made: three sets of samples at 8 kHz and three encodings.
    pub(super) fn weight(&self) -> usize {
        self.ms() as usize * BYTES_PER_MS * 9
    }
}

pub(super) fn to_pcm(samples: &[f32]) -> Vec<i16> {
    samples.iter().map(|sample| (sample * 32_767.0).round() as i16).collect()
}

/// Audio ready to be sent. Cheap to share; encodings are made on first use and kept.
#[derive(Debug)]
pub struct Rendered {
    take: Arc<Take>,
    repeats: u32,
    notes: Vec<String>,
}

impl Rendered {
    pub(super) fn new(take: Arc<Take>, repeats: u32, notes: Vec<String>) -> Rendered {
        Rendered { take, repeats, notes }
    }

    /// Audio from samples at 8 kHz.
    pub fn from_pcm_8k(pcm: Vec<i16>, repeats: u32) -> Rendered {
        Rendered::new(Arc::new(Take::new(8_000, pcm)), repeats.max(1), Vec::new())
    }

    /// One play, mono at 8 kHz.
    pub fn pcm_8k(&self) -> &[i16] {
        self.take.at(8_000)
    }

    /// One play, mono at 16 kHz; made on first use.
    pub fn pcm_16k(&self) -> &[i16] {
        self.take.at(16_000)
    }

    /// One play in this encoding, 8 bytes a millisecond; made on first use.
    pub fn encoded(&self, codec: Codec) -> &[u8] {
        self.take.encoded(codec)
    }

    /// How long all repeats last, with the silences between them, in milliseconds.
    pub fn duration_ms(&self) -> u64 {
        let repeats = u64::from(self.repeats);
        self.take.ms() * repeats + GAP_MS * (repeats - 1)
    }

    /// What an operator should know, such as speech replaced by a chime because no speech program is installed.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Writes one encoded millisecond of all repeats into `out` (8 bytes): silence between repeats and after the end.
    pub(crate) fn millisecond(&self, codec: Codec, at_ms: u64, out: &mut [u8]) {
        let heard = (at_ms < self.duration_ms()).then_some(at_ms).and_then(|at| {
            let from = (at % (self.take.ms() + GAP_MS)) as usize * BYTES_PER_MS;
            self.encoded(codec).get(from..from + BYTES_PER_MS)
        });
        match heard {
            Some(bytes) => out.copy_from_slice(bytes),
            None => out.fill(codec.silence()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_parted_and_followed_by_silence() {
        let rendered = Rendered::from_pcm_8k(vec![10_000; 800], 2);
        assert_eq!(rendered.duration_ms(), 100 + GAP_MS + 100);
        let loud = rendered.encoded(Codec::Pcmu)[0];
        let first = |at_ms| {
            let mut out = [0; BYTES_PER_MS];
            rendered.millisecond(Codec::Pcmu, at_ms, &mut out);
            out[0]
        };
        let second = 100 + GAP_MS;
        let expected = [(0, loud), (99, loud), (100, 0xFF), (second - 1, 0xFF), (second, loud)];
        for (at, byte) in expected.into_iter().chain([(second + 99, loud), (second + 100, 0xFF)]) {
            assert_eq!(first(at), byte, "at {at} ms");
        }
    }

    #[test]
    fn a_part_of_a_millisecond_is_completed() {
        assert_eq!(Rendered::from_pcm_8k(vec![1; 9], 1).duration_ms(), 2);
        assert_eq!(Rendered::from_pcm_8k(Vec::new(), 0).duration_ms(), 0);
    }
}
