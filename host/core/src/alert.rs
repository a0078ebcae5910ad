//! Redundancy status alerts: what can be told of the servers' own state, and which triggers are set off by it.
//!
//! The activator of these triggers is part of every server. As far as triggers go it stands beside the drivers: a trigger
//! names it, and its settings ([`Filter`]) are described by a schema, from which pages make their form. What is noticed, and
//! when that sets a trigger off, is decided by [`Alerts`].

mod clocks;
mod watch;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    config::{Config, Trigger},
    effect::DownReason,
    ids::{DriverId, ServerId, TriggerId},
    time::{Span, Wall},
};
pub use watch::{Alerts, Wrong};

/// The activator, as triggers name it. No driver may have this id.
pub const ACTIVATOR: &str = "onealert.redundancy-status";

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A server is believed down; others send in its place.
    FailedOver,
    /// A server that had failed over, or was stopped, is back.
    CameBack,
    /// A server was asked to stop in good order.
    Stopped,
    /// A server's copy of the configuration does not follow, or somebody changed rows by hand.
    SyncError,
    /// A server's clock differs from the others'.
    Clock,
    /// A driver ends again and again, or cannot be started, on a server.
    DriverDegraded,
    /// A notification was too late and was not sent, such as a bell while every server was down.
    Missed,
}

impl Kind {
    /// Every kind, in the order in which people are offered them.
    pub const ALL: [Kind; 7] = [
        Kind::FailedOver,
        Kind::CameBack,
        Kind::Stopped,
        Kind::SyncError,
        Kind::Clock,
        Kind::DriverDegraded,
        Kind::Missed,
    ];

    /// The kind in settings and event keys.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::FailedOver => "failed_over",
            Kind::CameBack => "came_back",
            Kind::Stopped => "stopped",
            Kind::SyncError => "sync_error",
            Kind::Clock => "clock",
            Kind::DriverDegraded => "driver_degraded",
            Kind::Missed => "missed",
        }
    }

    /// The kind as people read it.
    pub const fn title(self) -> &'static str {
        match self {
            Kind::FailedOver => "A server failed over",
            Kind::CameBack => "A server came back",
            Kind::Stopped => "A server was stopped in good order",
            Kind::SyncError => "Synchronisation error",
            Kind::Clock => "Clock differs by 500 ms or more",
            Kind::DriverDegraded => "A driver is degraded or has failed",
            Kind::Missed => "A bell or notification was too late and was not sent",
        }
    }
}

/// What an alert is about. Each matter is told once while it lasts, and not again within the quiet time of the trigger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matter {
    /// What happened.
    pub kind: Kind,
    /// To which server.
    pub server: ServerId,
    /// With which driver.
    pub driver: Option<DriverId>,
    /// It became worse by a step and is told anew for that: a clock that differs by 2 s.
    pub grave: bool,
}

impl Matter {
    /// Something about a server.
    pub fn of(kind: Kind, server: ServerId) -> Matter {
        Matter { kind, server, driver: None, grave: false }
    }

    /// The part of the event key that every server gives this matter alike.
    fn key(&self) -> String {
        let grave = if self.grave { "-grave" } else { "" };
        let driver = self.driver.as_ref().map(|driver| format!("/{driver}")).unwrap_or_default();
        format!("status/{}{grave}/{}{driver}", self.kind.word(), self.server)
    }
}

/// What is known of a matter beyond its kind and subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Why a server is believed down; [`DownReason::Draining`] where it was stopped in good order.
    Down(DownReason),
    /// It is back.
    Back,
    /// By how many milliseconds its clock is ahead of the others'.
    Clock(i64),
    /// What the server says of it itself.
    Said(String),
    /// What was not sent, and when it was due or accepted.
    Missed {
        /// The notification's name.
        name: String,
        /// The moment.
        due: Wall,
    },
}

/// A trigger that is set off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Which trigger.
    pub trigger: TriggerId,
    /// The event's key within the trigger: the same on every server that notices the same.
    pub key: String,
    /// What it is about.
    pub matter: Matter,
    /// What is known of it.
    pub fact: Fact,
    /// Since when, by this server's clock.
    pub since: Wall,
    /// It is over.
    pub over: bool,
    /// Where a server is down or stopped: the priority groups that it would come first in, by name, and who sends for each.
    pub heirs: Vec<(String, Option<ServerId>)>,
    /// This server hears no other: it may be the one that is cut off.
    pub alone: bool,
}

