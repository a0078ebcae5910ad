//! The XML pull reader: names with their namespaces, text with its entities resolved, and a limit on everything that an
//! attacker could make long or deep.

use std::borrow::Cow;

use quick_xml::{
    NsReader,
    events::{BytesStart, Event},
    name::{Namespace, ResolveResult},
};

use super::{Refusal, Version};

/// Deepest nesting.
pub const DEPTH: usize = 32;
/// Most elements in a document.
pub const ELEMENTS: usize = 200_000;
/// Most attributes on an element.
pub const ATTRIBUTES: usize = 64;
/// Longest text of one element, in bytes.
pub const TEXT: usize = 6 << 20;

/// The namespaces that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ns {
    /// A version of CAP.
    Cap(Version),
    /// Atom.
    Atom,
    /// XML signature.
    Dsig,
    /// No namespace.
    None,
    /// Any other.
    Other,
}

fn known(name: &str) -> Ns {
    match name {
        "urn:oasis:names:tc:emergency:cap:1.2" => Ns::Cap(Version::V12),
        "urn:oasis:names:tc:emergency:cap:1.1" => Ns::Cap(Version::V11),
        "http://www.incident.com/cap/1.0" => Ns::Cap(Version::V10),
        "http://www.w3.org/2005/Atom" => Ns::Atom,
        "http://www.w3.org/2000/09/xmldsig#" => Ns::Dsig,
        "" => Ns::None,
        _ => Ns::Other,
    }
}

/// What comes next in a document.
pub enum Token<'a> {
    /// An element opens. An empty element opens and closes.
    Open(Ns, BytesStart<'a>),
    /// An element closes.
    Close,
    /// Text, entities resolved, line ends normalised.
    Text(Cow<'a, str>),
    /// The document is over.
    End,
}

/// A pull reader.
pub struct Xml<'a> {
    reader: NsReader<&'a [u8]>,
    depth: usize,
    elements: usize,
    seen_root: bool,
    /// Whether characters were left out that have no place in text for people.
    pub dropped_controls: bool,
    /// Points of polygons so far, over the whole document.
    pub points: usize,
}

