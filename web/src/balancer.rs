//! The status URL for load balancers (redundancy sheet, section 9).
//!
//! It stands in front of everything: no login, no redirect, no layer, no lock. HAProxy asks with HTTP/1.0 and without a Host
//! header, and reads a slow answer as a dead server.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};

use crate::needs::Needs;

/// Where balancers ask.
pub const PATH: &str = "/SA-Announce/RevolutionStatus";

/// The answer, complete: status, one plain line, not to be stored.
pub fn answer(needs: &dyn Needs, method: &Method) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if method != Method::GET && method != Method::HEAD {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        return response;
    }
    let status = needs.balancer_status();
    *response.status_mut() = StatusCode::from_u16(status.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    // One line whatever the host says: a balancer's log prints it.
    let line: String = status.line.chars().map(|c| if c.is_control() { ' ' } else { c }).chain(['\n']).collect();
    // HEAD is answered like GET; the connection leaves the body away and keeps its length.
    *response.body_mut() = Bytes::from(line);
    response
}
