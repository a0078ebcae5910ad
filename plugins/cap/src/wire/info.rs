//! One `info` element with its codes, files and areas.

use super::{
    Area, Category, Certainty, Class, Info, Named, Refusal, ResponseType, Severity, Urgency, Version,
    geometry::{Circle, Defect, POINTS, Polygon},
    message::{Children, stamp, text, word},
    problem::{At, Problems},
    schema::{Order, Parent, Seen},
    xml::{Ns, Token, Xml, over},
};

/// Most areas of a block.
pub const AREAS: usize = 2_000;
/// Most shapes of an area, and most geocodes.
pub const SHAPES: usize = 10_000;
/// Most parameters of a block, and most event codes and resources.
pub const PARAMETERS: usize = 500;
/// A headline for a display.
const HEADLINE: usize = 160;

/// Reads an `info` that was just opened.
pub fn read(xml: &mut Xml<'_>, version: Version, at: &At<'_>, problems: &mut Problems) -> Result<Info, Refusal> {
    let mut info = Info::default();
    let mut children = Children::new(Parent::Info, version);
    while let Some(name) = children.next(xml, at, problems)? {
        let here = at.child(name);
        match name {
            "eventCode" => {
                over(info.event_codes.len() + 1, PARAMETERS, "event codes in one block")?;
                let here = at.nth(name, info.event_codes.len() + 1);
                info.event_codes.push(named(xml, version, &here, problems)?);
                continue;
            }
            "parameter" => {
                over(info.parameters.len() + 1, PARAMETERS, "parameters in one block")?;
                let here = at.nth(name, info.parameters.len() + 1);
                info.parameters.push(named(xml, version, &here, problems)?);
                continue;
            }
            "resource" => {
                over(info.resources.len() + 1, PARAMETERS, "resources in one block")?;
                let here = at.nth(name, info.resources.len() + 1);
                info.resources.push(resource(xml, version, &here, problems)?);
                continue;
            }
            "area" => {
                over(info.areas.len() + 1, AREAS, "areas in one block")?;
                let here = at.nth(name, info.areas.len() + 1);
                info.areas.push(area(xml, version, &here, problems)?);
                continue;
            }
            _ => {}
        }
        let value = text(xml, &here, problems)?;
        match name {
            "language" if !value.is_empty() => info.language = value,
            "category" => info.categories.extend(word(&value, Category::parse, &here, Class::Usable, problems)),
            "event" => info.event = value,
            "responseType" => {
                info.response_types.extend(word(&value, ResponseType::parse, &here, Class::Usable, problems));
            }
            "urgency" => {
                info.urgency = word(&value, Urgency::parse, &here, Class::Usable, problems).unwrap_or(Urgency::Unknown);
            }
            "severity" => {
                info.severity =
                    word(&value, Severity::parse, &here, Class::Usable, problems).unwrap_or(Severity::Unknown);
            }
            "certainty" => info.certainty = certainty(&value, version, &here, problems),
            "audience" => info.audience = value,
            "effective" => info.effective = stamp(&value, version, &here, Class::Usable, problems),
            "onset" => info.onset = stamp(&value, version, &here, Class::Usable, problems),
            "expires" => info.expires = stamp(&value, version, &here, Class::Usable, problems),
            "senderName" => info.sender_name = value,
            "headline" => info.headline = value,
            "description" => info.description = value,
            "instruction" => info.instruction = value,
            "web" => info.web = value,
            "contact" => info.contact = value,
            _ => {}
        }
    }
    for name in children.order.missing() {
        problems.add(Class::Usable, &at.child(name), "", "is missing");
    }
    hints(&info, at, problems);
    Ok(info)
}

/// What deserves a hint, whatever form the block came in.
pub fn hints(info: &Info, at: &At<'_>, problems: &mut Problems) {
    if info.event.is_empty() {
        problems.add(Class::Usable, &at.child("event"), "", "is empty");
    }
    if info.expires.is_none() {
        problems.add(Class::Advice, &at.child("expires"), "", "is missing; the trigger's own time limit holds");
    }
    if info.areas.is_empty() {
        problems.add(Class::Advice, at, "", "names no area");
    }
    // Bytes are at least as many as characters, so most headlines need no counting.
    if info.headline.len() > HEADLINE && info.headline.chars().count() > HEADLINE {
        problems.add(Class::Advice, &at.child("headline"), &info.headline, "is longer than 160 characters");
    }
    for (name, value) in [("description", &info.description), ("instruction", &info.instruction)] {
        if ["<br", "<p>", "</p>", "<a "].iter().any(|tag| value.contains(tag)) {
            problems.add(Class::Advice, &at.child(name), value, "holds HTML, which is shown as plain text");
        }
    }
}

fn certainty(value: &str, version: Version, at: &At<'_>, problems: &mut Problems) -> Certainty {
    if value == "Very Likely" {
        if version != Version::V10 {
            problems.add(Class::Usable, at, value, "is a word of CAP 1.0, read as Likely");
        }
        return Certainty::Likely;
    }
    word(value, Certainty::parse, at, Class::Usable, problems).unwrap_or(Certainty::Unknown)
}

