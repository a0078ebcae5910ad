//! Priority Groups: which servers send, in which order.

use askama::Template;
use http::{Method, StatusCode};
use onealert_core::{
    config::{DEFAULT_GROUP, PriorityGroup},
    ids::{GroupId, ServerId},
};

use super::{Frame, caller, edit::belongs_to_form, expect, not_here, path_to, rows::names};
use crate::{
    caller::Caller,
    form::{Choice, Form, FormField},
    needs::{Expect, GroupView, Named, Problem, ServerStatus},
    reply::{self, Reply},
    request::{Fields, Request},
    roles::Action,
    words,
};

#[derive(Template)]
#[template(path = "groups.html")]
struct GroupsPage {
    frame: Frame,
    shut: bool,
    groups: Vec<Shown>,
}

struct Shown {
    name: String,
    href: String,
    servers: Vec<Place>,
    uses: String,
}

struct Place {
    name: String,
    text: String,
    class: &'static str,
    sends: bool,
}

#[derive(Template)]
#[template(path = "group.html")]
struct GroupPage {
    frame: Frame,
    action: String,
    shut: bool,
    etag: String,
    form: Form,
    servers: Vec<Member>,
    uses: Vec<(String, String)>,
    delete: Option<String>,
}

/// Asks where its triggers and calendars go before the group does.
#[derive(Template)]
#[template(path = "group_delete.html")]
struct DeletePage {
    frame: Frame,
    uses: Vec<String>,
    action: String,
    etag: String,
    form: Form,
    back: String,
}

/// A server in the order of the form; only those that are on take part.
struct Member {
    id: String,
    name: String,
    text: String,
    class: &'static str,
    on: bool,
}

/// `/groups`.
pub async fn answer(request: Request) -> Result<Reply, Problem> {
    let caller = caller(&request).await?;
    match (request.method.clone(), &request.parts()[..]) {
        (Method::GET, [_]) => list(&request, &caller).await,
        (Method::GET, [_, "new"]) => {
            caller.require(Action::LookAtConfiguration)?;
            let servers = caller.status().await?.servers;
            let order = servers.iter().map(|server| (server.id, true)).collect();
            show(&request, &caller, Draft { id: None, name: String::new(), etag: String::new(), order }, None).await
        }
        (Method::GET, [_, id]) => {
            let group = caller.group(&GroupId::from(*id)).await?.listed;
            let order = group.row.servers.iter().map(|id| (*id, true)).collect();
            let draft = Draft { id: Some(group.row.id), name: group.row.name, etag: group.etag, order };
            show(&request, &caller, draft, None).await
        }
        (Method::POST, [_, "new"]) => posted(&request, &caller, None).await,
        (Method::POST, [_, id]) => posted(&request, &caller, Some(GroupId::from(*id))).await,
        (Method::POST, [_, id, "delete"]) => delete(&request, &caller, GroupId::from(*id)).await,
        _ => Err(not_here(&request)),
    }
}

async fn list(request: &Request, caller: &Caller) -> Result<Reply, Problem> {
    let groups = caller.groups().await?;
    let servers = caller.status().await?.servers;
    let frame = Frame::of(request, caller, "Priority Groups");
    let groups = groups.into_iter().map(|group| shown(group, &servers)).collect();
    reply::page(&GroupsPage { shut: frame.shut(caller, Action::Configure), frame, groups })
}

fn shown(group: GroupView, servers: &[ServerStatus]) -> Shown {
    let row = group.listed.row;
    let counted = |used: &[Named], one: &str, many: &str| {
        (!used.is_empty()).then(|| format!("{}: {}", words::count(used.len(), one, many), names(used)))
    };
    let triggers = counted(&group.listed.used_by, "trigger", "triggers");
    let calendars = counted(&group.calendars, "calendar", "calendars");
    let uses = match [triggers, calendars].into_iter().flatten().collect::<Vec<_>>() {
        none if none.is_empty() => "Nothing uses it.".to_owned(),
        some => some.join(" · "),
    };
    let place = |id: &ServerId| {
        let known = servers.iter().find(|server| server.id == *id);
        Place {
            name: known.map_or_else(|| id.to_string(), |server| server.name.clone()),
            text: known.map_or_else(|| "no longer there".to_owned(), |server| server.text.clone()),
            class: known.map_or("off", |server| words::state_class(server.state)),
            sends: group.sends == Some(*id),
        }
    };
    Shown {
        href: path_to("/groups", row.id.as_str()),
        servers: row.servers.iter().map(place).collect(),
        name: row.name,
        uses,
    }
}

/// A group as the form holds it.
struct Draft {
    id: Option<GroupId>,
    name: String,
    etag: String,
    /// Servers in order, and whether each takes part.
    order: Vec<(ServerId, bool)>,
}

