//! Calendars with what is to come of them.

use onealert_core::{
    calendar::{Calendar, DayChange, DayOutlook},
    ids::ServerId,
    time::Wall,
};
use serde::Serialize;

use super::{Listed, Named};

/// A calendar with what is known about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CalendarView {
    /// The calendar.
    #[serde(flatten)]
    pub listed: Listed<Calendar>,
    /// The moment at which this was so.
    pub now: Wall,
    /// The event that happens next.
    pub next: Option<EventView>,
    /// What happens today, in the calendar's zone, what is over included.
    pub today: Vec<EventView>,
    /// Today and the days after it.
    pub days: Vec<DayOutlook>,
    /// The server that would ring at present.
    pub sends: Option<ServerId>,
    /// Its name, and that of its priority group.
    pub sends_name: String,
    /// The name of the priority group.
    pub group_name: String,
}

/// An event on a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct EventView {
    /// Its name.
    pub event: String,
    /// The date, as `2026-09-01`.
    pub date: String,
    /// The local time, as `08:00`.
    pub at: String,
    /// The instant, in milliseconds since 1970.
    #[schema(value_type = i64)]
    pub due: Wall,
    /// What it starts.
    pub notifications: Vec<Named>,
}

/// What saving a calendar would change in the days to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CalendarPreview {
    /// The dates that change; all others stay as they are.
    pub changes: Vec<DayChange>,
    /// How many days were looked at, today included.
    pub days: i64,
}
