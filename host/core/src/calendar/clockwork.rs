//! What a server does about its calendars as time goes by: which occurrences it hands over, and which it takes back.
//!
//! Every server of a group does this by itself, with its own copy of the configuration and its own wall clock; which of them
//! rings is settled by [`crate::node::Node`]. An occurrence may be handed over twice: its key is known, and nothing comes of it.

use std::collections::BTreeMap;

use super::{Occurrence, Plan};
use crate::{
    ids::EventKey,
    time::{Mono, Now, Span, Wall},
};

/// How long before its moment an occurrence is handed over: who rings it is settled by then, its audio is rendered, and it is
/// on disk.
pub const AHEAD: Span = Span::secs(5);

/// How far back a server that was away looks for what it missed. Shorter than servers remember what was sent, so that the
/// others can still say that it was.
pub const LOOK_BACK: Span = Span::secs(20 * 3600);

/// A difference between the two clocks that is no drift but a step, or a pause of the whole machine.
const STEP: Span = Span::secs(1);

/// For how long the clock has to run on after a step before what lies in it is called missed: a clock that was set wrong and
/// right again leaves no trace.
const STEADY: Span = Span::secs(10);

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Work {
    /// To be handed over.
    pub hand_over: Vec<Occurrence>,
    /// To be stopped: handed over before its moment, and since taken out of the calendar.
    pub withdraw: Vec<EventKey>,
}

/// How far a server is with its calendars.
#[derive(Debug)]
pub struct Clockwork {
    /// Everything that was due up to here has been handed over.
    mark: Wall,
    last: Now,
    /// Since when the wall clock has run on without a step; `None`: since the process was started.
    steady: Option<Mono>,
    /// What was handed over and lies after the mark.
    handed: BTreeMap<EventKey, Wall>,
}

impl Clockwork {
    /// A server that starts. `mark` is what [`Clockwork::mark`] gave before; without one it begins at this moment.
    pub fn new(mark: Option<Wall>, now: Now) -> Clockwork {
        let mark = mark.unwrap_or(now.wall).max(back(now.wall, LOOK_BACK));
        Clockwork { mark, last: now, steady: None, handed: BTreeMap::new() }
    }

    /// Up to which moment everything was handed over. To be kept, so that a restart knows what was missed.
    pub fn mark(&self) -> Wall {
        self.mark
    }

    /// Looks at the clocks and the calendars. To be asked at least once a second, and whenever the calendars have changed.
    pub fn look(&mut self, now: Now, plans: &[Plan]) -> Work {
        self.watch_clock(now);
        let found: Vec<Occurrence> = plans.iter().flat_map(|plan| plan.between(self.mark, now.wall + AHEAD)).collect();
        let gone = |(key, due): (&EventKey, &Wall)| {
            let stays = *due <= now.wall || found.iter().any(|occurrence| occurrence.key() == *key);
            (!stays).then(|| key.clone())
        };
        let withdraw: Vec<EventKey> = self.handed.iter().filter_map(gone).collect();
        for key in &withdraw {
            self.handed.remove(key);
        }
        let steady = self.steady.is_none_or(|since| now.mono - since >= STEADY);
        let mut hand_over = Vec::new();
        let mut waits = None;
        for occurrence in found {
            let key = occurrence.key();
            if self.handed.contains_key(&key) {
                continue;
            }
            if occurrence.expires < now.wall && !steady {
                waits = Some(waits.unwrap_or(occurrence.due).min(occurrence.due));
                continue;
            }
            self.handed.insert(key, occurrence.due);
            hand_over.push(occurrence);
        }
        // What still waits to be called missed keeps the mark before it.
        self.mark = match waits {
            Some(due) => self.mark.max(Wall(due.0.saturating_sub(1))),
            None => self.mark.max(now.wall),
        };
        self.handed.retain(|_, due| *due > self.mark);
        Work { hand_over, withdraw }
    }

    /// It could not be taken: it is handed over again when it is looked for next.
    pub fn refused(&mut self, occurrence: &Occurrence) {
        self.handed.remove(&occurrence.key());
        self.mark = self.mark.min(Wall(occurrence.due.0.saturating_sub(1)));
    }

    fn watch_clock(&mut self, now: Now) {
        let ran = i64::try_from((now.mono - self.last.mono).as_millis()).unwrap_or(i64::MAX);
        let step = now.wall.0.saturating_sub(self.last.wall.0).saturating_sub(ran);
        if step.unsigned_abs() > STEP.as_millis() {
            self.steady = Some(now.mono);
        }
        if self.mark.0.saturating_sub(now.wall.0).unsigned_abs() > STEP.as_millis() && now.wall < self.mark {
            // The clock was set back. What comes by again is handed over again: what was sent is known by its key, and what was
            // called missed by a clock that was ahead is sent after all.
            self.mark = now.wall;
            self.handed.clear();
        }
        self.mark = self.mark.max(back(now.wall, LOOK_BACK));
        self.last = now;
    }
}

fn back(from: Wall, by: Span) -> Wall {
    Wall(from.0.saturating_sub_unsigned(by.as_millis()))
}
