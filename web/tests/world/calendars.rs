//! The world's calendars: judged and looked at by the core, like the host's.

use std::collections::BTreeMap;

use onealert_core::{
    calendar::{Calendar, CalendarEvent, DayTemplate, Exception, Plan, Weekday, changes, faults},
    config::{Config, DEFAULT_GROUP},
    ids::{CalendarId, GroupId, NotificationId},
    time::Wall,
};
use onealert_web::needs::*;

use super::{Inner, configuration, now};

/// What a calendar is judged by.
fn config(state: &Inner) -> Config {
    Config {
        groups: state.groups.clone(),
        notifications: state.notifications.clone(),
        calendars: state.calendars.clone(),
        ..Config::default()
    }
}

fn clock(state: &Inner) -> Wall {
    state.moment.unwrap_or_else(now)
}

pub fn view(state: &Inner, row: &Calendar) -> CalendarView {
    let group = state.groups.get(&row.group);
    let sends = group.and_then(|group| group.servers.first()).and_then(|id| {
        let server = state.status.servers.iter().find(|server| server.id == *id)?;
        Some((*id, server.name.clone()))
    });
    let context = CalendarContext {
        now: clock(state),
        group_name: group.map_or_else(|| row.group.to_string(), |group| group.name.clone()),
        sends,
        notification: &|id| state.notifications.get(id).map_or_else(|| id.to_string(), |row| row.name.clone()),
    };
    CalendarView::of(configuration::listed(row), context)
}

fn judged(state: &Inner, mut row: Calendar) -> Result<Calendar, Problem> {
    row.id = CalendarId::from(configuration::key(&row.id.0, &row.name));
    let wrong = faults(&row, &config(state));
    match wrong.is_empty() {
        true => Ok(row),
        false => Err(Problem::invalid(wrong.into_iter().map(|it| FieldProblem::new(it.path, it.message)).collect())),
    }
}

pub fn preview(state: &Inner, row: Calendar) -> Result<CalendarPreview, Problem> {
    let row = judged(state, row)?;
    let before = state.calendars.get(&row.id).cloned().and_then(Plan::of);
    let after = Plan::of(row).expect("a calendar without faults has a zone");
    Ok(CalendarPreview { changes: changes(before.as_ref(), &after, clock(state), 60), days: 60 })
}

pub fn save(state: &mut Inner, by: &Actor, row: Calendar, expect: &Expect) -> Result<CalendarId, Problem> {
    let row = judged(state, row)?;
    let id = row.id.clone();
    configuration::put(&mut state.calendars, id.clone(), row, expect, "calendar")?;
    state.note(by, format!("saved calendar {id}"));
    Ok(id)
}

/// A school year with a week, a late start and a holiday.
pub fn sample() -> BTreeMap<CalendarId, Calendar> {
    let mut school = Calendar::new("school".into(), "School bells", "America/Chicago", GroupId::from(DEFAULT_GROUP));
    let event = |(name, at, starts): &(&str, &str, &str)| CalendarEvent {
        name: (*name).to_owned(),
        at: at.parse().expect("a time"),
        notifications: vec![NotificationId::from(*starts)],
        paused: false,
    };
    let day = |name: &str, events: &[(&str, &str, &str)]| DayTemplate {
        name: name.to_owned(),
        events: events.iter().map(event).collect(),
    };
    school.templates = vec![
        day(
            "Normal day",
            &[
                ("First bell", "08:00", "end-of-day"),
                ("Tardy bell", "08:05", "end-of-day"),
                ("Period 2", "08:55", "end-of-day"),
                ("Period 3", "09:50", "end-of-day"),
                ("Lunch", "11:40", "end-of-day"),
                ("Dismissal", "15:05", "end-of-day"),
            ],
        ),
        day("Late start", &[("First bell", "10:00", "end-of-day"), ("Dismissal", "15:05", "end-of-day")]),
    ];
    for day in [Weekday::Monday, Weekday::Tuesday, Weekday::Thursday, Weekday::Friday] {
        school.week.set(day, Some("Normal day".to_owned()));
    }
    school.week.set(Weekday::Wednesday, Some("Late start".to_owned()));
    let date = |text: &str| text.parse().expect("a date");
    school.exceptions = vec![Exception {
        from: date("2026-11-27"),
        to: date("2026-11-27"),
        template: None,
        reason: "Thanksgiving".to_owned(),
    }];
    BTreeMap::from([(school.id.clone(), school)])
}
