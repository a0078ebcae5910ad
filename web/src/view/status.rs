//! The installation: its servers, what needs attention, what runs, what is logged.

use std::collections::BTreeMap;

use onealert_core::{
    config::Role,
    ids::{ActivationId, DriverId, ServerId},
    time::Wall,
};
use serde::{Deserialize, Serialize};

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
    /// How many of the last day's activations it accepted with one copy only.
    pub degraded: u32,
    /// The space of its data folder, if it told.
    pub disk: Option<DiskView>,
    /// When its operating system was started.
    #[schema(value_type = Option<i64>)]
    pub booted: Option<Wall>,
    /// What the licence says of it; only the primary knows.
    pub licence: Option<String>,
}

/// The space of a data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DiskView {
    /// Mebibytes that may still be written.
    pub free_mib: u64,
    /// Mebibytes of the file system.
    pub total_mib: u64,
    /// How well that is.
    pub state: State,
    /// The same in words.
    pub text: String,
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
    /// SHA-256 of its file there, if it is there.
    pub sha256: Option<String>,
    /// How well it is.
    pub state: State,
    /// The state in words.
    pub text: String,
    /// Since when, if known: by the clock of the server that it is on.
    #[schema(value_type = Option<i64>)]
    pub since: Option<Wall>,
    /// How often its worker was started again there, if known.
    pub restarts: Option<u32>,
}

/// Something that needs somebody. It goes away by itself once it is cured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Attention {
    /// `Warning` or `Bad`.
    pub state: State,
    /// What is wrong.
    pub what: String,
    /// Since when, as far as the answering server knows: it forgets at a restart what nobody tells it anew.
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
