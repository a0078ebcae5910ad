//! Notifications, endpoints, triggers, priority groups and drivers.
//!
//! A GET of one row answers its `ETag`; a PUT or DELETE with `If-Match` acts on that row only. A PUT with
//! `If-None-Match: *` creates only.

use http::{Method, StatusCode};
use onealert_core::{
    config::{Endpoint, Notification, PriorityGroup, Trigger},
    ids::{DriverId, EndpointId, GroupId, NotificationId, ServerId, TriggerId},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Call, Done, Route, general::routes};
use crate::{
    needs::{Expect, Listed, Password, Problem},
    reply::{self, Reply, tagged},
    roles::Action,
};

pub(super) const ROUTES: &[Route] = routes! {
    GET "/notifications" Look (None) -> (Some("[NotificationRow]")) notifications: "Every notification.";
    POST "/notifications" EditNotifications (Some("Notification")) -> (Some("Created")) new_notification: "Create a notification.";
    GET "/notifications/{id}" Look (None) -> (Some("NotificationRow")) notification: "One notification.";
    PUT "/notifications/{id}" EditNotifications (Some("Notification")) -> (None) put_notification: "Replace a notification.";
    DELETE "/notifications/{id}" EditNotifications (None) -> (None) delete_notification: "Delete a notification.";
    GET "/endpoints" LookAtConfiguration (None) -> (Some("[EndpointRow]")) endpoints: "Every endpoint, secrets left out.";
    POST "/endpoints" Configure (Some("Endpoint")) -> (Some("Created")) new_endpoint: "Create an endpoint.";
    GET "/endpoints/{id}" LookAtConfiguration (None) -> (Some("EndpointRow")) endpoint: "One endpoint, secrets left out.";
    PUT "/endpoints/{id}" Configure (Some("Endpoint")) -> (None) put_endpoint: "Replace an endpoint; secrets left out are kept.";
    DELETE "/endpoints/{id}" Configure (None) -> (None) delete_endpoint: "Delete an endpoint.";
    GET "/triggers" LookAtConfiguration (None) -> (Some("[TriggerRow]")) triggers: "Every trigger, secrets left out.";
    POST "/triggers" Configure (Some("Trigger")) -> (Some("Created")) new_trigger: "Create a trigger.";
    GET "/triggers/{id}" LookAtConfiguration (None) -> (Some("TriggerRow")) trigger: "One trigger, secrets left out.";
    PUT "/triggers/{id}" Configure (Some("Trigger")) -> (None) put_trigger: "Replace a trigger; secrets left out are kept.";
    DELETE "/triggers/{id}" Configure (None) -> (None) delete_trigger: "Delete a trigger.";
    GET "/groups" LookAtConfiguration (None) -> (Some("[GroupRow]")) groups: "Every priority group.";
    POST "/groups" Configure (Some("PriorityGroup")) -> (Some("Created")) new_group: "Create a priority group.";
    GET "/groups/{id}" LookAtConfiguration (None) -> (Some("GroupRow")) group: "One priority group.";
    PUT "/groups/{id}" Configure (Some("PriorityGroup")) -> (None) put_group: "Replace a priority group: name and order.";
    DELETE "/groups/{id}" Configure (None) -> (Some("GroupDeleted")) delete_group:
        "Delete a priority group. While triggers or calendars use it, move_to names the group that they go to.";
    PUT "/servers/{id}" Configure (Some("ServerName")) -> (None) put_server: "Give a server another display name.";
    GET "/phone-login" LookAtConfiguration (None) -> (Some("PhoneLogin")) phone_login:
        "The login that phones obey, without its password.";
    PUT "/phone-login" Configure (Some("PhoneLoginChange")) -> (None) put_phone_login:
        "Set it. Without a password the present one is kept; an empty user removes both.";
    GET "/local-settings" LookAtConfiguration (None) -> (Some("LocalSettingsView")) local_settings:
        "The settings that are this server's own.";
    PUT "/local-settings" ChangeLocalSettings (Some("LocalSettings")) -> (None) put_local_settings:
        "Change the settings that are this server's own; a secondary takes them too.";
    GET "/drivers" LookAtConfiguration (None) -> (Some("Drivers")) drivers: "Drivers and the files found.";
    GET "/drivers/{id}" LookAtConfiguration (None) -> (Some("DriverDetail")) driver:
        "One driver with its schemas and settings, secrets left out.";
    POST "/drivers/{id}/check" Configure (Some("Settings")) -> (None) check_driver:
        "Ask the driver whether settings will do, without saving.";
    POST "/drivers/{id}/enable" Configure (Some("Settings")) -> (None) enable_driver: "Enable a driver with these settings.";
    POST "/drivers/{id}/disable" Configure (None) -> (None) disable_driver: "Disable a driver; settings and history stay.";
    POST "/drivers/{id}/version" Configure (Some("DriverSwitch")) -> (None) switch_driver:
        "Use another version of a driver, from the driver folder; its file goes to every server.";
    PUT "/drivers/{id}/settings" Configure (Some("Settings")) -> (None) put_driver:
        "Save a driver's settings; secrets left out are kept.";
};

