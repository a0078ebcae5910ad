//! What can be wrong: with a message (a list, so that all is said at once) or with a whole document.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a problem is, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Allowed, but a hint is due.
    Advice,
    /// Breaks the standard; understood all the same.
    Usable,
    /// Something is missing without which the message cannot act.
    Essential,
    /// Cannot be taken for a message at all.
    Fatal,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Advice => "advice",
            Class::Usable => "usable",
            Class::Essential => "essential",
            Class::Fatal => "fatal",
        })
    }
}

/// One thing that is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// How bad.
    pub class: Class,
    /// Where: `alert/info[2]/area[1]/polygon[1]`, counted from 1.
    pub path: String,
    /// The value found there, shortened; empty when the point is that nothing is there.
    pub value: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        if !self.value.is_empty() {
            write!(f, " (`{}`)", self.value)?;
        }
        Ok(())
    }
}

/// Most problems listed for one message; the rest is counted in a last line.
pub const MOST_PROBLEMS: usize = 100;

/// A place in a document, as a chain to the root. Written out only when a problem is found.
#[derive(Clone, Copy)]
pub struct At<'a> {
    parent: Option<&'a At<'a>>,
    name: &'a str,
    /// From 1; 0 for an element that can stand only once.
    index: usize,
}

impl<'a> At<'a> {
    /// The root of a path.
    pub fn root(name: &'a str) -> At<'a> {
        At { parent: None, name, index: 0 }
    }

    /// An element inside.
    pub fn child(&'a self, name: &'a str) -> At<'a> {
        At { parent: Some(self), name, index: 0 }
    }

    /// One of several elements of that name inside, counted from 1.
    pub fn nth(&'a self, name: &'a str, index: usize) -> At<'a> {
        At { parent: Some(self), name, index }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}/")?;
        }
        f.write_str(self.name)?;
        if self.index > 0 {
            write!(f, "[{}]", self.index)?;
        }
        Ok(())
    }
}

/// The problems of one message while it is read.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    beyond: usize,
    beyond_class: Option<Class>,
}

impl Problems {
    /// Adds one.
    pub fn add(&mut self, class: Class, at: &At<'_>, value: &str, message: &str) {
        // A problem that decides the message's fate is kept, however many milder ones came before it.
        if self.list.len() >= MOST_PROBLEMS && class < Class::Essential {
            self.beyond += 1;
            self.beyond_class = self.beyond_class.max(Some(class));
            return;
        }
        let problem = Problem { class, path: at.to_string(), value: shorten(value, 80), message: message.to_owned() };
        self.list.push(problem);
    }

    /// The list.
    pub fn finish(mut self) -> Vec<Problem> {
        if let Some(class) = self.beyond_class {
            self.list.push(Problem {
                class,
                path: "alert".to_owned(),
                value: String::new(),
                message: format!("{} more problems are not listed", self.beyond),
            });
        }
        self.list
    }
}

/// The first characters of a text, with a mark where something was left out.
pub fn shorten(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Why a whole document was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than accepted.
    #[error("the document has {found} bytes, at most {limit} are accepted")]
    TooLarge {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Nothing in it.
    #[error("the document is empty")]
    Empty,
    /// Its bytes are not text in the encoding it names.
    #[error("the document is not valid {0}: send UTF-8, or name the encoding that is used")]
    Encoding(String),
    /// It names an encoding that nobody knows.
    #[error("the encoding `{0}` is not known: send UTF-8")]
    UnknownEncoding(String),
    /// It has a document type, the door to entity attacks. No alert needs one.
    #[error("the document has a DOCTYPE, which is refused: remove it")]
    Doctype,
    /// Not XML.
    #[error("not well-formed XML at byte {at}: {message}")]
    NotWellFormed {
        /// Where, in bytes after decoding.
        at: u64,
        /// What the parser says.
        message: String,
    },
    /// Not JSON.
    #[error("not well-formed JSON: {0}")]
    NotJson(String),
    /// More of something than any alert needs.
    #[error("more than {limit} {what}: the document is refused as an attack or a fault")]
    OverLimit {
        /// Of what.
        what: &'static str,
        /// How many are accepted.
        limit: usize,
    },
    /// An `alert` element of no known CAP version.
    #[error("the namespace `{0}` of `alert` is no known version of CAP")]
    UnknownNamespace(String),
    /// Something else altogether.
    #[error("the root `{0}` is neither an alert nor a feed of alerts")]
    UnknownRoot(String),
}

impl Refusal {
    /// The HTTP status that tells a sender.
    pub fn http_status(&self) -> u16 {
        match self {
            Refusal::TooLarge { .. } | Refusal::OverLimit { .. } => 413,
            Refusal::Encoding(_)
            | Refusal::UnknownEncoding(_)
            | Refusal::UnknownNamespace(_)
            | Refusal::UnknownRoot(_) => 415,
            Refusal::Empty | Refusal::Doctype | Refusal::NotWellFormed { .. } | Refusal::NotJson(_) => 400,
        }
    }
}
