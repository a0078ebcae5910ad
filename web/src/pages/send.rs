//! Sending by hand: one big button a notification, and the confirmation.

use askama::Template;
use http::Method;
use onealert_core::{config::Notification, ids::NotificationId};

use super::{Frame, caller, confirm::Confirm, not_here, path_to};
use crate::{
    caller::Caller,
    needs::{Listed, Problem},
    reply::{self, Reply},
    request::Request,
    roles::Action,
    words,
};

#[derive(Template)]
#[template(path = "send.html")]
struct SendPage {
    frame: Frame,
    rows: Vec<SendRow>,
}

struct SendRow {
    id: String,
    name: String,
    about: String,
    class: &'static str,
    action: String,
    key: String,
    picked: bool,
}

/// `/send`: one big button a notification, the most urgent first.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let (Method::GET, ["send"]) = (request.method.clone(), &request.parts()[..]) else {
        return Err(not_here(&request));
    };
    let caller = caller(&request).await?;
    caller.require(Action::Send)?;
    let mut all = caller.notifications().await?;
    all.sort_by(|a, b| b.row.priority.cmp(&a.row.priority).then_with(|| a.row.name.cmp(&b.row.name)));
    let picked = request.query.text("pick");
    let mut rows = Vec::with_capacity(all.len());
    for Listed { row, .. } in all {
        rows.push(SendRow {
            about: about(&row),
            class: words::PRIORITIES.iter().find(|(it, _, _)| *it == row.priority).map_or("", |(_, word, _)| word),
            action: format!("{}/send", path_to("/notifications", row.id.as_str())),
            key: draw_key()?,
            picked: row.id.as_str() == picked,
            id: row.id.0,
            name: row.name,
        });
    }
    reply::page(&SendPage { frame: Frame::of(&request, &caller, "Send"), rows })
}

/// Sends after a confirmation: the script asks on the button itself, without script a page asks. The key was made with the
/// page, so that a form posted twice is sent once.
pub async fn send(request: &Request, caller: &Caller, id: NotificationId) -> Result<Reply, Problem> {
    let form = request.form();
    let key = Some(form.text("key")).filter(|key| !key.is_empty());
    if form.text("confirm") == "yes" {
        let accepted = caller.send(id, key).await?;
        return Ok(reply::redirect(match (accepted.duplicate, accepted.degraded) {
            (true, _) => "/status?done=sent-before",
            (_, true) => "/status?done=sent-degraded",
            _ => "/status?done=sent",
        }));
    }
    caller.require(Action::Send)?;
    let row = caller.notification(id.clone()).await?.row;
    let lines = vec![about(&row)];
    reply::page(&Confirm {
        frame: Frame::of(request, caller, format!("Send {}?", row.name)),
        lines,
        action: format!("{}/send", path_to("/notifications", id.as_str())),
        hidden: vec![("key".to_owned(), key.map_or_else(draw_key, Ok)?)],
        class: "primary",
        button: format!("Send {} now", row.name),
        back: "/send".to_owned(),
    })
}

fn about(row: &Notification) -> String {
    let reaches = words::count(row.endpoints.len(), "endpoint", "endpoints");
    format!("{}, {reaches}, {}", words::priority(row.priority), words::audio(&row.message.audio))
}

fn draw_key() -> Result<String, Problem> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::unavailable("The server has no random numbers at present."))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
