//! How long after acceptance each endpoint had its result, for the deliveries that this server runs.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use onealert_core::ids::ActivationId;

/// Most activations remembered: those that end elsewhere are asked for by nobody.
const MOST: usize = 1024;

/// When the endpoints of activations had their results. In memory only: a server that was killed no longer knows.
#[derive(Debug, Default)]
pub struct Times(Mutex<VecDeque<(ActivationId, BTreeMap<u32, u64>)>>);

impl Times {
    /// An endpoint that was reached: the first time counts.
    pub(super) fn reached(&self, activation: ActivationId, index: u32, after_ms: u64) {
        self.note(activation, |known| {
            known.entry(index).or_insert(after_ms);
        });
    }

    /// An endpoint that failed: whatever was believed of it before no longer counts.
    pub(super) fn failed(&self, activation: ActivationId, index: u32, after_ms: u64) {
        self.note(activation, |known| {
            known.insert(index, after_ms);
        });
    }

    fn note(&self, activation: ActivationId, change: impl FnOnce(&mut BTreeMap<u32, u64>)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().rposition(|(known, _)| *known == activation).unwrap_or_else(|| {
            if all.len() == MOST {
                all.pop_front();
            }
            all.push_back((activation, BTreeMap::new()));
            all.len() - 1
        });
        change(&mut all[at].1);
    }

    /// What is known of the endpoints of an activation, by index.
    pub fn of(&self, activation: ActivationId, endpoints: usize) -> Vec<Option<u64>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().rfind(|(known, _)| *known == activation).map(|(_, known)| known);
        (0..endpoints as u32).map(|index| known?.get(&index).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_counts_until_it_fails_and_what_is_not_known_is_not_told() {
        let (times, id) = (Times::default(), ActivationId(7));
        times.reached(id, 2, 200);
        times.reached(id, 2, 4000);
        times.reached(id, 0, 7);
        assert_eq!(times.of(id, 4), [Some(7), None, Some(200), None]);
        times.failed(id, 2, 2000);
        assert_eq!(times.of(id, 3)[2], Some(2000));
        assert_eq!(times.of(ActivationId(8), 1), [None]);
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let times = Times::default();
        for number in 0..=MOST as u128 {
            times.reached(ActivationId(number), 0, 1);
        }
        assert_eq!((times.of(ActivationId(0), 1), times.of(ActivationId(1), 1)), (vec![None], vec![Some(1)]));
    }
}
