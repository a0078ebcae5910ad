//! What this server does about other generations of its configuration: opens after a start, is fenced, follows, is promoted.
//! The decisions are the core's.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use onealert_core::{
    ids::{EpochId, ServerId},
    life::{Life, Opened, Opening},
    lineage::{self, Generation, Meeting, meet},
    peer_message::PeerMessage,
    replicate::{Epoch, Position},
};
use onealert_web::needs::{PromoteRequest, Promoted, State};

use crate::{
    alerts::Noticed,
    conflict::{self, ConflictError},
    hub::{Hub, SyncState},
    life::{self, Followed},
    promote::{Candidate, PromoteError},
    replication::Subscribes,
};

/// How long after a conflict report could not be written it is tried again.
const REPORT_AGAIN: Duration = Duration::from_secs(30);

/// Looks at what a peer said for what it says of generations.
pub fn heard(hub: &Arc<Hub>, from: ServerId, message: &PeerMessage) {
    let PeerMessage::Heartbeat(heartbeat) = message else { return };
    generation(hub, &heartbeat.standing.generation);
    position(hub, from, &heartbeat.standing.position);
    // After that: a primary that has missed a promotion must not open on the very message that tells it.
    if let Some(opening) = hub.opening.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        opening.heard(from);
    }
    hub.opening_changed.notify_one();
}

/// Does what the core decides about a generation that a peer is in. Returns whether this server follows it from here on.
pub fn generation(hub: &Arc<Hub>, heard: &Generation) -> bool {
    let now = hub.configuration.now();
    if heard.lineage.last().map(|epoch| epoch.id) == now.lineage.last().map(|epoch| epoch.id) {
        return false;
    }
    let place = hub.place();
    let newest = newest(hub, &now.lineage);
    match meet(hub.server, place.role, place.life, &now.lineage, &newest, heard) {
        Meeting::Nothing => false,
        Meeting::Fence { by, fork } => {
            if place.life != (Life::Fenced { by }) {
                tokio::task::block_in_place(|| fence(hub, by, fork, &heard.lineage));
            } else if report_is_due(hub) {
                tokio::task::block_in_place(|| report_or_again(hub, by, fork));
            }
            false
        }
        Meeting::Follow { by, primary } => {
            let followed = Followed { primary, generation: Some(by) };
            if hub.lives.followed().as_ref() != Some(&followed) {
                let text = format!("{} was promoted; this server follows it from here on", followed.primary.name);
                hub.sync_log.push(State::Warning, "servers", text);
                tokio::task::block_in_place(|| {
                    see(hub, &heard.lineage);
                    hub.lives.follow(followed);
                });
            }
            true
        }
    }
}

/// Looks whether another server has more of this primary's own generation than it has itself: then its database was set back,
/// and what it would commit would take numbers that were given out before. It takes nothing from here on until an operator
/// has decided.
pub fn position(hub: &Arc<Hub>, from: ServerId, theirs: &Position) {
    let set_back = |ours: &Position| {
        let place = hub.place();
        lineage::is_set_back(place.role, place.life, ours, theirs)
    };
    if !set_back(&hub.configuration.now().position) {
        return;
    }
    // What is committed a moment ago is in the database before it is in memory.
    let stored = tokio::task::block_in_place(|| hub.configuration.store().position());
    let ours = match stored {
        Ok(Some(ours)) if set_back(&ours) => ours,
        Ok(_) => return,
        Err(error) => return tracing::error!(%error, "where the configuration stands cannot be read"),
    };
    let name = hub.config().servers.get(&from).map_or_else(|| from.to_string(), |row| row.name.clone());
    let text = format!(
        "the configuration database of this primary was set back: it stands at {}, and {name} has {} changes more; it takes no \
         configuration until an operator has it take them: onealert promote",
        ours.lsn,
        theirs.lsn - ours.lsn
    );
    hub.lives.begin_with(Life::SetBack, || {
        hub.sync_log.push(State::Bad, "servers", text.clone());
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(hub.configuration.seal()));
    });
    let _ = hub.alerts.send(Noticed::SetBack(text));
    if let Some(publisher) = hub.publisher() {
        publisher.reconsider();
    }
}

