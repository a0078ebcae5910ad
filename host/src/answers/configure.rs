//! Endpoints, triggers and notifications: what is shown of them, and how they are written.

use onealert_core::{
    calendar::{Calendar, calendars_of},
    config::{Change, Config, Endpoint, Notification, Table, Trigger, canonical},
    ids::{DriverId, EndpointId, NotificationId, TriggerId},
};
use onealert_store::{
    StoreError,
    change::{AuditEntry, Commit, Expected},
};
use onealert_web::{
    needs::{Actor, Expect, FieldProblem, Listed, Named, Problem, State, etag},
    schema::blank_secrets,
};
use serde::Serialize;

use super::{
    Answers, activator,
    drivers::{description, schemas},
    redundancy::capital,
    secrets,
};
use crate::{configuration::ConfigurationError, hub::Hub, seal::Row};

/// Writes changes with what the writer expects to find, under the actor's name.
pub(super) async fn write(
    answers: &Answers,
    by: Actor,
    what: impl Into<String>,
    changes: Vec<Change>,
    expected: Vec<Expected>,
) -> Result<(), Problem> {
    answers.must_configure()?;
    let entry = AuditEntry { who: by.user.to_string(), origin: by.peer.to_string(), what: what.into() };
    let commit = Commit { expected, ..Commit::new(crate::clock::wall(), changes).audited(entry) };
    match answers.0.configuration.commit(commit).await {
        Ok(_) => Ok(()),
        Err(ConfigurationError::Store(StoreError::Conflict { table, key, .. })) => {
            Err(Problem::conflict(table.noun(), &key))
        }
        Err(ConfigurationError::Dangling(dangling)) => Err(Problem::conflict(dangling.of.noun(), &dangling.named)),
        Err(ConfigurationError::Row(error)) => Err(Problem::new(422, "Not saved", error.to_string())),
        Err(error) => {
            tracing::error!(%error, "a configuration change was not stored");
            Err(Problem::unavailable("The database did not take the change. Nothing was saved. The log says why."))
        }
    }
}

/// Checks what the writer saw against the row that is there, and turns it into the condition of the commit.
pub(super) fn expect<T: Serialize>(
    table: Table,
    key: &str,
    kind: &str,
    present: Option<&T>,
    seen: &Expect,
) -> Result<Vec<Expected>, Problem> {
    let row = present.map(canonical);
    match (seen, present) {
        (Expect::Any, _) => return Ok(Vec::new()),
        (Expect::New, Some(_)) => {
            let message = format!("is taken by another {kind}; choose another");
            return Err(Problem::invalid(vec![FieldProblem::new("/id", message)]));
        }
        (Expect::Etag(_), None) => return Err(Problem::not_found(kind, key)),
        (Expect::Etag(seen), Some(present)) if etag(present) != *seen => return Err(Problem::conflict(kind, key)),
        (Expect::New, None) | (Expect::Etag(_), Some(_)) => {}
    }
    Ok(vec![Expected { table, key: key.to_owned(), row }])
}

/// The condition that a row is as it was looked at.
pub(super) fn as_it_is<T: Serialize>(table: Table, key: &str, row: &T) -> Expected {
    Expected { table, key: key.to_owned(), row: Some(canonical(row)) }
}

/// A key made from a name: lower case, words joined by dashes, a number behind it where it is taken.
pub(super) fn key_from(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut base: String =
        name.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    while base.contains("--") {
        base = base.replace("--", "-");
    }
    let base: String = base.trim_matches('-').chars().take(60).collect();
    let base = if base.is_empty() { "row".to_owned() } else { base };
    let numbered = (2u32..).map(|n| format!("{base}-{n}"));
    std::iter::once(base.clone()).chain(numbered).find(|key| !taken(key)).expect("numbers do not end")
}

pub(super) fn named(name: &str) -> Result<(), Problem> {
    match name.trim() {
        "" => Err(Problem::invalid(vec![FieldProblem::new("/name", "must not be empty")])),
        name if name.chars().count() > 200 => {
            Err(Problem::invalid(vec![FieldProblem::new("/name", "must have at most 200 characters")]))
        }
        _ => Ok(()),
    }
}

pub(super) fn listed<T: Serialize>(row: T, used_by: Vec<Named>) -> Listed<T> {
    Listed { etag: etag(&row), row, state: State::Ok, text: String::new(), used_by }
}

fn users_of(config: &Config, uses: impl Fn(&Notification) -> bool) -> Vec<Named> {
    let name = |notification: &Notification| Named { id: notification.id.to_string(), name: notification.name.clone() };
    config.notifications.values().filter(|notification| uses(notification)).map(name).collect()
}

