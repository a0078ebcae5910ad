//! Messages become verdicts: what each trigger does with each message, and why. No IO and no clock: the caller says what time
//! it is.

mod bits;
mod book;
mod explain;
pub mod filter;
mod incident;
mod life;
mod patterns;
mod places;
mod sets;
mod text;
mod vtec;

pub use book::{Book, FileMark, Outgoing, Trigger};
pub use explain::explain;
pub use filter::Rules;
pub use sets::Set;

use serde::Serialize;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It starts the trigger's notifications.
    Fired,
    /// It replaces what an earlier message started.
    Updated,
    /// It ends what an earlier message started.
    Stopped,
    /// It changes nothing that has to be heard again.
    Quiet,
    /// A condition does not hold.
    Filtered,
    /// It was seen before, or says what is running already.
    Duplicate,
    /// Its time was over when it came.
    Expired,
    /// A later message took its place, or cancelled it, before it came.
    Superseded,
    /// It waits for its time.
    Held,
    /// It is kept for the record only: a receipt, or a cancellation of nothing.
    Logged,
    /// It cannot be used.
    Refused,
    /// The server has not taken it yet; it is offered again.
    Waiting,
}

impl Outcome {
    /// The word in records.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Fired => "fired",
            Outcome::Updated => "updated",
            Outcome::Stopped => "stopped",
            Outcome::Quiet => "quiet",
            Outcome::Filtered => "filtered",
            Outcome::Duplicate => "duplicate",
            Outcome::Expired => "expired",
            Outcome::Superseded => "superseded",
            Outcome::Held => "held",
            Outcome::Logged => "logged",
            Outcome::Refused => "refused",
            Outcome::Waiting => "waiting",
        }
    }
}

/// What became of one message at one trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The message's identifier, or what stands for it.
    pub subject: String,
    /// The trigger; `None` when no trigger was asked.
    pub trigger: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
    /// Everything that is wrong with the message.
    pub problems: Vec<String>,
}
