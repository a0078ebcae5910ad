//! Triggers: the list, and the form with what the driver's schema adds.

use onealert_core::{
    config::{Behaviour, DEFAULT_GROUP, Trigger},
    ids::{DriverId, GroupId, TriggerId},
};
use serde_json::Value;

use super::{
    Frame, caller,
    choose::{Choose, choice},
    list::{Cell, List, Row},
    path_to,
    rows::{self, Draft, Kind, names, show, unsaved},
};
use crate::{
    caller::Caller,
    form::{Choice, Control, Form, FormField, Line},
    needs::{Expect, FieldProblem, Listed, Problem},
    reply::{self, Reply},
    request::{Fields, Request},
    roles::Action,
    schema, words,
};

/// What is named where another trigger names its driver.
const OURS: &str = "Pages and API";

/// `/triggers`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    rows::answer::<Triggers>(&request, &caller).await
}

struct Triggers;

impl Kind for Triggers {
    type Row = Trigger;
    const LIST: (&'static str, &'static str) = ("Triggers", "/triggers");
    const ONE: &'static str = "trigger";
    const CHANGE: Action = Action::Configure;

    async fn list(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
        let drivers = caller.drivers().await?.drivers;
        let groups = caller.groups().await?;
        let driver = |id: &Option<DriverId>| match id {
            None => OURS.to_owned(),
            Some(id) => drivers.iter().find(|it| it.id == *id).map_or_else(|| id.to_string(), |it| it.name.clone()),
        };
        let group = |id: &GroupId| {
            groups
                .iter()
                .find(|it| it.listed.row.id == *id)
                .map_or_else(|| id.to_string(), |it| it.listed.row.name.clone())
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

    async fn begin(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
        if let Some(driver) = request.query.get("driver") {
            let row = Trigger {
                id: TriggerId::from(""),
                name: String::new(),
                driver: (!driver.is_empty()).then(|| DriverId::from(driver)),
                settings: Value::Null,
                group: GroupId::from(DEFAULT_GROUP),
                behaviour: Behaviour::Start,
                late_limit_ms: None,
            };
            return show::<Triggers>(request, caller, unsaved(row, String::new()), None).await;
        }
        let mut choices = vec![Choice {
            value: "/triggers/new?driver=".to_owned(),
            label: OURS.to_owned(),
            note: "Set off by a script or another program".to_owned(),
            on: false,
        }];
        let drivers = caller.drivers().await?.drivers.into_iter().filter(|driver| driver.enabled && driver.watches);
        choices.extend(drivers.map(|driver| choice("/triggers", driver)));
        reply::page(&Choose {
            frame: Frame::of(request, caller, "New trigger"),
            up: Self::LIST,
            intro: "What sets it off?",
            choices,
            empty: "",
        })
    }

    async fn find(caller: &Caller, id: &str) -> Result<Listed<Trigger>, Problem> {
        caller.trigger(TriggerId::from(id)).await
    }

    async fn draft(caller: &Caller, row: &Trigger, exists: bool) -> Result<Draft, Problem> {
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
                FormField::select("/group", "Priority group", group.collect())
                    .help("Which servers send, in which order."),
            )
            .field(FormField::new("/behaviour", "What it does", Control::Radio(behaviour.to_vec())))
            .field(late.help("Later than this it is not sent but recorded as missed. Empty: never too late."));
        if let Some(detail) = &detail {
            form = form.items(schema::form::items(&detail.trigger_schema, &row.settings, "/settings"));
        }
        let intro = match (&row.driver, exists) {
            (None, true) => format!("Set off by a POST to /api/v1/triggers/{}/events.", row.id),
            (Some(_), true) => format!("Watched by {activator}."),
            (_, false) => String::new(),
        };
        Ok(Draft {
            title: format!("New trigger: {activator}"),
            intro,
            hidden: vec![("driver", row.driver.as_ref().map(DriverId::to_string).unwrap_or_default())],
            form,
            send: None,
        })
    }

    async fn read(caller: &Caller, form: &Fields, id: &str) -> Result<(Trigger, Vec<FieldProblem>), Problem> {
        let driver = Some(form.text("driver")).filter(|id| !id.is_empty()).map(DriverId);
        let (settings, mut wrong) = match &driver {
            None => (Value::Null, Vec::new()),
            Some(driver) => {
                schema::form::parse(&caller.driver(driver.clone()).await?.trigger_schema, form, "/settings")
            }
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
            id: TriggerId::from(id),
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

    async fn save(caller: &Caller, row: Trigger, expect: Expect) -> Result<(), Problem> {
        caller.save_trigger(row, expect).await.map(drop)
    }

    async fn delete(caller: &Caller, id: &str, expect: Expect) -> Result<(), Problem> {
        caller.delete_trigger(TriggerId::from(id), expect).await
    }

    fn farewell(listed: &Listed<Trigger>) -> Vec<String> {
        vec![match listed.used_by.len() {
            0 => "No notification uses it.".to_owned(),
            n => {
                let counted = words::count(n, "notification", "notifications");
                format!(
                    "It no longer drives {counted}: {}. They stay, and can be sent by hand.",
                    names(&listed.used_by)
                )
            }
        }]
    }

    fn named(row: &Trigger) -> (&str, &str) {
        (row.id.as_str(), &row.name)
    }
}
