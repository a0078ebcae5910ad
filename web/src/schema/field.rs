//! A JSON Schema read into fields.
//!
//! Schemas come from Rust types (schemars) as often as from a hand, so the ways in which it writes optional values, closed
//! lists and shared definitions are understood too.

use serde_json::{Map, Value};

/// One field of a described object.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its key in the object.
    pub name: String,
    /// Its label.
    pub title: String,
    /// What it means, for people; may be empty.
    pub help: String,
    /// What it holds.
    pub kind: Kind,
    /// It must be there.
    pub required: bool,
    /// It may hold nothing.
    pub optional: bool,
    /// The value without one.
    pub default: Value,
    /// Never shown.
    pub secret: bool,
    /// Shown, not changed.
    pub read_only: bool,
    /// The author names what is needed first, and this is not among it.
    pub more: bool,
    /// Its own schema, with shared definitions at hand.
    pub schema: Value,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text, with its `format` (empty for none).
    Text(String),
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// One of a closed list: values and titles.
    Choice(Vec<(Value, String)>),
    /// Several texts.
    List,
    /// Several of a closed list.
    Choices(Vec<(Value, String)>),
    /// A group of fields.
    Object(Vec<Field>),
    /// Anything else: JSON text.
    Json,
}

/// The fields of an object's schema: in the order that its author gives with `x-order`, else what is required first.
pub fn fields(schema: &Value) -> Vec<Field> {
    read(&resolve(schema, schema, 0).0, schema, 0)
}

fn read(schema: &Value, root: &Value, depth: u32) -> Vec<Field> {
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let names = |key: &str| schema[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    let (required, order) = (names("required"), names("x-order"));
    let mut fields: Vec<Field> = properties
        .iter()
        .map(|(name, property)| field(name, property, root, required.contains(&name.as_str()), depth))
        .collect();
    // A document's objects are kept by key; these two are lists and keep the author's order.
    let first = if order.is_empty() { &required } else { &order };
    fields.sort_by_key(|field| first.iter().position(|name| *name == field.name).unwrap_or(usize::MAX));
    for field in &mut fields {
        field.more = !order.is_empty() && !order.contains(&field.name.as_str());
    }
    fields
}

fn field(name: &str, property: &Value, root: &Value, required: bool, depth: u32) -> Field {
    let (mut schema, optional) = resolve(property, root, 0);
    let kind = kind(&schema, root, depth);
    let text = |key: &str| schema[key].as_str().unwrap_or_default().to_owned();
    let title = match text("title") {
        title
            if title.is_empty() || matches!(kind, Kind::Choice(_) | Kind::Object(_)) && property["title"].is_null() =>
        {
            label(name)
        }
        title => title,
    };
    let secret = schema["writeOnly"] == true || schema["format"] == "password";
    let (help, default, read_only) = (text("description"), schema["default"].clone(), schema["readOnly"] == true);
    if let (Some(object), Some(definitions)) = (schema.as_object_mut(), root.get("$defs")) {
        object.insert("$defs".to_owned(), definitions.clone());
    }
    let more = false;
    Field { name: name.to_owned(), title, help, kind, required, optional, default, secret, read_only, more, schema }
}

/// `poll_seconds` reads as "Poll seconds".
fn label(name: &str) -> String {
    let words = name.replace(['_', '-'], " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn kind(schema: &Value, root: &Value, depth: u32) -> Kind {
    if let Some(choices) = choices(schema) {
        return Kind::Choice(choices);
    }
    match schema["type"].as_str() {
        Some("string") => Kind::Text(schema["format"].as_str().unwrap_or_default().to_owned()),
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("object") if depth < 2 && schema["properties"].is_object() => Kind::Object(read(schema, root, depth + 1)),
        Some("array") => {
            let (items, _) = resolve(&schema["items"], root, 0);
            match choices(&items) {
                Some(choices) => Kind::Choices(choices),
                None if items["type"] == "string" => Kind::List,
                None => Kind::Json,
            }
        }
        _ => Kind::Json,
    }
}

/// The values of a closed list: `enum` with `x-enum-titles`, or `oneOf` of constants as schemars writes documented ones.
fn choices(schema: &Value) -> Option<Vec<(Value, String)>> {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), label);
    if let Some(values) = schema["enum"].as_array() {
        let titles = &schema["x-enum-titles"];
        let title = |n: usize, value: &Value| titles[n].as_str().map_or_else(|| plain(value), str::to_owned);
        let values = values.iter().filter(|value| !value.is_null());
        return Some(values.enumerate().map(|(n, value)| (value.clone(), title(n, value))).collect());
    }
    let mut found = Vec::new();
    for case in schema["oneOf"].as_array()? {
        if let Some(value) = case.get("const") {
            let title = case["title"].as_str().or(case["description"].as_str());
            let title = title.map_or_else(|| plain(value), |text| text.trim_end_matches('.').to_owned());
            found.push((value.clone(), title));
        } else {
            found.extend(case["enum"].as_array()?.iter().map(|value| (value.clone(), plain(value))));
        }
    }
    Some(found)
}

