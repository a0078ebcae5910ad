//! The route list: the only place that knows the web framework.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method};
use warp::{
    Filter, Reply as _,
    filters::{BoxedFilter, path::FullPath},
    reject::Rejection,
    reply::Response,
};

use crate::{
    api, assets, live,
    needs::Problem,
    pages,
    reply::{self, Reply},
    request::{Fields, Peer, Request, decode},
    site::Site,
};

/// Every route, the most used first; each group stands behind the first part of its path.
pub fn routes(site: Arc<Site>) -> BoxedFilter<(Response,)> {
    let live = stream("live", &site, live::page_stream);
    let api_live = warp::path!("api" / "v1" / "status" / "stream").and(request(&site)).then(live::api_stream).boxed();
    let api = group("api", &site, api::answer);
    let device = group("device", &site, api::device::answer);
    let mut all = live
        .or(api_live)
        .unify()
        .or(api)
        .unify()
        .or(device)
        .unify()
        .or(warp::path("assets").and(request(&site)).map(|request: Request| whole(assets::answer(&request))))
        .unify()
        .boxed();
    for (name, answer) in pages::ALL {
        all = all
            .or(warp::path(*name).and(request(&site)).then(move |request| pages::answer(request, *answer)).map(whole))
            .unify()
            .boxed();
    }
    // Everything else: the front page, what browsers ask for by themselves, and paths that do not exist.
    let rest = request(&site).then(|request| pages::answer(request, pages::other)).map(whole);
    all.or(rest).unify().recover(failed).unify().boxed()
}

fn group<F>(name: &'static str, site: &Arc<Site>, answer: fn(Request) -> F) -> BoxedFilter<(Response,)>
where
    F: Future<Output = Reply> + Send + 'static,
{
    warp::path(name).and(request(site)).then(answer).map(whole).boxed()
}

fn stream<F>(name: &'static str, site: &Arc<Site>, answer: fn(Request) -> F) -> BoxedFilter<(Response,)>
where
    F: Future<Output = Response> + Send + 'static,
{
    warp::path(name).and(request(site)).then(answer).boxed()
}

pub(crate) fn whole(reply: Reply) -> Response {
    reply.into_response()
}

/// The request with its whole body. Bodies are read as bytes and parsed by the handler, so that a bad one gets an answer
/// that says what is wrong with it.
fn request(site: &Arc<Site>) -> BoxedFilter<(Request,)> {
    let site = Arc::clone(site);
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::body::bytes())
        .map(move |method: Method, path: FullPath, raw_query: String, headers: HeaderMap, peer: Peer, body: Bytes| {
            Request {
                site: Arc::clone(&site),
                method: if method == Method::HEAD { Method::GET } else { method },
                segments: path
                    .as_str()
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .map(|part| decode(part.as_bytes(), false))
                    .collect(),
                path: path.as_str().to_owned(),
                query: Fields::parse(raw_query.as_bytes()),
                raw_query,
                headers,
                body,
                peer,
            }
        })
        .boxed()
}

/// Every group answers what it gets, so what arrives here is a body that could not be read.
async fn failed(_: Rejection) -> Result<Response, Rejection> {
    let detail = "The body could not be read to its end: it is too long, or the connection was interrupted.";
    Ok(whole(reply::problem_json(&Problem::new(413, "Body not read", detail))))
}
