//! Sent Notifications, and the logs.

use onealert_core::{
    activation::{Content, EndpointState},
    config::{Config, Role},
    effect::{Ended, Outcome},
    ids::{ActivationId, ServerId},
    knowledge::Knowledge,
    time::Wall,
};
use onealert_store::history::{SentCursor, SentEntry, SentFilter};
use onealert_web::needs::{
    EndpointResult, Log, LogLine, Moment, Problem, SentDetail, SentPage, SentQuery, SentRow, State,
};

use crate::{hub::Hub, payload::Payload};

/// How many entries are looked through for a text before the page says that there are more.
const LOOKED_THROUGH: usize = 2000;

pub(super) async fn page(hub: &Hub, query: SentQuery) -> Result<SentPage, Problem> {
    let config = hub.config();
    // A secondary shows what it sent itself; it has no other server's records.
    let server = if hub.role == Role::Secondary { Some(hub.server) } else { query.server };
    let filter = SentFilter { server, outcome: query.outcome };
    let mut before = match query.after.as_deref() {
        None => None,
        Some(text) => {
            let cursor: SentCursor = serde_json::from_str(text)
                .map_err(|_| Problem::bad_request(format!("The cursor {text:?} is not one of a page of this list.")))?;
            Some(cursor)
        }
    };
    let limit = query.limit.clamp(1, 200) as usize;
    let wanted = query.text.to_lowercase();
    let (mut rows, mut looked) = (Vec::new(), 0);
    loop {
        let page = hub.records.page(filter, before, limit).await.map_err(|error| {
            tracing::error!(%error, "sent notifications cannot be read");
            Problem::internal()
        })?;
        looked += page.entries.len();
        for entry in &page.entries {
            let Some(row) = row(&config, entry) else { continue };
            let fits = wanted.is_empty()
                || row.name.to_lowercase().contains(&wanted)
                || row.source.to_lowercase().contains(&wanted);
            if fits {
                rows.push((entry.cursor, row));
            }
        }
        before = page.next;
        if rows.len() >= limit || before.is_none() || looked >= LOOKED_THROUGH {
            break;
        }
    }
    if rows.len() > limit {
        rows.truncate(limit);
        before = rows.last().map(|(cursor, _)| *cursor);
    }
    let next = before.map(|cursor| serde_json::to_string(&cursor).expect("a cursor is plain data"));
    let missing = if hub.role == Role::Primary { missing(hub, &config).await } else { Vec::new() };
    Ok(SentPage { rows: rows.into_iter().map(|(_, row)| row).collect(), next, missing })
}

/// Servers whose newest records may not be here.
async fn missing(hub: &Hub, config: &Config) -> Vec<String> {
    use onealert_core::view::Belief;
    let down = hub.way.look(|node| {
        let down = node.peers().into_iter().filter(|peer| matches!(peer.belief, Belief::Down | Belief::Unheard));
        down.map(|peer| peer.id).collect::<Vec<ServerId>>()
    });
    let names = down.await.unwrap_or_default();
    names.iter().filter_map(|id| config.servers.get(id).map(|row| row.name.clone())).collect()
}

fn server_name(config: &Config, id: ServerId) -> String {
    config.servers.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone())
}

fn reached(states: &[EndpointState]) -> u32 {
    states.iter().filter(|state| matches!(state, EndpointState::Acked { .. })).count() as u32
}

fn payload(content: &Content) -> Option<Payload> {
    serde_json::from_str(&content.payload).ok()
}

fn row(config: &Config, entry: &SentEntry) -> Option<SentRow> {
    entry.records.last().map(|record| row_of(config, record))
}

fn row_of(config: &Config, record: &Ended) -> SentRow {
    let content = &record.content;
    SentRow {
        activation: content.id,
        notification: content.notification.clone(),
        name: content.name.clone(),
        source: payload(content).map(|payload| payload.cause).unwrap_or_default(),
        server: record.server,
        server_name: server_name(config, record.server),
        accepted: content.accepted,
        ended: record.ended,
        outcome: record.outcome,
        reached: reached(&record.states),
        meant: record.states.len() as u32,
        attempt: record.attempt,
        degraded: record.degraded,
    }
}

