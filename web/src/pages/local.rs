//! Local Settings: the two settings that are each server's own, changed on every server alike.

use http::Method;

use super::{
    Frame, caller,
    edit::{Edit, belongs_to_form},
    not_here,
};
use crate::{
    caller::Caller,
    form::{Choice, Form, FormField},
    needs::{LocalSettings, Problem},
    reply::{self, Reply},
    request::Request,
    roles::Action,
};

/// `/local`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, ["local"]) => {
            let settings = caller.local_settings().await?.settings;
            show(&request, &caller, settings, None).await
        }
        (Method::POST, ["local"]) => {
            let form = request.form();
            let settings = LocalSettings {
                multicast_address: form.text("/multicast_address"),
                network_interface: form.text("/network_interface"),
            };
            match caller.save_local_settings(settings.clone()).await {
                Ok(()) => Ok(reply::redirect("/local?done=saved-here")),
                Err(problem) if belongs_to_form(&problem) => show(&request, &caller, settings, Some(problem)).await,
                Err(problem) => Err(problem),
            }
        }
        _ => Err(not_here(&request)),
    }
}

async fn show(
    request: &Request,
    caller: &Caller,
    settings: LocalSettings,
    refused: Option<Problem>,
) -> Result<Reply, Problem> {
    let known = caller.local_settings().await?.interfaces;
    let chosen = &settings.network_interface;
    let mut choices = vec![Choice::new("auto", "Auto-Select: the interface of the default route", chosen == "auto")];
    choices.extend(
        known
            .iter()
            .map(|it| Choice::new(it.address.clone(), format!("{} ({})", it.address, it.name), *chosen == it.address)),
    );
    if choices.iter().all(|choice| !choice.on) {
        // Set by hand, or the interface has gone: shown as it is, so that saving does not change it unseen.
        choices.push(Choice::new(chosen.clone(), format!("{chosen} (no interface has it at present)"), true));
    }
    let multicast = FormField::line("/multicast_address", "Multicast IP Address", &settings.multicast_address).help(
        "Where this server sends audio for endpoints that listen to the server's own address, such as 239.192.0.1. \
         Endpoints with an address of their own are not concerned. Empty: none.",
    );
    let interface = FormField::select("/network_interface", "Network Interface Select", choices)
        .help("Which way multicast leaves this server.");
    let frame = Frame::of(request, caller, "Local Settings");
    let shut = !caller.can(Action::ChangeLocalSettings);
    let intro = format!(
        "These two belong to {} alone. They are changed on each server by itself, are never copied to another, and count \
         from the next announcement on.",
        frame.server
    );
    let form = Form::default().field(multicast).field(interface);
    Edit::single(frame, "/local", shut, intro, form, "Save for this server").reply(refused.as_ref())
}
