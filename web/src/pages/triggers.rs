//! Triggers: the list, and the form with what the driver's schema adds.

use http::Method;
use onealert_core::{
    config::{Behaviour, DEFAULT_GROUP, Trigger},
    ids::{DriverId, GroupId, TriggerId},
};
use serde_json::Value;

use super::{
    Frame, caller,
    confirm::Confirm,
    edit::{Edit, belongs_to_form},
    endpoints::{Choose, names},
    expect,
    list::{Cell, List, Row},
    not_here, path_to,
};
use crate::{
    caller::Caller,
    form::{Choice, Control, Form, FormField, Line},
    needs::{Expect, FieldProblem, Listed, Problem, State},
    reply::{self, Reply},
    request::{Fields, Request, encode},
    roles::Action,
    schema, words,
};

const LIST: (&str, &str) = ("Triggers", "/triggers");
const OURS: &str = "Pages and API";

/// `/triggers`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, [_]) => list(&request, &caller).await,
        (Method::GET, [_, "new"]) => match request.query.get("driver") {
            None => choose(&request, &caller).await,
            Some(driver) => show(&request, &caller, blank(driver), None).await,
        },
        (Method::GET, [_, id]) => {
            let listed = caller.trigger(TriggerId::from(*id)).await?;
            show(&request, &caller, listed, None).await
        }
        (Method::POST, [_, "new"]) => save(&request, &caller, None).await,
        (Method::POST, [_, id]) => save(&request, &caller, Some(TriggerId::from(*id))).await,
        (Method::POST, [_, id, "delete"]) => delete(&request, &caller, TriggerId::from(*id)).await,
        _ => Err(not_here(&request)),
    }
}

async fn list(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let drivers = caller.drivers().await?.drivers;
    let groups = caller.groups().await?;
    let driver = |id: &Option<DriverId>| match id {
        None => OURS.to_owned(),
        Some(id) => drivers.iter().find(|it| it.id == *id).map_or_else(|| id.to_string(), |it| it.name.clone()),
    };
    let group = |id: &GroupId| {
        groups.iter().find(|it| it.listed.row.id == *id).map_or_else(|| id.to_string(), |it| it.listed.row.name.clone())
    };
    let rows = caller.triggers().await?.into_iter().map(|listed| Row {
        href: path_to("/triggers", listed.row.id.as_str()),
        cells: vec![
            Cell::State(listed.state, listed.text),
            Cell::Text(driver(&listed.row.driver)),
            Cell::Text(group(&listed.row.group)),
            Cell::Text(words::count(listed.used_by.len(), "notification", "notifications")),
        ],
        name: listed.row.name,
        state: listed.state,
    });
    let frame = Frame::of(request, caller, "Triggers");
    let create = (!frame.shut(caller, Action::Configure)).then_some(("New trigger", "/triggers/new"));
    let columns = vec!["Trigger", "State", "Activator", "Priority group", "Drives"];
    let empty = "There are no triggers yet. A trigger is what starts a notification: an alert, a line that is dialled, an API call.";
    List::reply(frame, request, create, columns, rows.collect(), empty)
}

async fn choose(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let mut choices = vec![Choice {
        value: "/triggers/new?driver=".to_owned(),
        label: OURS.to_owned(),
        note: "Set off by a script or another program".to_owned(),
        on: false,
    }];
    let drivers = caller.drivers().await?.drivers.into_iter().filter(|driver| driver.enabled && driver.watches);
    choices.extend(drivers.map(|driver| Choice {
        value: format!("/triggers/new?driver={}", encode(driver.id.as_str())),
        label: driver.name,
        note: driver.vendor,
        on: false,
    }));
    reply::page(&Choose {
        frame: Frame::of(request, caller, "New trigger"),
        up: LIST,
        intro: "What sets it off?",
        choices,
        empty: "",
    })
}

fn blank(driver: &str) -> Listed<Trigger> {
    let row = Trigger {
        id: TriggerId::from(""),
        name: String::new(),
        driver: (!driver.is_empty()).then(|| DriverId::from(driver)),
        settings: Value::Null,
        group: GroupId::from(DEFAULT_GROUP),
        behaviour: Behaviour::Start,
        late_limit_ms: None,
    };
    Listed { row, etag: String::new(), state: State::Ok, text: String::new(), used_by: Vec::new() }
}

