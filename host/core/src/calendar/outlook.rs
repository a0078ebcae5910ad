//! What the coming days have, and what a change of a calendar changes of them: for those who look and those who edit.

use serde::Serialize;

use super::{Date, Occurrence, Plan, TimeOfDay};
use crate::{ids::NotificationId, time::Wall};

/// What one date has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayOutlook {
    /// Which date.
    pub date: Date,
    /// The name of its template; none: no bells.
    pub template: Option<String>,
    /// Why it is not as the week says, where an exception covers it.
    pub reason: Option<String>,
    /// How many events happen.
    pub events: usize,
}

/// A date whose events a change of the calendar changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayChange {
    /// Which date.
    pub date: Date,
    /// How many events of it are still to come as it stands.
    pub before: usize,
    /// How many there will be.
    pub after: usize,
}

/// What so many dates from one on have.
pub fn outlook(plan: &Plan, from: Date, days: i64) -> Vec<DayOutlook> {
    let day = |date: Date| {
        let day = plan.day(date);
        DayOutlook {
            date,
            template: day.template.map(|template| template.name.clone()),
            reason: day.exception.map(|exception| exception.reason.clone()),
            events: plan.on(date).len(),
        }
    };
    (0..days).map(|n| day(from.plus(n))).collect()
}

/// The dates, of so many from the one at `now` on, on which a calendar will have other events to come than it has.
pub fn changes(before: Option<&Plan>, after: &Plan, now: Wall, days: i64) -> Vec<DayChange> {
    let to_come = |plan: &Plan, date: Date| -> Vec<(Wall, TimeOfDay, String, Vec<NotificationId>)> {
        let told = |it: Occurrence| (it.due, it.at, it.event, it.notifications);
        plan.on(date).into_iter().filter(|it| it.due > now).map(told).collect()
    };
    let from = after.date_at(now);
    let change = |date: Date| {
        let (old, new) = (before.map(|plan| to_come(plan, date)).unwrap_or_default(), to_come(after, date));
        (old != new).then_some(DayChange { date, before: old.len(), after: new.len() })
    };
    (0..days).filter_map(|n| change(from.plus(n))).collect()
}
