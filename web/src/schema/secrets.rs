//! Secrets in described values: never shown, kept when left empty.

use serde_json::Value;

use super::field::{Kind, fields};

/// Takes every `writeOnly` value out of `value`: what is shown never holds a secret.
pub fn blank_secrets(schema: &Value, value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    for field in fields(schema) {
        if field.secret {
            object.remove(&field.name);
        } else if let (Kind::Object(_), Some(inner)) = (&field.kind, object.get_mut(&field.name)) {
            blank_secrets(&field.schema, inner);
        }
    }
}

/// Fills every `writeOnly` value that `value` leaves out from `stored`: an empty password box keeps the old password.
pub fn keep_secrets(schema: &Value, stored: &Value, value: &mut Value) {
    let Some(object) = value.as_object_mut() else { return };
    for field in fields(schema) {
        let old = &stored[&field.name];
        if field.secret {
            if !object.contains_key(&field.name) && !old.is_null() {
                object.insert(field.name, old.clone());
            }
        } else if let (Kind::Object(_), Some(inner)) = (&field.kind, object.get_mut(&field.name)) {
            keep_secrets(&field.schema, old, inner);
        }
    }
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
}
