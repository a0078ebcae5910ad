//! A few servers or endpoints.

use std::ops::{BitAnd, BitOr};

/// A few servers or endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Set(pub u8);

impl Set {
    pub fn all(count: usize) -> Set {
        Set((1 << count) - 1)
    }
    pub fn has(self, member: usize) -> bool {
        self.0 >> member & 1 == 1
    }
    pub fn with(self, member: usize) -> Set {
        Set(self.0 | 1 << member)
    }
    pub fn without(self, member: usize) -> Set {
        Set(self.0 & !(1 << member))
    }
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
impl BitOr for Set {
    type Output = Set;
    fn bitor(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }
}
impl BitAnd for Set {
    type Output = Set;
    fn bitand(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }
}
