//! Schedules: every calendar with its next bell, and one calendar with its three layers: day templates, the week, exceptions.

use askama::Template;
use http::Method;
use onealert_core::{
    calendar::{Calendar, Date, DayOutlook, Exception, Weekday},
    ids::CalendarId,
    time::Wall,
};

use super::{Frame, caller, confirm::Confirm, not_here, path_to, schedule_forms};
use crate::{
    caller::Caller,
    form::{Choice, Form, FormField},
    needs::{CalendarView, EventView, Expect, Problem, State},
    reply::{self, Reply},
    request::{Request, encode},
    roles::Action,
    words,
};

/// The list's address.
pub(super) const LIST: &str = "/schedules";

#[derive(Template)]
#[template(path = "schedules.html")]
struct SchedulesPage {
    frame: Frame,
    shut: bool,
    calendars: Vec<Card>,
}

struct Card {
    name: String,
    href: String,
    /// The links to "no bells" on a near date: its words and address.
    silence: Vec<(String, String)>,
    next: Option<Next>,
    trouble: Option<(State, String)>,
    today: String,
    rest: Vec<Bell>,
    zone: String,
    sends: String,
}

/// The event that happens next.
pub(super) struct Next {
    event: String,
    when: String,
    span: String,
    due: Wall,
    starts: String,
}

struct Bell {
    at: String,
    event: String,
    starts: String,
    over: bool,
}

#[derive(Template)]
#[template(path = "schedule.html")]
struct SchedulePage {
    frame: Frame,
    shut: bool,
    path: String,
    etag: String,
    trouble: Option<(State, String)>,
    next: Option<Next>,
    sends: String,
    zone: String,
    late: String,
    /// The links to "no bells" on a near date: its words and address.
    silence: Vec<(String, String)>,
    today: String,
    bells: Vec<Bell>,
    days: Vec<Line>,
    templates: Vec<TemplateLine>,
    week: Form,
    exceptions: Vec<ExceptionLine>,
}

struct Line {
    day: String,
    what: String,
    reason: String,
    silent: bool,
}

struct TemplateLine {
    name: String,
    href: String,
    about: String,
}

struct ExceptionLine {
    dates: String,
    from: String,
    to: String,
    what: String,
    reason: String,
    over: bool,
}

/// `/schedules`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    let parts = request.parts();
    match (request.method.clone(), &parts[..]) {
        (Method::GET, [_]) => list(&request, &caller).await,
        (Method::GET, [_, "new"]) => schedule_forms::settings(&request, &caller, None).await,
        (Method::POST, [_, "new"]) => schedule_forms::posted_settings(&request, &caller, None).await,
        (Method::GET, [_, id]) => one(&request, &caller, caller.calendar(CalendarId::from(*id)).await?).await,
        (method, [_, id, what]) => {
            let view = caller.calendar(CalendarId::from(*id)).await?;
            match (method, *what) {
                (Method::GET, "settings") => schedule_forms::settings(&request, &caller, Some(view)).await,
                (Method::POST, "settings") => schedule_forms::posted_settings(&request, &caller, Some(view)).await,
                (Method::GET, "day") => schedule_forms::day(&request, &caller, view).await,
                (Method::POST, "day") => schedule_forms::posted_day(&request, &caller, view).await,
                (Method::POST, "delete-day") => delete_day(&request, &caller, view).await,
                (Method::POST, "week") => week(&request, &caller, view).await,
                (Method::GET, "except") => schedule_forms::except(&request, &caller, view).await,
                (Method::POST, "except") => schedule_forms::posted_except(&request, &caller, view).await,
                (Method::POST, "unexcept") => unexcept(&request, &caller, view).await,
                (Method::POST, "delete") => delete(&request, &caller, view).await,
                _ => Err(not_here(&request)),
            }
        }
        _ => Err(not_here(&request)),
    }
}

