//! Logging: who changed what, what was synchronised, and the accounts.

use askama::Template;
use http::Method;

use super::{Frame, caller, not_here};
use crate::{
    needs::{Log, LogLine, Problem, UserView},
    reply::{self, Reply},
    request::Request,
    words,
};

#[derive(Template)]
#[template(path = "logs.html")]
struct LogsPage {
    frame: Frame,
    audit: bool,
    lines: Vec<LogLine>,
    users: Vec<UserView>,
}

/// `/logs`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    let log = match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, ["logs"] | ["logs", "audit"]) => Log::Audit,
        (Method::GET, ["logs", "sync"]) => Log::Sync,
        _ => return Err(not_here(&request)),
    };
    let lines = caller.log(log, 200).await?;
    let users = if log == Log::Audit { caller.users().await? } else { Vec::new() };
    reply::page(&LogsPage { frame: Frame::of(&request, &caller, "Logging"), audit: log == Log::Audit, lines, users })
}
