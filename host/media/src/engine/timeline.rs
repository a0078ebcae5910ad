//! When things happen in a stream: lead-in, content, trailing silence, end.

use super::stream::script;
use super::{Destination, EngineConfig};

/// Nanoseconds in a millisecond.
pub(super) const MS: u64 = 1_000_000;
/// The longest lead-in, so that one destination cannot hold up all others.
pub(super) const MAX_LEAD_MS: u64 = 10_000;

/// When things happen in a stream. Times are milliseconds since its first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeline {
    /// The first packet's deadline on the monotonic clock, in nanoseconds.
    pub(super) begins: u64,
    /// When the content begins.
    pub(super) lead_ms: u64,
    /// Where in the audio it begins.
    pub(super) start_at_ms: u64,
    /// When the content is over or was stopped.
    pub(super) content_until_ms: u64,
    /// When the last packet is over.
    pub(super) ends_ms: u64,
    pub(super) stopped: bool,
}

impl Timeline {
    pub(super) fn new(
        config: &EngineConfig,
        destinations: &[Destination],
        duration_ms: u64,
        start_at_ms: u64,
    ) -> Timeline {
        let wanted = |destination: &Destination| {
            let digits = script(destination).ok().flatten().map_or(0, |script| script.duration_ms());
            u64::from(destination.lead_in_ms).max(digits)
        };
        let lead_ms =
            destinations.iter().map(wanted).max().unwrap_or(0).max(u64::from(config.lead_in_ms)).min(MAX_LEAD_MS);
        let content_ms = duration_ms.saturating_sub(start_at_ms);
        let content_until_ms = lead_ms + content_ms;
        // With nothing left to play there is nothing to send, not even silence.
        let ends_ms = if content_ms == 0 { 0 } else { content_until_ms + u64::from(config.trailing_ms) };
        Timeline { begins: 0, lead_ms, start_at_ms, content_until_ms, ends_ms, stopped: false }
    }

    /// Milliseconds since the first packet.
    pub(super) fn at(&self, now: u64) -> u64 {
        now.saturating_sub(self.begins) / MS
    }

    /// How much of the audio has been heard, counted from its beginning.
    pub(super) fn position(&self, now: u64) -> u64 {
        self.start_at_ms + self.at(now).min(self.content_until_ms).saturating_sub(self.lead_ms)
    }

    pub(super) fn content_over(&self, now: u64) -> bool {
        self.stopped || self.at(now) >= self.content_until_ms
    }

    /// Ends the content; a trailing silence follows where content had begun.
    pub(super) fn stop(&mut self, now: u64, trailing_ms: u32) {
        if !self.stopped {
            self.stopped = true;
            self.content_until_ms = self.content_until_ms.min(self.at(now));
            let trailing_ms = if self.at(now) > self.lead_ms { u64::from(trailing_ms) } else { 0 };
            self.ends_ms = self.ends_ms.min(self.content_until_ms + trailing_ms);
        }
    }
}
