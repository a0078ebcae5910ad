//! Who is trusted with driver files: keys are trusted and forgotten, files are pinned and given back. Each only after a question
//! that says what it means.

use http::Method;

use super::{
    Frame,
    confirm::Confirm,
    edit::{Edit, belongs_to_form},
    not_here,
};
use crate::{
    caller::Caller,
    form::{Form, FormField},
    needs::{DriverFile, NewDriverKey, Problem, TrustChange},
    reply::{self, Reply},
    request::Request,
    roles::Action,
};

/// `/drivers/trust/...`: what is asked for or posted there.
pub async fn answer(request: &Request, caller: &Caller, what: &str) -> Result<Reply, Problem> {
    if request.method == Method::POST {
        caller.require_change(Action::Configure)?;
    }
    let form = request.form();
    let sure = form.text("confirm") == "yes";
    let (change, done) = match (request.method.clone(), what) {
        (Method::GET, "key") => return key_form(request, caller, &NewDriverKey::default(), None),
        (Method::POST, "key") => return add_key(request, caller).await,
        (Method::POST, "pin") => {
            let file = DriverFile { sha256: form.text("sha256") };
            if !sure {
                return ask_to_pin(request, caller, &file).await;
            }
            (TrustChange::Pin(file), "pinned")
        }
        (Method::POST, "unpin") => {
            let sha256 = form.text("sha256");
            if !sure {
                return ask_to_unpin(request, caller, sha256).await;
            }
            (TrustChange::Unpin(sha256), "unpinned")
        }
        (Method::POST, "forget") => {
            let key = form.text("key");
            if !sure {
                return ask_to_forget(request, caller, key).await;
            }
            (TrustChange::RemoveKey(key), "distrusted")
        }
        _ => return Err(not_here(request)),
    };
    caller.change_trust(change).await?;
    Ok(reply::redirect(&format!("/drivers?done={done}")))
}

fn key_form(
    request: &Request,
    caller: &Caller,
    key: &NewDriverKey,
    refused: Option<&Problem>,
) -> Result<Reply, Problem> {
    let frame = Frame::of(request, caller, "Trust a key");
    let shut = frame.shut(caller, Action::Configure);
    let name =
        FormField::line("/name", "Whose it is", &key.name).required().help("As it is to be shown beside the drivers.");
    let text = FormField::line("/key", "Public key", &key.key)
        .required()
        .help("The line of 56 letters and digits in the .pub file of minisign, as the driver's maker gives it.");
    let prefixes = FormField::line("/prefixes", "Drivers that it may sign", &key.prefixes.join(", "))
        .required()
        .help("Ids of drivers, or beginnings of ids such as com.algo.*; several with commas between them.");
    let intro = "Driver files of these ids that are signed with this key run on every server without being pinned.";
    let form = Form::default().field(name).field(text).field(prefixes);
    let page = Edit::single(frame, "/drivers/trust/key", shut, intro.to_owned(), form, "Trust this key");
    Edit { up: ("Drivers", "/drivers"), ..page }.reply(refused)
}

async fn add_key(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let form = request.form();
    let prefixes = form.text("/prefixes");
    let prefixes = prefixes.split([',', ' ']).filter(|prefix| !prefix.is_empty()).map(str::to_owned).collect();
    let key = NewDriverKey { name: form.text("/name"), key: form.text("/key"), prefixes };
    match caller.change_trust(TrustChange::AddKey(key.clone())).await {
        Ok(_) => Ok(reply::redirect("/drivers?done=trusted")),
        Err(problem) if belongs_to_form(&problem) => key_form(request, caller, &key, Some(&problem)),
        Err(problem) => Err(problem),
    }
}

/// A question on a page of its own; what is posted again when it is answered with yes.
fn ask(
    request: &Request,
    caller: &Caller,
    question: String,
    lines: Vec<String>,
    (name, value): (&str, String),
    button: &str,
) -> Result<Reply, Problem> {
    reply::page(&Confirm {
        frame: Frame::of(request, caller, question),
        lines,
        action: request.path.clone(),
        hidden: vec![(name.to_owned(), value)],
        class: "stop",
        button: button.to_owned(),
        back: "/drivers".to_owned(),
    })
}

async fn ask_to_pin(request: &Request, caller: &Caller, wanted: &DriverFile) -> Result<Reply, Problem> {
    let files = caller.drivers().await?.files;
    let file = files.into_iter().find(|file| file.may_be_pinned && file.sha256.as_ref() == Some(&wanted.sha256));
    let file = file.ok_or_else(|| Problem::not_found("file in the driver folder", &wanted.sha256))?;
    let (driver, version) = (file.driver.map(|id| id.to_string()), file.version.unwrap_or_default());
    let lines = vec![
        format!("It says that it is {} {version}. Nobody whom you trust has signed it.", driver.unwrap_or_default()),
        format!("SHA-256 {}", wanted.sha256),
        "Once it is pinned it can be enabled, and its code runs on every server then. Pin it only if you know where it comes \
         from; compare the checksum with the one that its maker gives."
            .to_owned(),
    ];
    ask(request, caller, format!("Pin {}?", file.file), lines, ("sha256", wanted.sha256.clone()), "Pin this file")
}

async fn ask_to_unpin(request: &Request, caller: &Caller, sha256: String) -> Result<Reply, Problem> {
    let pins = caller.drivers().await?.pins;
    let pin = pins.into_iter().find(|pin| pin.sha256 == sha256);
    let pin = pin.ok_or_else(|| Problem::not_found("pinned file", &sha256))?;
    let lines = vec![
        format!("SHA-256 {sha256}"),
        "The file then runs on no server any more, until it is pinned again or a trusted key signs it.".to_owned(),
    ];
    let question = format!("Take the pin of {} {} back?", pin.driver, pin.version);
    ask(request, caller, question, lines, ("sha256", sha256), "Take the pin back")
}

async fn ask_to_forget(request: &Request, caller: &Caller, id: String) -> Result<Reply, Problem> {
    let keys = caller.drivers().await?.keys;
    let key = keys.into_iter().find(|key| key.id == id).ok_or_else(|| Problem::not_found("key", &id))?;
    let lines = vec![
        format!("Key {id} of {}. It may sign {}.", key.name, key.prefixes.join(", ")),
        "Files that only this key vouches for then run on no server any more, until they are pinned.".to_owned(),
    ];
    ask(request, caller, format!("Trust the key of {} no longer?", key.name), lines, ("key", id), "Trust it no longer")
}
