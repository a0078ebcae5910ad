//! Durations that were measured, and what is said of them.

use std::time::Duration;

/// Durations of one kind.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// One more.
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// The value that `share` of all are not above, in milliseconds: the nearest rank.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(f64::NAN, |value| value.as_secs_f64() * 1000.0)
    }

    /// Half of all are not above this.
    pub fn median_ms(&self) -> f64 {
        self.quantile_ms(0.5)
    }

    /// 99 of 100 are not above this.
    pub fn p99_ms(&self) -> f64 {
        self.quantile_ms(0.99)
    }

    /// The longest.
    pub fn most_ms(&self) -> f64 {
        self.quantile_ms(1.0)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let mut samples = Samples::default();
        for ms in (1..=100).rev() {
            samples.add(Duration::from_millis(ms));
        }
        assert_eq!((samples.median_ms(), samples.p99_ms(), samples.most_ms()), (50.0, 99.0, 100.0));
    }
}
