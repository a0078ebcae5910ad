//! Sent Notifications: the list.

use onealert_core::{
    activation::{Content, EndpointState},
    config::{Config, Role},
    effect::{Ended, Outcome},
    ids::ServerId,
};
use onealert_store::history::{SentCursor, SentEntry, SentFilter};
use onealert_web::needs::{Problem, Sender, SentBy, SentPage, SentQuery, SentRow};

use crate::{hub::Hub, payload::Payload};

/// How many entries are looked through for a text before the page says that there are more.
const LOOKED_THROUGH: usize = 2000;

pub(super) async fn page(hub: &Hub, query: SentQuery) -> Result<SentPage, Problem> {
    let config = hub.config();
    // A secondary shows what it sent itself; it has no other server's records.
    let server = if hub.place().role == Role::Secondary { Some(hub.server) } else { query.server };
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
    let missing = if hub.place().role == Role::Primary { missing(hub, &config).await } else { Vec::new() };
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

pub(super) fn server_name(config: &Config, id: ServerId) -> String {
    config.servers.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone())
}

fn reached(states: &[EndpointState]) -> u32 {
    states.iter().filter(|state| matches!(state, EndpointState::Acked { .. })).count() as u32
}

pub(super) fn payload(content: &Content) -> Option<Payload> {
    serde_json::from_str(&content.payload).ok()
}

fn row(config: &Config, entry: &SentEntry) -> Option<SentRow> {
    (!entry.records.is_empty()).then(|| row_of(config, &entry.records))
}

/// One event in one line, whoever sent it. Where servers did not hear each other each wrote a record of the same activation:
/// an endpoint counts as reached when any of them reached it.
pub(super) fn row_of(config: &Config, records: &[Ended]) -> SentRow {
    let last = records.last().expect("the caller has at least one record");
    let content = &last.content;
    let mut sent_by: Vec<SentBy> = Vec::new();
    for record in records {
        let part = SentBy {
            server: record.server,
            name: server_name(config, record.server),
            outcome: record.outcome,
            reached: reached(&record.states),
            ended: record.ended,
        };
        // A server that wrote twice (it died before it knew that its record was safe) is one server.
        match sent_by.iter_mut().find(|known| known.server == part.server) {
            Some(known) => *known = part,
            None => sent_by.push(part),
        }
    }
    let states = merged(records);
    SentRow {
        activation: content.id,
        notification: content.notification.clone(),
        name: content.name.clone(),
        source: payload(content).map(|payload| payload.cause).unwrap_or_default(),
        server: last.server,
        server_name: server_name(config, last.server),
        sent_by,
        accepted: records.iter().map(|record| record.content.accepted).min().unwrap_or(content.accepted),
        ended: records.iter().map(|record| record.ended).max().unwrap_or(last.ended),
        outcome: outcome_of(records, &states),
        reached: reached(&states),
        meant: states.len() as u32,
        attempt: last.attempt,
        degraded: last.degraded,
    }
}

/// The best that any server reached at each endpoint.
pub(super) fn merged(records: &[Ended]) -> Vec<EndpointState> {
    let mut states = Vec::new();
    for record in records {
        for (index, state) in record.states.iter().enumerate() {
            match states.get_mut(index) {
                None => states.push(state.clone()),
                Some(known) if *known < *state => *known = state.clone(),
                Some(_) => {}
            }
        }
    }
    states
}

/// How it ended as a whole. What one server alone says stands; what several say is counted anew over all they reached.
fn outcome_of(records: &[Ended], states: &[EndpointState]) -> Outcome {
    let first = records.last().map_or(Outcome::Error, |record| record.outcome);
    if records.iter().all(|record| record.outcome == first) && first != Outcome::Partial {
        return first;
    }
    if records.iter().any(|record| record.outcome == Outcome::Stopped) {
        return Outcome::Stopped;
    }
    match reached(states) as usize {
        0 => first,
        all if all == states.len() => Outcome::Success,
        _ => Outcome::Partial,
    }
}

/// The servers that have a tab.
pub(super) async fn senders(hub: &Hub) -> Result<Vec<Sender>, Problem> {
    let config = hub.config();
    let sender = |id: ServerId, gone: bool| Sender { id, name: server_name(&config, id), gone };
    if hub.place().role == Role::Secondary {
        return Ok(vec![sender(hub.server, false)]);
    }
    let found = hub.records.senders().await.map_err(|error| {
        tracing::error!(%error, "the senders of notifications cannot be read");
        Problem::internal()
    })?;
    let mut rows: Vec<_> = config.servers.values().filter(|row| !row.deprovisioned).collect();
    rows.sort_by_key(|row| (row.role != Role::Primary, row.enrolled, row.id));
    let mut senders: Vec<Sender> = rows.into_iter().map(|row| sender(row.id, false)).collect();
    let gone: Vec<ServerId> = found.into_iter().filter(|id| senders.iter().all(|known| known.id != *id)).collect();
    senders.extend(gone.into_iter().map(|id| sender(id, true)));
    Ok(senders)
}
