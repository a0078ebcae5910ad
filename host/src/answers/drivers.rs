//! Drivers as pages see them: found files, what is enabled, how it is on each server, settings.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use onealert_core::{
    config::{Change, Config, Driver, Table, canonical},
    ids::DriverId,
};
use onealert_drivers::{Found, Verdict};
use onealert_plugin_api::{
    document::{Description, HttpRequest, HttpResponse, Problem as Finding},
    schema,
};
use onealert_store::change::Expected;
use onealert_web::{
    needs::{
        Actor, DeviceAnswer, DeviceRequest, DriverDetail, DriverOnServer, DriverView, Drivers, Expect, FieldProblem,
        FoundFile, LogLine, Problem, State, etag,
    },
    schema::blank_secrets,
};
use serde_json::Value;

use super::{Answers, activator, configure, driver_on, redundancy::capital, secrets, switch, trust};
use crate::hub::Hub;

/// How long a driver may take to answer a device's request.
const HTTP_DEADLINE: Duration = Duration::from_secs(10);

/// The schemas of a driver; null where it is not known.
pub(super) struct Schemas {
    pub settings: Value,
    pub endpoint: Value,
    pub trigger: Value,
}

pub(super) fn schemas(hub: &Hub, driver: &DriverId) -> Schemas {
    if activator::is(driver) {
        return activator::schemas(&hub.config());
    }
    match description(hub, driver) {
        Some(found) => {
            Schemas { settings: found.settings_schema, endpoint: found.endpoint_schema, trigger: found.trigger_schema }
        }
        None => Schemas { settings: Value::Null, endpoint: Value::Null, trigger: Value::Null },
    }
}

/// What the file in use says of itself, or the newest file found.
pub(super) fn description(hub: &Hub, driver: &DriverId) -> Option<Description> {
    let in_use = hub.config().drivers.get(driver).map(|row| row.sha256.clone());
    in_use
        .and_then(|sha| hub.drivers.description(&sha))
        .or_else(|| newest(&hub.drivers.found(), driver).map(|(_, it)| it))
}

/// The acceptable files of a driver, each with its sha256.
pub(super) fn usable(found: &[Found], driver: &DriverId) -> impl Iterator<Item = (String, Description)> {
    found.iter().filter_map(move |file| match &file.verdict {
        Verdict::Ready(description) if description.manifest.id == driver.as_str() => {
            Some((file.sha256.clone()?, description.as_ref().clone()))
        }
        _ => None,
    })
}

/// The one with the highest version.
fn newest(found: &[Found], driver: &DriverId) -> Option<(String, Description)> {
    usable(found, driver).max_by(|a, b| a.1.manifest.version.cmp(&b.1.manifest.version))
}

pub(super) async fn list(hub: &Hub) -> Result<Drivers, Problem> {
    let config = hub.config();
    let found = hub.drivers.found();
    let theirs = driver_on::theirs(hub).await?;
    let mut ids: Vec<DriverId> = config.drivers.keys().cloned().collect();
    for file in &found {
        if let Verdict::Ready(description) = &file.verdict {
            ids.push(DriverId::from(description.manifest.id.as_str()));
        }
    }
    ids.retain(|id| !activator::is(id));
    ids.sort();
    ids.dedup();
    let mut drivers: Vec<DriverView> = ids.iter().map(|id| view(hub, &config, &found, &theirs, id)).collect();
    drivers.push(activator::view(&config));
    drivers.sort_by_key(|view| view.name.to_lowercase());
    let files = found.iter().map(|found| file(&config, found)).collect();
    Ok(Drivers { drivers, files, keys: trust::keys(&config), pins: trust::pins(&config) })
}

fn file(config: &Config, found: &Found) -> FoundFile {
    let name = Path::new(&found.file).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let (state, text) = match &found.verdict {
        Verdict::Ready(_) => {
            let standing = found.standing.as_ref().zip(found.sha256.as_ref());
            let words = standing.map(|(standing, sha256)| trust::words(config, sha256, standing));
            (State::Ok, format!("Can be used. {}.", words.unwrap_or_default()))
        }
        Verdict::Unsigned(why) => {
            let once = match found.signature {
                None => "an administrator pins it",
                Some(_) => "that key is trusted for it, or an administrator pins it",
            };
            (State::Warning, format!("{}. It runs only once {once}. None of its code has run.", capital(why)))
        }
        Verdict::Waiting(text) => (State::Warning, format!("{}.", capital(text))),
        Verdict::Refused(text) => (State::Bad, format!("Refused: {text}.")),
    };
    FoundFile {
        file: name,
        driver: found.manifest.as_ref().map(|manifest| DriverId::from(manifest.id.as_str())),
        version: found.manifest.as_ref().map(|manifest| manifest.version.to_string()),
        sha256: found.sha256.clone(),
        may_be_pinned: matches!(found.verdict, Verdict::Unsigned(_)),
        state,
        text,
    }
}

