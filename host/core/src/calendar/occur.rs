//! From local times to instants: which events of a calendar happen when.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use super::{Calendar, CalendarEvent, Date, DayTemplate, Exception, TimeOfDay, zone};
use crate::{
    config::Config,
    ids::{CalendarId, EventKey, NotificationId},
    time::{Span, Wall},
};

/// How far ahead the next event is looked for, in days: beyond a whole year every week has come by, and every leap day is
/// an exception that somebody entered for it.
const HORIZON: u64 = 400;

const DAY: Span = Span::secs(86_400);

/// One event on one date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Occurrence {
    /// The calendar.
    pub calendar: CalendarId,
    /// The event's name.
    pub event: String,
    /// The date on which it stands.
    pub date: Date,
    /// The local time for which it is planned.
    pub at: TimeOfDay,
    /// The instant.
    pub due: Wall,
    /// Past this it is too late.
    #[serde(skip)]
    pub expires: Wall,
    /// What it starts.
    pub notifications: Vec<NotificationId>,
}

impl Occurrence {
    /// What names it on every server: the event and its planned instant, and nothing of how far a copy of the configuration is
    /// (redundancy sheet, section 4.1).
    pub fn key(&self) -> EventKey {
        let instant = instant(self.due);
        EventKey(format!("calendar/{}/{}/{instant}", self.calendar, self.event))
    }
}

/// What a date has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day<'a> {
    /// Its template; none: no bells.
    pub template: Option<&'a DayTemplate>,
    /// The exception that says so; none: the week.
    pub exception: Option<&'a Exception>,
}

/// A calendar with the rules of its zone, ready to be asked.
#[derive(Debug, Clone)]
pub struct Plan {
    calendar: Calendar,
    zone: TimeZone,
}

/// Every calendar of a configuration that has events to come. One whose zone this program does not know has none: it was
/// refused when it was saved.
pub fn plans(config: &Config) -> Vec<Plan> {
    config.calendars.values().filter_map(|calendar| Plan::of(calendar.clone())).collect()
}

impl Plan {
    /// A calendar ready to be asked; `None` where its zone is not known.
    pub fn of(calendar: Calendar) -> Option<Plan> {
        let zone = zone(&calendar.zone)?;
        Some(Plan { calendar, zone })
    }

    /// The calendar.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The date at an instant, in the calendar's zone.
    pub fn date_at(&self, at: Wall) -> Date {
        Date(self.zone.to_datetime(instant(at)).date())
    }

    /// An instant as the variables of a message say it: date, and time of day.
    pub fn local(&self, at: Wall) -> (String, String) {
        let local = self.zone.to_datetime(instant(at));
        (local.date().strftime("%Y-%m-%d").to_string(), local.time().strftime("%H:%M").to_string())
    }

    /// What a date has: the shortest exception that covers it, or else what the week says.
    pub fn day(&self, date: Date) -> Day<'_> {
        let covering = self.calendar.exceptions.iter().filter(|exception| exception.covers(date));
        let exception = covering.min_by_key(|exception| (exception.days(), exception.from));
        let named = match exception {
            Some(exception) => exception.template.as_deref(),
            None => self.calendar.week.on(date.weekday()),
        };
        Day { template: named.and_then(|name| self.calendar.template(name)), exception }
    }

    /// What happens on a date, in order.
    pub fn on(&self, date: Date) -> Vec<Occurrence> {
        let mut found = self.raw(date);
        settle(&mut found);
        found
    }

    /// What happens after one instant and up to another one, in order.
    pub fn between(&self, after: Wall, until: Wall) -> Vec<Occurrence> {
        if until <= after {
            return Vec::new();
        }
        // A day more on both sides: a local time that does not exist is rung later, perhaps after midnight.
        let (first, last) = (self.date_at(after).plus(-1), self.date_at(until).plus(1));
        let mut found = Vec::new();
        let mut date = first;
        while date <= last {
            found.extend(self.raw(date));
            let next = date.plus(1);
            if next == date {
                break;
            }
            date = next;
        }
        settle(&mut found);
        found.retain(|occurrence| after < occurrence.due && occurrence.due <= until);
        found
    }

    /// The first that happens after an instant.
    pub fn next(&self, after: Wall) -> Option<Occurrence> {
        let days = (0..HORIZON).map(|n| (after + DAY.times(n), after + DAY.times(n + 1)));
        days.into_iter().find_map(|(from, to)| self.between(from, to).into_iter().next())
    }

    fn raw(&self, date: Date) -> Vec<Occurrence> {
        let Some(template) = self.day(date).template else { return Vec::new() };
        let rings = |event: &&CalendarEvent| !event.paused && !event.notifications.is_empty();
        template.events.iter().filter(rings).filter_map(|event| self.occurrence(date, event)).collect()
    }

    /// The instant of a local time. One that a clock change leaves out is as much later as the clock is put forward; one that
    /// comes twice is meant the first time. `None` beyond all time that can be named.
    pub(super) fn instant_of(&self, date: Date, time: TimeOfDay) -> Option<Wall> {
        let planned = self.zone.to_ambiguous_timestamp(date.0.to_datetime(time.0));
        Some(Wall(planned.compatible().ok()?.as_millisecond()))
    }

    fn occurrence(&self, date: Date, event: &CalendarEvent) -> Option<Occurrence> {
        let due = self.instant_of(date, event.at)?;
        Some(Occurrence {
            calendar: self.calendar.id.clone(),
            event: event.name.clone(),
            date,
            at: event.at,
            due,
            expires: due + Span::secs(u64::from(self.calendar.late_limit_s)),
            notifications: event.notifications.clone(),
        })
    }
}

/// Puts occurrences in order. At one instant a notification is started once: an event that was put off by a clock change may
/// fall on another one.
fn settle(found: &mut Vec<Occurrence>) {
    found.sort_by(|a, b| (a.due, a.date, a.at, &a.event).cmp(&(b.due, b.date, b.at, &b.event)));
    let mut started: BTreeMap<NotificationId, Wall> = BTreeMap::new();
    for occurrence in found.iter_mut() {
        let due = occurrence.due;
        occurrence.notifications.retain(|id| started.insert(id.clone(), due) != Some(due));
    }
    found.retain(|occurrence| !occurrence.notifications.is_empty());
}

/// An instant that the time library can name; what lies beyond its range is taken for the nearest within.
fn instant(at: Wall) -> Timestamp {
    let (least, most) = (Timestamp::MIN.as_millisecond() + 200_000_000, Timestamp::MAX.as_millisecond() - 200_000_000);
    Timestamp::from_millisecond(at.0.clamp(least, most)).unwrap_or(Timestamp::UNIX_EPOCH)
}
