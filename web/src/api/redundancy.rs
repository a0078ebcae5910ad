//! Servers that came back, what would happen if, and drills.

use http::Method;
use onealert_core::ids::{NotificationId, ServerId, TriggerId};

use super::{Call, Done, Route, general::routes};
use crate::{
    needs::{FieldProblem, Problem, WhatIfQuery},
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
        "Who would send what, with servers assumed dead. Nothing is done.";
    GET "/redundancy/drill" LookAtConfiguration (None) -> (Some("DrillReport")) report: "The newest report of a drill.";
    POST "/redundancy/drill" Administer (None) -> (Some("DrillReport")) drill:
        "Rehearse failovers; nothing is sent to any endpoint. Answers the report when it is over.";
};

/// The question in a query, for the page and the API alike.
pub fn query(fields: &Fields) -> Result<WhatIfQuery, Problem> {
    let given = |name: &str| fields.get(name).filter(|text| !text.is_empty());
    let mut wrong = Vec::new();
    let at = given("at").map(words::instant).transpose().unwrap_or_else(|message| {
        wrong.push(FieldProblem::new("/at", message));
        None
    });
    let mut dead = Vec::new();
    for text in fields.all("dead").filter(|text| !text.is_empty()) {
        match text.parse::<ServerId>() {
            Ok(id) => dead.push(id),
            Err(error) => wrong.push(FieldProblem::new("/dead", error.to_string())),
        }
    }
    if !wrong.is_empty() {
        return Err(Problem::invalid(wrong));
    }
    let (trigger, notification) =
        (given("trigger").map(TriggerId::from), given("notification").map(NotificationId::from));
    Ok(WhatIfQuery { trigger, notification, at, dead })
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
    let query = query(&call.request.query)?;
    Ok(reply::json(&call.caller.what_if(query).await?))
}

async fn report(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.drill_report().await?))
}

async fn drill(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.drill().await?))
}