pub(super) fn endpoints(hub: &Hub) -> Vec<Listed<Endpoint>> {
    let config = hub.config();
    let (health, unopened) = (hub.drivers.endpoint_health(), hub.unopened());
    let mut all: Vec<Listed<Endpoint>> = config
        .endpoints
        .values()
        .map(|row| {
            let used_by = users_of(&config, |notification| notification.endpoints.contains(&row.id));
            let mut shown = listed(row.clone(), used_by);
            blank_secrets(&schemas(hub, &row.driver).endpoint, &mut shown.row.address);
            match health.get(row.id.as_str()) {
                Some(status) => {
                    use onealert_plugin_api::document::Health;
                    shown.state = match status.health {
                        Health::Ok => State::Ok,
                        Health::Warning | Health::Unknown => State::Warning,
                        Health::Error => State::Bad,
                    };
                    shown.text.clone_from(&status.detail);
                }
                None => shown.text = "Not looked at yet".to_owned(),
            }
            if let Some(lost) = unopened.iter().find(|lost| lost.is_of(Table::Endpoints, row.id.as_str())) {
                (shown.state, shown.text) = (State::Bad, capital(&lost.to_string()));
            }
            shown
        })
        .collect();
    all.sort_by_key(|listed| listed.row.name.to_lowercase());
    all
}

pub(super) async fn save_endpoint(
    answers: &Answers,
    by: Actor,
    mut row: Endpoint,
    seen: Expect,
) -> Result<EndpointId, Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    if row.id.as_str().is_empty() {
        row.id = EndpointId(key_from(&row.name, |key| config.endpoints.contains_key(&EndpointId::from(key))));
    }
    named(&row.name)?;
    if !config.drivers.contains_key(&row.driver) {
        let message = format!("{} is not an enabled driver; enable it on the Drivers page first", row.driver);
        return Err(Problem::invalid(vec![FieldProblem::new("/driver", message)]));
    }
    let present = config.endpoints.get(&row.id);
    let schema = secrets::described(&row.driver, description(&answers.0, &row.driver))?.endpoint_schema;
    let kept = present.filter(|present| present.driver == row.driver).map(|present| &present.address);
    let place = Row { table: Table::Endpoints, key: row.id.as_str() };
    row.address = secrets::stored(&answers.0, place, "/address", &schema, kept, row.address)?;
    let expected = expect(Table::Endpoints, row.id.as_str(), "endpoint", present, &seen)?;
    let change = Change::put(Table::Endpoints, row.id.as_str(), &row);
    write(answers, by, format!("saved endpoint {:?}", row.name), vec![change], expected).await?;
    Ok(row.id)
}

pub(super) async fn delete_endpoint(answers: &Answers, by: Actor, id: EndpointId, seen: Expect) -> Result<(), Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    let present = config.endpoints.get(&id).ok_or_else(|| Problem::not_found("endpoint", &id))?;
    let mut expected = expect(Table::Endpoints, id.as_str(), "endpoint", Some(present), &seen)?;
    let mut changes = without(&config, &mut expected, |row| row.endpoints.retain(|used| *used != id));
    changes.push(Change::delete(Table::Endpoints, id.as_str()));
    write(answers, by, format!("deleted endpoint {:?}", present.name), changes, expected).await
}

/// The notifications that `take` changes, as changes. Each is expected as it was looked at: a change of it at the same moment
/// is not overwritten.
fn without(config: &Config, expected: &mut Vec<Expected>, take: impl Fn(&mut Notification)) -> Vec<Change> {
    let mut changes = Vec::new();
    for row in config.notifications.values() {
        let mut changed = row.clone();
        take(&mut changed);
        if changed != *row {
            expected.push(as_it_is(Table::Notifications, row.id.as_str(), row));
            changes.push(Change::put(Table::Notifications, row.id.as_str(), &changed));
        }
    }
    changes
}

pub(super) fn triggers(hub: &Hub) -> Vec<Listed<Trigger>> {
    let (config, unopened) = (hub.config(), hub.unopened());
    let mut all: Vec<Listed<Trigger>> = config
        .triggers
        .values()
        .map(|row| {
            let mut shown =
                listed(row.clone(), users_of(&config, |notification| notification.triggers.contains(&row.id)));
            if let Some(driver) = &row.driver {
                blank_secrets(&schemas(hub, driver).trigger, &mut shown.row.settings);
            }
            if let Some(lost) = unopened.iter().find(|lost| lost.is_of(Table::Triggers, row.id.as_str())) {
                (shown.state, shown.text) = (State::Bad, capital(&lost.to_string()));
            }
            shown
        })
        .collect();
    all.sort_by_key(|listed| listed.row.name.to_lowercase());
    all
}

