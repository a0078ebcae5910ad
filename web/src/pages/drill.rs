//! Drill: a failover rehearsal that sends nothing, and what the last one found.

use askama::Template;

use super::Frame;
use crate::{
    caller::Caller,
    needs::{DrillReport, Problem},
    reply::{self, Reply},
    request::Request,
    roles::Action,
    words,
};

#[derive(Template)]
#[template(path = "drill.html")]
struct DrillPage {
    frame: Frame,
    may_run: bool,
    report: Option<DrillReport>,
}

/// `/redundancy/drill`.
pub async fn page(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let report = match caller.drill_report().await {
        Ok(report) => Some(report),
        Err(problem) if problem.status == 404 => None,
        Err(problem) => return Err(problem),
    };
    let frame = Frame::of(request, caller, "Drill");
    reply::page(&DrillPage { frame, may_run: caller.can(Action::Administer), report })
}

/// Runs one.
pub async fn run(caller: &Caller) -> Result<Reply, Problem> {
    caller.drill().await?;
    Ok(reply::redirect("/redundancy/drill?done=drilled"))
}
