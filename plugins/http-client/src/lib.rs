//! The HTTP client that drivers share: exact requests, kept connections, one deadline, bounded answers.
//!
//! ```no_run
//! # async fn example() -> Result<(), http_client::HttpError> {
//! use http_client::{Client, Options, Request};
//!
//! let client = Client::new(Options::default());
//! let answer = client.send(Request::get("https://10.0.0.161/api/info/about")).await?;
//! assert_eq!(answer.status, 200);
//! # Ok(())
//! # }
//! ```
//!
//! The client adds `Host` and `Content-Length` to what the caller gives, and nothing else. It speaks HTTP/1.1, keeps
//! connections open between requests, and decodes `Content-Encoding: gzip` where the caller asked for it. Every failure
//! names the host, the step that failed and the value that was wrong, but never a login or the query of an address.
#![deny(missing_docs)]

mod client;
mod connect;
mod error;
mod pool;
mod redirect;
mod request;
mod shown;
mod trust;

pub use client::{Client, Options};
pub use error::{Cause, HttpError, Step};
/// Re-exported so that callers name methods and headers without a dependency of their own.
pub use hyper::{HeaderMap, Method, header};
pub use request::{Limits, Redirects, Request, Response};
pub use shown::shown;
pub use trust::{Fingerprint, Trust};
