//! Phone Authentication: the name and password that phones may be controlled with.

use http::Method;

use super::{
    Frame, caller,
    edit::{Edit, belongs_to_form},
    not_here,
};
use crate::{
    caller::Caller,
    form::{Form, FormField},
    needs::{Password, PhoneLogin, Problem},
    phones,
    reply::{self, Reply},
    request::Request,
    roles::Action,
};

/// `/phones`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, ["phones"]) => {
            let login = caller.phone_login().await?;
            show(&request, &caller, login, None).await
        }
        (Method::POST, ["phones"]) => {
            let form = request.form();
            let user = form.text("/user");
            let password = form.get("/password").filter(|text| !text.is_empty()).map(Password::new);
            match caller.save_phone_login(user.clone(), password).await {
                Ok(()) => Ok(reply::redirect("/phones?done=saved")),
                Err(problem) if belongs_to_form(&problem) => {
                    let login = PhoneLogin { user, ..caller.phone_login().await? };
                    show(&request, &caller, login, Some(problem)).await
                }
                Err(problem) => Err(problem),
            }
        }
        _ => Err(not_here(&request)),
    }
}

async fn show(
    request: &Request,
    caller: &Caller,
    login: PhoneLogin,
    refused: Option<Problem>,
) -> Result<Reply, Problem> {
    let user = FormField::line("/user", "User name", &login.user)
        .help("The user that controls phones, as CUCM knows it. Empty: no phone is told yes.");
    let kept = if login.set { "Leave it empty to keep the present one. " } else { "" };
    let password = FormField::password("/password", "Password", "new-password").help(&format!(
        "{kept}At least 12 characters; take a random one. It is never shown again and cannot be read from the database."
    ));
    let frame = Frame::of(request, caller, "Phone Authentication");
    let shut = frame.shut(caller, Action::Configure);
    let intro = format!(
        "IP phones ask whether the one who tells them to play something may do so. Every server answers, also while the \
         primary is down. Set CUCM's enterprise parameters URL Authentication and Secured Authentication URL to \
         http://SERVER{} and reset the phones.",
        phones::PATH
    );
    let form = Form::default().field(user).field(password);
    Edit::single(frame, "/phones", shut, intro, form, "Save").reply(refused.as_ref())
}