/// The settings of a trigger: which alerts set it off, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// What happened.
    pub kinds: BTreeSet<Kind>,
    /// To which servers; none: to any.
    #[serde(default)]
    pub servers: BTreeSet<ServerId>,
    /// With which drivers, where a driver is degraded; none: with any.
    #[serde(default)]
    pub drivers: BTreeSet<DriverId>,
    /// How long the same matter is not told again, in minutes.
    #[serde(default = "ten")]
    pub quiet_minutes: u32,
}

const fn ten() -> u32 {
    10
}

impl Filter {
    /// The filter of a trigger; `None` where another activator watches for it, or its settings are none of this one's.
    pub fn of(trigger: &Trigger) -> Option<Filter> {
        let ours = trigger.driver.as_ref().is_some_and(|id| id.as_str() == ACTIVATOR);
        ours.then(|| Filter::deserialize(&trigger.settings).ok()).flatten()
    }

    /// Whether a matter sets the trigger off.
    pub fn takes(&self, matter: &Matter) -> bool {
        let driver = matter.driver.as_ref();
        self.kinds.contains(&matter.kind)
            && (self.servers.is_empty() || self.servers.contains(&matter.server))
            && (self.drivers.is_empty() || driver.is_none_or(|driver| self.drivers.contains(driver)))
    }

    /// How long the same matter is not told again.
    pub fn quiet(&self) -> Span {
        Span::secs(60).times(u64::from(self.quiet_minutes.max(1)))
    }

    /// The settings as pages and API describe them, for the servers and drivers of an installation.
    pub fn schema(config: &Config) -> Value {
        let kinds = Kind::ALL.map(Kind::word);
        let told = [Kind::FailedOver, Kind::SyncError, Kind::Clock, Kind::DriverDegraded, Kind::Missed].map(Kind::word);
        let servers = config.servers.values();
        let drivers = config.drivers.values();
        let several = |values: Value, titles: Value| json!({"enum": values, "x-enum-titles": titles});
        let mut schema = json!({
            "type": "object",
            "required": ["kinds", "quiet_minutes"],
            "properties": {
                "kinds": {
                    "title": "What happened", "type": "array", "minItems": 1, "uniqueItems": true,
                    "items": several(json!(kinds), json!(Kind::ALL.map(Kind::title))), "default": told,
                },
                "quiet_minutes": {
                    "title": "Quiet time in minutes", "type": "integer", "minimum": 1, "maximum": 1440, "default": ten(),
                    "description": "The same is not told again within this time. What still lasts when it is over is told then.",
                },
                "servers": {
                    "title": "On these servers", "type": "array", "uniqueItems": true,
                    "description": "None: on every server.",
                    "items": several(
                        servers.clone().map(|row| row.id.to_string()).collect(),
                        servers.map(|row| row.name.clone()).collect(),
                    ),
                },
            },
        });
        // A closed list of nothing is no list.
        if !config.drivers.is_empty() {
            schema["properties"]["drivers"] = json!({
                "title": "With these drivers", "type": "array", "uniqueItems": true,
                "description": "Where a driver is degraded. None: with every driver.",
                "items": several(
                    drivers.clone().map(|row| row.id.to_string()).collect(),
                    drivers.map(|row| row.name.clone()).collect(),
                ),
            });
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerId = ServerId(1);
    const B: ServerId = ServerId(2);

    fn filter(settings: Value) -> Filter {
        Filter::deserialize(settings).expect("good settings")
    }

    #[test]
    fn a_filter_takes_what_it_names_and_without_names_everything() {
        let algo = Matter { driver: Some("com.algo".into()), ..Matter::of(Kind::DriverDegraded, A) };
        let cap = Matter { driver: Some("org.cap".into()), ..algo.clone() };
        let any = filter(json!({"kinds": ["driver_degraded", "failed_over"]}));
        assert!(any.takes(&algo) && any.takes(&Matter::of(Kind::FailedOver, B)));
        assert!(!any.takes(&Matter::of(Kind::CameBack, B)));
        let one = filter(json!({"kinds": ["driver_degraded", "failed_over"], "servers": [A], "drivers": ["com.algo"]}));
        assert!(one.takes(&algo) && !one.takes(&cap) && !one.takes(&Matter::of(Kind::FailedOver, B)));
        assert!(one.takes(&Matter::of(Kind::FailedOver, A)), "drivers say nothing of servers");
        assert_eq!(
            (any.quiet(), filter(json!({"kinds": [], "quiet_minutes": 3})).quiet().as_millis()),
            (Span::secs(600), 180_000)
        );
    }

    #[test]
    fn every_kind_that_the_schema_offers_is_read_as_that_kind() {
        let schema = Filter::schema(&Config::default());
        let offered = &schema["properties"]["kinds"]["items"]["enum"];
        assert_eq!(filter(json!({"kinds": offered})).kinds, BTreeSet::from(Kind::ALL));
    }
}
