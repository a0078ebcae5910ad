//! Sets of triggers, by their slots: what is remembered of thousands of messages holds one for each.

use serde::{Deserialize, Serialize};

/// A set of slots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn has(&self, slot: usize) -> bool {
        self.0.get(slot / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }
    pub(super) fn put(&mut self, slot: usize, on: bool) {
        if self.0.len() <= slot / 64 {
            if !on {
                return;
            }
            self.0.resize(slot / 64 + 1, 0);
        }
        let mask = 1 << (slot % 64);
        if on { self.0[slot / 64] |= mask } else { self.0[slot / 64] &= !mask }
    }
    pub(super) fn both(&self, other: &Bits) -> Bits {
        Bits(self.0.iter().zip(&other.0).map(|(a, b)| a & b).collect())
    }
}
