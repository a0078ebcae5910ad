//! The one source of chance: a seed gives the same numbers for ever, on every machine.

/// A small generator (SplitMix64): enough for choosing delays and faults, and in our own hands, so that a seed written into
/// a test years ago still means the same schedule.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    /// The generator for one thing at one moment of a run. What is drawn for it does not depend on what was drawn before, so
    /// that leaving something out of a schedule leaves the rest of the run as it was.
    pub fn of(seed: u64, key: [u64; 4]) -> Random {
        Random(key.into_iter().fold(!seed, |state, part| mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(part))))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from `from` up to and with `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.number() % (to - from + 1)
    }

    /// An index below `count`.
    pub fn index(&mut self, count: usize) -> usize {
        (self.number() % count as u64) as usize
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.number() % 100 < percent
    }

    /// Brings a list into any order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.index(last + 1);
            list.swap(last, other);
        }
    }
}

fn mix(number: u64) -> u64 {
    let mut mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
