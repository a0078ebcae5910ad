//! Logging: who changed what, and what was synchronised.

use askama::Template;
use http::Method;

use super::{Frame, caller, found_in, not_here};
use crate::{
    needs::{Log, LogLine, Problem, State},
    reply::{self, Reply},
    request::Request,
    words,
};

#[derive(Template)]
#[template(path = "logs.html")]
struct LogsPage {
    frame: Frame,
    audit: bool,
    q: String,
    /// Only what somebody should look at.
    trouble: bool,
    lines: Vec<LogLine>,
}

/// `/logs`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    let log = match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, ["logs"] | ["logs", "audit"]) => Log::Audit,
        (Method::GET, ["logs", "sync"]) => Log::Sync,
        _ => return Err(not_here(&request)),
    };
    let (q, trouble) = (request.query.text("q"), request.query.has("trouble"));
    let fits = |line: &LogLine| {
        (!trouble || line.state != State::Ok) && found_in(&q, &[line.source.as_str(), line.text.as_str()])
    };
    let lines = caller.log(log, 500).await?.into_iter().filter(fits).collect();
    let frame = Frame::of(&request, &caller, "Logging");
    reply::page(&LogsPage { frame, audit: log == Log::Audit, q, trouble, lines })
}
