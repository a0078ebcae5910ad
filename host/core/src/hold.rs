//! How long a returning server owns nothing (redundancy sheet, section 7, "Failback").

use crate::time::{Mono, Span};
use crate::tuning::Tuning;

/// One peer's hold-down, as this server judges it.
#[derive(Debug, Clone, Default)]
pub(crate) struct HoldDown {
    /// When its time is over; `None` while it is not held.
    until: Option<Mono>,
    /// How long the last one was.
    length: Span,
    /// When it last came back.
    returned: Option<Mono>,
}

impl HoldDown {
    /// The peer came back. Held from here on, for twice as long as the last time if that was within the memory.
    pub(crate) fn begin(&mut self, now: Mono, tuning: &Tuning) {
        let again = self.returned.is_some_and(|last| now - last <= tuning.hold_down_memory());
        self.length = if again {
            self.length.times(2).clamp(tuning.hold_down(), tuning.hold_down_most())
        } else {
            tuning.hold_down()
        };
        self.returned = Some(now);
        self.until = (self.length > Span(0)).then(|| now + self.length);
    }

    /// Contact was lost: the time starts again at the next return.
    pub(crate) fn broken(&mut self) {
        self.until = None;
    }

    /// Ends the hold-down when its time is over and the peer is fit; says whether it ended.
    pub(crate) fn end_if(&mut self, now: Mono, fit: bool) -> bool {
        let over = fit && self.until.is_some_and(|until| until <= now);
        if over {
            self.until = None;
        }
        over
    }

    /// What remains of it, nothing while the peer is not held. 0: the time is over, but the peer is not fit.
    pub(crate) fn remaining(&self, now: Mono) -> Option<Span> {
        self.until.map(|until| until - now)
    }

    /// When its time is over.
    pub(crate) fn until(&self) -> Option<Mono> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000)
    }

    #[test]
    fn each_return_within_ten_minutes_doubles_the_wait_up_to_five_minutes() {
        let (tuning, mut hold) = (Tuning::default(), HoldDown::default());
        let mut waits = Vec::new();
        for turn in 0..6 {
            hold.begin(at(turn * 400), &tuning);
            waits.push(hold.remaining(at(turn * 400)).map(Span::as_millis));
            hold.broken();
        }
        assert_eq!(waits, [30_000, 60_000, 120_000, 240_000, 300_000, 300_000].map(Some));
        hold.begin(at(5 * 400 + 601), &tuning);
        assert_eq!(hold.until(), Some(at(5 * 400 + 601 + 30)));
    }

    #[test]
    fn it_ends_when_its_time_is_over_and_the_server_is_fit() {
        let (tuning, mut hold) = (Tuning::default(), HoldDown::default());
        hold.begin(at(0), &tuning);
        assert!(!hold.end_if(at(29), true));
        assert!(!hold.end_if(at(31), false));
        assert_eq!(hold.remaining(at(31)), Some(Span(0)));
        assert!(hold.end_if(at(31), true));
        assert_eq!(hold.remaining(at(31)), None);
    }

    #[test]
    fn without_a_hold_down_nobody_is_held() {
        let tuning = Tuning::default().with_hold_down(Span(0)).expect("0 switches it off");
        let mut hold = HoldDown::default();
        hold.begin(at(0), &tuning);
        assert_eq!(hold.remaining(at(0)), None);
    }
}
