//! What an administrator sets: once for the driver, and for each trigger.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    judge::Set,
    wire::geometry::{self, Point, Polygon},
};

/// Once for the driver.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-order" = ["contact", "post_token", "allow_self_signed", "link_hosts", "test_codes"]))]
pub struct Settings {
    /// Contact that feeds are told, a mail address or a web page: the National Weather Service refuses those who give none.
    #[schemars(length(max = 200))]
    pub contact: String,
    /// Shared secret of those who post alerts to this server, sent as a bearer token. Empty: posting is refused.
    #[schemars(extend("writeOnly" = true, "format" = "password"))]
    pub post_token: String,
    /// Accept feeds whose certificate no known authority has signed.
    #[schemars(title = "Allow self-signed certificates")]
    pub allow_self_signed: bool,
    /// Hosts besides a feed's own from which alerts that the feed links to are fetched, one a line.
    #[schemars(title = "Hosts that feeds may link to")]
    pub link_hosts: Vec<String>,
    /// Event codes that are tests whatever the status says, one a line.
    pub test_codes: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        let test_codes = ["RWT", "RMT", "DMO", "NPT", "NAT", "NST", "testMessage"].map(str::to_owned).to_vec();
        Settings {
            contact: String::new(),
            post_token: String::new(),
            allow_self_signed: false,
            link_hosts: Vec::new(),
            test_codes,
        }
    }
}

// The cases of these three carry no doc comments: a form takes a plain list of words.
/// Least severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeastSeverity {
    #[default]
    Any,
    Minor,
    Moderate,
    Severe,
    Extreme,
}

/// Least urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeastUrgency {
    #[default]
    Any,
    Past,
    Future,
    Expected,
    Immediate,
}

/// Least certainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeastCertainty {
    #[default]
    Any,
    Unlikely,
    Possible,
    Likely,
    Observed,
}

/// A site's place: empty, or latitude and longitude. What does not read is refused with the trigger, so that a slip of the
/// pen never turns into a trigger for everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Site(pub Option<Point>);

impl TryFrom<String> for Site {
    type Error = String;

    fn try_from(text: String) -> Result<Site, String> {
        if text.trim().is_empty() {
            return Ok(Site(None));
        }
        let point = geometry::point(&text);
        point
            .map(|point| Site(Some(point)))
            .ok_or_else(|| format!("`{text}` is not a latitude and longitude such as 32.78,-96.80"))
    }
}

impl From<Site> for String {
    fn from(site: Site) -> String {
        site.0.map_or_else(String::new, |point| format!("{},{}", point.lat, point.lon))
    }
}

/// A site's outline: empty, or corners.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Outline(pub Option<Polygon>);

impl TryFrom<String> for Outline {
    type Error = String;

    fn try_from(text: String) -> Result<Outline, String> {
        if text.trim().is_empty() {
            return Ok(Outline(None));
        }
        Polygon::parse(&text, &mut 0)
            .map(|(polygon, _)| Outline(Some(polygon)))
            .map_err(|defect| format!("the outline of the site {defect}"))
    }
}

impl From<Outline> for String {
    fn from(outline: Outline) -> String {
        let corner = |point: &Point| format!("{},{}", point.lat, point.lon);
        outline.0.map_or_else(String::new, |it| it.points().iter().map(corner).collect::<Vec<_>>().join(" "))
    }
}

/// An address without a login, a query or a fragment.
const PLACE: &str = r"^([A-Za-z][A-Za-z0-9+.\-]*://)?[^/?#@]*(/([^/?#][^?#]*)?)?$";
/// What to do with the rest of it.
const PLACE_HINT: &str = "must end before the question mark and hold no login: what stands from ? on and a login have \
                          fields of their own, which are stored encrypted";

