//! Drill, what if and manual return at the console: the pages' answers, written for a terminal or as JSON.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use onealert_core::{
    calendar::{BadMoment, When},
    config::Config,
    ids::{CalendarId, NotificationId, ServerId, TriggerId},
};
use onealert_web::{
    instant,
    needs::{
        Actor, DrillReport, FieldProblem, Problem, RedundancyNeeds, State, WhatIf, WhatIfCause, WhatIfDay, WhatIfQuery,
    },
    time,
};
use serde::Serialize;

use crate::{
    answers::Answers,
    control::{Asked, Outcome, find},
};

/// How long the word that a server may return takes to reach everybody who is up, at most: some heartbeats.
const TOLD: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Rehearses failovers.
///
/// # Errors
/// One runs already, or the server is stopping.
pub async fn drill(answers: &Answers, by: Actor, json: bool) -> Result<Outcome, Problem> {
    let report = answers.drill(by).await?;
    let text = if json { document(&report) } else { drill_text(&report) };
    Ok(Outcome::Judged { state: report.state, text })
}

/// Says what would happen.
///
/// # Errors
/// Something is named that is not there, or the moment cannot be read.
pub async fn what_if(answers: &Answers, asked: &Asked, json: bool) -> Result<Outcome, Problem> {
    let mut dead: Vec<ServerId> = Vec::new();
    for wanted in &asked.dead {
        dead.push(find(answers, wanted).await?.id);
    }
    let query = WhatIfQuery { cause: cause(&answers.0.config(), asked)?, dead };
    let answer = answers.what_if(query).await?;
    let states = answer.runs.iter().map(|run| run.state).chain(answer.days.iter().map(|day| day.state));
    let state = states.max().unwrap_or(State::Ok);
    let text = if json { document(&answer) } else { what_if_text(&answer) };
    Ok(Outcome::Judged { state, text })
}

/// What is assumed to happen, where names are looked up. Exactly one cause is given.
fn cause(config: &Config, asked: &Asked) -> Result<WhatIfCause, Problem> {
    let at = asked.at.as_deref().map(instant).transpose();
    let at = at.map_err(|message| Problem::invalid(vec![FieldProblem::new("/at", message)]))?;
    let on = asked.on.as_deref().map_or(Ok(When::Next), str::parse);
    let on = on.map_err(|error: BadMoment| Problem::invalid(vec![FieldProblem::new("/on", error.to_string())]))?;
    if let Some(wanted) = &asked.trigger {
        let rows = config.triggers.values().map(|row| (row.id.as_str(), row.name.as_str()));
        return Ok(WhatIfCause::Trigger { id: TriggerId::from(named("trigger", rows, wanted)?), at });
    }
    if let Some(wanted) = &asked.notification {
        let rows = config.notifications.values().map(|row| (row.id.as_str(), row.name.as_str()));
        return Ok(WhatIfCause::Notification { id: NotificationId::from(named("notification", rows, wanted)?), at });
    }
    let rows = config.calendars.values().map(|row| (row.id.as_str(), row.name.as_str()));
    let calendar = asked.calendar.as_deref().map(|wanted| named("schedule", rows, wanted)).transpose()?;
    Ok(WhatIfCause::Bells { calendar: calendar.map(CalendarId::from), on })
}

/// Lets a server return.
///
/// # Errors
/// There is no such server, or it does not hold back.
pub async fn let_return(answers: &Answers, by: Actor, wanted: &str, json: bool) -> Result<Outcome, Problem> {
    let row = find(answers, wanted).await?;
    answers.return_server(by, row.id).await?;
    let end = Instant::now() + TOLD;
    let now = loop {
        let mut servers = answers.redundancy().await?.servers.into_iter();
        let now = servers.find(|server| server.id == row.id).ok_or_else(|| Problem::not_found("server", wanted))?;
        // The others repeat that they hold it until the word has reached them.
        if !now.held || Instant::now() >= end {
            break now;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let text = match (json, now.held) {
        (true, _) => document(&now),
        (false, false) => format!("{} takes activations again; what runs elsewhere is finished there", row.name),
        (false, true) => format!("{} was let return and still waits: {}", row.name, now.text),
    };
    Ok(Outcome::Judged { state: if now.held { State::Warning } else { State::Ok }, text })
}

/// What is meant by an id or a name, as an id.
fn named<'a>(kind: &str, rows: impl Iterator<Item = (&'a str, &'a str)>, wanted: &str) -> Result<&'a str, Problem> {
    let mut rows = rows;
    rows.find(|(id, name)| *id == wanted || *name == wanted).map(|(id, _)| id).ok_or_else(|| {
        Problem::new(
            404,
            "Not found",
            format!("There is no {kind} {wanted}; give its name or id as the pages show it."),
        )
    })
}

fn document(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("what pages show is plain data with text keys")
}

/// A mark that is read without colours.
fn mark(state: State) -> &'static str {
    match state {
        State::Ok => "ok     ",
        State::Warning => "warning",
        State::Bad => "BAD    ",
    }
}

/// Lines below one another with their columns aligned; the last column is free.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn drill_text(report: &DrillReport) -> String {
    let mut text = format!("{}\n\n", report.text);
    let head = ["", "dead", "priority group", "would send", "takeover", "what"].map(str::to_owned);
    let cases = report.cases.iter().map(|case| {
        let took = case.takeover_ms.map_or_else(|| "not needed".to_owned(), |ms| format!("{ms:.1} ms"));
        let what = if case.what.is_empty() { "what needs no driver".to_owned() } else { case.what.join(", ") };
        [mark(case.state).to_owned(), case.dead.clone(), case.group.clone(), case.text.clone(), took, what]
    });
    text.push_str(&table(&std::iter::once(head).chain(cases).collect::<Vec<_>>()));
    let mut list = |title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = write!(text, "\n{title}\n  {}\n", lines.join("\n  "));
        }
    };
    list("Nobody would reach", report.cases.iter().flat_map(|case| case.stranded.clone()).collect());
    let single = report.single.iter().map(|it| format!("{}: {} {}", it.name, it.server, it.why));
    list("Endpoints that only one server reaches", single.collect());
    let drivers = report.drivers.iter().map(|it| format!("{} on {} {}", it.name, it.server, it.text));
    list("Drivers that differ", drivers.collect());
    let head = ["", "date", "time", "rings", "when it is dead", "bell"].map(str::to_owned);
    let bells = report.bells.iter().map(|it| {
        let what = format!("{}, {} → {} ({})", it.calendar, it.event, it.notification, it.zone);
        [mark(it.state).to_owned(), it.date.clone(), it.at.clone(), it.before.clone(), it.after.clone(), what]
    });
    if !report.bells.is_empty() {
        let rows: Vec<_> = std::iter::once(head).chain(bells).collect();
        let _ = write!(text, "\nBells that are to come\n{}", table(&rows));
    }
    let _ = write!(
        text,
        "\nTimes are from the fall of the owner to the confirmed beginning of its successor. A machine that loses its power or \
         its cable is noticed within {} ms, which comes on top. The report is on the page Redundancy, Drill, of {}.",
        report.silence_ms, report.server
    );
    text
}

