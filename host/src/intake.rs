//! From "something happened" to what is asked of the core: which activations start, which stop. No IO.

use std::{collections::BTreeMap, sync::Arc};

use onealert_core::{
    activation::{Content, activation_id},
    calendar::{self, Occurrence, Plan},
    config::{Behaviour, Config, DEFAULT_GROUP, Notification, OnTakeover, Trigger},
    ids::{ActivationId, DriverId, EndpointId, EventKey, GroupId, NotificationId, TriggerId},
    time::{Span, Wall},
    version::DriverVersion,
};
use onealert_plugin_api::document::{Action, TriggerEvent};

use crate::payload::{Variables, freeze};

/// What is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Everything that this event started.
    Event(EventKey),
    /// Every running activation of this notification.
    Notification(NotificationId),
    /// One activation.
    Activation(ActivationId),
    /// Every running activation.
    All,
}

/// What a trigger event asks of the core, in order: first the endings, then the starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// What ends.
    pub endings: Vec<Ending>,
    /// What starts.
    pub starts: Vec<Content>,
}

/// Why a trigger event cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// No such trigger.
    #[error("trigger {0:?} is not configured on this server")]
    UnknownTrigger(String),
    /// The trigger belongs to somebody else.
    #[error("trigger {trigger:?} belongs to driver {owner}, not to {caller}")]
    NotYours {
        /// Which trigger.
        trigger: String,
        /// Whose it is.
        owner: String,
        /// Who spoke.
        caller: DriverId,
    },
    /// No such notification.
    #[error("notification {0:?} is not configured on this server")]
    UnknownNotification(String),
}

/// Who and when: what every activation made here has in common.
#[derive(Debug, Clone, Copy)]
pub struct Here<'a> {
    /// The configuration to freeze from.
    pub config: &'a Config,
    /// This moment.
    pub wall: Wall,
}

/// What an event that a driver reports asks for.
///
/// # Errors
/// The trigger is unknown here or belongs to another driver.
pub fn from_driver(here: Here<'_>, caller: &DriverId, event: &TriggerEvent, drawn: u128) -> Result<Asked, IntakeError> {
    let id = TriggerId::from(event.trigger.as_str());
    let trigger = here.config.triggers.get(&id).ok_or_else(|| IntakeError::UnknownTrigger(event.trigger.clone()))?;
    if trigger.driver.as_ref() != Some(caller) {
        let owner = trigger.driver.as_ref().map_or("no driver", DriverId::as_str).to_owned();
        return Err(IntakeError::NotYours { trigger: event.trigger.clone(), owner, caller: caller.clone() });
    }
    Ok(from_event(here, trigger, event, drawn))
}

/// What an event of a known trigger asks for. `drawn` names it if the event brings no key.
pub fn from_event(here: Here<'_>, trigger: &Trigger, event: &TriggerEvent, drawn: u128) -> Asked {
    let key_of = |key: &str| EventKey(format!("{}/{key}", trigger.id));
    let mut asked = Asked::default();
    if event.action != Action::Start {
        asked.endings.extend(event.replaces.iter().map(|key| Ending::Event(key_of(key))));
    }
    if event.action == Action::Stop {
        return asked;
    }
    let key = if event.key.is_empty() { key_of(&format!("{drawn:032x}")) } else { key_of(&event.key) };
    let mut variables = Variables::default();
    variables
        .set("activatorTitle", event.title.as_str())
        .set("activatorBody", event.body.as_str())
        .set("activatorLocation", event.location.as_str())
        .set("activatorCoordinates", event.coordinates.as_str())
        .set("callerID", event.source.as_str());
    let mine = here.config.notifications.values().filter(|notification| notification.triggers.contains(&trigger.id));
    for notification in mine {
        match trigger.behaviour {
            Behaviour::Start => {
                let late = trigger.late_limit_ms.map(|limit| here.wall + Span::millis(limit));
                let expires = [late, event.expires_ms.map(Wall)].into_iter().flatten().min();
                let content =
                    content(here, notification, &trigger.group, key.clone(), expires, &variables, &trigger.name);
                asked.starts.push(content);
            }
            Behaviour::Stop => asked.endings.push(Ending::Notification(notification.id.clone())),
        }
    }
    asked
}

/// What an event of a calendar asks for: the same to the last byte on every server that computes it, whenever it does. So
/// it counts as accepted when it is due, and says the time of the calendar's zone.
pub fn from_occurrence(config: &Config, plan: &Plan, occurrence: &Occurrence) -> Vec<Content> {
    let calendar = plan.calendar();
    let here = Here { config, wall: occurrence.due };
    let mut variables = Variables::default();
    let (date, time) = plan.local(occurrence.due);
    variables
        .set("activatorTitle", occurrence.event.as_str())
        .set("activatorLocation", calendar.name.as_str())
        .set("callerID", calendar::ACTIVATOR)
        .set("dateLocal", date)
        .set("timeLocal", time);
    let cause = format!("{}: {}", calendar.name, occurrence.event);
    let known = occurrence.notifications.iter().filter_map(|id| config.notifications.get(id));
    let started = known.map(|notification| Content {
        due: Some(occurrence.due),
        // A bell rings once, even where it was cut short.
        on_takeover: OnTakeover::SkipStarted,
        ..content(here, notification, &calendar.group, occurrence.key(), Some(occurrence.expires), &variables, &cause)
    });
    started.collect()
}

