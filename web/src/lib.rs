//! Pages, JSON API, status URL and live updates: everything that a browser, a script or a load balancer asks a server for.
//!
//! Reading order: [`needs`] (what the host answers), `serve` (listening), `layers` (what lies around every request),
//! `routes`, then `ops` (what a caller can do, for pages and API alike), one file a page and one a resource.

#![warn(clippy::print_stderr, clippy::print_stdout, reason = "a server speaks through tracing")]

mod api;
mod assets;
mod balancer;
mod caller;
mod form;
mod layers;
mod live;
mod login;
pub mod needs;
mod ops;
mod pages;
mod phones;
mod problem;
mod redundancy;
mod reply;
mod request;
mod roles;
mod routes;
pub mod schema;
mod serve;
mod session;
mod site;
mod view;
mod words;

pub use serve::{ServeConfig, bind, serve};
pub use words::{instant, time};
