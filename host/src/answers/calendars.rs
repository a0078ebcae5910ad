//! Calendars: what is to come of them, and how they are written.

use onealert_core::{
    calendar::{Calendar, Plan, changes, faults, zone_name},
    config::{Change, Config, Table},
    ids::{CalendarId, ServerId},
    time::Wall,
};
use onealert_web::needs::{Actor, CalendarContext, CalendarPreview, CalendarView, Expect, FieldProblem, Problem};

use super::{
    Answers,
    configure::{expect, key_from, listed, named, write},
};
use crate::hub::Hub;

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
    let server = |id: ServerId| (id, config.servers.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone()));
    let about = CalendarContext {
        now,
        group_name: config.groups.get(&row.group).map_or_else(|| row.group.to_string(), |group| group.name.clone()),
        sends: sends.map(server),
        notification: &|id| config.notifications.get(id).map_or_else(|| id.to_string(), |row| row.name.clone()),
    };
    CalendarView::of(listed(row.clone(), Vec::new()), about)
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
    row.exceptions.sort_by_key(|exception| (exception.from, exception.to));
    let wrong = faults(&row, config);
    match wrong.is_empty() {
        true => Ok(row),
        false => {
            Err(Problem::invalid(wrong.into_iter().map(|fault| FieldProblem::new(fault.path, fault.message)).collect()))
        }
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
