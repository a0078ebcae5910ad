//! Drivers and their settings.

use onealert_core::ids::DriverId;
use serde_json::Value;

use super::judge;
use crate::{caller::Caller, needs::*, roles::Action, schema};

impl Caller {
    /// Drivers and files found.
    pub async fn drivers(&self) -> Result<Drivers, Problem> {
        self.require(Action::LookAtConfiguration)?;
        self.needs.drivers().await
    }

    /// One driver. Secrets are taken out here too: no other page or answer shows settings.
    pub async fn driver(&self, id: DriverId) -> Result<DriverDetail, Problem> {
        self.require(Action::LookAtConfiguration)?;
        let mut detail = self.needs.driver(id).await?;
        schema::blank_secrets(&detail.settings_schema, &mut detail.settings);
        Ok(detail)
    }

    /// Asks the driver whether settings will do.
    pub async fn check_driver(&self, id: DriverId, settings: Value) -> Result<(), Problem> {
        self.require(Action::Configure)?;
        self.judge_settings(&id, &settings).await?;
        self.needs.check_driver(id, settings).await
    }

    /// Enables a driver with these settings.
    pub async fn enable_driver(&self, id: DriverId, settings: Value, expect: Expect) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.judge_settings(&id, &settings).await?;
        self.needs.enable_driver(self.actor(), id, settings, expect).await
    }

    /// Saves a driver's settings.
    pub async fn save_driver(&self, id: DriverId, settings: Value, expect: Expect) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.judge_settings(&id, &settings).await?;
        self.needs.save_driver(self.actor(), id, settings, expect).await
    }

    /// Disables a driver.
    pub async fn disable_driver(&self, id: DriverId) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.needs.disable_driver(self.actor(), id).await
    }

    /// Takes another version of a driver.
    pub async fn switch_driver(&self, id: DriverId, wanted: DriverSwitch) -> Result<(), Problem> {
        self.require_change(Action::Configure)?;
        self.needs.switch_driver(self.actor(), id, wanted).await
    }

    /// Changes who is trusted with driver files.
    pub async fn change_trust(&self, change: TrustChange) -> Result<String, Problem> {
        self.require_change(Action::Configure)?;
        self.needs.change_trust(self.actor(), change).await
    }

    async fn judge_settings(&self, id: &DriverId, settings: &Value) -> Result<(), Problem> {
        let detail = self.needs.driver(id.clone()).await?;
        judge(&detail.settings_schema, settings, "", detail.etag.is_empty())
    }
}
