//! What goes back and forth: calls and requests with their answers, events, lines for the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Delivered, EndpointStatus, Prepared, Record};

/// From the server to the driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "t")]
pub enum ToDriver {
    /// Do something; answered by [`ToHost::Reply`] with the same id.
    Call(Call),
    /// The answer to a [`ToHost::Request`].
    Answer {
        /// The request's id.
        id: u64,
        /// The outcome.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// The caller no longer waits for this call; stop working on it.
    Cancel {
        /// The call's id.
        id: u64,
    },
    /// Are you there? Answered by a reply with the same id from the driver's own runtime.
    Ping {
        /// Names the question.
        id: u64,
    },
    /// Finish what runs, then end. The server waits up to 30 s.
    Stop,
    /// A document of a later version; ignored and counted.
    #[serde(other)]
    Other,
}

/// One operation asked of the driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Names the call in its reply.
    pub id: u64,
    /// The operation: one of the words in [`crate::capability`], or a word of the host's own such as `desired`.
    pub op: String,
    /// The activation it belongs to, if any. A call with the same operation and activation may arrive twice: the second
    /// does nothing and gives the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<String>,
    /// How long the caller waits, in milliseconds. The author side cancels the call then.
    #[serde(default = "default_deadline_ms")]
    pub deadline_ms: u64,
    /// The operation's own document.
    #[serde(default)]
    pub body: Value,
}

fn default_deadline_ms() -> u64 {
    5000
}

/// From the driver to the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "t")]
pub enum ToHost {
    /// The answer to a [`ToDriver::Call`] or [`ToDriver::Ping`].
    Reply {
        /// The call's id.
        id: u64,
        /// The outcome.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// Ask the server for something; answered by [`ToDriver::Answer`]. Operations: `trigger` with a [`TriggerEvent`](super::TriggerEvent),
    /// answered by a [`TriggerAnswer`](super::TriggerAnswer).
    Request {
        /// Names the request in its answer.
        id: u64,
        /// The operation.
        op: String,
        /// Its document.
        #[serde(default)]
        body: Value,
    },
    /// Something happened; nobody answers.
    Event(Event),
    /// After [`ToDriver::Stop`]: every call is finished, the process may end.
    Stopped,
    /// A line for the server's log, under the driver's id.
    Log {
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: String,
        /// The text.
        message: String,
        /// Structured values.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, Value>,
    },
    /// A document of a later version; ignored and counted.
    #[serde(other)]
    Other,
}

/// How a call or request went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It worked; the operation's answer.
    Ok(Value),
    /// It did not.
    Err(Failure),
}

/// Why something did not work: a word for programs and a text for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// `unsupported`, `unreachable`, `refused`, `timeout`, `cancelled`, `panicked`, `bad_document`, `restarted`, or a word
    /// of the driver's own.
    pub code: String,
    /// Lower case, names the thing and the value.
    pub message: String,
}

impl Failure {
    /// A failure with this word and text.
    pub fn new(code: &str, message: impl Into<String>) -> Failure {
        Failure { code: code.to_owned(), message: message.into() }
    }
}

/// Something that happened in the driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Event {
    /// Results of a running `begin`, as they come.
    Delivered {
        /// The activation.
        activation: String,
        /// One a endpoint.
        results: Vec<Delivered>,
    },
    /// How endpoints are that `prepare` answered with [`PreparedState::Later`](super::PreparedState::Later).
    Prepared {
        /// The activation.
        activation: String,
        /// One a endpoint; not `Later` again.
        prepared: Vec<Prepared>,
    },
    /// What is known of an endpoint changed (a `probe`, or the driver's own watching).
    EndpointStatus(EndpointStatus),
    /// Something seen and judged, kept so that an operator can ask later why nothing was sent.
    Record(Record),
    /// An event of a later version; ignored and counted.
    #[serde(other)]
    Other,
}
