//! From a JSON Schema to a [`Form`].

use serde_json::{Map, Value};

use super::{Choice, Count, FORMATS, Field, Form, Kind, Range, Text};
use crate::document::Problem;

/// Keywords that only tell something.
const TOLD: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "readOnly",
    "writeOnly",
    "deprecated",
    "x-restart",
    "x-local",
];

/// What schemars writes beside numbers; the limits stand in `minimum` and `maximum`.
const NUMBER_FORMATS: &[&str] =
    &["int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "float", "double"];

pub(super) fn form(schema: &Value) -> Result<Form, Vec<Problem>> {
    let mut reader = Reader { defs: schema.get("$defs"), problems: Vec::new() };
    let form = match reader.resolve(schema, "") {
        Some(node) if node.get("type").and_then(Value::as_str) == Some("object") => reader.group(&node, "", 0),
        Some(_) => {
            reader.wrong("", "the schema must be of type object");
            Form::default()
        }
        None => Form::default(),
    };
    if reader.problems.is_empty() { Ok(form) } else { Err(reader.problems) }
}

struct Reader<'a> {
    defs: Option<&'a Value>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn wrong(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), message: message.into() });
    }

    /// The node itself with what it refers to: beside a reference only telling keywords count.
    fn resolve(&mut self, node: &Value, path: &str) -> Option<Map<String, Value>> {
        let Some(object) = node.as_object() else {
            self.wrong(path, "a schema of true or false says nothing; give the field a type");
            return None;
        };
        let mut merged = object.clone();
        // Each step follows one reference; a circle has no end and no form.
        for _ in 0..8 {
            let Some(reference) = merged.remove("$ref") else { return Some(merged) };
            let target = reference
                .as_str()
                .and_then(|text| text.strip_prefix("#/$defs/"))
                .and_then(|name| self.defs?.get(name.replace("~1", "/").replace("~0", "~")))
                .and_then(Value::as_object);
            let Some(target) = target else {
                self.wrong(path, format!("$ref {reference} does not lead into $defs"));
                return None;
            };
            for (keyword, value) in target {
                merged.entry(keyword).or_insert_with(|| value.clone());
            }
        }
        self.wrong(path, "$ref leads in a circle");
        None
    }

    fn group(&mut self, node: &Map<String, Value>, path: &str, depth: u8) -> Form {
        self.only(node, path, "an object", &["type", "properties", "required", "additionalProperties"]);
        if node.get("additionalProperties").is_some_and(|more| !more.is_boolean()) {
            self.wrong(path, "a map with free names cannot be shown in a form; name the fields");
        }
        let required: Vec<&str> =
            node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut fields = Vec::new();
        for (name, property) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
            if let Some(field) = self.field(name, property, required.contains(&name.as_str()), &path, depth) {
                fields.push(field);
            }
        }
        Form { title: text(node, "title"), description: text(node, "description"), fields }
    }

    fn field(&mut self, name: &str, property: &Value, required: bool, path: &str, depth: u8) -> Option<Field> {
        let mut node = self.resolve(property, path)?;
        let mut nullable = false;
        if let Some(options) = node.remove("anyOf") {
            let mut options = options.as_array().cloned().unwrap_or_default();
            let before = options.len();
            options.retain(|option| option.get("type").and_then(Value::as_str) != Some("null"));
            if before != 2 || options.len() != 1 {
                self.wrong(path, "anyOf is accepted only as one type or null");
                return None;
            }
            nullable = true;
            for (keyword, value) in self.resolve(&options[0], path)? {
                node.entry(keyword).or_insert(value);
            }
        }
        if let Some(types) = node.get("type").and_then(Value::as_array).cloned() {
            let named: Vec<&Value> = types.iter().filter(|one| one.as_str() != Some("null")).collect();
            if named.len() != 1 {
                self.wrong(path, "several types at once; give one type, or one and null");
                return None;
            }
            nullable |= types.len() > named.len();
            node.insert("type".to_owned(), named[0].clone());
        }
        let kind = self.kind(&node, path, depth)?;
        Some(Field {
            name: name.to_owned(),
            title: match text(&node, "title") {
                title if title.is_empty() => spoken(name),
                title => title,
            },
            description: text(&node, "description"),
            required,
            nullable,
            default: node.get("default").filter(|value| !value.is_null()).cloned(),
            examples: node.get("examples").and_then(Value::as_array).cloned().unwrap_or_default(),
            write_only: flag(&node, "writeOnly"),
            read_only: flag(&node, "readOnly"),
            restart: flag(&node, "x-restart"),
            local: flag(&node, "x-local"),
            kind,
        })
    }

    fn kind(&mut self, node: &Map<String, Value>, path: &str, depth: u8) -> Option<Kind> {
        if let Some(choices) = self.choices(node, path) {
            return choices.map(Kind::Choice);
        }
        match node.get("type").and_then(Value::as_str) {
            Some("string") => Some(Kind::Text(self.text(node, path))),
            Some("integer") => Some(Kind::Integer(self.range(node, path))),
            Some("number") => Some(Kind::Number(self.range(node, path))),
            Some("boolean") => {
                self.only(node, path, "a boolean", &["type"]);
                Some(Kind::Flag)
            }
            Some("array") => self.list(node, path),
            Some("object") if depth == 0 => Some(Kind::Group(self.group(node, path, depth + 1))),
            Some("object") => {
                self.wrong(path, "an object inside an object inside the settings; a form nests once");
                None
            }
            Some(other) => {
                self.wrong(path, format!("type {other} cannot be shown in a form"));
                None
            }
            None => {
                self.wrong(path, "no type; a form needs string, integer, number, boolean, array or object");
                None
            }
        }
    }

    fn list(&mut self, node: &Map<String, Value>, path: &str) -> Option<Kind> {
        self.only(node, path, "an array", &["type", "items", "minItems", "maxItems", "uniqueItems"]);
        let count =
            Count { min: whole(node, "minItems"), max: whole(node, "maxItems"), unique: flag(node, "uniqueItems") };
        let Some(items) = node.get("items") else {
            self.wrong(path, "an array without items; say what it holds");
            return None;
        };
        let items = self.resolve(items, path)?;
        if let Some(choices) = self.choices(&items, path) {
            return choices.map(|choices| Kind::Choices(choices, count));
        }
        if items.get("type").and_then(Value::as_str) == Some("string") {
            return Some(Kind::Texts(self.text(&items, path), count));
        }
        self.wrong(path, "an array may hold texts or choices only");
        None
    }

    /// None if this is no choice; `Some(None)` if it is one that cannot be shown.
    fn choices(&mut self, node: &Map<String, Value>, path: &str) -> Option<Option<Vec<Choice>>> {
        let mut choices = Vec::new();
        if let Some(options) = node.get("oneOf").and_then(Value::as_array) {
            self.only(node, path, "a choice", &["oneOf", "type"]);
            for option in options {
                let before = choices.len();
                if let Some(option) = option.as_object() {
                    let named = text(option, "title");
                    if let Some(value) = option.get("const").and_then(Value::as_str) {
                        let title = if named.is_empty() { spoken(value) } else { named };
                        choices.push(Choice { value: value.to_owned(), title });
                    } else if let Some(values) = option.get("enum").and_then(Value::as_array) {
                        choices.extend(values.iter().filter_map(Value::as_str).map(plain));
                    }
                }
                if choices.len() == before {
                    self.wrong(path, "oneOf is accepted only for constant texts");
                    return Some(None);
                }
            }
            return Some(Some(choices));
        }
        let values = match (node.get("enum").and_then(Value::as_array), node.get("const")) {
            (Some(values), _) => values.clone(),
            (None, Some(value)) => vec![value.clone()],
            (None, None) => return None,
        };
        self.only(node, path, "an enum", &["enum", "const", "type", "x-enum-titles"]);
        let titles = node.get("x-enum-titles").and_then(Value::as_array);
        for (at, value) in values.iter().enumerate().filter(|(_, value)| !value.is_null()) {
            let Some(word) = value.as_str() else {
                self.wrong(path, format!("enum value {value} is no text"));
                return Some(None);
            };
            let mut choice = plain(word);
            if let Some(title) = titles.and_then(|titles| titles.get(at)?.as_str()) {
                title.clone_into(&mut choice.title);
            }
            choices.push(choice);
        }
        Some(Some(choices))
    }

    fn text(&mut self, node: &Map<String, Value>, path: &str) -> Text {
        self.only(node, path, "a string", &["type", "minLength", "maxLength", "pattern", "format"]);
        let format = node.get("format").and_then(Value::as_str).map(str::to_owned);
        if let Some(unknown) = format.as_deref().filter(|format| !FORMATS.contains(format)) {
            self.wrong(path, format!("format {unknown} is not known; take one of {}", FORMATS.join(", ")));
        }
        Text {
            min_length: whole(node, "minLength"),
            max_length: whole(node, "maxLength"),
            pattern: node.get("pattern").and_then(Value::as_str).map(str::to_owned),
            format,
        }
    }

    fn range(&mut self, node: &Map<String, Value>, path: &str) -> Range {
        self.only(node, path, "a number", &["type", "minimum", "maximum", "multipleOf", "format"]);
        if let Some(format) = node.get("format").and_then(Value::as_str).filter(|word| !NUMBER_FORMATS.contains(word)) {
            self.wrong(path, format!("format {format} is not known for numbers"));
        }
        let number = |keyword: &str| node.get(keyword).and_then(Value::as_number).cloned();
        Range { minimum: number("minimum"), maximum: number("maximum"), multiple_of: number("multipleOf") }
    }

    fn only(&mut self, node: &Map<String, Value>, path: &str, of: &str, accepted: &[&str]) {
        for keyword in node.keys() {
            if !accepted.contains(&keyword.as_str()) && !TOLD.contains(&keyword.as_str()) {
                self.wrong(path, format!("keyword {keyword} is not accepted for {of}"));
            }
        }
    }
}

fn text(node: &Map<String, Value>, keyword: &str) -> String {
    node.get(keyword).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn flag(node: &Map<String, Value>, keyword: &str) -> bool {
    node.get(keyword).and_then(Value::as_bool).unwrap_or_default()
}

fn whole(node: &Map<String, Value>, keyword: &str) -> Option<u64> {
    node.get(keyword).and_then(Value::as_u64)
}

fn plain(word: &str) -> Choice {
    Choice { value: word.to_owned(), title: spoken(word) }
}

/// `poll_seconds` as `Poll seconds`.
fn spoken(name: &str) -> String {
    let words = name.replace(['_', '-'], " ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}
