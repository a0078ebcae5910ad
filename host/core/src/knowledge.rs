//! What a server knows of one activation: a value with a join (redundancy sheet, section 4.2).
//!
//! Receiving any message means joining it in. The join is commutative, associative and idempotent, so lost, repeated and
//! reordered messages do no harm.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    activation::{Content, EndpointState},
    effect::Outcome,
    ids::ServerId,
    time::Wall,
};

/// What a server knows of one activation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knowledge {
    /// What is sent; the same wherever the activation is known.
    pub content: Arc<Content>,
    /// The highest attempt heard of: 0 for the first owner, one more at each takeover.
    pub attempt: u32,
    /// Who owns that attempt. On equal attempts the lower rank in the content's group wins.
    pub owner: ServerId,
    /// The owner of this attempt has begun.
    pub started: bool,
    /// Somebody stopped it. Never becomes unset.
    pub stopped: bool,
    /// Accepted with one copy only.
    pub degraded: bool,
    /// What is known of each endpoint, by index.
    pub states: Vec<EndpointState>,
    /// It is over: how, and when by the clock of the server that ended it.
    pub ended: Option<(Outcome, Wall)>,
}
