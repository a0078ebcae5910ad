//! The JSON API: the same operations as the pages, described by OpenAPI from the very table that routes requests.

mod calendars;
mod configuration;
pub mod device;
mod document;
mod general;
mod openapi;
pub mod redundancy;
mod servers;
mod trust;

use std::{future::Future, pin::Pin};

use http::{HeaderValue, Method, header};

use crate::{
    caller::Caller,
    needs::Problem,
    reply::{self, Reply},
    request::Request,
    roles::Action,
};

/// Where the API lives.
const BASE: [&str; 2] = ["api", "v1"];

/// What a handler is given: the request, who sent it, and the changing parts of the path.
struct Call {
    request: Request,
    caller: Caller,
    ids: Vec<String>,
}

type Done = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// One operation of the API.
struct Route {
    method: Method,
    /// The path below the base; `{id}` stands for a part that changes.
    path: &'static str,
    /// What it does, for the description.
    summary: &'static str,
    /// The least that is needed, for the description and the tests; checked where it is done.
    action: Action,
    /// The document that is posted.
    body: Option<&'static str>,
    /// The document that is answered; `None` for 204.
    answer: Option<&'static str>,
    run: fn(Call) -> Done,
}

impl Call {
    fn id(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }
}

/// Everything below `/api` but the live stream.
pub async fn answer(request: Request) -> Reply {
    let about = About { browser: request.header("sec-fetch-mode").is_some() };
    run(request).await.unwrap_or_else(|problem| refused(&about, &problem))
}

async fn run(request: Request) -> Result<Reply, Problem> {
    let parts = request.parts();
    let Some(path) = parts.strip_prefix(&BASE) else { return Err(Problem::not_found("resource", &request.path)) };
    if let (&Method::GET, ["openapi.json"]) = (&request.method, path) {
        return Ok(openapi::answer());
    }
    if let Some(why) = request.site.needs.identity().closed {
        return Err(Problem::new(503, "Out of service", why));
    }
    if let (&Method::POST, ["login"]) = (&request.method, path) {
        return general::login(&request).await;
    }
    let routes = routes();
    let mut allowed = Vec::new();
    for route in routes {
        let Some(ids) = matches(route.path, path) else { continue };
        if route.method == request.method {
            let caller = Caller::of(&request, true).await?;
            return (route.run)(Call { request, caller, ids }).await;
        }
        allowed.push(route.method.as_str());
    }
    if allowed.is_empty() {
        return Err(Problem::not_found("resource", &request.path));
    }
    let detail = format!("{} is not possible here. Possible: {}.", request.method, allowed.join(", "));
    Err(Problem::new(405, "Method not possible", detail))
}

/// Every operation, those of daily use first.
fn routes() -> impl Iterator<Item = &'static Route> {
    general::ROUTES
        .iter()
        .chain(calendars::ROUTES)
        .chain(configuration::ROUTES)
        .chain(trust::ROUTES)
        .chain(redundancy::ROUTES)
        .chain(servers::ROUTES)
}

/// The changing parts of a path that fits the pattern.
fn matches(pattern: &str, path: &[&str]) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    let mut parts = path.iter();
    for wanted in pattern.split('/').filter(|part| !part.is_empty()) {
        let part = parts.next()?;
        if wanted.starts_with('{') {
            ids.push((*part).to_owned());
        } else if wanted != *part {
            return None;
        }
    }
    parts.next().is_none().then_some(ids)
}

struct About {
    browser: bool,
}

/// A problem as the API says it.
pub fn problem(request: &Request, problem: &Problem) -> Reply {
    refused(&About { browser: request.header("sec-fetch-mode").is_some() }, problem)
}

fn refused(about: &About, problem: &Problem) -> Reply {
    let mut reply = reply::problem_json(problem);
    // A browser would open its own sign-in box for it; scripts are told how to sign in.
    if problem.status == 401 && !about.browser {
        let value = HeaderValue::from_static("Basic realm=\"OneAlert\", charset=\"UTF-8\"");
        reply.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    reply
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn paths_match_whole_and_give_their_changing_parts() {
        assert_eq!(matches("/sent/{id}", &["sent", "a b"]), Some(vec!["a b".to_owned()]));
        assert_eq!(matches("/sent", &["sent"]), Some(Vec::new()));
        for (pattern, path) in
            [("/sent", &["sent", "x"][..]), ("/sent/{id}", &["sent"]), ("/sent/{id}/x", &["sent", "1", "y"])]
        {
            assert_eq!(matches(pattern, path), None, "{pattern} {path:?}");
        }
    }

    #[test]
    fn no_two_routes_are_the_same() {
        let mut seen = BTreeSet::new();
        for route in routes() {
            assert!(seen.insert((route.method.as_str(), route.path)), "{} {}", route.method, route.path);
        }
    }
}
