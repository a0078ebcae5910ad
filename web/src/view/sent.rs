//! Sending, and what was sent.

use onealert_core::{
    effect::Outcome,
    ids::{ActivationId, EndpointId, NotificationId, ServerId},
    time::Wall,
};
use serde::{Deserialize, Serialize};

use super::State;

/// Which sent notifications to show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SentQuery {
    /// Continue after this cursor, taken from [`SentPage::next`].
    pub after: Option<String>,
    /// How many at most.
    pub limit: u32,
    /// Only those that this server sent.
    pub server: Option<ServerId>,
    /// Only those that ended so.
    pub outcome: Option<Outcome>,
    /// Only those whose name or source contains this text, in any case. Empty: all.
    pub text: String,
}

/// A page of sent notifications, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SentPage {
    /// The records.
    pub rows: Vec<SentRow>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
    /// Names of servers whose newest records are not here because they cannot be reached.
    pub missing: Vec<String>,
}

/// A sent notification in one line.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SentRow {
    /// The activation.
    #[schema(value_type = String)]
    pub activation: ActivationId,
    /// The notification that ran.
    #[schema(value_type = String)]
    pub notification: NotificationId,
    /// Its name at the time.
    pub name: String,
    /// Who or what triggered it, for people.
    pub source: String,
    /// The server that carried it to its end; where several sent it, the first of `sent_by`.
    #[schema(value_type = String)]
    pub server: ServerId,
    /// That server's name.
    pub server_name: String,
    /// Every server that sent it. More than one where servers did not hear each other and each sent the same event.
    pub sent_by: Vec<SentBy>,
    /// When it was accepted.
    #[schema(value_type = i64)]
    pub accepted: Wall,
    /// When it ended.
    #[schema(value_type = i64)]
    pub ended: Wall,
    /// How it ended.
    #[schema(value_type = String)]
    pub outcome: Outcome,
    /// Endpoints reached.
    pub reached: u32,
    /// Endpoints meant.
    pub meant: u32,
    /// Above 0: so many servers before this one had begun.
    pub attempt: u32,
    /// Accepted with one copy only.
    pub degraded: bool,
}

/// A server's part in a sent notification.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SentBy {
    /// The server.
    #[schema(value_type = String)]
    pub server: ServerId,
    /// Its name.
    pub name: String,
    /// How it ended there.
    #[schema(value_type = String)]
    pub outcome: Outcome,
    /// Endpoints that it reached.
    pub reached: u32,
    /// When it ended there.
    #[schema(value_type = i64)]
    pub ended: Wall,
}

/// A server that has a tab in Sent Notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Sender {
    /// The server.
    #[schema(value_type = String)]
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// It was deprovisioned; what it sent stays readable.
    pub gone: bool,
}

/// A sent notification in full.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SentDetail {
    /// The line of the list.
    pub row: SentRow,
    /// The title that was shown.
    pub title: String,
    /// The text that was shown or spoken.
    pub body: String,
    /// What kept endpoints from being reached, a sentence a reason; empty when nothing did.
    pub why: Vec<String>,
    /// What happened when, in order: accepted, taken over, sent, ended.
    pub timeline: Vec<Moment>,
    /// Every endpoint that was meant.
    pub endpoints: Vec<EndpointResult>,
}

/// Something at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Moment {
    /// When.
    #[schema(value_type = i64)]
    pub at: Wall,
    /// What.
    pub text: String,
}

/// How it went at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct EndpointResult {
    /// The endpoint.
    #[schema(value_type = String)]
    pub endpoint: EndpointId,
    /// Its name, or its key where it is no longer configured.
    pub name: String,
    /// Its driver's name.
    pub driver: String,
    /// Ok: reached. Warning: sent, not confirmed, or interrupted. Bad: failed or never tried.
    pub state: State,
    /// The state in words: `Reached`, `Sent, not confirmed`, `Interrupted`, `Failed`, `Not tried`.
    pub text: String,
    /// The names of the servers that reached it; empty where nobody did.
    pub by: Vec<String>,
    /// What proves it or why it failed.
    pub note: String,
    /// Milliseconds from acceptance to this result, if known.
    pub after_ms: Option<u64>,
}

/// Which notification to send, and how often the same request may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendRequest {
    /// The notification.
    pub notification: NotificationId,
    /// The same key from the same user means the same send: it is not sent twice.
    pub idempotency_key: Option<String>,
}

/// The answer to a send or an event: it is safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Accepted {
    /// The activations that run for it; empty when no notification names the trigger.
    #[schema(value_type = Vec<String>)]
    pub activations: Vec<ActivationId>,
    /// Accepted with one copy only: no other server confirmed.
    pub degraded: bool,
    /// The event was known already; nothing new was started.
    pub duplicate: bool,
    /// The name of the server that sends, if known.
    pub owner: Option<String>,
}

/// An event posted for a trigger that pages and the API set off.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventIn {
    /// What happened, named the same however often it is posted. Empty: every post is another event.
    #[serde(default)]
    pub key: String,
    /// For `{activatorTitle}`.
    #[serde(default)]
    pub title: String,
    /// For `{activatorBody}`.
    #[serde(default)]
    pub body: String,
    /// For `{activatorLocation}`.
    #[serde(default)]
    pub location: String,
    /// For `{activatorCoordinates}`.
    #[serde(default)]
    pub coordinates: String,
}
