//! A CAP message as the rest of the driver sees it, whatever form it came in.

use serde::{Deserialize, Serialize};

use super::{
    Category, Certainty, MsgType, ResponseType, Scope, Severity, Status, Urgency,
    geometry::{Circle, Polygon},
    time,
};

/// Which form it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// CAP 1.0.
    V10,
    /// CAP 1.1.
    V11,
    /// CAP 1.2.
    V12,
    /// JSON of the National Weather Service.
    NwsJson,
}

/// A time with the text it was written as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since 1970 UTC.
    pub ms: i64,
    /// As written.
    pub text: String,
}

/// A name and a value: event codes, parameters, geocodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Which list the value is from.
    pub name: String,
    /// The value.
    pub value: String,
}

/// An earlier message that this one speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its sender.
    pub sender: String,
    /// Its identifier.
    pub identifier: String,
    /// When it was sent, in milliseconds since 1970 UTC, if that is readable.
    pub sent_ms: Option<i64>,
}

impl Reference {
    /// The key of the message it names, if the instant is known.
    pub fn key(&self) -> Option<String> {
        self.sent_ms.map(|sent| key(&self.sender, &self.identifier, sent))
    }
}

/// One spelling for (sender, identifier, sent): the same on every server, whatever offset the time was written with.
pub fn key(sender: &str, identifier: &str, sent_ms: i64) -> String {
    format!("{sender},{identifier},{}", time::canonical(sent_ms))
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Which form it came in.
    pub version: Version,
    /// Unique for its sender.
    pub identifier: String,
    /// Who sent it.
    pub sender: String,
    /// When.
    pub sent: Option<Stamp>,
    /// Whether it is meant; `None` for a word that is not in the list.
    pub status: Option<Status>,
    /// What it does to earlier messages; `None` for a word that is not in the list.
    pub msg_type: Option<MsgType>,
    /// Operator or device.
    pub source: String,
    /// For whom.
    pub scope: Scope,
    /// Why it is restricted.
    pub restriction: String,
    /// To whom it is addressed.
    pub addresses: Vec<String>,
    /// Profile and layer markers.
    pub codes: Vec<String>,
    /// Purpose or reason.
    pub note: String,
    /// Earlier messages that it replaces, ends, acknowledges or rejects.
    pub references: Vec<Reference>,
    /// Names of incidents.
    pub incidents: Vec<String>,
    /// What it says, once for each language, area or level.
    pub infos: Vec<Info>,
    /// How many XML signatures it carries.
    pub signatures: usize,
}

impl Alert {
    /// An alert in which nothing is said yet.
    pub fn empty(version: Version) -> Alert {
        Alert {
            version,
            identifier: String::new(),
            sender: String::new(),
            sent: None,
            status: None,
            msg_type: None,
            source: String::new(),
            scope: Scope::Public,
            restriction: String::new(),
            addresses: Vec::new(),
            codes: Vec::new(),
            note: String::new(),
            references: Vec::new(),
            incidents: Vec::new(),
            infos: Vec::new(),
            signatures: 0,
        }
    }

    /// The key of this message, once `sent` is known.
    pub fn key(&self) -> Option<String> {
        self.sent.as_ref().map(|sent| key(&self.sender, &self.identifier, sent.ms))
    }
}

/// One block of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// BCP 47; `en-US` where nothing is said.
    pub language: String,
    /// What kind of event.
    pub categories: Vec<Category>,
    /// The event, in the block's language.
    pub event: String,
    /// What to do.
    pub response_types: Vec<ResponseType>,
    /// How soon.
    pub urgency: Urgency,
    /// How bad.
    pub severity: Severity,
    /// How sure.
    pub certainty: Certainty,
    /// For whom, in words.
    pub audience: String,
    /// Event codes.
    pub event_codes: Vec<Named>,
    /// From when the message holds; `sent` where nothing is said.
    pub effective: Option<Stamp>,
    /// When the hazard begins.
    pub onset: Option<Stamp>,
    /// When the message ends.
    pub expires: Option<Stamp>,
    /// Sender for people.
    pub sender_name: String,
    /// One line.
    pub headline: String,
    /// The text.
    pub description: String,
    /// What to do, in words.
    pub instruction: String,
    /// Where to read more.
    pub web: String,
    /// Whom to ask.
    pub contact: String,
    /// Parameters.
    pub parameters: Vec<Named>,
    /// Files.
    pub resources: Vec<Resource>,
    /// Where.
    pub areas: Vec<Area>,
}

impl Default for Info {
    fn default() -> Info {
        Info {
            language: "en-US".to_owned(),
            categories: Vec::new(),
            event: String::new(),
            response_types: Vec::new(),
            urgency: Urgency::Unknown,
            severity: Severity::Unknown,
            certainty: Certainty::Unknown,
            audience: String::new(),
            event_codes: Vec::new(),
            effective: None,
            onset: None,
            expires: None,
            sender_name: String::new(),
            headline: String::new(),
            description: String::new(),
            instruction: String::new(),
            web: String::new(),
            contact: String::new(),
            parameters: Vec::new(),
            resources: Vec::new(),
            areas: Vec::new(),
        }
    }
}

impl Info {
    /// The values of a parameter.
    pub fn parameter<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(move |it| it.name == name).map(|it| it.value.as_str())
    }

    /// The values of an event code list.
    pub fn event_code<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.event_codes.iter().filter(move |it| it.name.eq_ignore_ascii_case(name)).map(|it| it.value.as_str())
    }
}

/// A file that belongs to a block. What is inline is measured, not kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resource {
    /// What it is.
    pub description: String,
    /// Its MIME type.
    pub mime_type: String,
    /// Where it is.
    pub uri: String,
    /// Bytes of base64 that came inline.
    pub inline_bytes: usize,
}

/// A place: the union of all its shapes and codes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Area {
    /// In words.
    pub description: String,
    /// Usable polygons.
    pub polygons: Vec<Polygon>,
    /// Usable circles.
    pub circles: Vec<Circle>,
    /// Codes.
    pub geocodes: Vec<Named>,
    /// Feet above sea level.
    pub altitude: Option<f64>,
    /// Feet above sea level.
    pub ceiling: Option<f64>,
}
