//! Answers: pages, JSON documents, redirects and problems.

use askama::Template;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::needs::Problem;

/// An answer with its whole body.
pub type Reply = Response<Bytes>;

/// A page.
///
/// # Errors
/// 500 when the template cannot be rendered.
pub fn page(template: &impl Template) -> Result<Reply, Problem> {
    page_with(StatusCode::OK, template)
}

/// A page with a status other than 200.
///
/// # Errors
/// 500 when the template cannot be rendered.
pub fn page_with(status: StatusCode, template: &impl Template) -> Result<Reply, Problem> {
    let html = template.render().map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Problem::internal()
    })?;
    Ok(with_type(status, "text/html; charset=utf-8", html))
}

/// A body of this type.
pub fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON document.
pub fn json(value: &impl Serialize) -> Reply {
    json_with(StatusCode::OK, value)
}

/// A JSON document with a status other than 200.
pub fn json_with(status: StatusCode, value: &impl Serialize) -> Reply {
    let text = serde_json::to_string(value).expect("answers are plain data with text keys");
    with_type(status, "application/json", text)
}

/// 204: done, and nothing to say.
pub fn done() -> Reply {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The same answer with an `ETag`.
pub fn tagged(mut reply: Reply, etag: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        reply.headers_mut().insert(header::ETAG, value);
    }
    reply
}

/// 303: look there. `to` is a path of ours.
pub fn redirect(to: &str) -> Reply {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// A problem as `application/problem+json`.
pub fn problem_json(problem: &Problem) -> Reply {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = serde_json::to_string(problem).expect("a problem is plain data");
    with_type(status, "application/problem+json", text)
}
