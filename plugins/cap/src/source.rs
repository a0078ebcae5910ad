//! Where a trigger's alerts come from.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{settings::TriggerSettings, wire::geometry};

/// Where a trigger's alerts come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Files in a folder.
    Folder(String),
    /// An address that is polled.
    Address(Address),
    /// Alerts posted to the server.
    Posted,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Folder(path) => write!(f, "folder {path}"),
            Source::Address(address) => address.fmt(f),
            Source::Posted => f.write_str("posted alerts"),
        }
    }
}

/// An address that is polled. What is secret of it, its query and its login, is never printed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    place: String,
    query: String,
    login: String,
}

impl Address {
    /// The address with all that belongs to it. A query or a login that stands in `place` counts as if it stood where it
    /// belongs.
    pub fn new(place: &str, query: &str, login: &str) -> Address {
        let (place, own) = place.trim().split_once('?').unwrap_or((place.trim(), ""));
        let queries = [own, query.trim().trim_start_matches('?')];
        let query = queries.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("&");
        let rest = place.split_once("://").map_or("", |(_, rest)| rest);
        let own = rest.split('/').next().and_then(|host| host.rsplit_once('@')).map_or("", |(login, _)| login);
        let login = if login.trim().is_empty() { own } else { login.trim() };
        Address { query, login: login.to_owned(), place: http_client::shown(place) }
    }

    /// What is asked for, with its query. `since` stands for the time of the last success.
    pub fn whole(&self, since: &str) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.place, self.query).replace("{since}", since)
    }

    /// The header that shows the login, if there is one.
    pub fn authorization(&self) -> Option<String> {
        (!self.login.is_empty()).then(|| format!("Basic {}", STANDARD.encode(&self.login)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.place)
    }
}

impl TriggerSettings {
    /// Every source that it names.
    pub fn sources(&self) -> Vec<Source> {
        let mut sources = Vec::new();
        let given = |text: &str| !text.trim().is_empty();
        if given(&self.folder) {
            sources.push(Source::Folder(self.folder.trim().to_owned()));
        }
        if given(&self.nws) {
            sources.push(Source::Address(Address::new(&nws_address(self.nws.trim()), "", "")));
        }
        if given(&self.url) {
            sources.push(Source::Address(Address::new(&self.url, &self.url_query, &self.url_login)));
        }
        if self.posted {
            sources.push(Source::Posted);
        }
        sources
    }
}

/// The address of the active alerts of a state, a zone or a point.
pub fn nws_address(area: &str) -> String {
    let query = match geometry::point(area) {
        // More than four decimals are refused there.
        Some(point) => format!("point={:.4},{:.4}", point.lat, point.lon),
        None if area.len() == 2 => format!("area={}", area.to_ascii_uppercase()),
        None => format!("zone={}", area.to_ascii_uppercase()),
    };
    format!("https://api.weather.gov/alerts/active?status=actual&{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_of_an_address_is_asked_for_and_never_printed() {
        let address = Address::new("https://alerts.example/{since}/feed", "?pin=s3cret", "ann:pa55");
        assert_eq!(address.whole("2026"), "https://alerts.example/2026/feed?pin=s3cret");
        assert_eq!(address.authorization().as_deref(), Some("Basic YW5uOnBhNTU="));
        // As people paste it, and as no form takes it.
        let pasted = Address::new(" https://ann:pa55@alerts.example/feed?pin=s3cret", "", "");
        assert_eq!(pasted.whole(""), "https://alerts.example/feed?pin=s3cret");
        assert_eq!(pasted.authorization(), address.authorization());
        for address in [address, pasted] {
            let source = Source::Address(address);
            let said = format!("{source} {source:?}");
            assert!(!said.contains("s3cret") && !said.contains("pa55") && said.contains("alerts.example"), "{said}");
        }
        let plain = Address::new("http://alerts.example/x@y", "", "");
        assert_eq!((plain.whole(""), plain.authorization()), ("http://alerts.example/x@y".to_owned(), None));
    }

    #[test]
    fn the_weather_service_is_asked_by_state_zone_or_point() {
        assert!(nws_address("tx").ends_with("status=actual&area=TX"));
        assert!(nws_address("TXZ119").ends_with("&zone=TXZ119"));
        assert!(nws_address("32.776664, -96.796988").ends_with("&point=32.7767,-96.7970"));
    }
}
