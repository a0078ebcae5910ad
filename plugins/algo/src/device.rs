//! One device over time, without IO: how it is reached, what is known of it, and what its answers mean.

use std::collections::BTreeMap;

use http_client::Fingerprint;
use onealert_plugin_api::document::Health;
use serde_json::{Map, Value};

use crate::{
    model::{self, Age},
    plan,
    reason::{Reason, shorten},
    settings::{Auth, Endpoint, Scheme, What},
    wire::{self, Command, Multicast, Status},
};

/// Clocks this close need no mention; the device itself lets 30 s pass.
const IN_STEP_S: i64 = 5;
/// From this difference on an administrator is told.
const OFF_S: i64 = 30;

/// How a device is reached. Endpoints with equal access are abilities of one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    host: String,
    port: Option<u16>,
    scheme: Scheme,
    auth: Auth,
    password: String,
    /// The pinned certificate.
    pub certificate: Option<Fingerprint>,
}

impl Access {
    /// Of this endpoint.
    ///
    /// # Errors
    /// The endpoint makes no sense.
    pub fn of(endpoint: &Endpoint) -> Result<Access, Reason> {
        endpoint.judge().map_err(Reason::Endpoint)?;
        let host = endpoint.host.trim().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Ok(Access {
            host,
            port: endpoint.port,
            scheme: endpoint.scheme,
            auth: endpoint.auth,
            password: endpoint.password.clone(),
            certificate: endpoint.fingerprint().map_err(Reason::Endpoint)?,
        })
    }

    /// `host` or `host:port`, for messages and files.
    pub fn name(&self) -> String {
        let host = self.in_url();
        self.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }

    fn in_url(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// One way to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Encrypted or not.
    pub https: bool,
    /// The port.
    pub port: u16,
}

/// What has been learned of a device. It stays true enough while the device is out of reach, so that audio can still be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The product name in the device's own words; empty until it was asked.
    pub product: String,
    /// The model number, if it is one that we know.
    pub model: Option<&'static str>,
    /// The firmware.
    pub age: Age,
    /// Each zone's address as the device has it; an empty text where it has none.
    pub zones: BTreeMap<u8, String>,
    /// The setting `mcast.mode`.
    pub multicast_mode: Option<String>,
    /// The last status.
    pub status: Status,
}

impl Default for Known {
    fn default() -> Known {
        Known {
            product: String::new(),
            model: None,
            age: Age::Unknown,
            zones: BTreeMap::new(),
            multicast_mode: None,
            status: Status::default(),
        }
    }
}

impl Known {
    /// Whether the device has told who it is.
    pub fn is_identified(&self) -> bool {
        self.age != Age::Unknown
    }

    /// Model and firmware, for people.
    fn title(&self) -> String {
        let model = match (self.model, self.product.as_str()) {
            (Some(model), _) => format!("Algo {model}"),
            (None, "") => "Algo device".to_owned(),
            (None, product) => product.to_owned(),
        };
        format!("{model}, {}", self.age)
    }
}

/// A request ready to be sent.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Where to.
    pub url: String,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    route: Route,
    signed_at: i64,
}

/// An answer as it came.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The `Date` header.
    pub date: Option<&'a str>,
    /// The `Location` header.
    pub location: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// What was tried already for one command; each remedy is tried once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    resigned: bool,
    redirected: bool,
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It worked.
    Done,
    /// Send it again: signed in the device's time, or to its https.
    Again,
    /// It did not.
    Failed(Reason),
}

/// One device.
#[derive(Debug)]
pub struct Device {
    access: Access,
    /// The way by which it answered last.
    route: Option<Route>,
    /// How many seconds its clock is ahead of ours.
    clock_ahead: i64,
    /// What has been learned.
    pub known: Known,
    /// Why the last look failed, and how many in a row did.
    trouble: Option<(Reason, u32)>,
}

impl Device {
    /// A device of which `known` was learned earlier.
    pub fn new(access: Access, known: Known) -> Device {
        Device { access, route: None, clock_ahead: 0, known, trouble: None }
    }

    /// The ways to try, the best first.
    pub fn routes(&self) -> Vec<Route> {
        let https = Route { https: true, port: self.access.port.unwrap_or(443) };
        let http = Route { https: false, port: self.access.port.unwrap_or(80) };
        let mut routes = match self.access.scheme {
            Scheme::Https => vec![https],
            Scheme::Http => vec![http],
            // A password that travels as it is goes over https or not at all.
            Scheme::Auto if self.access.auth == Auth::Basic => vec![https],
            Scheme::Auto => vec![https, http],
        };
        if let Some(known) = self.route {
            routes.retain(|route| *route != known);
            routes.insert(0, known);
        }
        routes
    }

    /// The request for a command, at this moment of our clock in Unix seconds.
    pub fn attempt(&self, command: &Command, route: Route, now: i64, nonce: u64) -> Attempt {
        let signed_at = now + self.clock_ahead;
        let scheme = if route.https { "https" } else { "http" };
        let usual = if route.https { 443 } else { 80 };
        let port = if route.port == usual { String::new() } else { format!(":{}", route.port) };
        Attempt {
            url: format!("{scheme}://{}{port}{}", self.access.in_url(), command.path),
            headers: wire::sign(self.access.auth, &self.access.password, command, signed_at, nonce),
            route,
            signed_at,
        }
    }

