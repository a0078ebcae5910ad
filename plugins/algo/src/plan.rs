//! From an endpoint and an announcement to commands and destinations, by what is known of the device. No IO.

use std::net::SocketAddr;

use onealert_plugin_api::document::Priority;
use serde_json::json;

use crate::{
    device::Known,
    model::{self, Ability},
    reason::Reason,
    settings::{Endpoint, What},
    urgency,
    wire::{self, Command, Multicast},
};

/// A part of a device that one announcement has at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// The stored tone that plays.
    Tone,
    /// The light.
    Strobe,
    /// The screen.
    Screen,
    /// The stored emergency announcement.
    Announcement,
    /// The relay output.
    Relay,
}

/// What an announcement says, as far as a device is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// How urgent.
    pub priority: Priority,
    /// Title and text in one line.
    pub text: String,
}

impl Content {
    /// Of a title and a text, either of which may be missing.
    pub fn new(priority: Priority, title: &str, body: &str) -> Content {
        let (title, body) = (title.trim(), body.trim());
        let text = match (title, body) {
            ("", text) | (text, "") => text.to_owned(),
            (title, body) if body.starts_with(title) => body.to_owned(),
            (title, body) => format!("{title}: {body}"),
        };
        Content { priority, text }
    }
}

/// What to send to begin and to end, and what may be claimed once the device has accepted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it takes hold of.
    pub function: Function,
    /// Begins it.
    pub start: Command,
    /// Ends it.
    pub stop: Vec<Command>,
    /// For people.
    pub note: String,
}

/// What this kind of endpoint takes hold of; nothing for sound, which arrives by multicast.
pub fn function(what: What) -> Option<Function> {
    match what {
        What::Zone => None,
        What::Tone => Some(Function::Tone),
        What::Strobe => Some(Function::Strobe),
        What::Screen => Some(Function::Screen),
        What::Announcement => Some(Function::Announcement),
        What::Relay => Some(Function::Relay),
    }
}

fn ability(endpoint: &Endpoint) -> &'static Ability {
    match endpoint.what {
        What::Zone => &model::ZONE,
        What::Tone => &model::TONE,
        What::Strobe => &model::STROBE,
        What::Screen if endpoint.slide.trim().is_empty() => &model::SCREEN_TEXT,
        What::Screen => &model::SCREEN,
        What::Announcement => &model::ANNOUNCEMENT,
        What::Relay => &model::RELAY,
    }
}

/// Whether the device can do what the endpoint asks of it.
///
/// # Errors
/// It cannot; the text names the family, the firmware floor or the pattern.
pub fn possible(endpoint: &Endpoint, known: &Known) -> Result<(), Reason> {
    model::allow(ability(endpoint), known.model, &known.age)?;
    if let (What::Strobe, Some(pattern), Some(patterns)) =
        (endpoint.what, endpoint.pattern, model::patterns(known.model))
        && !patterns.contains(&pattern)
    {
        return Err(Reason::Pattern {
            model: known.model.unwrap_or_default().to_owned(),
            pattern,
            known: patterns.iter().map(u8::to_string).collect::<Vec<_>>().join(", "),
        });
    }
    Ok(())
}