/// What one trigger watches for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-order" = [
    "url", "url_query", "url_login", "nws", "folder", "posted", "sets", "events", "severity", "places", "site", "updates", "stop", "all_clear", "tests",
    "quiet_minutes"
]))]
pub struct TriggerSettings {
    /// Folder on each server in which files with alerts appear. Empty: none.
    pub folder: String,
    /// Delete a file from the folder once every alert in it has been dealt with.
    pub delete_files: bool,
    /// National Weather Service: a state such as TX, a zone such as TXZ119, or a point such as 32.78,-96.80. Empty: none.
    #[schemars(length(max = 40))]
    #[schemars(title = "National Weather Service")]
    pub nws: String,
    /// Address of a feed or of a single alert, without a login and without what begins at a question mark. {since} in it
    /// becomes the time of the last success. Empty: none.
    #[schemars(title = "Address of a feed", length(max = 2000))]
    #[schemars(extend("pattern" = PLACE, "x-pattern-hint" = PLACE_HINT))]
    pub url: String,
    /// What stands in the address from the question mark on, such as a token. Stored encrypted, never shown again.
    #[schemars(title = "Rest of the address", length(max = 2000))]
    #[schemars(extend("writeOnly" = true, "format" = "password"))]
    pub url_query: String,
    /// Name and password that the address asks for, such as ann:secret. Stored encrypted, never shown again.
    #[schemars(title = "Login for the address", length(max = 400))]
    #[schemars(extend("writeOnly" = true, "format" = "password"))]
    pub url_login: String,
    /// How often an address is asked, in seconds.
    #[schemars(range(min = 15, max = 86400))]
    #[schemars(title = "Asked every, in seconds")]
    pub poll_seconds: u32,
    /// Also take alerts that are posted to this server.
    #[schemars(title = "Posted alerts")]
    pub posted: bool,
    /// Kinds of events to act on. None here and none below: all events.
    #[schemars(title = "Kinds of events")]
    pub sets: Vec<Set>,
    /// Further events by name, one a line, such as Flash Flood Warning; * stands for anything.
    #[schemars(title = "Further events by name")]
    pub events: Vec<String>,
    /// Further events by code, one a line, such as TOR, or with its list, such as SAME=CAE.
    #[schemars(title = "Further events by code")]
    pub codes: Vec<String>,
    /// Least severity.
    #[schemars(title = "Least severity")]
    pub severity: LeastSeverity,
    /// Least urgency.
    #[schemars(title = "Least urgency")]
    pub urgency: LeastUrgency,
    /// Least certainty.
    #[schemars(title = "Least certainty")]
    pub certainty: LeastCertainty,
    /// Let an unknown severity, urgency or certainty pass a least level.
    #[schemars(title = "Unknown levels pass")]
    pub unknown_passes: bool,
    /// Places to act on by code, one a line: a state (TX), county (048113), zone (TXZ119), SGC:3506008, EMMA_ID:UK113.
    /// None here and no site: everywhere.
    pub places: Vec<String>,
    /// Latitude and longitude of the site, such as 32.78,-96.80. Where an alert has a shape, the shape decides; where it has
    /// codes only, the places above decide.
    #[schemars(with = "String", length(max = 60))]
    pub site: Site,
    /// Also act when the shape comes this near to the site, in kilometres.
    #[schemars(range(min = 0, max = 500))]
    #[schemars(title = "Distance from the site, in kilometres")]
    pub site_km: f64,
    /// Outline of the site in place of a point: latitude,longitude of each corner, parted by spaces.
    #[schemars(with = "String")]
    #[schemars(title = "Outline of the site")]
    pub site_outline: Outline,
    /// Act on alerts that do not say where in a way that can be compared.
    #[schemars(title = "Unknown areas pass")]
    pub unknown_area_passes: bool,
    /// Senders to act on, one a line; @noaa.gov stands for everybody there. None: all.
    pub senders: Vec<String>,
    /// Senders never to act on, one a line.
    pub senders_refused: Vec<String>,
    /// Parameters that must fit, one a line: name=value, or name>number, or name<number.
    pub parameters: Vec<String>,
    /// Leave out alerts that are not meant for these channels (BLOCKCHANNEL), one a line, such as PUBLIC.
    pub channels: Vec<String>,
    /// Act on alerts of scope Restricted and Private too.
    #[schemars(title = "Act on restricted alerts")]
    pub restricted: bool,
    /// Also act on tests and exercises.
    #[schemars(title = "Act on tests")]
    pub tests: bool,
    /// Begin the text of a test or exercise with the word TEST or EXERCISE.
    #[schemars(title = "Say that it is a test")]
    pub test_words: bool,
    /// Language of the text, such as en-US, where an alert has several.
    #[schemars(length(max = 35))]
    pub language: String,
    /// Send again when an alert is updated.
    #[schemars(title = "Send updates")]
    pub updates: bool,
    /// Stop what was sent when the alert is cancelled, has ended or no longer covers the place.
    #[schemars(title = "Stop when it is over")]
    pub stop: bool,
    /// Send the text that says that the danger is over.
    #[schemars(title = "Send the all-clear")]
    pub all_clear: bool,
    /// Wait until the hazard begins, instead of sending the warning of it at once.
    #[schemars(title = "Wait for the onset")]
    pub at_onset: bool,
    /// Hold back the same event for the same area from the same sender for so many minutes. Tornadoes are never held back.
    #[schemars(range(min = 0, max = 1440))]
    pub quiet_minutes: u32,
    /// How long an alert that names no end is good for, in hours.
    #[schemars(range(min = 1, max = 168))]
    #[schemars(title = "Without an end good for, in hours")]
    pub default_hours: u32,
}

