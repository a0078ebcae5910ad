//! From a schema and a value to the fields of a form, and back from what was posted.

use serde_json::{Map, Value};

use super::field::{Field, Kind, fields};
use crate::{
    form::{Choice, Control, FormField, Item, Line, element_id},
    needs::FieldProblem,
    request::Fields,
};

/// More values than that are folded into a select.
const OPEN_CHOICES: usize = 3;

/// The fields for `value`, their posted names below `below` (such as `/settings`). Without a value the defaults are shown.
pub fn items(schema: &Value, value: &Value, below: &str) -> Vec<Item> {
    let fields = fields(schema);
    let (first, more): (Vec<Field>, Vec<Field>) = fields.into_iter().partition(|field| !field.more);
    let mut items = draw(&first, value, below);
    if !more.is_empty() {
        items.push(Item::Fold { open: more.iter().any(|field| is_set(field, value.get(&field.name))) });
        items.extend(draw(&more, value, below));
        items.push(Item::Unfold);
    }
    items
}

/// Whether a field holds something else than it would by itself.
fn is_set(field: &Field, present: Option<&Value>) -> bool {
    present.is_some_and(|value| !value.is_null() && *value != field.default)
}

fn draw(fields: &[Field], value: &Value, below: &str) -> Vec<Item> {
    let mut items = Vec::new();
    for field in fields {
        let name = format!("{below}/{}", field.name);
        let present = value.get(&field.name);
        if let Kind::Object(inner) = &field.kind {
            items.push(Item::Open { title: field.title.clone(), help: field.help.clone() });
            items.extend(draw(inner, present.unwrap_or(&field.default), &name));
            items.push(Item::Close);
        } else {
            items.push(Item::Field(draw_field(field, name, present)));
        }
    }
    items
}

fn draw_field(field: &Field, name: String, present: Option<&Value>) -> FormField {
    let value = present.unwrap_or(&field.default);
    let control = match &field.kind {
        Kind::Boolean => Control::Tick { on: *value == true },
        Kind::Choice(choices) => {
            let mut drawn = draw_choices(choices, |choice| choice == value);
            if !field.required || value.is_null() {
                drawn.insert(0, Choice::new("", "Not set", value.is_null()));
            }
            if drawn.len() > OPEN_CHOICES { Control::Select(drawn) } else { Control::Radio(drawn) }
        }
        Kind::Choices(choices) => {
            let chosen = value.as_array().cloned().unwrap_or_default();
            Control::Ticks(draw_choices(choices, |choice| chosen.contains(choice)))
        }
        Kind::List => Control::Area { rows: 4 },
        Kind::Json => Control::Area { rows: 6 },
        Kind::Text(_) if field.schema["x-multiline"] == true => Control::Area { rows: 4 },
        Kind::Text(_) | Kind::Integer | Kind::Number | Kind::Object(_) => Control::Line(line(field)),
    };
    let help = match field.kind {
        Kind::List if field.help.to_lowercase().contains("one a line") => field.help.clone(),
        Kind::List => format!("{} One a line.", field.help).trim_start().to_owned(),
        _ => field.help.clone(),
    };
    let repeats = help.trim_end_matches('.').eq_ignore_ascii_case(&field.title);
    let help = if repeats { String::new() } else { help };
    let changed = present.is_some_and(|value| !field.default.is_null() && *value != field.default);
    FormField {
        id: element_id(&name),
        name,
        label: field.title.clone(),
        help,
        control,
        value: if field.secret { String::new() } else { shown(&field.kind, value) },
        error: String::new(),
        required: field.required && !field.secret,
        read_only: field.read_only,
        default: changed.then(|| default_shown(field)),
    }
}

fn line(field: &Field) -> Line {
    let schema = &field.schema;
    let bound = |key: &str| schema[key].as_f64().map(|bound| bound.to_string()).unwrap_or_default();
    let number = matches!(field.kind, Kind::Integer | Kind::Number);
    let kind = match &field.kind {
        _ if field.secret => "password",
        _ if number => "number",
        Kind::Text(format) if format == "email" => "email",
        Kind::Text(format) if format == "uri" => "url",
        _ => "text",
    };
    Line {
        kind,
        autocomplete: if field.secret { "new-password" } else { "" },
        placeholder: if field.secret { "unchanged".to_owned() } else { String::new() },
        min: bound("minimum"),
        max: bound("maximum"),
        step: match field.kind {
            Kind::Number => schema["multipleOf"].as_f64().map_or_else(|| "any".to_owned(), |step| step.to_string()),
            Kind::Integer => schema["multipleOf"].as_f64().unwrap_or(1.0).to_string(),
            _ => String::new(),
        },
        max_length: schema["maxLength"].as_u64().map(|most| most.to_string()).unwrap_or_default(),
    }
}