/// What to send. Not for sound.
///
/// # Errors
/// The device cannot do it; nothing is sent then.
pub fn plan(endpoint: &Endpoint, content: &Content, known: &Known) -> Result<Plan, Reason> {
    possible(endpoint, known)?;
    let Some(function) = function(endpoint.what) else {
        return Err(Reason::Endpoint("sound is sent by multicast, not by command".to_owned()));
    };
    let (start, note) = match function {
        Function::Tone => {
            let tone = tone(endpoint, content.priority);
            let repeats = urgency::repeats(endpoint.repeat, content.priority);
            let how = if repeats { "repeating" } else { "once" };
            let start = Command::control("tone/start", Some(json!({"path": tone, "loop": repeats})));
            (start, format!("tone {tone}, {how}"))
        }
        Function::Strobe => {
            let pattern = endpoint.pattern.unwrap_or_else(|| urgency::pattern(known.model, content.priority));
            let colour = urgency::colour(endpoint.colour, content.priority);
            let mut body = json!({"pattern": pattern, "color1": colour});
            if let Some(level) = urgency::brightness(known.model, endpoint.brightness) {
                body["ledlvl"] = json!(level);
            }
            (Command::control("strobe/start", Some(body)), format!("strobe pattern {pattern}, {colour}"))
        }
        Function::Screen => screen(endpoint, content)?,
        Function::Announcement => {
            let number = endpoint.announcement.unwrap_or(1);
            let start = Command::control("emergency-alert/start", Some(json!({"announcement": number})));
            (start, format!("emergency announcement {number}"))
        }
        Function::Relay => (Command::control("relay/enable", None), "relay on".to_owned()),
    };
    let stop = stop(endpoint, Some(content.priority), known);
    Ok(Plan { function, start, stop, note: format!("device accepted {note}") })
}

fn screen(endpoint: &Endpoint, content: &Content) -> Result<(Command, String), Reason> {
    let slide = endpoint.slide.trim();
    if !slide.is_empty() {
        let start = Command::control("screen/start", Some(json!({"screenName": slide})));
        return Ok((start, format!("slide {slide}")));
    }
    if content.text.is_empty() {
        return Err(Reason::Endpoint("the announcement has no text to show".to_owned()));
    }
    let size = serde_json::to_value(endpoint.text_size).unwrap_or_default();
    let body = json!({"textContent": content.text, "textSize": size, "textPosition": "middle"});
    Ok((Command::control("screen-text/start", Some(body)), "text on its screen".to_owned()))
}

fn tone(endpoint: &Endpoint, priority: Priority) -> String {
    match endpoint.tone.trim() {
        "" => urgency::tone(priority).to_owned(),
        given => given.to_owned(),
    }
}

/// What ends whatever the endpoint began. Without the urgency, as after a restart, every tone that it may have been is named
/// where the firmware wants a name.
pub fn stop(endpoint: &Endpoint, priority: Option<Priority>, known: &Known) -> Vec<Command> {
    let plain = |what: &str| vec![Command::control(what, None)];
    match endpoint.what {
        What::Zone => Vec::new(),
        What::Tone if known.age.stops_tones_by_name() => {
            let all = [Priority::Music, Priority::Bell, Priority::Page, Priority::Alert, Priority::Emergency];
            let mut tones: Vec<String> = all
                .into_iter()
                .filter(|any| priority.is_none_or(|priority| priority == *any))
                .map(|any| tone(endpoint, any))
                .collect();
            tones.dedup();
            tones.iter().map(|tone| Command::control("tone/stop", Some(json!({"path": tone})))).collect()
        }
        What::Tone => plain("tone/stop"),
        What::Strobe => plain("strobe/stop"),
        What::Screen if endpoint.slide.trim().is_empty() => plain("screen-text/stop"),
        What::Screen => plain("screen/stop"),
        What::Announcement => plain("emergency-alert/stop"),
        What::Relay => plain("relay/disable"),
    }
}

/// The zones whose addresses the endpoint needs to be known.
pub fn zones_to_read(endpoint: &Endpoint) -> Vec<u8> {
    match (endpoint.what, endpoint.zone) {
        (What::Zone, Some(zone)) => vec![zone],
        (What::Zone, None) => (1..=9).collect(),
        _ => Vec::new(),
    }
}