impl Default for TriggerSettings {
    /// Tornado warnings, wherever they come from.
    fn default() -> TriggerSettings {
        TriggerSettings {
            folder: String::new(),
            delete_files: false,
            nws: String::new(),
            url: String::new(),
            url_query: String::new(),
            url_login: String::new(),
            poll_seconds: 60,
            posted: false,
            sets: vec![Set::TornadoWarning],
            events: Vec::new(),
            codes: Vec::new(),
            severity: LeastSeverity::Any,
            urgency: LeastUrgency::Any,
            certainty: LeastCertainty::Any,
            unknown_passes: false,
            places: Vec::new(),
            site: Site(None),
            site_km: 0.0,
            site_outline: Outline(None),
            unknown_area_passes: false,
            senders: Vec::new(),
            senders_refused: Vec::new(),
            parameters: Vec::new(),
            channels: Vec::new(),
            restricted: false,
            tests: false,
            test_words: true,
            language: "en-US".to_owned(),
            updates: true,
            stop: true,
            all_clear: false,
            at_onset: false,
            quiet_minutes: 30,
            default_hours: 24,
        }
    }
}

#[cfg(test)]
mod tests {
    use onealert_plugin_api::schema;
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn both_schemas_can_be_shown_as_forms_and_their_defaults_fit() {
        let settings = to_value(schemars::schema_for!(Settings)).expect("plain data");
        assert_eq!(schema::check(&settings), []);
        let trigger = to_value(schemars::schema_for!(TriggerSettings)).expect("plain data");
        assert_eq!(schema::check(&trigger), []);
        let defaults = to_value(TriggerSettings::default()).expect("plain data");
        assert_eq!(schema::validate(&trigger, &defaults), []);
    }

    #[test]
    fn a_query_or_a_login_in_the_address_itself_does_not_fit_its_field() {
        let schema = to_value(schemars::schema_for!(TriggerSettings)).expect("plain data");
        let pattern = regex_automata::nfa::thompson::pikevm::PikeVM::new(PLACE).expect("a pattern");
        let fits = |text: &str| pattern.is_match(&mut pattern.create_cache(), text);
        for good in
            ["https://alerts.example/feed/{since}", "https://alerts.example", "http://127.0.0.1:8080/a@b", "x/y"]
        {
            assert!(fits(good), "{good}");
        }
        for bad in
            ["https://alerts.example/?pin=1", "https://ann:x@alerts.example/", "ann@alerts.example", "https://a/#x"]
        {
            assert!(!fits(bad), "{bad}");
        }
        for field in ["url_query", "url_login"] {
            assert_eq!(schema["properties"][field]["writeOnly"], true, "{field}");
        }
    }

    #[test]
    fn a_site_that_cannot_be_read_is_refused_rather_than_left_out() {
        let read = |value| serde_json::from_value::<TriggerSettings>(value);
        assert!(read(json!({"site": "32.78,-96.80", "site_outline": ""})).is_ok());
        let error = read(json!({"site": "Dallas"})).expect_err("is refused").to_string();
        assert!(error.contains("`Dallas` is not a latitude and longitude"), "{error}");
        assert!(read(json!({"site_outline": "1,1 2,2"})).is_err());
    }
}