fn view(hub: &Hub, config: &Config, found: &[Found], theirs: &driver_on::Theirs, id: &DriverId) -> DriverView {
    let row = config.drivers.get(id);
    let candidate = newest(found, id);
    let described = description(hub, id).map(|description| description.manifest);
    let enabled = row.is_some_and(|row| row.enabled);
    let servers: Vec<DriverOnServer> = if enabled {
        row.map(|row| driver_on::everywhere(hub, config, theirs, row)).unwrap_or_default()
    } else {
        Vec::new()
    };
    let worst = servers.iter().max_by_key(|server| server.state);
    let update = candidate
        .as_ref()
        .map(|(_, found)| &found.manifest.version)
        .filter(|version| row.is_some_and(|row| row.version < **version))
        .map(ToString::to_string);
    DriverView {
        id: id.clone(),
        name: row
            .map(|row| row.name.clone())
            .or(described.as_ref().map(|it| it.name.clone()))
            .unwrap_or(id.to_string()),
        vendor: described.map(|it| it.vendor).unwrap_or_default(),
        built_in: false,
        enabled,
        version: row
            .map(|row| row.version.clone())
            .or(candidate.as_ref().map(|(_, it)| it.manifest.version.clone()))
            .map(|v| v.to_string()),
        trust: {
            let in_use = row.map(|row| row.sha256.as_str());
            trust::of_driver(hub, config, id, in_use.or(candidate.as_ref().map(|(sha256, _)| sha256.as_str())))
        },
        update,
        other_versions: if row.is_some() { switch::others(found, config, id) } else { Vec::new() },
        state: worst.map_or(State::Ok, |server| server.state),
        text: match worst {
            None => "Not enabled".to_owned(),
            Some(server) if server.state == State::Ok => "Runs on every server".to_owned(),
            Some(server) => format!("{}: {}", server.server_name, server.text),
        },
        endpoints: config.endpoints.values().filter(|endpoint| endpoint.driver == *id).count() as u32,
        triggers: config.triggers.values().filter(|trigger| trigger.driver.as_ref() == Some(id)).count() as u32,
        reaches: !schemas(hub, id).endpoint.is_null(),
        watches: !schemas(hub, id).trigger.is_null(),
        servers,
    }
}

pub(super) async fn detail(hub: &Hub, id: DriverId) -> Result<DriverDetail, Problem> {
    let config = hub.config();
    if activator::is(&id) {
        return Ok(activator::detail(&config));
    }
    let found = hub.drivers.found();
    let row = config.drivers.get(&id);
    if row.is_none() && newest(&found, &id).is_none() {
        return Err(Problem::not_found("driver", &id));
    }
    let theirs = driver_on::theirs(hub).await?;
    let schemas = schemas(hub, &id);
    let mut settings = row.map_or(Value::Null, |row| row.settings.clone());
    blank_secrets(&schemas.settings, &mut settings);
    let line = |event: onealert_drivers::Line| LogLine {
        at: onealert_core::time::Wall(event.at_ms),
        state: if event.serious { State::Warning } else { State::Ok },
        source: id.to_string(),
        text: event.text,
    };
    Ok(DriverDetail {
        view: view(hub, &config, &found, &theirs, &id),
        settings_schema: schemas.settings,
        endpoint_schema: schemas.endpoint,
        trigger_schema: schemas.trigger,
        settings,
        etag: row.map(etag).unwrap_or_default(),
        events: hub.drivers.lines(id.as_str(), 50).into_iter().map(line).collect(),
    })
}

/// Judges settings by schema and by the driver; gives them as they are stored, and the file they are for.
pub(super) async fn check(hub: &Hub, id: &DriverId, settings: Value) -> Result<(Value, String, Description), Problem> {
    activator::refuse(id)?;
    let config = hub.config();
    let row = config.drivers.get(id);
    // A driver that is configured keeps its file: another version is chosen, never slipped in.
    let known = match row {
        Some(row) => hub.drivers.description(&row.sha256).map(|described| (row.sha256.clone(), described)).ok_or_else(|| {
            let text = "is not on this server or not read yet. Put its file into the driver folder, or choose another version.";
            Problem::unavailable(format!("Version {} of {id} {text}", row.version))
        }),
        None => newest(&hub.drivers.found(), id).ok_or_else(|| Problem::not_found("driver", id)),
    };
    let (sha256, described) = known?;
    let (place, present) = (secrets::of_driver(id), row.map(|row| &row.settings));
    let settings = secrets::stored(hub, place, "", &described.settings_schema, present, settings)?;
    judge(hub, id, &sha256, &described, &settings).await?;
    Ok((settings, sha256, described))
}

