//! G.722 at 64 kbit/s: 16 kHz samples in two bands, six bits for the lower and two for the upper, one byte for each pair of
//! samples.
//!
//! Each band predicts its next sample from what the receiver has already heard and sends how wrong it was, in steps that adapt
//! to how wrong it has been. Encoder and decoder run the same predictor, so they stay together without being told; a decoder
//! that joins late drifts into step within some tens of milliseconds.

/// Halves of the symmetrical band-splitting filter.
const SPLIT: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Decision levels of the lower band's quantiser, in units of the step size.
const LOW_DECISIONS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// Values of the lower band's 6-bit codes, as the listener hears them.
const LOW_VALUES_6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
/// Values of the upper four bits of those codes, as the predictors use them.
const LOW_VALUES_4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
/// How the step size of the lower band reacts to each of those four-bit codes.
const LOW_ADAPTION: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// Values of the upper band's 2-bit codes.
const HIGH_VALUES: [i32; 4] = [-7408, -1616, 7408, 1616];
/// How the step size of the upper band reacts to each code.
const HIGH_ADAPTION: [i32; 4] = [798, -214, 798, -214];
/// The decision level of the upper band's quantiser.
const HIGH_DECISION: i32 = 564;
/// One octave of step sizes in 32 parts.
const STEP_OCTAVE: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// The quantiser step and the predictor of one band.
#[derive(Debug, Clone)]
struct Band {
    /// What the next sample is predicted to be.
    predicted: i32,
    /// The part of the prediction that comes from past differences.
    predicted_by_zeros: i32,
    /// Past reconstructed samples, latest first.
    reconstructed: [i32; 2],
    /// Past partial reconstructions, latest first.
    partial: [i32; 2],
    poles: [i32; 2],
    /// Past differences, latest first.
    differences: [i32; 6],
    zeros: [i32; 6],
    /// Logarithm of the step size.
    log_step: i32,
    step: i32,
    log_step_limit: i32,
    /// Octaves between the logarithm's scale and the step's.
    octaves: i32,
}

impl Band {
    fn new(step: i32, log_step_limit: i32, octaves: i32) -> Band {
        Band {
            predicted: 0,
            predicted_by_zeros: 0,
            reconstructed: [0; 2],
            partial: [0; 2],
            poles: [0; 2],
            differences: [0; 6],
            zeros: [0; 6],
            log_step: 0,
            step,
            log_step_limit,
            octaves,
        }
    }

    fn low() -> Band {
        Band::new(32, 18_432, 8)
    }

    fn high() -> Band {
        Band::new(8, 22_528, 10)
    }

    /// Takes in one quantised value: adapts the step by `adaption`, then the predictor by the difference that the value meant
    /// at the old step.
    fn take(&mut self, value: i32, adaption: i32) {
        let difference = (self.step * value) >> 15;
        self.log_step = (((self.log_step * 127) >> 7) + adaption).clamp(0, self.log_step_limit);
        let mantissa = STEP_OCTAVE[((self.log_step >> 6) & 31) as usize];
        let shift = self.octaves - (self.log_step >> 11);
        let step = if shift < 0 { mantissa << -shift } else { mantissa >> shift };
        self.step = step << 2;
        self.adapt(difference);
    }