async fn list(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let mut views = caller.calendars().await?;
    // What rings next stands on top.
    views.sort_by_key(|view| {
        (view.next.as_ref().map_or(i64::MAX, |next| next.due.0), view.listed.row.name.to_lowercase())
    });
    let card = |view: CalendarView| Card {
        href: path_to(LIST, view.listed.row.id.as_str()),
        silence: silence(&view),
        next: next(&view),
        trouble: trouble(&view),
        today: today(&view),
        rest: bells(&view).into_iter().filter(|bell| !bell.over).collect(),
        zone: view.listed.row.zone.clone(),
        sends: sends(&view),
        name: view.listed.row.name,
    };
    let frame = Frame::of(request, caller, "Schedules");
    let shut = frame.shut(caller, Action::EditSchedules);
    reply::page(&SchedulesPage { shut, frame, calendars: views.into_iter().map(card).collect() })
}

async fn one(request: &Request, caller: &Caller, view: CalendarView) -> Result<Reply, Problem> {
    let frame = Frame::of(request, caller, view.listed.row.name.clone());
    let path = path_to(LIST, view.listed.row.id.as_str());
    let calendar = &view.listed.row;
    let page = SchedulePage {
        shut: frame.shut(caller, Action::EditSchedules),
        frame,
        silence: silence(&view),
        trouble: trouble(&view),
        next: next(&view),
        sends: sends(&view),
        zone: calendar.zone.clone(),
        late: words::count(calendar.late_limit_s as usize, "second", "seconds"),
        today: today(&view),
        bells: bells(&view),
        days: view.days.iter().enumerate().skip(1).map(|(n, day)| line(n, day)).collect(),
        templates: calendar.templates.iter().map(|template| template_line(&path, calendar, &template.name)).collect(),
        week: week_form(calendar),
        exceptions: exception_lines(&view),
        etag: view.listed.etag.clone(),
        path,
    };
    reply::page(&page)
}

/// Where today's and tomorrow's bells are taken out, as long as there are some.
fn silence(view: &CalendarView) -> Vec<(String, String)> {
    let path = path_to(LIST, view.listed.row.id.as_str());
    let near = view.days.iter().take(2).zip(["today", "tomorrow"]);
    let link = |(day, word): (&DayOutlook, &str)| {
        (format!("No bells {word}"), format!("{path}/except?from={0}&to={0}", day.date))
    };
    near.filter(|(day, _)| day.events > 0).map(link).collect()
}

fn trouble(view: &CalendarView) -> Option<(State, String)> {
    (view.listed.state != State::Ok).then(|| (view.listed.state, view.listed.text.clone()))
}

fn next(view: &CalendarView) -> Option<Next> {
    let next = view.next.as_ref()?;
    let when = match view.days.iter().position(|day| day.date.to_string() == next.date) {
        Some(0) => format!("at {}", next.at),
        Some(1) => format!("tomorrow at {}", next.at),
        Some(n) => format!("{} at {}", view.days[n].date.short(), next.at),
        None => format!("{} at {}", next.date, next.at),
    };
    let ahead = u64::try_from(next.due.0.saturating_sub(view.now.0)).unwrap_or(0);
    Some(Next { event: next.event.clone(), when, span: words::span(ahead), due: next.due, starts: starts(next) })
}

