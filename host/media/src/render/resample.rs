//! From one sample rate to another, through a windowed-sinc low-pass below the lower of the two.

use std::f64::consts::PI;

/// Zero crossings of the sinc on each side of its middle, at the lower rate. With the window below this gives a stop band of
/// 80 dB that begins at half the lower rate.
const CROSSINGS: f64 = 32.0;
/// Shape of the Kaiser window: 80 dB.
const BETA: f64 = 7.857;
/// Half of the transition band, as a part of the lower rate.
const TRANSITION: f64 = 0.040;
/// More fractional positions than this are rounded to the nearest: the error stays below the stop band.
const MAX_PHASES: u64 = 4_096;

/// These samples at another rate. The length is rounded up; the ends fade into silence as if silence surrounded them.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to || samples.is_empty() {
        return samples.to_vec();
    }
    let divisor = gcd(from, to);
    let (step, exact_phases) = (u64::from(from / divisor), u64::from(to / divisor));
    let phases = exact_phases.min(MAX_PHASES);
    let filter = Filter::new(from, to, phases);
    let length = (samples.len() as u64 * exact_phases).div_ceil(step);
    (0..length)
        .map(|n| {
            // The output sample lies at n * from / to input samples.
            let position = n * step;
            let (whole, part) = (position / exact_phases, position % exact_phases);
            let (whole, phase) = match (part * phases + exact_phases / 2) / exact_phases {
                phase if phase == phases => (whole + 1, 0),
                phase => (whole, phase),
            };
            filter.at(samples, whole as i64, phase as usize)
        })
        .collect()
}

struct Filter {
    /// Taps on each side of the middle.
    half: usize,
    /// For each fractional position, the weights of the samples from `half - 1` before it to `half` after it.
    weights: Vec<Vec<f32>>,
}

impl Filter {
    fn new(from: u32, to: u32, phases: u64) -> Filter {
        // Input samples for each sample at the lower rate.
        let stretch = (f64::from(from) / f64::from(to)).max(1.0);
        let reach = CROSSINGS * stretch;
        let half = reach.ceil() as usize;
        let cutoff = (1.0 - 2.0 * TRANSITION) / stretch;
        let weights = (0..phases)
            .map(|phase| {
                let fraction = phase as f64 / phases as f64;
                let raw: Vec<f64> = (0..2 * half)
                    .map(|tap| {
                        let distance = tap as f64 - (half as f64 - 1.0) - fraction;
                        sinc(distance * cutoff) * kaiser(distance / reach)
                    })
                    .collect();
                // Every position passes a constant unchanged.
                let sum: f64 = raw.iter().sum();
                raw.iter().map(|weight| (weight / sum) as f32).collect()
            })
            .collect();
        Filter { half, weights }
    }

    fn at(&self, samples: &[f32], whole: i64, phase: usize) -> f32 {
        let first = whole - self.half as i64 + 1;
        let skip = usize::try_from(-first).unwrap_or(0);
        let begin = usize::try_from(first).unwrap_or(0);
        let weights = self.weights[phase].get(skip..).unwrap_or(&[]);
        samples.get(begin..).unwrap_or(&[]).iter().zip(weights).map(|(sample, weight)| sample * weight).sum()
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

fn kaiser(x: f64) -> f64 {
    if x.abs() >= 1.0 { 0.0 } else { bessel(BETA * (1.0 - x * x).sqrt()) / bessel(BETA) }
}

/// The modified Bessel function of order zero, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..60 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
        if term < sum * 1e-12 {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::{Level, goertzel};

    fn sine(rate: u32, frequency: f64) -> Vec<f32> {
        (0..rate).map(|n| (0.5 * (2.0 * PI * frequency * f64::from(n) / f64::from(rate)).sin()) as f32).collect()
    }

    fn as_pcm(samples: &[f32]) -> Vec<i16> {
        samples.iter().map(|sample| (sample * 32_767.0).round() as i16).collect()
    }

    #[test]
    fn a_tone_keeps_its_level_and_length_from_every_rate() {
        for from in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 12_347] {
            for (to, frequency) in [(8_000, 1_000.0), (8_000, 3_200.0), (16_000, 3_000.0)] {
                let out = as_pcm(&resample(&sine(from, frequency), from, to));
                assert_eq!(out.len(), to as usize);
                let middle = &out[to as usize / 4..to as usize * 3 / 4];
                let tone = goertzel(middle, to, frequency);
                assert!((tone + 6.02).abs() < 0.2, "{from} to {to}: {frequency} Hz came out at {tone:.2} dBFS");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_gone_and_not_folded_down() {
        for from in [16_000, 22_050, 44_100, 48_000] {
            for frequency in [4_050.0, 5_000.0, 7_000.0] {
                let out = as_pcm(&resample(&sine(from, frequency), from, 8_000));
                let rest = Level::of(&out[2_000..6_000]).rms_dbfs();
                assert!(rest < -70.0, "{frequency} Hz at {from} left {rest:.1} dBFS at 8000");
            }
        }
        let out = as_pcm(&resample(&sine(8_000, 3_000.0), 8_000, 16_000));
        let image = goertzel(&out[4_000..12_000], 16_000, 5_000.0);
        assert!(image < -70.0, "the image of 3000 Hz at 5000 Hz is {image:.1} dBFS");
    }

    #[test]
    fn a_constant_stays_and_short_inputs_do_not_panic() {
        let out = resample(&vec![0.25; 44_100], 44_100, 8_000);
        assert!(out[1_000..7_000].iter().all(|sample| (sample - 0.25).abs() < 1e-4));
        assert_eq!(resample(&[], 44_100, 8_000), []);
        assert_eq!(resample(&[0.5], 44_100, 8_000).len(), 1);
    }
}
