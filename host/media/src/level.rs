//! How loud samples are, and how much of one frequency is in them.

/// The level given for digital silence, so that levels stay finite.
pub const SILENCE_DBFS: f64 = -120.0;

/// A running level meter.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    samples: u64,
    squares: f64,
    peak: u16,
}

impl Level {
    /// The level of these samples.
    pub fn of(samples: &[i16]) -> Level {
        let mut level = Level::default();
        level.add(samples);
        level
    }

    /// Takes more samples into account.
    pub fn add(&mut self, samples: &[i16]) {
        for sample in samples {
            self.squares += f64::from(*sample) * f64::from(*sample);
            self.peak = self.peak.max(sample.unsigned_abs());
        }
        self.samples += samples.len() as u64;
    }

    /// Root mean square in dBFS: a square wave at full scale is 0, a sine -3.
    pub fn rms_dbfs(&self) -> f64 {
        if self.samples == 0 {
            return SILENCE_DBFS;
        }
        dbfs((self.squares / self.samples as f64).sqrt())
    }

    /// The loudest sample in dBFS.
    pub fn peak_dbfs(&self) -> f64 {
        dbfs(f64::from(self.peak))
    }
}

/// The amplitude of one frequency in these samples, in dBFS: a sine at full scale is 0.
///
/// The samples should hold a whole number of its periods, or many of them.
pub fn goertzel(samples: &[i16], rate: u32, frequency: f64) -> f64 {
    let omega = std::f64::consts::TAU * frequency / f64::from(rate);
    let coefficient = 2.0 * omega.cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        let next = f64::from(*sample) + coefficient * last - before;
        before = last;
        last = next;
    }
    let power = last * last + before * before - coefficient * last * before;
    dbfs(2.0 * power.max(0.0).sqrt() / samples.len().max(1) as f64)
}

fn dbfs(amplitude: f64) -> f64 {
    if amplitude <= 0.0 { SILENCE_DBFS } else { (20.0 * (amplitude / 32_768.0).log10()).max(SILENCE_DBFS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(frequency: f64, amplitude: f64) -> Vec<i16> {
        (0..8_000)
            .map(|n| (amplitude * 32_767.0 * (std::f64::consts::TAU * frequency * f64::from(n) / 8_000.0).sin()) as i16)
            .collect()
    }

    #[test]
    fn a_sine_of_half_scale_reads_minus_six_peak_and_minus_nine_rms() {
        let level = Level::of(&sine(1_000.0, 0.5));
        assert!((level.peak_dbfs() + 6.02).abs() < 0.1, "peak {}", level.peak_dbfs());
        assert!((level.rms_dbfs() + 9.03).abs() < 0.1, "rms {}", level.rms_dbfs());
    }

    #[test]
    fn silence_and_nothing_read_the_floor() {
        assert_eq!(Level::of(&[0; 100]).rms_dbfs(), SILENCE_DBFS);
        assert_eq!(Level::of(&[]).peak_dbfs(), SILENCE_DBFS);
        assert_eq!(goertzel(&[], 8_000, 1_000.0), SILENCE_DBFS);
    }

    #[test]
    fn one_frequency_is_told_from_another() {
        let samples = sine(1_000.0, 0.5);
        assert!((goertzel(&samples, 8_000, 1_000.0) + 6.02).abs() < 0.1);
        assert!(goertzel(&samples, 8_000, 1_500.0) < -60.0);
    }
}
