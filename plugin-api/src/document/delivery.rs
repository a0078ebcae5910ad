//! Endpoints, and what is delivered to them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// [`Event::Prepared`](super::Event::Prepared); the endpoint then joins what the others have begun. They do not wait for it.
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
