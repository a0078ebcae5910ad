//! Values made from a schema: right ones that point at this machine, wrong ones, and random ones.

use serde_json::{Map, Value, json};

/// The address that every text gets which is not otherwise limited: a driver under test reaches nobody else.
const HERE: &str = "127.0.0.1";

/// A value that the schema takes; `port` stands wherever a field of that name does.
pub(super) fn right(root: &Value, schema: &Value, port: u16) -> Value {
    let schema = resolve(root, schema);
    for keyword in ["default", "const"] {
        if let Some(value) = schema.get(keyword).filter(|value| !value.is_null()) {
            return value.clone();
        }
    }
    for keyword in ["examples", "enum"] {
        if let Some(value) = schema.get(keyword).and_then(|list| list.get(0)) {
            return value.clone();
        }
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(option) = schema.get(keyword).and_then(|list| list.get(0)) {
            return right(root, option, port);
        }
    }
    match kind(&schema) {
        "object" => {
            let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            let mut fields = Map::new();
            for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if name == "port" {
                    fields.insert(name.clone(), json!(port));
                } else if required.contains(&json!(name)) {
                    fields.insert(name.clone(), right(root, inner, port));
                }
            }
            Value::Object(fields)
        }
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(false),
        "array" => json!([]),
        _ => match schema.get("format").and_then(Value::as_str) {
            Some("uri") => json!(format!("http://{HERE}:{port}/")),
            Some("email") => json!("nobody@localhost.localdomain"),
            Some("time") => json!("07:45"),
            _ => json!(HERE),
        },
    }
}

/// A value that no schema of this kind takes.
pub(super) fn wrong(root: &Value, schema: &Value) -> Value {
    match kind(&resolve(root, schema)) {
        "object" => json!("text in place of an object"),
        "array" => json!({"an": "object"}),
        _ => json!({"in": ["place", "of", "a", "value"]}),
    }
}

fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or(""),
        _ => "",
    }
}

fn resolve(root: &Value, schema: &Value) -> Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
    let target = name.and_then(|name| root.get("$defs")?.get(name));
    target.unwrap_or(schema).clone()
}

/// Random values that are the same for the same seed (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        (mixed >> 33) as usize % limit.max(1)
    }

    /// Any JSON, not deeper than this.
    pub(super) fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(i64::MIN + self.below(3) as i64),
            3 => json!(self.below(70_000)),
            4 => json!(self.below(1000) as f64 / 7.0),
            5 => json!(self.text()),
            6 => Value::Array((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
            _ => {
                let fields = (0..self.below(4)).map(|_| (self.text(), self.value(depth - 1)));
                Value::Object(fields.collect::<Vec<_>>().into_iter().collect())
            }
        }
    }

    /// A value like the one given with one place in it changed.
    pub(super) fn damaged(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(fields) if !fields.is_empty() && self.below(8) > 0 => {
                let mut fields = fields.clone();
                let at = self.below(fields.len());
                let name = fields.keys().nth(at).cloned().unwrap_or_default();
                let inner = fields.get(&name).map(|inner| self.damaged(inner)).unwrap_or_default();
                if self.below(6) == 0 {
                    fields.remove(&name)
                } else {
                    fields.insert(name, inner)
                };
                Value::Object(fields)
            }
            Value::Array(items) if !items.is_empty() && self.below(8) > 0 => {
                let mut items = items.clone();
                let at = self.below(items.len());
                items[at] = self.damaged(&items[at].clone());
                Value::Array(items)
            }
            _ => self.value(2),
        }
    }

    fn text(&mut self) -> String {
        const PIECES: &[&str] =
            &["", "id", "\0", "\u{202e}", "../", "%s%n", "\u{1f514}", "a", "\n", "\"", "999999999999"];
        (0..self.below(5)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }
}
