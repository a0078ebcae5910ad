//! Who rings which bells if: the events of calendars, each with its server, and what is stranded.

use std::{collections::BTreeSet, sync::Arc};

use onealert_core::{
    calendar::{Calendar, Meant, Past, Plan as Days, When},
    config::Config,
    ids::{CalendarId, ServerId},
    time::Wall,
};
use onealert_web::needs::*;

use super::{
    redundancy::stopping,
    what_if::{Foreseen, dead as named_dead, group_named},
};
use crate::{
    bells::{Bell, bells, plans},
    foresight::{Names, Reached, left_out},
    hub::Hub,
};

/// Says who rings which bells: of one calendar, or of all.
pub(super) async fn what_if(
    hub: &Hub,
    config: &Arc<Config>,
    calendar: Option<CalendarId>,
    on: When,
    dead: &[ServerId],
) -> Result<WhatIf, Problem> {
    let mut rows: Vec<&Calendar> = match &calendar {
        Some(id) => vec![config.calendars.get(id).ok_or_else(|| Problem::not_found("calendar", id))?],
        None => config.calendars.values().collect(),
    };
    rows.sort_by_key(|row| row.name.to_lowercase());
    let question = Question { hub, config, on, dead: dead.iter().copied().collect(), now: crate::clock::wall() };
    let reached = Reached::read(&hub.records).await;
    let (mut days, mut runs) = (Vec::new(), Vec::new());
    for row in &rows {
        // The day may be over in one zone and not in another.
        days.extend(question.day(row, &reached, &mut runs).await?);
    }
    if days.is_empty() && !rows.is_empty() {
        return Err(Problem::invalid(vec![FieldProblem::new("/on", Past.to_string())]));
    }
    let text = match (&rows[..], &calendar) {
        ([row], Some(_)) => format!("The bells of {}", row.name),
        ([], _) => "There is no schedule, so no bell rings".to_owned(),
        _ => "The bells of every schedule".to_owned(),
    };
    let first = days.iter().flat_map(|day| &day.bells).map(|bell| bell.due).min();
    Ok(WhatIf { at: first.unwrap_or(question.now), dead: named_dead(config, dead), text, days, runs })
}

struct Question<'a> {
    hub: &'a Hub,
    config: &'a Arc<Config>,
    on: When,
    dead: BTreeSet<ServerId>,
    now: Wall,
}

impl Question<'_> {
    /// What one calendar has then, `None` where that is over; what is said of each way that bells go is added to `runs`, once.
    async fn day(
        &self,
        row: &Calendar,
        reached: &Reached,
        runs: &mut Vec<WhatIfRun>,
    ) -> Result<Option<WhatIfDay>, Problem> {
        let config = self.config;
        let mut day = WhatIfDay {
            calendar: Named { id: row.id.to_string(), name: row.name.clone() },
            zone: row.zone.clone(),
            group: group_named(config, &row.group),
            text: format!("This server does not know the time zone {}, and rings nothing of this schedule", row.zone),
            state: State::Bad,
            bells: Vec::new(),
        };
        let Some(known) = Days::of(row.clone()) else { return Ok(Some(day)) };
        let Ok(meant) = known.meant(self.on, self.now) else { return Ok(None) };
        day.text = words(&known, self.on, &meant);
        let bells = bells(config, &known, &meant.occurrences);
        let plans = plans(self.hub, &bells, |_| self.dead.clone()).await.map_err(stopping)?;
        for (Bell { occurrence, content }, plan) in bells.iter().zip(&plans) {
            let Some(notification) = config.notifications.get(&content.notification) else { continue };
            let foreseen = Foreseen { config, names: Names(config.clone()), plan, reached, does: "rings" };
            let run = foreseen.run(notification, &row.group);
            let strands = |id| left_out(config, id, plan, &content.needs);
            let place = runs.iter().position(|other| *other == run).unwrap_or(runs.len());
            day.bells.push(WhatIfBell {
                event: occurrence.event.clone(),
                date: occurrence.date.to_string(),
                at: occurrence.at.to_string(),
                due: occurrence.due,
                notification: run.notification.clone(),
                sender: run.sender.clone(),
                state: run.state,
                text: run.text.clone(),
                endpoints: content.endpoints.len() as u32,
                stranded: content.endpoints.iter().filter_map(strands).collect(),
                run: place as u32,
            });
            if place == runs.len() {
                runs.push(run);
            }
        }
        day.state = day.bells.iter().map(|bell| bell.state).max().unwrap_or(State::Ok);
        Ok(Some(day))
    }
}

/// The day that is meant and what it has, in words.
fn words(days: &Days, on: When, meant: &Meant) -> String {
    let first = meant.occurrences.first().map(|first| format!("{}, {}", first.date.long(), first.at));
    match (on, first) {
        (When::Date(date), _) => {
            let day = days.day(date);
            let why = day.exception.map(|exception| format!(" ({})", exception.reason)).unwrap_or_default();
            let has = match day.template {
                None => ": no bells".to_owned(),
                Some(template) => {
                    let (n, over) = (meant.occurrences.len() + meant.over, meant.over);
                    let over = if over == 0 { String::new() } else { format!(", {over} of them over") };
                    format!(", {}: {n} {}{over}", template.name, if n == 1 { "event" } else { "events" })
                }
            };
            format!("{}{has}{why}", date.long())
        }
        (_, None) => "Nothing is to come".to_owned(),
        (When::Next, Some(first)) => format!("Next: {first}"),
        (When::Minute(date, time), Some(first)) if meant.later => {
            format!("Nothing on {} at {time}; next: {first}", date.long())
        }
        (When::Minute(..), Some(first)) => first,
    }
}
