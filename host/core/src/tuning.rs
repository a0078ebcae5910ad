//! Every time that the mesh uses, derived from one figure: the heartbeat interval.

use crate::time::Span;

/// The times of the mesh. Made from the heartbeat interval and checked: budget < deadline step < suspicion < hold-down.
///
/// | | of the interval | at 250 ms (default) | at 100 ms (fast) |
/// |---|---|---|---|
/// | share | 1/5, at most 50 ms | 50 ms | 20 ms |
/// | budget | 3/5 | 150 ms | 60 ms |
/// | deadline step | 2 | 500 ms | 200 ms |
/// | suspicion | 4 | 1 s | 400 ms |
/// | hold-down | 120, at least 30 s | 30 s | 30 s |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    heartbeat: Span,
    share: Span,
    budget: Span,
    deadline_step: Span,
    suspicion: Span,
    hold_down: Span,
    forget: Span,
}

/// Times that do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTuning {
    /// The heartbeat interval is outside what the mesh can work with.
    #[error("heartbeat interval {got_ms} ms is outside {least_ms} to {most_ms} ms; choose 250 (default) or 100 (fast)")]
    Heartbeat {
        /// What was asked for.
        got_ms: u64,
        /// The shortest allowed.
        least_ms: u64,
        /// The longest allowed.
        most_ms: u64,
    },
    /// What has finished would be forgotten while others still think that it runs.
    #[error(
        "finished activations cannot be forgotten after {forget_ms} ms; choose more than the suspicion time, {suspicion_ms} ms"
    )]
    Forget {
        /// How long they were to be remembered.
        forget_ms: u64,
        /// How long silence lasts before a peer is believed down.
        suspicion_ms: u64,
    },
    /// The order budget < deadline step < suspicion < hold-down does not hold.
    #[error(
        "budget {budget_ms} ms < deadline step {deadline_step_ms} ms < suspicion {suspicion_ms} ms < hold-down \
         {hold_down_ms} ms does not hold; choose a hold-down above the suspicion time, or 0 for none"
    )]
    Order {
        /// How long a confirmation is waited for.
        budget_ms: u64,
        /// What each rank adds to the deadline of a timed event.
        deadline_step_ms: u64,
        /// How long silence lasts before a peer is believed down.
        suspicion_ms: u64,
        /// How long a returning server does not own.
        hold_down_ms: u64,
    },
}

impl Tuning {
    /// The times for a heartbeat interval.
    ///
    /// # Errors
    /// The interval is below 20 ms or above 5 s.
    pub fn from_heartbeat(heartbeat: Span) -> Result<Tuning, BadTuning> {
        let (least, most) = (Span::millis(20), Span::secs(5));
        if heartbeat < least || heartbeat > most {
            return Err(BadTuning::Heartbeat {
                got_ms: heartbeat.as_millis(),
                least_ms: least.as_millis(),
                most_ms: most.as_millis(),
            });
        }
        Tuning {
            heartbeat,
            share: Span(heartbeat.0 / 5).min(Span::millis(50)),
            budget: Span(heartbeat.0 * 3 / 5),
            deadline_step: heartbeat.times(2),
            suspicion: heartbeat.times(4),
            hold_down: heartbeat.times(120).max(Span::secs(30)),
            forget: Span::secs(24 * 3600),
        }
        .checked()
    }

    /// The same times with another hold-down; 0 switches it off, so that a returning server owns again at once.
    ///
    /// # Errors
    /// The hold-down is not above the suspicion time.
    pub fn with_hold_down(self, hold_down: Span) -> Result<Tuning, BadTuning> {
        Tuning { hold_down, ..self }.checked()
    }

    /// The same times with another memory of what has finished.
    ///
    /// # Errors
    /// It is not longer than the suspicion time: what a peer that fell silent still knows as running would begin anew.
    pub fn with_forget(self, forget: Span) -> Result<Tuning, BadTuning> {
        if self.suspicion < forget {
            return Ok(Tuning { forget, ..self });
        }
        Err(BadTuning::Forget { forget_ms: forget.as_millis(), suspicion_ms: self.suspicion.as_millis() })
    }

