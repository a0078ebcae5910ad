//! The world's rows: conflicts, keys, what uses what.

use std::collections::BTreeMap;

use onealert_core::{
    config::{DEFAULT_GROUP, Endpoint, PriorityGroup, Role, Trigger},
    ids::{DriverId, EndpointId, GroupId, ServerId, TriggerId},
    time::Wall,
};
use onealert_web::{
    needs::*,
    schema::{blank_secrets, keep_secrets},
};
use serde::Serialize;
use serde_json::Value;

use super::{Inner, now};

pub fn listed<T: Serialize + Clone>(row: &T) -> Listed<T> {
    Listed { row: row.clone(), etag: etag(row), state: State::Ok, text: String::new(), used_by: Vec::new() }
}

pub fn endpoint(state: &Inner, row: &Endpoint) -> Listed<Endpoint> {
    let mut shown = row.clone();
    if let Some(driver) = state.drivers.get(&row.driver) {
        blank_secrets(&driver.endpoint_schema, &mut shown.address);
    }
    let uses = state.notifications.values().filter(|it| it.endpoints.contains(&row.id));
    let (health, text) = match row.id.as_str() {
        "pool-strobe" => (State::Bad, "No answer for 12 min"),
        "gym" => (State::Warning, "Firmware 5.2 is older than 5.3"),
        _ => (State::Ok, "Algo 8301, firmware 5.5"),
    };
    Listed {
        row: shown,
        etag: etag(row),
        state: health,
        text: text.to_owned(),
        used_by: uses.map(|it| Named { id: it.id.to_string(), name: it.name.clone() }).collect(),
    }
}

pub fn trigger(state: &Inner, row: &Trigger) -> Listed<Trigger> {
    let uses = state.notifications.values().filter(|it| it.triggers.contains(&row.id));
    let used_by = uses.map(|it| Named { id: it.id.to_string(), name: it.name.clone() }).collect();
    Listed { text: "Watching".to_owned(), used_by, ..listed(row) }
}

pub fn groups(state: &Inner) -> Vec<GroupView> {
    let view = |row: &PriorityGroup| {
        let uses = state.triggers.values().filter(|it| it.group == row.id);
        let used_by = uses.map(|it| Named { id: it.id.to_string(), name: it.name.clone() }).collect();
        let up =
            |id: &&ServerId| state.status.servers.iter().any(|server| server.id == **id && server.state != State::Bad);
        let calendars = state.calendars.values().filter(|it| it.group == row.id);
        let calendars = calendars.map(|it| Named { id: it.id.to_string(), name: it.name.clone() }).collect();
        GroupView { listed: Listed { used_by, ..listed(row) }, calendars, sends: row.servers.iter().find(up).copied() }
    };
    let mut all: Vec<GroupView> = state.groups.values().map(view).collect();
    all.sort_by_key(|group| group.listed.row.id.as_str() != DEFAULT_GROUP);
    all
}

/// The key of a row: as given, or made from the name.
pub fn key(given: &str, name: &str) -> String {
    if given.is_empty() { name.to_lowercase().replace(' ', "-") } else { given.to_owned() }
}

fn judge<K: Ord, T: Serialize>(rows: &BTreeMap<K, T>, key: &K, expect: &Expect, kind: &str) -> Result<(), Problem> {
    match (rows.get(key), expect) {
        (Some(_), Expect::New) => {
            Err(Problem::invalid(vec![FieldProblem::new("/name", format!("is taken by another {kind}"))]))
        }
        (Some(row), Expect::Etag(wanted)) if etag(row) != *wanted => Err(Problem::conflict(kind, "it")),
        (None, Expect::Etag(_)) => Err(Problem::conflict(kind, "it")),
        _ => Ok(()),
    }
}

pub fn put<K: Ord, T: Serialize>(
    rows: &mut BTreeMap<K, T>,
    key: K,
    row: T,
    expect: &Expect,
    kind: &str,
) -> Result<(), Problem> {
    judge(rows, &key, expect, kind)?;
    rows.insert(key, row);
    Ok(())
}

pub fn delete<K: Ord + std::fmt::Display, T: Serialize>(
    rows: &mut BTreeMap<K, T>,
    key: &K,
    expect: &Expect,
    kind: &str,
) -> Result<(), Problem> {
    if !rows.contains_key(key) {
        return Err(Problem::not_found(kind, key));
    }
    judge(rows, key, expect, kind)?;
    rows.remove(key);
    Ok(())
}