/// Where the audio for this endpoint goes: the zone's number and its address as the device has it.
///
/// # Errors
/// The device does not listen, has no such zone, or has not been asked yet.
pub fn zone(endpoint: &Endpoint, priority: Priority, known: &Known) -> Result<(u8, SocketAddr), Reason> {
    listens(known)?;
    let address = |zone: u8| known.zones.get(&zone).and_then(|value| wire::zone_address(value));
    match endpoint.zone {
        Some(zone) => match known.zones.get(&zone) {
            Some(_) => address(zone).map(|addr| (zone, addr)).ok_or_else(|| Reason::NoZone(zone.to_string())),
            None => Err(unread(zone)),
        },
        None => {
            let by_port = |role: urgency::ZoneRole| {
                known.zones.keys().find_map(|zone| {
                    let addr = address(*zone)?;
                    let factory =
                        addr.ip() == std::net::IpAddr::from([224, 0, 2, 60]) && addr.port() == role.factory_port();
                    factory.then_some((*zone, addr))
                })
            };
            // A device whose addresses were all changed has no telling role left but that of zone 1, which is all call.
            by_port(urgency::zone_role(priority))
                .or_else(|| by_port(urgency::ZoneRole::AllCall))
                .or_else(|| address(1).map(|addr| (1, addr)))
                .ok_or_else(|| if known.zones.is_empty() { unread(1) } else { Reason::NoZone("1".to_owned()) })
        }
    }
}

fn unread(zone: u8) -> Reason {
    Reason::ZonesUnknown(Box::new(Reason::Unreachable(format!("zone {zone} has not been read since the start"))))
}

/// Whether the device listens to multicast at all. Its status says so in documented words; the setting's numbers are not
/// documented but for 1.
fn listens(known: &Known) -> Result<(), Reason> {
    let setting = known.multicast_mode.as_deref();
    match &known.status.multicast {
        Some(Multicast::Idle | Multicast::Active(_)) => Ok(()),
        Some(Multicast::Off) => Err(Reason::Mode("disabled".to_owned())),
        Some(Multicast::Transmitter) => Err(Reason::Mode("set to transmit".to_owned())),
        None if setting == Some("1") => Err(Reason::Mode("set to transmit".to_owned())),
        None if setting == Some("0") => Err(Reason::Mode("disabled".to_owned())),
        None => Ok(()),
    }
}

