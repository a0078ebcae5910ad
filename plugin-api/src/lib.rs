//! The contract between OneAlert and its drivers.

pub mod capability;
pub mod document;
pub mod driver;
pub mod host;
pub mod manifest;
