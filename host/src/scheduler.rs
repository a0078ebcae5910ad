//! The activator that is every server's own clockwork: hands over what calendars have due, a little ahead of its moment.
//!
//! What is handed over, and when, is decided by the core ([`Clockwork`]); which server rings, by the loop. This file reads
//! the clock, keeps the mark, and has the audio rendered ahead.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use onealert_core::{
    activation::Content,
    calendar::{Clockwork, Occurrence, Plan, Work, plans},
    config::Config,
    ids::{CalendarId, EventKey},
    life::Deed,
    time::{Span, Wall},
};
use onealert_store::{StoreError, local};
use onealert_web::needs::State;
use tokio::{sync::watch, time::Instant};

use crate::{
    drive::Stopping,
    hub::Hub,
    intake::{self, Ending},
};

/// How often the clocks are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often the mark is kept while nothing is due.
const KEEP: Span = Span::secs(30);

/// Runs until the server stops.
pub async fn run(hub: Arc<Hub>, mut stop: watch::Receiver<bool>) {
    let kept = kept(&hub).unwrap_or_else(|error| {
        tracing::error!(%error, "up to when bells were handed over is not known; what was missed before is not recorded");
        None
    });
    let mut clockwork = Clockwork::new(kept, hub.clock.now());
    let mut kept = kept.unwrap_or(Wall(0));
    let mut changes = hub.configuration.changes();
    let mut config = hub.config();
    let mut ready = plans(&config);
    let mut warned = Vec::new();
    loop {
        if hub.may(Deed::Send).is_ok() {
            warn_of_unknown_zones(&hub, &config, &ready, &mut warned);
            let Work { hand_over, withdraw } = clockwork.look(hub.clock.now(), &ready);
            let busy = !hand_over.is_empty();
            let taken_back = take_back(&hub, withdraw);
            let tries = hand_over.into_iter().map(|occurrence| hand(&hub, &config, &ready, occurrence));
            for refused in join_all(tries).await.into_iter().flatten() {
                clockwork.refused(&refused);
            }
            if let Some(taken_back) = taken_back {
                // The loop is gone only when the server stops.
                let _ = taken_back.await;
            }
            let mark = clockwork.mark();
            if mark != kept && (busy || mark < kept || mark > kept + KEEP) {
                keep(&hub, mark);
                kept = mark;
            }
        }
        tokio::select! {
            () = tokio::time::sleep_until(Instant::now() + LOOK) => {}
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                config = hub.config();
                ready = plans(&config);
            }
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Hands one occurrence over; gives it back when it was not taken.
async fn hand(hub: &Arc<Hub>, config: &Config, ready: &[Plan], occurrence: Occurrence) -> Option<Occurrence> {
    let plan = ready.iter().find(|plan| plan.calendar().id == occurrence.calendar)?;
    let contents = intake::from_occurrence(config, plan, &occurrence);
    let (calendar, event) = (&plan.calendar().name, &occurrence.event);
    tracing::info!(calendar, event, key = %occurrence.key(), "a calendar's event is due");
    let taken = contents.into_iter().map(|content| async {
        warm(hub, &content);
        hub.way.trigger(content).await
    });
    let refusals: Vec<_> = join_all(taken).await.into_iter().filter_map(Result::err).collect();
    let refusal = refusals.first()?;
    hub.sync_log.push(State::Warning, "scheduler", format!("{calendar}: {event} was not taken: {refusal}"));
    Some(occurrence)
}

/// Has the sound made beside everything else, so that it lies ready when its moment comes.
fn warm(hub: &Arc<Hub>, content: &Content) {
    let (deliveries, content) = (hub.deliveries.clone(), content.clone());
    tokio::task::spawn_blocking(move || {
        if let Err(reason) = deliveries.warm(&content) {
            tracing::warn!(name = content.name, reason, "the sound of what is due could not be made ahead");
        }
    });
}

/// Stops what was handed over and is no longer in its calendar; what is returned waits until that is safe.
fn take_back(hub: &Hub, keys: Vec<EventKey>) -> Option<impl Future<Output = Result<u32, Stopping>> + use<>> {
    if keys.is_empty() {
        return None;
    }
    let said: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    hub.sync_log.push(
        State::Ok,
        "scheduler",
        format!("taken out of the calendar before its moment: {}", said.join(", ")),
    );
    Some(hub.way.end(keys.into_iter().map(Ending::Event).collect()))
}

fn kept(hub: &Hub) -> Result<Option<Wall>, StoreError> {
    let settings = hub.lives.local().settings()?;
    Ok(settings.get(local::CALENDARS_UNTIL).and_then(|text| text.parse().ok()).map(Wall))
}

/// Keeps the mark. Without it a restart calls missed what the loop knows; nothing is rung twice for it.
fn keep(hub: &Hub, mark: Wall) {
    let written =
        tokio::task::block_in_place(|| hub.lives.local().set(local::CALENDARS_UNTIL, Some(&mark.0.to_string())));
    if let Err(error) = written {
        tracing::warn!(%error, "up to when bells were handed over could not be kept");
    }
}

/// Says once of each calendar that this program does not know its zone: it came from a server of another version.
fn warn_of_unknown_zones(hub: &Hub, config: &Config, ready: &[Plan], warned: &mut Vec<CalendarId>) {
    for calendar in config.calendars.values() {
        if ready.iter().all(|plan| plan.calendar().id != calendar.id) && !warned.contains(&calendar.id) {
            let text = format!("{}: this server does not know the time zone {}", calendar.name, calendar.zone);
            hub.sync_log.push(State::Bad, "scheduler", text);
            warned.push(calendar.id.clone());
        }
    }
}