async fn show(
    request: &Request,
    caller: &Caller,
    listed: Listed<Trigger>,
    refused: Option<Problem>,
) -> Result<Reply, Problem> {
    let Listed { row, etag, state, text, used_by } = listed;
    let detail = match &row.driver {
        Some(driver) => Some(caller.driver(driver.clone()).await?),
        None => None,
    };
    let activator = detail.as_ref().map_or_else(|| OURS.to_owned(), |detail| detail.view.name.clone());
    let groups = caller.groups().await?;
    let group = groups.iter().map(|it| {
        let row_group = &it.listed.row;
        Choice::new(row_group.id.as_str(), &row_group.name, row_group.id == row.group)
    });
    let behaviour = words::BEHAVIOURS.map(|(it, word, label)| Choice::new(word, label, it == row.behaviour));
    let late = FormField {
        value: row.late_limit_ms.map(|ms| (ms / 1000).to_string()).unwrap_or_default(),
        ..FormField::new(
            "/late_limit_ms",
            "Late limit in seconds",
            Control::Line(Line { kind: "number", min: "0".to_owned(), step: "1".to_owned(), ..Line::default() }),
        )
    };
    let mut form = Form::default()
        .field(FormField::line("/name", "Name", &row.name).required())
        .field(
            FormField::select("/group", "Priority group", group.collect()).help("Which servers send, in which order."),
        )
        .field(FormField::new("/behaviour", "What it does", Control::Radio(behaviour.to_vec())))
        .field(late.help("Later than this it is not sent but recorded as missed. Empty: never too late."));
    if let Some(detail) = &detail {
        form = form.items(schema::form::items(&detail.trigger_schema, &row.settings, "/settings"));
    }
    let exists = !etag.is_empty();
    let path = path_to("/triggers", row.id.as_str());
    let frame = Frame::of(request, caller, if exists { row.name.clone() } else { format!("New trigger: {activator}") });
    let intro = match (&row.driver, exists) {
        (None, true) => format!("Set off by a POST to /api/v1/triggers/{}/events.", row.id),
        (Some(_), true) => format!("Watched by {activator}."),
        (_, false) => String::new(),
    };
    let edit = Edit {
        up: LIST,
        health: (exists && !text.is_empty()).then_some((state, text)),
        intro,
        action: if exists { path.clone() } else { "/triggers/new".to_owned() },
        shut: frame.shut(caller, Action::Configure),
        etag,
        hidden: vec![("driver", row.driver.map(|id| id.to_string()).unwrap_or_default())],
        form,
        save: "Save trigger",
        used_by: used_by.into_iter().map(|named| (named.name, path_to("/notifications", &named.id))).collect(),
        send: None,
        delete: exists.then(|| format!("{path}/delete")),
        frame,
    };
    edit.reply(refused.as_ref())
}

async fn save(request: &Request, caller: &Caller, id: Option<TriggerId>) -> Result<Reply, Problem> {
    caller.require_change(Action::Configure)?;
    let form = request.form();
    let (row, wrong) = read(caller, &form, id).await?;
    let saved = if wrong.is_empty() {
        caller.save_trigger(row.clone(), expect(&form)).await.map(|_| ())
    } else {
        Err(Problem::invalid(wrong))
    };
    match saved {
        Ok(()) => Ok(reply::redirect("/triggers?done=saved")),
        Err(problem) if belongs_to_form(&problem) => {
            let listed =
                Listed { row, etag: form.text("etag"), state: State::Ok, text: String::new(), used_by: Vec::new() };
            show(request, caller, listed, Some(problem)).await
        }
        Err(problem) => Err(problem),
    }
}

async fn read(caller: &Caller, form: &Fields, id: Option<TriggerId>) -> Result<(Trigger, Vec<FieldProblem>), Problem> {
    let driver = Some(form.text("driver")).filter(|id| !id.is_empty()).map(DriverId);
    let (settings, mut wrong) = match &driver {
        None => (Value::Null, Vec::new()),
        Some(driver) => schema::form::parse(&caller.driver(driver.clone()).await?.trigger_schema, form, "/settings"),
    };
    let late_limit_ms = match form.text("/late_limit_ms") {
        empty if empty.is_empty() => None,
        text => match text.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000)) {
            Some(ms) => Some(ms),
            None => {
                wrong.push(FieldProblem::new("/late_limit_ms", "must be a whole number of seconds, or empty"));
                None
            }
        },
    };
    let behaviour = form.text("/behaviour");
    let row = Trigger {
        id: id.unwrap_or_else(|| TriggerId::from("")),
        name: form.text("/name"),
        driver,
        settings,
        group: GroupId(form.text("/group")),
        behaviour: words::BEHAVIOURS
            .into_iter()
            .find(|(_, word, _)| *word == behaviour)
            .map(|it| it.0)
            .unwrap_or_default(),
        late_limit_ms,
    };
    Ok((row, wrong))
}

async fn delete(request: &Request, caller: &Caller, id: TriggerId) -> Result<Reply, Problem> {
    caller.require_change(Action::Configure)?;
    let form = request.form();
    if form.text("confirm") == "yes" {
        caller.delete_trigger(id, Expect::Etag(form.text("etag"))).await?;
        return Ok(reply::redirect("/triggers?done=deleted"));
    }
    let listed = caller.trigger(id.clone()).await?;
    let path = path_to("/triggers", id.as_str());
    let line = match listed.used_by.len() {
        0 => "No notification uses it.".to_owned(),
        n => {
            let counted = words::count(n, "notification", "notifications");
            format!("It no longer drives {counted}: {}. They stay, and can be sent by hand.", names(&listed.used_by))
        }
    };
    reply::page(&Confirm {
        frame: Frame::of(request, caller, format!("Delete {}?", listed.row.name)),
        lines: vec![line],
        action: format!("{path}/delete"),
        hidden: vec![("etag".to_owned(), listed.etag)],
        class: "stop",
        button: "Delete trigger".to_owned(),
        back: path,
    })
}
