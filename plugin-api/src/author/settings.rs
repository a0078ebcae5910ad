//! Reads a driver's settings and says which field is wrong.

use serde_json::Value;

use crate::{
    document::{Failure, Problem},
    driver::Driver,
    schema,
};

/// The settings as the driver's own type, or everything that is wrong with them. What the driver does not know is left
/// alone: another version of it may have written the settings.
pub(super) fn read<D: Driver>(value: &Value) -> Result<D::Settings, Vec<Problem>> {
    let mut problems = judge::<D>(value);
    problems.retain(|problem| problem.message != schema::UNKNOWN);
    parse::<D>(value, problems)
}

/// The same for settings that are to be stored: a name that the driver does not know is a slip.
pub(super) fn read_strictly<D: Driver>(value: &Value) -> Result<D::Settings, Vec<Problem>> {
    parse::<D>(value, judge::<D>(value))
}

fn judge<D: Driver>(value: &Value) -> Vec<Problem> {
    let form = schemars::schema_for!(D::Settings).to_value();
    // A schema outside the accepted part is refused when the server looks at the driver, not here.
    if schema::check(&form).is_empty() { schema::validate(&form, value) } else { Vec::new() }
}

fn parse<D: Driver>(value: &Value, mut problems: Vec<Problem>) -> Result<D::Settings, Vec<Problem>> {
    match serde_json::from_value::<D::Settings>(value.clone()) {
        Ok(settings) if problems.is_empty() => Ok(settings),
        Ok(_) => Err(problems),
        Err(error) => {
            if problems.is_empty() {
                problems.push(Problem { path: guilty::<D>(value, &error.to_string()), message: error.to_string() });
            }
            Err(problems)
        }
    }
}

/// The field without which the error changes: serde names no path.
fn guilty<D: Driver>(value: &Value, error: &str) -> String {
    let Some(fields) = value.as_object() else { return String::new() };
    fields
        .keys()
        .find(|&name| {
            let mut rest = fields.clone();
            rest.remove(name);
            serde_json::from_value::<D::Settings>(Value::Object(rest))
                .err()
                .is_none_or(|other| other.to_string() != error)
        })
        .map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")))
        .unwrap_or_default()
}

/// All problems as one failure: `settings: zone: must be a whole number`.
pub(super) fn failure(problems: &[Problem]) -> Failure {
    let said: Vec<String> = problems
        .iter()
        .map(|problem| match problem.path.trim_start_matches('/').replace('/', ".") {
            path if path.is_empty() => problem.message.clone(),
            path => format!("{path}: {}", problem.message),
        })
        .collect();
    Failure::new("settings", format!("settings: {}", said.join("; ")))
}
