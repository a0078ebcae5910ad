//! Every decision that OneAlert takes, without a runtime, socket, file, clock, thread or random number.
//!
//! Reading order: [`ids`] and [`time`], then the nouns ([`config`], [`activation`], [`knowledge`]), then what can happen
//! ([`event`]) and what can be asked for ([`effect`]).

pub mod activation;
pub mod config;
pub mod effect;
pub mod event;
pub mod ids;
pub mod knowledge;
pub mod node;
pub mod peer_message;
pub mod replicate;
pub mod time;
pub mod tuning;
pub mod version;
pub mod view;