pub(super) async fn save_trigger(
    answers: &Answers,
    by: Actor,
    mut row: Trigger,
    seen: Expect,
) -> Result<TriggerId, Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    if row.id.as_str().is_empty() {
        row.id = TriggerId(key_from(&row.name, |key| config.triggers.contains_key(&TriggerId::from(key))));
    }
    named(&row.name)?;
    let mut problems = Vec::new();
    let known = |driver: &DriverId| activator::is(driver) || config.drivers.contains_key(driver);
    if let Some(driver) = row.driver.as_ref().filter(|driver| !known(driver)) {
        problems.push(FieldProblem::new("/driver", format!("{driver} is not an enabled driver; enable it first")));
    }
    if !config.groups.contains_key(&row.group) {
        problems.push(FieldProblem::new(
            "/group",
            format!("{} is not a priority group; choose one of the list", row.group),
        ));
    }
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    let present = config.triggers.get(&row.id);
    // What this server watches for itself holds no secrets.
    if let Some(driver) = row.driver.as_ref().filter(|driver| !activator::is(driver)) {
        let schema = secrets::described(driver, description(&answers.0, driver))?.trigger_schema;
        let kept = present.filter(|present| present.driver.as_ref() == Some(driver)).map(|present| &present.settings);
        let place = Row { table: Table::Triggers, key: row.id.as_str() };
        row.settings = secrets::stored(&answers.0, place, "/settings", &schema, kept, row.settings)?;
    }
    let expected = expect(Table::Triggers, row.id.as_str(), "trigger", present, &seen)?;
    let change = Change::put(Table::Triggers, row.id.as_str(), &row);
    write(answers, by, format!("saved trigger {:?}", row.name), vec![change], expected).await?;
    Ok(row.id)
}

pub(super) async fn delete_trigger(answers: &Answers, by: Actor, id: TriggerId, seen: Expect) -> Result<(), Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    let present = config.triggers.get(&id).ok_or_else(|| Problem::not_found("trigger", &id))?;
    let mut expected = expect(Table::Triggers, id.as_str(), "trigger", Some(present), &seen)?;
    let mut changes = without(&config, &mut expected, |row| row.triggers.retain(|used| *used != id));
    changes.push(Change::delete(Table::Triggers, id.as_str()));
    write(answers, by, format!("deleted trigger {:?}", present.name), changes, expected).await
}

pub(super) fn notifications(hub: &Hub) -> Vec<Listed<Notification>> {
    let config = hub.config();
    let calendars = |row: &Notification| {
        let name = |calendar: &Calendar| Named { id: calendar.id.to_string(), name: calendar.name.clone() };
        calendars_of(&config, &row.id).map(name).collect()
    };
    let mut all: Vec<_> = config.notifications.values().map(|row| listed(row.clone(), calendars(row))).collect();
    all.sort_by_key(|listed| listed.row.name.to_lowercase());
    all
}

pub(super) async fn save_notification(
    answers: &Answers,
    by: Actor,
    mut row: Notification,
    seen: Expect,
) -> Result<NotificationId, Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    if row.id.as_str().is_empty() {
        row.id =
            NotificationId(key_from(&row.name, |key| config.notifications.contains_key(&NotificationId::from(key))));
    }
    named(&row.name)?;
    let mut problems = Vec::new();
    for (index, trigger) in row.triggers.iter().enumerate() {
        if !config.triggers.contains_key(trigger) {
            problems.push(FieldProblem::new(format!("/triggers/{index}"), format!("{trigger} is not a trigger")));
        }
    }
    for (index, endpoint) in row.endpoints.iter().enumerate() {
        if !config.endpoints.contains_key(endpoint) {
            problems.push(FieldProblem::new(format!("/endpoints/{index}"), format!("{endpoint} is not an endpoint")));
        } else if row.endpoints[..index].contains(endpoint) {
            problems
                .push(FieldProblem::new(format!("/endpoints/{index}"), format!("{endpoint} stands in the list twice")));
        }
    }
    if !(1..=100).contains(&row.message.repeats) {
        problems.push(FieldProblem::new("/message/repeats", "must be from 1 to 100"));
    }
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    let present = config.notifications.get(&row.id);
    let expected = expect(Table::Notifications, row.id.as_str(), "notification", present, &seen)?;
    let change = Change::put(Table::Notifications, row.id.as_str(), &row);
    write(answers, by, format!("saved notification {:?}", row.name), vec![change], expected).await?;
    Ok(row.id)
}

pub(super) async fn delete_notification(
    answers: &Answers,
    by: Actor,
    id: NotificationId,
    seen: Expect,
) -> Result<(), Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    let present = config.notifications.get(&id).ok_or_else(|| Problem::not_found("notification", &id))?;
    let mut expected = expect(Table::Notifications, id.as_str(), "notification", Some(present), &seen)?;
    let mut changes = Vec::new();
    for calendar in calendars_of(&config, &id) {
        // As it was looked at: a change of the calendar at the same moment is not overwritten.
        expected.push(as_it_is(Table::Calendars, calendar.id.as_str(), calendar));
        changes.push(Change::put(Table::Calendars, calendar.id.as_str(), &calendar.without(&id)));
    }
    changes.push(Change::delete(Table::Notifications, id.as_str()));
    write(answers, by, format!("deleted notification {:?}", present.name), changes, expected).await
}
