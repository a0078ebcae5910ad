//! The driver to copy: writes what is announced as lines into text files.
//!
//! It is complete: settings with a check of their own, endpoints, prepare, begin, update, end, probe and self test. What a
//! real driver does instead of writing a line stands in `journal`; everything else keeps its form.

mod driver;
mod journal;

pub use driver::{Endpoint, Settings, Skeleton};

onealert_plugin_api::export_plugin!(Skeleton, id: "org.onealert.skeleton", vendor: "OneAlert", name: "Text files");
