//! Endpoints: the list, and the form that the driver's schema makes.

use onealert_core::{
    config::Endpoint,
    ids::{DriverId, EndpointId},
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
    form::{Form, FormField},
    needs::{Expect, FieldProblem, Listed, Problem},
    reply::{self, Reply},
    request::{Fields, Request},
    roles::Action,
    schema, words,
};

/// `/endpoints`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    rows::answer::<Endpoints>(&request, &caller).await
}

struct Endpoints;

impl Kind for Endpoints {
    type Row = Endpoint;
    const LIST: (&'static str, &'static str) = ("Endpoints", "/endpoints");
    const ONE: &'static str = "endpoint";
    const CHANGE: Action = Action::Configure;

    async fn list(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
        let drivers = caller.drivers().await?.drivers;
        let name = |id: &DriverId| {
            drivers.iter().find(|driver| driver.id == *id).map_or_else(|| id.to_string(), |driver| driver.name.clone())
        };
        let rows = caller.endpoints().await?.into_iter().map(|listed| Row {
            href: path_to("/endpoints", listed.row.id.as_str()),
            cells: vec![
                Cell::State(listed.state, listed.text),
                Cell::Text(name(&listed.row.driver)),
                Cell::Text(listed.row.location),
                Cell::Text(words::count(listed.used_by.len(), "notification", "notifications")),
            ],
            name: listed.row.name,
            state: listed.state,
        });
        let frame = Frame::of(request, caller, "Endpoints");
        let create = (!frame.shut(caller, Action::Configure)).then_some(("New endpoint", "/endpoints/new"));
        let columns = vec!["Endpoint", "State", "Driver", "Location", "Used by"];
        let empty = "There are no endpoints yet. Enable a driver, then create the first endpoint.";
        List::reply(frame, request, create, columns, rows.collect(), empty)
    }

    async fn begin(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
        if let Some(driver) = request.query.get("driver") {
            let row = Endpoint {
                id: EndpointId::from(""),
                name: String::new(),
                driver: DriverId::from(driver),
                address: Value::Null,
                location: String::new(),
            };
            return show::<Endpoints>(request, caller, unsaved(row, String::new()), None).await;
        }
        let drivers = caller.drivers().await?.drivers.into_iter().filter(|driver| driver.enabled && driver.reaches);
        reply::page(&Choose {
            frame: Frame::of(request, caller, "New endpoint"),
            up: Self::LIST,
            intro: "Which driver reaches it?",
            choices: drivers.map(|driver| choice("/endpoints", driver)).collect(),
            empty: "No driver with endpoints is enabled.",
        })
    }

    async fn find(caller: &Caller, id: &str) -> Result<Listed<Endpoint>, Problem> {
        caller.endpoint(EndpointId::from(id)).await
    }

    async fn draft(caller: &Caller, row: &Endpoint, exists: bool) -> Result<Draft, Problem> {
        let driver = caller.driver(row.driver.clone()).await?;
        let form = Form::default()
            .field(FormField::line("/name", "Name", &row.name).required())
            .field(FormField::line("/location", "Location", &row.location).help("Where it hangs, for people."))
            .items(schema::form::items(&driver.endpoint_schema, &row.address, "/address"));
        Ok(Draft {
            title: format!("New endpoint: {}", driver.view.name),
            intro: if exists { format!("Reached by {}.", driver.view.name) } else { String::new() },
            hidden: vec![("driver", row.driver.to_string())],
            form,
            send: None,
        })
    }

    async fn read(caller: &Caller, form: &Fields, id: &str) -> Result<(Endpoint, Vec<FieldProblem>), Problem> {
        let driver = DriverId(form.text("driver"));
        let schema = caller.driver(driver.clone()).await?.endpoint_schema;
        let (address, unread) = schema::form::parse(&schema, form, "/address");
        let (name, location) = (form.text("/name"), form.text("/location"));
        Ok((Endpoint { id: EndpointId::from(id), name, driver, address, location }, unread))
    }

    async fn save(caller: &Caller, row: Endpoint, expect: Expect) -> Result<(), Problem> {
        caller.save_endpoint(row, expect).await.map(drop)
    }

    async fn delete(caller: &Caller, id: &str, expect: Expect) -> Result<(), Problem> {
        caller.delete_endpoint(EndpointId::from(id), expect).await
    }

    fn farewell(listed: &Listed<Endpoint>) -> Vec<String> {
        let uses = match listed.used_by.len() {
            0 => "No notification uses it.".to_owned(),
            n => format!(
                "It is taken out of {}: {}.",
                words::count(n, "notification", "notifications"),
                names(&listed.used_by)
            ),
        };
        vec![uses, "What was sent to it stays in Sent Notifications.".to_owned()]
    }

    fn named(row: &Endpoint) -> (&str, &str) {
        (row.id.as_str(), &row.name)
    }
}
