//! What pages and API show: plain values, filled in by the host.

use std::{collections::BTreeMap, net::IpAddr};

use bytes::Bytes;
use onealert_core::{
    config::{PriorityGroup, Role, UserRole},
    effect::Outcome,
    ids::{ActivationId, DriverId, EndpointId, GroupId, NotificationId, ServerId, TriggerId, UserId},
    time::Wall,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An account that may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Login name in lower case.
    pub user: UserId,
    /// Name for people.
    pub name: String,
    /// What the user may do.
    pub role: UserRole,
}

/// Who asks for a change, and from where: for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Login name.
    pub user: UserId,
    /// The role under which it is done.
    pub role: UserRole,
    /// The caller's address.
    pub peer: IpAddr,
}

/// A password on its way to be checked. Never printed, logged or serialised.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Password {
        Password(text.into())
    }
    /// The password itself, for checking and hashing.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Which server this is. From memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: ServerId,
    /// Its display name.
    pub name: String,
    /// Primary or secondary.
    pub role: Role,
    /// The product's version.
    pub version: String,
    /// The primary's name and base URL, when this is a secondary and it is known.
    pub primary: Option<PrimaryLink>,
    /// Whether configuration may be changed here at present; if not, why, as a sentence for the banner.
    pub can_configure: Result<(), String>,
}

/// Where the primary is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrimaryLink {
    /// Its display name.
    pub name: String,
    /// Base URL of its pages, without a slash at the end.
    pub url: String,
}

/// The answer for a load balancer (redundancy sheet, section 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerStatus {
    /// 200, 404 or 503.
    pub status: u16,
    /// Role and reason in one plain line without line end, such as `Primary Active`.
    pub line: std::borrow::Cow<'static, str>,
}

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Well.
    Ok,
    /// Works, but somebody should look.
    Warning,
    /// Does not work.
    Bad,
}

/// One heartbeat of a server, as this server heard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Beat {
    /// In time.
    Ok,
    /// Late.
    Late,
    /// Not heard.
    Missed,
    /// The server said that it pauses: maintenance, drain.
    Paused,
}

/// The installation, as this server sees it.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Status {
    /// When this was put together.
    #[schema(value_type = i64)]
    pub at: Wall,
    /// Every server that is not deprovisioned, the primary first. On a secondary: at least this server and the primary.
    pub servers: Vec<ServerStatus>,
    /// What needs somebody, worst first.
    pub attention: Vec<Attention>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ServerStatus {
    /// Its id.
    #[schema(value_type = String)]
    pub id: ServerId,
    /// Its display name.
    pub name: String,
    /// Primary or secondary.
    #[schema(value_type = String)]
    pub role: Role,
    /// It is the server that answers.
    pub this: bool,
    /// Base URL of its pages.
    pub web: String,
    /// How well it is.
    pub state: State,
    /// The state in words, such as `Sending`, `Standing by`, `Not heard for 12 s`.
    pub text: String,
    /// How long ago it was heard, in milliseconds; `None` for this server and for one never heard.
    pub heard_ms_ago: Option<u64>,
    /// Its last heartbeats, oldest first, 60 at most.
    pub heartbeats: Vec<Beat>,
    /// The generation of its configuration.
    pub epoch: Option<String>,
    /// The last change it has.
    pub position: Option<u64>,
    /// How many changes it is behind the primary.
    pub lag: Option<u64>,
    /// What it runs: `product`, `platform`, `plugin api`, `schema`, `protocol` and their values.
    pub versions: BTreeMap<String, String>,
    /// What differs from this server, each in one sentence that names both values.
    pub differences: Vec<String>,
    /// Its clock minus ours, in milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// When its process started.
    #[schema(value_type = Option<i64>)]
    pub started: Option<Wall>,
    /// Why it holds back although it is up, such as `back since 10:02, takes activations again at 10:03`.
    pub holds: Option<String>,
    /// Its place in each priority group that names it.
    pub duties: Vec<Duty>,
    /// Its drivers.
    pub drivers: Vec<DriverBrief>,
    /// How many activations it is running.
    pub running: u32,
}

/// A server's place in a priority group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Duty {
    /// The group's name.
    pub group: String,
    /// 1 is tried first.
    pub place: u32,
    /// It would send for this group at present.
    pub sends: bool,
}

/// A driver on one server in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DriverBrief {
    /// The driver.
    #[schema(value_type = String)]
    pub id: DriverId,
    /// Its name.
    pub name: String,
    /// Its version there, if it is there.
    pub version: Option<String>,
    /// How well it is.
    pub state: State,
    /// The state in words.
    pub text: String,
}

/// Something that needs somebody. It goes away by itself once it is cured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Attention {
    /// `Warning` or `Bad`.
    pub state: State,
    /// What is wrong.
    pub what: String,
    /// Since when, if known.
    #[schema(value_type = Option<i64>)]
    pub since: Option<Wall>,
    /// What it means: what still works, and what does not.
    pub effect: String,
    /// The text of the button that leads to the cure; empty for none.
    pub action: String,
    /// Where the button leads, a path of these pages.
    pub href: String,
}

/// An activation that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Running {
    /// The activation.
    #[schema(value_type = String)]
    pub activation: ActivationId,
    /// The notification's name.
    pub name: String,
    /// The name of the server that sends.
    pub server: String,
    /// When it was accepted.
    #[schema(value_type = i64)]
    pub accepted: Wall,
    /// What it is doing, such as `Sending` or `Waiting for the owner`.
    pub text: String,
    /// Endpoints reached.
    pub reached: u32,
    /// Endpoints that failed.
    pub failed: u32,
    /// Endpoints meant.
    pub meant: u32,
    /// Accepted with one copy only.
    pub degraded: bool,
}