    fn adapt(&mut self, difference: i32) {
        let reconstructed = saturate(self.predicted + difference);
        let partial = saturate(self.predicted_by_zeros + difference);
        let same_sign = |past: i32| (partial < 0) == (past < 0);

        // Two poles, kept inside the region where the filter is stable.
        let pull = saturate(self.poles[0] << 2);
        let pull = if same_sign(self.partial[0]) { (-pull).min(32_767) } else { pull };
        let push = if same_sign(self.partial[1]) { 128 } else { -128 };
        let second = (push + (pull >> 7) + ((self.poles[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        let push = if same_sign(self.partial[0]) { 192 } else { -192 };
        let limit = saturate(15_360 - second);
        let first = saturate(push + ((self.poles[0] * 32_640) >> 15)).clamp(-limit, limit);
        self.poles = [first, second];

        // Six zeros.
        let push = if difference == 0 { 0 } else { 128 };
        for (zero, past) in self.zeros.iter_mut().zip(self.differences) {
            let push = if (past < 0) == (difference < 0) { push } else { -push };
            *zero = saturate(push + ((*zero * 32_640) >> 15));
        }

        self.differences.rotate_right(1);
        self.differences[0] = difference;
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, self.partial[0]];

        let weigh = |weight: i32, past: i32| (weight * saturate(past + past)) >> 15;
        let by_poles = saturate(weigh(first, self.reconstructed[0]) + weigh(second, self.reconstructed[1]));
        let by_zeros: i32 = self.zeros.iter().zip(self.differences).map(|(zero, past)| weigh(*zero, past)).sum();
        self.predicted_by_zeros = saturate(by_zeros);
        self.predicted = saturate(by_poles + self.predicted_by_zeros);
    }
}

/// A running encoder. One for each stream of samples.
#[derive(Debug, Clone)]
pub struct Encoder {
    low: Band,
    high: Band,
    history: [i32; 24],
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { low: Band::low(), high: Band::high(), history: [0; 24] }
    }
}

impl Encoder {
    /// Appends one byte for each pair of samples. A last single sample is encoded with silence as its partner.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        out.reserve(samples.len().div_ceil(2));
        for pair in samples.chunks(2) {
            out.push(self.encode_pair(pair[0], pair.get(1).copied().unwrap_or(0)));
        }
    }

    fn encode_pair(&mut self, first: i16, second: i16) -> u8 {
        self.history.copy_within(2.., 0);
        self.history[22] = i32::from(first);
        self.history[23] = i32::from(second);
        let (mut odd, mut even) = (0, 0);
        for (tap, pair) in self.history.chunks_exact(2).enumerate() {
            odd += pair[0] * SPLIT[tap];
            even += pair[1] * SPLIT[11 - tap];
        }
        let low = self.encode_low((even + odd) >> 14);
        let high = self.encode_high((even - odd) >> 14);
        (high << 6) | low
    }

    fn encode_low(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.low.predicted);
        let magnitude = if error < 0 { !error } else { error };
        let level =
            LOW_DECISIONS.iter().take_while(|decision| magnitude >= (**decision * self.low.step) >> 12).count() as u8;
        let code = match (error < 0, level) {
            // The two innermost negative levels lie outside the run of the others.
            (true, 0) => 63,
            (true, 1) => 62,
            (true, level) => 33 - level,
            (false, level) => 61 - level,
        };
        let coarse = usize::from(code >> 2);
        self.low.take(LOW_VALUES_4[coarse], LOW_ADAPTION[coarse]);
        code
    }

    fn encode_high(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.high.predicted);
        let magnitude = if error < 0 { !error } else { error };
        let outer = magnitude >= (HIGH_DECISION * self.high.step) >> 12;
        let code = match (error < 0, outer) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        self.high.take(HIGH_VALUES[usize::from(code)], HIGH_ADAPTION[usize::from(code)]);
        code
    }
}

/// A running decoder.
#[derive(Debug, Clone)]
pub struct Decoder {
    low: Band,
    high: Band,
    history: [i32; 24],
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { low: Band::low(), high: Band::high(), history: [0; 24] }
    }
}

impl Decoder {
    /// Appends two samples for each byte.
    pub fn decode(&mut self, bytes: &[u8], out: &mut Vec<i16>) {
        out.reserve(bytes.len() * 2);
        for byte in bytes {
            out.extend(self.decode_byte(*byte));
        }
    }

    fn decode_byte(&mut self, byte: u8) -> [i16; 2] {
        let fine = usize::from(byte & 0x3F);
        let coarse = fine >> 2;
        let low = self.low.predicted + ((self.low.step * LOW_VALUES_6[fine]) >> 15);
        let low = low.clamp(-16_384, 16_383);
        self.low.take(LOW_VALUES_4[coarse], LOW_ADAPTION[coarse]);

        let code = usize::from(byte >> 6);
        let high = self.high.predicted + ((self.high.step * HIGH_VALUES[code]) >> 15);
        let high = high.clamp(-16_384, 16_383);
        self.high.take(HIGH_VALUES[code], HIGH_ADAPTION[code]);

        self.history.copy_within(2.., 0);
        self.history[22] = low + high;
        self.history[23] = low - high;
        let (mut first, mut second) = (0, 0);
        for (tap, pair) in self.history.chunks_exact(2).enumerate() {
            second += pair[0] * SPLIT[tap];
            first += pair[1] * SPLIT[11 - tap];
        }
        [saturate(first >> 11) as i16, saturate(second >> 11) as i16]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::{Level, goertzel};

    fn sine(frequency: f64, amplitude: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| (amplitude * 32_767.0 * (std::f64::consts::TAU * frequency * n as f64 / 16_000.0).sin()) as i16)
            .collect()
    }

