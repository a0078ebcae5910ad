//! One trigger's conditions against one message. Every condition that does not hold says so in words, so that an operator can
//! see which one it was.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{
    patterns::{code_fits, fits, is_sender, parameter_fits},
    places::Place,
    sets::{self, Set},
};
use crate::{
    settings::{LeastCertainty, LeastSeverity, LeastUrgency, TriggerSettings},
    wire::{Alert, Area, Certainty, Info, Scope, Severity, Status, Urgency},
};

/// A circle smaller than this counts as this large: some senders give a place and no radius.
const LEAST_CIRCLE_KM: f64 = 1.0;
/// A clock may be wrong by so much.
pub const CLOCK_MS: i64 = 120_000;

/// The conditions, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// `status` and test event codes.
    Status,
    /// `scope`.
    Scope,
    /// Allowed and refused senders.
    Sender,
    /// There is something to say.
    Content,
    /// The end has not come.
    Expiry,
    /// Sets, names and codes.
    Event,
    /// Least severity.
    Severity,
    /// Least urgency.
    Urgency,
    /// Least certainty.
    Certainty,
    /// Parameters.
    Parameters,
    /// Blocked channels.
    Channels,
    /// Codes and shapes.
    Area,
}

/// Why a message does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The first condition that failed, in the block that came furthest.
    pub condition: Condition,
    /// What was found and what was asked for.
    pub reason: String,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// What of a message matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The blocks that match, by their place in the message.
    pub blocks: Vec<usize>,
    /// When the last of them ends.
    pub ends_ms: i64,
    /// When it is to be sent.
    pub due_ms: i64,
    /// Whether it is a tornado.
    pub tornado: bool,
}

/// Whether a place is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// It is.
    Here,
    /// It is not.
    Elsewhere,
    /// The message does not say in a way that can be compared.
    Unknown,
}

/// A trigger's settings, ready to be asked.
#[derive(Debug, Clone)]
pub struct Rules {
    /// As they were set.
    pub settings: TriggerSettings,
    /// Event codes that are tests.
    test_codes: Vec<String>,
    places: Vec<Place>,
    /// Lower case, split at the stars.
    events: Vec<String>,
    /// Changes when a setting changes.
    pub fingerprint: String,
}

impl Rules {
    /// From settings.
    pub fn new(settings: TriggerSettings, test_codes: &[String]) -> Rules {
        let given = |list: &[String]| -> Vec<String> {
            list.iter().map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect()
        };
        // What is kept of the settings on the disk must not serve to guess what is secret of them.
        let open = TriggerSettings { url_query: String::new(), url_login: String::new(), ..settings.clone() };
        let text = serde_json::to_string(&open).expect("settings are plain data");
        let places = given(&settings.places).iter().map(|it| Place::parse(it)).collect();
        let events = given(&settings.events).iter().map(|it| it.to_lowercase()).collect();
        let fingerprint = hex(&Sha256::digest(text.as_bytes())[..8]);
        Rules { test_codes: given(test_codes), places, events, fingerprint, settings }
    }

    /// Whether any condition on the place was set.
    pub fn asks_where(&self) -> bool {
        !self.places.is_empty() || self.asks_shape()
    }

    fn asks_shape(&self) -> bool {
        self.settings.site.0.is_some() || self.settings.site_outline.0.is_some()
    }

    /// The conditions that stand above all blocks: they decide about cancellations too.
    pub fn admits(&self, alert: &Alert) -> Result<(), Miss> {
        let miss = |condition, reason: String| Err(Miss { condition, reason });
        let status = alert.status.unwrap_or(Status::Draft);
        let test = matches!(status, Status::Test | Status::Exercise);
        if status != Status::Actual && !(test && self.settings.tests) {
            return miss(Condition::Status, format!("status is {status}; this trigger acts on Actual only"));
        }
        if !self.settings.tests
            && let Some(code) = self.test_code(alert)
        {
            return miss(Condition::Status, format!("the event code {code} is a test, whatever the status says"));
        }
        if alert.scope != Scope::Public && !self.settings.restricted {
            return miss(Condition::Scope, format!("scope is {}; this trigger acts on Public only", alert.scope));
        }
        let from = |list: &[String]| list.iter().any(|wanted| is_sender(wanted, &alert.sender));
        if from(&self.settings.senders_refused) {
            return miss(Condition::Sender, format!("sender {} is refused by this trigger", alert.sender));
        }
        let some = self.settings.senders.iter().any(|it| !it.trim().is_empty());
        if some && !from(&self.settings.senders) {
            return miss(Condition::Sender, format!("sender {} is not in this trigger's list", alert.sender));
        }
        Ok(())
    }

