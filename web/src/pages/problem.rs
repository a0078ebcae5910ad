//! The page that says what is wrong.

use askama::Template;
use http::{Method, StatusCode};

use super::{Frame, caller};
use crate::{
    assets,
    needs::Problem,
    reply::{self, Reply},
    request::{Request, encode},
};

/// What of a request is needed to say what is wrong with it.
pub struct About {
    path: String,
    go_back: String,
    frame: Option<Frame>,
}

#[derive(Template)]
#[template(path = "problem_framed.html")]
struct Framed {
    frame: Frame,
    problem: Problem,
}

#[derive(Template)]
#[template(path = "problem_bare.html")]
struct Bare {
    revision: String,
    problem: Problem,
}

impl About {
    /// Looks at a request before it is handed on. The frame is needed only where something goes wrong, and costs little.
    pub async fn of(request: &Request) -> About {
        let query = if request.raw_query.is_empty() { String::new() } else { format!("?{}", request.raw_query) };
        let go_back = if request.method == Method::GET { format!("{}{query}", request.path) } else { String::new() };
        let frame = caller(request).await.ok().map(|caller| Frame::of(request, &caller, "Not done"));
        About { path: request.path.clone(), go_back, frame }
    }
}

/// The page for a problem; who is not signed in is led to the sign-in page, and back afterwards.
pub fn page(about: About, problem: Problem) -> Reply {
    if problem.status == 401 && about.path != "/login" {
        let next = if about.go_back.is_empty() { String::new() } else { format!("?next={}", encode(&about.go_back)) };
        return reply::redirect(&format!("/login{next}"));
    }
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let written = match about.frame {
        Some(mut frame) => {
            frame.title.clone_from(&problem.title);
            reply::page_with(status, &Framed { frame, problem })
        }
        None => reply::page_with(status, &Bare { revision: assets::revision(), problem }),
    };
    written.unwrap_or_else(|problem| reply::problem_json(&problem))
}

/// The only page of a server that is out of service: it says why, to whoever asks, since nobody can sign in there.
pub fn closed(why: &str) -> Reply {
    let problem = Problem::new(503, "Out of service", why);
    let written = reply::page_with(
        StatusCode::SERVICE_UNAVAILABLE,
        &Bare { revision: assets::revision(), problem: problem.clone() },
    );
    written.unwrap_or_else(|_| reply::problem_json(&problem))
}
