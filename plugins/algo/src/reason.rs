//! Why a device did not do what was asked: what happened, and what to do about it.

/// A failure, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The endpoint's own fields make no sense.
    #[error("{0}")]
    Endpoint(String),
    /// The model cannot do it.
    #[error("model {model} does not have {ability}: use another device or another kind of endpoint")]
    Family {
        /// The model.
        model: String,
        /// What it lacks.
        ability: &'static str,
    },
    /// The firmware cannot do it.
    #[error("{have} has no {ability}; it came with {floor}: update the device's firmware")]
    Floor {
        /// The firmware.
        have: String,
        /// What it lacks.
        ability: &'static str,
        /// Where it came with.
        floor: String,
    },
    /// A strobe pattern that the model does not have.
    #[error("model {model} has no strobe pattern {pattern}: choose one of {known}")]
    Pattern {
        /// The model.
        model: String,
        /// The pattern.
        pattern: u8,
        /// Those it has.
        known: String,
    },
    /// The signature was refused with the clocks in step.
    #[error(
        "the device refuses the password or the authentication method (status {status}): compare both with Advanced Settings > \
         Admin > RESTful API on the device"
    )]
    Refused {
        /// What it answered.
        status: u16,
    },
    /// Not one path of the API is there.
    #[error(
        "the device knows no RESTful API: switch it on under Advanced Settings > Admin > RESTful API on the device"
    )]
    ApiOff,
    /// The path is not there.
    #[error("{call}: not on this device or firmware (status {status})")]
    NotThere {
        /// Which.
        call: String,
        /// What it answered.
        status: u16,
    },
    /// The device did not like a value.
    #[error("{call}: the device refuses a value: {body}")]
    BadValue {
        /// Which.
        call: String,
        /// What it answered, shortened.
        body: String,
    },
    /// Any other answer that is not success.
    #[error("{call}: the device answered with status {status}: {body}")]
    Status {
        /// Which.
        call: String,
        /// What it answered.
        status: u16,
        /// What it answered, shortened.
        body: String,
    },
    /// A read that is not JSON, or not the expected JSON.
    #[error("{call}: the answer cannot be read: {body}")]
    Garbage {
        /// Which.
        call: String,
        /// What it answered, shortened.
        body: String,
    },
    /// It sends us somewhere that is not its own https.
    #[error("the device redirects to `{to}`, which is not its own https address")]
    Redirect {
        /// Where to.
        to: String,
    },
    /// No answer at all.
    #[error("the device cannot be reached ({0}): check its power, its network and its address")]
    Unreachable(String),
    /// Something answers, and it is not a device's answer.
    #[error("the device gives no proper answer ({0})")]
    NoAnswer(String),
    /// The certificate is not the pinned one.
    #[error(
        "{0}: if the device was replaced or reset, enter its new fingerprint; otherwise somebody else answers at its address"
    )]
    Certificate(String),
    /// The device does not listen.
    #[error("multicast on the device is {0}: set Multicast Mode to Receiver on the device")]
    Mode(String),
    /// The device has no address for the zone.
    #[error("zone {0} has no address on the device: set it under Multicast on the device")]
    NoZone(String),
    /// It has not been read yet which address the zone has.
    #[error("the zones of the device could not be read yet: {0}")]
    ZonesUnknown(Box<Reason>),
    /// It plays another zone.
    #[error("the device reports that it is receiving zone {found}, not zone {wanted}: another announcement has it")]
    OtherZone {
        /// The one it plays.
        found: u8,
        /// Ours.
        wanted: u8,
    },
    /// It hears nothing.
    #[error("packets were sent, and the device reports `{0}`: check that multicast reaches it (IGMP, VLAN, TTL)")]
    Silent(String),
    /// A call has the loudspeaker.
    #[error("packets were sent, and the device reports that it is in a call ({0})")]
    InCall(String),
    /// The announcement ended before its turn came.
    #[error("the announcement ended before the device could be told")]
    Over,
}

impl Reason {
    /// Whether nobody could ask the device, as against a device that answered with no.
    pub fn is_out_of_reach(&self) -> bool {
        matches!(self, Reason::Unreachable(_) | Reason::NoAnswer(_) | Reason::Certificate(_))
    }
}

/// An answer's body for a message: one line, not long.
pub fn shorten(body: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(body).chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    if text.is_empty() { "no text".to_owned() } else { format!("`{text}`") }
}
