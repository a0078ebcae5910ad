//! Which events of a calendar somebody asks about: the next one, those of a date, or those of a minute.

use std::str::FromStr;

use super::{Date, Occurrence, Plan, TimeOfDay};
use crate::time::{Span, Wall};

const MINUTE: Span = Span::secs(60);

/// Which events of a calendar are meant, in local time of its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// What happens next, and all that happens at the same instant.
    #[default]
    Next,
    /// Everything on a date.
    Date(Date),
    /// What happens within the minute from a time of a date on; where that is nothing, what happens next after it.
    Minute(Date, TimeOfDay),
}

/// A text that is neither a date nor a date with a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a day nor a moment; write it as 2026-11-30 or 2026-11-30T08:00")]
pub struct BadMoment(pub String);

/// It is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("lies in the past; Sent Notifications shows what was sent then")]
pub struct Past;

/// The events that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// Those that are still to come, in order.
    pub occurrences: Vec<Occurrence>,
    /// The date that they are looked for on. Without events it is the one that was asked about.
    pub date: Date,
    /// How many of the date are over.
    pub over: usize,
    /// Nothing happens in the minute that was asked about: these are what happens next after it.
    pub later: bool,
}

impl FromStr for When {
    type Err = BadMoment;
    fn from_str(text: &str) -> Result<When, BadMoment> {
        let bad = || BadMoment(text.to_owned());
        match text.split_once('T') {
            None => text.parse().map(When::Date).map_err(|_| bad()),
            Some((date, time)) => {
                let (date, time) = (date.parse().map_err(|_| bad())?, time.parse().map_err(|_| bad())?);
                Ok(When::Minute(date, time))
            }
        }
    }
}

impl Plan {
    /// The events that are meant, as far as they are to come.
    ///
    /// # Errors
    /// The day or the minute is over.
    pub fn meant(&self, when: When, now: Wall) -> Result<Meant, Past> {
        match when {
            When::Next => Ok(self.next_together(now)),
            When::Date(date) if date < self.date_at(now) => Err(Past),
            When::Date(date) => {
                let mut occurrences = self.on(date);
                let all = occurrences.len();
                occurrences.retain(|occurrence| occurrence.due > now);
                Ok(Meant { over: all - occurrences.len(), occurrences, date, later: false })
            }
            When::Minute(date, time) => {
                let from = self.instant_of(date, time).ok_or(Past)?;
                if from + MINUTE <= now {
                    return Err(Past);
                }
                let just_before = Wall(from.0.saturating_sub(1)).max(now);
                let occurrences = self.between(just_before, Wall((from + MINUTE).0 - 1));
                match occurrences.is_empty() {
                    true => Ok(Meant { later: true, ..self.next_together(just_before) }),
                    false => Ok(Meant { occurrences, date, over: 0, later: false }),
                }
            }
        }
    }

    /// What happens within a day's length after an instant; where that is nothing, everything on the next date that has events.
    pub fn coming_day(&self, now: Wall) -> Vec<Occurrence> {
        let soon = self.between(now, now + Span::secs(86_400));
        match soon.is_empty() {
            true => self.next(now).map(|next| self.on(next.date)).unwrap_or_default(),
            false => soon,
        }
    }

    fn next_together(&self, after: Wall) -> Meant {
        let Some(next) = self.next(after) else {
            return Meant { occurrences: Vec::new(), date: self.date_at(after), over: 0, later: false };
        };
        let occurrences = self.between(Wall(next.due.0.saturating_sub(1)), next.due);
        Meant { occurrences, date: next.date, over: 0, later: false }
    }
}
