//! A request as handlers see it: nothing of the server library left in it.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde::de::DeserializeOwned;

use crate::{
    needs::{Expect, Problem},
    site::Site,
};

/// Where a connection came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The caller's address.
    pub addr: IpAddr,
    /// Over TLS.
    pub secure: bool,
}

/// One request with its whole body.
pub struct Request {
    /// What all requests share.
    pub site: Arc<Site>,
    /// `GET`, `POST`, …; `HEAD` is read as `GET`.
    pub method: Method,
    /// The path as it came.
    pub path: String,
    /// Its parts, decoded.
    pub segments: Vec<String>,
    /// What stands behind the question mark.
    pub query: Fields,
    /// The same as it came.
    pub raw_query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Where it came from.
    pub peer: Peer,
}

impl Request {
    /// The parts of the path, for a match.
    pub fn parts(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as a posted form.
    pub fn form(&self) -> Fields {
        Fields::parse(&self.body)
    }

    /// The body as a JSON document.
    ///
    /// # Errors
    /// 400 with the place of the fault.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Problem::bad_request(format!("The body is not the JSON document that is expected here: {error}."))
        })
    }

    /// What a write expects to find, from `If-Match` or `If-None-Match: *`.
    pub fn expect(&self) -> Expect {
        let etag = |name| self.header(name).map(|text| text.trim().trim_matches('"').to_owned());
        match (etag("if-match"), etag("if-none-match")) {
            (_, Some(star)) if star == "*" => Expect::New,
            (Some(etag), _) if etag != "*" => Expect::Etag(etag),
            _ => Expect::Any,
        }
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let all = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        all.flat_map(cookie::Cookie::split_parse)
            .filter_map(Result::ok)
            .find(|cookie| cookie.name() == name)
            .map(|cookie| cookie.value().to_owned())
    }
}

/// Names and values of a query or a posted form, in order; a name may come several times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// Reads `a=1&b=2`. Bytes that are no text are replaced; nothing is refused.
    pub fn parse(bytes: &[u8]) -> Fields {
        let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        Fields(
            pairs
                .map(|pair| {
                    let cut = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
                    (decode(&pair[..cut], true), decode(pair.get(cut + 1..).unwrap_or_default(), true))
                })
                .collect(),
        )
    }

    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a name without space around it, or nothing.
    pub fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().trim().to_owned()
    }

    /// Every value of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a name that may be written in any case.
    pub fn all_in_any_case<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the name is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// Decodes `%41` and, in forms, `+`. A percent sign that starts no code stays.
pub fn decode(bytes: &[u8], form: bool) -> String {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                if let (Some(high), Some(low)) = (hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
                    plain.push((high * 16 + low) as u8);
                    at += 2;
                } else {
                    plain.push(b'%');
                }
            }
            b'+' if form => plain.push(b' '),
            byte => plain.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Encodes text for use as one part of a path or one value of a query.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_survive_every_text() {
        for text in ["", "a b+c", "100 % sure", "ä=&?/#", "🔔", "%41", "line\r\nline"] {
            let posted = format!("x={}&y=1", encode(text));
            let fields = Fields::parse(posted.as_bytes());
            assert_eq!(fields.get("x"), Some(text));
            assert_eq!(fields.get("y"), Some("1"));
        }
        let odd = Fields::parse(b"&&a&=b&c=%zz%4&c=%ff+");
        assert_eq!(odd.get("a"), Some(""));
        assert_eq!(odd.all("c").collect::<Vec<_>>(), ["%zz%4", "\u{fffd} "]);
    }
}