fn starts(event: &EventView) -> String {
    event.notifications.iter().map(|named| named.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn sends(view: &CalendarView) -> String {
    match view.sends_name.as_str() {
        "" => format!("no server of {} is up", view.group_name),
        name => format!("{name} rings ({})", view.group_name),
    }
}

fn today(view: &CalendarView) -> String {
    view.days.first().map(|day| format!("{}: {}", day.date.short(), day_words(day))).unwrap_or_default()
}

fn bells(view: &CalendarView) -> Vec<Bell> {
    let bell = |event: &EventView| Bell {
        at: event.at.clone(),
        event: event.event.clone(),
        starts: starts(event),
        over: event.due <= view.now,
    };
    view.today.iter().map(bell).collect()
}

/// What a date has, in words.
fn day_words(day: &DayOutlook) -> String {
    match (&day.template, day.events) {
        (None, _) => "no bells".to_owned(),
        (Some(name), n) => format!("{name}, {}", words::count(n, "event", "events")),
    }
}

fn line(n: usize, day: &DayOutlook) -> Line {
    Line {
        day: if n == 1 { format!("Tomorrow, {}", day.date.short()) } else { day.date.short() },
        what: words::sentence(&day_words(day)),
        reason: day.reason.clone().unwrap_or_default(),
        silent: day.template.is_none(),
    }
}

fn template_line(path: &str, calendar: &Calendar, name: &str) -> TemplateLine {
    let events = calendar.template(name).map(|template| template.events.as_slice()).unwrap_or_default();
    let hours = match (events.first(), events.last()) {
        (Some(first), Some(last)) if events.len() > 1 => format!(", {} to {}", first.at, last.at),
        (Some(only), _) => format!(" at {}", only.at),
        _ => String::new(),
    };
    let days: Vec<&str> = Weekday::ALL
        .into_iter()
        .filter(|day| calendar.week.on(*day) == Some(name))
        .map(|day| &day.name()[..3])
        .collect();
    let days = if days.is_empty() { String::new() } else { format!(" · {}", days.join(" ")) };
    TemplateLine {
        name: name.to_owned(),
        href: format!("{path}/day?template={}", encode(name)),
        about: format!("{}{hours}{days}", words::count(events.len(), "event", "events")),
    }
}

/// What stands for "no bells" among the templates: no template can have it, since a name is not empty.
pub(super) const NONE: &str = "";

/// Every template of a calendar, and no bells.
pub(super) fn choices(calendar: &Calendar, chosen: Option<&str>) -> Vec<Choice> {
    let mut all = vec![Choice::new(NONE, "No bells", chosen.is_none())];
    let named = |name: &String| Choice::new(name.clone(), name.clone(), chosen == Some(name.as_str()));
    all.extend(calendar.templates.iter().map(|template| named(&template.name)));
    all
}

fn week_form(calendar: &Calendar) -> Form {
    let field =
        |day: Weekday| FormField::select(&week_path(day), day.name(), choices(calendar, calendar.week.on(day))).into();
    Form::new(Weekday::ALL.into_iter().map(field).collect())
}

fn week_path(day: Weekday) -> String {
    format!("/week/{}", day.name().to_lowercase())
}

fn exception_lines(view: &CalendarView) -> Vec<ExceptionLine> {
    let today = view.days.first().map(|day| day.date);
    let line = |exception: &Exception| ExceptionLine {
        dates: match exception.from == exception.to {
            true => exception.from.long(),
            false => format!("{} to {}", exception.from.long(), exception.to.long()),
        },
        from: exception.from.to_string(),
        to: exception.to.to_string(),
        what: exception.template.clone().unwrap_or_else(|| "No bells".to_owned()),
        reason: exception.reason.clone(),
        over: today.is_some_and(|today| exception.to < today),
    };
    view.listed.row.exceptions.iter().map(line).collect()
}

/// Saves a changed calendar, after a page that says what it changes in the days to come; at once where it changes nothing.
pub(super) async fn propose(
    request: &Request,
    caller: &Caller,
    calendar: Calendar,
    what: &str,
) -> Result<Reply, Problem> {
    caller.require_change(Action::EditSchedules)?;
    let form = request.form();
    let back = path_to(LIST, calendar.id.as_str());
    let mut lines = Vec::new();
    if form.text("confirm") != "yes" {
        let preview = caller.preview_calendar(calendar.clone()).await?;
        let line = |date: Date, before: usize, after: usize| {
            let counted = words::count(before, "event", "events");
            match (before == after, after) {
                (true, _) => {
                    format!("{}: {counted} as before, at other times or starting something else.", date.long())
                }
                (false, 0) => format!("{}: {counted} to come become none.", date.long()),
                (false, after) => format!("{}: {counted} to come become {after}.", date.long()),
            }
        };
        lines.extend(preview.changes.iter().take(7).map(|it| line(it.date, it.before, it.after)));
        if preview.changes.len() > 7 {
            lines.push(format!("And {} more days of the next {}.", preview.changes.len() - 7, preview.days));
        }
    }
    if lines.is_empty() {
        let expect = super::expect(&form);
        caller.save_calendar(calendar, expect).await?;
        return Ok(reply::redirect(&format!("{back}?done=saved")));
    }
    reply::page(&Confirm {
        frame: Frame::of(request, caller, what),
        lines,
        action: request.path.clone(),
        hidden: form.0.into_iter().filter(|(name, _)| name != "confirm").collect(),
        class: "primary",
        button: "Save".to_owned(),
        back,
    })
}

async fn week(request: &Request, caller: &Caller, view: CalendarView) -> Result<Reply, Problem> {
    caller.require_change(Action::EditSchedules)?;
    let form = request.form();
    let mut calendar = view.listed.row;
    for day in Weekday::ALL {
        calendar.week.set(day, Some(form.text(&week_path(day))).filter(|name| name != NONE));
    }
    propose(request, caller, calendar, "Change the week?").await
}

async fn unexcept(request: &Request, caller: &Caller, view: CalendarView) -> Result<Reply, Problem> {
    caller.require_change(Action::EditSchedules)?;
    let form = request.form();
    let mut calendar = view.listed.row;
    let (from, to) = (form.text("from"), form.text("to"));
    calendar.exceptions.retain(|it| it.from.to_string() != from || it.to.to_string() != to);
    propose(request, caller, calendar, "Delete the exception?").await
}

async fn delete_day(request: &Request, caller: &Caller, view: CalendarView) -> Result<Reply, Problem> {
    caller.require_change(Action::EditSchedules)?;
    let name = request.form().text("template");
    let mut calendar = view.listed.row;
    calendar.templates.retain(|template| template.name != name);
    for day in Weekday::ALL.into_iter().filter(|day| calendar.week.on(*day) == Some(&name)).collect::<Vec<_>>() {
        calendar.week.set(day, None);
    }
    for exception in calendar.exceptions.iter_mut().filter(|it| it.template.as_deref() == Some(&name)) {
        exception.template = None;
    }
    propose(request, caller, calendar, &format!("Delete {name}?")).await
}

async fn delete(request: &Request, caller: &Caller, view: CalendarView) -> Result<Reply, Problem> {
    caller.require_change(Action::EditSchedules)?;
    let form = request.form();
    let row = &view.listed.row;
    if form.text("confirm") == "yes" {
        caller.delete_calendar(row.id.clone(), Expect::Etag(form.text("etag"))).await?;
        return Ok(reply::redirect(&format!("{LIST}?done=deleted")));
    }
    let ahead: usize = view.days.iter().map(|day| day.events).sum();
    let path = path_to(LIST, row.id.as_str());
    reply::page(&Confirm {
        frame: Frame::of(request, caller, format!("Delete {}?", row.name)),
        lines: vec![
            format!(
                "{} in the next {} days are not rung, and {} with {} are gone.",
                words::count(ahead, "event", "events"),
                view.days.len(),
                words::count(row.templates.len(), "day template", "day templates"),
                words::count(row.exceptions.len(), "exception", "exceptions"),
            ),
            "The notifications that it started stay, and what it sent stays in Sent Notifications.".to_owned(),
        ],
        action: format!("{path}/delete"),
        hidden: vec![("etag".to_owned(), view.listed.etag.clone())],
        class: "stop",
        button: "Delete schedule".to_owned(),
        back: path,
    })
}
