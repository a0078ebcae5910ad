//! The JSON that api.weather.gov gives: a collection, one feature, or the JSON-LD list. Any field may be null or absent, and
//! one feature that cannot be read loses none of the others.

use serde_json::{Map, Value};

use super::{
    Alert, Area, Category, Certainty, Class, Container, Document, Info, Message, MsgType, Named, Reference, Refusal,
    ResponseType, Scope, Severity, Status, Urgency, Version,
    feed::MESSAGES,
    geometry::{self, POINTS, Point, Polygon},
    info::{self, PARAMETERS, SHAPES},
    message::{self, REFERENCES, stamp, word},
    problem::{At, Problems, shorten},
    time,
    xml::over,
};

/// Reads a document.
pub fn read(text: &str) -> Result<Document, Refusal> {
    let value: Value = serde_json::from_str(text).map_err(|error| Refusal::NotJson(error.to_string()))?;
    let features: Vec<&Value> = match (value.get("features"), value.get("@graph"), value.get("properties")) {
        (Some(Value::Array(features)), ..) | (None, Some(Value::Array(features)), _) => features.iter().collect(),
        (None, None, Some(_)) => vec![&value],
        _ => {
            let kind = value.get("type").and_then(Value::as_str).unwrap_or("JSON without features");
            return Err(Refusal::UnknownRoot(shorten(kind, 60)));
        }
    };
    over(features.len(), MESSAGES, "alerts in one document")?;
    let mut points = 0;
    let messages = features.into_iter().map(|feature| one(feature, &mut points)).collect::<Result<_, _>>()?;
    Ok(Document { container: Container::NwsJson, messages, entries: Vec::new() })
}

fn one(feature: &Value, points: &mut usize) -> Result<Message, Refusal> {
    let root = At::root("alert");
    let mut problems = Problems::default();
    let mut alert = Alert::empty(Version::NwsJson);
    // JSON-LD has the properties without a feature around them.
    let Some(fields) = feature.get("properties").unwrap_or(feature).as_object() else {
        problems.add(Class::Fatal, &root, "", "is not an object with properties");
        return Ok(Message { alert, problems: problems.finish() });
    };
    let get = |name: &str| text(fields, name);
    alert.identifier = get("id");
    alert.sender = get("sender");
    let v = Version::NwsJson;
    alert.sent = stamp(&get("sent"), v, &root.child("sent"), Class::Essential, &mut problems);
    alert.status = word(&get("status"), Status::parse, &root.child("status"), Class::Essential, &mut problems);
    let kind = root.child("messageType");
    alert.msg_type = word(&get("messageType"), MsgType::parse, &kind, Class::Essential, &mut problems);
    let scope = get("scope");
    if !scope.is_empty() {
        alert.scope =
            word(&scope, Scope::parse, &root.child("scope"), Class::Usable, &mut problems).unwrap_or(Scope::Public);
    }
    alert.codes = texts(fields.get("code"));
    alert.note = get("note");
    alert.references = references(fields, &root, &mut problems)?;
    alert.infos.push(block(feature, fields, points, &mut problems)?);
    message::rules(&alert, !scope.is_empty(), &mut problems)?;
    Ok(Message { alert, problems: problems.finish() })
}

fn block(
    feature: &Value,
    fields: &Map<String, Value>,
    points: &mut usize,
    problems: &mut Problems,
) -> Result<Info, Refusal> {
    let root = At::root("alert");
    let at = root.nth("info", 1);
    let get = |name: &str| text(fields, name);
    let optional = |name: &str, problems: &mut Problems| {
        let value = get(name);
        if value.is_empty() { None } else { stamp(&value, Version::NwsJson, &at.child(name), Class::Usable, problems) }
    };
    let mut info = Info {
        event: get("event"),
        audience: get("audience"),
        sender_name: get("senderName"),
        headline: get("headline"),
        description: get("description"),
        instruction: get("instruction"),
        web: get("web"),
        contact: get("contact"),
        effective: optional("effective", problems),
        onset: optional("onset", problems),
        expires: optional("expires", problems),
        event_codes: named(fields.get("eventCode"), "event codes in one block")?,
        parameters: named(fields.get("parameters"), "parameters in one block")?,
        ..Info::default()
    };
    let language = get("language");
    if !language.is_empty() {
        info.language = language;
    }
    let here = at.child("urgency");
    info.urgency = word(&get("urgency"), Urgency::parse, &here, Class::Usable, problems).unwrap_or(Urgency::Unknown);
    let here = at.child("severity");
    info.severity =
        word(&get("severity"), Severity::parse, &here, Class::Usable, problems).unwrap_or(Severity::Unknown);
    let here = at.child("certainty");
    let certainty = word(&get("certainty"), Certainty::parse, &here, Class::Usable, problems);
    info.certainty = certainty.unwrap_or(Certainty::Unknown);
    for value in texts(fields.get("category")) {
        info.categories.extend(word(&value, Category::parse, &at.child("category"), Class::Usable, problems));
    }
    for value in texts(fields.get("response")) {
        info.response_types.extend(word(&value, ResponseType::parse, &at.child("response"), Class::Usable, problems));
    }
    // What XML says in a parameter stands in a field of its own here; the rest of the driver knows the parameter.
    let ends = get("ends");
    if !ends.is_empty() && info.parameter("eventEndingTime").next().is_none() {
        info.parameters.push(Named { name: "eventEndingTime".to_owned(), value: ends });
    }
    let mut area = Area { description: get("areaDesc"), ..Area::default() };
    area.geocodes = named(fields.get("geocode"), "geocodes in one area")?;
    shapes(feature.get("geometry"), &mut area, points, &at.nth("area", 1), problems)?;
    if !area.description.is_empty() || !area.geocodes.is_empty() || !area.polygons.is_empty() {
        info.areas.push(area);
    }
    info::hints(&info, &at, problems);
    Ok(info)
}

