//! Whether a value is what a schema says, in messages for people.

use std::net::Ipv4Addr;

use regex_automata::nfa::thompson::pikevm::PikeVM;
use serde_json::Value;

use super::field::{Field, Kind, fields};
use crate::needs::FieldProblem;

/// Everything that is wrong with `value`. A missing secret is wrong only where `is_new`: else one is stored already.
pub fn check(schema: &Value, value: &Value, is_new: bool) -> Vec<FieldProblem> {
    let mut wrong = Vec::new();
    if !schema.is_object() {
        return wrong;
    }
    match value.as_object() {
        Some(_) => check_fields(&fields(schema), schema, value, is_new, "", &mut wrong),
        None if value.is_null() && fields(schema).iter().all(|field| !field.required) => {}
        None => wrong.push(FieldProblem::new("", "must be an object")),
    }
    wrong
}

fn check_fields(
    fields: &[Field],
    schema: &Value,
    value: &Value,
    is_new: bool,
    below: &str,
    wrong: &mut Vec<FieldProblem>,
) {
    for field in fields {
        let path = format!("{below}/{}", field.name.replace('~', "~0").replace('/', "~1"));
        match value.get(&field.name) {
            None | Some(Value::Null) if field.optional || !field.required || field.secret && !is_new => {}
            None | Some(Value::Null) => wrong.push(FieldProblem::new(path, "must not be empty")),
            Some(given) => match &field.kind {
                Kind::Object(inner) if given.is_object() => {
                    check_fields(inner, &field.schema, given, is_new, &path, wrong);
                }
                _ => wrong
                    .extend(judge(field, given).into_iter().map(|message| FieldProblem::new(path.clone(), message))),
            },
        }
    }
    if schema["additionalProperties"] == false {
        let known = |name: &String| fields.iter().any(|field| field.name == *name);
        let unknown = value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
        wrong.extend(
            unknown.map(|(name, _)| FieldProblem::new(format!("{below}/{name}"), "is not a setting of this driver")),
        );
    }
}

fn judge(field: &Field, value: &Value) -> Option<String> {
    let schema = &field.schema;
    match (&field.kind, value) {
        (Kind::Choice(choices), given) => judge_choice(choices, given),
        (Kind::Text(format), Value::String(text)) => judge_text(schema, format, text, field.required),
        (Kind::Text(_), _) => Some("must be text".to_owned()),
        // A whole number may be written as 2.0: the schema allows it.
        (Kind::Integer, Value::Number(number)) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => {
            judge_number(schema, number.as_f64()?)
        }
        (Kind::Integer, _) => Some("must be a whole number".to_owned()),
        (Kind::Number, Value::Number(number)) => judge_number(schema, number.as_f64()?),
        (Kind::Number, _) => Some("must be a number".to_owned()),
        (Kind::Boolean, given) => (!given.is_boolean()).then(|| "must be true or false".to_owned()),
        (Kind::List, Value::Array(lines)) => {
            let line = |line: &Value| match line {
                Value::String(text) => {
                    let items = &schema["items"];
                    judge_text(items, items["format"].as_str().unwrap_or_default(), text, true)
                        .map(|message| format!("\"{text}\" {message}"))
                }
                other => Some(format!("{other} must be text")),
            };
            judge_count(schema, lines.len()).or_else(|| lines.iter().find_map(line))
        }
        (Kind::Choices(choices), Value::Array(given)) => {
            judge_count(schema, given.len()).or_else(|| given.iter().find_map(|value| judge_choice(choices, value)))
        }
        (Kind::List | Kind::Choices(_), _) => Some("must be a list".to_owned()),
        (Kind::Object(_), _) => Some("must be an object".to_owned()),
        (Kind::Json, _) => None,
    }
}

fn judge_choice(choices: &[(Value, String)], given: &Value) -> Option<String> {
    if choices.iter().any(|(value, _)| value == given) {
        return None;
    }
    let titles: Vec<&str> = choices.iter().map(|(_, title)| title.as_str()).collect();
    Some(format!("must be one of: {}", titles.join(", ")))
}

fn judge_text(schema: &Value, format: &str, text: &str, required: bool) -> Option<String> {
    if text.is_empty() {
        return required.then(|| "must not be empty".to_owned());
    }
    let length = text.chars().count() as u64;
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        return Some(format!("must have at least {least} characters, it has {length}"));
    }
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        return Some(format!("must have at most {most} characters, it has {length}"));
    }
    // A pattern that is none is the driver's fault; the driver judges the value itself.
    if let Some(pattern) = schema["pattern"].as_str()
        && let Ok(regex) = PikeVM::new(pattern)
        && !regex.is_match(&mut regex.create_cache(), text)
    {
        let hint = schema["x-pattern-hint"].as_str().map_or_else(|| format!("must match {pattern}"), str::to_owned);
        return Some(hint);
    }
    let good = match format {
        "uri" => is_uri(text),
        "email" => text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && is_hostname(host)),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "hostname" => is_hostname(text),
        "time" => text.parse::<jiff::civil::Time>().is_ok(),
        _ => true,
    };
    let example = match format {
        "uri" => "must be an address such as http://10.0.0.20",
        "email" => "must be a mail address such as office@example.org",
        "ipv4" => "must be an IPv4 address such as 10.0.0.20",
        "hostname" => "must be a host name or IPv4 address such as speaker-1.example.org",
        _ => "must be a time such as 08:15",
    };
    (!good).then(|| example.to_owned())
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_letters = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let starts_well = scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    starts_well && scheme_letters && rest.len() > 2 && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_hostname(text: &str) -> bool {
    let label = |part: &str| {
        let letters = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&part.len()) && letters && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn judge_number(schema: &Value, number: f64) -> Option<String> {
    if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
        return Some(format!("must be {least} or more"));
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
        return Some(format!("must be {most} or less"));
    }
    if let Some(least) = schema["exclusiveMinimum"].as_f64().filter(|least| number <= *least) {
        return Some(format!("must be more than {least}"));
    }
    if let Some(most) = schema["exclusiveMaximum"].as_f64().filter(|most| number >= *most) {
        return Some(format!("must be less than {most}"));
    }
    let step = schema["multipleOf"].as_f64().filter(|step| *step > 0.0)?;
    let steps = number / step;
    ((steps - steps.round()).abs() > 1e-9).then(|| format!("must be a multiple of {step}"))
}

