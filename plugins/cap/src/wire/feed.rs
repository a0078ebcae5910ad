//! XML documents of every kind: a single alert, a wrapper, Atom, RSS, an EDXL-DE envelope. Alerts are taken wherever they
//! stand in a known root; entries are kept with their links.

use super::{
    Alert, Class, Container, Document, Entry, Message, Refusal, Version, message,
    problem::{At, Problems, shorten},
    xml::{Ns, Token, Xml, over},
};

/// Most messages in one document.
pub const MESSAGES: usize = 10_000;
/// Most entries of a feed.
pub const ENTRIES: usize = 10_000;

/// Reads a document.
pub fn read(text: &str) -> Result<Document, Refusal> {
    let mut xml = Xml::new(text);
    let (ns, start) = loop {
        match xml.next()? {
            Token::Open(ns, start) => break (ns, start),
            Token::Text(_) => {}
            Token::Close | Token::End => return Err(Refusal::Empty),
        }
    };
    let name = start.local_name();
    let (container, messages, entries) = match (ns, name.as_ref()) {
        (Ns::Cap(version), "alert") => (Container::Single, vec![message::read(&mut xml, version)?], Vec::new()),
        (_, "alert") => {
            let refusal = Refusal::UnknownNamespace(namespace_of(&start));
            xml.skip()?;
            return Err(refusal);
        }
        (_, "alerts") => walk(&mut xml, Container::Wrapper)?,
        (Ns::Atom, "feed") => walk(&mut xml, Container::Atom)?,
        (Ns::None | Ns::Other, "rss" | "RDF") => walk(&mut xml, Container::Rss)?,
        (_, "EDXLDistribution") => walk(&mut xml, Container::Edxl)?,
        (_, other) => {
            let refusal = Refusal::UnknownRoot(shorten(other, 60));
            // What is not even XML is called that first.
            xml.skip()?;
            return Err(refusal);
        }
    };
    // What stands after the root must be well-formed too.
    while !matches!(xml.next()?, Token::End) {}
    Ok(Document { container, messages, entries })
}

type Found = (Container, Vec<Message>, Vec<Entry>);

/// Goes through everything below the root.
fn walk(xml: &mut Xml<'_>, container: Container) -> Result<Found, Refusal> {
    let mut messages = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let mut depth = 1;
    // The depth of the entry that is open.
    let mut entry_depth = None;
    // An element that was met while text was looked for.
    let mut pending = None;
    while depth > 0 {
        let token = match pending.take() {
            Some(token) => token,
            None => xml.next()?,
        };
        let (ns, start) = match token {
            Token::Open(ns, start) => (ns, start),
            Token::Close => {
                depth -= 1;
                if entry_depth == Some(depth) {
                    entry_depth = None;
                }
                continue;
            }
            Token::Text(_) => continue,
            Token::End => break,
        };
        let name = start.local_name();
        match (ns, name.as_ref()) {
            (Ns::Cap(version), "alert") => {
                over(messages.len() + 1, MESSAGES, "alerts in one document")?;
                messages.push(message::read(xml, version)?);
                embed(entry_depth, &mut entries);
            }
            (_, "alert") => {
                over(messages.len() + 1, MESSAGES, "alerts in one document")?;
                messages.push(foreign(&namespace_of(&start)));
                xml.skip()?;
            }
            (_, "entry" | "item") if entry_depth.is_none() => {
                over(entries.len() + 1, ENTRIES, "entries in one feed")?;
                entries.push(Entry::default());
                entry_depth = Some(depth);
                depth += 1;
            }
            (Ns::Atom | Ns::None, "id" | "guid" | "updated" | "pubDate" | "link" | "content")
                if entry_depth.is_some() =>
            {
                let name = name.as_ref().to_owned();
                let href = Xml::attribute(&start, "href");
                let kind = Xml::attribute(&start, "type").unwrap_or_default();
                let relation = Xml::attribute(&start, "rel").unwrap_or_default();
                if name == "content" {
                    let (text, element) = xml.text_or_element()?;
                    if element.is_some() {
                        pending = element;
                        depth += 1;
                        continue;
                    }
                    // Some feeds put the alert into the entry as escaped text.
                    if text.starts_with('<')
                        && text.contains("alert")
                        && let Ok(inner) = read_alert(&text)
                    {
                        over(messages.len() + 1, MESSAGES, "alerts in one document")?;
                        messages.push(inner);
                        embed(entry_depth, &mut entries);
                    }
                    continue;
                }
                let (text, _) = xml.text()?;
                let Some(entry) = entries.last_mut() else { continue };
                match name.as_str() {
                    "id" | "guid" => entry.id = text,
                    "updated" | "pubDate" => entry.updated = text,
                    _ => link(entry, href.unwrap_or(text), &kind, &relation),
                }
            }
            _ => depth += 1,
        }
    }
    Ok((container, messages, entries))
}

/// A document that is one alert and nothing else, as it stands escaped in an entry.
fn read_alert(text: &str) -> Result<Message, Refusal> {
    let mut xml = Xml::new(text);
    loop {
        match xml.next()? {
            Token::Open(Ns::Cap(version), start) if start.local_name().as_ref() == "alert" => {
                return message::read(&mut xml, version);
            }
            Token::Text(_) => {}
            _ => return Err(Refusal::Empty),
        }
    }
}

fn embed(entry_depth: Option<usize>, entries: &mut [Entry]) {
    if entry_depth.is_some()
        && let Some(entry) = entries.last_mut()
    {
        entry.embedded = true;
    }
}

/// Takes a link whose type is CAP, or that has none; a CAP link wins over one without a type.
fn link(entry: &mut Entry, address: String, kind: &str, relation: &str) {
    let says_cap = kind.eq_ignore_ascii_case("application/cap+xml");
    let usable = says_cap || kind.is_empty() || kind.eq_ignore_ascii_case("application/xml");
    let wanted = matches!(relation, "" | "alternate" | "enclosure" | "related");
    if !address.is_empty() && usable && wanted && (says_cap || entry.link.is_empty()) {
        entry.link = address;
    }
}

/// A message that can only be refused: its namespace is no version of CAP.
fn foreign(namespace: &str) -> Message {
    let mut problems = Problems::default();
    problems.add(Class::Fatal, &At::root("alert"), namespace, "is in a namespace that is no known version of CAP");
    Message { alert: Alert::empty(Version::V12), problems: problems.finish() }
}

/// The namespace that an element declares for itself; empty when it declares none.
fn namespace_of(start: &quick_xml::events::BytesStart<'_>) -> String {
    let declaration = match start.name().prefix() {
        Some(prefix) => format!("xmlns:{}", prefix.into_inner()),
        None => "xmlns".to_owned(),
    };
    shorten(&Xml::attribute(start, &declaration).unwrap_or_default(), 120)
}
