//! The node's rules told as stories: what happens when, and who did what.

mod drivers;
mod peers;
mod rules;
mod world;
