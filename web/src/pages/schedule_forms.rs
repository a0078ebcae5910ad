//! The forms of a calendar: its settings, a day template, an exception.

use askama::Template;
use http::StatusCode;
use onealert_core::{
    calendar::{Calendar, CalendarEvent, Date, DayTemplate, Exception, TimeOfDay},
    config::DEFAULT_GROUP,
    ids::{CalendarId, GroupId, NotificationId},
};

use super::{
    Frame,
    edit::{Edit, belongs_to_form},
    path_to,
    schedules::{LIST, NONE, choices, propose},
};
use crate::{
    caller::Caller,
    form::{Choice, Control, Form, FormField, Line},
    needs::{CalendarView, Expect, FieldProblem, Named, Problem},
    reply::{self, Reply},
    request::{Fields, Request},
    roles::Action,
    words,
};

/// Empty rows below the events of a day.
const SPARE: usize = 4;
/// Most rows of a posted day.
const ROWS: usize = 400;

/// The settings of a calendar, or of a new one.
pub(super) async fn settings(request: &Request, caller: &Caller, view: Option<CalendarView>) -> Result<Reply, Problem> {
    caller.require(Action::EditSchedules)?;
    let (calendar, etag) = match view {
        Some(view) => (view.listed.row, view.listed.etag),
        None => (Calendar::new(CalendarId::from(""), "", own_zone(), GroupId::from(DEFAULT_GROUP)), String::new()),
    };
    show_settings(request, caller, calendar, etag, None).await
}

/// The zone of this server, where it has a name: most calendars are in it.
fn own_zone() -> String {
    jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned()
}

async fn show_settings(
    request: &Request,
    caller: &Caller,
    calendar: Calendar,
    etag: String,
    refused: Option<Problem>,
) -> Result<Reply, Problem> {
    let groups = caller.groups().await?;
    let group = groups.iter().map(|it| {
        let row = &it.listed.row;
        Choice::new(row.id.as_str(), &row.name, row.id == calendar.group)
    });
    let late = FormField {
        value: calendar.late_limit_s.to_string(),
        ..FormField::new(
            "/late_limit_s",
            "Late limit in seconds",
            Control::Line(Line {
                kind: "number",
                min: "1".into(),
                max: "3600".into(),
                step: "1".into(),
                ..Line::default()
            }),
        )
    };
    let form = Form::default()
        .field(FormField::line("/name", "Name", &calendar.name).required())
        .field(
            FormField::line("/zone", "Time zone", &calendar.zone)
                .required()
                .help("As America/Chicago or Europe/Berlin. Bells keep their local time when the clocks change."),
        )
        .field(
            FormField::select("/group", "Priority group", group.collect()).help("Which servers ring, in which order."),
        )
        .field(late.required().help("What could not be rung within this time is not rung but recorded as missed."));
    let exists = !calendar.id.as_str().is_empty();
    let path = path_to(LIST, calendar.id.as_str());
    let (up, action, title) = match exists {
        true => (("Schedules", LIST), format!("{path}/settings"), format!("Settings of {}", calendar.name)),
        false => (("Schedules", LIST), format!("{LIST}/new"), "New schedule".to_owned()),
    };
    let frame = Frame::of(request, caller, title);
    let shut = frame.shut(caller, Action::EditSchedules);
    let edit = Edit {
        up,
        etag,
        delete: exists.then(|| format!("{path}/delete")),
        ..Edit::single(frame, &action, shut, String::new(), form, "Save schedule")
    };
    edit.reply(refused.as_ref())
}

/// Saves them.
pub(super) async fn posted_settings(
    request: &Request,
    caller: &Caller,
    view: Option<CalendarView>,
) -> Result<Reply, Problem> {
    caller.require_change(Action::EditSchedules)?;
    let form = request.form();
    let is_new = view.is_none();
    let mut calendar = view.map_or_else(
        || Calendar::new(CalendarId::from(""), "", "", GroupId::from(DEFAULT_GROUP)),
        |view| view.listed.row,
    );
    calendar.name = form.text("/name");
    calendar.zone = form.text("/zone");
    calendar.group = GroupId(form.text("/group"));
    let late = form.text("/late_limit_s").parse();
    calendar.late_limit_s = late.unwrap_or(0);
    let saved = match is_new {
        true => {
            let id = caller.save_calendar(calendar.clone(), Expect::New).await;
            id.map(|id| reply::redirect(&format!("{}?done=saved", path_to(LIST, id.as_str()))))
        }
        false => propose(request, caller, calendar.clone(), "Save these settings?").await,
    };
    match saved {
        Err(problem) if belongs_to_form(&problem) => {
            show_settings(request, caller, calendar, form.text("etag"), Some(problem)).await
        }
        other => other,
    }
}