/// What a person or program asks for who sends a notification by name. `drawn` makes the event its own; the same
/// idempotency key gives the same event.
///
/// # Errors
/// The notification is unknown here.
pub fn from_send(
    here: Here<'_>,
    notification: &NotificationId,
    user: &str,
    idempotency_key: Option<&str>,
    drawn: u128,
) -> Result<Content, IntakeError> {
    let unknown = || IntakeError::UnknownNotification(notification.to_string());
    let notification = here.config.notifications.get(notification).ok_or_else(unknown)?;
    let key = match idempotency_key {
        Some(key) => EventKey(format!("send/{user}/{key}")),
        None => EventKey(format!("send/{drawn:032x}")),
    };
    // A notification sent by hand goes the way its first trigger would go.
    let first = notification.triggers.iter().find_map(|id| here.config.triggers.get(id));
    let group = first.map_or_else(|| GroupId::from(DEFAULT_GROUP), |trigger| trigger.group.clone());
    let mut variables = Variables::default();
    variables.set("callerID", user);
    Ok(content(here, notification, &group, key, None, &variables, user))
}

fn content(
    here: Here<'_>,
    notification: &Notification,
    group: &GroupId,
    key: EventKey,
    expires: Option<Wall>,
    variables: &Variables,
    cause: &str,
) -> Content {
    let mut variables = variables.clone();
    variables.set("notificationName", notification.name.as_str());
    // What the caller has set counts: the first of a name does.
    for (name, value) in times(here.wall) {
        variables.set(name, value);
    }
    let payload = freeze(here.config, notification, &variables, cause);
    let text = serde_json::to_string(&payload).expect("a payload is plain data with text keys");
    Content {
        id: activation_id(&key, &notification.id),
        key,
        notification: notification.id.clone(),
        name: notification.name.clone(),
        priority: notification.priority,
        group: here.config.group_order(group),
        endpoints: notification.endpoints.clone(),
        needs: needs(here.config, &notification.endpoints),
        accepted: here.wall,
        due: None,
        expires,
        on_takeover: notification.on_takeover,
        payload: Arc::from(text),
        drill: None,
    }
}

/// The drivers that reach these endpoints, as the configuration has enabled them. What is disabled or unknown is on no server
/// and so speaks for none.
pub fn needs(config: &Config, endpoints: &[EndpointId]) -> BTreeMap<DriverId, DriverVersion> {
    let drivers = endpoints.iter().filter_map(|id| config.drivers.get(&config.endpoints.get(id)?.driver));
    let enabled = drivers.filter(|row| row.enabled);
    let needed =
        enabled.map(|row| (row.id.clone(), DriverVersion { version: row.version.clone(), sha256: row.sha256.clone() }));
    needed.collect()
}

