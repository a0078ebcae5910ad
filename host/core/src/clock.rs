//! How far a peer's clock is from ours, from the four timestamps of heartbeat and answer.

use std::collections::VecDeque;

use crate::{
    peer_message::Echo,
    time::{Mono, Span, Wall},
    view::ClockLevel,
};

/// How many estimates are kept; the one with the smallest round trip counts.
const KEPT: usize = 16;

/// The running estimate for one peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offset {
    estimates: VecDeque<Estimate>,
    /// The level that was last told.
    told: ClockLevel,
}

#[derive(Debug, Clone, Copy)]
struct Estimate {
    offset_us: i64,
    rtt: Span,
}

impl Offset {
    /// Takes in a heartbeat that answers one of ours: `echo` as the peer wrote it, `sent_us` when the peer sent the
    /// answer, `asked` when ours left by the monotonic clock.
    pub(crate) fn heard(&mut self, echo: &Echo, sent_us: i64, asked: Mono, now: Mono, wall: Wall) {
        let arrived_us = wall.0.saturating_mul(1000);
        let there = echo.arrived_us.saturating_sub(echo.sent_us);
        let back = sent_us.saturating_sub(arrived_us);
        // The way there and back by our monotonic clock, without the time that the peer took to answer: no jump of our wall
        // clock gets into it.
        let rested = u64::try_from(sent_us.saturating_sub(echo.arrived_us)).unwrap_or(0);
        let rtt = Span((now - asked).0.saturating_sub(rested));
        if self.estimates.len() == KEPT {
            self.estimates.pop_front();
        }
        self.estimates.push_back(Estimate { offset_us: there / 2 + back / 2, rtt });
    }

    /// Its clock minus ours, in milliseconds.
    pub(crate) fn millis(&self) -> Option<i64> {
        self.best().map(|best| best.offset_us / 1000)
    }

    /// The smallest round trip of those kept.
    pub(crate) fn rtt(&self) -> Option<Span> {
        self.best().map(|best| best.rtt)
    }

    /// How far off it is, without direction; nothing while it is not known.
    pub(crate) fn size(&self) -> Span {
        self.best().map_or(Span(0), |best| Span(best.offset_us.unsigned_abs()))
    }

    /// Whether the offset is small enough for a returning server to own again.
    pub(crate) fn within_limits(&self) -> bool {
        self.size() < Span::millis(500)
    }

    /// How bad it is.
    pub(crate) fn level(&self) -> ClockLevel {
        match self.size().as_millis() {
            0..100 => ClockLevel::Fine,
            100..500 => ClockLevel::Warn,
            500..2000 => ClockLevel::Alert,
            _ => ClockLevel::Red,
        }
    }

    /// The offset in milliseconds when it has become worse by a level since the last call.
    pub(crate) fn worse(&mut self) -> Option<(i64, ClockLevel)> {
        let level = self.level();
        let worse = level > self.told;
        self.told = level;
        self.millis().filter(|_| worse).map(|millis| (millis, level))
    }

    /// The newest of the estimates with the smallest round trip.
    fn best(&self) -> Option<&Estimate> {
        self.estimates.iter().rev().min_by_key(|estimate| estimate.rtt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One exchange: ours left at `at` ms, took `out` ms, the peer rested, the answer took `back` ms; the peer's clock is
    /// `ahead` ms ahead.
    fn exchange(offset: &mut Offset, at: i64, out: i64, rest: i64, back: i64, ahead: i64) {
        let echo = Echo { seq: 1, sent_us: at * 1000, arrived_us: (at + out + ahead) * 1000 };
        let sent_us = (at + out + rest + ahead) * 1000;
        let now = at + out + rest + back;
        offset.heard(&echo, sent_us, Mono(at as u64 * 1000), Mono(now as u64 * 1000), Wall(now));
    }

    #[test]
    fn the_exchange_with_the_smallest_round_trip_counts() {
        let mut offset = Offset::default();
        exchange(&mut offset, 1000, 2, 200, 2, 700);
        // A queue on the way back makes this one say 700 - 40.
        exchange(&mut offset, 2000, 2, 200, 82, 700);
        assert_eq!((offset.millis(), offset.rtt()), (Some(700), Some(Span::millis(4))));
        // Sixteen exchanges later the good one is forgotten.
        for turn in 0..16 {
            exchange(&mut offset, 3000 + turn * 250, 12, 100, 2, 700);
        }
        assert_eq!((offset.millis(), offset.rtt()), (Some(705), Some(Span::millis(14))));
    }

    #[test]
    fn each_level_is_told_once_on_the_way_up() {
        let mut offset = Offset::default();
        assert_eq!(offset.worse(), None);
        exchange(&mut offset, 1000, 3, 10, 3, 150);
        assert_eq!((offset.worse(), offset.worse()), (Some((150, ClockLevel::Warn)), None));
        exchange(&mut offset, 2000, 2, 10, 2, -2500);
        assert_eq!((offset.worse(), offset.worse()), (Some((-2500, ClockLevel::Red)), None));
        assert!(!offset.within_limits());
        exchange(&mut offset, 3000, 1, 10, 1, 0);
        assert_eq!(offset.worse(), None);
        assert!(offset.within_limits());
    }
}
