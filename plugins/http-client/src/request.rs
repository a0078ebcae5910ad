//! What is asked and what is answered.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::Method;

use crate::trust::Fingerprint;

/// One request, sent exactly as it stands here plus `Host` and `Content-Length`.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: Method,
    /// The whole address: scheme, host, port if not the scheme's own, path and query.
    pub url: String,
    /// Headers in the order in which they are sent.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Bytes,
    /// How long, how much and how far.
    pub limits: Limits,
}

impl Request {
    /// A request without headers and body, with the default limits.
    pub fn new(method: Method, url: impl Into<String>) -> Request {
        Request { method, url: url.into(), headers: Vec::new(), body: Bytes::new(), limits: Limits::default() }
    }

    /// A `GET` with the default limits.
    pub fn get(url: impl Into<String>) -> Request {
        Request::new(Method::GET, url)
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Request {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Request {
        self.limits = limits;
        self
    }
}

/// What a request may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// From the call to the last byte of the answer, redirects included.
    pub deadline: Duration,
    /// Of this, the longest time until a new connection stands, encryption included.
    pub connect: Duration,
    /// Longest body accepted, counted after decompression.
    pub body_bytes: usize,
    /// What to do when the answer points elsewhere.
    pub redirects: Redirects,
    /// A kept connection may have been closed by the other side just when the request went out; nobody can say then whether
    /// the request was acted on. With this the request is sent once more on a fresh connection, whatever its method. `GET`
    /// and `HEAD` always are.
    pub resend: bool,
}

impl Default for Limits {
    /// 10 s, all of it for the connection if need be; 16 MiB, no redirects, no second sending.
    fn default() -> Limits {
        let ten = Duration::from_secs(10);
        Limits { deadline: ten, connect: ten, body_bytes: 16 << 20, redirects: Redirects::Return, resend: false }
    }
}

/// What to do with an answer that points elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Redirects {
    /// Give it to the caller like any other answer.
    #[default]
    Return,
    /// Go there, for `GET` and `HEAD`. An `Authorization` or `Cookie` header goes along only while scheme, host and port stay
    /// the same, or when plain http to a host becomes https to it.
    Follow {
        /// How many times.
        max: u8,
        /// Only to `https`. Without it `http` may lead to `http` and to `https`, and `https` still never back to `http`.
        https_only: bool,
        /// Hosts that may be visited besides the first one; `None` allows all.
        hosts: Option<Arc<[String]>>,
    },
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// Where it came from: the request's address, or the last one after redirects.
    pub url: String,
    /// The certificate that the other side showed, for https.
    pub certificate: Option<Fingerprint>,
    /// Whether the connection was a kept one.
    pub reused: bool,
}

impl Response {
    /// The header's value, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
