//! Redundancy: servers that came back and hold back. Also the way to its other two pages, What if and Drill.

use askama::Template;
use http::Method;
use onealert_core::ids::ServerId;

use super::{Frame, caller, drill, not_here, what_if};
use crate::{
    needs::{Problem, Redundancy, RedundancySettings},
    reply::{self, Reply},
    request::Request,
    roles::Action,
    words,
};

#[derive(Template)]
#[template(path = "redundancy.html")]
struct RedundancyPage {
    frame: Frame,
    redundancy: Redundancy,
    shut: bool,
    may_return: bool,
}

/// `/redundancy`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, ["redundancy"]) => {
            let redundancy = caller.redundancy().await?;
            let frame = Frame::of(&request, &caller, "Redundancy");
            let (shut, may_return) = (frame.shut(&caller, Action::Configure), caller.can(Action::Administer));
            reply::page(&RedundancyPage { frame, redundancy, shut, may_return })
        }
        (Method::POST, ["redundancy"]) => {
            let manual_return = request.form().has("manual_return");
            caller.save_redundancy(RedundancySettings { manual_return }).await?;
            Ok(reply::redirect("/redundancy?done=saved"))
        }
        (Method::POST, ["redundancy", "return", id]) => {
            let id: ServerId = id.parse().map_err(|_| Problem::not_found("server", id))?;
            caller.return_server(id).await?;
            Ok(reply::redirect("/redundancy?done=returned"))
        }
        (Method::GET, ["redundancy", "what-if"]) => what_if::page(&request, &caller).await,
        (Method::GET, ["redundancy", "drill"]) => drill::page(&request, &caller).await,
        (Method::POST, ["redundancy", "drill"]) => drill::run(&caller).await,
        _ => Err(not_here(&request)),
    }
}
