//! The servers of the installation: deprovision, reconfigure, promote, licence, conflict reports.

use http::Method;
use onealert_core::ids::ServerId;
use serde::{Deserialize, Serialize};

use super::{Call, Done, Route, general::routes};
use crate::{
    needs::{Problem, PromoteRequest},
    reply::{self, Reply},
    roles::Action,
};

pub(super) const ROUTES: &[Route] = routes! {
    GET "/servers" Administer (None) -> (Some("[ServerRow]")) servers: "Every server, deprovisioned ones too.";
    POST "/servers/{id}/deprovision" Configure (Some("Confirmation")) -> (Some("Deprovisioned")) deprovision:
        "Remove a server for good: its credential is revoked, it sends nothing more and gives up what it holds.";
    POST "/servers/{id}/reconfigure" Configure (None) -> (Some("Rebuild")) reconfigure:
        "Have a secondary build its copy of the configuration anew; it goes on sending meanwhile.";
    POST "/promote" Administer (Some("PromoteRequest")) -> (Some("Promoted")) promote:
        "Make this secondary the primary. The former one is fenced when it returns.";
    GET "/conflicts" Administer (None) -> (Some("[Conflict]")) conflicts:
        "Changes on this server that another generation has left behind.";
    GET "/licence" LookAtConfiguration (None) -> (Some("Licence")) licence: "How many secondaries there may be.";
    PUT "/licence" Configure (Some("LicenceLimit")) -> (Some("Licence")) set_licence:
        "Set how many secondaries the licence allows.";
};

/// Says that it is meant.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// The server's display name.
    confirm: String,
}

/// A copy that is built anew.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Rebuild {
    /// It began; otherwise it begins when the secondary calls.
    at_once: bool,
}

/// What a licence allows.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LicenceLimit {
    /// How many secondaries.
    secondaries: u32,
}

async fn servers(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.servers().await?))
}

async fn deprovision(call: Call) -> Result<Reply, Problem> {
    let Confirmation { confirm } = call.request.json()?;
    Ok(reply::json(&call.caller.deprovision(server(call.id())?, confirm).await?))
}

async fn reconfigure(call: Call) -> Result<Reply, Problem> {
    let at_once = call.caller.reconfigure(server(call.id())?).await?;
    Ok(reply::json(&Rebuild { at_once }))
}

async fn promote(call: Call) -> Result<Reply, Problem> {
    let request = if call.request.body.is_empty() { PromoteRequest::default() } else { call.request.json()? };
    Ok(reply::json(&call.caller.promote(request).await?))
}

async fn conflicts(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.conflicts().await?))
}

async fn licence(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.licence().await?))
}

async fn set_licence(call: Call) -> Result<Reply, Problem> {
    let LicenceLimit { secondaries } = call.request.json()?;
    Ok(reply::json(&call.caller.set_licence(secondaries).await?))
}

/// A server's id as it stands in a path.
fn server(id: &str) -> Result<ServerId, Problem> {
    id.parse().map_err(|_| Problem::not_found("server", id))
}