/// What the live stream carries: always the whole, newest state wins.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Live {
    /// The installation.
    pub status: Status,
    /// What runs.
    pub running: Vec<Running>,
}

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
    /// The server that carried it to its end.
    #[schema(value_type = String)]
    pub server: ServerId,
    /// That server's name.
    pub server_name: String,
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

/// A sent notification in full.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SentDetail {
    /// The line of the list.
    pub row: SentRow,
    /// The title that was shown.
    pub title: String,
    /// The text that was shown or spoken.
    pub body: String,
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
    /// Ok: reached. Warning: sent, not confirmed. Bad: failed or never tried.
    pub state: State,
    /// The state in words: `Reached`, `Sent, not confirmed`, `Failed`, `Not tried`.
    pub text: String,
    /// What proves it or why it failed.
    pub note: String,
    /// Milliseconds from acceptance to this result, if known.
    pub after_ms: Option<u64>,
}

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

/// Everything about drivers that is shown in the list.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Drivers {
    /// Drivers that are enabled, known, or found and acceptable; by name.
    pub drivers: Vec<DriverView>,
    /// Every file found in the driver folder, refused ones too.
    pub files: Vec<FoundFile>,
}

/// A file of the driver folder, as judged without running its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FoundFile {
    /// The file's name.
    pub file: String,
    /// The driver it holds, when that could be read.
    #[schema(value_type = Option<String>)]
    pub driver: Option<DriverId>,
    /// Its version, when that could be read.
    pub version: Option<String>,
    /// Ok: can be used. Bad: refused.
    pub state: State,
    /// The verdict: what it is, or what was expected, what was found, and what to do.
    pub text: String,
}

/// A driver.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DriverView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: DriverId,
    /// Its name for people.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// A worker runs for it.
    pub enabled: bool,
    /// The version in use, or the version found when it is not enabled.
    pub version: Option<String>,
    /// The newest version found in the driver folder, when it is higher than the one in use.
    pub update: Option<String>,
    /// Worst state of all servers; [`State::Ok`] when not enabled.
    pub state: State,
    /// The state in words.
    pub text: String,
    /// How many endpoints it has.
    pub endpoints: u32,
    /// How many triggers it has.
    pub triggers: u32,
    /// It can have endpoints.
    pub reaches: bool,
    /// It can have triggers.
    pub watches: bool,
    /// The driver on each server.
    pub servers: Vec<DriverOnServer>,
}

/// A driver on one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DriverOnServer {
    /// The server.
    #[schema(value_type = String)]
    pub server: ServerId,
    /// Its name.
    pub server_name: String,
    /// The version there; `None` where it is missing.
    pub version: Option<String>,
    /// Version and file equal the primary's.
    pub matches: bool,
    /// How well it is there.
    pub state: State,
    /// The state in words, with the last error.
    pub text: String,
    /// Since when.
    #[schema(value_type = Option<i64>)]
    pub since: Option<Wall>,
    /// How often its worker was started again.
    pub restarts: u32,
}

/// A driver with its forms and what happened to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriverDetail {
    /// The line of the list.
    pub view: DriverView,
    /// JSON Schema of the settings; null when it is not known (the driver was never loaded).
    pub settings_schema: Value,
    /// JSON Schema of an endpoint's address; null for a driver without endpoints.
    pub endpoint_schema: Value,
    /// JSON Schema of a trigger's settings; null for a driver without triggers.
    pub trigger_schema: Value,
    /// The settings, secrets blanked.
    pub settings: Value,
    /// Names the stored row; empty when there is none yet.
    pub etag: String,
    /// The last things that happened, newest first, 50 at most.
    pub events: Vec<LogLine>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LogLine {
    /// When.
    #[schema(value_type = i64)]
    pub at: Wall,
    /// How serious.
    pub state: State,
    /// Who or what: a user, a server, a driver.
    pub source: String,
    /// What happened.
    pub text: String,
}

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// Who changed what.
    Audit,
    /// Replication: what was synchronised, refused, rebuilt.
    Sync,
}

/// An account as the list of users shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UserView {
    /// Login name.
    #[schema(value_type = String)]
    pub id: UserId,
    /// Name for people.
    pub name: String,
    /// What the user may do.
    #[schema(value_type = String)]
    pub role: UserRole,
    /// May sign in.
    pub active: bool,
}

/// What can be heard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct Sounds {
    /// Built-in tones by name.
    pub tones: Vec<String>,
    /// Files of the audio folder.
    pub files: Vec<String>,
}

/// A request that a device or feed made under a driver's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path below the driver's own, starting with `/`.
    pub path: String,
    /// The query without the question mark.
    pub query: String,
    /// Names in lower case. Credentials of users are not among them.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
    /// The caller's address.
    pub peer: IpAddr,
}

/// The driver's answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAnswer {
    /// The status code.
    pub status: u16,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
}

/// Deleting a priority group moved its triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GroupDeleted {
    /// The group that has them after that: `DEFAULT`.
    #[schema(value_type = String)]
    pub moved_to: GroupId,
    /// The triggers that moved.
    #[schema(value_type = Vec<String>)]
    pub triggers: Vec<TriggerId>,
}
