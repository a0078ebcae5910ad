//! What a device is doing.

use std::{collections::BTreeMap, time::Instant};

use serde_json::Value;

/// A stored tone that plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tone {
    /// Its file.
    pub path: String,
    /// Whether it starts over.
    pub looped: bool,
    /// When it ends by itself.
    pub until: Option<Instant>,
    /// Whether it is sent to multicast too.
    pub multicast: bool,
}

/// A flashing light.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strobe {
    /// The pattern's number.
    pub pattern: i64,
    /// The colour.
    pub color1: String,
    /// The second colour.
    pub color2: Option<String>,
    /// Brightness, on the model's own scale.
    pub level: Option<i64>,
    /// When it ends by itself.
    pub until: Option<Instant>,
}

/// What the device's phone line does; the words are those of `Call Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Call {
    /// Nothing.
    #[default]
    Idle,
    /// Somebody calls.
    Ringing,
    /// A page plays.
    Connected,
}

impl Call {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Call::Idle => "Idle",
            Call::Ringing => "Ringing",
            Call::Connected => "Connected",
        }
    }
}

/// Everything that requests can change.
#[derive(Debug, Clone, PartialEq)]
pub struct AlgoState {
    /// Whether the RESTful API is on; a factory reset turns it off.
    pub api: bool,
    /// The tone that plays.
    pub tone: Option<Tone>,
    /// A test tone plays.
    pub test: bool,
    /// The emergency announcement that plays.
    pub announcement: Option<i64>,
    /// The light.
    pub strobe: Option<Strobe>,
    /// What `screen/start` shows, as it was sent.
    pub screen: Option<Value>,
    /// When that ends by itself.
    pub screen_until: Option<Instant>,
    /// What `screen-text/start` shows, as it was sent.
    pub text: Option<Value>,
    /// When that ends by itself.
    pub text_until: Option<Instant>,
    /// The phone line.
    pub call: Call,
    /// The extension that the device called by order.
    pub called: Option<String>,
    /// The port of the direct audio stream, while one is open.
    pub stream_port: Option<u16>,
    /// The relay output.
    pub relay: bool,
    /// The 24 V output.
    pub supply: bool,
    /// The door.
    pub door_unlocked: bool,
    /// The measured noise, as it was set by `noise/update`.
    pub noise: Option<String>,
    /// Every setting.
    pub settings: BTreeMap<String, String>,
    /// How many times it rebooted or reloaded.
    pub restarts: u32,
}

impl AlgoState {
    /// The text that the screen shows.
    pub fn shown_text(&self) -> Option<&str> {
        self.text.as_ref()?.get("textContent")?.as_str()
    }

    /// The page volume, as the setting has it.
    pub fn volume(&self) -> &str {
        self.settings.get("audio.page.vol").map_or("", String::as_str)
    }

    /// Whether nothing sounds, flashes or shows.
    pub fn is_quiet(&self) -> bool {
        self.tone.is_none()
            && !self.test
            && self.announcement.is_none()
            && self.strobe.is_none()
            && self.screen.is_none()
            && self.text.is_none()
            && !self.relay
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        let over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        if self.tone.as_ref().is_some_and(|tone| over(tone.until)) {
            self.tone = None;
        }
        if self.strobe.as_ref().is_some_and(|strobe| over(strobe.until)) {
            self.strobe = None;
        }
        if over(self.screen_until) {
            (self.screen, self.screen_until) = (None, None);
        }
        if over(self.text_until) {
            (self.text, self.text_until) = (None, None);
        }
    }

    /// Everything that a restart ends.
    pub(crate) fn quiet(&mut self) {
        let (settings, api, restarts) = (std::mem::take(&mut self.settings), self.api, self.restarts);
        *self = AlgoState { settings, api, restarts: restarts + 1, ..AlgoState::new() };
    }

    pub(crate) fn new() -> AlgoState {
        AlgoState {
            api: true,
            tone: None,
            test: false,
            announcement: None,
            strobe: None,
            screen: None,
            screen_until: None,
            text: None,
            text_until: None,
            call: Call::Idle,
            called: None,
            stream_port: None,
            relay: false,
            supply: false,
            door_unlocked: false,
            noise: None,
            settings: BTreeMap::new(),
            restarts: 0,
        }
    }
}
