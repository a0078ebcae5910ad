//! What goes over the wire: commands, signatures, dates and the device's status, without IO.

use std::{net::SocketAddr, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::settings::Auth;

/// The user of the RESTful API; there is no other.
const USER: &str = "admin";

/// One request to a device, without anything that depends on the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// The body's bytes; empty for none.
    pub body: String,
}

impl Command {
    /// Reads something.
    pub fn get(path: &str) -> Command {
        Command { method: "GET", path: path.to_owned(), body: String::new() }
    }

    /// Reads a setting.
    pub fn get_setting(parameter: &str) -> Command {
        Command::get(&format!("/api/settings/{parameter}"))
    }

    /// Writes a setting.
    pub fn put_setting(parameter: &str, value: &str) -> Command {
        Command { method: "PUT", path: "/api/settings".to_owned(), body: json!({parameter: value}).to_string() }
    }

    /// Does something, with or without values.
    pub fn control(what: &str, body: Option<Value>) -> Command {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        Command { method: "POST", path: format!("/api/controls/{what}"), body }
    }

    /// Which device this is. Firmware 5.4 and later.
    pub fn about() -> Command {
        Command::get("/api/info/about")
    }

    /// How it is. Firmware 5.4 and later.
    pub fn status() -> Command {
        Command::get("/api/info/status")
    }

    /// For messages.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The headers that make a device accept the request. `at` is the moment in Unix seconds by the device's clock; `nonce` is new
/// for each request.
pub fn sign(auth: Auth, password: &str, command: &Command, at: i64, nonce: u64) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    let md5 = hex(&Md5::digest(command.body.as_bytes()));
    if !command.body.is_empty() {
        add("Content-Type", "application/json".to_owned());
    }
    match auth {
        Auth::None => {}
        Auth::Basic => add("Authorization", format!("Basic {}", BASE64.encode(format!("{USER}:{password}")))),
        Auth::Standard => {
            let text = if command.body.is_empty() {
                format!("{}:{}:{at}:{nonce}", command.method, command.path)
            } else {
                add("Content-MD5", md5.clone());
                format!("{}:{}:{md5}:application/json:{at}:{nonce}", command.method, command.path)
            };
            add("Date", http_date(at));
            add("Authorization", format!("hmac {USER}:{nonce}:{}", digest(password, &text)));
        }
    }
    headers
}

fn digest(password: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Unix seconds as an HTTP date.
pub fn http_date(unix: i64) -> String {
    let moment = jiff::Timestamp::from_second(unix).unwrap_or_default();
    // Years before 0 and after 9999 cannot be written; no clock that a request is signed by is there.
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap_or_default()
}

/// An HTTP date as Unix seconds.
pub fn read_http_date(text: &str) -> Option<i64> {
    let moment = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(moment.as_second())
}

/// What a device says about multicast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Multicast {
    /// Off.
    Off,
    /// It sends.
    Transmitter,
    /// It listens, and nothing comes.
    Idle,
    /// It plays; the zone where it says which.
    Active(Option<u8>),
}

/// What a device says about itself, as far as we use it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// `Multicast Mode`, where the device has it and says something that is known.
    pub multicast: Option<Multicast>,
    /// The same in its own words.
    pub multicast_text: String,
    /// `Call Status`, where it is not idle.
    pub call: Option<String>,
}

impl Status {
    /// Reads the answer of `info/status`.
    pub fn read(answer: &Map<String, Value>) -> Status {
        let multicast_text = text(answer, "Multicast Mode");
        let call = text(answer, "Call Status");
        let busy = !call.is_empty() && !call.eq_ignore_ascii_case("idle");
        Status { multicast: multicast(&multicast_text), multicast_text, call: busy.then_some(call) }
    }
}

