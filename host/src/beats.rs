//! The heartbeats of the last while, as pages draw them: which came in time, which late, which not at all.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use onealert_core::{
    ids::ServerId,
    time::{Mono, Span},
};
use onealert_web::needs::Beat;

/// How many are shown.
pub const SHOWN: usize = 60;

/// The heartbeats of every server, this one included: its own are the turns of its loop.
pub struct Beats {
    interval: Span,
    rows: Mutex<BTreeMap<ServerId, Row>>,
}

impl Beats {
    /// No heartbeats yet; they are expected at this interval.
    pub fn new(interval: Span) -> Beats {
        Beats { interval, rows: Mutex::default() }
    }

    /// A heartbeat of this server came.
    pub fn heard(&self, server: ServerId, now: Mono, paused: bool) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.entry(server).or_default().heard(self.interval, now, paused);
    }

    /// The last heartbeats of this server at this moment, oldest first, [`SHOWN`] at most; empty before the first.
    pub fn of(&self, server: ServerId, now: Mono) -> Vec<Beat> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get(&server).map(|row| row.at(self.interval, now)).unwrap_or_default()
    }

    /// Forgets servers that are no longer there.
    pub fn retain(&self, keep: impl Fn(ServerId) -> bool) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| keep(*id));
    }
}

#[derive(Default)]
struct Row {
    beats: VecDeque<Beat>,
    last: Option<Mono>,
    paused: bool,
}

impl Row {
    fn heard(&mut self, interval: Span, now: Mono, paused: bool) {
        let gap = self.last.map_or(interval, |last| now - last);
        // A heartbeat that is sent at once because something changed stands for no interval of its own.
        if self.last.is_some() && gap.0 < interval.0 / 2 && paused == self.paused {
            return;
        }
        let (missed, late) = silence(interval, gap);
        self.beats.extend(std::iter::repeat_n(Beat::Missed, missed));
        self.beats.push_back(match (paused, late) {
            (true, _) => Beat::Paused,
            (false, true) => Beat::Late,
            (false, false) => Beat::Ok,
        });
        let surplus = self.beats.len().saturating_sub(SHOWN);
        self.beats.drain(..surplus);
        (self.last, self.paused) = (Some(now), paused);
    }

    fn at(&self, interval: Span, now: Mono) -> Vec<Beat> {
        let silent = self.last.map_or(0, |last| silence(interval, now - last).0);
        let shown = self.beats.iter().copied().chain(std::iter::repeat_n(Beat::Missed, silent));
        let surplus = (self.beats.len() + silent).saturating_sub(SHOWN);
        shown.skip(surplus).collect()
    }
}

/// What a gap of this length means: how many heartbeats were missed in it, and whether the one that ended it was late.
/// Between one interval and two a heartbeat is in time: networks and schedulers take as much.
fn silence(interval: Span, gap: Span) -> (usize, bool) {
    let whole = gap.0 / interval.0.max(1);
    let missed = whole.saturating_sub(2).min(SHOWN as u64) as usize;
    (missed, gap.0 > 2 * interval.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerId = ServerId(1);
    const STEP: u64 = 250;

    fn at(ms: u64) -> Mono {
        Mono(ms * 1000)
    }

    fn beats() -> Beats {
        Beats::new(Span::millis(STEP))
    }

    #[test]
    fn nobody_heard_has_no_heartbeats_and_sixty_are_kept() {
        let beats = beats();
        assert!(beats.of(A, at(5)).is_empty());
        for n in 0..200 {
            // A little early, a little late: in time.
            beats.heard(A, at(1000 + n * STEP + n % 2 * 60), false);
        }
        assert_eq!(beats.of(A, at(1000 + 200 * STEP)), vec![Beat::Ok; SHOWN]);
    }

    #[test]
    fn a_gap_shows_while_it_lasts_and_after_it() {
        let beats = beats();
        beats.heard(A, at(0), false);
        beats.heard(A, at(STEP), false);
        let silent = beats.of(A, at(STEP + 5 * STEP));
        assert_eq!(silent, [Beat::Ok, Beat::Ok, Beat::Missed, Beat::Missed, Beat::Missed]);
        beats.heard(A, at(STEP + 5 * STEP), false);
        let back = beats.of(A, at(STEP + 5 * STEP));
        assert_eq!(back, [Beat::Ok, Beat::Ok, Beat::Missed, Beat::Missed, Beat::Missed, Beat::Late]);
    }

    #[test]
    fn an_hour_of_silence_is_sixty_missed_heartbeats_and_no_more() {
        let beats = beats();
        beats.heard(A, at(0), false);
        assert_eq!(beats.of(A, at(3_600_000)), vec![Beat::Missed; SHOWN]);
        beats.heard(A, at(3_600_000), false);
        let back = beats.of(A, at(3_600_000));
        assert_eq!((back.len(), back[SHOWN - 1]), (SHOWN, Beat::Late));
    }

    #[test]
    fn an_extra_heartbeat_is_not_counted_and_a_drain_is_drawn() {
        let beats = beats();
        beats.heard(A, at(0), false);
        beats.heard(A, at(10), false);
        beats.heard(A, at(20), true);
        beats.heard(A, at(20 + STEP), true);
        assert_eq!(beats.of(A, at(20 + STEP)), [Beat::Ok, Beat::Paused, Beat::Paused]);
    }
}
