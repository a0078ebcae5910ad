//! Pages: one file a menu entry.

pub mod account;
mod choose;
mod confirm;
mod drill;
mod drivers;
mod edit;
mod endpoints;
mod frame;
mod groups;
mod list;
mod local;
mod logs;
mod notifications;
mod phones;
mod problem;
mod redundancy;
mod rows;
mod schedule_forms;
mod schedules;
mod send;
pub mod sent;
mod server;
pub mod status;
mod triggers;
mod trust;
mod users;
mod what_if;

use std::{future::Future, pin::Pin};

use http::Method;

pub use frame::{Frame, Stream};

use crate::{
    caller::Caller,
    needs::{Expect, Problem},
    reply::{self, Reply},
    request::{Fields, Request, encode},
};

/// A page's answer, or what is wrong.
type Page = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send>>;

/// A page's handler.
pub type Handler = fn(Request) -> Page;

/// Every page behind the first part of its path.
pub const ALL: &[(&str, Handler)] = &[
    ("status", |request| Box::pin(status::answer(request))),
    ("running", |request| Box::pin(status::running(request))),
    ("sent", |request| Box::pin(sent::answer(request))),
    ("notifications", |request| Box::pin(notifications::answer(request))),
    ("send", |request| Box::pin(send::answer(request))),
    ("drivers", |request| Box::pin(drivers::answer(request))),
    ("groups", |request| Box::pin(groups::answer(request))),
    ("endpoints", |request| Box::pin(endpoints::answer(request))),
    ("servers", |request| Box::pin(server::answer(request))),
    ("schedules", |request| Box::pin(schedules::answer(request))),
    ("triggers", |request| Box::pin(triggers::answer(request))),
    ("local", |request| Box::pin(local::answer(request))),
    ("redundancy", |request| Box::pin(redundancy::answer(request))),
    ("phones", |request| Box::pin(phones::answer(request))),
    ("users", |request| Box::pin(users::answer(request))),
    ("logs", |request| Box::pin(logs::answer(request))),
    ("login", |request| Box::pin(account::login(request))),
    ("logout", |request| Box::pin(account::logout(request))),
    ("account", |request| Box::pin(account::answer(request))),
];

/// What no page is behind.
pub fn other(request: Request) -> Page {
    Box::pin(async move {
        match &request.parts()[..] {
            [] => Ok(reply::redirect("/status")),
            ["favicon.ico"] => Ok(reply::redirect("/assets/icon.svg")),
            // Devices and scanners ask for many things; they get a short answer.
            _ if !request.header("accept").unwrap_or_default().contains("text/html") => {
                Ok(reply::problem_json(&Problem::not_found("page", &request.path)))
            }
            _ => Err(Problem::not_found("page", &request.path)),
        }
    })
}

/// The handler's answer, or a page that says what is wrong.
pub async fn answer(request: Request, handler: Handler) -> Reply {
    if let Some(why) = request.site.needs.identity().closed {
        return problem::closed(&why);
    }
    let about = problem::About::of(&request).await;
    handler(request).await.unwrap_or_else(|problem| problem::page(about, problem))
}

/// The signed-in user behind a page.
async fn caller(request: &Request) -> Result<Caller, Problem> {
    Caller::of(request, false).await
}

fn not_here(request: &Request) -> Problem {
    if request.method == Method::GET || request.method == Method::POST {
        Problem::not_found("page", &request.path)
    } else {
        Problem::new(405, "Not possible", format!("{} is not possible on {}.", request.method, request.path))
    }
}

/// What a posted form expects to find: the row as it was when the form was made.
fn expect(form: &Fields) -> Expect {
    match form.text("etag") {
        etag if etag.is_empty() => Expect::New,
        etag => Expect::Etag(etag),
    }
}

/// Looks for `wanted` in any of the texts, in any case.
fn found_in(wanted: &str, texts: &[&str]) -> bool {
    let wanted = wanted.to_lowercase();
    wanted.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&wanted))
}

/// `/endpoints/hall%201` from `/endpoints` and a key.
fn path_to(base: &str, key: &str) -> String {
    format!("{base}/{}", encode(key))
}