async fn show(request: &Request, caller: &Caller, draft: Draft, refused: Option<Problem>) -> Result<Reply, Problem> {
    let known = caller.status().await?.servers;
    let mut order = draft.order;
    let missing: Vec<_> = known.iter().filter(|server| order.iter().all(|(id, _)| *id != server.id)).collect();
    order.extend(missing.into_iter().map(|server| (server.id, false)));
    let servers = order.into_iter().map(|(id, on)| {
        let server = known.iter().find(|server| server.id == id);
        Member {
            id: id.to_string(),
            name: server.map_or_else(|| id.to_string(), |server| server.name.clone()),
            text: server.map_or_else(|| "no longer there".to_owned(), |server| server.text.clone()),
            class: server.map_or("off", |server| words::state_class(server.state)),
            on,
        }
    });
    let is_default = draft.id.as_ref().is_some_and(|id| id.as_str() == DEFAULT_GROUP);
    let name = FormField { read_only: is_default, ..FormField::line("/name", "Name", &draft.name).required() };
    let name = if is_default { name.help("This group exists always; its name is fixed.") } else { name };
    let mut form = Form::default().field(name);
    let status = refused.as_ref().map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
    });
    if let Some(problem) = &refused {
        form = form.with_problem(problem);
    }
    let uses = match &draft.id {
        Some(id) => caller.group(id).await.map(|group| uses(&group)).unwrap_or_default(),
        None => Vec::new(),
    };
    let path = draft.id.as_ref().map(|id| path_to("/groups", id.as_str()));
    let title = if draft.id.is_some() { draft.name } else { "New priority group".to_owned() };
    let frame = Frame::of(request, caller, title);
    let page = GroupPage {
        shut: frame.shut(caller, Action::Configure),
        action: path.clone().unwrap_or_else(|| "/groups/new".to_owned()),
        etag: draft.etag,
        form,
        servers: servers.collect(),
        uses,
        delete: path.filter(|_| !is_default).map(|path| format!("{path}/delete")),
        frame,
    };
    reply::page_with(status, &page)
}

/// Names and addresses of the triggers and calendars of a group.
fn uses(group: &GroupView) -> Vec<(String, String)> {
    let triggers = group.listed.used_by.iter().map(|named| (named.name.clone(), path_to("/triggers", &named.id)));
    let calendar = |named: &Named| (format!("{} (schedule)", named.name), path_to("/schedules", &named.id));
    triggers.chain(group.calendars.iter().map(calendar)).collect()
}

/// A posted form: a server moved (shown again, not saved), or the order to be saved.
async fn posted(request: &Request, caller: &Caller, id: Option<GroupId>) -> Result<Reply, Problem> {
    caller.require_change(Action::Configure)?;
    let form = request.form();
    let mut draft = Draft { id, name: form.text("/name"), etag: form.text("etag"), order: order(&form) };
    if let Some(step) = form.get("move") {
        moved(&mut draft.order, step);
        return show(request, caller, draft, None).await;
    }
    let group = PriorityGroup {
        id: draft.id.clone().unwrap_or_else(|| GroupId::from("")),
        name: draft.name.clone(),
        servers: draft.order.iter().filter(|(_, on)| *on).map(|(id, _)| *id).collect(),
    };
    match caller.save_group(group, expect(&form)).await {
        Ok(_) => Ok(reply::redirect("/groups?done=saved")),
        Err(problem) if belongs_to_form(&problem) => show(request, caller, draft, Some(problem)).await,
        Err(problem) => Err(problem),
    }
}

fn order(form: &Fields) -> Vec<(ServerId, bool)> {
    let on: Vec<&str> = form.all("in").collect();
    form.all("server").filter_map(|text| Some((text.parse().ok()?, on.contains(&text)))).collect()
}

/// Moves a server one place: `up 0123…` or `down 0123…`.
fn moved(order: &mut [(ServerId, bool)], step: &str) {
    let Some((direction, id)) = step.split_once(' ') else { return };
    let Some(at) = order.iter().position(|(server, _)| server.to_string() == id) else { return };
    match direction {
        "up" if at > 0 => order.swap(at, at - 1),
        "down" if at + 1 < order.len() => order.swap(at, at + 1),
        _ => {}
    }
}

async fn delete(request: &Request, caller: &Caller, id: GroupId) -> Result<Reply, Problem> {
    caller.require_change(Action::Configure)?;
    let form = request.form();
    let mut refused = None;
    if form.text("confirm") == "yes" {
        let move_to = form.get("/move_to").filter(|id| !id.is_empty()).map(GroupId::from);
        match caller.delete_group(id.clone(), move_to, Expect::Etag(form.text("etag"))).await {
            Ok(_) => return Ok(reply::redirect("/groups?done=deleted")),
            Err(problem) if problem.status == 422 && !problem.fields.is_empty() => refused = Some(problem),
            Err(problem) => return Err(problem),
        }
    }
    let group = caller.group(&id).await?;
    let uses: Vec<String> = uses(&group).into_iter().map(|(name, _)| name).collect();
    let group = group.listed;
    let path = path_to("/groups", id.as_str());
    let mut fields = Form::default();
    if !uses.is_empty() {
        let others = caller.groups().await?.into_iter().map(|other| other.listed.row).filter(|other| other.id != id);
        let chosen = form.text("/move_to");
        let mut choices = vec![Choice::new("", "Choose a priority group", chosen.is_empty())];
        choices.extend(others.map(|other| Choice::new(other.id.as_str(), &other.name, chosen == other.id.as_str())));
        fields = fields.field(FormField::select("/move_to", "What uses it goes to", choices).required());
    }
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    if let Some(problem) = &refused {
        fields = fields.with_problem(problem);
    }
    let page = DeletePage {
        frame: Frame::of(request, caller, format!("Delete {}?", group.row.name)),
        uses,
        action: format!("{path}/delete"),
        etag: group.etag,
        form: fields,
        back: path,
    };
    reply::page_with(status, &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_moves_one_place_and_not_past_the_ends() {
        let [a, b, c] = [1, 2, 3].map(ServerId);
        let mut servers = [(a, true), (b, false), (c, true)];
        let ids = |servers: &[(ServerId, bool)]| servers.iter().map(|(id, _)| id.0).collect::<Vec<_>>();
        moved(&mut servers, &format!("up {c}"));
        assert_eq!(ids(&servers), [1, 3, 2]);
        moved(&mut servers, &format!("up {a}"));
        moved(&mut servers, &format!("down {b}"));
        moved(&mut servers, "up nobody");
        moved(&mut servers, "sideways");
        assert_eq!(ids(&servers), [1, 3, 2]);
        assert_eq!(servers[2], (b, false), "a server keeps whether it takes part");
    }
}
