//! Triggers: what is watched for, what happened, and what was judged.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A trigger as the driver sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watch<T = Value> {
    /// The trigger's key.
    pub trigger: String,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// What to watch for, by the driver's trigger schema.
    pub settings: T,
}

/// What a trigger event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End what the replaced keys started, and start with the new text.
    Update,
    /// End what the replaced keys started.
    Stop,
    /// Start the trigger's notifications; also what an unknown word reads as.
    #[default]
    #[serde(other)]
    Start,
}

/// The body of the request `trigger`: something that a trigger watches for has happened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TriggerEvent {
    /// The trigger's key.
    pub trigger: String,
    /// What happened, named the same on every server that can see it (for CAP: sender, identifier and sent). The server
    /// puts the trigger's key in front. Empty: the server draws one, for events that only one server can see.
    #[serde(default)]
    pub key: String,
    /// Start, update or stop.
    #[serde(default)]
    pub action: Action,
    /// The keys of earlier events of this trigger that this one replaces or ends.
    #[serde(default)]
    pub replaces: Vec<String>,
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
    /// For `{callerID}`: who or what sent it.
    #[serde(default)]
    pub source: String,
    /// Past this it is not sent, in milliseconds since 1970 UTC.
    #[serde(default)]
    pub expires_ms: Option<i64>,
    /// Anything else, for records.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// The answer to a trigger event. By then it is safe: durable here and, unless degraded, on another server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TriggerAnswer {
    /// The activations that run for it; empty when no notification names the trigger.
    #[serde(default)]
    pub activations: Vec<String>,
    /// The event was known already.
    #[serde(default)]
    pub duplicate: bool,
    /// Accepted with one copy only.
    #[serde(default)]
    pub degraded: bool,
}

/// Something a driver saw and judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it is about, such as a CAP message's identifier.
    pub subject: String,
    /// The trigger it was judged for, if one.
    #[serde(default)]
    pub trigger: Option<String>,
    /// One word: `fired`, `filtered`, `duplicate`, `expired`, `refused`, `cancelled`, `updated`, …
    pub verdict: String,
    /// Why, for people.
    pub reason: String,
}
