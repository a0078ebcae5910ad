//! Advanced Settings: the servers one by one, with Deprovision and Reconfigure; promotion of this server; conflict reports.

use askama::Template;
use http::{Method, StatusCode};
use onealert_core::{config::Role, ids::ServerId};

use super::{Frame, caller, not_here, path_to};
use crate::{
    caller::Caller,
    needs::{Conflict, Deprovisioned, Licence, Problem, PromoteRequest, Promoted, ServerRow},
    reply::{self, Reply},
    request::Request,
    roles::Action,
    words,
};

#[derive(Template)]
#[template(path = "servers.html")]
struct ServersPage {
    frame: Frame,
    shut: bool,
    servers: Vec<ServerRow>,
    licence: Licence,
    /// How many conflict reports this server has.
    conflicts: usize,
    /// This server's row, where it can be promoted.
    promotable: Option<ServerRow>,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "server_settings.html")]
struct ServerPage {
    frame: Frame,
    shut: bool,
    server: ServerRow,
    path: String,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "server_done.html")]
struct DonePage {
    frame: Frame,
    lines: Vec<String>,
}

#[derive(Template)]
#[template(path = "conflicts.html")]
struct ConflictsPage {
    frame: Frame,
    conflicts: Vec<Conflict>,
}

/// `/servers`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, ["servers"]) => list(&request, &caller, None).await,
        (Method::GET, ["servers", "conflicts"]) => {
            let conflicts = caller.conflicts().await?;
            reply::page(&ConflictsPage { frame: Frame::of(&request, &caller, "Conflict reports"), conflicts })
        }
        (Method::POST, ["servers", "promote"]) => promote(&request, &caller).await,
        (Method::POST, ["servers", "licence"]) => {
            let text = request.form().text("secondaries");
            let secondaries = text.trim().parse().map_err(|_| {
                Problem::bad_request(format!("{text:?} is not a number of secondaries. Nothing was saved."))
            })?;
            caller.set_licence(secondaries).await?;
            Ok(reply::redirect("/servers?done=saved"))
        }
        (Method::GET, ["servers", id]) => show(&request, &caller, server(id)?, None).await,
        (Method::POST, ["servers", id, "reconfigure"]) => {
            let id = server(id)?;
            caller.reconfigure(id).await?;
            Ok(reply::redirect(&format!("{}?done=rebuilding", path_to("/servers", &id.to_string()))))
        }
        (Method::POST, ["servers", id, "deprovision"]) => deprovision(&request, &caller, server(id)?).await,
        _ => Err(not_here(&request)),
    }
}

async fn list(request: &Request, caller: &Caller, problem: Option<Problem>) -> Result<Reply, Problem> {
    let servers = caller.servers().await?;
    let frame = Frame::of(request, caller, "Servers");
    let promotable = servers.iter().find(|row| row.this && row.role == Role::Secondary && !row.deprovisioned).cloned();
    let page = ServersPage {
        shut: frame.shut(caller, Action::Configure),
        frame,
        licence: caller.licence().await?,
        conflicts: caller.conflicts().await?.len(),
        promotable,
        servers,
        problem,
    };
    reply::page_with(status(page.problem.as_ref()), &page)
}

async fn show(request: &Request, caller: &Caller, id: ServerId, problem: Option<Problem>) -> Result<Reply, Problem> {
    let server = caller.server(id).await?;
    let frame = Frame::of(request, caller, format!("{}: Advanced Settings", server.name));
    let page = ServerPage {
        shut: frame.shut(caller, Action::Configure),
        frame,
        path: path_to("/servers", &id.to_string()),
        server,
        problem,
    };
    reply::page_with(status(page.problem.as_ref()), &page)
}

async fn deprovision(request: &Request, caller: &Caller, id: ServerId) -> Result<Reply, Problem> {
    match caller.deprovision(id, request.form().text("confirm")).await {
        Ok(done) => {
            let title = format!("{} is deprovisioned", done.name);
            reply::page(&DonePage { frame: Frame::of(request, caller, title), lines: told(&done) })
        }
        Err(problem) if problem.status == 422 => show(request, caller, id, Some(problem)).await,
        Err(problem) => Err(problem),
    }
}

fn told(done: &Deprovisioned) -> Vec<String> {
    let contact = match done.told {
        true => "It was told and gives up what it holds once its records are here.",
        false => "It is not connected; it is told at its next contact.",
    };
    [contact.to_owned()].into_iter().chain(done.consequences.iter().cloned()).collect()
}

async fn promote(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    caller.require(Action::Administer)?;
    let form = request.form();
    if form.text("confirm").trim() != caller.identity.name {
        let detail =
            format!("Type the name of this server, {}, to promote it. Nothing was changed.", caller.identity.name);
        return list(request, caller, Some(Problem::new(422, "Not promoted", detail))).await;
    }
    let wanted = PromoteRequest {
        leave_missing: form.text("leave_missing") == "yes",
        even_though_primary_answers: form.text("even_though_primary_answers") == "yes",
        ..PromoteRequest::default()
    };
    match caller.promote(wanted).await {
        Ok(done) => {
            let lines = Promoted::text(&done).lines().map(str::to_owned).collect();
            reply::page(&DonePage { frame: Frame::of(request, caller, "Promoted"), lines })
        }
        Err(problem) if problem.status == 409 => list(request, caller, Some(problem)).await,
        Err(problem) => Err(problem),
    }
}

fn status(problem: Option<&Problem>) -> StatusCode {
    problem.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
    })
}

fn server(id: &str) -> Result<ServerId, Problem> {
    id.parse().map_err(|_| Problem::not_found("server", id))
}
