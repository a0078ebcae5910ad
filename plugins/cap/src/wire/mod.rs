//! Bytes become messages: decoding, XML and JSON, the CAP elements, feeds and wrappers. No IO, no clock, no policy.

pub mod alert;
pub mod decode;
mod feed;
mod geojson;
pub mod geometry;
mod info;
mod lists;
mod message;
pub mod problem;
mod schema;
pub mod time;
mod vocabulary;
mod xml;

pub use alert::{Alert, Area, Info, Named, Reference, Resource, Stamp, Version};
pub use problem::{Class, Problem, Refusal};
pub use vocabulary::{Category, Certainty, MsgType, ResponseType, Scope, Severity, Status, Urgency};

/// What the sender's protocol said of the bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hint<'a> {
    /// The `charset` of an HTTP content type.
    pub charset: Option<&'a str>,
}

/// Longest document accepted, after decompression.
pub const BODY_BYTES: usize = 8 << 20;

/// One CAP message, as it was understood.
#[derive(Debug, Clone)]
pub struct Message {
    /// What it says.
    pub alert: Alert,
    /// Everything that is wrong with it, in document order.
    pub problems: Vec<Problem>,
}

impl Message {
    /// The worst class among its problems.
    pub fn worst(&self) -> Option<Class> {
        self.problems.iter().map(|problem| problem.class).max()
    }

    /// Whether a validator would let it pass: nothing is wrong beyond advice.
    pub fn is_strictly_valid(&self) -> bool {
        self.worst().is_none_or(|class| class == Class::Advice)
    }
}

/// An entry of a feed that names a document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The entry's own id; not the alert's identifier.
    pub id: String,
    /// When the entry changed, as written.
    pub updated: String,
    /// Where the document is, as written; empty when the entry names none.
    pub link: String,
    /// Whether an alert stood in the entry itself.
    pub embedded: bool,
}

/// How the messages came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// One `alert` element.
    Single,
    /// Several in a wrapper.
    Wrapper,
    /// Atom.
    Atom,
    /// RSS.
    Rss,
    /// EDXL-DE envelope.
    Edxl,
    /// GeoJSON or JSON-LD of the National Weather Service.
    NwsJson,
}

/// A whole document.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its kind.
    pub container: Container,
    /// The messages in it, the unusable ones too.
    pub messages: Vec<Message>,
    /// The entries, if it is a feed.
    pub entries: Vec<Entry>,
}

/// Reads a document of any of the known kinds.
///
/// # Errors
/// Nothing in it can be believed: not well-formed, a document type, over a limit, or not an alert or feed at all. What is
/// wrong with a single message stands in its problems instead.
pub fn read(bytes: &[u8], hint: Hint<'_>) -> Result<Document, Refusal> {
    if bytes.len() > BODY_BYTES {
        return Err(Refusal::TooLarge { found: bytes.len(), limit: BODY_BYTES });
    }
    let text = decode::decode(bytes, hint)?;
    if text.trim_start().starts_with(['{', '[']) { geojson::read(&text) } else { feed::read(&text) }
}
