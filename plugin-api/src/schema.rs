//! The part of JSON Schema 2020-12 that drivers may use, so that every setting can be shown as a form, and the judgement of
//! values by it. [`check`] judges a schema, [`validate`] a value; nothing else in the product knows the rules.

use serde_json::{Map, Value};

use crate::document::Problem;

/// What is said of a field that the schema does not have.
pub(crate) const UNKNOWN: &str = "is not a setting of this driver";

/// How deep objects may stand in objects: the settings themselves, and one level in them.
const DEPTH: usize = 2;

/// Keywords that every schema may carry.
const ANYWHERE: &[&str] = &[
    "$schema",
    "$id",
    "$defs",
    "$ref",
    "title",
    "description",
    "default",
    "examples",
    "type",
    "readOnly",
    "writeOnly",
    "x-enum-titles",
    "x-restart",
    "x-local",
    "format",
    "const",
];

/// Everything in a schema that a form cannot show; empty when it will do.
pub fn check(schema: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_at(schema, schema, "", 0, &mut problems);
    if problems.is_empty() && kind(&resolve(schema, schema)) != Some("object") {
        problems.push(problem("", "must be an object: one property for each setting"));
    }
    problems
}

fn check_at(root: &Value, schema: &Value, path: &str, depth: usize, problems: &mut Vec<Problem>) {
    let resolved = resolve(root, schema);
    let Some(map) = resolved.as_object() else {
        problems.push(problem(path, "must be a schema object"));
        return;
    };
    if let Some(options) = variants(map) {
        if options.is_none() {
            problems.push(problem(path, "oneOf and anyOf may only list constants, or one schema and null"));
        }
        return;
    }
    let Some(kind) = kind(&resolved) else {
        if !map.contains_key("enum") {
            problems.push(problem(path, "needs one type: string, integer, number, boolean, array or object"));
        }
        return;
    };
    let own: &[&str] = match kind {
        "string" => &["enum", "minLength", "maxLength", "pattern", "x-pattern-hint"],
        "integer" | "number" => &["minimum", "maximum", "multipleOf"],
        "boolean" => &[],
        "array" => &["items", "minItems", "maxItems", "uniqueItems"],
        "object" => &["properties", "required", "additionalProperties", "x-order"],
        other => {
            problems.push(problem(path, &format!("type {other} cannot be shown in a form")));
            return;
        }
    };
    for keyword in
        map.keys().filter(|keyword| !ANYWHERE.contains(&keyword.as_str()) && !own.contains(&keyword.as_str()))
    {
        problems.push(problem(path, &format!("keyword {keyword} cannot be shown in a form for a {kind}")));
    }
    match kind {
        "object" if depth >= DEPTH => problems.push(problem(path, "objects may be nested once only")),
        "object" => {
            let properties = map.get("properties").and_then(Value::as_object);
            for listed in map.get("x-order").and_then(Value::as_array).into_iter().flatten() {
                if listed.as_str().is_none_or(|name| properties.is_none_or(|known| !known.contains_key(name))) {
                    problems.push(problem(path, &format!("x-order names {listed}, which is no property")));
                }
            }
            for (name, inner) in properties.into_iter().flatten() {
                check_at(root, inner, &format!("{path}/{name}"), depth + 1, problems);
            }
        }
        "array" => {
            let items = map.get("items").map(|items| resolve(root, items));
            if items.as_ref().and_then(self::kind) != Some("string") {
                problems.push(problem(path, "an array may hold strings only"));
            }
        }
        _ => {}
    }
}

/// What is wrong with a value by a schema that [`check`] accepted; empty when it will do. A null schema takes no value but
/// null.
pub fn validate(schema: &Value, value: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    match (schema.is_null(), value.is_null()) {
        (true, true) => {}
        (true, false) => problems.push(problem("", "must be left out: this driver has none")),
        _ => judge(schema, schema, value, "", &mut problems),
    }
    problems
}