#[derive(Template)]
#[template(path = "schedule_day.html")]
struct DayPage {
    frame: Frame,
    shut: bool,
    up: (String, String),
    path: String,
    etag: String,
    /// The name under which it is stored; empty for a new one.
    was: String,
    name: FormField,
    mistakes: Vec<(String, String, String)>,
    rows: Vec<Row>,
    uses: String,
}

struct Row {
    at: String,
    event: String,
    paused: bool,
    rings: Vec<Choice>,
    error: String,
}

/// A row as it was typed.
#[derive(Clone, Default)]
struct Typed {
    at: String,
    event: String,
    rings: String,
    paused: bool,
}

/// A day template, or a new one.
pub(super) async fn day(request: &Request, caller: &Caller, view: CalendarView) -> Result<Reply, Problem> {
    let was = request.query.text("template");
    let calendar = &view.listed.row;
    let template = calendar.template(&was);
    if template.is_none() && !was.is_empty() {
        return Err(Problem::not_found("day template", &was));
    }
    let typed = template.map(|template| typed(&template.events)).unwrap_or_default();
    show_day(request, caller, &view, &was, &was, typed, None).await
}

/// An event that starts several notifications takes several rows of one time and name.
fn typed(events: &[CalendarEvent]) -> Vec<Typed> {
    let row = |event: &CalendarEvent, rings: &str| Typed {
        at: event.at.to_string(),
        event: event.name.clone(),
        rings: rings.to_owned(),
        paused: event.paused,
    };
    let rows = |event: &CalendarEvent| match event.notifications.is_empty() {
        true => vec![row(event, "")],
        false => event.notifications.iter().map(|id| row(event, id.as_str())).collect(),
    };
    events.iter().flat_map(rows).collect()
}

async fn show_day(
    request: &Request,
    caller: &Caller,
    view: &CalendarView,
    was: &str,
    name: &str,
    typed: Vec<Typed>,
    refused: Option<&Problem>,
) -> Result<Reply, Problem> {
    let calendar = &view.listed.row;
    let notifications: Vec<Named> = caller
        .notifications()
        .await?
        .into_iter()
        .map(|listed| Named { id: listed.row.id.to_string(), name: listed.row.name })
        .collect();
    let spare = std::iter::repeat_n(Typed::default(), SPARE);
    let rows: Vec<Row> = typed.iter().cloned().chain(spare).map(|row| shown(row, &notifications)).collect();
    let mut page = DayPage {
        frame: Frame::of(request, caller, if was.is_empty() { "New day template" } else { was }),
        shut: false,
        up: (calendar.name.clone(), path_to(LIST, calendar.id.as_str())),
        path: path_to(LIST, calendar.id.as_str()),
        etag: view.listed.etag.clone(),
        was: was.to_owned(),
        name: FormField::line("/name", "Name", name).required(),
        mistakes: Vec::new(),
        rows,
        uses: calendar.template(was).map(|_| uses(calendar, was)).unwrap_or_default(),
    };
    page.shut = page.frame.shut(caller, Action::EditSchedules);
    let Some(problem) = refused else { return reply::page(&page) };
    if problem.status == 409 {
        // What is saved is not what was looked at: the form keeps the old condition, so that nothing is overwritten.
        page.etag = request.form().text("etag");
    }
    blame(&mut page, problem, &events_of_rows(&typed));
    reply::page_with(StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY), &page)
}

fn shown(row: Typed, notifications: &[Named]) -> Row {
    let mut rings = vec![Choice::new("", "Nothing", row.rings.is_empty())];
    rings.extend(notifications.iter().map(|it| Choice::new(it.id.clone(), it.name.clone(), it.id == row.rings)));
    if !row.rings.is_empty() && notifications.iter().all(|it| it.id != row.rings) {
        rings.push(Choice::new(row.rings.clone(), format!("{} (gone)", row.rings), true));
    }
    Row { at: row.at, event: row.event, paused: row.paused, rings, error: String::new() }
}

