//! The authentication URL for IP phones (domain sheet, section 14): a phone that is told to do something asks here whether
//! the caller's name and password are right.
//!
//! It stands in front of everything, as the status URL does: no login, no redirect, no layer. A page makes all phones ask at
//! once, so nothing here is slow or limited by rate. Phones compare the body byte by byte: no markup, space or line end.
//! Neither query nor body is ever logged: they hold a password.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use tokio::time::timeout;

use crate::{
    needs::{Needs, Password},
    request::Fields,
};

/// Where phones ask.
pub const PATH: &str = "/SA-Announce/PhoneAuthentication";

/// A longer query or body is none of a phone.
const MOST: usize = 2048;
/// A longer name or password is none of ours.
const LONGEST: usize = 256;
/// A phone that has not sent its body by then hears that it was not understood.
const BODY_WITHIN: Duration = Duration::from_secs(1);

/// The answer, complete.
pub async fn answer<B>(needs: &dyn Needs, request: Request<B>) -> Response<Bytes>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let said = match *request.method() {
        Method::GET => Some(request.uri().query().unwrap_or_default().as_bytes().to_vec()),
        Method::POST => posted(request).await,
        _ => {
            let mut response = with(Bytes::new());
            *response.status_mut() = http::StatusCode::METHOD_NOT_ALLOWED;
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
            return response;
        }
    };
    with(Bytes::from_static(match said.and_then(|said| credentials(&said)) {
        None => b"ERROR",
        Some((user, password)) if needs.phone_authorised(&user, &password) => b"AUTHORIZED",
        Some(_) => b"UN-AUTHORIZED",
    }))
}

/// The body, or the query of a POST without one.
async fn posted<B>(request: Request<B>) -> Option<Vec<u8>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let query = request.uri().query().unwrap_or_default().as_bytes().to_vec();
    let body = timeout(BODY_WITHIN, Limited::new(request.into_body(), MOST).collect()).await.ok()?.ok()?.to_bytes();
    Some(if body.is_empty() { query } else { body.to_vec() })
}

/// Name and password, if both are there, each once, and not longer than any of ours.
fn credentials(said: &[u8]) -> Option<(String, Password)> {
    if said.len() > MOST {
        return None;
    }
    let fields = Fields::parse(said);
    let one = |name: &str| {
        let mut values = fields.all_in_any_case(name);
        let value = values.next().filter(|value| !value.is_empty() && value.len() <= LONGEST)?.to_owned();
        // Two of them: which one the phone means is not for us to guess.
        values.next().is_none().then_some(value)
    };
    Some((one("UserID")?, Password::new(one("Password")?)))
}

fn with(body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
