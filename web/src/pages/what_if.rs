//! What if: who would send what, or ring which bells, with servers assumed dead.

use askama::Template;
use http::StatusCode;

use super::Frame;
use crate::{
    api::redundancy::query,
    caller::Caller,
    needs::{Problem, WhatIf},
    reply::{self, Reply},
    request::{Fields, Request},
    roles::Action,
    words,
};

#[derive(Template)]
#[template(path = "what_if.html")]
struct WhatIfPage {
    frame: Frame,
    causes: Vec<Cause>,
    day: String,
    time: String,
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
    caller.require(Action::LookAtConfiguration)?;
    let (fields, mut wrong) = (&request.query, Vec::new());
    let asked = fields.text("cause");
    let (day, time) = (fields.text("day"), fields.text("time"));
    let not_asked = |detail: &str| Err(Problem::new(422, "Not asked", detail));
    let answer = match asked.split_once(':') {
        None => Ok(None),
        Some((kind, id)) => match (day.is_empty(), time.is_empty()) {
            (true, false) => not_asked("Choose a day for the time."),
            (false, true) if !is_bells(kind) => not_asked("Choose a time of the day."),
            _ => match query(&as_asked(fields, kind, id, &[&day, &time])) {
                Ok(query) => caller.what_if(query).await.map(Some),
                Err(problem) => Err(problem),
            },
        },
    };
    let (answer, status) = match answer {
        Ok(answer) => (answer, StatusCode::OK),
        Err(problem) if problem.status == 422 || problem.status == 404 => {
            let said = |path: &str, message: String| match path {
                "/at" | "/on" => format!("When: {message}"),
                _ => message,
            };
            wrong.extend(problem.fields.into_iter().map(|field| said(&field.path, field.message)));
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
    let calendars = caller.calendars().await?;
    if !calendars.is_empty() {
        add("calendars", "all", "the bells of every schedule".to_owned());
    }
    for calendar in calendars {
        add("calendar", calendar.listed.row.id.as_str(), format!("the bells of {}", calendar.listed.row.name));
    }
    let servers = caller.redundancy().await?.servers.into_iter().map(|server| {
        let id = server.id.to_string();
        Choice { chosen: fields.all("dead").any(|dead| dead == id), id, name: server.name }
    });
    let frame = Frame::of(request, caller, "What if");
    let page = WhatIfPage { frame, causes, day, time, servers: servers.collect(), answer, wrong };
    reply::page_with(status, &page)
}

fn is_bells(kind: &str) -> bool {
    matches!(kind, "calendar" | "calendars")
}

/// The form's question as the API takes it: there each kind of cause has a name of its own, and the moment is one text.
fn as_asked(fields: &Fields, kind: &str, id: &str, moment: &[&str]) -> Fields {
    let dead = fields.all("dead").map(|id| ("dead".to_owned(), id.to_owned()));
    let given: Vec<&str> = moment.iter().copied().filter(|part| !part.is_empty()).collect();
    let when = if is_bells(kind) { "on" } else { "at" };
    let cause = [(kind.to_owned(), id.to_owned()), (when.to_owned(), given.join("T"))];
    Fields(dead.chain(cause).collect())
}
