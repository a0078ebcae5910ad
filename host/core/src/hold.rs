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
    /// An operator has let it return since.
    released: bool,
}

/// What a held server lacks besides time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fitness {
    /// Its configuration is as far as the judge's.
    pub(crate) in_sync: bool,
    /// Its clock is within limits.
    pub(crate) on_time: bool,
    /// A returning server waits for an operator's word.
    pub(crate) manual: bool,
}

impl HoldDown {
    /// The peer came back. Held from here on, for twice as long as the last time if that was within the memory. `manual`: an
    /// operator has to let it return, also where there is no time to wait.
    pub(crate) fn begin(&mut self, now: Mono, tuning: &Tuning, manual: bool) {
        let again = self.returned.is_some_and(|last| now - last <= tuning.hold_down_memory());
        self.length = if again {
            self.length.times(2).clamp(tuning.hold_down(), tuning.hold_down_most())
        } else {
            tuning.hold_down()
        };
        self.returned = Some(now);
        self.released = false;
        self.until = (self.length > Span(0) || manual).then(|| now + self.length);
    }

    /// An operator let it return at that moment: a hold-down that began before has no more time to wait.
    pub(crate) fn release(&mut self, at: Mono) {
        if self.until.is_some() && self.returned.is_some_and(|returned| returned <= at) {
            self.released = true;
            self.until = self.until.min(Some(at));
        }
    }

    /// Whether an operator has to let it return.
    pub(crate) fn waits_for_operator(&self, manual: bool) -> bool {
        self.until.is_some() && manual && !self.released
    }

    /// Contact was lost: the time starts again at the next return.
    pub(crate) fn broken(&mut self) {
        self.until = None;
    }

    /// Ends the hold-down when its time is over and the peer is fit; says whether it ended.
    pub(crate) fn end_if(&mut self, now: Mono, fitness: Fitness) -> bool {
        let fit = fitness.in_sync && fitness.on_time && !self.waits_for_operator(fitness.manual);
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

    /// How long ago the peer came back, while it is held.
    pub(crate) fn since(&self, now: Mono) -> Option<Span> {
        self.until.and(self.returned).map(|returned| now - returned)
    }

    /// When its time is over.
    pub(crate) fn until(&self) -> Option<Mono> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: Fitness = Fitness { in_sync: true, on_time: true, manual: false };

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000)
    }

    #[test]
    fn each_return_within_ten_minutes_doubles_the_wait_up_to_five_minutes() {
        let (tuning, mut hold) = (Tuning::default(), HoldDown::default());
        let mut waits = Vec::new();
        for turn in 0..6 {
            hold.begin(at(turn * 400), &tuning, false);
            waits.push(hold.remaining(at(turn * 400)).map(Span::as_millis));
            hold.broken();
        }
        assert_eq!(waits, [30_000, 60_000, 120_000, 240_000, 300_000, 300_000].map(Some));
        hold.begin(at(5 * 400 + 601), &tuning, false);
        assert_eq!(hold.until(), Some(at(5 * 400 + 601 + 30)));
    }

    #[test]
    fn it_ends_when_its_time_is_over_and_the_server_is_fit() {
        let (tuning, mut hold) = (Tuning::default(), HoldDown::default());
        hold.begin(at(0), &tuning, false);
        assert!(!hold.end_if(at(29), FIT));
        assert!(!hold.end_if(at(31), Fitness { in_sync: false, ..FIT }));
        assert!(!hold.end_if(at(31), Fitness { on_time: false, ..FIT }));
        assert_eq!(hold.remaining(at(31)), Some(Span(0)));
        assert!(hold.end_if(at(31), FIT));
        assert_eq!(hold.remaining(at(31)), None);
    }

    #[test]
    fn an_operators_word_ends_the_waiting_but_not_for_a_later_return() {
        let (tuning, mut hold, manual) = (Tuning::default(), HoldDown::default(), Fitness { manual: true, ..FIT });
        hold.begin(at(0), &tuning, true);
        assert!(!hold.end_if(at(100), manual) && hold.waits_for_operator(true));
        assert_eq!(hold.since(at(100)), Some(Span::secs(100)));
        hold.release(at(101));
        assert!(!hold.end_if(at(101), Fitness { in_sync: false, ..manual }), "it lacks records");
        assert!(hold.end_if(at(101), manual));
        hold.begin(at(200), &tuning, true);
        hold.release(at(150));
        assert!(!hold.end_if(at(400), manual), "a word from before it came back");
        hold.release(at(401));
        assert!(hold.end_if(at(401), manual));
    }

    #[test]
    fn without_a_hold_down_nobody_is_held() {
        let tuning = Tuning::default().with_hold_down(Span(0)).expect("0 switches it off");
        let mut hold = HoldDown::default();
        hold.begin(at(0), &tuning, false);
        assert_eq!(hold.remaining(at(0)), None);
        hold.begin(at(0), &tuning, true);
        assert_eq!(hold.remaining(at(0)), Some(Span(0)), "but for an operator's word");
    }
}
