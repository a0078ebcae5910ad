//! Values as people read them: times, spans, counts and states. One place, so that every page says it the same way.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use onealert_core::{
    config::{Audio, Behaviour, OnTakeover, Priority, Role},
    effect::Outcome,
    time::Wall,
};

use crate::needs::State;

/// A small value, or a reference to one: templates hand on whichever they have.
pub trait Given<T> {
    /// The value.
    fn given(self) -> T;
}
impl<T: Copy> Given<T> for T {
    fn given(self) -> T {
        self
    }
}
impl<T: Copy> Given<T> for &T {
    fn given(self) -> T {
        *self
    }
}
impl<T: Copy> Given<T> for &&T {
    fn given(self) -> T {
        **self
    }
}

/// `2026-11-23 10:42:05 CET`, in the server's zone.
pub fn time(at: impl Given<Wall>) -> String {
    format(at.given(), "%Y-%m-%d %H:%M:%S %Z")
}

/// `10:42:05.123`, for a time line.
pub fn clock(at: impl Given<Wall>) -> String {
    let at = at.given();
    format!("{}.{:03}", format(at, "%H:%M:%S"), at.0.rem_euclid(1000))
}

/// `2026-11-23T10:42:05Z`, for machines.
pub fn iso(at: impl Given<Wall>) -> String {
    Timestamp::from_millisecond(at.given().0).map(|at| at.to_string()).unwrap_or_default()
}

/// A moment as a person or a program gives it: milliseconds since 1970, `2026-11-23T10:42:05Z`, or `2026-11-23T10:42` in the
/// server's zone.
///
/// # Errors
/// It is none of these; the text says so.
pub fn instant(text: &str) -> Result<Wall, String> {
    if let Ok(ms) = text.parse() {
        return Ok(Wall(ms));
    }
    let local = || text.parse::<jiff::civil::DateTime>().and_then(|at| at.to_zoned(TimeZone::system()));
    let stamp = text.parse::<Timestamp>().or_else(|_| local().map(|at| at.timestamp()));
    let wrong = |_| format!("{text:?} is no time; give it like 2026-11-23T10:42");
    stamp.map(|stamp| Wall(stamp.as_millisecond())).map_err(wrong)
}

fn format(at: Wall, form: &str) -> String {
    match Timestamp::from_millisecond(at.0) {
        Ok(stamp) => stamp.to_zoned(TimeZone::system()).strftime(form).to_string(),
        Err(_) => format!("{} ms", at.0),
    }
}

/// `380 ms`, `12 s`, `5 min`, `3 h`, `2 days`.
pub fn span(ms: impl Given<u64>) -> String {
    match ms.given() {
        ms @ 0..1000 => format!("{ms} ms"),
        ms @ 1000..120_000 => format!("{} s", ms / 1000),
        ms @ 120_000..7_200_000 => format!("{} min", ms / 60_000),
        ms @ 7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        ms => format!("{} days", ms / 86_400_000),
    }
}

/// How long something has lasted at a moment: `for 5 min`. Coarse, so that a page that is looked at does not flicker.
pub fn lasts(since: impl Given<Wall>, at: impl Given<Wall>) -> String {
    match u64::try_from(at.given().0.saturating_sub(since.given().0)).unwrap_or(0) {
        0..60_000 => "for less than a minute".to_owned(),
        ms @ 60_000..120_000 => format!("for {} min", ms / 60_000),
        ms => format!("for {}", span(ms)),
    }
}

/// The beginning of a checksum, enough to compare by eye.
pub fn checksum(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// `1 endpoint`, `3 endpoints`.
pub fn count(n: impl Given<usize>, one: &str, many: &str) -> String {
    let n = n.given();
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// The word of a state, in the plainest form.
pub fn state(state: impl Given<State>) -> &'static str {
    match state.given() {
        State::Ok => "OK",
        State::Warning => "Warning",
        State::Bad => "Fault",
    }
}

/// The class of a state in the styles.
pub fn state_class(state: impl Given<State>) -> &'static str {
    match state.given() {
        State::Ok => "ok",
        State::Warning => "warning",
        State::Bad => "bad",
    }
}

