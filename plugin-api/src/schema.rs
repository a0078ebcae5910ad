//! The part of JSON Schema that drivers may use for settings, endpoints and triggers, read into a form.
//!
//! A form shows text, whole numbers, numbers, yes or no, choices, lists of texts, lists of choices, and groups of these
//! nested once. [`Form::read`] refuses anything else by name, so that a page never has to show raw JSON. Accepted keywords:
//!
//! | for | keywords |
//! |---|---|
//! | all | `title` `description` `default` `examples` `readOnly` `writeOnly` `deprecated` `x-restart` `x-local` |
//! | text | `enum` `const` `minLength` `maxLength` `pattern` `format` (see [`FORMATS`]) `x-enum-titles` |
//! | numbers | `minimum` `maximum` `multipleOf` |
//! | lists | `items` `minItems` `maxItems` `uniqueItems` |
//! | groups | `properties` `required` `additionalProperties` (`true` or `false`) |
//! | anywhere | `$ref` into `$defs`; `["T", "null"]` or `anyOf` with `null` for an optional value; `oneOf` of constant texts |

mod check;
mod read;

use serde_json::{Number, Value};

use crate::document::Problem;

/// What `format` may say of a text. `password` hides it; the others are checked.
pub const FORMATS: &[&str] = &["email", "hostname", "ip", "ipv4", "ipv6", "password", "time", "uri"];

/// A group of fields: a whole schema, or one nested group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Form {
    /// Name for people; may be empty.
    pub title: String,
    /// Help for people; may be empty.
    pub description: String,
    /// In the schema's order.
    pub fields: Vec<Field>,
}

/// One value of a form.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name in the document.
    pub name: String,
    /// Its name for people: the schema's title, or made from the name.
    pub title: String,
    /// Help for people; may be empty.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
    /// Whether `null` may stand for "not set".
    pub nullable: bool,
    /// What holds when it is not given.
    pub default: Option<Value>,
    /// What others wrote there.
    pub examples: Vec<Value>,
    /// Stored encrypted and never shown again.
    pub write_only: bool,
    /// Shown, never asked for.
    pub read_only: bool,
    /// Changing it restarts the driver.
    pub restart: bool,
    /// Kept for each server on its own, not replicated.
    pub local: bool,
    /// What it holds.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A text.
    Text(Text),
    /// One of these.
    Choice(Vec<Choice>),
    /// A whole number.
    Integer(Range),
    /// A number.
    Number(Range),
    /// Yes or no.
    Flag,
    /// Several texts.
    Texts(Text, Count),
    /// Several of these.
    Choices(Vec<Choice>, Count),
    /// Fields of its own; these hold no further group.
    Group(Form),
}

/// Limits of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// Fewest characters.
    pub min_length: Option<u64>,
    /// Most characters.
    pub max_length: Option<u64>,
    /// A regular expression. The browser and the driver judge by it; the server does not.
    pub pattern: Option<String>,
    /// One of [`FORMATS`].
    pub format: Option<String>,
}

/// One of several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its word in the document.
    pub value: String,
    /// Its name for people.
    pub title: String,
}

/// Limits of a number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Range {
    /// The least.
    pub minimum: Option<Number>,
    /// The most.
    pub maximum: Option<Number>,
    /// Only multiples of this.
    pub multiple_of: Option<Number>,
}

/// Limits of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Fewest entries.
    pub min: Option<u64>,
    /// Most entries.
    pub max: Option<u64>,
    /// No entry twice.
    pub unique: bool,
}

impl Form {
    /// Reads a schema. This is the one place that says what drivers may use.
    ///
    /// # Errors
    /// Everything in it that a form cannot show; `path` points into the settings, not into the schema.
    pub fn read(schema: &Value) -> Result<Form, Vec<Problem>> {
        read::form(schema)
    }

    /// What is wrong with `value` by the schema's limits, in words for the person who filled in the form. Fields that the
    /// schema does not name are nobody's business.
    #[must_use]
    pub fn check(&self, value: &Value) -> Vec<Problem> {
        check::value(self, value)
    }

    /// The value with every default that is not given.
    #[must_use]
    pub fn with_defaults(&self, value: &Value) -> Value {
        let mut filled = value.as_object().cloned().unwrap_or_default();
        for field in &self.fields {
            match (&field.kind, filled.get(&field.name)) {
                (Kind::Group(form), Some(given)) => {
                    let group = form.with_defaults(given);
                    filled.insert(field.name.clone(), group);
                }
                (_, None) => {
                    if let Some(default) = &field.default {
                        filled.insert(field.name.clone(), default.clone());
                    }
                }
                _ => {}
            }
        }
        Value::Object(filled)
    }
}

#[cfg(test)]
mod tests;
