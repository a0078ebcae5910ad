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
    is_get: bool,
    frame: Option<Frame>,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Option<Frame>,
    revision: String,
    problem: Problem,
}

impl About {
    /// Looks at a request before it is handed on. The frame is needed only where something goes wrong, and costs little.
    pub fn of(request: &Request) -> About {
        let go_back = if request.raw_query.is_empty() {
            request.path.clone()
        } else {
            format!("{}?{}", request.path, request.raw_query)
        };
        About { path: request.path.clone(), go_back, is_get: request.method == Method::GET, frame: None }
    }

    /// The same with the frame of who asks, when somebody is signed in.
    pub async fn with_frame(mut self, request: &Request) -> About {
        self.frame = caller(request).await.ok().map(|caller| Frame::new(&caller, "Not done", &self.path));
        self
    }
}

/// The page for a problem; who is not signed in is led to the sign-in page, and back afterwards.
pub fn page(about: About, problem: Problem) -> Reply {
    if problem.status == 401 && about.path != "/login" {
        let next = if about.is_get { format!("?next={}", encode(&about.go_back)) } else { String::new() };
        return reply::redirect(&format!("/login{next}"));
    }
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let page = ProblemPage { frame: about.frame, revision: assets::revision(), problem };
    reply::page_with(status, &page).unwrap_or_else(|problem| reply::problem_json(&problem))
}