/// The schema with references followed and `null` cases taken out, and whether there was one.
fn resolve(schema: &Value, root: &Value, depth: u32) -> (Value, bool) {
    let Some(object) = schema.as_object().filter(|_| depth < 8) else { return (schema.clone(), false) };
    let mut object = object.clone();
    let mut optional = false;
    if let Some(Value::String(target)) = object.remove("$ref") {
        // A reference outside the document is not followed.
        let found = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer)).unwrap_or(&Value::Null);
        let (found, nothing) = resolve(found, root, depth + 1);
        return (merged(object, found), nothing);
    }
    if let Some(Value::Array(types)) = object.get("type") {
        optional = types.iter().any(|name| name == "null");
        let only: Vec<Value> = types.iter().filter(|name| *name != "null").cloned().collect();
        if let [single] = &only[..] {
            object.insert("type".to_owned(), single.clone());
        }
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        let Some(Value::Array(cases)) = object.get(union) else { continue };
        let kept: Vec<Value> = cases.iter().filter(|case| case["type"] != "null").cloned().collect();
        let nothing = kept.len() < cases.len();
        if let [single] = &kept[..] {
            let (inner, _) = resolve(&single.clone(), root, depth + 1);
            object.remove(union);
            return (merged(object, inner), nothing);
        }
    }
    (Value::Object(object), optional)
}

/// What stands beside a reference (title, default, description) goes before what stands behind it.
fn merged(beside: Map<String, Value>, behind: Value) -> Value {
    let Value::Object(mut object) = behind else { return Value::Object(beside) };
    object.extend(beside);
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_schemars_writes_is_read_as_people_mean_it() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Settings", "type": "object",
            "required": ["mode", "port"],
            "properties": {
                "port": {"type": "integer", "format": "uint16", "minimum": 0, "maximum": 65535},
                "mode": {"$ref": "#/$defs/Mode", "description": "How it signs in."},
                "note": {"type": ["string", "null"], "default": null},
                "tls": {"anyOf": [{"$ref": "#/$defs/Tls"}, {"type": "null"}]},
                "zones": {"type": "array", "items": {"type": "string"}},
                "days": {"type": "array", "items": {"$ref": "#/$defs/Day"}},
                "odd": {"type": "array", "items": {"type": "array"}},
            },
            "$defs": {
                "Mode": {"oneOf": [{"const": "hmac", "type": "string", "description": "HMAC."}, {"enum": ["basic"], "type": "string"}]},
                "Tls": {"title": "Tls", "type": "object", "properties": {"verify": {"type": "boolean", "default": true}}},
                "Day": {"type": "string", "enum": ["mon", "tue"]},
            },
        });
        let fields = fields(&schema);
        let find = |name: &str| fields.iter().find(|field| field.name == name).expect(name);
        assert_eq!(fields[0].name, "mode", "the author's order of required fields");
        assert_eq!(
            find("mode").kind,
            Kind::Choice(vec![(json!("hmac"), "HMAC".into()), (json!("basic"), "Basic".into())])
        );
        assert_eq!(find("mode").help, "How it signs in.");
        assert_eq!(find("port").kind, Kind::Integer);
        assert!(find("port").required && !find("port").optional);
        assert!(find("note").optional);
        assert!(
            matches!(&find("tls").kind, Kind::Object(inner) if inner[0].name == "verify" && inner[0].default == true)
        );
        assert_eq!(find("tls").title, "Tls");
        assert_eq!(find("zones").kind, Kind::List);
        assert!(matches!(&find("days").kind, Kind::Choices(days) if days.len() == 2));
        assert_eq!(find("odd").kind, Kind::Json);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema = json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {
            "again": {"$ref": "#/$defs/A"}, "loop": {"$ref": "#/$defs/B"}}}, "B": {"$ref": "#/$defs/B"}}});
        assert_eq!(fields(&schema).len(), 2);
    }
}
