//! Servers that came back, what would happen if, and drills.

use std::collections::{BTreeMap, BTreeSet};

use onealert_core::{
    config::{Behaviour, Change, Config, DEFAULT_GROUP, Notification, Role, Setting, Table},
    ids::{GroupId, ServerId},
    node::Node,
    plan::{Circumstances, Member, MemberStanding, Plan, Reach, Sender},
    time::{Span, Wall},
    version::Fit,
    view::{Belief, HoldView},
};
use onealert_web::needs::*;

use super::{Answers, configure::write};
use crate::{
    drill::{self, DrillError},
    drive::Happened,
    foresight::{Names, Reached, driver_of},
    hub::Hub,
    intake::needs,
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

fn stopping(error: crate::drive::Stopping) -> Problem {
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

async fn what_if(hub: &Hub, query: WhatIfQuery) -> Result<WhatIf, Problem> {
    let (config, now) = (hub.config(), crate::clock::wall());
    let at = query.at.unwrap_or(now);
    // A minute's grace: a form gives whole minutes.
    if at.0 < now.0 - 60_000 {
        let text = "lies in the past; Sent Notifications shows what was sent then";
        return Err(Problem::invalid(vec![FieldProblem::new("/at", text)]));
    }
    for (index, server) in query.dead.iter().enumerate() {
        if config.servers.get(server).is_none_or(|row| row.deprovisioned) {
            let text = format!("{server} is not a server of this site");
            return Err(Problem::invalid(vec![FieldProblem::new(format!("/dead/{index}"), text)]));
        }
    }
    let (text, group, notifications) = asked(&config, &query)?;
    let ahead = Span::millis(u64::try_from(at.0 - now.0).unwrap_or(0));
    let circumstances = Circumstances { ahead, dead: query.dead.iter().copied().collect::<BTreeSet<_>>() };
    let reached = Reached::read(&hub.records).await;
    let mut runs = Vec::new();
    for notification in notifications {
        let (order, wanted) = (config.group_order(&group), needs(&config, &notification.endpoints));
        let (asked, circumstances) = (wanted.clone(), circumstances.clone());
        let plan = hub.way.look(move |node| node.plan(&order, &asked, &circumstances)).await.map_err(stopping)?;
        runs.push(
            Foreseen { config: &config, names: Names(config.clone()), plan, reached: &reached }.run(notification),
        );
    }
    let named = |id: &ServerId| Named { id: id.to_string(), name: Names(config.clone()).server(*id) };
    Ok(WhatIf { at, dead: query.dead.iter().map(named).collect(), text, runs })
}

/// What happens, by which group, and which notifications start.
fn asked<'a>(config: &'a Config, query: &WhatIfQuery) -> Result<(String, GroupId, Vec<&'a Notification>), Problem> {
    if let Some(id) = &query.notification {
        let row = config.notifications.get(id).ok_or_else(|| Problem::not_found("notification", id))?;
        // As sending by hand goes: the way of its first trigger.
        let first = row.triggers.iter().find_map(|id| config.triggers.get(id));
        let group = first.map_or_else(|| GroupId::from(DEFAULT_GROUP), |trigger| trigger.group.clone());
        return Ok((format!("{} is sent by hand", row.name), group, vec![row]));
    }
    let id = query.trigger.clone().unwrap_or_else(|| "".into());
    let trigger = config.triggers.get(&id).ok_or_else(|| Problem::not_found("trigger", &id))?;
    let all: Vec<&Notification> = config.notifications.values().filter(|row| row.triggers.contains(&id)).collect();
    let text = match (trigger.behaviour, all.len()) {
        (_, 0) => format!("{} goes off and nothing happens: no notification names it", trigger.name),
        (Behaviour::Stop, _) => {
            let names: Vec<&str> = all.iter().map(|row| row.name.as_str()).collect();
            format!("{} goes off and stops {}, on every server", trigger.name, names.join(", "))
        }
        (Behaviour::Start, _) => format!("{} goes off", trigger.name),
    };
    let starts = if trigger.behaviour == Behaviour::Start { all } else { Vec::new() };
    Ok((text, trigger.group.clone(), starts))
}

/// A plan in words.
struct Foreseen<'a> {
    config: &'a Config,
    names: Names,
    plan: Plan,
    reached: &'a Reached,
}

