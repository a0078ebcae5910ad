//! How a secret stands in a row: as an object with the one key `sealed`, whose text is ciphertext.
//!
//! The primary seals a secret once, when it takes the configuration; what is written, logged, copied and compared from there
//! on is the same text on every server. This module only knows the form. The key is outside, with whoever opens it.

use serde_json::{Map, Value};

/// The one key of the object that stands for a secret.
const MARK: &str = "sealed";

/// What stands in place of a secret where a row is shown to people.
const HIDDEN: &str = "not shown";

/// The object that stands in a row for a secret whose ciphertext is `text`.
pub fn object(text: String) -> Value {
    Value::Object(Map::from_iter([(MARK.to_owned(), Value::String(text))]))
}

/// The ciphertext, if the value stands for a secret.
pub fn text(value: &Value) -> Option<&str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get(MARK)?.as_str()
}

/// The JSON pointers of all sealed secrets in a value.
pub fn paths(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    gather(value, "", &mut found);
    found
}

fn gather(value: &Value, path: &str, found: &mut Vec<String>) {
    if text(value).is_some() {
        return found.push(path.to_owned());
    }
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| gather(inner, &below(path, name), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| gather(item, &format!("{path}/{index}"), found));
        }
        _ => {}
    }
}

/// The JSON pointer of the field `name` in the object at `path`.
pub fn below(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Replaces every sealed secret by words: ciphertext is of no use to who reads a report.
pub fn hide(value: &mut Value) {
    if text(value).is_some() {
        *value = Value::from(HIDDEN);
        return;
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hide),
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

/// Takes every sealed secret out of the objects that hold one.
pub fn leave_out(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, inner| text(inner).is_none());
        fields.values_mut().for_each(leave_out);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sealed_secrets_are_found_hidden_and_left_out_wherever_they_stand() {
        let row = json!({"host": "a", "a/b": {"sealed": "v1:x"}, "sip": {"pin": object("v1:y".to_owned()), "port": 1}});
        assert_eq!(paths(&row), ["/a~1b", "/sip/pin"]);
        assert_eq!(row.pointer("/a~1b").and_then(text), Some("v1:x"));
        let mut shown = row.clone();
        hide(&mut shown);
        assert_eq!(shown, json!({"host": "a", "a/b": "not shown", "sip": {"pin": "not shown", "port": 1}}));
        let mut shown = row;
        leave_out(&mut shown);
        assert_eq!(shown, json!({"host": "a", "sip": {"port": 1}}));
    }

    #[test]
    fn an_object_that_only_looks_alike_is_none() {
        for other in [json!({"sealed": 1}), json!({"sealed": "x", "more": 1}), json!("sealed"), json!({"Sealed": "x"})]
        {
            assert_eq!(text(&other), None, "{other}");
            assert_eq!(paths(&other), [] as [String; 0]);
        }
    }
}
