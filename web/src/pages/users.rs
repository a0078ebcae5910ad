//! Users: the accounts and their roles.

use askama::Template;
use http::Method;

use super::{Frame, caller, not_here};
use crate::{
    needs::{Problem, UserView},
    reply::{self, Reply},
    request::Request,
};

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    users: Vec<UserView>,
}

/// `/users`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let (Method::GET, ["users"]) = (request.method.clone(), &request.parts()[..]) else {
        return Err(not_here(&request));
    };
    let caller = caller(&request).await?;
    let users = caller.users().await?;
    reply::page(&UsersPage { frame: Frame::of(&request, &caller, "Users"), users })
}