    /// Judges an answer that came at this moment of our clock.
    pub fn judge(
        &mut self,
        command: &Command,
        attempt: &Attempt,
        answer: Answer<'_>,
        now: i64,
        tried: &mut Tried,
    ) -> Verdict {
        let theirs = answer.date.and_then(wire::read_http_date);
        if !(300..=399).contains(&answer.status) {
            self.route = Some(attempt.route);
        }
        match answer.status {
            200..=299 => {
                self.set_clock(theirs, now);
                Verdict::Done
            }
            300..=399 => self.redirect(attempt, answer.location, tried),
            401 | 403 => {
                let off = theirs.map_or(0, |theirs| (theirs - attempt.signed_at).abs());
                if off > IN_STEP_S && self.access.auth == Auth::Standard && !tried.resigned {
                    tried.resigned = true;
                    self.set_clock(theirs, now);
                    return Verdict::Again;
                }
                Verdict::Failed(Reason::Refused { status: answer.status })
            }
            status @ (404 | 405 | 501) => Verdict::Failed(Reason::NotThere { call: command.name(), status }),
            400 => Verdict::Failed(Reason::BadValue { call: command.name(), body: shorten(answer.body) }),
            status => Verdict::Failed(Reason::Status { call: command.name(), status, body: shorten(answer.body) }),
        }
    }

    /// The answer's clock differs from ours by the time on the way as well: small changes are not worth following.
    fn set_clock(&mut self, theirs: Option<i64>, now: i64) {
        if let Some(theirs) = theirs
            && (theirs - now - self.clock_ahead).abs() >= 2
        {
            self.clock_ahead = theirs - now;
        }
    }

    /// A device that sends http to https means: use https from here on.
    fn redirect(&mut self, attempt: &Attempt, location: Option<&str>, tried: &mut Tried) -> Verdict {
        let to = location.unwrap_or_default();
        let refuse = || Verdict::Failed(Reason::Redirect { to: to.to_owned() });
        let Some(rest) = to.strip_prefix("https://").filter(|_| !attempt.route.https && !tried.redirected) else {
            return refuse();
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let own = self.access.in_url();
        let port = match authority.strip_prefix(&own) {
            Some("") => 443,
            Some(port) => match port.strip_prefix(':').and_then(|port| port.parse().ok()) {
                Some(port) => port,
                None => return refuse(),
            },
            None => return refuse(),
        };
        tried.redirected = true;
        self.route = Some(Route { https: true, port });
        Verdict::Again
    }

    /// The device answered a look as it should.
    pub fn handle_well(&mut self) {
        self.trouble = None;
    }

    /// A look failed.
    pub fn handle_trouble(&mut self, reason: Reason) {
        if reason.is_out_of_reach() {
            // It may come back at another of its ports.
            self.route = None;
        }
        let before = self.trouble.take().map_or(0, |(_, times)| times);
        self.trouble = Some((reason, before + 1));
    }

    /// How many looks in a row failed because nothing answered.
    pub fn silent_looks(&self) -> u32 {
        self.trouble.as_ref().filter(|(reason, _)| reason.is_out_of_reach()).map_or(0, |(_, times)| *times)
    }

    /// Takes the answer of `info/about`.
    ///
    /// # Errors
    /// It does not say which firmware it is.
    pub fn take_about(&mut self, answer: &Map<String, Value>) -> Result<(), Reason> {
        let field = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let firmware = field("Firmware Version");
        let read = firmware.parse().map_err(|()| Reason::Garbage {
            call: "GET /api/info/about".to_owned(),
            body: format!("firmware version `{firmware}`"),
        })?;
        self.known.product = field("Product Name");
        self.known.model = model::from_product(&self.known.product);
        self.known.age = Age::Known(read);
        Ok(())
    }

    /// How this endpoint of the device is, in one line; `None` while nothing is known yet.
    pub fn health(&self, endpoint: &Endpoint) -> Option<(Health, String)> {
        let wrong = |reason: &Reason| Some((Health::Error, reason.to_string()));
        match &self.trouble {
            // One lost packet is no reason to frighten anybody; the second look comes within seconds.
            Some((reason, 1)) if reason.is_out_of_reach() && self.known.is_identified() => {}
            Some((reason, _)) => return wrong(reason),
            None => {}
        }
        if !self.known.is_identified() {
            return None;
        }
        if let Err(reason) = plan::possible(endpoint, &self.known) {
            return wrong(&reason);
        }
        let mut line = self.known.title();
        if endpoint.what == What::Zone {
            match plan::zones(endpoint, &self.known) {
                Ok(zones) => line.push_str(&zones),
                // Until the settings have been read there is nothing to complain of.
                Err(Reason::ZonesUnknown(_)) => return None,
                Err(reason) => return wrong(&reason),
            }
            if self.known.status.multicast == Some(Multicast::Off) {
                return wrong(&Reason::Mode("disabled".to_owned()));
            }
        }
        if self.known.model.is_none() && !self.known.product.is_empty() {
            line.push_str("; this model is not known to the driver, what it can do shows when it is asked");
        }
        if self.clock_ahead.abs() > OFF_S {
            let (seconds, way) = (self.clock_ahead.abs(), if self.clock_ahead > 0 { "ahead" } else { "behind" });
            // Rounded, so that the line does not change with every look.
            let about =
                if seconds < 120 { format!("{} s", seconds / 10 * 10) } else { format!("{} min", seconds / 60) };
            line.push_str(&format!(
                "; its clock is about {about} {way}, which is corrected for: set a time server on the device"
            ));
            return Some((Health::Warning, line));
        }
        Some((Health::Ok, line))
    }
}

/// The JSON object of an answer.
///
/// # Errors
/// It is something else.
pub fn object(command: &Command, body: &[u8]) -> Result<Map<String, Value>, Reason> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Reason::Garbage { call: command.name(), body: shorten(body) }),
    }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
