//! Endpoints: the list, and the form that the driver's schema makes.

use askama::Template;
use http::Method;
use onealert_core::{
    config::Endpoint,
    ids::{DriverId, EndpointId},
};
use serde_json::Value;

use super::{
    Frame, caller,
    confirm::Confirm,
    edit::{Edit, belongs_to_form},
    expect,
    list::{Cell, List, Row},
    not_here, path_to,
};
use crate::{
    caller::Caller,
    form::{Choice, Form, FormField},
    needs::{DriverDetail, Expect, Listed, Problem, State},
    reply::{self, Reply},
    request::Request,
    roles::Action,
    schema, words,
};

const LIST: (&str, &str) = ("Endpoints", "/endpoints");

/// `/endpoints`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, [_]) => list(&request, &caller).await,
        (Method::GET, [_, "new"]) => match request.query.get("driver") {
            None => choose(&request, &caller).await,
            Some(driver) => show(&request, &caller, blank(driver), None).await,
        },
        (Method::GET, [_, id]) => {
            let listed = caller.endpoint(EndpointId::from(*id)).await?;
            show(&request, &caller, listed, None).await
        }
        (Method::POST, [_, "new"]) => save(&request, &caller, None).await,
        (Method::POST, [_, id]) => save(&request, &caller, Some(EndpointId::from(*id))).await,
        (Method::POST, [_, id, "delete"]) => delete(&request, &caller, EndpointId::from(*id)).await,
        _ => Err(not_here(&request)),
    }
}

async fn list(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let drivers = caller.drivers().await?;
    let name = |id: &DriverId| {
        drivers
            .drivers
            .iter()
            .find(|driver| driver.id == *id)
            .map_or_else(|| id.to_string(), |driver| driver.name.clone())
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

/// The page that asks which driver a row belongs to.
#[derive(Template)]
#[template(path = "choose.html")]
pub struct Choose {
    /// The frame.
    pub frame: Frame,
    /// The list: name and address.
    pub up: (&'static str, &'static str),
    /// The question.
    pub intro: &'static str,
    /// Addresses with their labels.
    pub choices: Vec<Choice>,
    /// What to do when there are none.
    pub empty: &'static str,
}

async fn choose(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let drivers = caller.drivers().await?.drivers.into_iter().filter(|driver| driver.enabled && driver.reaches);
    let choices = drivers.map(|driver| Choice {
        value: format!("/endpoints/new?driver={}", crate::request::encode(driver.id.as_str())),
        label: driver.name,
        note: driver.vendor,
        on: false,
    });
    reply::page(&Choose {
        frame: Frame::of(request, caller, "New endpoint"),
        up: LIST,
        intro: "Which driver reaches it?",
        choices: choices.collect(),
        empty: "No driver with endpoints is enabled.",
    })
}

fn blank(driver: &str) -> Listed<Endpoint> {
    let row = Endpoint {
        id: EndpointId::from(""),
        name: String::new(),
        driver: DriverId::from(driver),
        address: Value::Null,
        location: String::new(),
    };
    Listed { row, etag: String::new(), state: State::Ok, text: String::new(), used_by: Vec::new() }
}

async fn show(
    request: &Request,
    caller: &Caller,
    listed: Listed<Endpoint>,
    refused: Option<Problem>,
) -> Result<Reply, Problem> {
    let Listed { row, etag, state, text, used_by } = listed;
    let driver = driver(caller, &row.driver).await?;
    let form = Form::default()
        .field(FormField::line("/name", "Name", &row.name).required())
        .field(FormField::line("/location", "Location", &row.location).help("Where it hangs, for people."))
        .items(schema::form::items(&driver.endpoint_schema, &row.address, "/address"));
    let exists = !etag.is_empty();
    let path = path_to("/endpoints", row.id.as_str());
    let title = if exists { row.name.clone() } else { format!("New endpoint: {}", driver.view.name) };
    let frame = Frame::of(request, caller, title);
    let edit = Edit {
        up: LIST,
        health: (exists && !text.is_empty()).then_some((state, text)),
        intro: if exists { format!("Reached by {}.", driver.view.name) } else { String::new() },
        action: if exists { path.clone() } else { "/endpoints/new".to_owned() },
        shut: frame.shut(caller, Action::Configure),
        etag,
        hidden: vec![("driver", row.driver.to_string())],
        form,
        save: "Save endpoint",
        used_by: used_by.into_iter().map(|named| (named.name, path_to("/notifications", &named.id))).collect(),
        send: None,
        delete: exists.then(|| format!("{path}/delete")),
        frame,
    };
    edit.reply(refused.as_ref())
}

async fn driver(caller: &Caller, id: &DriverId) -> Result<DriverDetail, Problem> {
    caller.driver(id.clone()).await
}

async fn save(request: &Request, caller: &Caller, id: Option<EndpointId>) -> Result<Reply, Problem> {
    caller.require_change(Action::Configure)?;
    let form = request.form();
    let driver_id = DriverId(form.text("driver"));
    let detail = driver(caller, &driver_id).await?;
    let (address, unread) = schema::form::parse(&detail.endpoint_schema, &form, "/address");
    let row = Endpoint {
        id: id.unwrap_or_else(|| EndpointId::from("")),
        name: form.text("/name"),
        driver: driver_id,
        address,
        location: form.text("/location"),
    };
    let expected = expect(&form);
    let saved = if unread.is_empty() {
        caller.save_endpoint(row.clone(), expected).await.map(|_| ())
    } else {
        Err(Problem::invalid(unread))
    };
    match saved {
        Ok(()) => Ok(reply::redirect("/endpoints?done=saved")),
        Err(problem) if belongs_to_form(&problem) => {
            let listed =
                Listed { row, etag: form.text("etag"), state: State::Ok, text: String::new(), used_by: Vec::new() };
            show(request, caller, listed, Some(problem)).await
        }
        Err(problem) => Err(problem),
    }
}

async fn delete(request: &Request, caller: &Caller, id: EndpointId) -> Result<Reply, Problem> {
    caller.require_change(Action::Configure)?;
    let form = request.form();
    if form.text("confirm") == "yes" {
        caller.delete_endpoint(id, Expect::Etag(form.text("etag"))).await?;
        return Ok(reply::redirect("/endpoints?done=deleted"));
    }
    let listed = caller.endpoint(id.clone()).await?;
    let mut lines = vec![match listed.used_by.len() {
        0 => "No notification uses it.".to_owned(),
        n => format!(
            "It is taken out of {}: {}.",
            words::count(n, "notification", "notifications"),
            names(&listed.used_by)
        ),
    }];
    lines.push("What was sent to it stays in Sent Notifications.".to_owned());
    let path = path_to("/endpoints", id.as_str());
    reply::page(&Confirm {
        frame: Frame::of(request, caller, format!("Delete {}?", listed.row.name)),
        lines,
        action: format!("{path}/delete"),
        hidden: vec![("etag".to_owned(), listed.etag)],
        class: "stop",
        button: "Delete endpoint".to_owned(),
        back: path,
    })
}

/// The first names of a list, for a sentence.
pub fn names(all: &[crate::needs::Named]) -> String {
    let first: Vec<&str> = all.iter().take(5).map(|named| named.name.as_str()).collect();
    if all.len() > 5 { format!("{} and {} more", first.join(", "), all.len() - 5) } else { first.join(", ") }
}
