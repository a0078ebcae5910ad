//! Servers that came back, what would happen if, and drills: what is needed of the host, and what a caller can do.

use onealert_core::ids::ServerId;

use crate::{caller::Caller, needs::*, roles::Action};

/// The part of [`Needs`] that is about who takes over from whom.
pub trait RedundancyNeeds {
    /// How servers return, and how each is.
    fn redundancy(&self) -> Answer<'_, Redundancy>;
    /// Decides how servers return. Configuration: only on the primary.
    fn save_redundancy(&self, by: Actor, settings: RedundancySettings) -> Answer<'_, ()>;
    /// Lets a server that came back own again. Possible on every server. One that is not held is 422.
    fn return_server(&self, by: Actor, server: ServerId) -> Answer<'_, ()>;
    /// Who would send what, under other circumstances. Nothing is done.
    fn what_if(&self, query: WhatIfQuery) -> Answer<'_, WhatIf>;
    /// Rehearses failovers. Sends nothing to any endpoint. 409 while one runs.
    fn drill(&self, by: Actor) -> Answer<'_, DrillReport>;
    /// The newest report; 404 before the first drill.
    fn drill_report(&self) -> Answer<'_, DrillReport>;
}

impl Caller {
    /// How servers return, and how each is.
    pub async fn redundancy(&self) -> Result<Redundancy, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.redundancy().await
    }

    /// Decides how servers return.
    pub async fn save_redundancy(&self, settings: RedundancySettings) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.needs.save_redundancy(self.actor(), settings).await
    }

    /// Lets a server that came back own again. Not configuration: also possible while the primary is down.
    pub async fn return_server(&self, server: ServerId) -> Result<(), Problem> {
        self.require(Action::Administer)?;
        self.needs.return_server(self.actor(), server).await
    }

    /// What would happen if.
    pub async fn what_if(&self, query: WhatIfQuery) -> Result<WhatIf, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.what_if(query).await
    }

    /// Rehearses failovers.
    pub async fn drill(&self) -> Result<DrillReport, Problem> {
        self.require(Action::Administer)?;
        self.needs.drill(self.actor()).await
    }

    /// The newest report of a drill.
    pub async fn drill_report(&self) -> Result<DrillReport, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.drill_report().await
    }
}
