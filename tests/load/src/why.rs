//! Why a display was told twice: what the moments of its contacts and of the fault say.

use std::{collections::BTreeMap, fmt, time::Duration};

use tokio::time::Instant;

use crate::witness::Still;

/// Progress is shared this long after it changed (rule 4 of the redundancy sheet).
const SHARED: Duration = Duration::from_millis(50);
/// What a machine that does much besides may add to any time.
const BUSY: Duration = Duration::from_secs(2);

/// What was done to a server during a load.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Its name: kill, pause, cut, slow disk, full disk.
    pub what: &'static str,
    /// When it began.
    pub from: Instant,
    /// When it was over; the same moment for what has no duration.
    pub until: Instant,
}

/// Why a display was told a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The first server told it within the time in which the result is shared, before the fault: the second did not know.
    Unshared,
    /// The same, but longer ago: answers and messages took their time.
    SharedLate,
    /// The first server told it while the fault lasted: two servers that do not hear each other each send (sheet, section 6).
    Apart,
    /// The fault does not explain it, but the machine stood still about then: somebody was late and was rightly replaced.
    Machine,
    /// Nothing explains it.
    Unexplained,
}

impl Why {
    /// Judges by when the display was told first.
    pub(crate) fn of(first: Instant, fault: Option<&Fault>, stills: &[Still]) -> Why {
        let why = fault.map_or(Why::Unexplained, |fault| Why::by_the_fault(first, fault));
        let about = |(from, until): &Still| first + BUSY >= *from && first <= *until + BUSY;
        if why == Why::Unexplained && stills.iter().any(about) { Why::Machine } else { why }
    }

    fn by_the_fault(first: Instant, fault: &Fault) -> Why {
        let before = fault.from.saturating_duration_since(first);
        if first >= fault.from {
            let over = first > fault.until + BUSY;
            return if over { Why::Unexplained } else { Why::Apart };
        }
        match before {
            before if before <= SHARED => Why::Unshared,
            before if before <= SHARED + BUSY => Why::SharedLate,
            _ => Why::Unexplained,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Unshared => "told within 50 ms before the fault, and not shared yet",
            Why::SharedLate => "told before the fault, and the result was on its way",
            Why::Apart => "told by each of two servers that did not hear each other",
            Why::Machine => "told while the machine itself stood still",
            Why::Unexplained => "not explained by anything",
        })
    }
}

/// What was told twice in a load with one fault, by why.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The fault.
    pub what: &'static str,
    /// How often a display was contacted in all.
    pub contacts: usize,
    /// How many contacts were repetitions, by why.
    pub doubled: BTreeMap<Why, usize>,
}

impl Explained {
    /// How many repetitions came for this reason.
    pub fn for_reason(&self, why: Why) -> usize {
        self.doubled.get(&why).copied().unwrap_or_default()
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explained { what, contacts, doubled } = self;
        let all: usize = doubled.values().sum();
        write!(f, "{what}: {all} of {contacts} contacts were repetitions")?;
        for (why, count) in doubled {
            write!(f, "; {count} {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_the_fault_was_not_shared_and_what_came_during_it_was_sent_by_each_side() {
        let ms = Duration::from_millis;
        let from = Instant::now() + Duration::from_secs(60);
        let fault = Fault { what: "cut", from, until: from + ms(3000) };
        for (first, why) in [
            (from - ms(20), Why::Unshared),
            (from - ms(400), Why::SharedLate),
            (from - ms(5000), Why::Unexplained),
            (from, Why::Apart),
            (from + ms(2900), Why::Apart),
            (from + ms(9000), Why::Unexplained),
        ] {
            assert_eq!(Why::of(first, Some(&fault), &[]), why);
        }
    }

    #[test]
    fn a_standstill_of_the_machine_explains_what_came_about_then_and_nothing_else() {
        let ms = Duration::from_millis;
        let from = Instant::now() + Duration::from_secs(60);
        let still = [(from, from + ms(400))];
        for (first, why) in [
            (from - ms(5000), Why::Unexplained),
            (from - ms(300), Why::Machine),
            (from + ms(1400), Why::Machine),
            (from + ms(5000), Why::Unexplained),
        ] {
            assert_eq!(Why::of(first, None, &still), why);
        }
        let fault = Fault { what: "kill", from: from + ms(10), until: from + ms(10) };
        assert_eq!(Why::of(from, Some(&fault), &still), Why::Unshared, "the fault comes first");
    }
}
