//! Who is trusted with driver files: keys and pinned files. What there is stands in the answer to `/drivers`.

use http::{Method, StatusCode};
use serde_json::json;

use super::{Call, Done, Route, general::routes};
use crate::{
    needs::{Problem, TrustChange},
    reply::{self, Reply},
    roles::Action,
};

pub(super) const ROUTES: &[Route] = routes! {
    POST "/driver-keys" Configure (Some("NewDriverKey")) -> (Some("Created")) add_key:
        "Trust a minisign key with driver files of some ids.";
    DELETE "/driver-keys/{id}" Configure (None) -> (None) remove_key:
        "Trust a key no longer; refused while an enabled driver rests on it.";
    POST "/driver-pins" Configure (Some("DriverFile")) -> (Some("Created")) pin:
        "Let a file of the driver folder run although no trusted key signed it.";
    DELETE "/driver-pins/{id}" Configure (None) -> (None) unpin:
        "Take a pin back; refused while an enabled driver rests on it.";
};

async fn created(call: &Call, change: TrustChange) -> Result<Reply, Problem> {
    let id = call.caller.change_trust(change).await?;
    Ok(reply::json_with(StatusCode::CREATED, &json!({ "id": id })))
}

async fn add_key(call: Call) -> Result<Reply, Problem> {
    created(&call, TrustChange::AddKey(call.request.json()?)).await
}
async fn remove_key(call: Call) -> Result<Reply, Problem> {
    call.caller.change_trust(TrustChange::RemoveKey(call.id().to_owned())).await?;
    Ok(reply::done())
}
async fn pin(call: Call) -> Result<Reply, Problem> {
    created(&call, TrustChange::Pin(call.request.json()?)).await
}
async fn unpin(call: Call) -> Result<Reply, Problem> {
    call.caller.change_trust(TrustChange::Unpin(call.id().to_owned())).await?;
    Ok(reply::done())
}
