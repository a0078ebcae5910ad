//! The driver for Algo IP speakers, paging adapters, strobes, displays and door controllers.
//!
//! Reading order: [`settings`] what an administrator enters, [`wire`] what goes over the wire, [`model`] what which device can
//! do, [`urgency`] from the host's scale to the devices', [`device`] one device over time, [`plan`] from an announcement to
//! commands; all of that is free of IO. Behind it: the way to one device (`link`), all devices (`fleet`), announcements
//! (`deliver`) and the driver's own trait (`driver`).

mod deliver;
pub mod device;
mod driver;
mod fleet;
mod hold;
mod keep;
mod late;
mod link;
pub mod model;
pub mod plan;
pub mod reason;
mod runs;
pub mod settings;
pub mod urgency;
pub mod wire;

pub use driver::Algo;

onealert_plugin_api::export_plugin!(Algo, id: "com.algosolutions.ip", vendor: "OneAlert", name: "Algo IP devices");
