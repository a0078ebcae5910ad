//! The API's documents that are not view types: configuration rows as OpenAPI describes them.
//!
//! The rows themselves live in the core, which knows nothing of OpenAPI. A test holds the two together.

#![allow(dead_code, reason = "described, never built")]

use serde_json::Value;
use utoipa::ToSchema;

use crate::needs::{LogLine, Named, State};

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
