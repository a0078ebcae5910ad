//! One simulated device: requests in, answers out, without sockets.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use super::{
    actions, auth,
    config::{AlgoConfig, Auth, MulticastMode},
    model::{self, Role},
    state::AlgoState,
    unix_now,
};

/// A request, read in full.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Incoming {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What the device says to a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Why it was refused.
    pub refusal: String,
    /// The device goes silent for this long once the answer is out.
    pub silent: Option<Duration>,
    /// The zones have to be joined anew.
    pub rejoin: bool,
}

impl Answer {
    pub(crate) fn ok(body: &Value) -> Answer {
        Answer::with(200, body.to_string(), "")
    }

    /// An action that was carried out. Choice: the body is empty; the vendor speaks of an empty body or a short text.
    pub(crate) fn done() -> Answer {
        Answer::with(200, String::new(), "")
    }

    /// Choice, all of it: which status, and a JSON body that says why. The vendor documents neither.
    pub(crate) fn refused(status: u16, why: impl Into<String>) -> Answer {
        let why = why.into();
        Answer::with(status, json!({"error": why}).to_string(), &why)
    }

    fn with(status: u16, body: String, refusal: &str) -> Answer {
        Answer { status, body: body.into_bytes(), refusal: refusal.to_owned(), silent: None, rejoin: false }
    }
}

pub(crate) struct Device {
    pub config: AlgoConfig,
    product: &'static str,
    roles: &'static [Role],
    firmware: Vec<u32>,
    state: AlgoState,
}

impl Device {
    pub(crate) fn new(config: AlgoConfig) -> Device {
        let (product, roles) = model::find(&config.model);
        let firmware = model::version(&config.firmware);
        let mut state = AlgoState { api: config.api, ..AlgoState::new() };
        state.settings = settings(&config);
        Device { config, product, roles, firmware, state }
    }

    pub(crate) fn state(&self) -> &AlgoState {
        &self.state
    }

    pub(crate) fn state_mut(&mut self) -> &mut AlgoState {
        &mut self.state
    }

    /// What it is doing at this moment, after everything that ran out has ended.
    pub(crate) fn expired(&mut self, now: Instant) -> &AlgoState {
        self.state.expire(now);
        &self.state
    }

    pub(crate) fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub(crate) fn model(&self) -> &str {
        &self.config.model
    }

    /// Whether its firmware is this one or a later one.
    pub(crate) fn has_firmware(&self, floor: &[u32]) -> bool {
        self.firmware.as_slice() >= floor
    }

    /// Choice: `tone/stop` wants the path up to every 5.4.x.
    pub(crate) fn firmware_is_at_most_5_4(&self) -> bool {
        self.firmware.get(..2).is_some_and(|start| start <= [5, 4].as_slice())
    }

    pub(crate) fn multicast_mode(&self) -> MulticastMode {
        match self.state.settings.get("mcast.mode").map(String::as_str) {
            Some("1") => MulticastMode::Transmitter,
            // Choice: 2 for receiver; the vendor's text names 1 only.
            Some("2") => MulticastMode::Receiver,
            _ => MulticastMode::Off,
        }
    }

    /// The device's own time, in Unix seconds.
    pub(crate) fn clock(&self) -> i64 {
        unix_now() + self.config.clock_offset_s
    }

    /// Everything a loss of power ends.
    pub(crate) fn restart(&mut self) {
        self.state.quiet();
    }

    /// Answers a request. `playing` is the zone that is heard at this moment.
    pub(crate) fn handle(&mut self, request: &Incoming, playing: Option<u8>, now: Instant) -> Answer {
        self.state.expire(now);
        // Choice: a device whose API is off does not know any of its paths.
        if !self.state.api {
            return Answer::refused(404, "not found");
        }
        // Choice: 401 for every refused signature.
        if let Err(why) = auth::check(&self.config, self.clock(), request) {
            return Answer::refused(401, why);
        }
        match request.method.as_str() {
            "GET" => self.read(&request.path, playing),
            "PUT" if request.path == "/api/settings" => match object(&request.body) {
                Ok(body) => self.put_settings(&body),
                Err(why) => Answer::refused(400, why),
            },
            "POST" => match object(&request.body) {
                Ok(body) => actions::perform(self, &request.path, &body, now),
                Err(why) => Answer::refused(400, why),
            },
            _ => Answer::refused(404, "not found"),
        }
    }

    fn read(&self, path: &str, playing: Option<u8>) -> Answer {
        let unknown = || Answer::refused(404, "not found");
        let below = |floor: &[u32]| !self.has_firmware(floor);
        match path {
            "/api/info/about" | "/api/info/status" if below(&[5, 4]) => unknown(),
            "/api/info/about" => Answer::ok(&json!({
                "Product Name": self.product,
                "Firmware Version": self.config.firmware,
                "MAC Address": self.config.mac,
                "Hardware Info": "Simulated, Rev A",
                "Manufacturer Certificate": "Not Installed",
            })),
            "/api/info/status" => Answer::ok(&self.status(playing)),
            "/api/info/tonelist" if below(&[5]) || !self.has_tones() => unknown(),
            "/api/info/tonelist" => Answer::ok(&json!({"tonelist": model::TONES})),
            "/api/info/input.relay.status" if below(&[3, 3]) || self.is(Role::Console) => unknown(),
            "/api/info/input.relay.status" => Answer::ok(&json!({"input.relay.status": "Idle"})),
            "/api/info/audio.noise.level" if !(self.is(Role::Speaker) || self.is(Role::Console)) => unknown(),
            "/api/info/audio.noise.level" => {
                Answer::ok(&json!({"audio.noise.level": self.state.noise.as_deref().unwrap_or("54")}))
            }
            _ => match path.strip_prefix("/api/settings/") {
                // Choice: a parameter that the device does not have is not found.
                Some(parameter) => match self.state.settings.get(parameter) {
                    Some(value) => Answer::ok(&json!({parameter: value})),
                    None => unknown(),
                },
                None => unknown(),
            },
        }
    }

