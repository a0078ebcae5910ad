//! The outside: folders, feeds, posts, and the way to the server.

pub mod engine;
mod folder;
mod poll;
mod post;

pub use engine::{Clock, Engine, Pace};
pub use folder::watch;
pub use poll::poll;
pub use post::answer;