fn one<T: Serialize>(listed: &Listed<T>) -> Result<Reply, Problem> {
    Ok(tagged(reply::json(listed), &listed.etag))
}

pub(super) fn created(id: impl std::fmt::Display) -> Result<Reply, Problem> {
    Ok(reply::json_with(StatusCode::CREATED, &json!({ "id": id.to_string() })))
}

/// The posted row, its id taken from the path.
pub(super) fn row<T: serde::de::DeserializeOwned>(call: &Call, id: &str) -> Result<T, Problem> {
    let mut value: Value = call.request.json()?;
    let Some(object) = value.as_object_mut() else {
        return Err(Problem::bad_request("The body must be a JSON object."));
    };
    object.insert("id".to_owned(), id.into());
    serde_json::from_value(value)
        .map_err(|error| Problem::bad_request(format!("The body is not the document that is expected here: {error}.")))
}

/// The key of a row to be created: given in the body, or made by the server.
pub(super) fn new_row<T: serde::de::DeserializeOwned>(call: &Call) -> Result<T, Problem> {
    let value: Value = call.request.json()?;
    row(call, value["id"].as_str().unwrap_or_default())
}

async fn notifications(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.notifications().await?))
}
async fn new_notification(call: Call) -> Result<Reply, Problem> {
    let row: Notification = new_row(&call)?;
    created(call.caller.save_notification(row, Expect::New).await?)
}
async fn notification(call: Call) -> Result<Reply, Problem> {
    one(&call.caller.notification(NotificationId::from(call.id())).await?)
}
async fn put_notification(call: Call) -> Result<Reply, Problem> {
    let row: Notification = row(&call, call.id())?;
    call.caller.save_notification(row, call.request.expect()).await?;
    Ok(reply::done())
}
async fn delete_notification(call: Call) -> Result<Reply, Problem> {
    call.caller.delete_notification(NotificationId::from(call.id()), call.request.expect()).await?;
    Ok(reply::done())
}

async fn endpoints(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.endpoints().await?))
}
async fn new_endpoint(call: Call) -> Result<Reply, Problem> {
    let row: Endpoint = new_row(&call)?;
    created(call.caller.save_endpoint(row, Expect::New).await?)
}
async fn endpoint(call: Call) -> Result<Reply, Problem> {
    one(&call.caller.endpoint(EndpointId::from(call.id())).await?)
}
async fn put_endpoint(call: Call) -> Result<Reply, Problem> {
    let row: Endpoint = row(&call, call.id())?;
    call.caller.save_endpoint(row, call.request.expect()).await?;
    Ok(reply::done())
}
async fn delete_endpoint(call: Call) -> Result<Reply, Problem> {
    call.caller.delete_endpoint(EndpointId::from(call.id()), call.request.expect()).await?;
    Ok(reply::done())
}

