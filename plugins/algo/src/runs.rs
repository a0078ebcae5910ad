//! Announcements that have begun here, so that the same one asked for twice acts once and answers the same.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use onealert_plugin_api::document::DeliveredState;
use tokio::sync::OnceCell;

/// How long an ended announcement is remembered. A repeated call comes within seconds.
const REMEMBER: Duration = Duration::from_secs(600);
/// How long one is remembered whose end nobody told.
const FORGET: Duration = Duration::from_secs(48 * 3600);
/// Below this many nobody needs to look for old ones.
const FEW: usize = 64;

/// What became of one endpoint; filled once.
pub(crate) type Slot = Arc<OnceCell<DeliveredState>>;

/// One announcement.
pub(crate) struct Run {
    born: Instant,
    attempt: u32,
    slots: Mutex<HashMap<String, Slot>>,
    ended: Mutex<HashSet<String>>,
}

impl Run {
    fn new(attempt: u32) -> Run {
        Run { born: Instant::now(), attempt, slots: Mutex::default(), ended: Mutex::default() }
    }

    /// The endpoint's slot.
    pub(crate) fn slot(&self, endpoint: &str) -> Slot {
        lock(&self.slots).entry(endpoint.to_owned()).or_default().clone()
    }

    /// Whether the end of this endpoint's part has been told.
    pub(crate) fn is_over(&self, endpoint: &str) -> bool {
        lock(&self.ended).contains(endpoint)
    }

    fn is_forgettable(&self) -> bool {
        let ended = lock(&self.ended);
        let all = lock(&self.slots).keys().all(|endpoint| ended.contains(endpoint));
        self.born.elapsed() > if all { REMEMBER } else { FORGET }
    }
}

/// All of them.
#[derive(Default)]
pub(crate) struct Runs(Mutex<HashMap<String, Arc<Run>>>);

impl Runs {
    /// The announcement begins, or is asked for again. A later owner's attempt begins anew at endpoints where it failed or was
    /// over; those that have it keep it.
    pub(crate) fn enter(&self, activation: &str, attempt: u32) -> Arc<Run> {
        let mut runs = lock(&self.0);
        prune(&mut runs);
        let run = Run::new(attempt);
        if let Some(earlier) = runs.get(activation) {
            if attempt <= earlier.attempt {
                return earlier.clone();
            }
            let reached = |endpoint: &str, slot: &Slot| {
                !earlier.is_over(endpoint) && !matches!(slot.get(), Some(DeliveredState::Failed { .. }))
            };
            *lock(&run.slots) = lock(&earlier.slots)
                .iter()
                .filter(|(endpoint, slot)| reached(endpoint, slot))
                .map(|(endpoint, slot)| (endpoint.clone(), slot.clone()))
                .collect();
        }
        let run = Arc::new(run);
        runs.insert(activation.to_owned(), run.clone());
        run
    }

    /// The announcement is over for this endpoint; also where nobody here has heard of it. Says whether that is news.
    pub(crate) fn end(&self, activation: &str, endpoint: &str) -> bool {
        let run = {
            let mut runs = lock(&self.0);
            prune(&mut runs);
            runs.entry(activation.to_owned()).or_insert_with(|| Arc::new(Run::new(0))).clone()
        };
        lock(&run.ended).insert(endpoint.to_owned())
    }

    /// The announcement, if it has begun here.
    pub(crate) fn get(&self, activation: &str) -> Option<Arc<Run>> {
        lock(&self.0).get(activation).cloned()
    }
}

fn prune(runs: &mut HashMap<String, Arc<Run>>) {
    if runs.len() >= FEW {
        runs.retain(|_, run| !run.is_forgettable());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acked() -> DeliveredState {
        DeliveredState::Acked { note: String::new() }
    }

    fn failed() -> DeliveredState {
        DeliveredState::Failed { reason: String::new() }
    }

    #[test]
    fn the_same_attempt_finds_the_same_answers() {
        let runs = Runs::default();
        runs.enter("a", 0).slot("x").set(failed()).unwrap();
        assert_eq!(runs.enter("a", 0).slot("x").get(), Some(&failed()));
    }

    #[test]
    fn a_later_attempt_asks_those_again_that_failed() {
        let runs = Runs::default();
        let first = runs.enter("a", 0);
        first.slot("x").set(failed()).unwrap();
        first.slot("y").set(acked()).unwrap();
        let second = runs.enter("a", 1);
        assert_eq!(second.slot("x").get(), None);
        assert_eq!(second.slot("y").get(), Some(&acked()));
    }

    #[test]
    fn what_is_over_stays_over_for_late_calls_and_begins_anew_for_a_later_owner() {
        let runs = Runs::default();
        runs.enter("a", 0).slot("x").set(acked()).unwrap();
        assert!(runs.end("a", "x"));
        assert!(!runs.end("a", "x"), "told twice");
        assert!(runs.enter("a", 0).is_over("x"));
        assert!(!runs.enter("a", 0).is_over("y"), "a part may end alone");
        let later = runs.enter("a", 1);
        assert!(!later.is_over("x"));
        assert_eq!(later.slot("x").get(), None);
    }

    #[test]
    fn an_end_that_overtakes_its_beginning_wins() {
        let runs = Runs::default();
        runs.end("a", "x");
        assert!(runs.enter("a", 0).is_over("x"));
    }
}
