//! What a `POST` does: who may ask for it, from which firmware on, and what becomes of it.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{
    device::{Answer, Device},
    model::{self, Role},
    state::{Strobe, Tone},
};

type Body = Map<String, Value>;

/// Choice: how long a stored tone lasts that nobody loops. The vendor prints no lengths.
const TONE: Duration = Duration::from_secs(3);

/// A path, the firmware it came with (empty: all), the families that have it (empty: all), and what it does.
type Action =
    (&'static str, &'static [u32], &'static [Role], fn(&mut Device, &Body, Instant) -> Result<Answer, String>);

use Role::{Adapter, Console, Controller, Display, Door, Intercom, Scheduler, Speaker, Strobe as Light, Visual};

const TONES: &[Role] = &[Speaker, Adapter, Intercom];
const TESTS: &[Role] = &[Speaker, Adapter, Intercom, Visual];
const ALERTS: &[Role] = &[Speaker, Adapter, Visual];
const CALLS: &[Role] = &[Speaker, Scheduler, Controller];

const ACTIONS: &[Action] = &[
    ("/api/controls/tone/start", &[3, 3], TONES, tone_start),
    ("/api/controls/tone/stop", &[], TONES, tone_stop),
    ("/api/controls/test/start", &[5, 4], TESTS, |device, _, _| set(device, |device| device.state_mut().test = true)),
    ("/api/controls/test/loop", &[5, 4], TESTS, |device, _, _| set(device, |device| device.state_mut().test = true)),
    ("/api/controls/test/stop", &[5, 4], TESTS, |device, _, _| set(device, |device| device.state_mut().test = false)),
    ("/api/controls/emergency-alert/start", &[5, 7], ALERTS, alert_start),
    ("/api/controls/emergency-alert/stop", &[5, 7], ALERTS, |device, _, _| {
        set(device, |device| device.state_mut().announcement = None)
    }),
    ("/api/controls/strobe/start", &[], &[Light], strobe_start),
    ("/api/controls/strobe/stop", &[], &[Light], |device, _, _| set(device, |device| device.state_mut().strobe = None)),
    ("/api/controls/screen/start", &[5, 3, 4], &[Display], screen_start),
    ("/api/controls/screen/stop", &[5, 3, 4], &[Display], |device, _, _| {
        set(device, |device| (device.state_mut().screen, device.state_mut().screen_until) = (None, None))
    }),
    ("/api/controls/screen-text/start", &[5, 7], &[Display], text_start),
    ("/api/controls/screen-text/stop", &[5, 7], &[Display], |device, _, _| {
        set(device, |device| (device.state_mut().text, device.state_mut().text_until) = (None, None))
    }),
    ("/api/controls/call/start", &[], CALLS, call_start),
    ("/api/controls/call/stop", &[], CALLS, |device, _, _| set(device, |device| device.state_mut().called = None)),
    ("/api/controls/call/page", &[5, 3, 4], &[Speaker], |device, body, _| {
        let extension = text(body, "extension")?.ok_or("extension is missing")?;
        set(device, |device| device.state_mut().called = Some(extension))
    }),
    ("/api/controls/rx/start", &[5, 3, 4], &[], stream_start),
    ("/api/controls/rx/stop", &[5, 3, 4], &[], |device, _, _| {
        set(device, |device| device.state_mut().stream_port = None)
    }),
    ("/api/controls/noise/update", &[5, 4], &[Speaker, Scheduler, Console], |device, body, _| {
        let level = number(body, "level")?.ok_or("level is missing")?;
        set(device, |device| device.state_mut().noise = Some(level.to_string()))
    }),
    ("/api/controls/door/lock", &[], &[Door], |device, body, _| door(device, body, false)),
    ("/api/controls/door/unlock", &[], &[Door], |device, body, _| door(device, body, true)),
    ("/api/controls/relay/enable", &[5], &[Controller], |device, _, _| {
        set(device, |device| device.state_mut().relay = true)
    }),
    ("/api/controls/relay/disable", &[5], &[Controller], |device, _, _| {
        set(device, |device| device.state_mut().relay = false)
    }),
    ("/api/controls/24v/enable", &[5], &[Controller], |device, _, _| {
        set(device, |device| device.state_mut().supply = true)
    }),
    ("/api/controls/24v/disable", &[5], &[Controller], |device, _, _| {
        set(device, |device| device.state_mut().supply = false)
    }),
    ("/api/controls/reboot", &[], &[], |device, _, _| {
        device.restart();
        Ok(Answer { silent: Some(device.config.reboot), rejoin: true, ..Answer::done() })
    }),
    ("/api/controls/reload", &[], &[], |device, _, _| {
        device.restart();
        Ok(Answer { silent: Some(device.config.reload), rejoin: true, ..Answer::done() })
    }),
    ("/api/controls/upgrade/check", &[4, 1], &[], |_, _, _| Ok(Answer::ok(&json!({"version": "updated"})))),
    ("/api/settings/action/restore", &[5, 4], &[], factory_reset),
];

/// Carries out a `POST`.
pub(crate) fn perform(device: &mut Device, path: &str, body: &Body, now: Instant) -> Answer {
    // Choice: 404 for a path that the model or the firmware does not have, 400 for a value that cannot be.
    let Some((_, floor, roles, act)) = ACTIONS.iter().find(|(known, ..)| *known == path) else {
        return Answer::refused(404, "not found");
    };
    if !device.has_firmware(floor) {
        return Answer::refused(404, format!("firmware {} does not have this", device.config.firmware));
    }
    if !roles.is_empty() && !roles.iter().any(|role| device.is(*role)) {
        return Answer::refused(404, format!("model {} does not have this", device.model()));
    }
    act(device, body, now).unwrap_or_else(|why| Answer::refused(400, why))
}

fn set(device: &mut Device, change: impl FnOnce(&mut Device)) -> Result<Answer, String> {
    change(device);
    Ok(Answer::done())
}

fn tone_start(device: &mut Device, body: &Body, now: Instant) -> Result<Answer, String> {
    let path = text(body, "path")?.ok_or("path is missing")?;
    // Choice: a file that is not stored is refused.
    if !model::TONES.contains(&path.as_str()) {
        return Err(format!("path: `{path}` is not stored here"));
    }
    let looped = flag(body, "loop")?.ok_or("loop is missing")?;
    let duration = duration(device, body)?;
    let multicast = device.has_firmware(&[5, 6]) && flag(body, "mcast")?.unwrap_or(false);
    let until = duration.or((!looped).then_some(TONE)).map(|length| now + length);
    set(device, |device| device.state_mut().tone = Some(Tone { path, looped, until, multicast }))
}

fn tone_stop(device: &mut Device, body: &Body, _: Instant) -> Result<Answer, String> {
    if device.firmware_is_at_most_5_4() {
        let path = text(body, "path")?.ok_or("path is missing")?;
        // Choice: stopping another tone than the one that plays changes nothing.
        if device.state().tone.as_ref().is_some_and(|tone| tone.path != path) {
            return Ok(Answer::done());
        }
    }
    set(device, |device| device.state_mut().tone = None)
}

fn alert_start(device: &mut Device, body: &Body, _: Instant) -> Result<Answer, String> {
    let announcement = number(body, "announcement")?.ok_or("announcement is missing")?;
    if !(1..=10).contains(&announcement) {
        return Err(format!("announcement: {announcement} is not 1 to 10"));
    }
    set(device, |device| device.state_mut().announcement = Some(announcement))
}

fn strobe_start(device: &mut Device, body: &Body, now: Instant) -> Result<Answer, String> {
    let pattern = number(body, "pattern")?.ok_or("pattern is missing")?;
    if !model::patterns(device.model()).contains(&pattern) {
        return Err(format!("pattern: {pattern} is not one of model {}", device.model()));
    }
    let color1 = color(body, "color1")?.ok_or("color1 is missing")?;
    let color2 = color(body, "color2")?;
    let level = number(body, "ledlvl")?;
    if let Some(level) = level.filter(|level| !model::levels(device.model()).contains(level)) {
        return Err(format!("ledlvl: {level} is not one of model {}", device.model()));
    }
    let until = duration(device, body)?.map(|length| now + length);
    set(device, |device| device.state_mut().strobe = Some(Strobe { pattern, color1, color2, level, until }))
}

fn screen_start(device: &mut Device, body: &Body, now: Instant) -> Result<Answer, String> {
    let kinds = ["image", "digitalClock", "analogClock", "blitz", "template"];
    let kind = text(body, "type")?;
    let named = body.contains_key("screenName") || body.contains_key("slideNames");
    if !named && !kind.as_deref().is_some_and(|kind| kinds.contains(&kind)) {
        return Err("none of type, screenName and slideNames says what to show".to_owned());
    }
    let until =
        if device.has_firmware(&[5, 7]) { seconds(body, "stopAfter")?.map(|length| now + length) } else { None };
    let shown = Value::Object(body.clone());
    set(device, |device| (device.state_mut().screen, device.state_mut().screen_until) = (Some(shown), until))
}

fn text_start(device: &mut Device, body: &Body, now: Instant) -> Result<Answer, String> {
    text(body, "textContent")?.ok_or("textContent is missing")?;
    for (field, allowed) in
        [("textPosition", &["top", "middle", "bottom"][..]), ("textSize", &["tiny", "small", "medium", "large"])]
    {
        if let Some(value) = text(body, field)?.filter(|value| !allowed.contains(&value.as_str())) {
            return Err(format!("{field}: `{value}` is not one of {}", allowed.join(", ")));
        }
    }
    if let Some(speed) = number(body, "textScrollSpeed")?.filter(|speed| !(1..=5).contains(speed)) {
        return Err(format!("textScrollSpeed: {speed} is not 1 to 5"));
    }
    let until = seconds(body, "duration")?.map(|length| now + length);
    let shown = Value::Object(body.clone());
    set(device, |device| (device.state_mut().text, device.state_mut().text_until) = (Some(shown), until))
}

fn call_start(device: &mut Device, body: &Body, _: Instant) -> Result<Answer, String> {
    let extension = text(body, "extension")?.ok_or("extension is missing")?;
    text(body, "tone")?.ok_or("tone is missing")?;
    set(device, |device| device.state_mut().called = Some(extension))
}

fn stream_start(device: &mut Device, body: &Body, _: Instant) -> Result<Answer, String> {
    if device.is(Console) {
        return Ok(Answer::refused(404, "a console does not have this"));
    }
    let port = number(body, "port")?.ok_or("port is missing")?;
    let port =
        u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| format!("port: {port} is not a port"))?;
    set(device, |device| device.state_mut().stream_port = Some(port))
}