pub fn save_endpoint(state: &mut Inner, by: &Actor, mut row: Endpoint, expect: &Expect) -> Result<EndpointId, Problem> {
    row.id = EndpointId::from(key(&row.id.0, &row.name));
    if let (Some(driver), Some(stored)) = (state.drivers.get(&row.driver), state.endpoints.get(&row.id)) {
        keep_secrets(&driver.endpoint_schema, &stored.address, &mut row.address);
    }
    let id = row.id.clone();
    put(&mut state.endpoints, id.clone(), row, expect, "endpoint")?;
    state.note(by, format!("saved endpoint {id}"));
    Ok(id)
}

pub fn save_group(state: &mut Inner, by: &Actor, mut row: PriorityGroup, expect: &Expect) -> Result<GroupId, Problem> {
    row.id = GroupId::from(key(&row.id.0, &row.name));
    if state.groups.values().any(|other| other.name == row.name && other.id != row.id) {
        return Err(Problem::invalid(vec![FieldProblem::new("/name", "is taken by another priority group")]));
    }
    let id = row.id.clone();
    put(&mut state.groups, id.clone(), row, expect, "priority group")?;
    state.note(by, format!("saved priority group {id}"));
    Ok(id)
}

pub fn delete_group(
    state: &mut Inner,
    by: &Actor,
    id: &GroupId,
    move_to: Option<GroupId>,
    expect: &Expect,
) -> Result<GroupDeleted, Problem> {
    if id.as_str() == DEFAULT_GROUP {
        return Err(Problem::invalid(vec![FieldProblem::new("", "DEFAULT exists always and cannot be deleted")]));
    }
    let used = state.triggers.values().any(|trigger| trigger.group == *id);
    let heir = move_to.filter(|heir| heir != id && state.groups.contains_key(heir));
    if used && heir.is_none() {
        return Err(Problem::invalid(vec![FieldProblem::new(
            "/move_to",
            "must name the group that its triggers go to",
        )]));
    }
    delete(&mut state.groups, id, expect, "priority group")?;
    let mut moved: Vec<TriggerId> = Vec::new();
    for trigger in state.triggers.values_mut().filter(|trigger| trigger.group == *id) {
        trigger.group = heir.clone().expect("asked for above");
        moved.push(trigger.id.clone());
    }
    state.note(by, format!("deleted priority group {id}"));
    Ok(GroupDeleted { moved_to: heir.filter(|_| used), triggers: moved, calendars: Vec::new() })
}

/// The driver's own judgement, beyond the schema.
pub fn driver_says(_: &DriverId, settings: &Value) -> Result<(), Problem> {
    if settings["multicast"] == "224.0.0.1" {
        let text = "is every device's address; choose one from 239.0.0.0 up";
        return Err(Problem::invalid(vec![FieldProblem::new("/multicast", text)]));
    }
    Ok(())
}

/// Versions are compared as text, which is enough for those of the tests.
pub fn switch_driver(state: &mut Inner, by: &Actor, id: &DriverId, wanted: &DriverSwitch) -> Result<(), Problem> {
    let detail = state.drivers.get_mut(id).ok_or_else(|| Problem::not_found("driver", id))?;
    let wrong = |field: &str, text: String| Err(Problem::invalid(vec![FieldProblem::new(field, text)]));
    let Some(place) = detail.view.other_versions.iter().position(|version| *version == wanted.version) else {
        return wrong("/version", "is not in the driver folder".to_owned());
    };
    let present = detail.view.version.clone().unwrap_or_default();
    if wanted.version < present && !wanted.confirm_downgrade {
        let text = format!("{} is older than {present} in use; confirm the downgrade", wanted.version);
        return wrong("/confirm_downgrade", text);
    }
    detail.view.other_versions[place] = present;
    detail.view.version = Some(wanted.version.clone());
    state.note(by, format!("changed {id} to {}", wanted.version));
    Ok(())
}

