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
    EndpointResult, Log, LogLine, Moment, Problem, Sender, SentBy, SentDetail, SentPage, SentQuery, SentRow, State,
};

use crate::{deliver::INTERRUPTED, hub::Hub, payload::Payload};

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
    (!entry.records.is_empty()).then(|| row_of(config, &entry.records))
}

/// One event in one line, whoever sent it. Where servers did not hear each other each wrote a record of the same activation:
/// an endpoint counts as reached when any of them reached it.
fn row_of(config: &Config, records: &[Ended]) -> SentRow {
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
fn merged(records: &[Ended]) -> Vec<EndpointState> {
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
    let after_ms = hub.deliveries.after_ms(id, known.states.len());
    Ok(detail_of(&config, &[so_far(&known, after_ms)]))
}

/// A running activation in the form of a record.
fn so_far(known: &Knowledge, after_ms: Vec<Option<u64>>) -> Ended {
    let (outcome, ended) = known.ended.unwrap_or((Outcome::Partial, crate::clock::wall()));
    Ended {
        content: known.content.as_ref().clone(),
        server: known.owner,
        attempt: known.attempt,
        outcome,
        states: known.states.clone(),
        ended,
        degraded: known.degraded,
        after_ms,
    }
}

fn detail_of(config: &Config, records: &[Ended]) -> SentDetail {
    let row = row_of(config, records);
    let last = records.last().expect("the caller has at least one record");
    let payload = payload(&last.content);
    let mut timeline = vec![Moment { at: row.accepted, text: "Accepted".to_owned() }];
    if last.degraded {
        timeline.push(Moment { at: row.accepted, text: "Only one server had it at first".to_owned() });
    }
    for record in records {
        let name = server_name(config, record.server);
        // Accepted on each side of a cut: the same event came in twice.
        if record.content.accepted != row.accepted {
            timeline.push(Moment { at: record.content.accepted, text: format!("Accepted on {name} as well") });
        }
        if record.attempt > 0 {
            let text = format!("Taken over by {name} (attempt {})", record.attempt + 1);
            timeline.push(Moment { at: record.ended.min(record.content.accepted), text });
        }
        let text = format!("Ended on {name}: {}", outcome(record.outcome));
        timeline.push(Moment { at: record.ended, text });
    }
    timeline.sort_by_key(|moment| moment.at);
    let by = |index: usize| -> Vec<String> {
        let acked = |record: &&Ended| matches!(record.states.get(index), Some(EndpointState::Acked { .. }));
        let mut names: Vec<String> =
            records.iter().filter(acked).map(|record| server_name(config, record.server)).collect();
        names.dedup();
        names
    };
    let states = merged(records);
    // The time of the server whose result is shown.
    let after = |index: usize| -> Option<u64> {
        let mut shown = records.iter().filter(|record| record.states.get(index) == states.get(index));
        shown.find_map(|record| record.after_ms.get(index).copied().flatten())
    };
    let result = |(index, state): (usize, &EndpointState)| {
        let target = payload.as_ref().and_then(|payload| payload.targets.get(index));
        let driver = target.and_then(|target| target.driver.as_ref());
        let endpoint = last.content.endpoints.get(index).cloned().unwrap_or_else(|| "".into());
        let (state, text, note) = match state {
            EndpointState::Pending => (State::Bad, "Not tried", String::new()),
            EndpointState::Sent => (State::Warning, "Sent, not confirmed", String::new()),
            EndpointState::Failed { reason } if reason.starts_with(INTERRUPTED) => {
                (State::Warning, "Interrupted", reason.clone())
            }
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
            by: by(index),
            note,
            after_ms: after(index),
        }
    };
    SentDetail {
        why: why(row.outcome, &states),
        row,
        title: payload.as_ref().map(|payload| payload.title.clone()).unwrap_or_default(),
        body: payload.as_ref().map(|payload| payload.body.clone()).unwrap_or_default(),
        timeline,
        endpoints: states.iter().enumerate().map(result).collect(),
    }
}

/// What kept endpoints from being reached, each reason once with how many it concerns.
fn why(outcome: Outcome, states: &[EndpointState]) -> Vec<String> {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for state in states {
        let EndpointState::Failed { reason } = state else { continue };
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    let mut why: Vec<String> = reasons
        .into_iter()
        .map(|(reason, count)| match count {
            1 => format!("1 endpoint: {reason}"),
            count => format!("{count} endpoints: {reason}"),
        })
        .collect();
    if why.is_empty() && outcome == Outcome::Missed {
        why.push("It was too late to be sent.".to_owned());
    }
    why
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

/// Servers by their names: nobody knows them by their numbers.
fn with_names(config: &Config, mut line: LogLine) -> LogLine {
    for row in config.servers.values() {
        let id = row.id.to_string();
        if line.text.contains(&id) {
            line.text = line.text.replace(&format!("server {id}"), &row.name).replace(&id, &row.name);
        }
    }
    line
}

pub(super) async fn log(hub: &Hub, log: Log, limit: u32) -> Result<Vec<LogLine>, Problem> {
    let limit = limit.clamp(1, 500) as usize;
    if log == Log::Sync {
        let config = hub.config();
        return Ok(hub.sync_log.newest(limit).into_iter().map(|line| with_names(&config, line)).collect());
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

#[cfg(test)]
mod tests {
    use super::*;
    use onealert_core::ids::EventKey;

    /// What a server wrote of the one event, with these endpoints reached or failed.
    fn record(server: u128, accepted: i64, outcome: Outcome, states: [EndpointState; 2]) -> Ended {
        let content = Content {
            id: ActivationId(7),
            key: EventKey("nws/a,b,c".to_owned()),
            notification: "tornado".into(),
            name: "Tornado".to_owned(),
            priority: Default::default(),
            group: Vec::new(),
            endpoints: vec!["hall".into(), "yard".into()],
            accepted: Wall(accepted),
            due: None,
            expires: None,
            on_takeover: Default::default(),
            payload: "{}".into(),
            needs: Default::default(),
            drill: None,
        };
        let server = ServerId(server);
        let ended = Wall(accepted + 500);
        Ended {
            content,
            server,
            attempt: 0,
            outcome,
            states: states.to_vec(),
            ended,
            degraded: false,
            after_ms: vec![Some(9), None],
        }
    }

    fn acked() -> EndpointState {
        EndpointState::Acked { note: String::new() }
    }
    fn failed(reason: &str) -> EndpointState {
        EndpointState::Failed { reason: reason.to_owned() }
    }

    #[test]
    fn one_event_sent_on_both_sides_of_a_cut_is_one_row_with_what_either_reached() {
        let records = [
            record(1, 1000, Outcome::Partial, [acked(), failed("no answer")]),
            record(2, 1200, Outcome::Partial, [failed("no answer"), acked()]),
        ];
        let detail = detail_of(&Config::default(), &records);
        assert_eq!((detail.row.outcome, detail.row.reached, detail.row.meant), (Outcome::Success, 2, 2));
        assert_eq!(detail.row.sent_by.iter().map(|part| part.server.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((detail.row.accepted, detail.row.ended), (Wall(1000), Wall(1700)));
        let by: Vec<usize> = detail.endpoints.iter().map(|endpoint| endpoint.by.len()).collect();
        assert_eq!((by, detail.why.len()), (vec![1, 1], 0));
        assert_eq!(detail.endpoints[0].after_ms, Some(9));
        assert!(detail.timeline.iter().any(|moment| moment.text.contains("as well")), "{:?}", detail.timeline);
    }

    #[test]
    fn missed_and_interrupted_say_why() {
        let late = "too late: it expired before it could be sent";
        let missed = detail_of(&Config::default(), &[record(1, 0, Outcome::Missed, [failed(late), failed(late)])]);
        assert_eq!((missed.row.outcome, missed.why), (Outcome::Missed, vec![format!("2 endpoints: {late}")]));
        let taken = format!("{INTERRUPTED} the more urgent or newer notification \"Fire\"");
        let records = [record(1, 0, Outcome::Partial, [acked(), failed(&taken)])];
        let endpoint = detail_of(&Config::default(), &records).endpoints.remove(1);
        assert_eq!((endpoint.state, endpoint.text.as_str(), endpoint.note), (State::Warning, "Interrupted", taken));
    }
}
