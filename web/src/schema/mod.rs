//! Values described by a driver's JSON Schema: their fields, their secrets, whether they are right, and their form.
//!
//! The accepted part of JSON Schema is small (ecosystem sheet, section 5). What a schema holds beyond it is shown as a box
//! for JSON text and left to the driver to judge.

mod check;
mod field;
pub mod form;
mod secrets;

pub use check::check;
pub use field::{Field, Kind, fields};
pub use secrets::{blank_secrets, each_secret, keep_secrets};
