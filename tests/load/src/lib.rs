//! Activations at a steady rate, and endpoints that count them.
//!
//! A [`Site`] is an installation with simulated displays. Every activation shows a text of its own, so that each contact with
//! a display can be told from every other, whoever made it: what was accepted and never shown is lost, what was shown twice
//! is doubled. The site watches the machine that it runs on: who is late because that stands still is rightly replaced.
//! [`Load`] is the caller: like a person or a balancer it asks the next server when one does not answer, with the same key, so
//! that the same event is meant.

mod count;
mod load;
mod site;
mod why;
mod witness;

pub use count::Count;
pub use load::{Load, Sent};
pub use site::{LINES, Site};
pub use why::{Explained, Fault, Why};
