//! Secrets in described values: never shown, kept when left empty, found where they are to be sealed.
//!
//! A value that is stored sealed is a secret whatever the schema says: the schema may be another version's, or not known.

use onealert_core::sealed;
use serde_json::Value;

use super::field::{Field, Kind, fields};

/// Takes every secret out of `value`: what is shown never holds one.
pub fn blank_secrets(schema: &Value, value: &mut Value) {
    blank(schema, value);
    sealed::leave_out(value);
}

fn blank(schema: &Value, value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    for field in fields(schema) {
        if field.secret {
            object.remove(&field.name);
        } else if let (Kind::Object(_), Some(inner)) = (&field.kind, object.get_mut(&field.name)) {
            blank(&field.schema, inner);
        }
    }
}

/// Fills every secret that `value` leaves out from `stored`: an empty password box keeps the old password.
pub fn keep_secrets(schema: &Value, stored: &Value, value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    for field in fields(schema) {
        let old = &stored[&field.name];
        if field.secret || sealed::text(old).is_some() {
            if !object.contains_key(&field.name) && !old.is_null() {
                object.insert(field.name, old.clone());
            }
        } else if let (Kind::Object(_), Some(inner)) = (&field.kind, object.get_mut(&field.name)) {
            keep_secrets(&field.schema, old, inner);
        }
    }
}

/// Hands every secret of `value` that is not sealed to `visit`, with its JSON pointer. One that is empty hides nothing and is
/// passed over.
///
/// # Errors
/// The first error of `visit`.
pub fn each_secret<E>(
    schema: &Value,
    value: &mut Value,
    mut visit: impl FnMut(&str, &mut Value) -> Result<(), E>,
) -> Result<(), E> {
    each(&fields(schema), value, "", &mut visit)
}

fn each<E>(
    fields: &[Field],
    value: &mut Value,
    path: &str,
    visit: &mut dyn FnMut(&str, &mut Value) -> Result<(), E>,
) -> Result<(), E> {
    let Some(object) = value.as_object_mut() else { return Ok(()) };
    for field in fields {
        let Some(inner) = object.get_mut(&field.name) else { continue };
        let path = sealed::below(path, &field.name);
        let is_empty = inner.is_null() || *inner == "" || sealed::text(inner).is_some();
        match &field.kind {
            _ if field.secret && is_empty => {}
            _ if field.secret => visit(&path, inner)?,
            Kind::Object(fields) => each(fields, inner, &path, visit)?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_leave_and_come_back() {
        let schema = json!({"type": "object", "properties": {
            "user": {"type": "string"},
            "password": {"type": "string", "writeOnly": true},
            "sip": {"$ref": "#/$defs/Sip"},
        }, "$defs": {"Sip": {"type": "object", "properties": {
            "secret": {"type": ["string", "null"], "writeOnly": true}, "port": {"type": "integer"}}}}});
        let stored = json!({"user": "a", "password": "p", "sip": {"secret": "s", "port": 5060}});
        let mut shown = stored.clone();
        blank_secrets(&schema, &mut shown);
        assert_eq!(shown, json!({"user": "a", "sip": {"port": 5060}}));
        let mut saved = json!({"user": "b", "sip": {"secret": "new", "port": 5061}});
        keep_secrets(&schema, &stored, &mut saved);
        assert_eq!(saved, json!({"user": "b", "password": "p", "sip": {"secret": "new", "port": 5061}}));
        let mut saved = json!({"user": "b", "sip": {"port": 1}});
        keep_secrets(&schema, &stored, &mut saved);
        assert_eq!(saved["sip"]["secret"], "s");
    }

    #[test]
    fn what_is_stored_sealed_is_a_secret_under_any_schema() {
        let stored = json!({"user": "a", "token": {"sealed": "v1:x"}, "sip": {"pin": {"sealed": "v1:y"}}});
        let plain = json!({"type": "object", "properties": {"user": {"type": "string"}, "token": {"type": "string"}}});
        for schema in [Value::Null, plain.clone()] {
            let mut shown = stored.clone();
            blank_secrets(&schema, &mut shown);
            assert_eq!(shown, json!({"user": "a", "sip": {}}));
        }
        let mut saved = json!({"user": "b"});
        keep_secrets(&plain, &stored, &mut saved);
        assert_eq!(saved, json!({"user": "b", "token": {"sealed": "v1:x"}}), "but for what the driver no longer has");
    }

    #[test]
    fn secrets_that_are_to_be_sealed_are_found_with_their_paths() {
        let schema = json!({"type": "object", "properties": {
            "user": {"type": "string"},
            "a/b": {"type": "string", "format": "password"},
            "empty": {"type": "string", "writeOnly": true},
            "none": {"type": ["string", "null"], "writeOnly": true},
            "done": {"type": "string", "writeOnly": true},
            "pins": {"type": "array", "items": {"type": "string"}, "writeOnly": true},
            "sip": {"type": "object", "properties": {"secret": {"type": "string", "writeOnly": true}}}}});
        let mut value = json!({"user": "a", "a/b": "p", "empty": "", "none": null, "done": {"sealed": "v1:x"},
            "pins": ["1", "2"], "sip": {"secret": "s"}});
        let mut found = Vec::new();
        let visited: Result<(), ()> = each_secret(&schema, &mut value, |path, secret| {
            found.push(format!("{path} {secret}"));
            *secret = json!({"sealed": "v1:y"});
            Ok(())
        });
        assert_eq!(visited, Ok(()));
        found.sort();
        assert_eq!(found, ["/a~1b \"p\"", "/pins [\"1\",\"2\"]", "/sip/secret \"s\""]);
        assert_eq!(value["sip"]["secret"], json!({"sealed": "v1:y"}));
        assert_eq!(each_secret(&schema, &mut json!({"a/b": "p"}), |_, _| Err("no")), Err("no"));
    }
}