    pub(crate) fn has_tones(&self) -> bool {
        self.is(Role::Speaker) || self.is(Role::Adapter) || self.is(Role::Intercom)
    }

    /// The device reports no stored tone and no strobe here: neither do we.
    fn status(&self, playing: Option<u8>) -> Value {
        let multicast = match (self.multicast_mode(), playing) {
            (MulticastMode::Off, _) => "Disabled".to_owned(),
            (MulticastMode::Transmitter, _) => "Transmitter (Idle)".to_owned(),
            (MulticastMode::Receiver, None) => "Receiver (Idle)".to_owned(),
            // Choice: how the zone is written.
            (MulticastMode::Receiver, Some(zone)) => format!("Receiver (Active) Zone {zone}"),
        };
        let clock = jiff::Timestamp::from_second(self.clock()).unwrap_or_default();
        let mut status = json!({
            "Device Name": self.config.name,
            "SIP Registration": ["Page: Successful", "Ring: Disabled"],
            "Call Status": self.state.call.word(),
            "Provisioning Status": "Complete",
            "MAC": self.config.mac,
            "IPv4": self.config.bind.to_string(),
            "Date / Time": clock.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        });
        if !self.is(Role::Console) {
            status["Relay Input Status"] = json!("Idle");
        }
        if self.has_multicast() {
            status["Multicast Mode"] = json!(multicast);
        }
        if self.has_tones() {
            status["Volume"] = json!(format!("Page: {}", self.state.volume()));
        }
        status
    }

    fn has_multicast(&self) -> bool {
        !self.is(Role::Console) && !self.is(Role::Controller)
    }

    fn put_settings(&mut self, body: &Map<String, Value>) -> Answer {
        if !self.has_firmware(&[3, 3]) {
            return Answer::refused(404, "not found");
        }
        let mut new = Vec::new();
        for (parameter, value) in body {
            let Some(value) = value.as_str() else {
                return Answer::refused(400, format!("{parameter}: not a text"));
            };
            // Choice: a value out of range is refused, and then nothing of the request is saved.
            if let Err(why) = acceptable(parameter, value) {
                return Answer::refused(400, why);
            }
            new.push((parameter.clone(), value.to_owned()));
        }
        self.state.settings.extend(new);
        Answer::done()
    }
}

impl super::Shared {
    /// Answers a request and does what follows from it outside the device itself.
    pub(crate) fn handle(&self, request: &Incoming) -> Answer {
        let playing = self.playing_zone();
        let (answer, settings) = {
            let mut device = self.device();
            let answer = device.handle(request, playing, Instant::now());
            let settings = answer.rejoin.then(|| device.state().settings.clone());
            (answer, settings)
        };
        if let Some(Err(error)) = settings.map(|settings| self.zones.apply(&settings)) {
            tracing::warn!("simulated device: zones after a reload: {error}");
        }
        answer
    }
}

fn settings(config: &AlgoConfig) -> BTreeMap<String, String> {
    let mode = match config.multicast {
        MulticastMode::Off => "0",
        MulticastMode::Transmitter => "1",
        MulticastMode::Receiver => "2",
    };
    let auth = match config.auth {
        Auth::Standard => "0",
        Auth::Basic => "1",
        Auth::None => "-1",
    };
    let mut settings: BTreeMap<String, String> = [
        ("audio.page.vol", "-12dB"),
        ("audio.ring.vol", "-12dB"),
        ("audio.vol.spk", "-12dB"),
        ("audio.noise.use", "0"),
        ("audio.mic.mute", "0"),
        ("mcast.mode", mode),
        ("mcast.zones.exp", if config.zones.keys().any(|zone| *zone > 9) { "1" } else { "0" }),
        ("sip.proxy", ""),
        ("admin.web.api", "1"),
        ("api.auth.basic", auth),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    settings.insert("api.auth.tsvar".to_owned(), config.tolerance_s.to_string());
    settings.extend(config.zones.iter().map(|(zone, addr)| (format!("mcast.zone{zone}"), addr.to_string())));
    settings
}

/// Whether a value is one that the parameter can have.
fn acceptable(parameter: &str, value: &str) -> Result<(), String> {
    let steps = |low: i64, high: i64| {
        let level = value.strip_suffix("dB").and_then(|number| number.parse::<i64>().ok());
        match level {
            Some(level) if (low..=high).contains(&level) && level % 3 == 0 => Ok(()),
            _ => Err(format!("{parameter}: `{value}` is not {low}dB to {high}dB in steps of 3 dB")),
        }
    };
    match parameter {
        "audio.page.vol" | "audio.ring.vol" | "audio.vol.spk" => steps(-45, 0),
        "audio.input.gain" => steps(-27, 6),
        "audio.noise.use" | "audio.mic.mute" | "mcast.zones.exp" | "admin.web.api" => match value {
            "0" | "1" => Ok(()),
            _ => Err(format!("{parameter}: `{value}` is not 0 or 1")),
        },
        _ if parameter.starts_with("mcast.zone") => match value.parse::<std::net::SocketAddrV4>() {
            Ok(addr) if addr.ip().is_multicast() && addr.port() > 0 => Ok(()),
            _ => Err(format!("{parameter}: `{value}` is not a multicast address and port")),
        },
        _ => Ok(()),
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, String> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("the body is not a JSON object".to_owned()),
        Err(error) => Err(format!("the body is not JSON: {error}")),
    }
}
