//! Every decision that OneAlert takes, without a runtime, socket, file, clock, thread or random number.
//!
//! Reading order: [`ids`] and [`time`], then the nouns ([`config`], [`calendar`], [`activation`], [`knowledge`]), then what can happen
//! ([`event`]) and what can be asked for ([`effect`]), then [`node`], which turns the one into the other. `DESIGN.md` beside
//! the manifest says why it is built so.

#![warn(clippy::print_stderr, clippy::print_stdout, reason = "a server speaks through tracing")]
#![deny(missing_docs)]

mod accept;
pub mod activation;
pub mod alert;
mod alive;
mod answer;
mod as_text;
pub mod calendar;
mod clock;
pub mod config;
pub mod effect;
pub mod event;
mod failback;
mod handover;
pub mod health;
mod hold;
pub mod ids;
pub mod knowledge;
pub mod life;
pub mod lineage;
pub mod members;
mod mesh;
pub mod node;
mod order;
mod own;
pub mod peer_message;
pub mod plan;
pub mod promotion;
pub mod reference;
mod rehearse;
pub mod replicate;
mod retire;
mod run;
pub mod sealed;
mod share;
mod stop;
mod stored;
mod takeover;
pub mod time;
pub mod tuning;
pub mod version;
pub mod view;
mod words;
