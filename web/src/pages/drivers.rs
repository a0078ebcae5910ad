//! Drivers: what was found, what is enabled, how it is on each server, and the settings.

use askama::Template;
use http::{Method, StatusCode};
use onealert_core::ids::DriverId;

use super::{Frame, caller, confirm::Confirm, edit::belongs_to_form, expect, not_here, path_to, trust};
use crate::{
    caller::Caller,
    form::Form,
    needs::{DriverDetail, DriverSwitch, Drivers, Problem},
    reply::{self, Reply},
    request::Request,
    roles::Action,
    schema, words,
};

#[derive(Template)]
#[template(path = "drivers.html")]
struct DriversPage {
    frame: Frame,
    shut: bool,
    drivers: Drivers,
    /// How many files an administrator may pin.
    waiting: usize,
}

#[derive(Template)]
#[template(path = "driver.html")]
struct DriverPage {
    frame: Frame,
    shut: bool,
    detail: DriverDetail,
    form: Form,
    tested: Option<&'static str>,
}

/// `/drivers`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, [_]) => {
            let mut drivers = caller.drivers().await?;
            drivers.drivers.retain(|driver| !driver.built_in);
            let frame = Frame::of(&request, &caller, "Drivers");
            let waiting = drivers.files.iter().filter(|file| file.may_be_pinned).count();
            reply::page(&DriversPage { shut: frame.shut(&caller, Action::Configure), frame, drivers, waiting })
        }
        (Method::GET, [_, id]) => {
            let detail = caller.driver(DriverId::from(*id)).await?;
            if detail.view.built_in {
                return Err(not_here(&request));
            }
            show(&request, &caller, detail, None, None)
        }
        (_, [_, "trust", what]) => trust::answer(&request, &caller, what).await,
        (Method::POST, [_, id]) => posted(&request, &caller, DriverId::from(*id)).await,
        (Method::POST, [_, id, "version"]) => switch(&request, &caller, DriverId::from(*id)).await,
        (Method::POST, [_, id, "disable"]) => disable(&request, &caller, DriverId::from(*id)).await,
        _ => Err(not_here(&request)),
    }
}

fn show(
    request: &Request,
    caller: &Caller,
    detail: DriverDetail,
    refused: Option<&Problem>,
    tested: Option<&'static str>,
) -> Result<Reply, Problem> {
    let mut form = Form::new(schema::form::items(&detail.settings_schema, &detail.settings, "/settings"));
    let status = match refused {
        None => StatusCode::OK,
        Some(problem) => {
            // The driver's own findings name a setting; the form's names stand one level up.
            let mut problem = problem.clone();
            for field in &mut problem.fields {
                if !field.path.is_empty() && !field.path.starts_with("/settings/") {
                    field.path = format!("/settings{}", field.path);
                }
            }
            form = form.with_problem(&problem);
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
        }
    };
    let frame = Frame::of(request, caller, detail.view.name.clone());
    let shut = frame.shut(caller, Action::Configure);
    reply::page_with(status, &DriverPage { frame, shut, detail, form, tested })
}

async fn posted(request: &Request, caller: &Caller, id: DriverId) -> Result<Reply, Problem> {
    caller.require_change(Action::Configure)?;
    let form = request.form();
    let mut detail = caller.driver(id.clone()).await?;
    let (settings, unread) = schema::form::parse(&detail.settings_schema, &form, "/settings");
    let (wanted, expected) = (form.text("do"), expect(&form));
    let done = if unread.is_empty() {
        match wanted.as_str() {
            "check" => caller.check_driver(id, settings.clone()).await,
            "enable" => caller.enable_driver(id, settings.clone(), expected).await,
            _ => caller.save_driver(id, settings.clone(), expected).await,
        }
    } else {
        Err(Problem::invalid(unread))
    };
    match done {
        Ok(()) if wanted == "check" => {
            detail.settings = settings;
            schema::blank_secrets(&detail.settings_schema, &mut detail.settings);
            show(request, caller, detail, None, Some("The driver accepts these settings. They are not saved yet."))
        }
        Ok(()) if wanted == "enable" => Ok(reply::redirect("/drivers?done=enabled")),
        Ok(()) => Ok(reply::redirect("/drivers?done=saved")),
        Err(problem) if belongs_to_form(&problem) => {
            detail.settings = settings;
            detail.etag = form.text("etag");
            schema::blank_secrets(&detail.settings_schema, &mut detail.settings);
            show(request, caller, detail, Some(&problem), None)
        }
        Err(problem) => Err(problem),
    }
}

/// Takes another version; asks before it takes an older one.
async fn switch(request: &Request, caller: &Caller, id: DriverId) -> Result<Reply, Problem> {
    caller.require_change(Action::Configure)?;
    let form = request.form();
    let wanted = DriverSwitch { version: form.text("version"), confirm_downgrade: form.text("confirm") == "yes" };
    let refused = match caller.switch_driver(id.clone(), wanted.clone()).await {
        Ok(()) => return Ok(reply::redirect("/drivers?done=saved")),
        Err(problem) => problem,
    };
    let Some(downgrade) = refused.fields.iter().find(|field| field.path == "/confirm_downgrade") else {
        return Err(refused);
    };
    let name = caller.driver(id.clone()).await?.view.name;
    let path = path_to("/drivers", id.as_str());
    let kept = "Its file goes to every server, and each changes over while the driver runs. Settings stay as they are.";
    reply::page(&Confirm {
        frame: Frame::of(request, caller, format!("Go back to {name} {}?", wanted.version)),
        lines: vec![format!("{}.", downgrade.message), kept.to_owned()],
        action: format!("{path}/version"),
        hidden: vec![("version".to_owned(), wanted.version.clone())],
        class: "stop",
        button: format!("Use version {}", wanted.version),
        back: path,
    })
}

async fn disable(request: &Request, caller: &Caller, id: DriverId) -> Result<Reply, Problem> {
    caller.require_change(Action::Configure)?;
    if request.form().text("confirm") == "yes" {
        caller.disable_driver(id).await?;
        return Ok(reply::redirect("/drivers?done=disabled"));
    }
    let view = caller.driver(id.clone()).await?.view;
    let mut lines = Vec::new();
    if view.endpoints > 0 {
        lines.push(format!(
            "{} can then not be reached.",
            words::count(view.endpoints as usize, "endpoint", "endpoints")
        ));
    }
    if view.triggers > 0 {
        lines.push(format!("{} can then not happen.", words::count(view.triggers as usize, "trigger", "triggers")));
    }
    lines.push("Settings and history stay; it can be enabled again.".to_owned());
    let path = path_to("/drivers", id.as_str());
    reply::page(&Confirm {
        frame: Frame::of(request, caller, format!("Disable {}?", view.name)),
        lines,
        action: format!("{path}/disable"),
        hidden: Vec::new(),
        class: "stop",
        button: "Disable driver".to_owned(),
        back: path,
    })
}
