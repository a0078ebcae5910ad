//! The servers of the installation and what an administrator does with them: deprovision, reconfigure, promote, licence;
//! and conflict reports.

use onealert_core::{config::Role, ids::ServerId, time::Wall};
use serde::{Deserialize, Serialize};

use super::{Password, State};

/// One server as the Advanced Settings show it. Deprovisioned ones stay in the list: what they sent bears their name.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ServerRow {
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
    /// Where the other servers reach it.
    pub mesh: String,
    /// Base URL of its pages.
    pub web: String,
    /// When it was installed or joined.
    #[schema(value_type = i64)]
    pub enrolled: Wall,
    /// Removed for good.
    pub deprovisioned: bool,
    /// How well it is.
    pub state: State,
    /// The state of its copy in words, such as `in step` or `has not called since this server started`.
    pub text: String,
    /// What deprovisioning it would do beside removing it, in sentences.
    pub consequences: Vec<String>,
}

/// What deprovisioning a server did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Deprovisioned {
    /// Its display name.
    pub name: String,
    /// Whether it was connected and so was told at once; otherwise it is told at its next contact.
    pub told: bool,
    /// What else was changed, in sentences: the priority groups that it left.
    pub consequences: Vec<String>,
}

impl Deprovisioned {
    /// As a person reads it.
    pub fn text(&self) -> String {
        let told = match self.told {
            true => format!("{} is deprovisioned and was told.", self.name),
            false => format!("{} is deprovisioned. It is not connected and is told at its next contact.", self.name),
        };
        [told].into_iter().chain(self.consequences.iter().cloned()).collect::<Vec<_>>().join(" ")
    }
}

/// How a server is to be promoted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// Begin although another server has records that this one lacks: they go into a conflict report there.
    #[serde(default)]
    pub leave_missing: bool,
    /// Begin although a primary in order answers: it is fenced by that.
    #[serde(default)]
    pub even_though_primary_answers: bool,
    /// An administrator's login name, for a server that was restored from a backup and is unknown to the others.
    pub user: Option<String>,
    /// The password that belongs to it.
    #[schema(value_type = Option<String>)]
    pub password: Option<Password>,
}

/// What a promotion did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
pub struct Promoted {
    /// The generation that began.
    pub generation: String,
    /// The last change of the generation before that it contains.
    pub fork: u64,
    /// The servers that said where they stand.
    pub answered: Vec<String>,
    /// The servers that did not, and why.
    pub silent: Vec<String>,
    /// The servers whose records were taken first.
    pub taken_from: Vec<String>,
    /// Who has records that were left behind, and how many.
    pub left_behind: Option<String>,
    /// The servers that follow already; the others do when they hear of it.
    pub followed_by: Vec<String>,
}

impl Promoted {
    /// As a person reads it.
    pub fn text(&self) -> String {
        let list = |names: &[String]| if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        let mut lines =
            vec![format!("This server is the primary. Generation {} from change {} on.", self.generation, self.fork)];
        lines.push(format!("Answered: {}.", list(&self.answered)));
        lines.extend(self.silent.iter().map(|silent| format!("No answer: {silent}")));
        lines.extend(self.taken_from.iter().map(|from| format!("Took the records that {from} had more.")));
        lines.extend(self.left_behind.iter().map(|left| format!("Left behind: {left}.")));
        lines.push(format!("Follow already: {}.", list(&self.followed_by)));
        lines.join("\n")
    }
}

/// How many secondaries there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Licence {
    /// How many the licence allows.
    pub secondaries: u32,
    /// How many are enrolled.
    pub enrolled: u32,
    /// How many days a secondary works without hearing its primary before it says that its licence is not proven.
    pub grace_days: u32,
}

/// Configuration that was written in a generation that another one has left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Conflict {
    /// Names the report.
    pub id: String,
    /// When it was made.
    #[schema(value_type = i64)]
    pub at: Wall,
    /// The server on which the changes were made or kept.
    pub server: String,
    /// The generation that was left behind.
    pub generation: String,
    /// The generation that counts.
    pub left_behind_by: String,
    /// The last change that both have.
    pub fork: u64,
    /// How far the generation that was left behind had come.
    pub head: u64,
    /// How many of the changes are no longer in the log and so not listed.
    pub missing: u64,
    /// The changes, oldest first.
    pub rows: Vec<ConflictRow>,
}

/// One change that was left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConflictRow {
    /// Its number.
    pub lsn: u64,
    /// What was changed, such as `priority group`.
    pub table: String,
    /// Which one.
    pub key: String,
    /// The row after it, as JSON text; `None` when it was deleted.
    pub row: Option<String>,
}