/// This primary was left behind: read-only from here on, and what it wrote since goes into a report.
fn fence(hub: &Arc<Hub>, by: EpochId, fork: u64, lineage: &[Epoch]) {
    hub.lives.begin_with(Life::Fenced { by }, || {
        let text =
            "another server was promoted while this one was away: this primary is fenced, its configuration is read-only";
        hub.sync_log.push(State::Bad, "servers", text);
        // A commit that was allowed a moment ago is in the log before the log is read, or is refused.
        tokio::runtime::Handle::current().block_on(hub.configuration.seal());
        report_or_again(hub, by, fork);
        see(hub, lineage);
    });
    if let Some(publisher) = hub.publisher() {
        publisher.reconsider();
    }
}

/// Reports what was left behind; where that cannot be written, it is tried again with what is heard of that generation later.
fn report_or_again(hub: &Hub, by: EpochId, fork: u64) {
    let due = report(hub, by, fork).err().map(|_| Instant::now() + REPORT_AGAIN);
    *hub.report_due.lock().unwrap_or_else(PoisonError::into_inner) = due;
}

fn report_is_due(hub: &Hub) -> bool {
    hub.report_due.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|due| Instant::now() >= due)
}

/// Writes what this server has committed or received after `fork` into a conflict report.
///
/// # Errors
/// It could not be written; that is in the log.
pub fn report(hub: &Hub, by: EpochId, fork: u64) -> Result<(), ConflictError> {
    match conflict::write(&hub.settings.data, hub.configuration.store().as_ref(), hub.server, by, fork) {
        Ok(None) => Ok(()),
        Ok(Some(report)) => {
            let text = format!(
                "{} changes made here are not part of the configuration in force; conflict report {}",
                report.head.saturating_sub(report.fork),
                report.id
            );
            hub.sync_log.push(State::Bad, "servers", text);
            Ok(())
        }
        Err(error) => {
            tracing::error!(%error, "the conflict report could not be written");
            hub.sync_log.push(State::Bad, "servers", format!("the conflict report could not be written: {error}"));
            Err(error)
        }
    }
}

/// The newest generation that this server has seen anywhere, with what led to it; its own where the file cannot be read.
fn newest(hub: &Hub, ours: &[Epoch]) -> Vec<Epoch> {
    match hub.lives.local().newest_lineage() {
        Ok(seen) => lineage::newest(&seen, ours).to_vec(),
        Err(error) => {
            tracing::error!(%error, "the newest generation cannot be read");
            ours.to_vec()
        }
    }
}

fn see(hub: &Hub, lineage: &[Epoch]) {
    if let Err(error) = hub.lives.local().see_lineage(lineage) {
        tracing::error!(%error, "a generation could not be remembered");
    }
}

/// Waits at a primary's start until its secondaries are heard, and then takes configuration.
pub async fn open(hub: Arc<Hub>) {
    if hub.place().life != Life::Opening {
        return;
    }
    let secondaries = onealert_core::members::licensed_order(&hub.config());
    let opening = Opening::new(hub.clock.now().mono, secondaries);
    let until = hub.clock.instant(opening.until());
    *hub.opening.lock().unwrap_or_else(PoisonError::into_inner) = Some(opening);
    let opened = loop {
        let over = {
            let opening = hub.opening.lock().unwrap_or_else(PoisonError::into_inner);
            opening.as_ref().and_then(|opening| opening.over(hub.clock.now().mono))
        };
        if let Some(over) = over {
            break over;
        }
        tokio::select! {
            () = hub.opening_changed.notified() => {}
            () = tokio::time::sleep_until(until.into()) => {}
        }
    };
    let opening = hub.opening.lock().unwrap_or_else(PoisonError::into_inner).take();
    if !hub.lives.opened() {
        // It has met a later generation meanwhile.
        return;
    }
    match opened {
        Opened::AllHeard => {}
        Opened::SomeSilent => {
            let config = hub.config();
            let name = |id: ServerId| config.servers.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone());
            let silent: Vec<String> = opening.iter().flat_map(Opening::silent).map(name).collect();
            let text = format!("opened for configuration without having heard {}", silent.join(", "));
            hub.sync_log.push(State::Warning, "servers", text);
        }
        Opened::Alone => {
            let text = "opened for configuration without having heard any secondary: if another server was promoted \
                        meanwhile, what is changed here until it is heard goes into a conflict report";
            hub.sync_log.push(State::Warning, "servers", text);
        }
    }
}