/// Where a template is used, in words.
fn uses(calendar: &Calendar, name: &str) -> String {
    let exceptions = calendar.exceptions.iter().filter(|it| it.template.as_deref() == Some(name)).count();
    let days: Vec<&str> = onealert_core::calendar::Weekday::ALL
        .into_iter()
        .filter(|day| calendar.week.on(*day) == Some(name))
        .map(onealert_core::calendar::Weekday::name)
        .collect();
    match (days.is_empty(), exceptions) {
        (true, 0) => "No day of the week has it, and no exception.".to_owned(),
        (true, n) => format!("No day of the week has it; {} do.", words::count(n, "exception", "exceptions")),
        (false, 0) => format!("On {}.", days.join(", ")),
        (false, n) => format!("On {}, and in {}.", days.join(", "), words::count(n, "exception", "exceptions")),
    }
}

/// Puts what is wrong beside its row, and on top.
fn blame(page: &mut DayPage, problem: &Problem, rows_of_events: &[usize]) {
    if problem.fields.is_empty() {
        page.mistakes.push((String::new(), String::new(), problem.detail.clone()));
    }
    for FieldProblem { path, message } in &problem.fields {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let row = match parts[..] {
            ["rows", row, ..] => row.parse().ok(),
            ["templates", _, "events", event, ..] => {
                event.parse().ok().and_then(|at: usize| rows_of_events.get(at).copied())
            }
            _ => None,
        };
        match row.and_then(|at: usize| page.rows.get_mut(at).map(|row| (at, row))) {
            Some((at, row)) => {
                row.error = words::sentence(message);
                page.mistakes.push((format!("Event {}", at + 1), format!("at-{at}"), message.clone()));
            }
            None if parts.first() == Some(&"name") || matches!(parts[..], ["templates", _, "name"]) => {
                page.name.error = words::sentence(message);
                page.mistakes.push(("Name".to_owned(), page.name.id.clone(), message.clone()));
            }
            None => {
                page.mistakes.push((path.trim_start_matches('/').replace('/', " "), String::new(), message.clone()))
            }
        }
    }
}

/// The rows of a posted day that hold something.
fn rows_of(form: &Fields) -> Vec<Typed> {
    let count = form.text("rows").parse().unwrap_or(0).min(ROWS);
    let row = |n: usize| Typed {
        at: form.text(&format!("at-{n}")),
        event: form.text(&format!("event-{n}")),
        rings: form.text(&format!("rings-{n}")),
        paused: form.get(&format!("paused-{n}")).is_some(),
    };
    let mut rows: Vec<Typed> = (0..count).map(row).filter(|row| !row.at.is_empty() || !row.event.is_empty()).collect();
    // As the calendar orders them, so that what is said of an event is found at its row. Browsers leave out the seconds.
    rows.sort_by_key(|row| row.at.parse::<TimeOfDay>().ok());
    rows
}

/// Whether a row adds a notification to the event of the row before it.
fn continues(before: &Typed, row: &Typed) -> bool {
    before.at == row.at && before.event == row.event && !row.rings.is_empty() && before.rings != row.rings
}

/// The first row of each event.
fn events_of_rows(rows: &[Typed]) -> Vec<usize> {
    (0..rows.len()).filter(|at| *at == 0 || !continues(&rows[at - 1], &rows[*at])).collect()
}

fn events(rows: &[Typed]) -> Result<Vec<CalendarEvent>, Problem> {
    let (mut events, mut wrong): (Vec<CalendarEvent>, _) = (Vec::new(), Vec::new());
    for (at, row) in rows.iter().enumerate() {
        let rings = Some(row.rings.as_str()).filter(|id| !id.is_empty()).map(NotificationId::from);
        if at > 0
            && continues(&rows[at - 1], row)
            && let Some(event) = events.last_mut()
        {
            event.notifications.extend(rings);
            continue;
        }
        match row.at.parse() {
            Ok(time) => events.push(CalendarEvent {
                name: row.event.clone(),
                at: time,
                notifications: rings.into_iter().collect(),
                paused: row.paused,
            }),
            Err(error) => wrong.push(FieldProblem::new(format!("/rows/{at}"), format!("{error}"))),
        }
    }
    if wrong.is_empty() { Ok(events) } else { Err(Problem::invalid(wrong)) }
}

/// Saves a day template.
pub(super) async fn posted_day(request: &Request, caller: &Caller, view: CalendarView) -> Result<Reply, Problem> {
    caller.require_change(Action::EditSchedules)?;
    let form = request.form();
    let (was, name, rows) = (form.text("was"), form.text("/name"), rows_of(&form));
    let saved = match events(&rows) {
        Err(problem) => Err(problem),
        Ok(events) => {
            let calendar = with_template(view.listed.row.clone(), &was, &name, events);
            propose(request, caller, calendar, &format!("Save {name}?")).await
        }
    };
    match saved {
        Err(problem) if belongs_to_form(&problem) => {
            show_day(request, caller, &view, &was, &name, rows, Some(&problem)).await
        }
        other => other,
    }
}