impl<'a> Xml<'a> {
    /// Over a document.
    pub fn new(text: &'a str) -> Xml<'a> {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Xml { reader, depth: 0, elements: 0, seen_root: false, dropped_controls: false, points: 0 }
    }

    /// The next token.
    pub fn next(&mut self) -> Result<Token<'a>, Refusal> {
        loop {
            let event = match self.reader.read_resolved_event() {
                Ok((resolved, Event::Start(start))) => {
                    let ns = match resolved {
                        ResolveResult::Bound(Namespace(name)) => known(name),
                        ResolveResult::Unbound => Ns::None,
                        ResolveResult::Unknown(prefix) => {
                            return Err(self.ill_formed(format!("the prefix `{prefix}` is not declared")));
                        }
                    };
                    self.open(&start)?;
                    return Ok(Token::Open(ns, start));
                }
                Ok((_, event)) => event,
                Err(error) => return Err(self.ill_formed(error.to_string())),
            };
            match event {
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(Token::Close);
                }
                Event::Text(text) => {
                    let text = text.xml10_content();
                    if self.depth > 0 {
                        return Ok(Token::Text(text));
                    }
                    if !text.trim_start_matches('\u{feff}').trim().is_empty() {
                        return Err(self.ill_formed("text outside the root element".to_owned()));
                    }
                }
                Event::CData(data) if self.depth > 0 => {
                    return Ok(Token::Text(data.xml10_content()));
                }
                Event::CData(_) => return Err(self.ill_formed("text outside the root element".to_owned())),
                Event::GeneralRef(reference) => {
                    let name = reference.into_inner();
                    let Some(text) = entity(&name) else {
                        return Err(self.ill_formed(format!("the entity `&{name};` is not known")));
                    };
                    if self.depth == 0 {
                        return Err(self.ill_formed("text outside the root element".to_owned()));
                    }
                    return Ok(Token::Text(text));
                }
                Event::DocType(_) => return Err(Refusal::Doctype),
                Event::Eof => {
                    return match (self.depth, self.seen_root) {
                        (0, true) => Ok(Token::End),
                        (0, false) => Err(self.ill_formed("there is no element".to_owned())),
                        _ => Err(self.ill_formed("the document ends inside an element".to_owned())),
                    };
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Start(_) | Event::Empty(_) => {}
            }
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Refusal> {
        if self.depth == 0 && self.seen_root {
            return Err(self.ill_formed("there is a second root element".to_owned()));
        }
        self.seen_root = true;
        self.depth += 1;
        self.elements += 1;
        over(self.depth, DEPTH, "levels of nesting")?;
        over(self.elements, ELEMENTS, "elements")?;
        if !start.attributes_raw().is_empty() {
            for (index, attribute) in start.attributes().enumerate() {
                over(index + 1, ATTRIBUTES, "attributes on one element")?;
                attribute.map_err(|error| self.ill_formed(error.to_string()))?;
            }
        }
        Ok(())
    }

    fn ill_formed(&self, message: String) -> Refusal {
        Refusal::NotWellFormed { at: self.reader.buffer_position(), message }
    }

    /// Passes over the rest of an element that was just opened.
    pub fn skip(&mut self) -> Result<(), Refusal> {
        let outside = self.depth - 1;
        while self.depth > outside {
            if let Token::End = self.next()? {
                break;
            }
        }
        Ok(())
    }

    /// The text of an element that was just opened, trimmed, without control characters; elements in it are passed over. The
    /// flag says that there were some.
    pub fn text(&mut self) -> Result<(String, bool), Refusal> {
        let mut whole: Cow<'a, str> = Cow::Borrowed("");
        let mut nested = false;
        loop {
            match self.next()? {
                Token::Text(text) => {
                    if whole.is_empty() {
                        whole = text;
                    } else {
                        whole.to_mut().push_str(&text);
                    }
                    over(whole.len(), TEXT, "bytes of text in one element")?;
                }
                Token::Open(..) => {
                    nested = true;
                    self.skip()?;
                }
                Token::Close | Token::End => break,
            }
        }
        let trimmed = whole.trim();
        if trimmed.chars().any(is_control) {
            self.dropped_controls = true;
            return Ok((trimmed.chars().filter(|c| !is_control(*c)).collect(), nested));
        }
        // The text that was borrowed is copied once; the one that had to be built is kept as it is.
        let text = match whole {
            Cow::Owned(text) if text.len() == text.trim().len() => text,
            other => other.trim().to_owned(),
        };
        Ok((text, nested))
    }

    /// The text of an element that was just opened, or the first element in it, which is then open.
    pub fn text_or_element(&mut self) -> Result<(String, Option<Token<'a>>), Refusal> {
        let mut whole = String::new();
        loop {
            match self.next()? {
                Token::Text(text) => {
                    whole.push_str(if whole.is_empty() { text.trim_start() } else { &text });
                    over(whole.len(), TEXT, "bytes of text in one element")?;
                }
                element @ Token::Open(..) => return Ok((whole, Some(element))),
                Token::Close | Token::End => return Ok((whole, None)),
            }
        }
    }

    /// An attribute of an element, entities resolved.
    pub fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
        let attribute = start.try_get_attribute(name).ok()??;
        attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok().map(|value| value.trim().to_owned())
    }
}

/// Refuses what is beyond a limit.
pub fn over(found: usize, limit: usize, what: &'static str) -> Result<(), Refusal> {
    if found > limit { Err(Refusal::OverLimit { what, limit }) } else { Ok(()) }
}

fn is_control(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r')
}

/// The five entities of XML, and characters by number.
fn entity(name: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            return char::from_u32(code).filter(|c| *c != '\0').map(|c| Cow::Owned(c.to_string()));
        }
    }))
}
