//! Signing in, looking, sending and stopping.

use http::{Method, StatusCode};
use onealert_core::{
    config::UserRole,
    ids::{ActivationId, NotificationId, TriggerId, UserId},
};
use serde::{Deserialize, Serialize};

use super::{Call, Done, Route};
use crate::{
    login,
    needs::{Accepted, EventIn, Log, Password, Problem},
    pages,
    reply::{self, Reply},
    request::Request,
    roles::Action,
};

macro_rules! routes {
    ($($method:ident $path:literal $action:ident ($body:expr) -> ($answer:expr) $run:path: $summary:literal;)*) => {
        &[$(Route {
            method: Method::$method,
            path: $path,
            summary: $summary,
            action: Action::$action,
            body: $body,
            answer: $answer,
            run: |call| -> Done { Box::pin($run(call)) },
        }),*]
    };
}
pub(super) use routes;

pub(super) const ROUTES: &[Route] = routes! {
    POST "/notifications/{id}/send" Send (None) -> (Some("Accepted")) send:
        "Send a notification. With an Idempotency-Key header the same key is sent once.";
    POST "/triggers/{id}/events" Send (Some("EventIn")) -> (Some("Accepted")) post_event:
        "Set off a trigger that pages and the API set off.";
    GET "/status" Look (None) -> (Some("Status")) status: "The installation as this server sees it.";
    GET "/versions" Look (None) -> (Some("ServerVersions")) versions:
        "What the answering server runs and where its copy of the configuration stands.";
    GET "/running" Look (None) -> (Some("[Running]")) running: "Activations that run.";
    POST "/running/stop" Send (None) -> (Some("Stopped")) stop_all: "Stop everything that runs.";
    POST "/running/{id}/stop" Send (None) -> (None) stop: "Stop one activation.";
    GET "/sent" Look (None) -> (Some("SentPage")) sent:
        "Sent notifications, newest first. Filters: q, server, outcome; limit and after for paging.";
    GET "/sent/{id}" Look (None) -> (Some("SentDetail")) sent_detail: "One sent notification with every endpoint.";
    GET "/senders" Look (None) -> (Some("[Sender]")) senders: "The servers whose sent notifications can be seen here.";
    GET "/session" Look (None) -> (Some("Session")) session: "Who is signed in, and on which server.";
    POST "/logout" Look (None) -> (None) logout: "End the session.";
    POST "/password" ChangeOwnPassword (Some("PasswordChange")) -> (None) password: "Change the own password.";
    GET "/users" Administer (None) -> (Some("[UserView]")) users: "Accounts.";
    GET "/logs/{id}" Administer (None) -> (Some("[LogLine]")) log: "The newest lines of a log: audit or sync.";
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    user: String,
    password: Password,
}

/// Who is signed in.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Session {
    /// Login name.
    #[schema(value_type = String)]
    user: UserId,
    /// What the user may do.
    #[schema(value_type = String)]
    role: UserRole,
    /// The server's name.
    server: String,
    /// Only in the answer of a login: for `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// How many activations were stopped.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Stopped {
    stopped: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    old: Password,
    new: Password,
}

pub(super) async fn login(request: &Request) -> Result<Reply, Problem> {
    let Login { user, password } = request.json()?;
    let (account, token) = login::sign_in(request, &user, password).await?;
    let server = request.site.needs.identity().name;
    let session = Session { user: account.user, role: account.role, server, token: Some(token.clone()) };
    let mut reply = reply::json(&session);
    login::set_cookie(request, &mut reply, &token);
    Ok(reply)
}

async fn session(call: Call) -> Result<Reply, Problem> {
    let (account, server) = (call.caller.account, call.caller.identity.name);
    Ok(reply::json(&Session { user: account.user, role: account.role, server, token: None }))
}

async fn logout(call: Call) -> Result<Reply, Problem> {
    if let Some(token) = &call.caller.token {
        call.request.site.sessions.end(token);
    }
    let mut reply = reply::done();
    login::set_cookie(&call.request, &mut reply, "");
    Ok(reply)
}

async fn password(call: Call) -> Result<Reply, Problem> {
    let PasswordChange { old, new } = call.request.json()?;
    pages::account::change_password(&call.request, &call.caller, old, new).await?;
    Ok(reply::done())
}

async fn status(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.status().await?))
}

async fn versions(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.versions()?))
}

async fn running(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.running().await?))
}

async fn stop_all(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&Stopped { stopped: call.caller.stop_all().await? }))
}

async fn stop(call: Call) -> Result<Reply, Problem> {
    call.caller.stop(activation(call.id())?).await?;
    Ok(reply::done())
}

async fn sent(call: Call) -> Result<Reply, Problem> {
    let query = pages::sent::query(&call.request.query, 50)?;
    Ok(reply::json(&call.caller.sent(query).await?))
}

async fn senders(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.senders().await?))
}

async fn sent_detail(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.sent_detail(activation(call.id())?).await?))
}

async fn send(call: Call) -> Result<Reply, Problem> {
    let key = call.request.header("idempotency-key").map(str::to_owned);
    accepted(call.caller.send(NotificationId::from(call.id()), key).await?)
}

async fn post_event(call: Call) -> Result<Reply, Problem> {
    let event: EventIn = if call.request.body.is_empty() { EventIn::default() } else { call.request.json()? };
    accepted(call.caller.post_event(TriggerId::from(call.id()), event).await?)
}

/// 202: it is safe; it is being sent.
fn accepted(accepted: Accepted) -> Result<Reply, Problem> {
    Ok(reply::json_with(StatusCode::ACCEPTED, &accepted))
}

async fn users(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.users().await?))
}

async fn log(call: Call) -> Result<Reply, Problem> {
    let log = match call.id() {
        "audit" => Log::Audit,
        "sync" => Log::Sync,
        other => return Err(Problem::not_found("log", other)),
    };
    let limit = call.request.query.get("limit").and_then(|text| text.parse().ok()).unwrap_or(100);
    Ok(reply::json(&call.caller.log(log, limit).await?))
}

fn activation(id: &str) -> Result<ActivationId, Problem> {
    id.parse().map_err(|_| Problem::not_found("activation", id))
}