fn door(device: &mut Device, body: &Body, open: bool) -> Result<Answer, String> {
    match text(body, "doorid")?.as_deref() {
        Some("local" | "netdc1") => set(device, |device| device.state_mut().door_unlocked = open),
        Some(other) => Err(format!("doorid: `{other}` is not local or netdc1")),
        None => Err("doorid is missing".to_owned()),
    }
}

fn factory_reset(device: &mut Device, _: &Body, _: Instant) -> Result<Answer, String> {
    let factory = Device::new(super::AlgoConfig {
        api: false,
        password: "algo".to_owned(),
        zones: super::factory_zones(),
        ..device.config.clone()
    });
    let restarts = device.state().restarts + 1;
    *device = factory;
    device.state_mut().restarts = restarts;
    Ok(Answer { silent: Some(device.config.reboot), rejoin: true, ..Answer::done() })
}

/// `duration` in seconds, which firmware before 5.7 ignores.
fn duration(device: &Device, body: &Body) -> Result<Option<Duration>, String> {
    if device.has_firmware(&[5, 7]) { seconds(body, "duration") } else { Ok(None) }
}

fn seconds(body: &Body, field: &str) -> Result<Option<Duration>, String> {
    match number(body, field)? {
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
            Err(_) => Err(format!("{field}: {seconds} is negative")),
        },
        None => Ok(None),
    }
}

fn text(body: &Body, field: &str) -> Result<Option<String>, String> {
    match body.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("{field}: {other} is not a text")),
    }
}

/// A number, as a number or as digits: clients send both.
fn number(body: &Body, field: &str) -> Result<Option<i64>, String> {
    let bad = |value: &Value| format!("{field}: {value} is not a whole number");
    match body.get(field) {
        None => Ok(None),
        Some(value @ Value::Number(number)) => number.as_i64().map(Some).ok_or_else(|| bad(value)),
        Some(value @ Value::String(digits)) => digits.parse().map(Some).map_err(|_| bad(value)),
        Some(value) => Err(bad(value)),
    }
}

fn flag(body: &Body, field: &str) -> Result<Option<bool>, String> {
    match body.get(field) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(format!("{field}: {other} is not true or false")),
    }
}

fn color(body: &Body, field: &str) -> Result<Option<String>, String> {
    match text(body, field)? {
        Some(color) if !["red", "blue", "green", "amber"].contains(&color.as_str()) => {
            Err(format!("{field}: `{color}` is not red, blue, green or amber"))
        }
        color => Ok(color),
    }
}
