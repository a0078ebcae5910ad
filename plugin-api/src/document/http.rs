//! Requests that devices and feeds make to the server, for the driver to answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The body of `http`: a request that a device or feed made to our server under the driver's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path below the driver's own, starting with `/`.
    pub path: String,
    /// The query without the question mark.
    #[serde(default)]
    pub query: String,
    /// Names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as text; bytes that are not UTF-8 are in `body_base64` instead.
    #[serde(default)]
    pub body: String,
    /// The body in base64 when it is not UTF-8.
    #[serde(default)]
    pub body_base64: String,
    /// The caller's address.
    #[serde(default)]
    pub peer: String,
}

/// The answer of `http`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The content type.
    #[serde(default)]
    pub content_type: String,
    /// The body.
    #[serde(default)]
    pub body: String,
}
