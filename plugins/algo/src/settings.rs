//! What an administrator sets: once for the driver, and once for each endpoint.

use http_client::Fingerprint;
use onealert_plugin_api::document::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the Algo driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Settings {
    /// Seconds between two looks at a device. The vendor asks for 5 or more.
    #[schemars(range(min = 5, max = 300))]
    pub poll_seconds: u32,
    /// Longest time for one command to a device, in milliseconds.
    #[schemars(range(min = 500, max = 10000))]
    pub deadline_ms: u32,
    /// How many devices are told at the same time.
    #[schemars(range(min = 1, max = 1000))]
    pub parallel: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { poll_seconds: 5, deadline_ms: 3000, parallel: 256 }
    }
}

impl Settings {
    /// What is wrong with the settings.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut within = |path: &str, value: u32, low: u32, high: u32| {
            if !(low..=high).contains(&value) {
                let message = format!("must be from {low} to {high}, not {value}");
                problems.push(Problem { path: path.to_owned(), message });
            }
        };
        within("/poll_seconds", self.poll_seconds, 5, 300);
        within("/deadline_ms", self.deadline_ms, 500, 10_000);
        within("/parallel", self.parallel, 1, 1000);
        problems
    }
}

/// How the device is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// https, and http where the device offers no https.
    #[default]
    Auto,
    /// Only https.
    Https,
    /// http, unless the device sends us to https.
    Http,
}

/// How the device wants to be asked; Advanced Settings > Admin > RESTful API on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Standard: every request is signed. The vendor's advice.
    #[default]
    Standard,
    /// Basic: the password travels with every request, over https only.
    Basic,
    /// None: anybody on the network may command the device.
    None,
}

/// What this endpoint uses of the device. A device with several abilities gets one endpoint for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Sound: the announcement's audio, by multicast to a zone that the device listens to.
    Zone,
    /// Stored tone: a sound file on the device.
    Tone,
    /// Strobe light.
    Strobe,
    /// Screen: the announcement's text, or a stored slide.
    Screen,
    /// Stored emergency announcement.
    Announcement,
    /// Relay output of a door controller.
    Relay,
}

/// How often a stored tone plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Until the end for emergencies and alerts, once for everything else.
    #[default]
    ByUrgency,
    /// Once.
    Once,
    /// Until the announcement ends.
    UntilEnd,
}

/// The colour of a strobe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Red for emergencies, amber for alerts, blue for pages, green for bells and music.
    #[default]
    ByUrgency,
    /// Red.
    Red,
    /// Blue.
    Blue,
    /// Green.
    Green,
    /// Amber.
    Amber,
}

/// How bright a strobe flashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Brightness {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    #[default]
    High,
}

/// The size of text on a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextSize {
    /// Tiny.
    Tiny,
    /// Small.
    Small,
    /// Medium.
    #[default]
    Medium,
    /// Large.
    Large,
}

/// One endpoint: a device, and what is used of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-order" = [
    "host", "port", "scheme", "auth", "password", "certificate", "what", "zone", "volume_db", "tone", "repeat", "announcement",
    "pattern", "colour", "brightness", "slide", "text_size"
]))]
pub struct Endpoint {
    /// Host name or IP address of the device.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Port of the device's pages. Empty: 443 for https, 80 for http.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// How the device is reached.
    #[serde(default)]
    #[schemars(title = "How it is reached")]
    pub scheme: Scheme,
    /// Authentication method that is chosen on the device.
    #[serde(default)]
    #[schemars(title = "Authentication")]
    pub auth: Auth,
    /// RESTful API password of the device.
    #[serde(default)]
    #[schemars(length(max = 200), extend("writeOnly" = true, "format" = "password"))]
    pub password: String,
    /// SHA-256 fingerprint of the device's certificate, 64 hexadecimal digits. Empty: any certificate is accepted, because the
    /// devices make their own.
    #[serde(default)]
    #[schemars(length(max = 120))]
    #[schemars(title = "Certificate's fingerprint")]
    pub certificate: String,
    /// What is used of the device.
    #[schemars(title = "What is used")]
    pub what: What,
    /// For sound: number of the multicast zone on the device. Empty: priority call for emergencies and alerts, music for music,
    /// all call for the rest.
    #[serde(default)]
    #[schemars(range(min = 1, max = 50))]
    pub zone: Option<u8>,
    /// For a stored tone: its file name on the device, such as chime.wav. Empty: one that fits the urgency.
    #[serde(default)]
    #[schemars(length(max = 200))]
    #[schemars(title = "Stored tone")]
    pub tone: String,
    /// For a stored tone: how often it plays.
    #[serde(default)]
    #[schemars(title = "How often the tone plays")]
    pub repeat: Repeat,
    /// For a stored emergency announcement: its number.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10))]
    pub announcement: Option<u8>,
    /// For a strobe: the pattern's number on this model. Empty: one that fits the urgency.
    #[serde(default)]
    #[schemars(range(min = 0, max = 15))]
    #[schemars(title = "Strobe pattern")]
    pub pattern: Option<u8>,
    /// For a strobe: its colour.
    #[serde(default)]
    pub colour: Colour,
    /// For a strobe: how bright.
    #[serde(default)]
    pub brightness: Brightness,
    /// For a screen: name of a slide stored on the device, shown in place of the announcement's text.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub slide: String,
    /// For a screen: size of the text.
    #[serde(default)]
    pub text_size: TextSize,
    /// For sound and stored tones: volume while it sounds, in dB from -45 to 0 in steps of 3; it is set back afterwards. Empty:
    /// as the device is set.
    #[serde(default)]
    #[schemars(range(min = -45, max = 0), extend("multipleOf" = 3))]
    #[schemars(title = "Volume, in dB")]
    pub volume_db: Option<i8>,
}

impl Endpoint {
    /// What of this makes no sense, whatever the device is.
    ///
    /// # Errors
    /// Names the field and the value.
    pub fn judge(&self) -> Result<(), String> {
        let host = self.host.trim();
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#')) {
            return Err(format!("host `{}` is not a host name or IP address", self.host));
        }
        if !self.certificate.trim().is_empty() {
            self.fingerprint().map_err(|why| format!("certificate: {why}"))?;
        }
        if let Some(zone) = self.zone.filter(|zone| !(1..=50).contains(zone)) {
            return Err(format!("zone {zone} is not 1 to 50"));
        }
        if let Some(number) = self.announcement.filter(|number| !(1..=10).contains(number)) {
            return Err(format!("announcement {number} is not 1 to 10"));
        }
        if self.what == What::Announcement && self.announcement.is_none() {
            return Err("announcement: enter the number of the stored emergency announcement, 1 to 10".to_owned());
        }
        if let Some(volume) = self.volume_db.filter(|volume| !(-45..=0).contains(volume) || volume % 3 != 0) {
            return Err(format!("volume {volume} dB is not -45 to 0 in steps of 3"));
        }
        Ok(())
    }

    /// The pinned certificate, if one is.
    pub(crate) fn fingerprint(&self) -> Result<Option<Fingerprint>, String> {
        match self.certificate.trim() {
            "" => Ok(None),
            text => text.parse().map(Some),
        }
    }
}
