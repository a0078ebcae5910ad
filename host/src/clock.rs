//! The only place of the program that asks the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use onealert_core::time::{Mono, Now, Wall};

/// Both clocks, with one start for the monotonic one.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts at this moment.
    #[allow(clippy::new_without_default)] // a default that differs at every call would surprise
    pub fn new() -> Clock {
        Clock { start: Instant::now() }
    }

    /// Both clocks at this moment.
    pub fn now(&self) -> Now {
        Now { mono: self.mono(Instant::now()), wall: wall() }
    }

    /// The core's name for a moment of this process.
    pub fn mono(&self, at: Instant) -> Mono {
        Mono(at.saturating_duration_since(self.start).as_micros() as u64)
    }

    /// The moment of this process that the core means.
    pub fn instant(&self, at: Mono) -> Instant {
        self.start + std::time::Duration::from_micros(at.0)
    }
}

/// The world's time at this moment. A clock before 1970 reads as 1970: it is wrong, and shows as a clock offset.
#[expect(clippy::disallowed_methods, reason = "the program asks here")]
pub fn wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(since.as_millis() as i64)
}
