//! One `alert` element becomes a message with the list of everything that is wrong with it.

use quick_xml::events::BytesStart;

use super::{
    Alert, Class, Message, MsgType, Refusal, Scope, Stamp, Status, Version, info, lists,
    problem::{At, Problems},
    schema::{Order, Parent, Seen},
    time,
    xml::{Ns, Token, Xml, over},
};

/// Most `info` blocks.
pub const INFOS: usize = 64;
/// Most references.
pub const REFERENCES: usize = 1_000;
/// Longest identifier and longest sender: several times what is seen in the field.
pub const NAME: usize = 512;

/// Reads an `alert` whose start was just taken.
pub fn read(xml: &mut Xml<'_>, version: Version) -> Result<Message, Refusal> {
    let root = At::root("alert");
    let mut problems = Problems::default();
    let mut alert = Alert::empty(version);
    let mut children = Children::new(Parent::Alert, version);
    xml.dropped_controls = false;
    let mut scope_seen = false;
    while let Some(name) = children.next(xml, &root, &mut problems)? {
        let at = root.child(name);
        if name == "info" {
            over(alert.infos.len() + 1, INFOS, "info blocks")?;
            let at = root.nth("info", alert.infos.len() + 1);
            alert.infos.push(info::read(xml, version, &at, &mut problems)?);
            continue;
        }
        let text = text(xml, &at, &mut problems)?;
        match name {
            "identifier" => alert.identifier = text,
            "sender" => alert.sender = text,
            "sent" => alert.sent = stamp(&text, version, &at, Class::Essential, &mut problems),
            "status" => alert.status = word(&text, Status::parse, &at, Class::Essential, &mut problems),
            "msgType" => alert.msg_type = word(&text, MsgType::parse, &at, Class::Essential, &mut problems),
            "source" => alert.source = text,
            "scope" => {
                scope_seen = true;
                if let Some(scope) = word(&text, Scope::parse, &at, Class::Usable, &mut problems) {
                    alert.scope = scope;
                }
            }
            "restriction" => alert.restriction = text,
            "addresses" => alert.addresses = quoted(&text, &at, &mut problems),
            "code" => alert.codes.push(text),
            "note" => alert.note = text,
            "references" => {
                let (references, bad) = lists::references(&text);
                over(references.len() + bad.len(), REFERENCES, "references")?;
                alert.references = references;
                for item in bad {
                    problems.add(Class::Usable, &at, &item, "is not `sender,identifier,sent`");
                }
            }
            "incidents" => alert.incidents = quoted(&text, &at, &mut problems),
            // A password in clear text is of no use to anybody who should have it.
            _ => {}
        }
    }
    alert.signatures = children.signatures;
    for name in children.order.missing() {
        let class = if name == "scope" { Class::Usable } else { Class::Essential };
        // A missing identifier or sender is said once, with its fate, by the rules below.
        if !matches!(name, "identifier" | "sender") {
            problems.add(class, &root.child(name), "", "is missing");
        }
    }
    if xml.dropped_controls {
        problems.add(Class::Usable, &root, "", "holds control characters, which are left out");
    }
    rules(&alert, scope_seen, &mut problems)?;
    Ok(Message { alert, problems: problems.finish() })
}

/// What the text of the standard asks beyond the schema; the same for every form a message comes in.
pub fn rules(alert: &Alert, scope_given: bool, problems: &mut Problems) -> Result<(), Refusal> {
    let root = At::root("alert");
    for (name, value) in [("identifier", &alert.identifier), ("sender", &alert.sender)] {
        let at = root.child(name);
        over(value.len(), NAME, "bytes of identifier or sender")?;
        if value.is_empty() {
            problems.add(Class::Fatal, &at, "", "is missing: nobody can tell this message from another");
        } else if value.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '<' | '&')) {
            problems.add(Class::Usable, &at, value, "must not hold white space, comma, `<` or `&`");
        }
    }
    if alert.references.is_empty()
        && let Some(kind) = alert.msg_type.filter(|kind| *kind != MsgType::Alert)
    {
        let message = format!("is missing, which {kind} needs to say what it is about");
        problems.add(Class::Usable, &root.child("references"), "", &message);
    }
    if scope_given && alert.scope == Scope::Restricted && alert.restriction.is_empty() {
        problems.add(Class::Usable, &root.child("restriction"), "", "is missing, which scope Restricted needs");
    }
    if scope_given && alert.scope == Scope::Private && alert.addresses.is_empty() {
        problems.add(Class::Usable, &root.child("addresses"), "", "is missing, which scope Private needs");
    }
    Ok(())
}

