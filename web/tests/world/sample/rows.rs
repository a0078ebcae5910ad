//! Endpoints, triggers and notifications.

use std::collections::BTreeMap;

use onealert_core::{
    config::{Audio, Behaviour, DEFAULT_GROUP, Endpoint, Message, Notification, OnTakeover, Priority, Trigger},
    ids::{DriverId, EndpointId, GroupId, NotificationId, TriggerId},
};
use serde_json::{Value, json};

use super::{ALGO, CAP};

pub fn endpoints() -> BTreeMap<EndpointId, Endpoint> {
    let rows = [
        ("main-hall", "Main hall", "Building A", "10.0.1.20"),
        ("gym", "Gym", "Building B", "10.0.1.21"),
        ("pool", "Pool", "Building C", "10.0.1.22"),
        ("pool-strobe", "Pool strobe", "Building C", "10.0.1.23"),
        ("yard", "School yard", "Outside, north wall", "10.0.1.24"),
    ];
    let row = |(id, name, location, host): (&str, &str, &str, &str)| Endpoint {
        id: EndpointId::from(id),
        name: name.to_owned(),
        driver: DriverId::from(ALGO),
        address: json!({"host": host, "authentication": "hmac", "password": "endpoint-secret", "reached": "https", "volume": 7, "strobe": {"on": true, "colour": "red"}, "zones": []}),
        location: location.to_owned(),
    };
    rows.map(row).map(|row| (row.id.clone(), row)).into()
}

pub fn triggers() -> BTreeMap<TriggerId, Trigger> {
    let row = |id: &str, name: &str, driver: Option<&str>, group: &str, settings| Trigger {
        id: TriggerId::from(id),
        name: name.to_owned(),
        driver: driver.map(DriverId::from),
        settings,
        group: GroupId::from(group),
        behaviour: Behaviour::Start,
        late_limit_ms: None,
    };
    let feed = json!({"feed": "https://api.weather.example/alerts/active", "severity": "severe", "areas": ["OKC109"], "kinds": ["actual"]});
    let rows = [
        row("tornado", "Tornado warning", Some(CAP), DEFAULT_GROUP, feed.clone()),
        row("storm", "Severe thunderstorm", Some(CAP), "pool", feed),
        row("panic-button", "Panic button", None, DEFAULT_GROUP, Value::Null),
    ];
    rows.map(|row| (row.id.clone(), row)).into()
}

pub fn notifications() -> BTreeMap<NotificationId, Notification> {
    let row =
        |id: &str, name: &str, priority, triggers: &[&str], endpoints: &[&str], audio, title: &str| Notification {
            id: NotificationId::from(id),
            name: name.to_owned(),
            priority,
            triggers: triggers.iter().copied().map(TriggerId::from).collect(),
            endpoints: endpoints.iter().copied().map(EndpointId::from).collect(),
            message: Message {
                title: title.to_owned(),
                body: "{activatorBody}".to_owned(),
                audio,
                repeats: 2,
                ..serde_json::from_value(json!({})).expect("every field of a message has a default")
            },
            on_takeover: OnTakeover::Replay,
        };
    let all = ["main-hall", "gym", "pool", "pool-strobe", "yard"];
    let rows = [
        row(
            "lockdown",
            "Lockdown",
            Priority::Emergency,
            &["panic-button"],
            &all,
            Audio::File { name: "lockdown.wav".to_owned() },
            "Lockdown",
        ),
        row("weather", "Take shelter", Priority::Alert, &["tornado", "storm"], &all, Audio::Speech, "{activatorTitle}"),
        row(
            "all-clear",
            "All clear",
            Priority::Page,
            &[],
            &all,
            Audio::File { name: "all clear.wav".to_owned() },
            "All clear",
        ),
        row(
            "end-of-day",
            "End of day bell",
            Priority::Bell,
            &[],
            &all[..3],
            Audio::Tone { name: "bell".to_owned() },
            "",
        ),
    ];
    rows.map(|row| (row.id.clone(), row)).into()
}
