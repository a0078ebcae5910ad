//! What would happen if: a plan of the core, in words. For bells see [`super::what_if_bells`].

use std::sync::Arc;

use onealert_core::{
    calendar::Past,
    config::{Behaviour, Config, DEFAULT_GROUP, Notification},
    ids::{EndpointId, GroupId, NotificationId, ServerId, TriggerId},
    plan::{Circumstances, Member, MemberStanding, Plan, Reach, Sender},
    time::Span,
    version::Fit,
};
use onealert_web::needs::*;

use super::{redundancy::stopping, what_if_bells};
use crate::{
    foresight::{Names, Reached, driver_of},
    hub::Hub,
    intake::needs,
};

/// Says what would happen.
pub(super) async fn what_if(hub: &Hub, query: WhatIfQuery) -> Result<WhatIf, Problem> {
    let config = hub.config();
    for (index, server) in query.dead.iter().enumerate() {
        if config.servers.get(server).is_none_or(|row| row.deprovisioned) {
            let text = format!("{server} is not a server of this site");
            return Err(Problem::invalid(vec![FieldProblem::new(format!("/dead/{index}"), text)]));
        }
    }
    let (at, (text, group, notifications)) = match query.cause {
        WhatIfCause::Trigger { id, at } => (at, set_off(&config, &id)?),
        WhatIfCause::Notification { id, at } => (at, sent_by_hand(&config, &id)?),
        WhatIfCause::Bells { calendar, on } => {
            return what_if_bells::what_if(hub, &config, calendar, on, &query.dead).await;
        }
    };
    let now = crate::clock::wall();
    let at = at.unwrap_or(now);
    // A minute's grace: a form gives whole minutes.
    if at.0 < now.0.saturating_sub(60_000) {
        return Err(Problem::invalid(vec![FieldProblem::new("/at", Past.to_string())]));
    }
    let ahead = Span::millis(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0));
    let circumstances = Circumstances { ahead, dead: query.dead.iter().copied().collect() };
    let reached = Reached::read(&hub.records).await;
    let mut runs = Vec::new();
    for notification in notifications {
        let (order, wanted) = (config.group_order(&group), needs(&config, &notification.endpoints));
        let circumstances = circumstances.clone();
        let plan = hub.way.look(move |node| node.plan(&order, &wanted, &circumstances)).await.map_err(stopping)?;
        let foreseen =
            Foreseen { config: &config, names: Names(config.clone()), plan: &plan, reached: &reached, does: "sends" };
        runs.push(foreseen.run(notification, &group));
    }
    Ok(WhatIf { at, dead: dead(&config, &query.dead), text, days: Vec::new(), runs })
}

/// The servers assumed dead, by name.
pub(super) fn dead(config: &Arc<Config>, servers: &[ServerId]) -> Vec<Named> {
    let names = Names(config.clone());
    servers.iter().map(|id| Named { id: id.to_string(), name: names.server(*id) }).collect()
}

/// A priority group by name.
pub(super) fn group_named(config: &Config, group: &GroupId) -> Named {
    let name = config.groups.get(group).map_or_else(|| group.to_string(), |row| row.name.clone());
    Named { id: group.to_string(), name }
}

/// What happens, by which group, and which notifications start.
type Starts<'a> = (String, GroupId, Vec<&'a Notification>);

fn sent_by_hand<'a>(config: &'a Config, id: &NotificationId) -> Result<Starts<'a>, Problem> {
    let row = config.notifications.get(id).ok_or_else(|| Problem::not_found("notification", id))?;
    // As sending by hand goes: the way of its first trigger.
    let first = row.triggers.iter().find_map(|id| config.triggers.get(id));
    let group = first.map_or_else(|| GroupId::from(DEFAULT_GROUP), |trigger| trigger.group.clone());
    Ok((format!("{} is sent by hand", row.name), group, vec![row]))
}

fn set_off<'a>(config: &'a Config, id: &TriggerId) -> Result<Starts<'a>, Problem> {
    let trigger = config.triggers.get(id).ok_or_else(|| Problem::not_found("trigger", id))?;
    let all: Vec<&Notification> = config.notifications.values().filter(|row| row.triggers.contains(id)).collect();
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
pub(super) struct Foreseen<'a> {
    pub(super) config: &'a Config,
    pub(super) names: Names,
    pub(super) plan: &'a Plan,
    pub(super) reached: &'a Reached,
    /// What a server does: `sends` or `rings`.
    pub(super) does: &'static str,
}

impl Foreseen<'_> {
    pub(super) fn run(&self, notification: &Notification, group: &GroupId) -> WhatIfRun {
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
            group: group_named(self.config, group),
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
        let does = self.does;
        let one = if does == "rings" { "first of the others to claim it" } else { "server that the event comes in at" };
        match self.plan.sender {
            Sender::Member(id) => (State::Ok, format!("{} {does}", self.names.server(id))),
            Sender::Ingress => (State::Warning, format!("No server of the group is up; the {one} {does}")),
            Sender::Nobody => (State::Bad, format!("Nobody {does}: no server is up")),
        }
    }

    fn member(&self, member: &Member) -> WhatIfMember {
        let (state, mut text) = match member.standing {
            MemberStanding::Up => (State::Ok, "up".to_owned()),
            MemberStanding::Held => {
                (State::Warning, "came back and holds back: only where nobody better is up".to_owned())
            }
            MemberStanding::Draining => (State::Warning, "stopping: only where nobody else is left".to_owned()),
            MemberStanding::HeardByOthers => (State::Warning, "not heard here, but by another server".to_owned()),
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
            Some(first) if *first == member.server => format!("{}; {text}", self.does),
            _ => text,
        };
        WhatIfMember { id: member.server, name: self.names.server(member.server), state, text }
    }

    fn endpoint(&self, id: &EndpointId, reach: Reach) -> (State, String) {
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
    fn experience(&self, id: &EndpointId) -> (State, String) {
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
