//! The documents that cross between server and driver: JSON, one type each.
//!
//! Rules of growth: unknown fields are ignored; a new field has a default; a field never changes its meaning; a closed list
//! reads an unknown word as its `Other` case; an unknown `op` is answered with the error `unsupported`. What a driver can
//! do is asked by [capability words](crate::capability), not by version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Ask the server for something; answered by [`ToDriver::Answer`]. Operations: `trigger` with a [`TriggerEvent`],
    /// answered by a [`TriggerAnswer`].
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

/// What a driver is opened with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Open {
    /// Where the driver may keep files; made by the host.
    #[serde(default)]
    pub state_dir: String,
    /// The settings. Without them no driver is made: what was opened then answers `settings.check`, `settings.migrate` and
    /// pings only, so that settings can be judged before there are valid ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
}

/// The body of `settings.check`, answered by a list of [`Problem`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SettingsCheck {
    /// The settings to judge.
    #[serde(default)]
    pub settings: Value,
}

/// The body of `settings.migrate`, answered by the settings in today's form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SettingsMigrate {
    /// The driver's version that wrote them.
    #[serde(default)]
    pub from: String,
    /// The settings as they were written.
    #[serde(default)]
    pub value: Value,
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
    /// How endpoints are that `prepare` answered with [`PreparedState::Later`].
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

/// The whole of what the driver is to look after, sent after `ready` and whenever it changes. Idempotent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Desired<E = Value, T = Value> {
    /// Every endpoint of this driver.
    #[serde(default = "Vec::new")]
    pub endpoints: Vec<Target<E>>,
    /// Every trigger of this driver.
    #[serde(default = "Vec::new")]
    pub triggers: Vec<Watch<T>>,
}

/// An endpoint as the driver sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target<E = Value> {
    /// The endpoint's key.
    pub endpoint: String,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// Where and how, by the driver's endpoint schema.
    pub address: E,
}

/// A trigger as the driver sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watch<T = Value> {
    /// The trigger's key.
    pub trigger: String,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// What to watch for, by the driver's trigger schema.
    pub settings: T,
}

/// How urgent: the host's abstract scale. A driver maps it to the device's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", from = "String")]
pub enum Priority {
    /// Background music.
    Music,
    /// Bells and timers.
    Bell,
    /// Ordinary pages; also what an unknown word reads as.
    #[default]
    Page,
    /// Weather and other warnings.
    Alert,
    /// Lockdown, evacuation.
    Emergency,
}

impl From<String> for Priority {
    fn from(word: String) -> Priority {
        match word.as_str() {
            "music" => Priority::Music,
            "bell" => Priority::Bell,
            "alert" => Priority::Alert,
            "emergency" => Priority::Emergency,
            _ => Priority::Page,
        }
    }
}

/// What is to be delivered, and to which of the driver's endpoints: the body of `prepare` and `begin`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activation<E = Value> {
    /// The activation's id: 32 hexadecimal digits.
    pub id: String,
    /// 0 for the first owner, more after a takeover.
    #[serde(default)]
    pub attempt: u32,
    /// How urgent.
    #[serde(default)]
    pub priority: Priority,
    /// One line for displays.
    #[serde(default)]
    pub title: String,
    /// The text for displays.
    #[serde(default)]
    pub body: String,
    /// Whether audio belongs to it. `prepare` then gives RTP destinations for endpoints that can be heard.
    #[serde(default)]
    pub has_audio: bool,
    /// How long the audio lasts, in milliseconds, when known.
    #[serde(default)]
    pub audio_ms: Option<u64>,
    /// The endpoints of this driver that this call is about.
    pub endpoints: Vec<Target<E>>,
}

/// The answer of `prepare` for one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// The endpoint's key.
    pub endpoint: String,
    /// Ready or failed.
    #[serde(flatten)]
    pub state: PreparedState,
}

/// Whether an endpoint can be sent to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PreparedState {
    /// It can. With destinations it is heard through them; without, `begin` alone does everything.
    Ready {
        /// Where the server's media engine sends the audio. Several endpoints may name the same multicast group: it is
        /// sent once.
        #[serde(default)]
        rtp: Vec<RtpDestination>,
    },
    /// It cannot yet: its device has to be asked, and is slow. The driver goes on and says more with
    /// [`Event::Prepared`]; the endpoint then joins what the others have begun. They do not wait for it.
    Later {
        /// Why, for people: what stands in the record if nothing more comes.
        reason: String,
    },
    /// It cannot.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// Where audio is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RtpDestination {
    /// IP address, unicast or multicast. `0.0.0.0` stands for the Multicast IP Address of the server that sends.
    pub address: std::net::IpAddr,
    /// UDP port.
    pub port: u16,
    /// The encoding.
    #[serde(default)]
    pub codec: Codec,
    /// Time a packet, in milliseconds: 10, 20 or 30.
    #[serde(default = "twenty")]
    pub packet_ms: u8,
    /// Silence before the content, in milliseconds, for devices that open late.
    #[serde(default)]
    pub lead_in_ms: u32,
    /// Digits sent as RFC 4733 events before the content.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dtmf: String,
}

fn twenty() -> u8 {
    20
}

