//! Servers that came back, what would happen if, and drills.

use http::Method;
use onealert_core::{
    calendar::When,
    ids::{CalendarId, NotificationId, ServerId, TriggerId},
};

use super::{Call, Done, Route, general::routes};
use crate::{
    needs::{FieldProblem, Problem, WhatIfCause, WhatIfQuery},
    reply::{self, Reply},
    request::Fields,
    roles::Action,
    words,
};

pub(super) const ROUTES: &[Route] = routes! {
    GET "/redundancy" LookAtConfiguration (None) -> (Some("Redundancy")) redundancy:
        "How servers return after a failure, and which of them hold back at present.";
    PUT "/redundancy" Configure (Some("RedundancySettings")) -> (None) save: "Decide how servers return.";
    POST "/redundancy/return/{id}" Administer (None) -> (None) return_server:
        "Let a server that came back own activations again at once. Possible on every server.";
    GET "/redundancy/what-if" LookAtConfiguration (None) -> (Some("WhatIf")) what_if:
        "Who would send what a trigger, a notification or calendars start, with servers assumed dead. Nothing is done.";
    GET "/redundancy/drill" LookAtConfiguration (None) -> (Some("DrillReport")) report: "The newest report of a drill.";
    POST "/redundancy/drill" Administer (None) -> (Some("DrillReport")) drill:
        "Rehearse failovers; nothing is sent to any endpoint. Answers the report when it is over.";
};

/// The question in a query, for the page and the API alike.
pub fn query(fields: &Fields) -> Result<WhatIfQuery, Problem> {
    let given = |name: &str| fields.get(name).filter(|text| !text.is_empty());
    let mut wrong = Vec::new();
    let mut dead = Vec::new();
    for text in fields.all("dead").filter(|text| !text.is_empty()) {
        match text.parse::<ServerId>() {
            Ok(id) => dead.push(id),
            Err(error) => wrong.push(FieldProblem::new("/dead", error.to_string())),
        }
    }
    let at = given("at").map(words::instant).transpose().unwrap_or_else(|message| {
        wrong.push(FieldProblem::new("/at", message));
        None
    });
    let on = given("on").map_or(Ok(When::Next), str::parse).unwrap_or_else(|error| {
        wrong.push(FieldProblem::new("/on", error.to_string()));
        When::Next
    });
    let bells = |calendar: Option<CalendarId>| WhatIfCause::Bells { calendar, on };
    let causes = [
        given("trigger").map(|id| WhatIfCause::Trigger { id: TriggerId::from(id), at }),
        given("notification").map(|id| WhatIfCause::Notification { id: NotificationId::from(id), at }),
        given("calendar").map(|id| bells(Some(CalendarId::from(id)))),
        given("calendars").map(|_| bells(None)),
    ];
    if given("calendars").is_some_and(|text| text != "all") {
        wrong.push(FieldProblem::new("/calendars", "must be all; name one with calendar"));
    }
    let mut causes = causes.into_iter().flatten();
    let (Some(cause), None) = (causes.next(), causes.next()) else {
        wrong.push(FieldProblem::new("/trigger", "name one trigger, notification or calendar, or calendars=all"));
        return Err(Problem::invalid(wrong));
    };
    match cause {
        WhatIfCause::Bells { .. } if given("at").is_some() => {
            wrong
                .push(FieldProblem::new("/at", "is for triggers and notifications; the day of bells is on=2026-11-30"));
        }
        WhatIfCause::Trigger { .. } | WhatIfCause::Notification { .. } if given("on").is_some() => {
            wrong.push(FieldProblem::new(
                "/on",
                "is for calendars; a trigger or notification takes at=2026-11-30T08:00",
            ));
        }
        _ => {}
    }
    if wrong.is_empty() { Ok(WhatIfQuery { cause, dead }) } else { Err(Problem::invalid(wrong)) }
}

async fn redundancy(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.redundancy().await?))
}

async fn save(call: Call) -> Result<Reply, Problem> {
    call.caller.save_redundancy(call.request.json()?).await?;
    Ok(reply::done())
}

async fn return_server(call: Call) -> Result<Reply, Problem> {
    let id: ServerId = call.id().parse().map_err(|_| Problem::not_found("server", call.id()))?;
    call.caller.return_server(id).await?;
    Ok(reply::done())
}

async fn what_if(call: Call) -> Result<Reply, Problem> {
    // Who may not ask is not told what is wrong with the question.
    call.caller.require(Action::LookAtConfiguration)?;
    let query = query(&call.request.query)?;
    Ok(reply::json(&call.caller.what_if(query).await?))
}

async fn report(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.drill_report().await?))
}

async fn drill(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.drill().await?))
}
