//! Calendars with what is to come of them.

use onealert_core::{
    calendar::{Calendar, DayChange, DayOutlook, Occurrence, Plan, outlook},
    ids::{NotificationId, ServerId},
    time::Wall,
};
use serde::Serialize;

use super::{Listed, Named, State};

/// How many days are shown, today included.
const SHOWN: i64 = 14;

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
    /// Its name; empty where nobody would.
    pub sends_name: String,
    /// The name of the priority group.
    pub group_name: String,
}

/// What a view of a calendar takes from elsewhere.
pub struct CalendarContext<'a> {
    /// The moment.
    pub now: Wall,
    /// The name of its priority group.
    pub group_name: String,
    /// The server that would ring at present, with its name.
    pub sends: Option<(ServerId, String)>,
    /// The names of notifications.
    pub notification: &'a dyn Fn(&NotificationId) -> String,
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

impl CalendarView {
    /// A calendar as it stands at a moment.
    pub fn of(mut listed: Listed<Calendar>, about: CalendarContext<'_>) -> CalendarView {
        let CalendarContext { now, group_name, sends, notification } = about;
        let plan = Plan::of(listed.row.clone());
        let event = |it: Occurrence| EventView {
            event: it.event,
            date: it.date.to_string(),
            at: it.at.to_string(),
            due: it.due,
            notifications: it
                .notifications
                .iter()
                .map(|id| Named { id: id.to_string(), name: notification(id) })
                .collect(),
        };
        let next = plan.as_ref().and_then(|plan| plan.next(now)).map(event);
        let zone = &listed.row.zone;
        (listed.state, listed.text) = match (&plan, &next) {
            (None, _) => (
                State::Bad,
                format!("This server does not know the time zone {zone}, and rings nothing of this schedule"),
            ),
            (_, None) => (State::Warning, "Nothing is to come".to_owned()),
            _ => (State::Ok, String::new()),
        };
        let today = plan.as_ref().map(|plan| plan.date_at(now));
        let of_today = plan.as_ref().zip(today).map(|(plan, today)| plan.on(today));
        let (sends, sends_name) = sends.unzip();
        CalendarView {
            next,
            today: of_today.unwrap_or_default().into_iter().map(event).collect(),
            days: plan.as_ref().zip(today).map(|(plan, today)| outlook(plan, today, SHOWN)).unwrap_or_default(),
            listed,
            now,
            sends,
            sends_name: sends_name.unwrap_or_default(),
            group_name,
        }
    }
}
