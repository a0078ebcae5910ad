//! The bells that calendars have to come, and who would ring each: for what if and for the drill's report.

use std::{collections::BTreeSet, sync::Arc};

use onealert_core::{
    activation::Content,
    calendar::{self, Occurrence},
    config::Config,
    ids::ServerId,
    plan::{Plan, Sender},
};
use onealert_web::needs::{DrillBell, State};

use crate::{
    drive::Stopping,
    foresight::{Names, left_out},
    hub::Hub,
    intake::from_occurrence,
};

/// How many are asked for at once: the loop has alarms to look after.
const AT_ONCE: usize = 32;

/// A notification that an event of a calendar starts.
pub struct Bell {
    /// The event on its date.
    pub occurrence: Occurrence,
    /// What every server hands over a little ahead of it.
    pub content: Content,
}

/// What these events start.
pub fn bells(config: &Config, days: &calendar::Plan, occurrences: &[Occurrence]) -> Vec<Bell> {
    let started = |occurrence: &Occurrence| {
        let contents = from_occurrence(config, days, occurrence);
        contents.into_iter().map(|content| Bell { occurrence: occurrence.clone(), content }).collect::<Vec<_>>()
    };
    occurrences.iter().flat_map(started).collect()
}

/// Who would ring each of them, in their order, with the servers assumed dead that are named for its place.
///
/// # Errors
/// The server is stopping.
pub async fn plans(
    hub: &Hub,
    bells: &[Bell],
    dead: impl Fn(usize) -> BTreeSet<ServerId>,
) -> Result<Vec<Plan>, Stopping> {
    let asked = bells.iter().enumerate().map(|(place, Bell { occurrence, content })| {
        (content.group.clone(), content.needs.clone(), occurrence.due, dead(place))
    });
    let asked: Vec<_> = asked.collect();
    let mut plans = Vec::new();
    for few in asked.chunks(AT_ONCE).map(<[_]>::to_vec) {
        let look = hub.way.look(move |node| {
            let plan = |(group, needs, due, dead): &(Vec<ServerId>, _, _, _)| node.plan_timed(group, needs, *due, dead);
            few.iter().map(plan).collect::<Vec<_>>()
        });
        plans.extend(look.await?);
    }
    Ok(plans)
}

/// The bells of the coming day by every calendar, each with who rings it when its server is dead by then, in order.
///
/// # Errors
/// The server is stopping.
pub async fn coming(hub: &Hub, config: &Arc<Config>) -> Result<Vec<DrillBell>, Stopping> {
    let (names, now) = (Names(config.clone()), crate::clock::wall());
    let mut coming = Vec::new();
    for days in calendar::plans(config) {
        let bells = bells(config, &days, &days.coming_day(now));
        let before = plans(hub, &bells, |_| BTreeSet::new()).await?;
        let owner = |place: usize| match before[place].sender {
            Sender::Member(owner) => [owner].into(),
            Sender::Ingress | Sender::Nobody => BTreeSet::new(),
        };
        let after = plans(hub, &bells, owner).await?;
        for (Bell { occurrence, content }, (before, after)) in bells.iter().zip(before.iter().zip(&after)) {
            let strands = |id| left_out(config, id, after, &content.needs);
            let stranded: Vec<String> = content.endpoints.iter().filter_map(strands).collect();
            let state = match after.sender {
                Sender::Nobody => State::Bad,
                _ if !stranded.is_empty() => State::Bad,
                Sender::Ingress => State::Warning,
                Sender::Member(_) => State::Ok,
            };
            coming.push(DrillBell {
                calendar: days.calendar().name.clone(),
                zone: days.calendar().zone.clone(),
                date: occurrence.date.to_string(),
                at: occurrence.at.to_string(),
                due: occurrence.due,
                event: occurrence.event.clone(),
                notification: content.name.clone(),
                before: rings(&names, before),
                after: rings(&names, after),
                state,
                stranded,
            });
        }
    }
    coming.sort_by_key(|bell| bell.due);
    Ok(coming)
}

fn rings(names: &Names, plan: &Plan) -> String {
    match plan.sender {
        Sender::Member(id) => names.server(id),
        Sender::Ingress => "a server outside the group".to_owned(),
        Sender::Nobody => "nobody".to_owned(),
    }
}
