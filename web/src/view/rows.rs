//! Rows of the configuration with what is known about them, and what a write expects.

use onealert_core::{
    config::PriorityGroup,
    ids::{CalendarId, GroupId, ServerId, TriggerId},
};
use serde::Serialize;

use super::State;

/// A row of the configuration with what is known about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed<T> {
    /// The row itself, secrets blanked (see [`crate::schema::blank_secrets`]).
    pub row: T,
    /// Names the stored text of the row: [`crate::needs::etag`] of it, before blanking.
    pub etag: String,
    /// How well it is; for rows without health always [`State::Ok`].
    pub state: State,
    /// The state in words; empty for rows without health.
    pub text: String,
    /// What uses it: the notifications of an endpoint or trigger, the triggers of a priority group.
    pub used_by: Vec<Named>,
}

/// A key and the name that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Named {
    /// The key.
    pub id: String,
    /// The name.
    pub name: String,
}

/// A priority group with what is known about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupView {
    /// The group and its triggers.
    #[serde(flatten)]
    pub listed: Listed<PriorityGroup>,
    /// The calendars that use it.
    pub calendars: Vec<Named>,
    /// The server that would send for it at present.
    pub sends: Option<ServerId>,
}

/// What a write expects to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// No such row: it is created. An empty id asks the host for a key made from the name.
    New,
    /// The row as it was read: its [`Listed::etag`]. Anything else is a conflict (409).
    Etag(String),
    /// Any: replaces whatever is there, or creates it.
    Any,
}

/// What can be heard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct Sounds {
    /// Built-in tones by name.
    pub tones: Vec<String>,
    /// Files of the audio folder.
    pub files: Vec<String>,
}

/// A priority group was deleted; its triggers and calendars went where the caller said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GroupDeleted {
    /// The group that has them after that; `None` when nothing used the group.
    #[schema(value_type = Option<String>)]
    pub moved_to: Option<GroupId>,
    /// The triggers that moved.
    #[schema(value_type = Vec<String>)]
    pub triggers: Vec<TriggerId>,
    /// The calendars that moved.
    #[schema(value_type = Vec<String>)]
    pub calendars: Vec<CalendarId>,
}