    /// The event code by which a message is a test.
    pub fn test_code<'a>(&self, alert: &'a Alert) -> Option<&'a str> {
        let is_test = |code: &&str| self.test_codes.iter().any(|test| test.eq_ignore_ascii_case(code));
        alert.infos.iter().flat_map(|info| sets::codes(info).chain(sets::canada(info))).find(is_test)
    }

    /// What of a message matches now, or the condition that failed first.
    pub fn matches(&self, alert: &Alert, now_ms: i64) -> Result<Found, Miss> {
        self.admits(alert)?;
        let mut found: Option<Found> = None;
        let mut furthest =
            Miss { condition: Condition::Content, reason: "the message has no info block: nothing to say".to_owned() };
        for (index, info) in alert.infos.iter().enumerate() {
            match self.block(alert, info, now_ms) {
                Ok((ends_ms, due_ms)) => {
                    let tornado = sets::is_tornado(info);
                    let all = found.get_or_insert(Found { blocks: Vec::new(), ends_ms, due_ms, tornado });
                    all.blocks.push(index);
                    all.ends_ms = all.ends_ms.max(ends_ms);
                    all.due_ms = all.due_ms.min(due_ms);
                    all.tornado |= tornado;
                }
                Err(miss) if miss.condition >= furthest.condition => furthest = miss,
                Err(_) => {}
            }
        }
        found.ok_or(furthest)
    }

    fn block(&self, alert: &Alert, info: &Info, now_ms: i64) -> Result<(i64, i64), Miss> {
        let miss = |condition, reason: String| Err(Miss { condition, reason });
        let sent = alert.sent.as_ref().map_or(now_ms, |sent| sent.ms);
        let mut ends = self.ends_ms(info, sent);
        if ends <= now_ms {
            if ends + CLOCK_MS <= now_ms {
                return miss(
                    Condition::Expiry,
                    format!("expired on arrival: it ended {}", crate::wire::time::canonical(ends)),
                );
            }
            // By the sender's clock it may not be over yet, so it acts; and then for as long as that may be so. With its end in
            // the past it would be started, and ended by the next look at the clock.
            ends += CLOCK_MS;
        }
        if !self.is_wanted(info) {
            let codes: Vec<&str> = sets::codes(info).chain(sets::canada(info)).collect();
            let codes = if codes.is_empty() { String::new() } else { format!(" ({})", codes.join(", ")) };
            return miss(Condition::Event, format!("event {}{codes} is not one of this trigger's", info.event));
        }
        let s = &self.settings;
        let least = match s.severity {
            LeastSeverity::Any => None,
            LeastSeverity::Minor => Some(Severity::Minor),
            LeastSeverity::Moderate => Some(Severity::Moderate),
            LeastSeverity::Severe => Some(Severity::Severe),
            LeastSeverity::Extreme => Some(Severity::Extreme),
        };
        self.level("severity", info.severity, Severity::Unknown, least, Condition::Severity)?;
        let least = match s.urgency {
            LeastUrgency::Any => None,
            LeastUrgency::Past => Some(Urgency::Past),
            LeastUrgency::Future => Some(Urgency::Future),
            LeastUrgency::Expected => Some(Urgency::Expected),
            LeastUrgency::Immediate => Some(Urgency::Immediate),
        };
        self.level("urgency", info.urgency, Urgency::Unknown, least, Condition::Urgency)?;
        let least = match s.certainty {
            LeastCertainty::Any => None,
            LeastCertainty::Unlikely => Some(Certainty::Unlikely),
            LeastCertainty::Possible => Some(Certainty::Possible),
            LeastCertainty::Likely => Some(Certainty::Likely),
            LeastCertainty::Observed => Some(Certainty::Observed),
        };
        self.level("certainty", info.certainty, Certainty::Unknown, least, Condition::Certainty)?;
        if let Some(wanted) = s.parameters.iter().find(|wanted| !parameter_fits(wanted, info)) {
            return miss(Condition::Parameters, format!("no parameter fits `{}`", wanted.trim()));
        }
        let blocked = |channel: &&str| s.channels.iter().any(|ours| ours.trim().eq_ignore_ascii_case(channel));
        if let Some(channel) = info.parameter("BLOCKCHANNEL").find(blocked) {
            return miss(Condition::Channels, format!("it is not meant for the channel {channel} (BLOCKCHANNEL)"));
        }
        match self.place(info) {
            Where::Here => {}
            Where::Elsewhere => {
                let areas: Vec<&str> = info.areas.iter().map(|area| area.description.as_str()).collect();
                let areas = crate::wire::problem::shorten(&areas.join("; "), 120);
                return miss(Condition::Area, format!("the area is elsewhere: {areas}"));
            }
            Where::Unknown if s.unknown_area_passes => {}
            Where::Unknown => {
                let reason = "the area is unknown: the alert has neither a shape for the site nor codes for the places";
                return miss(Condition::Area, reason.to_owned());
            }
        }
        let begin = if s.at_onset { info.onset.as_ref().or(info.effective.as_ref()) } else { info.effective.as_ref() };
        Ok((ends, begin.map_or(sent, |begin| begin.ms)))
    }

    /// When a block is over: the end of the hazard where the sender names it, else the end of the message, else the limit.
    pub fn ends_ms(&self, info: &Info, sent_ms: i64) -> i64 {
        let hazard = info.parameter("eventEndingTime").find_map(crate::wire::time::parse).map(|end| end.ms);
        let default = sent_ms + i64::from(self.settings.default_hours) * 3_600_000;
        hazard.or(info.expires.as_ref().map(|expires| expires.ms)).unwrap_or(default)
    }

    fn is_wanted(&self, info: &Info) -> bool {
        let codes: Vec<&String> = self.settings.codes.iter().filter(|code| !code.trim().is_empty()).collect();
        if self.settings.sets.is_empty() && self.events.is_empty() && codes.is_empty() {
            return true;
        }
        let event = info.event.to_lowercase();
        self.settings.sets.iter().any(|set: &Set| set.holds(info))
            || self.events.iter().any(|pattern| fits(pattern, &event))
            || codes.into_iter().any(|code| code_fits(code, info))
    }

    fn level<T: PartialOrd + Copy + fmt::Display>(
        &self,
        name: &str,
        found: T,
        unknown: T,
        least: Option<T>,
        condition: Condition,
    ) -> Result<(), Miss> {
        let Some(least) = least else { return Ok(()) };
        if found == unknown {
            return if self.settings.unknown_passes {
                Ok(())
            } else {
                Err(Miss { condition, reason: format!("{name} is Unknown, and this trigger asks for {least} or more") })
            };
        }
        if found >= least {
            return Ok(());
        }
        Err(Miss { condition, reason: format!("{name} is {found}, and this trigger asks for {least} or more") })
    }

    /// Whether a block is about the trigger's place.
    pub fn place(&self, info: &Info) -> Where {
        if !self.asks_where() {
            return Where::Here;
        }
        let mut result = if info.areas.is_empty() { Where::Unknown } else { Where::Elsewhere };
        for area in &info.areas {
            match self.area(area) {
                Where::Here => return Where::Here,
                Where::Unknown => result = Where::Unknown,
                Where::Elsewhere => {}
            }
        }
        result
    }

    fn area(&self, area: &Area) -> Where {
        let here = |yes: bool| if yes { Where::Here } else { Where::Elsewhere };
        let has_shape = !area.polygons.is_empty() || !area.circles.is_empty();
        // A shape is more exact than the codes beside it.
        if self.asks_shape() && has_shape {
            return here(self.shape_covers(area));
        }
        if self.places.is_empty() || area.geocodes.is_empty() {
            return Where::Unknown;
        }
        here(area.geocodes.iter().any(|code| self.places.iter().any(|place| place.matches(&code.name, &code.value))))
    }

    fn shape_covers(&self, area: &Area) -> bool {
        let km = self.settings.site_km;
        let point = self.settings.site.0.is_some_and(|site| {
            area.polygons.iter().any(|polygon| polygon.within(site, km))
                || area.circles.iter().any(|circle| circle.within(site, km, LEAST_CIRCLE_KM))
        });
        point
            || self.settings.site_outline.0.as_ref().is_some_and(|outline| {
                area.polygons.iter().any(|polygon| polygon.intersects(outline))
                    || area.circles.iter().any(|it| outline.within(it.centre, it.radius_km.max(LEAST_CIRCLE_KM)))
            })
    }
}

/// Lower-case digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