/// How a notification ended.
pub fn outcome(outcome: impl Given<Outcome>) -> &'static str {
    match outcome.given() {
        Outcome::Success => "Success",
        Outcome::Partial => "Partial success",
        Outcome::Error => "Error",
        Outcome::Stopped => "Stopped",
        Outcome::Missed => "Missed",
    }
}

/// How well that is.
pub fn outcome_state(outcome: impl Given<Outcome>) -> State {
    match outcome.given() {
        Outcome::Success => State::Ok,
        Outcome::Partial | Outcome::Stopped => State::Warning,
        Outcome::Error | Outcome::Missed => State::Bad,
    }
}

/// Every outcome with its word in addresses.
pub const OUTCOMES: [(Outcome, &str); 5] = [
    (Outcome::Success, "success"),
    (Outcome::Partial, "partial"),
    (Outcome::Error, "error"),
    (Outcome::Stopped, "stopped"),
    (Outcome::Missed, "missed"),
];

/// A server's role.
pub fn role(role: impl Given<Role>) -> &'static str {
    match role.given() {
        Role::Primary => "Primary",
        Role::Secondary => "Secondary",
    }
}

/// Every priority, highest first, with its posted value and its label.
pub const PRIORITIES: [(Priority, &str, &str); 5] = [
    (Priority::Emergency, "emergency", "Emergency"),
    (Priority::Alert, "alert", "Alert"),
    (Priority::Page, "page", "Page"),
    (Priority::Bell, "bell", "Bell"),
    (Priority::Music, "music", "Music"),
];

/// A priority's label.
pub fn priority(priority: Priority) -> &'static str {
    PRIORITIES.iter().find(|(known, _, _)| *known == priority).map_or("", |(_, _, label)| label)
}

/// A server's versions in the order and the words in which people ask for them; what is not known here comes last.
pub fn versions(known: &BTreeMap<String, String>) -> Vec<(String, String)> {
    const ASKED: [(&str, &str); 5] = [
        ("product", "Product"),
        ("platform", "Platform"),
        ("plugin api", "Driver contract"),
        ("schema", "Schema"),
        ("protocol", "Protocol"),
    ];
    let asked = ASKED.iter().filter_map(|(name, label)| Some(((*label).to_owned(), known.get(*name)?.clone())));
    let rest = known.iter().filter(|(name, _)| ASKED.iter().all(|(it, _)| it != name));
    asked.chain(rest.map(|(name, value)| (sentence(name), value.clone()))).collect()
}

/// With a capital letter in front.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What a successor does with audio already begun.
pub const TAKEOVERS: [(OnTakeover, &str, &str); 3] = [
    (OnTakeover::Replay, "replay", "Play it again from the beginning"),
    (OnTakeover::SkipStarted, "skip_started", "Do not play it again where it had begun"),
    (OnTakeover::Resume, "resume", "Go on where it stopped"),
];

/// What a trigger does.
pub const BEHAVIOURS: [(Behaviour, &str, &str); 2] =
    [(Behaviour::Start, "start", "Start notifications"), (Behaviour::Stop, "stop", "Stop notifications")];

/// What is heard.
pub fn audio(audio: &Audio) -> String {
    match audio {
        Audio::None => "no sound".to_owned(),
        Audio::Tone { name } => format!("tone {name}"),
        Audio::Speech => "spoken text".to_owned(),
        Audio::File { name } => format!("file {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_in_whole_minutes() {
        for (ms, words) in [
            (-5, "for less than a minute"),
            (59_999, "for less than a minute"),
            (60_000, "for 1 min"),
            (150_000, "for 2 min"),
            (7_200_000, "for 2 h"),
        ] {
            assert_eq!(lasts(Wall(1000), Wall(1000 + ms)), words);
        }
    }

    #[test]
    fn spans_use_the_unit_that_people_would() {
        for (ms, words) in
            [(0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (119_999, "119 s"), (120_000, "2 min"), (7_200_000, "2 h")]
        {
            assert_eq!(span(ms), words);
        }
    }

    #[test]
    fn times_out_of_range_do_not_panic() {
        for ms in [i64::MIN, i64::MAX, -1, 0] {
            assert!(!time(Wall(ms)).is_empty());
            assert!(clock(Wall(ms)).contains('.'));
        }
    }
}