pub(super) async fn detail(hub: &Hub, id: ActivationId) -> Result<SentDetail, Problem> {
    let config = hub.config();
    let entry = hub.records.one(id).await.map_err(|error| {
        tracing::error!(%error, "a sent notification cannot be read");
        Problem::internal()
    })?;
    if let Some(entry) = entry.filter(|entry| !entry.records.is_empty()) {
        return Ok(detail_of(&config, &entry.records));
    }
    let known = hub.way.look(move |node| node.knowledge(id).cloned()).await;
    let known = known.map_err(|error| Problem::unavailable(error.to_string()))?;
    let known = known.ok_or_else(|| Problem::not_found("sent notification", id))?;
    Ok(detail_of(&config, &[so_far(&known)]))
}

/// A running activation in the form of a record.
fn so_far(known: &Knowledge) -> Ended {
    let (outcome, ended) = known.ended.unwrap_or((Outcome::Partial, crate::clock::wall()));
    Ended {
        content: known.content.as_ref().clone(),
        server: known.owner,
        attempt: known.attempt,
        outcome,
        states: known.states.clone(),
        ended,
        degraded: known.degraded,
    }
}

fn detail_of(config: &Config, records: &[Ended]) -> SentDetail {
    let last = records.last().expect("the caller has at least one record");
    let payload = payload(&last.content);
    let mut timeline = vec![Moment { at: last.content.accepted, text: "Accepted".to_owned() }];
    if last.degraded {
        timeline.push(Moment { at: last.content.accepted, text: "Only one server had it at first".to_owned() });
    }
    for record in records {
        let name = server_name(config, record.server);
        if record.attempt > 0 {
            let text = format!("Taken over by {name} (attempt {})", record.attempt + 1);
            timeline.push(Moment { at: record.ended.min(record.content.accepted), text });
        }
        let text = format!("Ended on {name}: {}", outcome(record.outcome));
        timeline.push(Moment { at: record.ended, text });
    }
    timeline.sort_by_key(|moment| moment.at);
    let result = |(index, state): (usize, &EndpointState)| {
        let target = payload.as_ref().and_then(|payload| payload.targets.get(index));
        let driver = target.and_then(|target| target.driver.as_ref());
        let endpoint = last.content.endpoints.get(index).cloned().unwrap_or_else(|| "".into());
        let (state, text, note) = match state {
            EndpointState::Pending => (State::Bad, "Not tried", String::new()),
            EndpointState::Sent => (State::Warning, "Sent, not confirmed", String::new()),
            EndpointState::Failed { reason } => (State::Bad, "Failed", reason.clone()),
            EndpointState::Acked { note } => (State::Ok, "Reached", note.clone()),
        };
        EndpointResult {
            name: target.map_or_else(|| endpoint.to_string(), |target| target.name.clone()),
            endpoint,
            driver: driver.map_or_else(String::new, |id| {
                config.drivers.get(id).map_or_else(|| id.to_string(), |row| row.name.clone())
            }),
            state,
            text: text.to_owned(),
            note,
            after_ms: None,
        }
    };
    SentDetail {
        row: row_of(config, last),
        title: payload.as_ref().map(|payload| payload.title.clone()).unwrap_or_default(),
        body: payload.as_ref().map(|payload| payload.body.clone()).unwrap_or_default(),
        timeline,
        endpoints: last.states.iter().enumerate().map(result).collect(),
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "every endpoint was reached",
        Outcome::Partial => "some endpoints were reached",
        Outcome::Error => "no endpoint was reached",
        Outcome::Stopped => "stopped",
        Outcome::Missed => "too late, not sent",
    }
}

pub(super) async fn log(hub: &Hub, log: Log, limit: u32) -> Result<Vec<LogLine>, Problem> {
    let limit = limit.clamp(1, 500) as usize;
    if log == Log::Sync {
        return Ok(hub.sync_log.newest(limit));
    }
    let store = hub.configuration.store().clone();
    let rows = tokio::task::spawn_blocking(move || store.audit(None, limit)).await;
    let rows = rows.map_err(|_| Problem::internal())?.map_err(|error| {
        tracing::error!(%error, "the audit log cannot be read");
        Problem::internal()
    })?;
    let line = |row: onealert_store::change::AuditRow| LogLine {
        at: Wall(row.at.0),
        state: State::Ok,
        source: row.entry.who,
        text: format!("{} ({} {}, from {})", row.entry.what, row.table.name(), row.key, row.entry.origin),
    };
    Ok(rows.into_iter().map(line).collect())
}
