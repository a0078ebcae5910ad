//! What a driver says of itself, its settings, and the whole of what it is to look after.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Target, Watch};

/// The answer of the driver's `describe`: what only running code can tell. Repeats the manifest exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The manifest.
    pub manifest: crate::manifest::Manifest,
    /// Capability words.
    pub capabilities: Vec<String>,
    /// JSON Schema of the settings.
    pub settings_schema: Value,
    /// JSON Schema of an endpoint's address; null for a driver without endpoints.
    #[serde(default)]
    pub endpoint_schema: Value,
    /// JSON Schema of a trigger's settings; null for a driver without triggers.
    #[serde(default)]
    pub trigger_schema: Value,
}

/// What a driver is opened with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Open {
    /// Where the driver may keep files; made by the host.
    #[serde(default)]
    pub state_dir: String,
    /// The settings. Without them no driver is made: what was opened then answers `settings.check`, `settings.migrate` and
    /// pings only, so that settings can be judged before there are valid ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
}

/// The body of `settings.check`, answered by a list of [`Problem`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SettingsCheck {
    /// The settings to judge.
    #[serde(default)]
    pub settings: Value,
}

/// The body of `settings.migrate`, answered by the settings in today's form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SettingsMigrate {
    /// The driver's version that wrote them.
    #[serde(default)]
    pub from: String,
    /// The settings as they were written.
    #[serde(default)]
    pub value: Value,
}

/// One finding of `settings.check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The field, as a JSON pointer such as `/poll_seconds`; empty for the whole.
    #[serde(default)]
    pub path: String,
    /// What is wrong and what to do, lower case.
    pub message: String,
}

/// The whole of what the driver is to look after, sent after `ready` and whenever it changes. Idempotent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Desired<E = Value, T = Value> {
    /// Every endpoint of this driver.
    #[serde(default = "Vec::new")]
    pub endpoints: Vec<Target<E>>,
    /// Every trigger of this driver.
    #[serde(default = "Vec::new")]
    pub triggers: Vec<Watch<T>>,
}