async fn triggers(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.triggers().await?))
}
async fn new_trigger(call: Call) -> Result<Reply, Problem> {
    let row: Trigger = new_row(&call)?;
    created(call.caller.save_trigger(row, Expect::New).await?)
}
async fn trigger(call: Call) -> Result<Reply, Problem> {
    one(&call.caller.trigger(TriggerId::from(call.id())).await?)
}
async fn put_trigger(call: Call) -> Result<Reply, Problem> {
    let row: Trigger = row(&call, call.id())?;
    call.caller.save_trigger(row, call.request.expect()).await?;
    Ok(reply::done())
}
async fn delete_trigger(call: Call) -> Result<Reply, Problem> {
    call.caller.delete_trigger(TriggerId::from(call.id()), call.request.expect()).await?;
    Ok(reply::done())
}

async fn groups(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.groups().await?))
}
async fn new_group(call: Call) -> Result<Reply, Problem> {
    let row: PriorityGroup = new_row(&call)?;
    created(call.caller.save_group(row, Expect::New).await?)
}
async fn group(call: Call) -> Result<Reply, Problem> {
    let group = call.caller.group(&GroupId::from(call.id())).await?;
    Ok(tagged(reply::json(&group), &group.listed.etag))
}
async fn put_group(call: Call) -> Result<Reply, Problem> {
    let row: PriorityGroup = row(&call, call.id())?;
    call.caller.save_group(row, call.request.expect()).await?;
    Ok(reply::done())
}
async fn delete_group(call: Call) -> Result<Reply, Problem> {
    let move_to = call.request.query.get("move_to").filter(|id| !id.is_empty()).map(GroupId::from);
    Ok(reply::json(&call.caller.delete_group(GroupId::from(call.id()), move_to, call.request.expect()).await?))
}

/// A server's new display name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerName {
    name: String,
}

async fn put_server(call: Call) -> Result<Reply, Problem> {
    let id: ServerId = call.id().parse().map_err(|_| Problem::not_found("server", call.id()))?;
    let ServerName { name } = call.request.json()?;
    call.caller.rename_server(id, name).await?;
    Ok(reply::done())
}
/// The login that phones are to obey.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PhoneLoginChange {
    user: String,
    /// At least 12 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    password: Option<Password>,
}

async fn phone_login(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.phone_login().await?))
}
async fn put_phone_login(call: Call) -> Result<Reply, Problem> {
    let PhoneLoginChange { user, password } = call.request.json()?;
    call.caller.save_phone_login(user.trim().to_owned(), password).await?;
    Ok(reply::done())
}
async fn local_settings(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.local_settings().await?))
}
async fn put_local_settings(call: Call) -> Result<Reply, Problem> {
    call.caller.save_local_settings(call.request.json()?).await?;
    Ok(reply::done())
}

async fn drivers(call: Call) -> Result<Reply, Problem> {
    Ok(reply::json(&call.caller.drivers().await?))
}
async fn driver(call: Call) -> Result<Reply, Problem> {
    let detail = call.caller.driver(DriverId::from(call.id())).await?;
    Ok(tagged(reply::json(&detail), &detail.etag))
}
async fn check_driver(call: Call) -> Result<Reply, Problem> {
    call.caller.check_driver(DriverId::from(call.id()), call.request.json()?).await?;
    Ok(reply::done())
}
async fn switch_driver(call: Call) -> Result<Reply, Problem> {
    call.caller.switch_driver(DriverId::from(call.id()), call.request.json()?).await?;
    Ok(reply::done())
}
async fn enable_driver(call: Call) -> Result<Reply, Problem> {
    call.caller.enable_driver(DriverId::from(call.id()), call.request.json()?, call.request.expect()).await?;
    Ok(reply::done())
}
async fn disable_driver(call: Call) -> Result<Reply, Problem> {
    call.caller.disable_driver(DriverId::from(call.id())).await?;
    Ok(reply::done())
}
async fn put_driver(call: Call) -> Result<Reply, Problem> {
    call.caller.save_driver(DriverId::from(call.id()), call.request.json()?, call.request.expect()).await?;
    Ok(reply::done())
}
