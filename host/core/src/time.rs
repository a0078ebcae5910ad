//! Time as an argument: the core never asks a clock.
//!
//! Timers run on [`Mono`], the monotonic clock of one process; nothing compares two servers' values of it. [`Wall`] only
//! names events and bounds how late they may be sent (redundancy sheet, section 5, "Clocks").

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A moment on this process's monotonic clock, in microseconds since a start that means nothing elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub u64);

/// A moment in the world, in milliseconds since 1970-01-01T00:00:00Z. Negative before that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub i64);

/// A length of time in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Span {
    /// A length of `n` milliseconds.
    pub const fn millis(n: u64) -> Self {
        Self(n.saturating_mul(1000))
    }
    /// A length of `n` seconds.
    pub const fn secs(n: u64) -> Self {
        Self(n.saturating_mul(1_000_000))
    }
    /// Whole milliseconds, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }
    /// This length `n` times.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl Add<Span> for Mono {
    type Output = Mono;
    fn add(self, span: Span) -> Mono {
        Mono(self.0.saturating_add(span.0))
    }
}
impl Sub<Mono> for Mono {
    type Output = Span;
    /// The time from `earlier` to `self`; nothing when `earlier` is later.
    fn sub(self, earlier: Mono) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}
impl Add<Span> for Wall {
    type Output = Wall;
    fn add(self, span: Span) -> Wall {
        Wall(self.0.saturating_add_unsigned(span.as_millis()))
    }
}

/// The two clocks read at one instant by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub mono: Mono,
    /// For names and lateness.
    pub wall: Wall,
}
