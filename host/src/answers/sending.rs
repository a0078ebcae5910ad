//! Sending and stopping: allowed on every server.

use onealert_core::{
    alert::ACTIVATOR,
    effect::Refusal,
    ids::{ActivationId, TriggerId},
};
use onealert_plugin_api::document::TriggerEvent;
use onealert_web::needs::{Accepted, Actor, EventIn, Problem, SendRequest};

use crate::{
    drive::Taken,
    hub::Hub,
    intake::{self, Asked, Ending, Here},
};

pub(super) async fn send(hub: &Hub, by: Actor, request: SendRequest) -> Result<Accepted, Problem> {
    let config = hub.config();
    let here = Here { config: &config, wall: crate::clock::wall() };
    let key = request.idempotency_key.as_deref();
    let content =
        intake::from_send(here, &request.notification, by.user.as_str(), key, u128::from_be_bytes(crate::draw()))
            .map_err(|_| Problem::not_found("notification", &request.notification))?;
    tracing::info!(user = %by.user, peer = %by.peer, notification = %request.notification, "send");
    submit(hub, Asked { endings: Vec::new(), starts: vec![content] }).await
}

pub(super) async fn post_event(hub: &Hub, by: Actor, id: TriggerId, event: EventIn) -> Result<Accepted, Problem> {
    let config = hub.config();
    let trigger = config.triggers.get(&id).ok_or_else(|| Problem::not_found("trigger", &id))?;
    if let Some(driver) = &trigger.driver {
        let driver = if driver.as_str() == ACTIVATOR { "this server itself" } else { driver.as_str() };
        let detail = format!("The trigger {id} is watched by {driver}, and only set off from there.");
        return Err(Problem::new(422, "Not taken", detail));
    }
    let here = Here { config: &config, wall: crate::clock::wall() };
    let event = TriggerEvent {
        trigger: id.to_string(),
        key: event.key,
        title: event.title,
        body: event.body,
        location: event.location,
        coordinates: event.coordinates,
        source: by.user.to_string(),
        ..TriggerEvent::default()
    };
    submit(hub, intake::from_event(here, trigger, &event, u128::from_be_bytes(crate::draw()))).await
}

/// Hands what was asked to the loop and waits until it is safe.
pub(super) async fn submit(hub: &Hub, asked: Asked) -> Result<Accepted, Problem> {
    let taken = hub.way.submit(asked).await.map_err(refused)?;
    let activations: Vec<ActivationId> = taken.iter().map(|taken: &Taken| taken.activation).collect();
    let first = activations.first().copied();
    let owner = hub.way.look(move |node| first.and_then(|id| node.knowledge(id).map(|known| known.owner))).await;
    let config = hub.config();
    let owner = owner.ok().flatten().and_then(|id| config.servers.get(&id).map(|row| row.name.clone()));
    Ok(Accepted {
        degraded: taken.iter().any(|taken| taken.degraded),
        duplicate: !taken.is_empty() && taken.iter().all(|taken| taken.duplicate),
        activations,
        owner,
    })
}

fn refused(refusal: Refusal) -> Problem {
    let detail = match &refusal {
        Refusal::Draining => {
            "This server is stopping and takes no new notifications. Send it from another server.".to_owned()
        }
        other => format!("Nothing was sent: {other}."),
    };
    Problem::unavailable(detail)
}

pub(super) async fn stop(hub: &Hub, by: Actor, activation: ActivationId) -> Result<(), Problem> {
    tracing::info!(user = %by.user, peer = %by.peer, %activation, "stop");
    match end(hub, Ending::Activation(activation)).await? {
        0 => Err(Problem::not_found("running activation", activation)),
        _ => Ok(()),
    }
}

pub(super) async fn stop_all(hub: &Hub, by: Actor) -> Result<u32, Problem> {
    tracing::info!(user = %by.user, peer = %by.peer, "stop all");
    end(hub, Ending::All).await
}

async fn end(hub: &Hub, ending: Ending) -> Result<u32, Problem> {
    hub.way.end(vec![ending]).await.map_err(|error| Problem::unavailable(error.to_string()))
}