fn judge(root: &Value, schema: &Value, value: &Value, path: &str, problems: &mut Vec<Problem>) {
    let resolved = resolve(root, schema);
    let Some(map) = resolved.as_object() else { return };
    if value.is_null() && nullable(map) {
        return;
    }
    match variants(map) {
        Some(Some(Variants::Constants(constants))) => {
            if !constants.contains(value) {
                problems.push(problem(path, &format!("must be one of {}", list(&constants))));
            }
            return;
        }
        Some(Some(Variants::OrNull(inner))) => return judge(root, &inner, value, path, problems),
        Some(None) => return,
        None => {}
    }
    if let Some(choices) = map.get("enum").and_then(Value::as_array).filter(|choices| !choices.contains(value)) {
        problems.push(problem(path, &format!("must be one of {}", list(choices))));
        return;
    }
    let number = |keyword: &str| map.get(keyword).and_then(Value::as_f64);
    match (kind(&resolved), value) {
        (Some("string"), Value::String(text)) => {
            let length = text.chars().count() as f64;
            if number("minLength").is_some_and(|least| length < least) {
                let least = number("minLength").unwrap_or_default();
                let text = if least <= 1.0 {
                    "must not be empty".to_owned()
                } else {
                    format!("must have at least {least} characters")
                };
                problems.push(problem(path, &text));
            }
            if let Some(most) = number("maxLength").filter(|most| length > *most) {
                problems.push(problem(path, &format!("must have at most {most} characters")));
            }
            if let Some(wrong) = map.get("format").and_then(Value::as_str).and_then(|format| misformed(format, text)) {
                problems.push(problem(path, wrong));
            }
        }
        (Some("integer"), Value::Number(given)) => {
            // A whole number may be written with a point, such as 2.0.
            let whole = given.is_i64() || given.is_u64() || given.as_f64().is_some_and(|number| number.fract() == 0.0);
            if !whole {
                problems.push(problem(path, "must be a whole number"));
            }
            within(map, given.as_f64().unwrap_or_default(), path, problems);
        }
        (Some("number"), Value::Number(given)) => within(map, given.as_f64().unwrap_or_default(), path, problems),
        (Some("boolean"), Value::Bool(_)) => {}
        (Some("array"), Value::Array(items)) => {
            if let Some(most) = number("maxItems").filter(|most| items.len() as f64 > *most) {
                problems.push(problem(path, &format!("must have at most {most} entries")));
            }
            if let Some(least) = number("minItems").filter(|least| (items.len() as f64) < *least) {
                problems.push(problem(path, &format!("must have at least {least} entries")));
            }
            for (index, item) in items.iter().enumerate() {
                if let Some(inner) = map.get("items") {
                    judge(root, inner, item, &format!("{path}/{index}"), problems);
                }
            }
        }
        (Some("object"), Value::Object(fields)) => object(root, map, fields, path, problems),
        (Some(kind), _) => {
            let article = if matches!(kind, "integer" | "array" | "object") { "an" } else { "a" };
            let kind = if kind == "integer" { "whole number" } else { kind };
            let article = if kind == "whole number" { "a" } else { article };
            problems.push(problem(path, &format!("must be {article} {kind}")));
        }
        (None, _) => {}
    }
}

fn object(
    root: &Value,
    map: &Map<String, Value>,
    fields: &Map<String, Value>,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let properties = map.get("properties").and_then(Value::as_object);
    for name in map.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            problems.push(problem(&format!("{path}/{name}"), "must be given"));
        }
    }
    for (name, value) in fields {
        match properties.and_then(|properties| properties.get(name)) {
            Some(inner) => judge(root, inner, value, &format!("{path}/{name}"), problems),
            None => problems.push(problem(&format!("{path}/{name}"), UNKNOWN)),
        }
    }
}

fn within(map: &Map<String, Value>, number: f64, path: &str, problems: &mut Vec<Problem>) {
    let bound = |keyword: &str| map.get(keyword).and_then(Value::as_f64);
    let outside =
        bound("minimum").is_some_and(|least| number < least) || bound("maximum").is_some_and(|most| number > most);
    if outside {
        let text = match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!("must be from {least} to {most}"),
            (Some(least), None) => format!("must be {least} or more"),
            (None, Some(most)) => format!("must be {most} or less"),
            (None, None) => return,
        };
        problems.push(problem(path, &text));
    }
}

fn misformed(format: &str, text: &str) -> Option<&'static str> {
    let fits = match format {
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "uri" => text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty()),
        "email" => text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.')),
        "hostname" => !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c)),
        "time" => text.split(':').count() >= 2 && text.split(':').all(|part| part.parse::<u8>().is_ok()),
        _ => true,
    };
    if fits {
        return None;
    }
    Some(match format {
        "ipv4" => "must be an IPv4 address such as 192.168.1.10",
        "uri" => "must be an address such as https://example.org/feed",
        "email" => "must be a mail address such as name@example.org",
        "hostname" => "must be a host name or IP address",
        _ => "must be a time such as 07:45",
    })
}

/// Alternatives as schemars writes them.
enum Variants {
    /// An enum whose cases have descriptions.
    Constants(Vec<Value>),
    /// An optional value.
    OrNull(Value),
}