fn judge_count(schema: &Value, count: usize) -> Option<String> {
    let count = count as u64;
    if let Some(least) = schema["minItems"].as_u64().filter(|least| count < *least) {
        return Some(format!("must have at least {least} entries, it has {count}"));
    }
    let most = schema["maxItems"].as_u64().filter(|most| count > *most)?;
    Some(format!("must have at most {most} entries, it has {count}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(property: Value, given: Value) -> Option<String> {
        let schema = json!({"type": "object", "properties": {"x": property}, "required": ["x"]});
        let wrong = check(&schema, &json!({"x": given}), true);
        assert!(wrong.len() <= 1, "{wrong:?}");
        wrong.into_iter().next().map(|problem| {
            assert_eq!(problem.path, "/x");
            problem.message
        })
    }

    #[test]
    fn each_keyword_has_a_message_and_lets_the_right_value_pass() {
        let cases = [
            (json!({"type": "string"}), json!("a"), json!(1), "must be text"),
            (json!({"type": "string"}), json!("a"), json!(""), "must not be empty"),
            (json!({"type": "string", "minLength": 2}), json!("äö"), json!("ä"), "at least 2 characters, it has 1"),
            (json!({"type": "string", "maxLength": 2}), json!("äö"), json!("abc"), "at most 2 characters, it has 3"),
            (json!({"type": "string", "pattern": "^[0-9]{4}$"}), json!("1234"), json!("12345"), "must match"),
            (json!({"type": "string", "format": "ipv4"}), json!("10.0.0.1"), json!("10.0.0.256"), "IPv4"),
            (json!({"type": "string", "format": "uri"}), json!("http://a"), json!("10.0.0.1"), "http://"),
            (json!({"type": "string", "format": "email"}), json!("a@b.c"), json!("a@"), "mail address"),
            (json!({"type": "string", "format": "hostname"}), json!("a-1.b"), json!("a_1"), "host name"),
            (json!({"type": "string", "format": "time"}), json!("08:15"), json!("25:00"), "time such as"),
            (json!({"type": "string", "enum": ["a", "b"]}), json!("a"), json!("c"), "one of: A, B"),
            (json!({"type": "integer"}), json!(2.0), json!(2.5), "whole number"),
            (json!({"type": "integer", "minimum": 1}), json!(1), json!(0), "1 or more"),
            (json!({"type": "integer", "maximum": 65535}), json!(65535), json!(70000), "65535 or less"),
            (json!({"type": "number", "multipleOf": 0.1}), json!(0.3), json!(0.35), "multiple of 0.1"),
            (json!({"type": "number"}), json!(0.3), json!("0.3"), "must be a number"),
            (json!({"type": "boolean"}), json!(false), json!("on"), "true or false"),
            (
                json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}),
                json!(["a"]),
                json!(["a", "b"]),
                "at most 1",
            ),
            (json!({"type": "array", "items": {"enum": ["a"]}}), json!(["a"]), json!(["b"]), "one of: A"),
            (
                json!({"type": "array", "items": {"type": "string", "format": "ipv4"}}),
                json!(["1.2.3.4"]),
                json!(["x"]),
                "\"x\" must be an IPv4",
            ),
        ];
        for (property, right, wrong, message) in cases {
            assert_eq!(one(property.clone(), right.clone()), None, "{property} {right}");
            let said = one(property.clone(), wrong.clone()).unwrap_or_else(|| panic!("{property} let {wrong} pass"));
            assert!(said.contains(message), "{property} {wrong}: {said:?}, expected {message:?}");
        }
    }

    #[test]
    fn a_stored_secret_may_be_left_out_and_a_first_one_not() {
        let schema = json!({"type": "object", "required": ["key"], "properties": {"key": {"type": "string", "writeOnly": true}}});
        assert!(check(&schema, &json!({}), false).is_empty());
        assert_eq!(check(&schema, &json!({}), true)[0].path, "/key");
    }

    #[test]
    fn inner_fields_are_named_by_their_place() {
        let schema = json!({"type": "object", "additionalProperties": false, "properties": {"tls": {"type": "object",
            "required": ["port"], "properties": {"port": {"type": "integer", "minimum": 1}}}}});
        let wrong = check(&schema, &json!({"tls": {"port": 0}, "odd": 1}), true);
        assert_eq!(wrong.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["/tls/port", "/odd"]);
        assert_eq!(check(&schema, &json!({"tls": {}}), true)[0].path, "/tls/port");
    }
}