fn draw_choices(choices: &[(Value, String)], on: impl Fn(&Value) -> bool) -> Vec<Choice> {
    choices.iter().map(|(value, title)| Choice::new(posted(value), title, on(value))).collect()
}

fn default_shown(field: &Field) -> String {
    match &field.kind {
        Kind::Boolean => if field.default == true { "on" } else { "off" }.to_owned(),
        Kind::Choice(choices) => {
            let title = choices.iter().find(|(value, _)| *value == field.default);
            title.map_or_else(|| posted(&field.default), |(_, title)| title.clone())
        }
        Kind::Choices(choices) => {
            let chosen = field.default.as_array().into_iter().flatten();
            let title = |value| choices.iter().find(|(known, _)| known == value).map(|(_, title)| title.as_str());
            match chosen.filter_map(title).collect::<Vec<_>>().join(", ") {
                empty if empty.is_empty() => "none".to_owned(),
                titles => titles,
            }
        }
        kind => match shown(kind, &field.default).replace('\n', ", ") {
            empty if empty.is_empty() => "empty".to_owned(),
            text => text,
        },
    }
}

/// A value as a form holds it.
fn posted(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shown(kind: &Kind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (Kind::List, Value::Array(lines)) => lines.iter().map(posted).collect::<Vec<_>>().join("\n"),
        (Kind::Json, value) => serde_json::to_string_pretty(value).expect("a JSON value is JSON"),
        (_, value) => posted(value),
    }
}

/// The value that was posted, and what could not be read at all. What can be read and is wrong is kept as it came, so that
/// the page shows it again beside its message.
pub fn parse(schema: &Value, form: &Fields, below: &str) -> (Value, Vec<FieldProblem>) {
    let mut wrong = Vec::new();
    let value = read(&fields(schema), form, below, &mut wrong);
    (Value::Object(value), wrong)
}

