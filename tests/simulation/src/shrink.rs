//! From a schedule that fails to a small one that fails in the same way.

use crate::{planted::Planted, run, schedule::Schedule};

/// Leaves out happenings one by one, as long as the same invariant is broken without them.
pub fn shrink(schedule: &Schedule, planted: Option<Planted>) -> Schedule {
    let mut smallest = schedule.clone();
    let Some(wanted) = run(schedule, planted).violation.map(|violation| violation.invariant) else { return smallest };
    let fails =
        |candidate: &Schedule| run(candidate, planted).violation.is_some_and(|violation| violation.invariant == wanted);
    loop {
        let before = smallest.events.len();
        // From the end, so that what is left out does not move what was not tried yet.
        for place in (0..before).rev() {
            let mut candidate = smallest.clone();
            candidate.events.remove(place);
            if fails(&candidate) {
                smallest = candidate;
            }
        }
        if smallest.events.len() == before {
            return smallest;
        }
    }
}