fn references(fields: &Map<String, Value>, root: &At<'_>, problems: &mut Problems) -> Result<Vec<Reference>, Refusal> {
    let Some(Value::Array(list)) = fields.get("references") else { return Ok(Vec::new()) };
    over(list.len(), REFERENCES, "references")?;
    let mut read = Vec::with_capacity(list.len());
    for (index, item) in list.iter().enumerate() {
        let get = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let sent = get("sent");
        let reference = Reference {
            sender: get("sender"),
            identifier: get("identifier"),
            sent_ms: time::parse(&sent).map(|it| it.ms),
        };
        let at = root.nth("references", index + 1);
        if reference.identifier.is_empty() {
            problems.add(Class::Usable, &at, "", "names no identifier");
            continue;
        }
        if reference.sent_ms.is_none() {
            problems.add(Class::Usable, &at.child("sent"), &sent, "is not a time");
        }
        read.push(reference);
    }
    Ok(read)
}

fn shapes(
    geometry: Option<&Value>,
    area: &mut Area,
    points: &mut usize,
    at: &At<'_>,
    problems: &mut Problems,
) -> Result<(), Refusal> {
    let Some(geometry) = geometry.filter(|value| !value.is_null()) else { return Ok(()) };
    let coordinates = geometry.get("coordinates").and_then(Value::as_array);
    let rings: Vec<&Value> = match (geometry.get("type").and_then(Value::as_str), coordinates) {
        // The first ring is the outline. Holes are taken as covered: CAP has none.
        (Some("Polygon"), Some(rings)) => rings.first().into_iter().collect(),
        (Some("MultiPolygon"), Some(polygons)) => {
            polygons.iter().filter_map(|polygon| polygon.as_array()?.first()).collect()
        }
        (kind, _) => {
            let kind = kind.unwrap_or("without a type");
            problems.add(Class::Usable, &at.child("geometry"), kind, "is a shape that is not read");
            return Ok(());
        }
    };
    over(rings.len(), SHAPES, "polygons in one area")?;
    for (index, ring) in rings.into_iter().enumerate() {
        let pairs = ring.as_array().map(Vec::as_slice).unwrap_or_default();
        *points += pairs.len();
        over(*points, POINTS, "points of polygons")?;
        let corner = |pair: &Value| -> Option<Point> {
            let pair = pair.as_array()?;
            // Longitude comes first here.
            geometry::valid(pair.get(1)?.as_f64()?, pair.first()?.as_f64()?)
        };
        let read = match pairs.iter().map(corner).collect::<Option<Vec<Point>>>() {
            Some(corners) => Polygon::from_points(corners),
            None => Err(geometry::Defect::BadPair),
        };
        info::add_polygon(area, read, "", &at.nth("polygon", index + 1), problems);
    }
    Ok(())
}

/// A map from names to one value or several.
fn named(value: Option<&Value>, what: &'static str) -> Result<Vec<Named>, Refusal> {
    let limit = if what.starts_with("geocodes") { SHAPES } else { PARAMETERS };
    let mut list = Vec::new();
    for (name, values) in value.and_then(Value::as_object).into_iter().flatten() {
        for value in texts(Some(values)) {
            over(list.len() + 1, limit, what)?;
            list.push(Named { name: name.clone(), value });
        }
    }
    Ok(list)
}

/// A text; numbers and truths are taken as text, everything else is nothing.
fn text(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).and_then(scalar).unwrap_or_default()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().chars().filter(|c| !c.is_control() || "\t\n\r".contains(*c)).collect()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// One text or a list of them.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(scalar).filter(|text| !text.is_empty()).collect(),
        Some(other) => scalar(other).into_iter().filter(|text| !text.is_empty()).collect(),
        None => Vec::new(),
    }
}