fn what_if_text(answer: &WhatIf) -> String {
    let dead: Vec<&str> = answer.dead.iter().map(|server| server.name.as_str()).collect();
    let dead = if dead.is_empty() { String::new() } else { format!(", with {} dead", dead.join(", ")) };
    let by_calendar = !answer.days.is_empty();
    let at = if by_calendar { String::new() } else { format!(" at {}", time(answer.at)) };
    let mut text = format!("{}{at}{dead}.\n", answer.text);
    for day in &answer.days {
        day_text(&mut text, day);
    }
    if by_calendar && !answer.runs.is_empty() {
        text.push_str("\nServers and endpoints\n");
    }
    for run in &answer.runs {
        let _ = write!(text, "\n{} {}: {}\n", mark(run.state), run.notification.name, run.text);
        let succession: Vec<&str> = run.succession.iter().map(|server| server.name.as_str()).collect();
        if !succession.is_empty() {
            let _ = writeln!(text, "  in this order: {}", succession.join(", "));
        }
        let members = run
            .members
            .iter()
            .map(|it| ["  server".to_owned(), mark(it.state).to_owned(), it.name.clone(), it.text.clone()]);
        let endpoints = run
            .endpoints
            .iter()
            .map(|it| ["  endpoint".to_owned(), mark(it.state).to_owned(), it.name.clone(), it.text.clone()]);
        text.push_str(&table(&members.chain(endpoints).collect::<Vec<_>>()));
    }
    text.trim_end().to_owned()
}

fn day_text(text: &mut String, day: &WhatIfDay) {
    let WhatIfDay { calendar, zone, group, .. } = day;
    let _ = write!(text, "\n{}: {} ({zone}, {})\n", calendar.name, day.text, group.name);
    let bells = day.bells.iter().map(|it| {
        let what = format!("{} → {}", it.event, it.notification.name);
        [mark(it.state).to_owned(), it.at.clone(), what, it.text.clone()]
    });
    text.push_str(&table(&bells.collect::<Vec<_>>()));
    for bell in &day.bells {
        for stranded in &bell.stranded {
            let _ = writeln!(text, "  {} {}: {stranded}", bell.at, bell.notification.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use onealert_core::time::Wall;
    use onealert_web::needs::{DrillBell, DrillCase, DrillEndpoint};

    use super::*;

    #[test]
    fn a_report_is_read_on_a_terminal() {
        let case = DrillCase {
            group: "DEFAULT".to_owned(),
            what: Vec::new(),
            dead: "pa-1".to_owned(),
            before: "pa-1".to_owned(),
            after: "pa-2".to_owned(),
            state: State::Ok,
            text: "pa-2".to_owned(),
            takeover_ms: Some(9.07),
            stranded: Vec::new(),
        };
        let single =
            DrillEndpoint { name: "Gym".to_owned(), server: "pa-1".to_owned(), why: "alone reached it".to_owned() };
        let bell = DrillBell {
            calendar: "School".to_owned(),
            zone: "UTC".to_owned(),
            date: "2026-11-30".to_owned(),
            at: "08:00".to_owned(),
            due: Wall(0),
            event: "First".to_owned(),
            notification: "Bell".to_owned(),
            before: "pa-1".to_owned(),
            after: "pa-2".to_owned(),
            state: State::Ok,
            stranded: Vec::new(),
        };
        let report = DrillReport {
            at: Wall(0),
            server: "pa-1".to_owned(),
            by: "console".to_owned(),
            took_ms: 12,
            state: State::Warning,
            text: "Every case is covered by a server".to_owned(),
            cases: vec![case],
            silence_ms: 1250,
            single: vec![single],
            drivers: Vec::new(),
            bells: vec![bell],
        };
        let text = drill_text(&report);
        assert!(text.starts_with("Every case is covered by a server\n\n"), "{text}");
        assert!(text.contains("ok       pa-1  DEFAULT         pa-2        9.1 ms    what needs no driver\n"), "{text}");
        assert!(text.contains("Endpoints that only one server reaches\n  Gym: pa-1 alone reached it\n"), "{text}");
        assert!(
            text.contains("ok       2026-11-30  08:00  pa-1   pa-2             School, First → Bell (UTC)\n"),
            "{text}"
        );
        assert!(text.contains("within 1250 ms") && !text.contains("Drivers that differ"), "{text}");
    }
}