/// The calendar with a template added, or replaced and renamed wherever it is named.
fn with_template(mut calendar: Calendar, was: &str, name: &str, events: Vec<CalendarEvent>) -> Calendar {
    match calendar.templates.iter().position(|template| template.name == was) {
        Some(at) if !was.is_empty() => {
            // A name that another one has is refused as it stands, not carried through week and exceptions.
            if calendar.template(name).is_none() {
                calendar.rename_template(was, name);
            }
            calendar.templates[at] = DayTemplate { name: name.to_owned(), events };
        }
        _ => calendar.templates.push(DayTemplate { name: name.to_owned(), events }),
    }
    calendar
}

/// The form of a new exception, for the dates that the address names.
pub(super) async fn except(request: &Request, caller: &Caller, view: CalendarView) -> Result<Reply, Problem> {
    let (from, to) = (request.query.text("from"), request.query.text("to"));
    show_except(request, caller, &view, [&from, &to, NONE, ""], None)
}

fn show_except(
    request: &Request,
    caller: &Caller,
    view: &CalendarView,
    [from, to, template, reason]: [&str; 4],
    refused: Option<&Problem>,
) -> Result<Reply, Problem> {
    let calendar = &view.listed.row;
    let date = |name: &str, label: &str, value: &str| FormField {
        value: value.to_owned(),
        ..FormField::new(name, label, Control::Line(Line { kind: "date", ..Line::default() })).required()
    };
    let form = Form::default()
        .field(date("/from", "First day", from))
        .field(
            date("/to", "Last day", to)
                .help("The same day for one date. Where two exceptions cover a date, the shorter one counts."),
        )
        .field(FormField::select(
            "/template",
            "What these days have",
            choices(calendar, Some(template).filter(|it| *it != NONE)),
        ))
        .field(
            FormField::line("/reason", "Reason", reason)
                .required()
                .help("Shown to everybody who looks at the schedule."),
        );
    let path = path_to(LIST, calendar.id.as_str());
    let frame = Frame::of(request, caller, format!("Exception for {}", calendar.name));
    let shut = frame.shut(caller, Action::EditSchedules);
    let edit = Edit {
        up: ("Schedules", LIST),
        etag: view.listed.etag.clone(),
        ..Edit::single(frame, &format!("{path}/except"), shut, String::new(), form, "Save exception")
    };
    edit.reply(refused)
}

/// Saves an exception.
pub(super) async fn posted_except(request: &Request, caller: &Caller, view: CalendarView) -> Result<Reply, Problem> {
    caller.require_change(Action::EditSchedules)?;
    let form = request.form();
    let typed = ["/from", "/to", "/template", "/reason"].map(|name| form.text(name));
    let [from, to, template, reason] = typed.each_ref().map(String::as_str);
    let saved = match exception(from, to, template, reason) {
        Err(problem) => Err(problem),
        Ok(exception) => {
            let mut calendar = view.listed.row.clone();
            calendar.exceptions.push(exception);
            propose(request, caller, calendar, "Save this exception?").await
        }
    };
    match saved {
        Err(problem) if belongs_to_form(&problem) => {
            let problem = as_form_names(problem);
            show_except(request, caller, &view, [from, to, template, reason], Some(&problem))
        }
        other => other,
    }
}

fn exception(from: &str, to: &str, template: &str, reason: &str) -> Result<Exception, Problem> {
    let date =
        |path: &str, text: &str| text.parse::<Date>().map_err(|error| FieldProblem::new(path, error.to_string()));
    match (date("/from", from), date("/to", to)) {
        (Ok(from), Ok(to)) => {
            let template = Some(template.to_owned()).filter(|name| name != NONE);
            Ok(Exception { from, to, template, reason: reason.to_owned() })
        }
        (from, to) => Err(Problem::invalid([from.err(), to.err()].into_iter().flatten().collect())),
    }
}

/// What is said of the calendar's exceptions, said of the fields of the one that is being made.
fn as_form_names(mut problem: Problem) -> Problem {
    for field in &mut problem.fields {
        if let ["exceptions", _, name] = field.path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            field.path = format!("/{name}");
        }
    }
    problem
}
