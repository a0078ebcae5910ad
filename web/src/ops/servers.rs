//! Servers one by one: names, the settings that are each one's own, the phones' login, deprovisioning, promotion, the licence.

use onealert_core::ids::ServerId;

use super::{NAME_MAX, check_name, refuse};
use crate::{caller::Caller, needs::*, roles::Action};

impl Caller {
    /// The login that phones obey.
    pub async fn phone_login(&self) -> Result<PhoneLogin, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.phone_login().await
    }

    /// Sets it.
    pub async fn save_phone_login(&self, user: String, password: Option<Password>) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        if user.len() > NAME_MAX {
            let message = format!("must have at most {NAME_MAX} characters");
            return Err(Problem::invalid(vec![FieldProblem::new("/user", message)]));
        }
        self.needs.save_phone_login(self.actor(), user, password).await
    }

    /// Gives a server another display name.
    pub async fn rename_server(&self, id: ServerId, mut name: String) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        refuse(check_name(&mut name))?;
        self.needs.rename_server(self.actor(), id, name).await
    }

    /// The settings that are this server's own.
    pub async fn local_settings(&self) -> Result<LocalSettingsView, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.local_settings().await
    }

    /// Changes them. A secondary takes them too: they are no configuration.
    pub async fn save_local_settings(&self, settings: LocalSettings) -> Result<(), Problem> {
        self.require(Action::ChangeLocalSettings)?;
        self.needs.save_local_settings(self.actor(), settings).await
    }

    /// Every server.
    pub async fn servers(&self) -> Result<Vec<ServerRow>, Problem> {
        self.require(Action::Administer)?;
        self.needs.servers().await
    }

    /// One server.
    pub async fn server(&self, id: ServerId) -> Result<ServerRow, Problem> {
        let found = self.servers().await?.into_iter().find(|row| row.id == id);
        found.ok_or_else(|| Problem::not_found("server", id))
    }

    /// Takes a server out for good.
    pub async fn deprovision(&self, server: ServerId, confirm: String) -> Result<Deprovisioned, Problem> {
        self.require_change(Action::Configure)?;
        self.needs.deprovision(self.actor(), server, confirm).await
    }

    /// Has a secondary build its copy anew.
    pub async fn reconfigure(&self, server: ServerId) -> Result<bool, Problem> {
        self.require_change(Action::Configure)?;
        self.needs.reconfigure(self.actor(), server).await
    }

    /// Makes this server the primary.
    pub async fn promote(&self, request: PromoteRequest) -> Result<Promoted, Problem> {
        self.require(Action::Administer)?;
        self.needs.promote(self.actor(), request).await
    }

    /// The conflict reports of this server.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, Problem> {
        self.require(Action::Administer)?;
        self.needs.conflicts().await
    }

    /// What the licence allows.
    pub async fn licence(&self) -> Result<Licence, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.licence().await
    }

    /// Sets how many secondaries the licence allows.
    pub async fn set_licence(&self, secondaries: u32) -> Result<Licence, Problem> {
        self.require_change(Action::Configure)?;
        self.needs.set_licence(self.actor(), secondaries).await
    }
}
