//! Notifications: the list and the form.

use http::Method;
use onealert_core::{
    config::{Audio, Message, Notification, OnTakeover, Priority},
    ids::{EndpointId, NotificationId, TriggerId},
};

use super::{
    Frame, caller,
    list::{Cell, List, Row},
    path_to,
    rows::{self, Draft, Kind, show, unsaved},
    send,
};
use crate::{
    caller::Caller,
    form::{Choice, Control, Form, FormField, Item, Line},
    needs::{Expect, FieldProblem, Listed, Problem, Sounds},
    reply::Reply,
    request::{Fields, Request, encode},
    roles::Action,
    words,
};

/// `/notifications`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::POST, [_, id, "send"]) => send::send(&request, &caller, NotificationId::from(*id)).await,
        _ => rows::answer::<Notifications>(&request, &caller).await,
    }
}

struct Notifications;

impl Kind for Notifications {
    type Row = Notification;
    const LIST: (&'static str, &'static str) = ("Notifications", "/notifications");
    const ONE: &'static str = "notification";
    const USERS: &'static str = "/schedules";
    const CHANGE: Action = Action::EditNotifications;

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
        let create =
            (!frame.shut(caller, Action::EditNotifications)).then_some(("New notification", "/notifications/new"));
        let mut columns = vec!["Notification", "Priority", "Reaches", "Started by", "Sound"];
        if may_send {
            columns.push("Send");
        }
        let empty = "There are no notifications yet. A notification says what is sent to whom.";
        List::reply(frame, request, create, columns, rows.collect(), empty)
    }

    async fn begin(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
        caller.require(Action::EditNotifications)?;
        let row = Notification {
            id: NotificationId::from(""),
            name: String::new(),
            priority: Priority::Page,
            triggers: Vec::new(),
            endpoints: Vec::new(),
            message: Message { audio: Audio::Speech, repeats: 1, ..Message::default() },
            on_takeover: OnTakeover::Replay,
        };
        show::<Notifications>(request, caller, unsaved(row, String::new()), None).await
    }

    async fn find(caller: &Caller, id: &str) -> Result<Listed<Notification>, Problem> {
        caller.notification(NotificationId::from(id)).await
    }

    async fn draft(caller: &Caller, row: &Notification, exists: bool) -> Result<Draft, Problem> {
        let may_send = exists && caller.can(Action::Send);
        Ok(Draft {
            title: "New notification".to_owned(),
            intro: String::new(),
            hidden: Vec::new(),
            form: form(caller, row).await?,
            send: may_send.then(|| format!("/send?pick={}", encode(row.id.as_str()))),
        })
    }

    async fn read(_: &Caller, form: &Fields, id: &str) -> Result<(Notification, Vec<FieldProblem>), Problem> {
        Ok(read(form, id))
    }

    async fn save(caller: &Caller, row: Notification, expect: Expect) -> Result<(), Problem> {
        caller.save_notification(row, expect).await.map(drop)
    }

    async fn delete(caller: &Caller, id: &str, expect: Expect) -> Result<(), Problem> {
        caller.delete_notification(NotificationId::from(id), expect).await
    }

    fn farewell(listed: &Listed<Notification>) -> Vec<String> {
        let driven = match listed.row.triggers.len() {
            0 => "No trigger starts it.".to_owned(),
            1 => "Its trigger stays, and no longer starts it.".to_owned(),
            n => format!("Its {n} triggers stay, and no longer start it."),
        };
        let mut lines = vec![driven];
        if !listed.used_by.is_empty() {
            lines.push(format!("It is taken out of {}; their events stay.", rows::names(&listed.used_by)));
        }
        lines.push("What it sent stays in Sent Notifications.".to_owned());
        lines
    }

    fn named(row: &Notification) -> (&str, &str) {
        (row.id.as_str(), &row.name)
    }
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

fn read(form: &Fields, id: &str) -> (Notification, Vec<FieldProblem>) {
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
        id: NotificationId::from(id),
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
                encode(&posted(&audio))
            );
            let (row, wrong) = read(&Fields::parse(text.as_bytes()), "");
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
