//! What is forgotten: what was over for long enough, what came too late, and what is too much, whatever a feed does.

use std::collections::{HashMap, VecDeque};

use super::{Book, DAY_MS, Outgoing};
use crate::judge::{Outcome, Verdict};

/// Most messages remembered; those that ended first are forgotten first.
const KNOWN: usize = 20_000;
/// Most files remembered.
const FILES: usize = 20_000;
/// Most incidents of one trigger.
const INCIDENTS: usize = 1_000;

impl Book {
    /// Drops what the server did not take before its time was over.
    pub(super) fn drop_late(&mut self, now_ms: i64) -> Vec<Verdict> {
        let (late, wait): (VecDeque<Outgoing>, VecDeque<Outgoing>) =
            std::mem::take(&mut self.outbox).into_iter().partition(|outgoing| outgoing.until_ms <= now_ms);
        self.outbox = wait;
        self.changed |= !late.is_empty();
        late.into_iter()
            .map(|outgoing| Verdict {
                subject: outgoing.subject,
                trigger: Some(outgoing.event.trigger),
                outcome: Outcome::Expired,
                reason: format!("its time was over before the server took it; it was offered {} times", outgoing.tries),
                problems: Vec::new(),
            })
            .collect()
    }

    /// Forgets what was over long ago.
    pub(super) fn forget(&mut self, now_ms: i64) {
        let before = self.known.len() + self.gone.len();
        self.known.retain(|_, known| known.keep_ms > now_ms);
        self.gone.retain(|_, gone| gone.keep_ms > now_ms);
        for list in self.incidents.values_mut() {
            list.retain(|incident| incident.running || incident.ends_ms.max(incident.head_ms) + DAY_MS > now_ms);
        }
        self.changed |= before != self.known.len() + self.gone.len();
    }

    /// Keeps what is remembered within bounds, whatever a feed does.
    pub(super) fn bound(&mut self) {
        fn trim<T>(map: &mut HashMap<String, T>, most: usize, keep: impl Fn(&T) -> i64) {
            if map.len() <= most {
                return;
            }
            let mut ends: Vec<i64> = map.values().map(&keep).collect();
            let excess = map.len() - most;
            ends.select_nth_unstable(excess);
            let limit = ends[excess];
            map.retain(|_, value| keep(value) > limit);
        }
        trim(&mut self.known, KNOWN, |known| known.keep_ms);
        trim(&mut self.gone, 2 * KNOWN, |gone| gone.keep_ms);
        for list in self.incidents.values_mut().filter(|list| list.len() > INCIDENTS) {
            list.retain(|incident| incident.running);
        }
        while self.files.len() > FILES {
            let oldest = self.files.iter().min_by_key(|(_, mark)| mark.seen_ms).map(|(path, _)| path.clone());
            oldest.and_then(|path| self.files.remove(&path));
        }
    }
}