/// The variables of date and time at acceptance.
fn times(wall: Wall) -> Vec<(&'static str, String)> {
    let Ok(instant) = jiff::Timestamp::from_millisecond(wall.0) else { return Vec::new() };
    let utc = instant.to_zoned(jiff::tz::TimeZone::UTC);
    let local = instant.to_zoned(jiff::tz::TimeZone::system());
    let (date, time) = ("%Y-%m-%d", "%H:%M");
    vec![
        ("dateUTC", utc.strftime(date).to_string()),
        ("timeUTC", utc.strftime(time).to_string()),
        ("dateLocal", local.strftime(date).to_string()),
        ("timeLocal", local.strftime(time).to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use onealert_core::{
        calendar::{Calendar, CalendarEvent, DayTemplate},
        config::{Change, Message, PriorityGroup, Role, Server, Table},
        ids::ServerId,
    };
    use serde_json::Value;

    fn config() -> Config {
        let server = Server {
            id: ServerId(1),
            name: "pa-1".into(),
            role: Role::Primary,
            mesh: "127.0.0.1:7400".into(),
            web: String::new(),
            key_sha256: String::new(),
            enrolled: Wall(0),
            deprovisioned: false,
        };
        let group =
            PriorityGroup { id: GroupId::from(DEFAULT_GROUP), name: "DEFAULT".into(), servers: vec![server.id] };
        let trigger = |id: &str, behaviour| Trigger {
            id: TriggerId::from(id),
            name: id.to_owned(),
            driver: Some(DriverId::from("org.cap")),
            settings: Value::Null,
            group: group.id.clone(),
            behaviour,
            late_limit_ms: None,
        };
        let notification = Notification {
            id: NotificationId::from("tornado"),
            name: "Tornado".into(),
            priority: Default::default(),
            triggers: vec![TriggerId::from("nws"), TriggerId::from("all-clear")],
            endpoints: Vec::new(),
            message: Message { title: "{activatorTitle}".into(), ..Message::default() },
            on_takeover: Default::default(),
        };
        let mut config = Config::default();
        let (start, stop) = (trigger("nws", Behaviour::Start), trigger("all-clear", Behaviour::Stop));
        for change in [
            Change::put(Table::Servers, &server.id.to_string(), &server),
            Change::put(Table::PriorityGroups, DEFAULT_GROUP, &group),
            Change::put(Table::Triggers, "nws", &start),
            Change::put(Table::Triggers, "all-clear", &stop),
            Change::put(Table::Notifications, "tornado", &notification),
        ] {
            config.apply(&change).expect("a good row");
        }
        config
    }

    fn asked(event: TriggerEvent) -> Result<Asked, IntakeError> {
        let config = config();
        let here = Here { config: &config, wall: Wall(1000) };
        from_driver(here, &DriverId::from("org.cap"), &event, 7)
    }

    #[test]
    fn an_alert_starts_its_notification_with_its_own_text() {
        let event =
            TriggerEvent { trigger: "nws".into(), key: "a,b,c".into(), title: "Tornado".into(), ..Default::default() };
        let asked = asked(event).expect("a known trigger");
        assert_eq!(asked.starts[0].key, EventKey("nws/a,b,c".into()));
        assert!(asked.starts[0].payload.contains("\"title\":\"Tornado\""), "{}", asked.starts[0].payload);
        assert_eq!(asked.starts[0].group, [ServerId(1)]);
    }

    #[test]
    fn an_update_ends_what_it_replaces_before_it_starts() {
        let event = TriggerEvent {
            trigger: "nws".into(),
            key: "new".into(),
            action: Action::Update,
            replaces: vec!["old".into()],
            ..Default::default()
        };
        let asked = asked(event).expect("a known trigger");
        assert_eq!(asked.endings, [Ending::Event(EventKey("nws/old".into()))]);
        assert_eq!(asked.starts.len(), 1);
    }

    #[test]
    fn a_stop_trigger_ends_its_notifications() {
        let asked = asked(TriggerEvent { trigger: "all-clear".into(), ..Default::default() }).expect("a known trigger");
        assert_eq!(asked.endings, [Ending::Notification(NotificationId::from("tornado"))]);
        assert!(asked.starts.is_empty());
    }

    #[test]
    fn a_driver_cannot_set_off_what_is_not_its_own() {
        let config = config();
        let here = Here { config: &config, wall: Wall(0) };
        let event = TriggerEvent { trigger: "nws".into(), ..Default::default() };
        let error = from_driver(here, &DriverId::from("org.other"), &event, 7).expect_err("not its trigger");
        assert_eq!(error.to_string(), "trigger \"nws\" belongs to driver org.cap, not to org.other");
    }

    #[test]
    fn a_bell_is_the_same_to_the_last_byte_whenever_it_is_computed_and_says_its_own_zone() {
        let mut config = config();
        let mut school = Calendar::new("school".into(), "School", "America/Chicago", GroupId::from(DEFAULT_GROUP));
        let first = CalendarEvent {
            name: "First bell".into(),
            at: "08:00".parse().expect("a time"),
            notifications: vec![NotificationId::from("tornado")],
            paused: false,
        };
        school.templates = vec![DayTemplate { name: "Normal".into(), events: vec![first] }];
        school.week.tuesday = Some("Normal".into());
        config.apply(&Change::put(Table::Calendars, "school", &school)).expect("a good row");
        let mut tornado = config.notifications[&NotificationId::from("tornado")].clone();
        tornado.message.title = "{activatorTitle} {dateLocal} {timeLocal} {activatorLocation}".into();
        config.apply(&Change::put(Table::Notifications, "tornado", &tornado)).expect("a good row");
        let plan = Plan::of(school).expect("a zone");
        let day = plan.on("2026-09-01".parse().expect("a date"));
        let made = from_occurrence(&config, &plan, &day[0]);
        assert_eq!(made, from_occurrence(&config, &plan, &day[0]));
        assert_eq!(made.len(), 1);
        assert_eq!((made[0].due, made[0].accepted), (Some(day[0].due), day[0].due));
        assert_eq!(made[0].expires, Some(day[0].due + Span::secs(30)));
        assert_eq!(made[0].group, [ServerId(1)]);
        assert!(made[0].payload.contains("First bell 2026-09-01 08:00 School"), "{}", made[0].payload);
    }

    #[test]
    fn the_same_idempotency_key_is_the_same_activation() {
        let config = config();
        let here = Here { config: &config, wall: Wall(0) };
        let send = |key, drawn| from_send(here, &NotificationId::from("tornado"), "ann", key, drawn).expect("known").id;
        assert_eq!(send(Some("k"), 1), send(Some("k"), 2));
        assert_ne!(send(None, 1), send(None, 2));
    }
}