/// Whether a file of the store takes these settings, as they are stored: by its schema, then by its own word.
pub(super) async fn judge(
    hub: &Hub,
    id: &DriverId,
    sha256: &str,
    described: &Description,
    settings: &Value,
) -> Result<(), Problem> {
    let settings = secrets::opened(hub, secrets::of_driver(id), "", settings)?;
    let problems: Vec<FieldProblem> = schema::validate(&described.settings_schema, &settings)
        .into_iter()
        .map(|finding| FieldProblem::new(finding.path, finding.message))
        .collect();
    if !problems.is_empty() {
        return Err(Problem::invalid(problems));
    }
    let findings = hub.drivers.check_settings(id.as_str(), sha256, settings).await;
    let findings: Vec<Finding> = findings.map_err(|failure| Problem::new(422, "Not accepted", failure.to_string()))?;
    match findings.is_empty() {
        true => Ok(()),
        false => {
            let field = |finding: Finding| FieldProblem::new(finding.path, finding.message);
            Err(Problem::invalid(findings.into_iter().map(field).collect()))
        }
    }
}

/// Saves settings; with `enabled` also switches. The worker follows the configuration.
pub(super) async fn save(
    answers: &Answers,
    by: Actor,
    id: DriverId,
    settings: Value,
    seen: Expect,
    enabled: Option<bool>,
) -> Result<(), Problem> {
    answers.must_configure()?;
    let hub = &answers.0;
    // Looked at before the driver is asked: the row is made from what was there then, and only that is overwritten.
    let config = hub.config();
    let (settings, sha256, described) = check(hub, &id, settings).await?;
    let present = config.drivers.get(&id);
    let row = Driver {
        id: id.clone(),
        name: described.manifest.name,
        version: described.manifest.version,
        sha256,
        enabled: enabled.or(present.map(|row| row.enabled)).unwrap_or(false),
        settings,
    };
    let seen = if present.is_none() { Expect::Any } else { seen };
    configure::expect(Table::Drivers, id.as_str(), "driver", present, &seen)?;
    let expected = Expected { table: Table::Drivers, key: id.to_string(), row: present.map(canonical) };
    let what = format!("{} driver {id} {}", if row.enabled { "enabled" } else { "saved" }, row.version);
    let signature = trust::signature(&hub.drivers.found(), &config, &row.sha256);
    let changes = signature.into_iter().chain([Change::put(Table::Drivers, id.as_str(), &row)]).collect();
    configure::write(answers, by, what, changes, vec![expected]).await
}

pub(super) async fn disable(answers: &Answers, by: Actor, id: DriverId) -> Result<(), Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    let row = config.drivers.get(&id).ok_or_else(|| Problem::not_found("driver", &id))?;
    // As it was looked at: another version or other settings of the same moment are not overwritten.
    let expected = configure::as_it_is(Table::Drivers, id.as_str(), row);
    let row = Driver { enabled: false, ..row.clone() };
    let change = Change::put(Table::Drivers, id.as_str(), &row);
    configure::write(answers, by, format!("disabled driver {id}"), vec![change], vec![expected]).await
}

pub(super) async fn http(hub: &Hub, id: DriverId, request: DeviceRequest) -> Result<DeviceAnswer, Problem> {
    if !hub.config().drivers.get(&id).is_some_and(|row| row.enabled) {
        return Err(Problem::not_found("driver", &id));
    }
    let (body, body_base64) = match std::str::from_utf8(&request.body) {
        Ok(text) => (text.to_owned(), String::new()),
        Err(_) => {
            use base64::Engine;
            (String::new(), base64::engine::general_purpose::STANDARD.encode(&request.body))
        }
    };
    let document = HttpRequest {
        method: request.method,
        path: request.path,
        query: request.query,
        headers: request.headers,
        body,
        body_base64,
        peer: request.peer.to_string(),
    };
    let body = serde_json::to_value(document).expect("a request is plain data with text keys");
    let answer = hub.drivers.call(id.as_str(), "http", None, HTTP_DEADLINE, body).await;
    let answer =
        answer.map_err(|failure| Problem::unavailable(format!("The driver {id} did not answer: {failure}.")))?;
    let answer: HttpResponse = serde_json::from_value(answer).map_err(|error| {
        tracing::error!(driver = %id, %error, "the driver's answer to a request is not one");
        Problem::internal()
    })?;
    Ok(DeviceAnswer { status: answer.status, content_type: answer.content_type, body: Bytes::from(answer.body) })
}
