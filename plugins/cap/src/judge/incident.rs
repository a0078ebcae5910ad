//! What a trigger has running: the messages of one incident, from the one that fired to the one that ends it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::filter::hex;
use crate::wire::{Alert, Info, Reference};

/// An incident of one trigger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Incident {
    /// The trigger.
    pub trigger: String,
    /// The keys of the events that started or replaced, oldest first.
    pub keys: Vec<String>,
    /// Every message of it, by key: the events' and those that changed nothing to hear.
    pub chain: BTreeSet<String>,
    /// The identifiers of those messages.
    pub identifiers: BTreeSet<String>,
    /// When the newest message of it was sent.
    pub head_ms: i64,
    /// When the first one fired.
    pub fired_ms: i64,
    /// When it ends by itself.
    pub ends_ms: i64,
    /// Whether it still runs.
    pub running: bool,
    /// The hazards it is about, by VTEC.
    pub vtec: Vec<String>,
    /// What a repetition would look like.
    pub likeness: String,
}

impl Incident {
    /// Whether a message speaks of this incident. The instant decides; where it is unreadable or wrong the identifier does.
    pub fn is_meant_by(&self, references: &[Reference]) -> bool {
        references.iter().any(|reference| {
            reference.key().is_some_and(|key| self.chain.contains(&key))
                || self.identifiers.contains(&reference.identifier)
        })
    }

    /// Takes a later message in.
    pub fn join(&mut self, key: &str, alert: &Alert, sent_ms: i64) {
        self.chain.insert(key.to_owned());
        self.identifiers.insert(alert.identifier.clone());
        self.head_ms = self.head_ms.max(sent_ms);
    }
}

/// Sender, event, area and headline as one short text: equal for a message that says the same under another identifier.
pub fn likeness(alert: &Alert, info: &Info) -> String {
    let mut codes: Vec<&str> = super::sets::codes(info).chain(super::sets::canada(info)).collect();
    codes.sort_unstable();
    let mut places: Vec<String> = Vec::new();
    for area in &info.areas {
        places.extend(area.geocodes.iter().map(|code| format!("{}={}", code.name, code.value)));
        places.extend(area.polygons.iter().flat_map(|it| it.points()).map(|p| format!("{:.3},{:.3}", p.lat, p.lon)));
        places
            .extend(area.circles.iter().map(|c| format!("{:.3},{:.3},{:.3}", c.centre.lat, c.centre.lon, c.radius_km)));
    }
    places.sort_unstable();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let event = if codes.is_empty() { words(&info.event) } else { codes.join(",") };
    let text = format!("{}|{event}|{}|{}", alert.sender, places.join(" "), words(&info.headline));
    hex(&Sha256::digest(text.as_bytes())[..16])
}

/// Whether a message says that the danger is over although it is no Cancel.
pub fn is_all_clear(alert: &Alert) -> bool {
    use crate::wire::{ResponseType, Urgency};
    !alert.infos.is_empty()
        && alert.infos.iter().all(|info| {
            info.response_types.contains(&ResponseType::AllClear)
                || info.urgency == Urgency::Past
                || info.event.to_lowercase().contains("cancellation")
                || info.parameter("layer:EC-MSC-SMC:1.0:Alert_Location_Status").any(|value| value == "ended")
        })
}

/// Whether the sender says that an update changes nothing of substance.
pub fn is_minor(alert: &Alert) -> bool {
    alert.infos.iter().any(|info| {
        info.parameters.iter().any(|it| {
            it.name.starts_with("profile:CAP-CP:")
                && it.name.ends_with(":MinorChange")
                && !it.value.is_empty()
                && it.value != "none"
        })
    })
}