/// The zones as part of a health line, such as `, zone 3 is 224.0.2.60:50004`.
///
/// # Errors
/// As [`zone`].
pub fn zones(endpoint: &Endpoint, known: &Known) -> Result<String, Reason> {
    if endpoint.zone.is_some() {
        let (number, addr) = zone(endpoint, Priority::Page, known)?;
        return Ok(format!(", zone {number} is {addr}"));
    }
    let mut said = Vec::new();
    for (word, priority) in
        [("emergencies", Priority::Emergency), ("pages", Priority::Page), ("music", Priority::Music)]
    {
        let (number, addr) = zone(endpoint, priority, known)?;
        said.push(format!("{word} by zone {number} at {addr}"));
    }
    Ok(format!(", {}", said.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Age;

    fn endpoint(json: serde_json::Value) -> Endpoint {
        let mut whole = json!({"host": "10.0.0.161", "password": "algo"});
        whole.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    fn known(model: &'static str, firmware: &str, zones: &[(u8, &str)]) -> Known {
        Known {
            product: format!("Algo {model}"),
            model: Some(model),
            age: Age::Known(firmware.parse().unwrap()),
            zones: zones.iter().map(|(zone, addr)| (*zone, (*addr).to_owned())).collect(),
            ..Known::default()
        }
    }

    fn content(priority: Priority) -> Content {
        Content::new(priority, "Lockdown", "Stay inside")
    }

    #[test]
    fn tones_repeat_for_emergencies_and_are_stopped_by_name_on_old_firmware() {
        let tone = endpoint(json!({"what": "tone"}));
        let new = plan(&tone, &content(Priority::Emergency), &known("8180", "5.7", &[])).unwrap();
        assert_eq!(new.start.body, r#"{"loop":true,"path":"warble4-trill.wav"}"#);
        assert_eq!(new.stop, [Command::control("tone/stop", None)]);
        let old = plan(&tone, &content(Priority::Bell), &known("8180", "5.4.2", &[])).unwrap();
        assert_eq!(old.start.body, r#"{"loop":false,"path":"bell-na.wav"}"#);
        assert_eq!(old.stop, [Command::control("tone/stop", Some(json!({"path": "bell-na.wav"})))]);
        assert_eq!(stop(&tone, None, &known("8180", "5.4.2", &[])).len(), 5);
    }

    #[test]
    fn strobes_speak_each_models_own_scale() {
        let strobe = endpoint(json!({"what": "strobe", "brightness": "high"}));
        let body = |model| plan(&strobe, &content(Priority::Emergency), &known(model, "5.5", &[])).unwrap().start.body;
        assert_eq!(body("8190S"), r#"{"color1":"red","ledlvl":3,"pattern":7}"#);
        assert_eq!(body("8128"), r#"{"color1":"red","ledlvl":255,"pattern":13}"#);
        assert_eq!(body("8420"), r#"{"color1":"red","ledlvl":255,"pattern":14}"#);
        let wrong = endpoint(json!({"what": "strobe", "pattern": 12}));
        let reason = plan(&wrong, &content(Priority::Page), &known("8190S", "5.5", &[])).unwrap_err().to_string();
        assert!(reason.contains("pattern 12") && reason.contains("0, 1, 2"), "{reason}");
    }

    #[test]
    fn screens_need_5_7_for_text_and_5_3_4_for_slides() {
        let text = endpoint(json!({"what": "screen"}));
        let slide = endpoint(json!({"what": "screen", "slide": "evacuate"}));
        let shown = plan(&text, &content(Priority::Alert), &known("8410", "5.7", &[])).unwrap();
        assert!(shown.start.body.contains(r#""textContent":"Lockdown: Stay inside""#), "{}", shown.start.body);
        assert!(matches!(
            plan(&text, &content(Priority::Alert), &known("8410", "5.6", &[])),
            Err(Reason::Floor { .. })
        ));
        let old = plan(&slide, &content(Priority::Alert), &known("8410", "5.3.4", &[])).unwrap();
        assert_eq!(old.start.path, "/api/controls/screen/start");
        assert!(plan(&slide, &content(Priority::Alert), &known("8410", "5.3.3", &[])).is_err());
    }

    #[test]
    fn zones_are_what_the_device_says_and_nothing_is_assumed() {
        let three = endpoint(json!({"what": "zone", "zone": 3}));
        let device = known("8180", "5.7", &[(3, "239.1.2.3:6000")]);
        assert_eq!(zone(&three, Priority::Page, &device), Ok((3, "239.1.2.3:6000".parse().unwrap())));
        assert!(matches!(zone(&three, Priority::Page, &known("8180", "5.7", &[])), Err(Reason::ZonesUnknown(_))));
        let empty = known("8180", "5.7", &[(3, "")]);
        assert_eq!(zone(&three, Priority::Page, &empty), Err(Reason::NoZone("3".to_owned())));
        let mut transmitter = device.clone();
        transmitter.status.multicast = Some(Multicast::Transmitter);
        assert!(matches!(zone(&three, Priority::Page, &transmitter), Err(Reason::Mode(_))));
    }

    #[test]
    fn urgency_chooses_the_zone_by_its_factory_role_wherever_it_stands() {
        let any = endpoint(json!({"what": "zone"}));
        let device = known("8180", "5.7", &[(1, "224.0.2.60:50002"), (4, "224.0.2.60:50001"), (6, "224.0.2.60:50000")]);
        let number = |priority| zone(&any, priority, &device).unwrap().0;
        assert_eq!(number(Priority::Emergency), 4);
        assert_eq!(number(Priority::Alert), 4);
        assert_eq!(number(Priority::Page), 1);
        assert_eq!(number(Priority::Bell), 1);
        assert_eq!(number(Priority::Music), 6);
        let changed = known("8180", "5.7", &[(1, "239.0.1.10:5004"), (2, "239.0.1.11:5004")]);
        assert_eq!(zone(&any, Priority::Emergency, &changed).unwrap().0, 1);
    }

    #[test]
    fn title_and_text_become_one_line() {
        let line = |title, body| Content::new(Priority::Page, title, body).text;
        assert_eq!(line("Fire", "Leave the building"), "Fire: Leave the building");
        assert_eq!(line("Fire", ""), "Fire");
        assert_eq!(line("", "Leave"), "Leave");
        assert_eq!(line("Fire", "Fire: leave"), "Fire: leave");
    }
}
