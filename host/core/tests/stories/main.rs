//! The node's rules told as stories: what happens when, and who did what.

mod drill;
mod drivers;
mod failback;
mod peers;
mod rules;
mod what_if;
mod world;