    fn through(samples: &[i16]) -> Vec<i16> {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        Encoder::default().encode(samples, &mut bytes);
        assert_eq!(bytes.len(), samples.len().div_ceil(2));
        Decoder::default().decode(&bytes, &mut out);
        out
    }

    #[test]
    fn a_tone_comes_back_at_its_level_and_almost_alone() {
        for (frequency, least_db) in [(300.0, 35.0), (1_000.0, 35.0), (3_000.0, 25.0), (5_000.0, 12.0), (6_500.0, 12.0)]
        {
            let out = through(&sine(frequency, 0.5, 16_000));
            let steady = &out[4_000..12_000];
            let tone = goertzel(steady, 16_000, frequency);
            let total = Level::of(steady);
            assert!((tone + 6.0).abs() < 1.0, "{frequency} Hz at -6 dBFS came back at {tone:.1}");
            // What is not the tone: total power less the tone's.
            let power = |db: f64| 10f64.powf(db / 10.0);
            let rest = power(total.rms_dbfs()) - power(tone) / 2.0;
            let ratio = 10.0 * (power(tone) / 2.0 / rest.max(1e-12)).log10();
            assert!(ratio > least_db, "{frequency} Hz: {ratio:.1} dB over the rest, expected {least_db}");
        }
    }

    #[test]
    fn silence_stays_silent_and_full_scale_does_not_wrap() {
        let out = through(&vec![0; 3_200]);
        assert!(Level::of(&out).peak_dbfs() < -66.0, "silence came back at {:.1} dBFS", Level::of(&out).peak_dbfs());
        let out = through(&sine(400.0, 1.0, 16_000));
        let tone = goertzel(&out[4_000..12_000], 16_000, 400.0);
        assert!(tone > -1.0, "a full-scale tone came back at {tone:.1} dBFS");
    }

    #[test]
    fn a_decoder_that_joins_late_falls_into_step() {
        let mut bytes = Vec::new();
        Encoder::default().encode(&sine(1_000.0, 0.5, 32_000), &mut bytes);
        let mut out = Vec::new();
        Decoder::default().decode(&bytes[5_000..], &mut out);
        let tone = goertzel(&out[8_000..16_000], 16_000, 1_000.0);
        assert!((tone + 6.0).abs() < 1.0, "joined late, heard at {tone:.1} dBFS");
    }

    #[test]
    fn step_sizes_are_one_octave_in_32_equal_ratios() {
        for (part, step) in STEP_OCTAVE.iter().enumerate() {
            let exact = 2048.0 * 2f64.powf(part as f64 / 32.0);
            assert!((exact - f64::from(*step)).abs() <= 1.0, "part {part}: {step}, exactly {exact:.1}");
        }
    }

    #[test]
    fn any_bytes_decode_without_overflow() {
        let seed = 0x5eed_0722_u64;
        println!("seed {seed:#x}");
        let mut state = seed;
        let bytes: Vec<u8> = (0..100_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        let mut out = Vec::new();
        Decoder::default().decode(&bytes, &mut out);
        assert_eq!(out.len(), 200_000);
    }

    #[test]
    fn ffmpeg_decodes_what_is_encoded() {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let mut bytes = Vec::new();
        Encoder::default().encode(&sine(1_000.0, 0.5, 16_000), &mut bytes);
        let child = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "g722", "-i", "pipe:0", "-f", "s16le", "-ar", "16000", "pipe:1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => return println!("skipped: ffmpeg does not run here ({error})"),
        };
        let mut stdin = child.stdin.take().expect("stdin was asked for");
        let writer = std::thread::spawn(move || stdin.write_all(&bytes));
        let output = child.wait_with_output().expect("ffmpeg can be waited for");
        writer.join().expect("the writer does not panic").expect("ffmpeg reads its input");
        assert!(output.status.success());
        let out: Vec<i16> = output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let tone = goertzel(&out[4_000..12_000], 16_000, 1_000.0);
        assert!((tone + 6.0).abs() < 1.0, "ffmpeg heard {tone:.1} dBFS");
    }
}
