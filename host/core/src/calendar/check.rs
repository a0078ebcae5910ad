//! What a calendar may not be, each fault with the place where it stands.

use std::collections::BTreeSet;

use super::{Calendar, CalendarEvent, Weekday, zone_name};
use crate::config::Config;

/// Most templates of a calendar.
const TEMPLATES: usize = 60;
/// Most events of a template.
const EVENTS: usize = 300;
/// Most exceptions of a calendar.
const EXCEPTIONS: usize = 500;
/// Longest name and reason.
const NAME: usize = 100;
/// An event is not sent later than this, in seconds: servers remember what was sent for a day.
const LATEST: u32 = 3600;

/// Something that is wrong with a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON pointer into the calendar.
    pub path: String,
    /// What is wrong, for people; it begins with a verb.
    pub message: String,
}

/// Everything that is wrong with a calendar, in a configuration whose other rows are as they are.
pub fn faults(calendar: &Calendar, config: &Config) -> Vec<Fault> {
    let mut wrong = Faults(Vec::new());
    match zone_name(&calendar.zone) {
        Some(name) if name == calendar.zone => {}
        Some(name) => wrong.add("/zone", format!("must be written {name}")),
        None => {
            wrong.add("/zone", format!("{:?} is not a time zone; name one as America/Chicago", calendar.zone));
        }
    }
    if !config.groups.contains_key(&calendar.group) {
        wrong.add("/group", format!("{} is not a priority group; choose one of the list", calendar.group));
    }
    if !(1..=LATEST).contains(&calendar.late_limit_s) {
        wrong.add("/late_limit_s", format!("must be from 1 to {LATEST} seconds"));
    }
    let same = |other: &&Calendar| other.id != calendar.id && other.name.eq_ignore_ascii_case(calendar.name.trim());
    if config.calendars.values().any(|other| same(&other)) {
        wrong.add("/name", "is taken by another calendar; choose another");
    }
    templates(calendar, config, &mut wrong);
    for day in Weekday::ALL {
        if let Some(name) = calendar.week.on(day).filter(|name| calendar.template(name).is_none()) {
            wrong.add(format!("/week/{}", day.name().to_lowercase()), no_template(name));
        }
    }
    exceptions(calendar, &mut wrong);
    wrong.0
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { path: path.into(), message: message.into() });
    }

    fn name(&mut self, path: String, text: &str) {
        match text.trim() {
            "" => self.add(path, "must not be empty"),
            trimmed if trimmed != text => self.add(path, "must not begin or end with a space"),
            _ if text.chars().count() > NAME => self.add(path, format!("must have at most {NAME} characters")),
            _ if text.chars().any(char::is_control) => self.add(path, "must be one line of text"),
            _ => {}
        }
    }
}

fn no_template(name: &str) -> String {
    format!("{name:?} is not a day template of this calendar")
}

fn templates(calendar: &Calendar, config: &Config, wrong: &mut Faults) {
    if calendar.templates.len() > TEMPLATES {
        wrong.add("/templates", format!("must be at most {TEMPLATES}"));
    }
    let mut names = BTreeSet::new();
    for (index, template) in calendar.templates.iter().enumerate() {
        let path = format!("/templates/{index}");
        wrong.name(format!("{path}/name"), &template.name);
        if !names.insert(template.name.to_lowercase()) {
            wrong.add(format!("{path}/name"), "is taken by another day template; choose another");
        }
        if template.events.len() > EVENTS {
            wrong.add(format!("{path}/events"), format!("must be at most {EVENTS}"));
        }
        let mut names = BTreeSet::new();
        for (index, event) in template.events.iter().enumerate() {
            let path = format!("{path}/events/{index}");
            wrong.name(format!("{path}/name"), &event.name);
            if !names.insert(event.name.to_lowercase()) {
                wrong.add(format!("{path}/name"), format!("{:?} stands twice in this day; choose another", event.name));
            }
            let earlier = &template.events[..index];
            started(event, earlier, config, &path, wrong);
        }
    }
}

fn started(event: &CalendarEvent, earlier: &[CalendarEvent], config: &Config, path: &str, wrong: &mut Faults) {
    for (number, notification) in event.notifications.iter().enumerate() {
        if !config.notifications.contains_key(notification) {
            wrong.add(format!("{path}/notifications/{number}"), format!("{notification} is not a notification"));
        } else if event.notifications[..number].contains(notification) {
            wrong.add(format!("{path}/notifications/{number}"), format!("{notification} is named twice"));
        }
        let both = |other: &&CalendarEvent| other.at == event.at && other.notifications.contains(notification);
        if let Some(other) = earlier.iter().find(both) {
            wrong.add(format!("{path}/at"), format!("starts at {} what {:?} starts then too", event.at, other.name));
        }
    }
}

fn exceptions(calendar: &Calendar, wrong: &mut Faults) {
    if calendar.exceptions.len() > EXCEPTIONS {
        wrong.add("/exceptions", format!("must be at most {EXCEPTIONS}; delete those that are over"));
        return;
    }
    for (index, exception) in calendar.exceptions.iter().enumerate() {
        let path = format!("/exceptions/{index}");
        wrong.name(format!("{path}/reason"), &exception.reason);
        if exception.to < exception.from {
            wrong.add(format!("{path}/to"), format!("must not be before {}", exception.from));
        }
        if let Some(name) = exception.template.as_deref().filter(|name| calendar.template(name).is_none()) {
            wrong.add(format!("{path}/template"), no_template(name));
        }
        for other in &calendar.exceptions[..index] {
            let overlap = other.from <= exception.to && exception.from <= other.to;
            if overlap && other.days() == exception.days() {
                let text =
                    format!("overlaps with {:?} ({} to {}), which is as long", other.reason, other.from, other.to);
                wrong.add(format!("{path}/from"), text);
            }
        }
    }
}
