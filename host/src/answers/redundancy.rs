//! Servers that came back, what would happen if, and drills.

use std::collections::BTreeMap;

use onealert_core::{
    config::{Change, Role, Setting, Table},
    ids::ServerId,
    node::Node,
    time::{Span, Wall},
    view::{Belief, HoldView},
};
use onealert_web::needs::*;

use super::{Answers, configure::write, what_if::what_if};
use crate::{
    drill::{self, DrillError},
    drive::Happened,
    foresight::Names,
    hub::Hub,
    policy,
};

impl RedundancyNeeds for Answers {
    fn redundancy(&self) -> Answer<'_, Redundancy> {
        Box::pin(async { returning(&self.0).await })
    }
    fn save_redundancy(&self, by: Actor, settings: RedundancySettings) -> Answer<'_, ()> {
        Box::pin(async move {
            let RedundancySettings { manual_return } = settings;
            let row = Setting { name: policy::MANUAL_RETURN.to_owned(), value: manual_return.into() };
            let what = format!("manual return {}", if manual_return { "on" } else { "off" });
            write(self, by, what, vec![Change::put(Table::Settings, policy::MANUAL_RETURN, &row)], Vec::new()).await
        })
    }
    fn return_server(&self, by: Actor, server: ServerId) -> Answer<'_, ()> {
        Box::pin(async move { let_return(&self.0, &by, server).await })
    }
    fn what_if(&self, query: WhatIfQuery) -> Answer<'_, WhatIf> {
        Box::pin(async move { what_if(&self.0, query).await })
    }
    fn drill(&self, by: Actor) -> Answer<'_, DrillReport> {
        Box::pin(async move { drill::run(&self.0, by.user.as_str()).await.map_err(refused) })
    }
    fn drill_report(&self) -> Answer<'_, DrillReport> {
        Box::pin(async {
            let report = drill::report(&self.0.settings.data).map_err(refused)?;
            report.ok_or_else(|| Problem::not_found("report", "of a drill"))
        })
    }
}

fn refused(error: DrillError) -> Problem {
    match error {
        DrillError::Runs => Problem::new(409, "Not started", error.to_string()),
        DrillError::Stopping(_) | DrillError::Report { .. } => Problem::unavailable(error.to_string()),
    }
}

pub(super) fn stopping(error: crate::drive::Stopping) -> Problem {
    Problem::unavailable(error.to_string())
}

/// Why a server holds back and until when, such as `back since 10:02:11, takes activations again at 10:02:41`.
pub(super) fn hold_text(hold: &HoldView, now: Wall) -> String {
    let since = clock(Wall(now.0 - hold.since.as_millis() as i64));
    let mut waits = Vec::new();
    if hold.operator {
        waits.push("an administrator has to let it return".to_owned());
    }
    if hold.behind {
        waits.push("its configuration is behind".to_owned());
    }
    if hold.clock {
        waits.push("its clock differs by more than 500 ms".to_owned());
    }
    if !hold.operator && hold.remaining > Span(0) {
        waits.insert(0, format!("takes activations again at {}", clock(now + hold.remaining)));
    }
    if waits.is_empty() {
        waits.push("takes activations again in a moment".to_owned());
    }
    format!("back since {since}, {}", waits.join(", "))
}

/// A moment of the day for people, by this server's clock.
pub(crate) fn clock(at: Wall) -> String {
    let stamp = jiff::Timestamp::from_millisecond(at.0).map(|at| at.to_zoned(jiff::tz::TimeZone::system()));
    stamp.map_or_else(|_| format!("{} ms", at.0), |at| at.strftime("%H:%M:%S").to_string())
}

pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

async fn returning(hub: &Hub) -> Result<Redundancy, Problem> {
    let config = hub.config();
    let (me, now) = (hub.server, crate::clock::wall());
    let ids: Vec<ServerId> = config.servers.keys().copied().collect();
    let look = move |node: &Node| {
        let holds: BTreeMap<ServerId, HoldView> = ids.into_iter().filter_map(|id| Some((id, node.hold(id)?))).collect();
        (holds, node.peers().into_iter().map(|peer| (peer.id, peer.belief)).collect::<BTreeMap<_, _>>())
    };
    let (holds, beliefs) = hub.way.look(look).await.map_err(stopping)?;
    let names = Names(config.clone());
    let view = |row: &onealert_core::config::Server| {
        let down = row.id != me && beliefs.get(&row.id) == Some(&Belief::Down);
        let hold = holds.get(&row.id).filter(|_| !down);
        let (state, text) = match hold {
            Some(hold) => (State::Warning, capital(&hold_text(hold, now))),
            None if down => (State::Bad, "Down".to_owned()),
            None => (State::Ok, "Takes activations".to_owned()),
        };
        let waits = |hold: &HoldView| {
            let all = [(hold.operator, "operator"), (hold.behind, "configuration"), (hold.clock, "clock")];
            all.into_iter().filter(|(waits, _)| *waits).map(|(_, word)| word.to_owned()).collect()
        };
        Returning {
            id: row.id,
            name: row.name.clone(),
            state,
            text,
            held: hold.is_some(),
            since: hold.map(|hold| Wall(now.0 - hold.since.as_millis() as i64)),
            until: hold.map(|hold| now + hold.remaining),
            waits_for: hold.map(waits).unwrap_or_default(),
            by: hold.map(|hold| hold.by.iter().map(|id| names.server(*id)).collect()).unwrap_or_default(),
        }
    };
    let mut rows: Vec<_> = config.servers.values().filter(|row| !row.deprovisioned).collect();
    rows.sort_by_key(|row| (row.role != Role::Primary, row.name.to_lowercase()));
    let servers = rows.into_iter().map(view).collect();
    Ok(Redundancy { manual_return: policy::of(&config).manual_return, servers })
}

async fn let_return(hub: &Hub, by: &Actor, server: ServerId) -> Result<(), Problem> {
    let name = Names(hub.config()).server(server);
    if !hub.config().servers.contains_key(&server) {
        return Err(Problem::not_found("server", server));
    }
    let held = hub.way.look(move |node| node.hold(server).is_some()).await.map_err(stopping)?;
    if !held {
        return Err(Problem::new(422, "Nothing to do", format!("{name} does not hold back.")));
    }
    hub.way.tell(Happened::Return(server));
    hub.sync_log.push(State::Ok, by.user.as_str(), format!("let {name} return"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_server_says_since_when_and_until_when_or_for_whom_it_waits() {
        let now = Wall(1_800_000_000_000);
        let hold = HoldView {
            since: Span::secs(20),
            remaining: Span::secs(10),
            operator: false,
            behind: false,
            clock: false,
            by: Vec::new(),
        };
        let (since, until) = (clock(Wall(now.0 - 20_000)), clock(Wall(now.0 + 10_000)));
        assert_eq!(hold_text(&hold, now), format!("back since {since}, takes activations again at {until}"));
        let operator = HoldView { operator: true, behind: true, ..hold.clone() };
        assert_eq!(
            hold_text(&operator, now),
            format!("back since {since}, an administrator has to let it return, its configuration is behind")
        );
        let over = HoldView { remaining: Span(0), ..hold };
        assert_eq!(hold_text(&over, now), format!("back since {since}, takes activations again in a moment"));
    }
}