/// The alternatives of a schema: `None` when it has none, `Some(None)` when they are of a kind that is not taken.
fn variants(map: &Map<String, Value>) -> Option<Option<Variants>> {
    let options = map.get("oneOf").or_else(|| map.get("anyOf"))?.as_array()?;
    let constants: Vec<Value> = options
        .iter()
        .flat_map(|option| match (option.get("const"), option.get("enum").and_then(Value::as_array)) {
            (Some(constant), _) => vec![constant.clone()],
            (None, Some(choices)) => choices.clone(),
            _ => Vec::new(),
        })
        .collect();
    let is_null = |option: &&Value| option.get("type").and_then(Value::as_str) == Some("null");
    let all_constant = options.iter().all(|option| option.get("const").is_some() || option.get("enum").is_some());
    Some(if all_constant {
        Some(Variants::Constants(constants))
    } else if options.len() == 2 && options.iter().filter(is_null).count() == 1 {
        options.iter().find(|option| !is_null(option)).cloned().map(Variants::OrNull)
    } else {
        None
    })
}

fn nullable(map: &Map<String, Value>) -> bool {
    let typed = map.get("type").and_then(Value::as_array).is_some_and(|types| types.iter().any(|kind| kind == "null"));
    typed || matches!(variants(map), Some(Some(Variants::OrNull(_))))
}

/// The one type of a schema, null apart.
fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            kinds.next().filter(|_| kinds.next().is_none())
        }
        _ => None,
    }
}

/// A schema with its `$ref` into `$defs` followed; keywords beside the reference win.
fn resolve(root: &Value, schema: &Value) -> Value {
    let mut resolved = schema.clone();
    // A chain of references ends, or is cut where it goes in a circle.
    for _ in 0..8 {
        let Some(name) = resolved.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"))
        else {
            break;
        };
        let Some(target) = root.get("$defs").and_then(|defs| defs.get(name)).and_then(Value::as_object) else { break };
        let mut merged = target.clone();
        if let Some(beside) = resolved.as_object() {
            merged.extend(beside.iter().filter(|(keyword, _)| *keyword != "$ref").map(|(k, v)| (k.clone(), v.clone())));
        }
        resolved = Value::Object(merged);
    }
    resolved
}

fn list(values: &[Value]) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn problem(path: &str, message: &str) -> Problem {
    Problem { path: path.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["host"],
            "properties": {
                "host": {"type": "string", "minLength": 1},
                "port": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535},
                "mode": {"$ref": "#/$defs/Mode"},
                "codes": {"type": "array", "items": {"type": "string"}}
            },
            "$defs": {"Mode": {"oneOf": [{"const": "fast", "description": "Fast"}, {"const": "slow"}]}}
        })
    }

    #[test]
    fn each_wrong_field_is_named_with_what_it_must_be() {
        assert_eq!(check(&schema()), []);
        let said = |value: Value| -> Vec<String> {
            validate(&schema(), &value).into_iter().map(|it| format!("{} {}", it.path, it.message)).collect()
        };
        assert_eq!(said(json!({"host": "a", "port": 80, "mode": "fast", "codes": ["TOR"]})), [] as [String; 0]);
        assert_eq!(said(json!({"host": "a", "port": null})), [] as [String; 0]);
        assert_eq!(said(json!({})), ["/host must be given"]);
        assert_eq!(said(json!({"host": ""})), ["/host must not be empty"]);
        assert_eq!(said(json!({"host": "a", "port": 70000})), ["/port must be from 1 to 65535"]);
        assert_eq!(said(json!({"host": "a", "mode": "x"})), ["/mode must be one of fast, slow"]);
        assert_eq!(said(json!({"host": "a", "codes": [1]})), ["/codes/0 must be a string"]);
        assert_eq!(said(json!({"host": "a", "hots": 1})), ["/hots is not a setting of this driver"]);
    }

    #[test]
    fn an_order_names_properties_that_there_are() {
        let mut ordered = schema();
        ordered["x-order"] = json!(["port", "host"]);
        assert_eq!(check(&ordered), []);
        ordered["x-order"] = json!(["prot"]);
        assert_eq!(check(&ordered)[0].message, "x-order names \"prot\", which is no property");
    }

    #[test]
    fn a_schema_that_no_form_can_show_is_refused() {
        let deep =
            json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "object"}}}}});
        assert_eq!(check(&deep)[0].path, "/a/b");
        for bad in [
            json!({"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "integer"}]}}}),
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object"}}}}),
            json!({"type": "object", "properties": {"a": {}}}),
        ] {
            assert_eq!(check(&bad).len(), 1, "{bad}");
        }
        assert_eq!(check(&json!({"type": "string"})).len(), 1);
    }
}
