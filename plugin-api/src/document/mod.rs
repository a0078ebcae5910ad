//! The documents that cross between server and driver: JSON, one type each.
//!
//! Rules of growth: unknown fields are ignored; a new field has a default; a field never changes its meaning; a closed list
//! reads an unknown word as its `Other` case; an unknown `op` is answered with the error `unsupported`. What a driver can
//! do is asked by [capability words](crate::capability), not by version.

mod delivery;
mod exchange;
mod http;
mod settings;
mod trigger;

pub use self::{
    delivery::{
        Activation, Codec, Delivered, DeliveredState, End, EndpointStatus, Health, Prepared, PreparedState, Priority,
        Probe, RtpDestination, Target,
    },
    exchange::{Call, Event, Failure, Outcome, ToDriver, ToHost},
    http::{HttpRequest, HttpResponse},
    settings::{Description, Desired, Open, Problem, SettingsCheck, SettingsMigrate},
    trigger::{Action, Record, TriggerAnswer, TriggerEvent, Watch},
};
