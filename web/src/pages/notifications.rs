//! Notifications: the list, the form, and sending.

use askama::Template;
use http::Method;
use onealert_core::{
    config::{Audio, Message, Notification, OnTakeover, Priority},
    ids::{EndpointId, NotificationId, TriggerId},
};

use super::{
    Frame, caller,
    confirm::Confirm,
    edit::{Edit, belongs_to_form},
    expect,
    list::{Cell, List, Row},
    not_here, path_to,
};
use crate::{
    caller::Caller,
    form::{Choice, Control, Form, FormField, Item, Line},
    needs::{Expect, FieldProblem, Listed, Problem, Sounds, State},
    reply::{self, Reply},
    request::{Fields, Request},
    roles::Action,
    words,
};

const LIST: (&str, &str) = ("Notifications", "/notifications");

/// `/notifications`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, [_]) => list(&request, &caller).await,
        (Method::GET, [_, "new"]) => {
            caller.require(Action::EditNotifications)?;
            show(&request, &caller, blank(), None).await
        }
        (Method::GET, [_, id]) => {
            let listed = caller.notification(NotificationId::from(*id)).await?;
            show(&request, &caller, listed, None).await
        }
        (Method::POST, [_, "new"]) => save(&request, &caller, None).await,
        (Method::POST, [_, id]) => save(&request, &caller, Some(NotificationId::from(*id))).await,
        (Method::POST, [_, id, "send"]) => send(&request, &caller, NotificationId::from(*id)).await,
        (Method::POST, [_, id, "delete"]) => delete(&request, &caller, NotificationId::from(*id)).await,
        _ => Err(not_here(&request)),
    }
}

async fn list(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let may_send = caller.can(Action::Send);
    let rows = caller.notifications().await?.into_iter().map(|listed| {
        let row = listed.row;
        let mut cells = vec![
            Cell::Text(words::priority(row.priority).to_owned()),
            Cell::Text(words::count(row.endpoints.len(), "endpoint", "endpoints")),
            Cell::Text(words::count(row.triggers.len(), "trigger", "triggers")),
            Cell::Text(words::audio(&row.message.audio)),
        ];
        if may_send {
            cells.push(Cell::Send(row.id.to_string()));
        }
        Row { name: row.name, href: path_to("/notifications", row.id.as_str()), cells, state: listed.state }
    });
    let frame = Frame::of(request, caller, "Notifications");
    let create = (!frame.shut(caller, Action::EditNotifications)).then_some(("New notification", "/notifications/new"));
    let mut columns = vec!["Notification", "Priority", "Reaches", "Started by", "Sound"];
    if may_send {
        columns.push("Send");
    }
    let empty = "There are no notifications yet. A notification says what is sent to whom.";
    List::reply(frame, request, create, columns, rows.collect(), empty)
}

fn blank() -> Listed<Notification> {
    let row = Notification {
        id: NotificationId::from(""),
        name: String::new(),
        priority: Priority::Page,
        triggers: Vec::new(),
        endpoints: Vec::new(),
        message: Message { audio: Audio::Speech, repeats: 1, ..Message::default() },
        on_takeover: OnTakeover::Replay,
    };
    Listed { row, etag: String::new(), state: State::Ok, text: String::new(), used_by: Vec::new() }
}

async fn show(
    request: &Request,
    caller: &Caller,
    listed: Listed<Notification>,
    refused: Option<Problem>,
) -> Result<Reply, Problem> {
    let Listed { row, etag, .. } = listed;
    let exists = !etag.is_empty();
    let path = path_to("/notifications", row.id.as_str());
    let frame = Frame::of(request, caller, if exists { row.name.clone() } else { "New notification".to_owned() });
    let edit = Edit {
        up: LIST,
        health: None,
        intro: String::new(),
        action: if exists { path.clone() } else { "/notifications/new".to_owned() },
        shut: frame.shut(caller, Action::EditNotifications),
        etag,
        hidden: Vec::new(),
        form: form(caller, &row).await?,
        save: "Save notification",
        used_by: Vec::new(),
        send: (exists && caller.can(Action::Send))
            .then(|| format!("/send?pick={}", crate::request::encode(row.id.as_str()))),
        delete: (exists && caller.can(Action::EditNotifications)).then(|| format!("{path}/delete")),
        frame,
    };
    edit.reply(refused.as_ref())
}

