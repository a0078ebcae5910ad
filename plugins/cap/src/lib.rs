//! CAP alerts, from any feed, file or sender, become trigger events.

pub mod wire;
