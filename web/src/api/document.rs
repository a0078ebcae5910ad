//! The API's documents that are not view types: configuration rows as OpenAPI describes them.
//!
//! The rows themselves live in the core, which knows nothing of OpenAPI. A test holds the two together.

#![allow(dead_code, reason = "described, never built")]

use serde_json::Value;
use utoipa::ToSchema;

use crate::needs::{EventView, LogLine, Named, State};

/// The saved plan: what is sent to whom when one of its triggers happens.
#[derive(ToSchema)]
pub(super) struct Notification {
    /// Row key; may be left out when creating.
    id: String,
    name: String,
    /// music, bell, page, alert or emergency.
    priority: String,
    /// Which triggers start it.
    triggers: Vec<String>,
    /// Which endpoints receive it.
    endpoints: Vec<String>,
    message: Message,
    /// replay, skip_started or resume.
    on_takeover: String,
}

/// What is said and shown.
#[derive(ToSchema)]
pub(super) struct Message {
    title: String,
    body: String,
    /// `{"kind": "none"}`, `{"kind": "speech"}`, `{"kind": "tone", "name": ...}` or `{"kind": "file", "name": ...}`.
    #[schema(value_type = Object)]
    audio: Value,
    /// How many times the audio is played; 1 to 100.
    repeats: u32,
    /// How long displays and strobes stay on at least, in seconds.
    hold_seconds: u32,
}

/// A device or address that receives.
#[derive(ToSchema)]
pub(super) struct Endpoint {
    /// Row key; may be left out when creating.
    id: String,
    name: String,
    /// The driver that reaches it.
    driver: String,
    /// As the driver's endpoint schema describes it.
    #[schema(value_type = Object)]
    address: Value,
    location: String,
}

/// One concrete cause.
#[derive(ToSchema)]
pub(super) struct Trigger {
    /// Row key; may be left out when creating.
    id: String,
    name: String,
    /// The driver that watches for it; null for a trigger that pages and the API set off.
    driver: Option<String>,
    /// As the driver's trigger schema describes it.
    #[schema(value_type = Object)]
    settings: Value,
    /// The priority group.
    group: String,
    /// start or stop.
    behaviour: String,
    /// Later than this it is recorded as missed, in milliseconds.
    late_limit_ms: Option<u64>,
}

/// An ordered list of servers: the first that is up sends.
#[derive(ToSchema)]
pub(super) struct PriorityGroup {
    /// Row key; may be left out when creating.
    id: String,
    name: String,
    /// Server ids, first = tried first.
    servers: Vec<String>,
}

/// Which events happen when.
#[derive(ToSchema)]
pub(super) struct Calendar {
    /// Row key; may be left out when creating.
    id: String,
    name: String,
    /// IANA name of the time zone, such as America/Chicago.
    zone: String,
    /// The priority group.
    group: String,
    /// What could not be sent within so many seconds is recorded as missed; 30 if left out.
    late_limit_s: u32,
    templates: Vec<DayTemplate>,
    week: Week,
    /// Where two cover a date the shorter one counts.
    exceptions: Vec<CalendarException>,
}

/// A day: what happens at which time.
#[derive(ToSchema)]
pub(super) struct DayTemplate {
    /// Unique in the calendar.
    name: String,
    events: Vec<CalendarEvent>,
}

/// An event of a day.
#[derive(ToSchema)]
pub(super) struct CalendarEvent {
    /// Unique in its template.
    name: String,
    /// Local time, 08:00 or 08:00:30.
    at: String,
    /// What it starts.
    notifications: Vec<String>,
    /// It does not happen.
    paused: bool,
}

/// The template of each weekday; null: no bells.
#[derive(ToSchema)]
pub(super) struct Week {
    monday: Option<String>,
    tuesday: Option<String>,
    wednesday: Option<String>,
    thursday: Option<String>,
    friday: Option<String>,
    saturday: Option<String>,
    sunday: Option<String>,
}

/// Dates that are not as the week says.
#[derive(ToSchema)]
pub(super) struct CalendarException {
    /// The first, as 2026-09-01.
    from: String,
    /// The last; the same for one date.
    to: String,
    /// What they have instead; null: no bells.
    template: Option<String>,
    reason: String,
}

/// A calendar with what is known about it.
#[derive(ToSchema)]
pub(super) struct CalendarRow {
    row: Calendar,
    /// For If-Match.
    etag: String,
    state: State,
    text: String,
    used_by: Vec<Named>,
    /// The moment at which this was so, in milliseconds since 1970.
    now: i64,
    next: Option<EventView>,
    /// What happens today, in the calendar's zone.
    today: Vec<EventView>,
    /// Today and the days after it.
    days: Vec<DayOutlook>,
    /// The server that would ring at present.
    sends: Option<String>,
    sends_name: String,
    group_name: String,
}

/// What a date has.
#[derive(ToSchema)]
pub(super) struct DayOutlook {
    date: String,
    /// Null: no bells.
    template: Option<String>,
    /// Why it is not as the week says.
    reason: Option<String>,
    events: usize,
}

/// What saving a calendar would change.
#[derive(ToSchema)]
pub(super) struct CalendarPreview {
    changes: Vec<DayChange>,
    /// How many days were looked at.
    days: i64,
}

/// A date that changes: how many events are to come on it before and after.
#[derive(ToSchema)]
pub(super) struct DayChange {
    date: String,
    before: usize,
    after: usize,
}

macro_rules! listed {
    ($($name:ident of $row:ident;)*) => {
        $(
            /// A row with what is known about it.
            #[derive(ToSchema)]
            pub(super) struct $name {
                row: $row,
                /// For If-Match.
                etag: String,
                state: State,
                text: String,
                used_by: Vec<Named>,
            }
        )*
    };
}

listed! {
    NotificationRow of Notification;
    EndpointRow of Endpoint;
    TriggerRow of Trigger;
}

/// A priority group with what is known about it.
#[derive(ToSchema)]
pub(super) struct GroupRow {
    row: PriorityGroup,
    /// For If-Match.
    etag: String,
    state: State,
    text: String,
    /// Its triggers.
    used_by: Vec<Named>,
    calendars: Vec<Named>,
    /// The server that would send for it at present.
    sends: Option<String>,
}

/// A driver with its schemas and settings.
#[derive(ToSchema)]
pub(super) struct DriverDetail {
    view: crate::needs::DriverView,
    #[schema(value_type = Object)]
    settings_schema: Value,
    #[schema(value_type = Object)]
    endpoint_schema: Value,
    #[schema(value_type = Object)]
    trigger_schema: Value,
    /// Secrets left out.
    #[schema(value_type = Object)]
    settings: Value,
    etag: String,
    events: Vec<LogLine>,
}

/// Settings as the driver's schema describes them.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub(super) struct Settings(Value);

/// The key of a created row.
#[derive(ToSchema)]
pub(super) struct Created {
    id: String,
}

/// A name and a password.
#[derive(ToSchema)]
pub(super) struct Login {
    user: String,
    password: String,
}

/// The present and the new password.
#[derive(ToSchema)]
pub(super) struct PasswordChange {
    old: String,
    new: String,
}