async fn form(caller: &Caller, row: &Notification) -> Result<Form, Problem> {
    let message = &row.message;
    let priority = words::PRIORITIES.map(|(it, word, label)| Choice::new(word, label, it == row.priority));
    let takeover = words::TAKEOVERS.map(|(it, word, label)| Choice::new(word, label, it == row.on_takeover));
    let text =
        FormField { value: message.body.clone(), ..FormField::new("/message/body", "Text", Control::Area { rows: 4 }) };
    let number = |name, label, value: u32, min: &str, max: &str| {
        let step = "1".to_owned();
        let line = Line { kind: "number", min: min.to_owned(), max: max.to_owned(), step, ..Line::default() };
        FormField { value: value.to_string(), ..FormField::new(name, label, Control::Line(line)).required() }
    };
    let repeats = number("/message/repeats", "How often the sound is played", message.repeats, "1", "100");
    let hold =
        number("/message/hold_seconds", "Displays and strobes stay on, in seconds", message.hold_seconds, "0", "3600")
            .help("At least so long. While the sound plays they stay on anyway.");
    let sound = FormField::select("/message/audio", "Sound", sounds(&caller.needs.sounds(), &message.audio));
    let content: Vec<Item> = vec![
        FormField::line("/message/title", "Title", &message.title).help("May hold {activatorTitle}.").into(),
        text.help("Shown, and spoken where the sound is the spoken text. May hold {activatorBody}, {serverName}, {timeLocal}.")
            .into(),
        sound.into(),
        repeats.into(),
        hold.into(),
    ];
    let mut form = Form::default()
        .field(FormField::line("/name", "Name", &row.name).required())
        .field(FormField::select("/priority", "Priority", priority.to_vec()).help("A higher one replaces a lower one."))
        .group("Message", "", content);
    // Who sees no configuration sees how many there are, not which.
    if caller.can(Action::LookAtConfiguration) {
        let endpoints = caller.endpoints().await?.into_iter().map(|it| Choice {
            on: row.endpoints.contains(&it.row.id),
            value: it.row.id.0,
            label: it.row.name,
            note: it.row.location,
        });
        let triggers = caller.triggers().await?.into_iter().map(|it| Choice {
            on: row.triggers.contains(&it.row.id),
            value: it.row.id.0,
            label: it.row.name,
            note: String::new(),
        });
        form = form
            .field(FormField::new("/endpoints", "Endpoints that receive it", Control::Ticks(endpoints.collect())))
            .field(FormField::new("/triggers", "Triggers that start it", Control::Ticks(triggers.collect())));
    }
    let takeover = FormField::select("/on_takeover", "When another server takes over", takeover.to_vec());
    Ok(form.field(takeover.help("What it does with a sound that had begun.")))
}

fn sounds(sounds: &Sounds, present: &Audio) -> Vec<Choice> {
    let mut all = vec![(Audio::Speech, "Spoken text".to_owned()), (Audio::None, "No sound".to_owned())];
    all.extend(sounds.tones.iter().map(|name| (Audio::Tone { name: name.clone() }, format!("Tone: {name}"))));
    all.extend(sounds.files.iter().map(|name| (Audio::File { name: name.clone() }, format!("File: {name}"))));
    if !all.iter().any(|(audio, _)| audio == present) {
        let label = format!("{} (not on this server)", words::audio(present));
        all.push((present.clone(), label));
    }
    all.into_iter().map(|(audio, label)| Choice::new(posted(&audio), label, audio == *present)).collect()
}

fn posted(audio: &Audio) -> String {
    match audio {
        Audio::None => "none".to_owned(),
        Audio::Speech => "speech".to_owned(),
        Audio::Tone { name } => format!("tone {name}"),
        Audio::File { name } => format!("file {name}"),
    }
}

