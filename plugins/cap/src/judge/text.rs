//! What is said: one language of what may be many, the areas of everything that matched, and the fields for templates and
//! records.

use std::collections::BTreeMap;

use onealert_plugin_api::document::{Action, TriggerEvent};

use super::{
    filter::{Found, Rules},
    sets,
};
use crate::wire::{Alert, Info, Status, problem::shorten};

/// Longest text sent: several times what is ever read out.
const BODY: usize = 20_000;

/// The event that a message becomes.
pub fn event(trigger: &str, key: &str, action: Action, alert: &Alert, found: &Found, rules: &Rules) -> TriggerEvent {
    let index = choose(alert, found, &rules.settings.language);
    let info = &alert.infos[index];
    let word = test_word(alert, rules);
    let title = if info.headline.is_empty() { &info.event } else { &info.headline };
    let mut body = info.description.clone();
    if !info.instruction.is_empty() {
        if !body.is_empty() {
            body.push_str("\n\n");
        }
        body.push_str(&info.instruction);
    }
    if body.is_empty() {
        body.clone_from(title);
    }
    let (title, body) = match word {
        Some(word) => (format!("{word}: {title}"), format!("{word}. {body}")),
        None => (title.clone(), body),
    };
    let source = if info.sender_name.is_empty() { alert.sender.clone() } else { info.sender_name.clone() };
    TriggerEvent {
        trigger: trigger.to_owned(),
        key: key.to_owned(),
        action,
        replaces: Vec::new(),
        title: shorten(&title, 500),
        body: shorten(&body, BODY),
        location: shorten(&places(alert, found, info), 2_000),
        coordinates: coordinates(info),
        source,
        expires_ms: Some(found.ends_ms),
        fields: fields(alert, info),
    }
}

/// The word that a test begins with.
fn test_word(alert: &Alert, rules: &Rules) -> Option<&'static str> {
    if !rules.settings.test_words {
        return None;
    }
    match alert.status {
        Some(Status::Exercise) => Some("EXERCISE"),
        Some(Status::Test) => Some("TEST"),
        _ => rules.test_code(alert).map(|_| "TEST"),
    }
}

/// The block to say: the worst of those that matched, in the wanted language, else in the base language, else as it matched.
fn choose(alert: &Alert, found: &Found, language: &str) -> usize {
    let worst = found
        .blocks
        .iter()
        .copied()
        .max_by_key(|index| {
            let info = &alert.infos[*index];
            // The first of equals: `max_by_key` takes the last.
            (info.severity, info.urgency, info.certainty, std::cmp::Reverse(*index))
        })
        .unwrap_or(0);
    let meaning = Meaning::of(&alert.infos[worst]);
    let translations: Vec<usize> = (0..alert.infos.len())
        .filter(|index| *index == worst || Meaning::of(&alert.infos[*index]) == meaning)
        .collect();
    let wanted = plain(language);
    let base = |tag: &str| tag.split('-').next().unwrap_or_default().to_owned();
    let find = |fits: &dyn Fn(&str) -> bool| {
        translations.iter().copied().find(|index| fits(&plain(&alert.infos[*index].language)))
    };
    find(&|tag| tag == wanted).or_else(|| find(&|tag| base(tag) == base(&wanted))).unwrap_or(worst)
}

/// `en_US` and `EN-us` are one language.
fn plain(tag: &str) -> String {
    tag.trim().replace('_', "-").to_ascii_lowercase()
}

/// What translations of one block have in common. Blocks for other areas or levels are no translations.
#[derive(PartialEq)]
struct Meaning<'a> {
    codes: Vec<&'a str>,
    places: Vec<&'a str>,
    shapes: usize,
    levels: (crate::wire::Severity, crate::wire::Urgency, crate::wire::Certainty),
}

impl<'a> Meaning<'a> {
    fn of(info: &'a Info) -> Meaning<'a> {
        let mut codes: Vec<&str> = info.event_codes.iter().map(|code| code.value.as_str()).collect();
        codes.sort_unstable();
        let mut places: Vec<&str> =
            info.areas.iter().flat_map(|area| &area.geocodes).map(|code| code.value.as_str()).collect();
        places.sort_unstable();
        let shapes = info.areas.iter().map(|area| area.polygons.len() + area.circles.len()).sum();
        Meaning { codes, places, shapes, levels: (info.severity, info.urgency, info.certainty) }
    }
}

/// The areas of every block that matched, in the language that is said where it has them.
fn places(alert: &Alert, found: &Found, chosen: &Info) -> String {
    let mut names: Vec<&str> = chosen.areas.iter().map(|area| area.description.as_str()).collect();
    for index in &found.blocks {
        let info = &alert.infos[*index];
        if plain(&info.language) == plain(&chosen.language) {
            names.extend(info.areas.iter().map(|area| area.description.as_str()));
        }
    }
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !name.is_empty() && !once.contains(&name) {
            once.push(name);
        }
    }
    once.join("; ")
}

/// The middle of the first shape.
fn coordinates(info: &Info) -> String {
    let circle = info.areas.iter().flat_map(|area| &area.circles).next().map(|circle| circle.centre);
    let middle = info.areas.iter().flat_map(|area| &area.polygons).next().map(|polygon| polygon.middle()).or(circle);
    middle.map_or_else(String::new, |point| format!("{:.4},{:.4}", point.lat, point.lon))
}

fn fields(alert: &Alert, info: &Info) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut put = |name: &str, value: &str| {
        if !value.is_empty() {
            fields.insert(name.to_owned(), shorten(value, 1_000));
        }
    };
    put("identifier", &alert.identifier);
    put("sender", &alert.sender);
    put("sent", alert.sent.as_ref().map_or("", |sent| &sent.text));
    put("status", alert.status.map_or("", Status::word));
    put("msg_type", alert.msg_type.map_or("", crate::wire::MsgType::word));
    put("event", &info.event);
    put("severity", info.severity.word());
    put("urgency", info.urgency.word());
    put("certainty", info.certainty.word());
    put("language", &info.language);
    put("headline", &info.headline);
    put("instruction", &info.instruction);
    put("expires", info.expires.as_ref().map_or("", |expires| &expires.text));
    put("web", &info.web);
    put("contact", &info.contact);
    put("event_code", sets::codes(info).chain(sets::canada(info)).next().unwrap_or_default());
    put("vtec", info.parameter("VTEC").next().unwrap_or_default());
    fields
}
