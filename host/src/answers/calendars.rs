//! Calendars: what is to come of them, and how they are written.

use onealert_core::{
    calendar::{Calendar, Occurrence, Plan, changes, faults, outlook, zone_name},
    config::{Change, Config, Table},
    ids::{CalendarId, NotificationId, ServerId},
    time::Wall,
};
use onealert_web::needs::{
    Actor, CalendarPreview, CalendarView, EventView, Expect, FieldProblem, Named, Problem, State,
};

use super::{
    Answers,
    configure::{expect, key_from, listed, named, write},
};
use crate::hub::Hub;

/// How many days are shown, today included.
const SHOWN: i64 = 14;
/// How many days a preview looks at: a holiday in the next half year is seen.
const LOOKED: i64 = 190;

pub(super) async fn list(hub: &Hub) -> Result<Vec<CalendarView>, Problem> {
    let config = hub.config();
    let now = crate::clock::wall();
    let orders: Vec<_> = config.calendars.values().map(|row| config.group_order(&row.group)).collect();
    let owners: Vec<Option<ServerId>> = hub
        .way
        .look(move |node| orders.iter().map(|order| node.would_own(order)).collect())
        .await
        .map_err(|error| Problem::unavailable(error.to_string()))?;
    let rows = config.calendars.values().zip(owners);
    let mut views: Vec<CalendarView> = rows.map(|(row, sends)| view(&config, row, sends, now)).collect();
    views.sort_by_key(|view| view.listed.row.name.to_lowercase());
    Ok(views)
}

fn view(config: &Config, row: &Calendar, sends: Option<ServerId>, now: Wall) -> CalendarView {
    let mut shown = listed(row.clone(), Vec::new());
    let sends_name = sends.and_then(|id| config.servers.get(&id)).map(|server| server.name.clone()).unwrap_or_default();
    let group_name = config.groups.get(&row.group).map_or_else(|| row.group.to_string(), |group| group.name.clone());
    let Some(plan) = Plan::of(row.clone()) else {
        shown.state = State::Bad;
        shown.text = format!("This server does not know the time zone {}; it rings nothing of this calendar", row.zone);
        return CalendarView {
            listed: shown,
            now,
            next: None,
            today: Vec::new(),
            days: Vec::new(),
            sends,
            sends_name,
            group_name,
        };
    };
    let today = plan.date_at(now);
    let event = |occurrence: Occurrence| event(config, occurrence);
    let next = plan.next(now).map(event);
    if next.is_none() {
        (shown.state, shown.text) = (State::Warning, "Nothing is to come".to_owned());
    }
    CalendarView {
        listed: shown,
        now,
        next,
        today: plan.on(today).into_iter().map(event).collect(),
        days: outlook(&plan, today, SHOWN),
        sends,
        sends_name,
        group_name,
    }
}

fn event(config: &Config, occurrence: Occurrence) -> EventView {
    let name = |id: NotificationId| {
        let name = config.notifications.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone());
        Named { id: id.to_string(), name }
    };
    EventView {
        event: occurrence.event,
        date: occurrence.date.to_string(),
        at: occurrence.at.to_string(),
        due: occurrence.due,
        notifications: occurrence.notifications.into_iter().map(name).collect(),
    }
}

/// The calendar as it is stored, or what is wrong with it.
fn checked(config: &Config, mut row: Calendar) -> Result<Calendar, Problem> {
    if row.id.as_str().is_empty() {
        row.id = CalendarId(key_from(&row.name, |key| config.calendars.contains_key(&CalendarId::from(key))));
    }
    named(&row.name)?;
    // A zone is taken as people type it.
    if let Some(name) = zone_name(row.zone.trim()) {
        name.clone_into(&mut row.zone);
    }
    for template in &mut row.templates {
        template.events.sort_by_key(|event| event.at);
    }
    row.exceptions.sort_by(|a, b| (a.from, a.to).cmp(&(b.from, b.to)));
    let wrong = faults(&row, config);
    match wrong.is_empty() {
        true => Ok(row),
        false => Err(Problem::invalid(
            wrong.into_iter().map(|fault| FieldProblem::new(fault.path, fault.message)).collect(),
        )),
    }
}

pub(super) fn preview(hub: &Hub, row: Calendar) -> Result<CalendarPreview, Problem> {
    let config = hub.config();
    let row = checked(&config, row)?;
    let before = config.calendars.get(&row.id).cloned().and_then(Plan::of);
    let unknown = || Problem::new(422, "Not saved", format!("{} is not a time zone", row.zone));
    let after = Plan::of(row.clone()).ok_or_else(unknown)?;
    Ok(CalendarPreview { changes: changes(before.as_ref(), &after, crate::clock::wall(), LOOKED), days: LOOKED })
}

pub(super) async fn save(answers: &Answers, by: Actor, row: Calendar, seen: Expect) -> Result<CalendarId, Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    let row = checked(&config, row)?;
    let expected = expect(Table::Calendars, row.id.as_str(), "calendar", config.calendars.get(&row.id), &seen)?;
    let change = Change::put(Table::Calendars, row.id.as_str(), &row);
    write(answers, by, format!("saved calendar {:?}", row.name), vec![change], expected).await?;
    Ok(row.id)
}

pub(super) async fn delete(answers: &Answers, by: Actor, id: CalendarId, seen: Expect) -> Result<(), Problem> {
    answers.must_configure()?;
    let config = answers.0.config();
    let present = config.calendars.get(&id).ok_or_else(|| Problem::not_found("calendar", &id))?;
    let expected = expect(Table::Calendars, id.as_str(), "calendar", Some(present), &seen)?;
    let change = Change::delete(Table::Calendars, id.as_str());
    write(answers, by, format!("deleted calendar {:?}", present.name), vec![change], expected).await
}