/// Follows the child elements of one element, and lists what is wrong with their order.
pub struct Children {
    pub order: Order,
    version: Version,
    parent: Parent,
    /// XML signatures among them.
    pub signatures: usize,
}

impl Children {
    /// At the start of an element.
    pub fn new(parent: Parent, version: Version) -> Children {
        Children { order: Order::of(parent, version), version, parent, signatures: 0 }
    }

    /// The next child that means something, just opened; `None` when the element closes. Everything else is passed over.
    pub fn next(
        &mut self,
        xml: &mut Xml<'_>,
        at: &At<'_>,
        problems: &mut Problems,
    ) -> Result<Option<&'static str>, Refusal> {
        loop {
            let (ns, start) = match xml.next()? {
                Token::Open(ns, start) => (ns, start),
                Token::Close | Token::End => return Ok(None),
                Token::Text(text) => {
                    let stray = text.trim();
                    if !stray.is_empty() {
                        problems.add(Class::Usable, at, stray, "holds text between its elements");
                    }
                    continue;
                }
            };
            if let Some(name) = self.judge(ns, &start, at, problems) {
                return Ok(Some(name));
            }
            xml.skip()?;
        }
    }

    fn judge(&mut self, ns: Ns, start: &BytesStart<'_>, at: &At<'_>, problems: &mut Problems) -> Option<&'static str> {
        let local = start.local_name();
        let local = local.as_ref();
        match ns {
            Ns::Cap(version) if version == self.version => {}
            Ns::Dsig if local == "Signature" && self.parent == Parent::Alert => {
                self.signatures += 1;
                if self.version != Version::V12 {
                    problems.add(Class::Usable, &at.child("Signature"), "", "is not foreseen before CAP 1.2");
                }
                return None;
            }
            // Elements of others may follow at the end of a 1.2 alert.
            Ns::Other | Ns::Dsig | Ns::Atom if self.parent == Parent::Alert && self.version == Version::V12 => {
                return None;
            }
            Ns::Cap(_) | Ns::None => {
                problems.add(Class::Usable, at, local, "holds an element of another namespace than the alert's");
            }
            Ns::Other | Ns::Dsig | Ns::Atom => {
                problems.add(Class::Usable, at, local, "holds an element that is not of CAP");
                return None;
            }
        }
        match self.order.see(local) {
            Seen::Fine(name) => Some(name),
            Seen::OutOfOrder(name) => {
                problems.add(Class::Usable, &at.child(name), "", "stands too late in the order of elements");
                Some(name)
            }
            Seen::Again(name) => {
                problems.add(Class::Usable, &at.child(name), "", "stands again; the first one counts");
                None
            }
            Seen::Unknown => {
                problems.add(Class::Usable, at, local, "holds an element that this version does not have here");
                None
            }
        }
    }
}

/// The text of an element that was just opened.
pub fn text(xml: &mut Xml<'_>, at: &At<'_>, problems: &mut Problems) -> Result<String, Refusal> {
    let (text, nested) = xml.text()?;
    if nested {
        problems.add(Class::Usable, at, "", "holds elements where only text may stand");
    }
    Ok(text)
}

/// A word of a closed list; a word written in other letters is understood and flagged.
pub fn word<T>(
    text: &str,
    parse: fn(&str) -> Option<T>,
    at: &At<'_>,
    class: Class,
    problems: &mut Problems,
) -> Option<T> {
    if let Some(known) = parse(text) {
        return Some(known);
    }
    let mut letters = text.chars();
    let respelled: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect(),
        None => String::new(),
    };
    let known = parse(&respelled);
    if known.is_some() {
        problems.add(Class::Usable, at, text, "is spelled in other letters than the list has");
    } else {
        problems.add(class, at, text, "is not a word of the list");
    }
    known
}

/// A time.
pub fn stamp(text: &str, version: Version, at: &At<'_>, class: Class, problems: &mut Problems) -> Option<Stamp> {
    match time::parse(text) {
        Some(instant) => {
            if !instant.conforming && version == Version::V12 {
                problems.add(Class::Usable, at, text, "is not written as YYYY-MM-DDThh:mm:ss±hh:mm");
            }
            Some(Stamp { ms: instant.ms, text: text.to_owned() })
        }
        None => {
            problems.add(class, at, text, "is not a time");
            None
        }
    }
}

fn quoted(text: &str, at: &At<'_>, problems: &mut Problems) -> Vec<String> {
    let (items, open) = lists::quoted(text);
    if open {
        problems.add(Class::Usable, at, text, "has a quote that is not closed");
    }
    items
}
