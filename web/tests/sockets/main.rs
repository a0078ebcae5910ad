//! The web side through real sockets, with an installation in memory behind it.

mod api;
mod connections;
mod device;
mod forms;
mod live;
mod pages;
mod phones;
mod redundancy;
mod roles;
mod schedules;
mod security;
mod sending;
mod servers;
mod signing_in;
mod status_url;
mod support;
mod trust;
#[path = "../world/mod.rs"]
mod world;
