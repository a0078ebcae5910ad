//! What if: who would send what, with servers assumed dead.

use askama::Template;
use http::StatusCode;

use super::Frame;
use crate::{
    api::redundancy::query,
    caller::Caller,
    needs::{Problem, WhatIf, WhatIfQuery},
    reply::{self, Reply},
    request::Request,
    words,
};

#[derive(Template)]
#[template(path = "what_if.html")]
struct WhatIfPage {
    frame: Frame,
    causes: Vec<Cause>,
    at: String,
    servers: Vec<Choice>,
    answer: Option<WhatIf>,
    wrong: Vec<String>,
}

/// What may go off: one entry of the list.
struct Cause {
    value: String,
    name: String,
    chosen: bool,
}

/// A server that may be assumed dead.
struct Choice {
    id: String,
    name: String,
    chosen: bool,
}

/// `/redundancy/what-if`.
pub async fn page(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let (fields, mut wrong) = (&request.query, Vec::new());
    let asked = fields.get("cause").unwrap_or_default();
    // One list for both kinds of cause: a select has one value.
    let query = query(fields).map(|query| match asked.split_once(':') {
        Some(("trigger", id)) => WhatIfQuery { trigger: Some(id.into()), ..query },
        Some(("notification", id)) => WhatIfQuery { notification: Some(id.into()), ..query },
        _ => query,
    });
    let answer = match query {
        Ok(query) if query.trigger.is_none() && query.notification.is_none() => Ok(None),
        Ok(query) => caller.what_if(query).await.map(Some),
        Err(problem) => Err(problem),
    };
    let (answer, status) = match answer {
        Ok(answer) => (answer, StatusCode::OK),
        Err(problem) if problem.status == 422 || problem.status == 404 => {
            wrong.extend(problem.fields.into_iter().map(|field| field.message));
            if wrong.is_empty() {
                wrong.push(problem.detail);
            }
            (None, StatusCode::UNPROCESSABLE_ENTITY)
        }
        Err(problem) => return Err(problem),
    };
    let mut causes = Vec::new();
    let mut add = |kind: &str, id: &str, name: String| {
        let value = format!("{kind}:{id}");
        causes.push(Cause { chosen: value == asked, value, name });
    };
    for trigger in caller.triggers().await? {
        add("trigger", trigger.row.id.as_str(), format!("trigger {}", trigger.row.name));
    }
    for notification in caller.notifications().await? {
        add("notification", notification.row.id.as_str(), format!("{} sent by hand", notification.row.name));
    }
    let servers = caller.redundancy().await?.servers.into_iter().map(|server| {
        let id = server.id.to_string();
        Choice { chosen: fields.all("dead").any(|dead| dead == id), id, name: server.name }
    });
    let frame = Frame::of(request, caller, "What if");
    let at = fields.text("at");
    let page = WhatIfPage { frame, causes, at, servers: servers.collect(), answer, wrong };
    reply::page_with(status, &page)
}