/// An audio encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// G.711 mu-law, payload type 0: what every device takes.
    #[default]
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.722, payload type 9.
    G722,
}

/// What happened at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The endpoint's key.
    pub endpoint: String,
    /// Acknowledged or failed.
    #[serde(flatten)]
    pub state: DeliveredState,
}

/// Whether an endpoint has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DeliveredState {
    /// It has it, as far as its interface can prove. Never claim more than that.
    Acked {
        /// What proves it, such as `device accepted tone chime.wav`.
        #[serde(default)]
        note: String,
    },
    /// It does not.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// The body of `end`: the activation is over for these endpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct End<E = Value> {
    /// The activation's id.
    pub id: String,
    /// `finished`, `stopped`, `expired`, `interrupted` or `yielded`.
    pub reason: String,
    /// The endpoints of this driver that took part.
    pub endpoints: Vec<Target<E>>,
}

/// The body of `probe`: look at these endpoints and report each as [`EndpointStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe<E = Value> {
    /// The endpoints.
    pub endpoints: Vec<Target<E>>,
}

/// What is known of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// The endpoint's key.
    pub endpoint: String,
    /// Whether it can be used.
    pub health: Health,
    /// One line for people: model and firmware, or what is wrong.
    #[serde(default)]
    pub detail: String,
}

/// Whether something can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Yes.
    Ok,
    /// Yes, but something is wrong.
    Warning,
    /// No.
    Error,
    /// Not known yet.
    #[serde(other)]
    Unknown,
}

/// What a trigger event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// End what the replaced keys started, and start with the new text.
    Update,
    /// End what the replaced keys started.
    Stop,
    /// Start the trigger's notifications; also what an unknown word reads as.
    #[default]
    #[serde(other)]
    Start,
}

/// The body of the request `trigger`: something that a trigger watches for has happened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TriggerEvent {
    /// The trigger's key.
    pub trigger: String,
    /// What happened, named the same on every server that can see it (for CAP: sender, identifier and sent). The server
    /// puts the trigger's key in front. Empty: the server draws one, for events that only one server can see.
    #[serde(default)]
    pub key: String,
    /// Start, update or stop.
    #[serde(default)]
    pub action: Action,
    /// The keys of earlier events of this trigger that this one replaces or ends.
    #[serde(default)]
    pub replaces: Vec<String>,
    /// For `{activatorTitle}`.
    #[serde(default)]
    pub title: String,
    /// For `{activatorBody}`.
    #[serde(default)]
    pub body: String,
    /// For `{activatorLocation}`.
    #[serde(default)]
    pub location: String,
    /// For `{activatorCoordinates}`.
    #[serde(default)]
    pub coordinates: String,
    /// For `{callerID}`: who or what sent it.
    #[serde(default)]
    pub source: String,
    /// Past this it is not sent, in milliseconds since 1970 UTC.
    #[serde(default)]
    pub expires_ms: Option<i64>,
    /// Anything else, for records.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// The answer to a trigger event. By then it is safe: durable here and, unless degraded, on another server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TriggerAnswer {
    /// The activations that run for it; empty when no notification names the trigger.
    #[serde(default)]
    pub activations: Vec<String>,
    /// The event was known already.
    #[serde(default)]
    pub duplicate: bool,
    /// Accepted with one copy only.
    #[serde(default)]
    pub degraded: bool,
}

/// Something a driver saw and judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it is about, such as a CAP message's identifier.
    pub subject: String,
    /// The trigger it was judged for, if one.
    #[serde(default)]
    pub trigger: Option<String>,
    /// One word: `fired`, `filtered`, `duplicate`, `expired`, `refused`, `cancelled`, `updated`, …
    pub verdict: String,
    /// Why, for people.
    pub reason: String,
}

/// The body of `http`: a request that a device or feed made to our server under the driver's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path below the driver's own, starting with `/`.
    pub path: String,
    /// The query without the question mark.
    #[serde(default)]
    pub query: String,
    /// Names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as text; bytes that are not UTF-8 are in `body_base64` instead.
    #[serde(default)]
    pub body: String,
    /// The body in base64 when it is not UTF-8.
    #[serde(default)]
    pub body_base64: String,
    /// The caller's address.
    #[serde(default)]
    pub peer: String,
}

/// The answer of `http`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The content type.
    #[serde(default)]
    pub content_type: String,
    /// The body.
    #[serde(default)]
    pub body: String,
}

/// One finding of `settings.check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The field, as a JSON pointer such as `/poll_seconds`; empty for the whole.
    #[serde(default)]
    pub path: String,
    /// What is wrong and what to do, lower case.
    pub message: String,
}

/// The answer of the driver's `describe`: what only running code can tell. Repeats the manifest exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The manifest.
    pub manifest: crate::manifest::Manifest,
    /// Capability words.
    pub capabilities: Vec<String>,
    /// JSON Schema of the settings.
    pub settings_schema: Value,
    /// JSON Schema of an endpoint's address; null for a driver without endpoints.
    #[serde(default)]
    pub endpoint_schema: Value,
    /// JSON Schema of a trigger's settings; null for a driver without triggers.
    #[serde(default)]
    pub trigger_schema: Value,
}
