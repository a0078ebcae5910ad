//! What was sent.

use onealert_core::{
    config::Notification,
    effect::Outcome,
    ids::{ActivationId, EndpointId, NotificationId},
    time::Wall,
};
use onealert_web::needs::*;

use super::{Inner, PA1, PA2, PB1, ago, now};

/// The record of a finished run.
pub fn record(id: ActivationId, row: &Notification, source: &str, by: &Identity, outcome: Outcome) -> SentDetail {
    let meant = row.endpoints.len() as u32;
    let reached = match outcome {
        Outcome::Success => meant,
        Outcome::Partial => meant.saturating_sub(1),
        _ => 0,
    };
    let (accepted, name) = (now(), by.name.clone());
    let at = |ms| Wall(accepted.0 + ms);
    let result = |(n, endpoint): (usize, &EndpointId)| {
        let good = (n as u32) < reached;
        EndpointResult {
            endpoint: endpoint.clone(),
            name: endpoint.as_str().replace('-', " "),
            driver: "Algo".to_owned(),
            state: if good { State::Ok } else { State::Bad },
            text: if good { "Reached" } else { "Failed" }.to_owned(),
            by: if good { vec![by.name.clone()] } else { Vec::new() },
            note: if good { "the device answered 200" } else { "no answer from 10.0.1.23 within 2 s" }.to_owned(),
            after_ms: Some(if good { 38 + n as u64 * 3 } else { 2004 }),
        }
    };
    SentDetail {
        row: SentRow {
            activation: id,
            notification: row.id.clone(),
            name: row.name.clone(),
            source: source.to_owned(),
            server: by.id,
            server_name: name.clone(),
            sent_by: vec![SentBy { server: by.id, name: name.clone(), outcome, reached, ended: at(14_200) }],
            accepted,
            ended: at(14_200),
            outcome,
            reached,
            meant,
            attempt: 0,
            degraded: false,
        },
        title: row.message.title.clone(),
        body: "A tornado warning is in effect. Go to the inner corridor of the ground floor.".to_owned(),
        why: match outcome {
            Outcome::Partial => vec!["1 endpoint: no answer from 10.0.1.23 within 2 s".to_owned()],
            Outcome::Missed => vec!["It was too late to be sent.".to_owned()],
            _ => Vec::new(),
        },
        timeline: vec![
            Moment { at: at(0), text: format!("Accepted by {name}, safe on pa-2") },
            Moment { at: at(9), text: "First sound sent".to_owned() },
            Moment { at: at(38), text: "First endpoint reached".to_owned() },
            Moment { at: at(14_200), text: "Ended: content finished".to_owned() },
        ],
        endpoints: row.endpoints.iter().enumerate().map(result).collect(),
    }
}

pub fn history(state: &mut Inner) {
    let kinds = [
        ("lockdown", "admin", Outcome::Success),
        ("weather", "Tornado warning", Outcome::Partial),
        ("end-of-day", "Schedule", Outcome::Success),
        ("all-clear", "sender", Outcome::Stopped),
        ("end-of-day", "Schedule", Outcome::Missed),
    ];
    let mut by = state.identity.clone();
    for n in 0..60i64 {
        let (id, source, outcome) = kinds[n as usize % kinds.len()];
        let row = state.notifications[&NotificationId::from(id)].clone();
        by.id = if n % 7 == 3 { PA2 } else { PA1 };
        by.name = if n % 7 == 3 { "pa-2" } else { "pa-1" }.to_owned();
        let mut detail = record(state.draw(), &row, source, &by, outcome);
        detail.row.accepted = ago(3000 + n * 5400);
        detail.row.ended = Wall(detail.row.accepted.0 + 14_200);
        detail.row.attempt = u32::from(n % 7 == 3);
        if n == 1 {
            both_sides(&mut detail);
        }
        for moment in &mut detail.timeline {
            moment.at = Wall(moment.at.0 - now().0 + detail.row.accepted.0);
        }
        state.sent.push(detail);
    }
}

/// Sent on both sides of a cut: one event, two servers.
fn both_sides(detail: &mut SentDetail) {
    let (meant, ended) = (detail.row.meant, detail.row.ended);
    let other =
        SentBy { server: PB1, name: "pb-1".to_owned(), outcome: Outcome::Partial, reached: meant.min(1), ended };
    detail.row.sent_by.push(other);
    if let Some(first) = detail.endpoints.first_mut() {
        first.by.push("pb-1".to_owned());
    }
}