fn read(fields: &[Field], form: &Fields, below: &str, wrong: &mut Vec<FieldProblem>) -> Map<String, Value> {
    let mut object = Map::new();
    for field in fields {
        let name = format!("{below}/{}", field.name);
        let text = form.get(&name).unwrap_or_default();
        let value = match &field.kind {
            Kind::Object(inner) => {
                let inner = read(inner, form, &name, wrong);
                let empty = inner.values().all(|value| *value == false || *value == Value::Array(Vec::new()));
                (!(field.optional && empty)).then_some(Value::Object(inner))
            }
            Kind::Boolean => Some(Value::Bool(form.has(&name))),
            Kind::List => Some(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Value::from).collect()),
            Kind::Choices(choices) => {
                let ticked = |value: &&Value| form.all(&name).any(|text| text == posted(value));
                Some(choices.iter().map(|(value, _)| value).filter(ticked).cloned().collect())
            }
            Kind::Text(_) if field.secret => (!text.is_empty()).then(|| Value::from(text)),
            // An emptied text is an empty text where leaving it out would bring the default back.
            Kind::Text(_) if text.trim().is_empty() => {
                (!field.default.is_null() && field.default != "" && form.has(&name)).then(|| Value::from(""))
            }
            Kind::Text(_) => Some(Value::from(text.trim().replace("\r\n", "\n"))),
            _ if text.trim().is_empty() => None,
            Kind::Choice(choices) => {
                let chosen = choices.iter().map(|(value, _)| value).find(|value| posted(value) == text);
                Some(chosen.cloned().unwrap_or_else(|| Value::from(text)))
            }
            Kind::Integer => Some(text.trim().parse::<i64>().map_or_else(|_| Value::from(text), Value::from)),
            Kind::Number => Some(text.trim().parse::<f64>().map_or_else(|_| Value::from(text), Value::from)),
            Kind::Json => Some(serde_json::from_str(text).unwrap_or_else(|error| {
                wrong.push(FieldProblem::new(name.clone(), format!("must be JSON: {error}")));
                Value::from(text)
            })),
        };
        if let Some(value) = value {
            object.insert(field.name.clone(), value);
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{request::encode, schema::check};

    fn schema() -> Value {
        json!({"type": "object", "required": ["host"], "properties": {
            "host": {"type": "string", "format": "hostname"},
            "port": {"type": "integer", "maximum": 65535, "default": 80},
            "password": {"type": "string", "writeOnly": true},
            "mode": {"enum": ["a", "b", "c", "d"]},
            "on": {"type": "boolean", "default": true},
            "zones": {"type": "array", "items": {"type": "string"}},
            "days": {"type": "array", "items": {"enum": [1, 2]}},
            "tls": {"type": "object", "properties": {"verify": {"type": "boolean"}, "name": {"type": "string"}}},
        }})
    }

    /// Posts what the form shows, as a browser would.
    fn post(items: &[Item]) -> Fields {
        let mut text = String::new();
        let mut add = |name: &str, value: &str| text.push_str(&format!("{}={}&", encode(name), encode(value)));
        for item in items {
            let Item::Field(field) = item else { continue };
            match &field.control {
                Control::Tick { on: false } => {}
                Control::Tick { on: true } => add(&field.name, "on"),
                Control::Select(choices) | Control::Radio(choices) | Control::Ticks(choices) => {
                    choices.iter().filter(|choice| choice.on).for_each(|choice| add(&field.name, &choice.value));
                }
                Control::Line(_) | Control::Area { .. } => add(&field.name, &field.value),
            }
        }
        Fields::parse(text.as_bytes())
    }

    #[test]
    fn a_form_that_is_posted_unchanged_gives_the_same_value() {
        let value = json!({"host": "10.0.0.1", "port": 81, "mode": "c", "on": false, "zones": ["a", "b b"], "days": [2],
            "tls": {"verify": true, "name": "ü & <x>"}});
        let (posted, wrong) = parse(&schema(), &post(&items(&schema(), &value, "/s")), "/s");
        assert!(wrong.is_empty());
        assert_eq!(posted, value);
        assert!(check(&schema(), &posted, true).is_empty());
    }

    #[test]
    fn what_the_author_names_comes_first_and_the_rest_is_folded_until_it_is_set_or_wrong() {
        let mut schema = schema();
        schema["x-order"] = json!(["zones", "host"]);
        let names = |items: &[Item]| -> Vec<String> {
            let name = |item: &Item| match item {
                Item::Field(field) => field.name.clone(),
                Item::Fold { open } => format!("fold {open}"),
                _ => "frame".to_owned(),
            };
            items.iter().map(name).collect()
        };
        let drawn = items(&schema, &json!({"host": "a", "port": 80}), "");
        assert_eq!(names(&drawn)[..4], ["/zones", "/host", "fold false", "/days"]);
        assert_eq!(names(&items(&schema, &json!({"host": "a", "port": 81}), ""))[2], "fold true");
        let wrong = crate::needs::Problem::invalid(vec![FieldProblem::new("/port", "must be smaller")]);
        let again = crate::form::Form::new(drawn).with_problem(&wrong);
        assert_eq!(names(&again.items)[2], "fold true");
    }

    #[test]
    fn defaults_are_told_in_the_words_of_the_form_and_no_help_repeats_its_label() {
        let schema = json!({"type": "object", "properties": {
            "kinds": {"title": "Kinds", "type": "array", "items": {"enum": ["tornado_warning", "flood"], "x-enum-titles": ["Tornado warning", "Flood"]},
                "default": ["tornado_warning"]},
            "least": {"title": "Least severity", "description": "Least severity.", "type": "string"},
        }});
        let drawn = items(&schema, &json!({"kinds": []}), "");
        let [Item::Field(kinds), Item::Field(least)] = &drawn[..] else { panic!("{drawn:?}") };
        assert_eq!(kinds.default.as_deref(), Some("Tornado warning"));
        assert_eq!(least.help, "");
    }

    #[test]
    fn a_secret_is_never_in_the_form_and_only_a_typed_one_comes_back() {
        let drawn = items(&schema(), &json!({"host": "a", "password": "hidden"}), "");
        assert!(!format!("{drawn:?}").contains("hidden"));
        assert!(parse(&schema(), &post(&drawn), "").0.get("password").is_none());
        let typed = Fields::parse(b"%2Fhost=a&%2Fpassword=+new+");
        assert_eq!(parse(&schema(), &typed, "").0["password"], " new ");
    }

    #[test]
    fn what_is_wrong_is_shown_again_as_it_was_typed() {
        let typed = Fields::parse(b"%2Fhost=a&%2Fport=eighty&%2Fmode=zzz");
        let (value, _) = parse(&schema(), &typed, "");
        let paths: Vec<String> = check(&schema(), &value, true).into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["/mode", "/port"]);
        let again = format!("{:?}", items(&schema(), &value, ""));
        assert!(again.contains("eighty"), "{again}");
    }

    #[test]
    fn an_untouched_new_form_holds_the_defaults() {
        let (value, _) = parse(&schema(), &post(&items(&schema(), &Value::Null, "")), "");
        assert_eq!(value["port"], 80);
        assert_eq!(value["on"], true);
        assert!(value.get("host").is_none(), "{value}");
    }
}