fn read(form: &Fields, id: Option<NotificationId>) -> (Notification, Vec<FieldProblem>) {
    let mut wrong = Vec::new();
    let audio = match form.text("/message/audio").split_once(' ') {
        Some(("tone", name)) => Audio::Tone { name: name.to_owned() },
        Some(("file", name)) => Audio::File { name: name.to_owned() },
        _ if form.text("/message/audio") == "speech" => Audio::Speech,
        _ => Audio::None,
    };
    let repeats = form.text("/message/repeats").parse().unwrap_or_else(|_| {
        wrong.push(FieldProblem::new("/message/repeats", "must be a whole number between 1 and 100"));
        1
    });
    let hold_seconds = form.text("/message/hold_seconds").parse().unwrap_or_else(|_| {
        wrong.push(FieldProblem::new("/message/hold_seconds", "must be a whole number of seconds"));
        10
    });
    let (priority, takeover) = (form.text("/priority"), form.text("/on_takeover"));
    let row = Notification {
        id: id.unwrap_or_else(|| NotificationId::from("")),
        name: form.text("/name"),
        priority: words::PRIORITIES
            .into_iter()
            .find(|(_, word, _)| *word == priority)
            .map(|it| it.0)
            .unwrap_or_default(),
        triggers: form.all("/triggers").map(TriggerId::from).collect(),
        endpoints: form.all("/endpoints").map(EndpointId::from).collect(),
        message: Message {
            title: form.text("/message/title"),
            body: form.text("/message/body").replace("\r\n", "\n"),
            audio,
            repeats,
            hold_seconds,
        },
        on_takeover: words::TAKEOVERS
            .into_iter()
            .find(|(_, word, _)| *word == takeover)
            .map(|it| it.0)
            .unwrap_or_default(),
    };
    (row, wrong)
}

async fn save(request: &Request, caller: &Caller, id: Option<NotificationId>) -> Result<Reply, Problem> {
    caller.require_change(Action::EditNotifications)?;
    let form = request.form();
    let (row, wrong) = read(&form, id);
    let saved = if wrong.is_empty() {
        caller.save_notification(row.clone(), expect(&form)).await.map(|_| ())
    } else {
        Err(Problem::invalid(wrong))
    };
    match saved {
        Ok(()) => Ok(reply::redirect("/notifications?done=saved")),
        Err(problem) if belongs_to_form(&problem) => {
            let listed = Listed { row, etag: form.text("etag"), ..blank() };
            show(request, caller, listed, Some(problem)).await
        }
        Err(problem) => Err(problem),
    }
}

async fn delete(request: &Request, caller: &Caller, id: NotificationId) -> Result<Reply, Problem> {
    caller.require_change(Action::EditNotifications)?;
    let form = request.form();
    if form.text("confirm") == "yes" {
        caller.delete_notification(id, Expect::Etag(form.text("etag"))).await?;
        return Ok(reply::redirect("/notifications?done=deleted"));
    }
    let listed = caller.notification(id.clone()).await?;
    let path = path_to("/notifications", id.as_str());
    let driven = match listed.row.triggers.len() {
        0 => "No trigger starts it.".to_owned(),
        1 => "Its trigger stays, and no longer starts it.".to_owned(),
        n => format!("Its {n} triggers stay, and no longer start it."),
    };
    reply::page(&Confirm {
        frame: Frame::of(request, caller, format!("Delete {}?", listed.row.name)),
        lines: vec![driven, "What it sent stays in Sent Notifications.".to_owned()],
        action: format!("{path}/delete"),
        hidden: vec![("etag".to_owned(), listed.etag)],
        class: "stop",
        button: "Delete notification".to_owned(),
        back: path,
    })
}

/// Sends after a confirmation: the script asks on the button itself, without script a page asks. The key was made with the
/// page, so that a form posted twice is sent once.
async fn send(request: &Request, caller: &Caller, id: NotificationId) -> Result<Reply, Problem> {
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
pub async fn send_page(request: Request) -> Result<Reply, Problem> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sound_comes_back_from_the_form() {
        for audio in [
            Audio::None,
            Audio::Speech,
            Audio::Tone { name: "chime two".into() },
            Audio::File { name: "all clear.wav".into() },
        ] {
            let text = format!(
                "%2Fmessage%2Faudio={}&%2Fmessage%2Frepeats=2&%2Fmessage%2Fhold_seconds=5",
                crate::request::encode(&posted(&audio))
            );
            let (row, wrong) = read(&Fields::parse(text.as_bytes()), None);
            assert_eq!((row.message.audio, wrong.len()), (audio, 0));
        }
    }

    #[test]
    fn a_sound_that_is_gone_stays_chosen() {
        let gone = Audio::File { name: "gone.wav".into() };
        let choices = sounds(&Sounds { tones: vec!["chime".into()], files: Vec::new() }, &gone);
        let chosen: Vec<_> = choices.iter().filter(|choice| choice.on).map(|choice| choice.value.as_str()).collect();
        assert_eq!(chosen, ["file gone.wav"]);
    }
}
