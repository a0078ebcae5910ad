//! What is counted of a stream.

use super::StreamEvent;
use super::timeline::Timeline;

/// Width of a bar of the lateness histogram, in nanoseconds.
const BAR: u64 = 10_000;
/// Bars: 60 ms, and one for everything beyond.
const BARS: usize = 6_001;

/// Counts of one stream.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) packets: u64,
    pub(super) skipped: u64,
    lateness: Vec<u32>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { packets: 0, skipped: 0, lateness: vec![0; BARS] }
    }
}

impl Tally {
    /// A batch's last packet left this long after its deadline.
    pub(super) fn late(&mut self, nanoseconds: u64) {
        self.lateness[((nanoseconds / BAR) as usize).min(BARS - 1)] += 1;
    }

    /// The upper edge of the bar in which 99 of 100 batches lie, in microseconds.
    fn late_p99_us(&self) -> u64 {
        let total: u64 = self.lateness.iter().map(|count| u64::from(*count)).sum();
        let mut seen = 0;
        let bar = self.lateness.iter().position(|count| {
            seen += u64::from(*count);
            total > 0 && seen * 100 >= total * 99
        });
        bar.map_or(0, |bar| (bar as u64 + 1) * BAR / 1_000)
    }

    pub(super) fn finished(&self, id: u128, timeline: &Timeline) -> StreamEvent {
        StreamEvent::Finished {
            id,
            packets: self.packets,
            skipped: self.skipped,
            late_p99_us: self.late_p99_us(),
            stopped: timeline.stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_leaves_out_the_worst_hundredth() {
        let mut tally = Tally::default();
        assert_eq!(tally.late_p99_us(), 0);
        (0..99).for_each(|_| tally.late(105_000));
        tally.late(u64::MAX);
        assert_eq!(tally.late_p99_us(), 110);
        tally.late(u64::MAX);
        assert_eq!(tally.late_p99_us(), 60_010);
    }
}
