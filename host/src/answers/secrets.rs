//! Secrets in what a person hands in: kept where they were left out, sealed where they were given, so that nothing is stored
//! that anybody could read.

use onealert_core::{config::Table, ids::DriverId, sealed};
use onealert_plugin_api::document::Description;
use onealert_web::{
    needs::{FieldProblem, Problem},
    schema::{each_secret, keep_secrets},
};
use serde_json::Value;

use crate::{
    hub::Hub,
    seal::{Row, Unopened, Unsealed},
};

/// A described value as it is stored. `at` is where it stands in what was handed in, for messages.
pub(super) fn stored(
    hub: &Hub,
    row: Row<'_>,
    at: &str,
    schema: &Value,
    present: Option<&Value>,
    mut given: Value,
) -> Result<Value, Problem> {
    // Whoever hands in ciphertext has read it somewhere, and would use a secret that he does not know.
    let foreign: Vec<FieldProblem> = sealed::paths(&given)
        .into_iter()
        .map(|path| FieldProblem::new(format!("{at}{path}"), "must be the secret itself, or be left out to keep it"))
        .collect();
    if !foreign.is_empty() {
        return Err(Problem::invalid(foreign));
    }
    if let Some(present) = present {
        keep_secrets(schema, present, &mut given);
    }
    seal(hub, row, schema, &mut given)?;
    Ok(given)
}

/// Seals what a schema calls secret and what is not sealed yet.
pub(super) fn seal(hub: &Hub, row: Row<'_>, schema: &Value, value: &mut Value) -> Result<(), Problem> {
    let sealed = each_secret(schema, value, |path, secret| {
        *secret = hub.seal.seal(row, path, secret)?;
        Ok(())
    });
    sealed.map_err(|error: Unsealed| {
        tracing::error!(table = row.table.name(), key = row.key, %error, "a secret was not sealed");
        Problem::unavailable(format!("Nothing was saved: {error}."))
    })
}

/// A stored value with its secrets opened, for a driver that is asked about it.
pub(super) fn opened(hub: &Hub, row: Row<'_>, at: &str, stored: &Value) -> Result<Value, Problem> {
    hub.seal.open(row, stored).map_err(|lost: Unopened| {
        Problem::invalid(vec![FieldProblem::new(format!("{at}{}", lost.path), format!("{}", lost.why))])
    })
}

/// What a driver says of itself, for a write that may hold secrets: which of its values are secret must be known.
pub(super) fn described(driver: &DriverId, found: Option<Description>) -> Result<Description, Problem> {
    found.ok_or_else(|| {
        let text = "is not on this server or not read yet, so that it is not known which values are secret. Nothing was saved.";
        Problem::unavailable(format!("The file of the driver {driver} {text}"))
    })
}

/// The row of a driver's settings.
pub(super) fn of_driver(id: &DriverId) -> Row<'_> {
    Row { table: Table::Drivers, key: id.as_str() }
}
