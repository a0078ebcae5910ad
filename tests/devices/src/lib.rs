//! Simulated devices: real sockets, answers as the real ones give them, and knobs for everything that goes wrong.
//!
//! They live inside a tokio process: the demo and the acceptance tests run dozens of them, a fan-out test a thousand. What a
//! vendor does not document is a choice of ours; each such choice is marked `Choice:` where it is made, so that nobody takes
//! it for the vendor's word.
#![deny(missing_docs)]

pub mod algo;

pub use algo::{AlgoConfig, AlgoSim};
