//! The node's rules told as stories: what happens when, and who did what.

mod accepting;
mod alerts;
mod copies;
mod drill;
mod drivers;
mod ending;
mod failback;
mod peers;
mod succeeding;
mod switching_off;
mod what_if;
mod world;
