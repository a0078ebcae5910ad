//! Looking at the installation, at what was sent, at logs and accounts; and the caller's own password.

use onealert_core::ids::ActivationId;

use crate::{caller::Caller, needs::*, roles::Action};

/// How many lines of a list are given at most.
const LIMIT_MAX: u32 = 500;

impl Caller {
    /// The installation.
    pub async fn status(&self) -> Result<Status, Problem> {
        self.require(Action::Look)?;
        self.needs.status().await
    }

    /// What the answering server runs and where it stands. Signed in only: what exactly runs tells an attacker where to begin.
    pub fn versions(&self) -> Result<ServerVersions, Problem> {
        self.require(Action::Look)?;
        Ok(self.needs.versions())
    }

    /// What runs.
    pub async fn running(&self) -> Result<Vec<Running>, Problem> {
        self.require(Action::Look)?;
        self.needs.running().await
    }

    /// Sent notifications.
    pub async fn sent(&self, mut query: SentQuery) -> Result<SentPage, Problem> {
        self.require(Action::Look)?;
        query.limit = query.limit.clamp(1, LIMIT_MAX);
        self.needs.sent(query).await
    }

    /// One sent notification.
    pub async fn sent_detail(&self, activation: ActivationId) -> Result<SentDetail, Problem> {
        self.require(Action::Look)?;
        self.needs.sent_detail(activation).await
    }

    /// The servers that have a tab in Sent Notifications.
    pub async fn senders(&self) -> Result<Vec<Sender>, Problem> {
        self.require(Action::Look)?;
        self.needs.senders().await
    }

    /// A log.
    pub async fn log(&self, log: Log, limit: u32) -> Result<Vec<LogLine>, Problem> {
        self.require(Action::Administer)?;
        self.needs.log(log, limit.clamp(1, LIMIT_MAX)).await
    }

    /// Every account.
    pub async fn users(&self) -> Result<Vec<UserView>, Problem> {
        self.require(Action::Administer)?;
        self.needs.users().await
    }

    /// Changes the caller's own password.
    pub async fn change_password(&self, old: Password, new: Password) -> Result<(), Problem> {
        self.require_change(Action::ChangeOwnPassword)?;
        if new.reveal().chars().count() < 8 {
            return Err(Problem::invalid(vec![FieldProblem::new("/new", "must have at least 8 characters")]));
        }
        self.needs.change_password(self.actor(), old, new).await
    }
}
