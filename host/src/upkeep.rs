//! What is done every minute without being asked: rows are compared with what was committed and repaired, the change log and
//! Sent Notifications are trimmed, a secondary's licence is looked at.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use onealert_core::{
    config::{Role, Table},
    ids::ServerId,
    life::Life,
    members::{self, Grace, grace},
    replicate::Position,
    time::{Span, Wall},
};
use onealert_peers::{NoRecords, PeerAddress, Subscriber, SubscriberConfig, SyncEvent};
use onealert_store::{
    change::AuditEntry,
    history::Limits,
    log::TrimRule,
    scrub::{ScrubReport, TableFault},
};
use onealert_web::needs::State;
use tokio::sync::watch;

use crate::{alerts::Noticed, hub::Hub, life, replication::Subscribes, watched};

/// A repair from another server that takes longer than this is given up; the next round tries again.
const REPAIR: Duration = Duration::from_secs(30);

/// Between two portions of what goes of Sent Notifications.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs until the server stops.
pub async fn run(hub: Arc<Hub>, mut stop: watch::Receiver<bool>) {
    let round = Duration::from_secs(hub.settings.replication.scrub_s);
    loop {
        tokio::select! {
            () = tokio::time::sleep(round) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if hub.place().life == Life::Inert {
            continue;
        }
        scrub(&hub).await;
        trim(&hub).await;
        shorten_history(&hub).await;
        licence(&hub);
    }
}

/// Compares every row with what was committed, and has repaired what differs.
async fn scrub(hub: &Arc<Hub>) {
    let store = hub.configuration.store().clone();
    // Gives way after every few hundred rows: nobody waits for this.
    #[expect(clippy::disallowed_methods, reason = "runs on a thread for blocking work")]
    let read = tokio::task::spawn_blocking(move || store.scrub(&mut || std::thread::sleep(Duration::from_millis(1))));
    let report = match read.await {
        Ok(Ok(report)) => report,
        // A secondary without a copy.
        Ok(Err(onealert_store::StoreError::Empty { .. })) => return,
        Ok(Err(error)) => return say(hub, State::Bad, format!("rows could not be compared with digests: {error}")),
        Err(error) => {
            return say(hub, State::Bad, format!("comparing rows with digests broke down: {}", watched::words(error)));
        }
    };
    let ScrubReport { faults, position, rows } = report;
    tracing::debug!(rows, lsn = position.lsn, faults = faults.len(), "scrub");
    if faults.is_empty() {
        return;
    }
    for TableFault { table, edited, .. } in &faults {
        let which = match &edited[..] {
            [] => format!("{} were added or deleted", table.nouns()),
            [one] => format!("{} {one} was changed", table.noun()),
            some => format!("{} {} were changed", table.nouns(), some.join(", ")),
        };
        let text = format!("{which} outside OneAlert; repairing");
        let _ = hub.alerts.send(Noticed::Rows(text.clone()));
        say(hub, State::Bad, text);
    }
    let tables: Vec<Table> = faults.iter().map(|fault| fault.table).collect();
    match (hub.place().role, hub.subscriber()) {
        (Role::Secondary, Some(subscriber)) => subscriber.check(tables),
        _ => repair_primary(hub, &position, tables).await,
    }
}

/// Takes the rows as they were committed from a secondary that stands where this server stands. Where none does, the rows
/// are adopted as they are: the installation goes on with one content, and the log says what happened.
async fn repair_primary(hub: &Arc<Hub>, position: &Position, tables: Vec<Table>) {
    let known = hub.publisher().map(|publisher| publisher.status()).unwrap_or_default();
    let level = known.iter().filter(|it| it.connected && it.acknowledged.as_ref() == Some(position));
    let config = hub.config();
    let mut left: BTreeSet<Table> = tables.into_iter().collect();
    for server in level.map(|status| status.server) {
        let Some(row) = config.servers.get(&server) else { continue };
        let from = PeerAddress { id: server, address: row.mesh.clone() };
        match repair_from(hub, from, &mut left).await {
            Ok(()) => say(hub, State::Warning, format!("the rows were repaired from {}", row.name)),
            Err(reason) => say(hub, State::Warning, format!("{} could not repair the rows: {reason}", row.name)),
        }
        reload(hub).await;
        if left.is_empty() {
            return;
        }
    }
    for table in left {
        let entry = AuditEntry {
            who: "scrub".to_owned(),
            origin: "this server".to_owned(),
            what: format!("adopted {} that were changed outside OneAlert", table.nouns()),
        };
        let store = hub.configuration.store().clone();
        let adopted = tokio::task::spawn_blocking(move || store.adopt(crate::clock::wall(), table, &entry)).await;
        match adopted.map_err(|error| error.to_string()).and_then(|done| done.map_err(|error| error.to_string())) {
            Ok(done) => say(
                hub,
                State::Bad,
                format!(
                    "no other server had the {} as they were; {} were adopted as they are",
                    table.nouns(),
                    done.records.len()
                ),
            ),
            Err(reason) => say(hub, State::Bad, format!("the {} could not be adopted: {reason}", table.nouns())),
        }
        reload(hub).await;
    }
}

async fn repair_from(hub: &Arc<Hub>, from: PeerAddress, left: &mut BTreeSet<Table>) -> Result<(), String> {
    let config = SubscriberConfig {
        identity: hub.identity.clone(),
        roster: hub.roster.clone(),
        store: hub.configuration.store().clone(),
        host: Arc::new(Subscribes { hub: hub.clone() }),
        activity: Arc::new(NoRecords),
        heartbeat: Duration::from_millis(hub.settings.timing.heartbeat_ms),
    };
    let (subscriber, mut events) = Subscriber::take(config, from, None).map_err(|error| error.to_string())?;
    subscriber.check(left.iter().copied().collect());
    let repair = async {
        while let Some(event) = events.recv().await {
            match event {
                SyncEvent::Repaired { table, agrees: true, .. } => {
                    left.remove(&table);
                    if left.is_empty() {
                        return Ok(());
                    }
                }
                // A primary is repaired, never replaced, by a copy.
                SyncEvent::SnapshotBegun { .. }
                | SyncEvent::Withheld { .. }
                | SyncEvent::Disconnected { .. }
                | SyncEvent::Fault { .. } => return Err(event.to_string()),
                _ => {}
            }
        }
        Err("the connection ended".to_owned())
    };
    let done = tokio::time::timeout(REPAIR, repair).await.unwrap_or_else(|_| Err("it took too long".to_owned()));
    subscriber.stop();
    done
}

async fn reload(hub: &Hub) {
    if let Err(error) = hub.configuration.reload_between_commits().await {
        say(hub, State::Bad, format!("the configuration cannot be read: {error}"));
    }
    if let Some(publisher) = hub.publisher() {
        publisher.committed();
    }
}

/// Lets records of the change log go by the sheet's rule.
async fn trim(hub: &Arc<Hub>) {
    let replication = &hub.settings.replication;
    let now = crate::clock::wall();
    let age = Span::secs(replication.log_days * 24 * 3600);
    let rule = TrimRule {
        acknowledged: acknowledged(hub),
        keep: replication.log_keep,
        oldest: Wall(now.0.saturating_sub_unsigned(age.as_millis())),
        max_bytes: replication.log_mb << 20,
    };
    let store = hub.configuration.store().clone();
    let trimmed = tokio::task::spawn_blocking(move || {
        let before = store.log_bounds()?.tail;
        Ok::<_, onealert_store::StoreError>((before, store.trim(&rule)?))
    });
    match trimmed.await {
        Ok(Ok((before, bounds))) if bounds.tail > before => {
            say(
                hub,
                State::Ok,
                format!("the change log was trimmed to changes {} to {}", bounds.tail + 1, bounds.head),
            );
        }
        Ok(Ok(_) | Err(onealert_store::StoreError::Empty { .. })) => {}
        Err(error) => {
            say(hub, State::Bad, format!("trimming the change log broke down: {}", watched::words(error)));
        }
        Ok(Err(error)) => say(hub, State::Warning, format!("the change log could not be trimmed: {error}")),
    }
}

/// Lets go what was sent so long ago, or is so much, that it is not kept. In portions: nobody who writes a record waits long.
async fn shorten_history(hub: &Arc<Hub>) {
    let kept = &hub.settings.history;
    let age = Span::secs(kept.keep_days * 24 * 3600);
    let limits = Limits {
        me: (hub.place().role == Role::Secondary).then_some(hub.server),
        since: Wall(crate::clock::wall().0.saturating_sub_unsigned(age.as_millis())),
        keep_bytes: kept.keep_mb << 20,
        max_bytes: kept.keep_mb << 21,
    };
    let mut all = 0;
    loop {
        let history = hub.records.history();
        let gone = match tokio::task::spawn_blocking(move || history.shrink(&limits)).await {
            Ok(Ok(gone)) => gone,
            Ok(Err(error)) => {
                return say(hub, State::Warning, format!("Sent Notifications could not be shortened: {error}"));
            }
            Err(error) => {
                let text = format!("shortening Sent Notifications broke down: {}", watched::words(error));
                return say(hub, State::Bad, text);
            }
        };
        if gone == 0 {
            break;
        }
        all += gone;
        tokio::time::sleep(PAUSE).await;
    }
    if all > 0 {
        let (days, mb) = (kept.keep_days, kept.keep_mb);
        let text = format!("{all} records of what was sent were let go: {days} days and {mb} MiB are kept");
        say(hub, State::Ok, text);
    }
}

/// The lowest change that every enrolled secondary has acknowledged; `None` without secondaries. One that has not called
/// since this server started may need everything: age and size bound what is kept for it.
fn acknowledged(hub: &Hub) -> Option<u64> {
    let (now, known) = (hub.configuration.now(), hub.publisher().map(|it| it.status()).unwrap_or_default());
    let acked = |server: &ServerId| {
        let status = known.iter().find(|status| status.server == *server)?;
        let position = status.acknowledged.as_ref()?;
        (position.epoch == now.position.epoch).then_some(position.lsn)
    };
    match hub.place().role {
        Role::Primary => members::licensed_order(&now.config).iter().map(|id| acked(id).unwrap_or(0)).min(),
        Role::Secondary => None,
    }
}

/// Says when the licence is no longer proven by contact with the primary. Sending goes on.
fn licence(hub: &Hub) {
    let place = hub.place();
    if place.role == Role::Primary {
        return;
    }
    if place.primary_heard {
        hub.lives.note_primary();
    }
    let heard = life::kept(hub.lives.local()).ok().and_then(|kept| kept.primary_heard).unwrap_or(hub.started);
    let period = Span::secs(u64::from(hub.settings.licence.grace_days) * 24 * 3600);
    let over = match grace(crate::clock::wall(), heard, period) {
        Grace::Within { .. } => None,
        Grace::Over { away } => Some(format!(
            "The primary has not been heard for {} days: the licence of this server is not proven any more. It goes on \
             sending. Bring the primary back, or promote a server.",
            away.as_millis() / (24 * 3600 * 1000)
        )),
    };
    let was = hub.unproven.send_replace(over.clone());
    if let Some(text) = over.filter(|_| was.is_none()) {
        say(hub, State::Bad, text);
    }
}

fn say(hub: &Hub, state: State, text: String) {
    hub.sync_log.push(state, "upkeep", text);
}
