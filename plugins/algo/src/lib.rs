//! The driver for Algo IP speakers, paging adapters, strobes, displays and door controllers.

pub mod device;
pub mod model;
pub mod plan;
pub mod reason;
pub mod settings;
pub mod urgency;
pub mod wire;
