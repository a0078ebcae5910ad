//! Values described by a driver's JSON Schema, apart from how they are shown: their secrets.

use serde_json::Value;

/// Takes every `writeOnly` value out of `value`: what is shown never holds a secret.
pub fn blank_secrets(schema: &Value, value: &mut Value) {
    let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object_mut()) else { return };
    for (name, field) in properties {
        if is_secret(field) {
            object.remove(name);
        } else if let Some(inner) = object.get_mut(name) {
            blank_secrets(field, inner);
        }
    }
}

/// Fills every `writeOnly` value that `value` leaves out from `stored`: an empty password box keeps the old password.
pub fn keep_secrets(schema: &Value, stored: &Value, value: &mut Value) {
    let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object_mut()) else { return };
    for (name, field) in properties {
        let old = &stored[name];
        if is_secret(field) {
            if !object.contains_key(name) && !old.is_null() {
                object.insert(name.clone(), old.clone());
            }
        } else if let Some(inner) = object.get_mut(name) {
            keep_secrets(field, old, inner);
        }
    }
}

fn is_secret(field: &Value) -> bool {
    field["writeOnly"] == Value::Bool(true)
}