pub fn change_trust(state: &mut Inner, by: &Actor, change: TrustChange) -> Result<String, Problem> {
    let wrong = |field: &str| Problem::invalid(vec![FieldProblem::new(field, "is not right")]);
    match change {
        TrustChange::AddKey(key) if key.key.len() != 56 => Err(wrong("/key")),
        TrustChange::AddKey(NewDriverKey { name, prefixes, .. }) => {
            let id = "00000000000000AA".to_owned();
            state.trusted.push(DriverKey { id: id.clone(), name, prefixes, by: by.user.to_string(), at: Wall(0) });
            Ok(id)
        }
        TrustChange::RemoveKey(id) => {
            state.trusted.retain(|key| key.id != id);
            Ok(id)
        }
        TrustChange::Pin(DriverFile { sha256 }) => {
            let file = state.files.iter_mut().find(|file| file.may_be_pinned && file.sha256.as_ref() == Some(&sha256));
            let file = file.ok_or_else(|| wrong("/sha256"))?;
            (file.may_be_pinned, file.state) = (false, State::Ok);
            file.text = format!("Can be used. Not signed by a trusted key; this very file was pinned by {}.", by.user);
            let (driver, version) = file.driver.clone().zip(file.version.clone()).ok_or_else(|| wrong("/sha256"))?;
            let pin = DriverPin { sha256: sha256.clone(), driver, version, by: by.user.to_string(), at: now() };
            state.pins.push(pin);
            Ok(sha256)
        }
        TrustChange::Unpin(sha256) => {
            state.pins.retain(|pin| pin.sha256 != sha256);
            Ok(sha256)
        }
    }
}

pub fn save_driver(
    state: &mut Inner,
    by: &Actor,
    id: &DriverId,
    mut settings: Value,
    expect: &Expect,
    enable: Option<bool>,
) -> Result<(), Problem> {
    driver_says(id, &settings)?;
    let detail = state.drivers.get_mut(id).ok_or_else(|| Problem::not_found("driver", id))?;
    if matches!(expect, Expect::Etag(wanted) if *wanted != detail.etag) {
        return Err(Problem::conflict("driver", &detail.view.name));
    }
    if let Some(stored) = state.stored_settings.get(id) {
        keep_secrets(&detail.settings_schema, stored, &mut settings);
    }
    detail.etag = etag(&settings);
    if let Some(enable) = enable {
        detail.view.enabled = enable;
        detail.view.text = "Runs on every server".to_owned();
    }
    state.stored_settings.insert(id.clone(), settings);
    state.note(by, format!("saved the settings of {id}"));
    Ok(())
}

pub fn servers(state: &Inner) -> Vec<ServerRow> {
    let row = |server: &ServerStatus| ServerRow {
        id: server.id,
        name: server.name.clone(),
        role: server.role,
        this: server.this,
        mesh: "10.0.0.11:7400".to_owned(),
        web: server.web.clone(),
        enrolled: Wall(0),
        deprovisioned: state.gone.contains(&server.id),
        state: server.state,
        text: "in step".to_owned(),
        consequences: vec!["It leaves the priority group DEFAULT.".to_owned()],
    };
    state.status.servers.iter().map(row).collect()
}

pub fn deprovision(state: &mut Inner, by: &Actor, id: ServerId, confirm: &str) -> Result<Deprovisioned, Problem> {
    let row = servers(state).into_iter().find(|row| row.id == id).ok_or_else(|| Problem::not_found("server", id))?;
    if confirm != row.name {
        return Err(Problem::invalid(vec![FieldProblem::new("/confirm", format!("must be {}", row.name))]));
    }
    state.gone.push(id);
    state.note(by, format!("deprovisioned {}", row.name));
    Ok(Deprovisioned { name: row.name, told: true, consequences: row.consequences })
}

pub fn licence(state: &Inner) -> Licence {
    let enrolled = servers(state).iter().filter(|row| row.role == Role::Secondary && !row.deprovisioned).count();
    Licence { secondaries: state.licence, enrolled: enrolled as u32, grace_days: 30 }
}

pub fn conflict() -> Conflict {
    let row = ConflictRow {
        lsn: 8,
        table: "setting".to_owned(),
        key: "greeting".to_owned(),
        row: Some("<b>hello</b>".to_owned()),
    };
    Conflict {
        id: "one-7".to_owned(),
        at: Wall(0),
        server: "pa-1".to_owned(),
        generation: "1".to_owned(),
        left_behind_by: "2".to_owned(),
        fork: 7,
        head: 8,
        missing: 0,
        rows: vec![row],
    }
}
