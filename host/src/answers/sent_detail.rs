//! One sent notification: what each server did of it, when, and what became of every endpoint.

use onealert_core::{
    activation::EndpointState,
    config::Config,
    effect::{Ended, Outcome},
    ids::ActivationId,
    knowledge::Knowledge,
    time::Wall,
};
use onealert_web::needs::{EndpointResult, Moment, Problem, SentDetail, State};

use super::sent::{merged, payload, row_of, server_name};
use crate::{deliver::INTERRUPTED, hub::Hub};

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
    Ended { after_ms, ..known.record(outcome, ended) }
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
        timeline.extend(first_reached(record, &name));
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

/// When a server reached its first endpoint. The moment at which one took over is written nowhere; its first endpoint is the
/// first that was noticed of it.
fn first_reached(record: &Ended, name: &str) -> Option<Moment> {
    let acked = record.states.iter().map(|state| matches!(state, EndpointState::Acked { .. }));
    let reached = acked.zip(&record.after_ms).filter_map(|(acked, after)| after.filter(|_| acked)).min();
    let at = reached.map(|ms| Wall(record.content.accepted.0.saturating_add_unsigned(ms)));
    let text = match (record.attempt, at) {
        (0, _) => format!("First endpoint reached by {name}"),
        (attempt, Some(_)) => format!("Taken over by {name} (attempt {}): its first endpoint reached", attempt + 1),
        (attempt, None) => format!("Taken over by {name} (attempt {}), at an unknown time before this", attempt + 1),
    };
    match (at, record.attempt) {
        (Some(at), _) => Some(Moment { at, text }),
        (None, 0) => None,
        (None, _) => Some(Moment { at: record.ended, text }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use onealert_core::{
        activation::Content,
        ids::{EventKey, ServerId},
    };

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

    #[test]
    fn a_takeover_is_told_when_its_first_endpoint_was_reached_and_never_before() {
        let told = |record: Ended| -> Vec<(i64, String)> {
            let detail = detail_of(&Config::default(), &[record]);
            detail.timeline.into_iter().map(|moment| (moment.at.0, moment.text)).collect()
        };
        let taken = Ended { attempt: 1, ..record(2, 1000, Outcome::Success, [acked(), acked()]) };
        let lines = told(taken.clone());
        assert_eq!(lines[0], (1000, "Accepted".to_owned()));
        assert!(lines[1].0 == 1009 && lines[1].1.ends_with("(attempt 2): its first endpoint reached"), "{lines:?}");
        let lines = told(Ended { after_ms: vec![None, None], ..taken });
        assert!(lines[1].0 == 1500 && lines[1].1.contains("at an unknown time"), "{lines:?}");
        let plain = told(record(1, 1000, Outcome::Partial, [acked(), failed("no answer")]));
        assert!(plain[1].1.starts_with("First endpoint reached by"), "{plain:?}");
    }
}
