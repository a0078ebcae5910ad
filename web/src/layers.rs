//! What lies around the routes: faults caught, time and size limited, foreign posts refused, answers compressed, headers set.

use std::{any::Any, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use tower::{ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, csrf::CsrfLayer, limit::RequestBodyLimitLayer,
    timeout::TimeoutLayer,
};

use crate::{balancer, needs::Problem, phones, reply, routes, site::Site};

/// The body of every answer.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// The rest of an answer could not be made; the connection is cut then, so that nobody takes the part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BodyError(String);

/// Bodies above this are refused. The largest form of ours, a notification with ten thousand endpoints, is far below.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Until an answer begins. Event streams begin at once, so it does not cut them.
const MAX_TIME: Duration = Duration::from_secs(60);

/// Everything between a connection and the routes.
pub fn service(site: Arc<Site>) -> BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible> {
    let pages = ServiceBuilder::new()
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, MAX_TIME))
        .layer(CsrfLayer::new().with_rejection_response(|_| foreign()))
        .map_response(boxed)
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(MAX_BODY))
        .service(warp::service(routes::routes(Arc::clone(&site))));
    let front = service_fn(move |request: Request<Incoming>| {
        let (site, pages) = (Arc::clone(&site), pages.clone());
        async move {
            match request.uri().path() {
                balancer::PATH => Ok(balancer::answer(site.needs.as_ref(), request.method()).map(boxed_bytes)),
                phones::PATH => Ok(phones::answer(site.needs.as_ref(), request).await.map(boxed_bytes)),
                _ => pages.oneshot(request).await.map(|response| with_security_headers(boxed(response))),
            }
        }
    });
    BoxCloneSyncService::new(front)
}

fn boxed<B>(response: Response<B>) -> Response<Body>
where
    B: BodyExt<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    response.map(|body| body.map_err(|error| BodyError(error.to_string())).boxed_unsync())
}

fn boxed_bytes(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response<Full<Bytes>> {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!("a request ended in a panic: {}", text.unwrap_or("without a message"));
    reply::problem_json(&Problem::internal()).map(Full::new)
}

fn foreign() -> Response<Body> {
    let detail =
        "The request came from a page of another site. Nothing was done. Open the pages of this server and try again.";
    reply::problem_json(&Problem::new(403, "Cross-site request refused", detail)).map(boxed_bytes)
}

fn with_security_headers(mut response: Response<Body>) -> Response<Body> {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                          form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    let mut set = |name, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    response
}
