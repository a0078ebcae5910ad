//! `/device/<driver>/…`: requests that devices and feeds make to us, handed on to the driver. The driver judges them.

use std::collections::BTreeMap;

use http::{HeaderValue, StatusCode, header};
use onealert_core::ids::DriverId;

use crate::{
    needs::{DeviceAnswer, DeviceRequest, Problem},
    reply::{self, Reply},
    request::Request,
};

/// Answers a device.
pub async fn answer(request: Request) -> Reply {
    forward(request).await.unwrap_or_else(|problem| reply::problem_json(&problem))
}

async fn forward(request: Request) -> Result<Reply, Problem> {
    let Some(driver) = request.segments.get(1) else { return Err(Problem::not_found("driver", "without a name")) };
    // The path as it came: what stands in it is between device and driver.
    let below: Vec<&str> = request.path.splitn(4, '/').collect();
    // Who is signed in to our pages is no business of a driver. Other credentials are the device's own.
    let bearer = request.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
    let ours = bearer.is_some_and(|token| request.site.sessions.user(token.trim()).is_some());
    let kept = |name: &str| name != "cookie" && !(ours && name == "authorization");
    let headers: BTreeMap<String, String> = request
        .headers
        .iter()
        .filter(|(name, _)| kept(name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let asked = DeviceRequest {
        method: request.method.to_string(),
        path: format!("/{}", below.get(3).copied().unwrap_or_default()),
        query: request.raw_query.clone(),
        headers,
        body: request.body.clone(),
        peer: request.peer.addr,
    };
    let answer = request.site.needs.driver_http(DriverId::from(driver.as_str()), asked).await?;
    Ok(said(answer))
}

fn said(answer: DeviceAnswer) -> Reply {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut reply = reply::with_type(status, "application/octet-stream", answer.body);
    if let Ok(value) = HeaderValue::from_str(&answer.content_type)
        && !answer.content_type.is_empty()
    {
        reply.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    reply
}