impl Foreseen<'_> {
    fn run(&self, notification: &Notification) -> WhatIfRun {
        let wanted = needs(self.config, &notification.endpoints);
        let endpoints: Vec<WhatIfEndpoint> = notification
            .endpoints
            .iter()
            .map(|id| {
                let reach = self.plan.reach(driver_of(self.config, id), &wanted);
                let (state, text) = self.endpoint(id, reach);
                WhatIfEndpoint { id: id.clone(), name: self.names.endpoint(id), state, text }
            })
            .collect();
        let stranded = endpoints.iter().filter(|endpoint| endpoint.state == State::Bad).count();
        let named = |id: &ServerId| Named { id: id.to_string(), name: self.names.server(*id) };
        let (state, said) = self.sender();
        let left_out = match stranded {
            0 => String::new(),
            1 => "; 1 endpoint is not reached".to_owned(),
            n => format!("; {n} endpoints are not reached"),
        };
        WhatIfRun {
            notification: Named { id: notification.id.to_string(), name: notification.name.clone() },
            sender: match self.plan.sender {
                Sender::Member(id) => Some(named(&id)),
                Sender::Ingress | Sender::Nobody => None,
            },
            text: format!("{said}{left_out}"),
            state: endpoints.iter().map(|endpoint| endpoint.state).max().unwrap_or(State::Ok).max(state),
            succession: self.plan.succession.iter().map(named).collect(),
            members: self.plan.members.iter().map(|member| self.member(member)).collect(),
            endpoints,
            stranded: stranded as u32,
        }
    }

    fn sender(&self) -> (State, String) {
        match self.plan.sender {
            Sender::Member(id) => (State::Ok, format!("{} sends", self.names.server(id))),
            Sender::Ingress => {
                (State::Warning, "No server of the group is up; the server that the event comes in at sends".to_owned())
            }
            Sender::Nobody => (State::Bad, "Nobody sends: no server is up".to_owned()),
        }
    }

    fn member(&self, member: &Member) -> WhatIfMember {
        let (state, mut text) = match member.standing {
            MemberStanding::Up => (State::Ok, "up".to_owned()),
            MemberStanding::Held => {
                (State::Warning, "came back and holds back: only where nobody better is up".to_owned())
            }
            MemberStanding::Draining => (State::Warning, "stopping: only where nobody else is left".to_owned()),
            MemberStanding::Down(_) => (State::Bad, "down".to_owned()),
            MemberStanding::AssumedDead => (State::Bad, "assumed dead".to_owned()),
            MemberStanding::Unknown => (State::Bad, "no server of this site that is heard".to_owned()),
        };
        let lives = state != State::Bad;
        let name = |id| self.config.drivers.get(id).map_or_else(|| id.to_string(), |row| row.name.clone());
        let missing: Vec<String> =
            member.drivers.iter().filter(|(_, there)| there.is_none()).map(|(id, _)| name(id)).collect();
        match member.fit {
            Fit::Lacks if lives => text = format!("{text}, lacks the driver {}", missing.join(", ")),
            Fit::Differs if lives => text.push_str(", has another version of a driver"),
            _ => {}
        }
        let doubtful = lives && member.fit != Fit::Matches;
        let state = if doubtful { state.max(State::Warning) } else { state };
        let text = match self.plan.succession.first() {
            Some(first) if *first == member.server => format!("sends; {text}"),
            _ => text,
        };
        WhatIfMember { id: member.server, name: self.names.server(member.server), state, text }
    }

    fn endpoint(&self, id: &onealert_core::ids::EndpointId, reach: Reach) -> (State, String) {
        match reach {
            Reach::NobodySends => (State::Bad, "stranded: nobody sends".to_owned()),
            Reach::NoDriver if !self.config.endpoints.contains_key(id) => {
                (State::Bad, "stranded: it was deleted".to_owned())
            }
            Reach::NoDriver => (State::Bad, "stranded: its driver is not enabled".to_owned()),
            Reach::Lacks => (State::Bad, "stranded: its driver is missing on the server that sends".to_owned()),
            Reach::Differs { expected, found } if expected.version == found.version => {
                (State::Warning, "its driver is another file of the same version there".to_owned())
            }
            Reach::Differs { expected, found } => {
                (State::Warning, format!("its driver is {} there, {} is enabled", found.version, expected.version))
            }
            Reach::Yes => self.experience(id),
        }
    }

    /// What was seen when the sender last tried.
    fn experience(&self, id: &onealert_core::ids::EndpointId) -> (State, String) {
        let Sender::Member(sender) = self.plan.sender else { return (State::Ok, String::new()) };
        let name = self.names.server(sender);
        match self.reached.last(id, sender) {
            Some((true, _)) => (State::Ok, format!("{name} reached it the last time")),
            Some((false, _)) => {
                let others: Vec<String> =
                    self.reached.servers(id, true).into_iter().map(|server| self.names.server(server)).collect();
                let only = if others.is_empty() { String::new() } else { format!("; {} did", others.join(", ")) };
                (State::Warning, format!("{name} did not reach it the last time{only}"))
            }
            None => (State::Ok, format!("{name} has not sent to it yet")),
        }
    }
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