    /// How often a sign of life is sent.
    pub fn heartbeat(&self) -> Span {
        self.heartbeat
    }
    /// How long a change of an endpoint's state may wait before it is shared (rule 4).
    pub fn share(&self) -> Span {
        self.share
    }
    /// How long a confirmation by another server is waited for (rules 1 to 3).
    pub fn budget(&self) -> Span {
        self.budget
    }
    /// How long the group's confirmation is waited for before servers outside of it are asked for a copy too: half of the
    /// budget, so that their answer comes within it.
    pub fn half_budget(&self) -> Span {
        Span(self.budget.0 / 2)
    }
    /// What each rank adds to the deadline of a timed event (rule 7).
    pub fn deadline_step(&self) -> Span {
        self.deadline_step
    }
    /// How long silence lasts before a peer is believed down.
    pub fn suspicion(&self) -> Span {
        self.suspicion
    }
    /// How long a returning server does not own; 0: it owns at once.
    pub fn hold_down(&self) -> Span {
        self.hold_down
    }
    /// What the hold-down grows to by doubling: five minutes, or the hold-down itself where that is longer.
    pub fn hold_down_most(&self) -> Span {
        if self.hold_down == Span(0) { Span(0) } else { self.hold_down.max(Span::secs(300)) }
    }
    /// A further failure within this time doubles the hold-down.
    pub fn hold_down_memory(&self) -> Span {
        Span::secs(600)
    }
    /// How long a finished activation stays known (rule 11).
    pub fn forget(&self) -> Span {
        self.forget
    }

    fn checked(self) -> Result<Tuning, BadTuning> {
        let held = self.hold_down == Span(0) || self.suspicion < self.hold_down;
        if self.budget < self.deadline_step && self.deadline_step < self.suspicion && held {
            return Ok(self);
        }
        Err(BadTuning::Order {
            budget_ms: self.budget.as_millis(),
            deadline_step_ms: self.deadline_step.as_millis(),
            suspicion_ms: self.suspicion.as_millis(),
            hold_down_ms: self.hold_down.as_millis(),
        })
    }
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning::from_heartbeat(Span::millis(250)).expect("the default interval satisfies the order of the times")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_have_the_times_of_the_sheet() {
        let normal = Tuning::default();
        assert_eq!((normal.budget(), normal.share()), (Span::millis(150), Span::millis(50)));
        assert_eq!((normal.deadline_step(), normal.suspicion()), (Span::millis(500), Span::secs(1)));
        assert_eq!((normal.hold_down(), normal.hold_down_most()), (Span::secs(30), Span::secs(300)));
        let fast = Tuning::from_heartbeat(Span::millis(100)).expect("the fast profile is allowed");
        assert_eq!((fast.suspicion(), fast.hold_down()), (Span::millis(400), Span::secs(30)));
    }

    #[test]
    fn a_hold_down_inside_the_suspicion_time_is_refused_with_every_figure() {
        let error = Tuning::default().with_hold_down(Span::millis(900)).expect_err("900 ms is below 1 s");
        let text = error.to_string();
        for figure in ["150 ms", "500 ms", "1000 ms", "900 ms"] {
            assert!(text.contains(figure), "{figure} is missing in: {text}");
        }
        assert_eq!(Tuning::default().with_hold_down(Span(0)).map(|tuning| tuning.hold_down()), Ok(Span(0)));
    }

    #[test]
    fn an_interval_that_cannot_work_is_refused() {
        for bad in [Span(0), Span::millis(5), Span::secs(60)] {
            let error = Tuning::from_heartbeat(bad).expect_err("outside the bounds");
            assert!(error.to_string().contains(&format!("{} ms", bad.as_millis())), "{error}");
        }
    }
}
