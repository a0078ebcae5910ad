//! What an activation carries for drivers and media: frozen at acceptance, opaque to the core.

use onealert_core::{
    config::{Audio, Config, Notification},
    ids::{DriverId, EndpointId},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The frozen content of an activation, as JSON text in `Content::payload`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    /// The title with its variables filled in, but for those of the sending server.
    pub title: String,
    /// The body, likewise.
    pub body: String,
    /// The sound.
    pub audio: Audio,
    /// How many times the audio is played.
    pub repeats: u32,
    /// How long displays and strobes stay on at least.
    pub hold_seconds: u32,
    /// What set it off, for records: the trigger's name, or the user's.
    pub cause: String,
    /// One target an endpoint, by the content's index.
    pub targets: Vec<Target>,
}

/// Where one endpoint is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its name for people.
    pub name: String,
    /// The driver that reaches it; `None` when the endpoint was deleted before acceptance.
    pub driver: Option<DriverId>,
    /// Where and how.
    pub address: Value,
}

/// The values of the variables that a message may hold in braces.
#[derive(Debug, Clone, Default)]
pub struct Variables(Vec<(&'static str, String)>);

impl Variables {
    /// Sets one variable.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.0.push((name, value.into()));
        self
    }

    /// The text with every known variable filled in. An unknown one stays as it is, braces and all: a person sees the
    /// slip, and nothing is silently lost.
    pub fn fill(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from) = rest.split_at(open);
            out.push_str(before);
            let known = from.find('}').and_then(|close| {
                let name = &from[1..close];
                self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| (value, close))
            });
            match known {
                Some((value, close)) => {
                    out.push_str(value);
                    rest = &from[close + 1..];
                }
                None => {
                    out.push('{');
                    rest = &from[1..];
                }
            }
        }
        out.push_str(rest);
        out
    }
}

/// Freezes a notification as it stands in the configuration.
pub fn freeze(config: &Config, notification: &Notification, variables: &Variables, cause: &str) -> Payload {
    let target = |id: &EndpointId| match config.endpoints.get(id) {
        Some(endpoint) => Target {
            name: endpoint.name.clone(),
            driver: Some(endpoint.driver.clone()),
            address: endpoint.address.clone(),
        },
        None => Target { name: id.to_string(), driver: None, address: Value::Null },
    };
    let message = &notification.message;
    Payload {
        title: variables.fill(&message.title),
        body: variables.fill(&message.body),
        audio: message.audio.clone(),
        repeats: message.repeats.max(1),
        hold_seconds: message.hold_seconds,
        cause: cause.to_owned(),
        targets: notification.endpoints.iter().map(target).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_variables_are_filled_in_and_unknown_ones_stay() {
        let mut variables = Variables::default();
        variables.set("activatorTitle", "Tornado {activatorBody}").set("activatorBody", "now");
        let filled = variables.fill("{activatorTitle}: {activatorBody} {nobody} {open");
        // A value is text, not a template: what came from outside cannot name further variables.
        assert_eq!(filled, "Tornado {activatorBody}: now {nobody} {open");
    }
}