/// A field's value as one text; the device gives a string or a list of them.
fn text(answer: &Map<String, Value>, field: &str) -> String {
    match answer.get(field) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(Value::as_str).map(str::trim).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

fn multicast(text: &str) -> Option<Multicast> {
    let low = text.to_ascii_lowercase();
    if low.starts_with("disabled") {
        Some(Multicast::Off)
    } else if low.starts_with("transmitter") {
        Some(Multicast::Transmitter)
    } else if !low.starts_with("receiver") {
        None
    } else if low.contains("(active") {
        // How the zone is written is not documented: the first number in the text is taken.
        let rest = &low["receiver".len()..];
        let digits: String =
            rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        Some(Multicast::Active(digits.parse().ok().filter(|zone| (1..=50).contains(zone))))
    } else {
        Some(Multicast::Idle)
    }
}

/// A setting's value out of the answer `{"<parameter>":"<value>"}`.
pub fn setting(answer: &Map<String, Value>, parameter: &str) -> Option<String> {
    match answer.get(parameter)? {
        Value::String(value) => Some(value.trim().to_owned()),
        Value::Number(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A zone's value, `224.0.2.60:50002`, as an address that audio can be sent to.
pub fn zone_address(value: &str) -> Option<SocketAddr> {
    let addr = SocketAddr::from_str(value.trim()).ok()?;
    (addr.ip().is_multicast() && addr.port() > 0).then_some(addr)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn post(path: &str, body: &str) -> Command {
        Command { method: "POST", path: path.to_owned(), body: body.to_owned() }
    }

    /// The vendor's printed samples (1 to 3) and ones computed for other calls (4 to 7).
    #[test]
    fn signatures_equal_the_worked_examples() {
        let vendor = r#"{"path":"page-notif.wav", "loop":false}"#;
        let volume = Command::put_setting("audio.page.vol", "-6dB");
        assert_eq!(volume.body, r#"{"audio.page.vol":"-6dB"}"#);
        for (number, command, at, nonce, digest) in [
            (
                1,
                post("/api/controls/tone/start", vendor),
                1_601_312_252,
                49_936,
                "2e109d7aeed54a1cb04c6b72b1d854f442cf1ca15eb0af32f2512dd77ab6b330",
            ),
            (
                2,
                post("/api/controls/tone/start", vendor),
                1_601_312_838,
                1_028_014_788,
                "c450024af4493f9cdf582499456bf58d7e134b161566e764e61bd52d24f759dc",
            ),
            (
                3,
                Command::get_setting("audio.page.vol"),
                1_601_312_835,
                881_767_496,
                "c5b349415bce0b9e1b8122829d32fbe0a078791b311c4cf40369c7ab4eb165a8",
            ),
            (
                4,
                Command::status(),
                1_795_359_600,
                731_905_246,
                "4fa5003eb0355be0eae9afd577bce68c79c0362dd0702a6f8e6f055e3f8e4362",
            ),
            (
                5,
                post("/api/controls/tone/start", r#"{"path":"chime.wav","loop":false}"#),
                1_795_359_600,
                402_817_365,
                "c62275670d83aa2cb1b5e6d77a6b8a422880bfa961c567fd2d2658f02fea885b",
            ),
            (6, volume, 1_795_359_600, 118_843_207, "c8c57109900875869f1667940cac2580432f34dc12b276c3c337ff3aac7719e2"),
            (
                7,
                Command::control("tone/stop", None),
                1_795_359_600,
                559_012_338,
                "15bb6e34997687abf8759fffd82d9020569329fb4d357764634b405e164aa9e4",
            ),
        ] {
            let headers = sign(Auth::Standard, "algo", &command, at, nonce);
            let value = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            assert_eq!(
                value("Authorization"),
                Some(format!("hmac admin:{nonce}:{digest}").as_str()),
                "example {number}"
            );
            assert_eq!(value("Content-MD5").is_some(), !command.body.is_empty(), "example {number}");
            assert_eq!(value("Content-Type").is_some(), !command.body.is_empty(), "example {number}");
        }
        let headers = sign(Auth::Standard, "algo", &post("/api/controls/tone/start", vendor), 1_601_312_838, 1);
        assert!(headers.contains(&("Date".to_owned(), "Mon, 28 Sep 2020 17:07:18 GMT".to_owned())));
        assert!(headers.contains(&("Content-MD5".to_owned(), "6e43c05d82f71e77c586e29edb93b129".to_owned())));
    }

    #[test]
    fn basic_and_none_send_no_more_than_they_must() {
        let status = Command::status();
        let basic = [("Authorization".to_owned(), "Basic YWRtaW46YWxnbw==".to_owned())];
        assert_eq!(sign(Auth::Basic, "algo", &status, 1_795_359_600, 1), basic);
        assert_eq!(sign(Auth::None, "algo", &status, 1_795_359_600, 1), []);
    }

    #[test]
    fn dates_go_both_ways() {
        assert_eq!(http_date(1_795_359_600), "Sun, 22 Nov 2026 15:00:00 GMT");
        assert_eq!(read_http_date("Sun, 22 Nov 2026 15:00:00 GMT"), Some(1_795_359_600));
        assert_eq!(read_http_date("yesterday"), None);
    }

    #[test]
    fn the_multicast_line_is_read_in_all_its_forms() {
        for (text, want) in [
            ("Disabled", Some(Multicast::Off)),
            ("Transmitter (Idle)", Some(Multicast::Transmitter)),
            ("Receiver (Idle)", Some(Multicast::Idle)),
            ("Receiver (Active)", Some(Multicast::Active(None))),
            ("Receiver (Active) Zone 3", Some(Multicast::Active(Some(3)))),
            ("Receiver (Active: zone 13)", Some(Multicast::Active(Some(13)))),
            ("", None),
            ("Something else", None),
        ] {
            assert_eq!(multicast(text), want, "{text}");
        }
        let answer = json!({"Multicast Mode": ["Receiver (Active)", "Zone 3"], "Call Status": "Connected"});
        let status = Status::read(answer.as_object().unwrap());
        assert_eq!(status.multicast, Some(Multicast::Active(Some(3))));
        assert_eq!(status.call.as_deref(), Some("Connected"));
    }

    #[test]
    fn only_multicast_addresses_are_zones() {
        assert_eq!(zone_address("224.0.2.60:50002"), Some("224.0.2.60:50002".parse().unwrap()));
        for bad in ["", "0.0.0.0:0", "10.0.0.1:50002", "224.0.2.60", "224.0.2.60:0", "224.0.2.60:99999"] {
            assert_eq!(zone_address(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_device_says_is_read_without_panic(line in ".{0,60}", date in ".{0,60}", zone in ".{0,30}") {
            let answer = json!({"Multicast Mode": line, "Call Status": [line, 1]});
            Status::read(answer.as_object().unwrap());
            read_http_date(&date);
            zone_address(&zone);
        }
    }
}
