//! Judges a value by a [`Form`], in words for the person who filled it in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Number, Value};

use super::{Choice, Count, Field, Form, Kind, Range, Text};
use crate::document::Problem;

pub(super) fn value(form: &Form, value: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    group(form, value, "", &mut problems);
    problems
}

fn group(form: &Form, value: &Value, path: &str, problems: &mut Vec<Problem>) {
    let Some(object) = value.as_object() else {
        problems.push(problem(path, "must be a group of fields"));
        return;
    };
    for field in &form.fields {
        let path = format!("{path}/{}", field.name.replace('~', "~0").replace('/', "~1"));
        match object.get(&field.name) {
            None if field.required => problems.push(problem(&path, "must be given")),
            Some(Value::Null) if !field.nullable => problems.push(problem(&path, "must be given")),
            None | Some(Value::Null) => {}
            Some(given) => one(field, given, &path, problems),
        }
    }
}

fn one(field: &Field, given: &Value, path: &str, problems: &mut Vec<Problem>) {
    match &field.kind {
        Kind::Group(form) => group(form, given, path, problems),
        Kind::Texts(text, count) => list(given, *count, path, problems, |entry| wrong_text(text, entry)),
        Kind::Choices(choices, count) => list(given, *count, path, problems, |entry| wrong_choice(choices, entry)),
        Kind::Text(text) => problems.extend(wrong_text(text, given).map(|message| problem(path, message))),
        Kind::Choice(choices) => problems.extend(wrong_choice(choices, given).map(|message| problem(path, message))),
        Kind::Flag if given.is_boolean() => {}
        Kind::Flag => problems.push(problem(path, "must be true or false")),
        Kind::Integer(_) if !given.is_i64() && !given.is_u64() => {
            problems.push(problem(path, "must be a whole number"))
        }
        Kind::Number(_) if !given.is_number() => problems.push(problem(path, "must be a number")),
        Kind::Integer(range) | Kind::Number(range) => {
            let number = given.as_f64().unwrap_or_default();
            problems.extend(wrong_number(range, number).map(|message| problem(path, message)));
        }
    }
}

fn list(
    given: &Value,
    count: Count,
    path: &str,
    problems: &mut Vec<Problem>,
    wrong: impl Fn(&Value) -> Option<String>,
) {
    let Some(entries) = given.as_array() else {
        problems.push(problem(path, "must be a list"));
        return;
    };
    let length = entries.len() as u64;
    if let Some(min) = count.min.filter(|&min| length < min) {
        problems.push(problem(path, format!("must have at least {}", several(min, "entry", "entries"))));
    }
    if let Some(max) = count.max.filter(|&max| length > max) {
        problems.push(problem(path, format!("must have at most {}", several(max, "entry", "entries"))));
    }
    for (at, entry) in entries.iter().enumerate() {
        if let Some(message) = wrong(entry) {
            problems.push(problem(&format!("{path}/{at}"), message));
        } else if count.unique && entries[..at].contains(entry) {
            problems.push(problem(&format!("{path}/{at}"), "is there twice"));
        }
    }
}

fn wrong_choice(choices: &[Choice], given: &Value) -> Option<String> {
    if choices.iter().any(|choice| given.as_str() == Some(&choice.value)) {
        return None;
    }
    let words: Vec<&str> = choices.iter().map(|choice| choice.value.as_str()).collect();
    Some(format!("must be one of: {}", words.join(", ")))
}

fn wrong_text(limits: &Text, given: &Value) -> Option<String> {
    let Some(text) = given.as_str() else { return Some("must be text".to_owned()) };
    let length = text.chars().count() as u64;
    if let Some(min) = limits.min_length.filter(|&min| length < min) {
        return Some(if length == 0 {
            "must not be empty".to_owned()
        } else {
            format!("must have at least {}", several(min, "character", "characters"))
        });
    }
    if let Some(max) = limits.max_length.filter(|&max| length > max) {
        return Some(format!("must have at most {}", several(max, "character", "characters")));
    }
    // Whether a text may be empty is said by minLength alone.
    if text.is_empty() { None } else { wrong_format(limits.format.as_deref()?, text).map(str::to_owned) }
}

fn wrong_format(format: &str, text: &str) -> Option<&'static str> {
    let (fits, message) = match format {
        "email" => (is_email(text), "must be an email address such as name@example.org"),
        "hostname" => (is_hostname(text), "must be a host name such as horn.example.org"),
        "ip" => (text.parse::<IpAddr>().is_ok(), "must be an IP address such as 192.0.2.7"),
        "ipv4" => (text.parse::<Ipv4Addr>().is_ok(), "must be an IPv4 address such as 192.0.2.7"),
        "ipv6" => (text.parse::<Ipv6Addr>().is_ok(), "must be an IPv6 address such as 2001:db8::7"),
        "time" => (is_time(text), "must be a time such as 07:45"),
        "uri" => (is_uri(text), "must be an address such as https://example.org/feed"),
        _ => (true, ""),
    };
    (!fits).then_some(message)
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    !name.is_empty() && !text.contains(char::is_whitespace) && is_hostname(host)
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn is_time(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let below = |at: usize, limit: u8| {
        parts.get(at).is_some_and(|part: &&str| {
            part.len() == 2
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && part.parse::<u8>().is_ok_and(|number| number < limit)
        })
    };
    below(0, 24) && below(1, 60) && (parts.len() == 2 || (parts.len() == 3 && below(2, 60)))
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.is_empty()
        && !text.contains(|one: char| one.is_whitespace() || one.is_control())
}

fn wrong_number(range: &Range, given: f64) -> Option<String> {
    let limit =
        |number: &Option<Number>| number.as_ref().and_then(|number| Some((number.as_f64()?, number.to_string())));
    if let Some((_, least)) = limit(&range.minimum).filter(|(least, _)| given < *least) {
        return Some(format!("must be {least} or more"));
    }
    if let Some((_, most)) = limit(&range.maximum).filter(|(most, _)| given > *most) {
        return Some(format!("must be {most} or less"));
    }
    let (step, said) = limit(&range.multiple_of).filter(|(step, _)| *step > 0.0)?;
    let steps = given / step;
    ((steps - steps.round()).abs() > 1e-9).then(|| format!("must be a multiple of {said}"))
}

fn several(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn problem(path: &str, message: impl Into<String>) -> Problem {
    Problem { path: path.to_owned(), message: message.into() }
}