/// Makes this running server the primary. Once begun it is done whole, also where whoever asked for it goes away meanwhile: a
/// server must not be left between two roles.
///
/// # Errors
/// Why not; nothing has changed then.
pub async fn promote_here(
    hub: &Arc<Hub>,
    by: (String, String),
    request: PromoteRequest,
) -> Result<Promoted, PromoteError> {
    let own = hub.clone();
    let promoted = tokio::spawn(async move { promote_whole(&own, by, request).await });
    promoted.await.unwrap_or_else(|error| Err(PromoteError::GivenUp(error.to_string())))
}

async fn promote_whole(
    hub: &Arc<Hub>,
    by: (String, String),
    request: PromoteRequest,
) -> Result<Promoted, PromoteError> {
    let _one = hub.promoting.lock().await;
    let place = hub.place();
    place.may(onealert_core::life::Deed::BePromoted)?;
    // The copy must not move while it becomes the configuration itself.
    let subscriber = hub.subscriber();
    if let Some(subscriber) = &subscriber {
        subscriber.set_primary(None);
    }
    let candidate = Candidate {
        store: hub.configuration.store().clone(),
        local: hub.lives.local().clone(),
        identity: hub.identity.clone(),
        me: onealert_store::local::Identity { server: hub.server, incarnation: hub.incarnation },
        place,
        versions: hub.versions(),
        row: hub.own_row.clone(),
        host: Arc::new(Subscribes { hub: hub.clone() }),
        heartbeat: Duration::from_millis(hub.settings.timing.heartbeat_ms),
        by,
    };
    let promoted = candidate.promote(request).await;
    if let Err(error) = hub.configuration.reload() {
        tracing::error!(%error, "the configuration cannot be read");
    }
    match &promoted {
        Ok(done) => {
            hub.configuration.unseal().await;
            let interrupted = tokio::task::block_in_place(|| now_primary(hub, place.life));
            if let Some(subscriber) = &subscriber {
                subscriber.stop();
            }
            hub.sync_state.send_replace(SyncState { state: State::Ok, text: "Primary".to_owned() });
            let text = format!("promoted: generation {} from change {} on", done.generation, done.fork);
            hub.sync_log.push(State::Warning, "servers", text);
            if let Some(publisher) = hub.publisher() {
                publisher.reconsider();
            }
            if place.life == Life::Restored || interrupted {
                // It held nothing for anybody, or had given up; what it does not run is begun by a start.
                hub.lives.start_anew();
            }
        }
        Err(error) => {
            tracing::warn!(%error, "not promoted");
            hub.lives.look_again();
        }
    }
    promoted
}

/// The promotion counts, whatever this server was told of itself while it went on; says whether it was told something.
fn now_primary(hub: &Hub, before: Life) -> bool {
    let _retiring = hub.lives.retiring();
    let interrupted = hub.place().life != before;
    if interrupted {
        let kept = [life::keep_wipe(hub.lives.local(), None), life::keep(hub.lives.local(), Life::Active)];
        for error in kept.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "this server was promoted, and that could not be kept over what it was told before");
        }
    }
    hub.lives.promoted();
    interrupted
}