/// `valueName` and `value`; in CAP 1.0 one text `name=value`.
fn named(xml: &mut Xml<'_>, version: Version, at: &At<'_>, problems: &mut Problems) -> Result<Named, Refusal> {
    let mut named = Named { name: String::new(), value: String::new() };
    let mut order = Order::of(Parent::Named, version);
    let mut flat = String::new();
    let mut elements = 0;
    loop {
        match xml.next()? {
            Token::Open(ns, start) => {
                elements += 1;
                let seen = if matches!(ns, Ns::Cap(_) | Ns::None) {
                    order.see(start.local_name().as_ref())
                } else {
                    Seen::Unknown
                };
                match seen {
                    Seen::Fine(name) | Seen::OutOfOrder(name) => {
                        if matches!(seen, Seen::OutOfOrder(_)) {
                            problems.add(Class::Usable, &at.child(name), "", "stands after `value`, not before it");
                        }
                        let text = text(xml, &at.child(name), problems)?;
                        if name == "value" { named.value = text } else { named.name = text }
                    }
                    Seen::Again(_) | Seen::Unknown => {
                        problems.add(Class::Usable, at, start.local_name().as_ref(), "holds an element too many");
                        xml.skip()?;
                    }
                }
            }
            Token::Text(text) => {
                over(flat.len() + text.len(), super::xml::TEXT, "bytes of text in one element")?;
                if !flat.is_empty() || !text.trim().is_empty() {
                    flat.push_str(&text);
                }
            }
            Token::Close | Token::End => break,
        }
    }
    let flat = flat.trim();
    if elements == 0 && version == Version::V10 {
        let (name, value) = flat.split_once('=').unwrap_or(("", flat));
        return Ok(Named { name: name.trim().to_owned(), value: value.trim().to_owned() });
    }
    if !flat.is_empty() {
        problems.add(Class::Usable, at, flat, "holds text between its elements");
    }
    for name in order.missing() {
        problems.add(Class::Usable, &at.child(name), "", "is missing");
    }
    Ok(named)
}

fn resource(
    xml: &mut Xml<'_>,
    version: Version,
    at: &At<'_>,
    problems: &mut Problems,
) -> Result<super::Resource, Refusal> {
    let mut resource = super::Resource::default();
    let mut children = Children::new(Parent::Resource, version);
    while let Some(name) = children.next(xml, at, problems)? {
        let here = at.child(name);
        let value = text(xml, &here, problems)?;
        match name {
            "resourceDesc" => resource.description = value,
            "mimeType" => resource.mime_type = value,
            "size" if value.parse::<i64>().is_err() => {
                problems.add(Class::Usable, &here, &value, "is not a whole number");
            }
            "uri" => resource.uri = value,
            "derefUri" => resource.inline_bytes = value.len(),
            _ => {}
        }
    }
    for name in children.order.missing() {
        problems.add(Class::Usable, &at.child(name), "", "is missing");
    }
    Ok(resource)
}

fn area(xml: &mut Xml<'_>, version: Version, at: &At<'_>, problems: &mut Problems) -> Result<Area, Refusal> {
    let mut area = Area::default();
    let mut children = Children::new(Parent::Area, version);
    let (mut polygons, mut circles) = (0, 0);
    while let Some(name) = children.next(xml, at, problems)? {
        if name == "geocode" {
            over(area.geocodes.len() + 1, SHAPES, "geocodes in one area")?;
            let here = at.nth(name, area.geocodes.len() + 1);
            area.geocodes.push(named(xml, version, &here, problems)?);
            continue;
        }
        let value = text(xml, &at.child(name), problems)?;
        match name {
            "areaDesc" => area.description = value,
            "polygon" => {
                polygons += 1;
                over(polygons, SHAPES, "polygons in one area")?;
                let read = Polygon::parse(&value, &mut xml.points);
                over(xml.points, POINTS, "points of polygons")?;
                add_polygon(&mut area, read, &value, &at.nth(name, polygons), problems);
            }
            "circle" => {
                circles += 1;
                over(circles, SHAPES, "circles in one area")?;
                match Circle::parse(&value) {
                    Ok(circle) => area.circles.push(circle),
                    Err(defect) => {
                        problems.add(Class::Usable, &at.nth(name, circles), &value, &defect.to_string());
                    }
                }
            }
            "altitude" => area.altitude = feet(&value, &at.child(name), problems),
            "ceiling" => area.ceiling = feet(&value, &at.child(name), problems),
            _ => {}
        }
    }
    for name in children.order.missing() {
        problems.add(Class::Usable, &at.child(name), "", "is missing");
    }
    if area.ceiling.is_some() && area.altitude.is_none() {
        problems.add(Class::Usable, &at.child("ceiling"), "", "stands without the altitude that it needs");
    }
    Ok(area)
}

/// Takes a polygon into an area, and says what is wrong with it.
pub fn add_polygon(
    area: &mut Area,
    read: Result<(Polygon, Option<Defect>), Defect>,
    value: &str,
    at: &At<'_>,
    problems: &mut Problems,
) {
    let defect = match read {
        Ok((polygon, defect)) => {
            area.polygons.push(polygon);
            defect
        }
        Err(defect) => Some(defect),
    };
    if let Some(defect) = defect {
        problems.add(Class::Usable, at, value, &defect.to_string());
    }
}

fn feet(value: &str, at: &At<'_>, problems: &mut Problems) -> Option<f64> {
    let feet = value.parse().ok().filter(|feet: &f64| feet.is_finite());
    if feet.is_none() {
        problems.add(Class::Usable, at, value, "is not a number of feet");
    }
    feet
}
