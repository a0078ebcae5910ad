//! The activator that is part of the server, as pages see it: beside the drivers, because its triggers are made like theirs.

use onealert_core::{
    alert::{ACTIVATOR, Filter},
    config::Config,
    ids::DriverId,
};
use onealert_web::needs::{DriverDetail, DriverView, Problem, State};
use serde_json::Value;

use super::drivers::Schemas;

/// Whether it is meant.
pub(super) fn is(id: &DriverId) -> bool {
    id.as_str() == ACTIVATOR
}

/// What its triggers are made of.
pub(super) fn schemas(config: &Config) -> Schemas {
    Schemas { settings: Value::Null, endpoint: Value::Null, trigger: Filter::schema(config) }
}

/// As a line of the list.
pub(super) fn view(config: &Config) -> DriverView {
    DriverView {
        id: DriverId::from(ACTIVATOR),
        name: "Redundancy status".to_owned(),
        vendor: "What happens to the servers themselves: failovers, synchronisation, clocks, drivers".to_owned(),
        built_in: true,
        enabled: true,
        version: Some(crate::product::version().to_string()),
        trust: String::new(),
        update: None,
        other_versions: Vec::new(),
        state: State::Ok,
        text: "Part of every server".to_owned(),
        endpoints: 0,
        triggers: config.triggers.values().filter(|trigger| trigger.driver.as_ref().is_some_and(is)).count() as u32,
        reaches: false,
        watches: true,
        servers: Vec::new(),
    }
}

/// With its form.
pub(super) fn detail(config: &Config) -> DriverDetail {
    let schemas = schemas(config);
    DriverDetail {
        view: view(config),
        settings_schema: schemas.settings,
        endpoint_schema: schemas.endpoint,
        trigger_schema: schemas.trigger,
        settings: Value::Null,
        etag: String::new(),
        events: Vec::new(),
    }
}

/// It has no settings, and no file may take its place.
pub(super) fn refuse(id: &DriverId) -> Result<(), Problem> {
    match is(id) {
        true => {
            let text =
                format!("{id} is part of the server: it has no settings and is always there. Make a trigger of it.");
            Err(Problem::new(422, "Not a driver", text))
        }
        false => Ok(()),
    }
}
