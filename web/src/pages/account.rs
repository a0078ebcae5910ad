//! Signing in and out, and one's own password.

use askama::Template;
use http::{Method, StatusCode};

use super::{Frame, caller, edit::Edit, not_here};
use crate::{
    assets,
    caller::Caller,
    form::{Form, FormField},
    login,
    needs::{FieldProblem, Password, Problem},
    reply::{self, Reply},
    request::Request,
    roles::Action,
    words,
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    revision: String,
    server: String,
    role: &'static str,
    problem: Option<Problem>,
    /// Passwords are taken on this connection.
    open: bool,
    next: String,
    user: String,
}

/// `/login`.
pub async fn login(request: Request) -> Result<Reply, Problem> {
    let (method, ["login"]) = (&request.method, &request.parts()[..]) else { return Err(not_here(&request)) };
    let form = if *method == Method::POST { request.form() } else { request.query.clone() };
    let next = safe_next(&form.text("next"));
    let refused = login::require_transport(&request).err();
    let open = refused.is_none();
    let mut page = login_page(&request, next.clone(), refused);
    page.open = open;
    match *method {
        Method::GET if !open => reply::page_with(StatusCode::FORBIDDEN, &page),
        Method::GET => reply::page(&page),
        Method::POST => {
            page.user = form.text("user");
            let password = Password::new(form.get("password").unwrap_or_default());
            match login::sign_in(&request, &page.user, password).await {
                Ok((_, token)) => {
                    let mut reply = reply::redirect(&next);
                    login::set_cookie(&request, &mut reply, &token);
                    Ok(reply)
                }
                Err(problem) => {
                    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNAUTHORIZED);
                    page.problem = Some(problem);
                    reply::page_with(status, &page)
                }
            }
        }
        _ => Err(not_here(&request)),
    }
}

fn login_page(request: &Request, next: String, problem: Option<Problem>) -> LoginPage {
    let identity = request.site.needs.identity();
    LoginPage {
        revision: assets::revision(),
        server: identity.name,
        role: words::role(identity.role),
        problem,
        open: true,
        next,
        user: String::new(),
    }
}

/// A path of ours, or the front page: an address cannot lead to another site after signing in.
fn safe_next(next: &str) -> String {
    let ours =
        next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']) && next.is_ascii();
    if ours && !next.starts_with("/login") { next.to_owned() } else { "/status".to_owned() }
}

/// `/logout`.
pub async fn logout(request: Request) -> Result<Reply, Problem> {
    if request.method == Method::POST
        && let Ok(Caller { token: Some(token), .. }) = caller(&request).await
    {
        request.site.sessions.end(&token);
    }
    let mut reply = reply::redirect("/login");
    login::set_cookie(&request, &mut reply, "");
    Ok(reply)
}

/// `/account`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let (method, ["account"]) = (request.method.clone(), &request.parts()[..]) else { return Err(not_here(&request)) };
    let caller = caller(&request).await?;
    let form = Form::default()
        .field(FormField::password("/old", "Present password", "current-password"))
        .field(FormField::password("/new", "New password", "new-password").help("At least 8 characters."))
        .field(FormField::password("/again", "New password again", "new-password"));
    let refused = match method {
        Method::GET => None,
        Method::POST => match change(&request, &caller).await {
            Ok(()) => return Ok(reply::redirect("/account?done=password")),
            Err(problem) if problem.status == 422 => Some(problem),
            Err(problem) => return Err(problem),
        },
        _ => return Err(not_here(&request)),
    };
    let frame = Frame::of(&request, &caller, "Your account");
    let shut = frame.shut(&caller, Action::ChangeOwnPassword);
    let intro = format!("Signed in as {}, role {}.", caller.account.user, frame.user_role);
    Edit::single(frame, "/account", shut, intro, form, "Change password").reply(refused.as_ref())
}

async fn change(request: &Request, caller: &Caller) -> Result<(), Problem> {
    let form = request.form();
    let password = |name: &str| form.get(name).unwrap_or_default().to_owned();
    if password("/new") != password("/again") {
        return Err(Problem::invalid(vec![FieldProblem::new("/again", "must be the same as the new password")]));
    }
    change_password(request, caller, Password::new(password("/old")), Password::new(password("/new"))).await
}

/// Changes the password and ends every other session of the user: for the page and the API.
pub async fn change_password(request: &Request, caller: &Caller, old: Password, new: Password) -> Result<(), Problem> {
    caller.change_password(old, new).await?;
    request.site.checked.forget(&caller.account.user);
    request.site.sessions.end_others(&caller.account.user, caller.token.as_deref());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_pages_of_ours_only() {
        for ours in ["/sent?q=a%20b", "/endpoints/x", "/"] {
            assert_eq!(safe_next(ours), ours);
        }
        for foreign in [
            "",
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "javascript:x",
            "/a\r\nb",
            "/login?next=/x",
        ] {
            assert_eq!(safe_next(foreign), "/status", "{foreign}");
        }
    }
}
