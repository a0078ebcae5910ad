//! Rendered audio by content, as much as fits, the least lately used going first.

use std::collections::HashMap;
use std::sync::Arc;

use super::rendered::Take;

/// The hash of what is heard.
pub(super) type Key = [u8; 32];

#[derive(Debug)]
pub(super) struct Cache {
    limit: usize,
    weight: usize,
    uses: u64,
    kept: HashMap<Key, (u64, Arc<Take>)>,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Cache {
        Cache { limit, weight: 0, uses: 0, kept: HashMap::new() }
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<Arc<Take>> {
        self.uses += 1;
        let (used, take) = self.kept.get_mut(key)?;
        *used = self.uses;
        Some(take.clone())
    }

    /// Keeps a take, unless it alone is larger than everything that may be kept.
    pub(super) fn insert(&mut self, key: Key, take: Arc<Take>) {
        if take.weight() > self.limit {
            return;
        }
        self.uses += 1;
        self.weight += take.weight();
        if let Some((_, replaced)) = self.kept.insert(key, (self.uses, take)) {
            self.weight -= replaced.weight();
        }
        while self.weight > self.limit {
            let oldest = self.kept.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            let Some((_, gone)) = oldest.and_then(|key| self.kept.remove(&key)) else {
                return;
            };
            self.weight -= gone.weight();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take() -> Arc<Take> {
        Arc::new(Take::new(8_000, vec![0; 8_000]))
    }

    #[test]
    fn the_least_lately_used_goes_first_and_the_limit_holds() {
        let mut cache = Cache::new(2 * take().weight());
        cache.insert([1; 32], take());
        cache.insert([2; 32], take());
        assert!(cache.get(&[1; 32]).is_some());
        cache.insert([3; 32], take());
        assert!(cache.get(&[2; 32]).is_none(), "the one not used lately is still there");
        assert!(cache.get(&[1; 32]).is_some() && cache.get(&[3; 32]).is_some());
        cache.insert([3; 32], take());
        assert_eq!(cache.kept.len(), 2, "replacing an entry pushed another out");
    }

    #[test]
    fn what_is_larger_than_everything_is_not_kept() {
        let mut cache = Cache::new(10);
        cache.insert([1; 32], take());
        assert!(cache.get(&[1; 32]).is_none());
        assert_eq!(cache.weight, 0);
    }
}
