//! Pages, JSON API, status URL and live updates: everything that a browser, a script or a load balancer asks a server for.
//!
//! Reading order: [`needs`] (what the host answers), `serve`, `routes`, `roles`, then one file a page and one a resource.

pub mod needs;
mod problem;
pub mod schema;
mod serve;
mod view;

pub use serve::{ServeConfig, serve};
