//! Advanced Settings: the servers of the installation, deprovision, reconfigure, promote, licence, conflict reports.

use onealert_core::{
    config::{Change, Config, PriorityGroup, Role, Server, Setting, Table},
    ids::ServerId,
    life::Life,
    members::{self, CannotDeprovision, Departure},
    replicate::SyncAnswer,
};
use onealert_peers::SubscriberStatus;
use onealert_store::change::Expected;
use onealert_web::needs::{
    Actor, Conflict, Deprovisioned, FieldProblem, Licence, Needs, Problem, PromoteRequest, Promoted, ServerRow, State,
};

use super::{Answers, configure};
use crate::{conflict, hub::Hub, meet, promote::PromoteError};

pub(super) fn servers(hub: &Hub) -> Vec<ServerRow> {
    let config = hub.config();
    let known = hub.publisher().map(|publisher| publisher.status()).unwrap_or_default();
    let mut rows: Vec<ServerRow> = config.servers.values().map(|row| view(hub, &config, row, &known)).collect();
    rows.sort_by_key(|row| (row.deprovisioned, row.role != Role::Primary, row.name.to_lowercase(), row.id));
    rows
}

fn view(hub: &Hub, config: &Config, row: &Server, known: &[SubscriberStatus]) -> ServerRow {
    let status = known.iter().find(|status| status.server == row.id);
    let this = row.id == hub.server;
    let (state, text) = match (row.deprovisioned, this, status) {
        (true, ..) => (State::Ok, "deprovisioned".to_owned()),
        (false, true, _) => own_state(hub),
        (false, false, _) if hub.place().role == Role::Secondary => as_seen(hub, row.id),
        (false, false, None) => (State::Warning, "has not called since this server started".to_owned()),
        (false, false, Some(status)) => copy_state(hub, status),
    };
    let consequences = members::deprovision(config, row.id).map(|it| consequences(&it)).unwrap_or_default();
    ServerRow {
        id: row.id,
        name: row.name.clone(),
        role: row.role,
        this,
        mesh: row.mesh.clone(),
        web: row.web.clone(),
        enrolled: row.enrolled,
        deprovisioned: row.deprovisioned,
        state,
        text,
        consequences,
    }
}

/// How another secondary, or the primary, looks from a secondary: only the primary knows how far each copy is.
fn as_seen(hub: &Hub, server: ServerId) -> (State, String) {
    let live = hub.live.borrow();
    let seen = live.status.servers.iter().find(|seen| seen.id == server);
    seen.map_or_else(|| (State::Warning, "Not heard yet".to_owned()), |seen| (seen.state, seen.text.clone()))
}

fn own_state(hub: &Hub) -> (State, String) {
    match hub.place().life {
        Life::Active => (State::Ok, "this server".to_owned()),
        Life::Opening => (State::Warning, "this server, waiting to hear its secondaries".to_owned()),
        Life::Fenced { .. } => (State::Bad, "this server, fenced".to_owned()),
        Life::SetBack => (State::Bad, "this server, its configuration was set back".to_owned()),
        Life::Restored => (State::Bad, "this server, restored and not promoted".to_owned()),
        Life::Unlicensed => (State::Bad, "this server, not licensed".to_owned()),
        Life::Inert => (State::Bad, "this server, deprovisioned".to_owned()),
    }
}

fn copy_state(hub: &Hub, status: &SubscriberStatus) -> (State, String) {
    if !status.connected {
        return (State::Warning, format!("not connected for {} s", status.heard.as_secs()));
    }
    let ours = hub.configuration.now().position;
    match (&status.answer, &status.acknowledged) {
        (SyncAnswer::VersionMismatch { verdict }, _) => (State::Bad, format!("not synchronised: {verdict}")),
        (SyncAnswer::Stream { .. } | SyncAnswer::Snapshot { .. }, Some(acked)) => match acked.order(&ours) {
            Some(std::cmp::Ordering::Less) => {
                (State::Warning, format!("{} changes behind", ours.lsn.saturating_sub(acked.lsn)))
            }
            Some(_) => (State::Ok, "in step".to_owned()),
            None => (State::Warning, "entering another generation".to_owned()),
        },
        (SyncAnswer::Stream { .. } | SyncAnswer::Snapshot { .. }, None) => {
            (State::Warning, "receives its first copy".to_owned())
        }
        (SyncAnswer::NotLicensed { limit }, _) => (State::Bad, format!("the licence allows {limit} secondaries")),
        (SyncAnswer::Deprovisioned, _) => (State::Ok, "was told that it is deprovisioned".to_owned()),
        (SyncAnswer::UnknownServer, _) => (State::Bad, "called with another key than it joined with".to_owned()),
        (SyncAnswer::Fenced { .. } | SyncAnswer::NotPrimary, _) => {
            (State::Bad, "gets no configuration here".to_owned())
        }
    }
}

/// What deprovisioning does beside removing the server.
fn consequences(departure: &Departure) -> Vec<String> {
    let mut lines = Vec::new();
    if !departure.left.is_empty() {
        let groups = if departure.left.len() == 1 { "group" } else { "groups" };
        lines.push(format!("It leaves the priority {groups} {}.", departure.left.join(", ")));
    }
    if departure.primary_steps_in {
        lines.push("The priority group DEFAULT would be empty; the primary takes its place there.".to_owned());
    }
    for group in &departure.dissolved {
        let triggers = group.triggers.iter().map(|trigger| trigger.as_str());
        let users: Vec<&str> = triggers.chain(group.calendars.iter().map(|calendar| calendar.as_str())).collect();
        let users = match &users[..] {
            [] => "nothing uses it".to_owned(),
            [one] => format!("{one}, which uses it, goes to DEFAULT"),
            some => format!("{}, which use it, go to DEFAULT", some.join(", ")),
        };
        lines.push(format!("The priority group {} would be empty and is deleted; {users}.", group.name));
    }
    lines
}

pub(super) async fn deprovision(
    answers: &Answers,
    by: Actor,
    server: ServerId,
    confirm: String,
) -> Result<Deprovisioned, Problem> {
    answers.must_configure()?;
    let hub = &answers.0;
    let config = hub.config();
    let departure = members::deprovision(&config, server).map_err(|error| match error {
        CannotDeprovision::Unknown(id) => Problem::not_found("server", id),
        CannotDeprovision::Already(_) | CannotDeprovision::Primary(_) => {
            Problem::new(409, "Not deprovisioned", format!("{error}."))
        }
    })?;
    let row = &config.servers[&server];
    if confirm.trim() != row.name {
        let message = format!("must be the name of the server, {}", row.name);
        return Err(Problem::invalid(vec![FieldProblem::new("/confirm", message)]));
    }
    let connected = |status: &SubscriberStatus| status.server == server && status.connected;
    let told = hub.publisher().is_some_and(|publisher| publisher.status().iter().any(connected));
    let what = format!("deprovisioned server {:?}", row.name);
    configure::write(answers, by, what.clone(), departure.changes.clone(), seen(&config, &departure.changes)).await?;
    hub.sync_log.push(State::Warning, "servers", what);
    Ok(Deprovisioned { name: row.name.clone(), told, consequences: consequences(&departure) })
}

/// The rows that a set of changes was worked out from: if one differs at the commit, somebody else was faster.
fn seen(config: &Config, changes: &[Change]) -> Vec<Expected> {
    use onealert_core::config::canonical;
    let row = |change: &Change| match change.table {
        Table::Servers => config.servers.values().find(|row| row.id.to_string() == change.key).map(canonical),
        Table::PriorityGroups => {
            let found = config.groups.values().find(|row: &&PriorityGroup| row.id.as_str() == change.key);
            found.map(canonical)
        }
        Table::Triggers => config.triggers.values().find(|row| row.id.as_str() == change.key).map(canonical),
        Table::Calendars => config.calendars.values().find(|row| row.id.as_str() == change.key).map(canonical),
        _ => None,
    };
    changes.iter().map(|change| Expected { table: change.table, key: change.key.clone(), row: row(change) }).collect()
}

pub(super) fn reconfigure(answers: &Answers, by: &Actor, server: ServerId) -> Result<bool, Problem> {
    answers.must_configure()?;
    let hub = &answers.0;
    let config = hub.config();
    let row = config.servers.get(&server).filter(|row| !row.deprovisioned);
    let row = row.ok_or_else(|| Problem::not_found("server", server))?;
    if row.role == Role::Primary {
        return Err(Problem::new(
            409,
            "Not rebuilt",
            "The primary has no copy to rebuild: its configuration is the one.",
        ));
    }
    let publisher = hub.publisher().ok_or_else(|| Problem::unavailable("This server is still starting."))?;
    let at_once = publisher.rebuild(server);
    tracing::info!(user = %by.user, peer = %by.peer, server = row.name, at_once, "reconfigure");
    hub.sync_log.push(State::Ok, "servers", format!("{} asked that {} rebuilds its copy", by.user, row.name));
    Ok(at_once)
}

pub(super) async fn promote(answers: &Answers, by: Actor, request: PromoteRequest) -> Result<Promoted, Problem> {
    let hub = &answers.0;
    let promoted = meet::promote_here(hub, (by.user.to_string(), by.peer.to_string()), request).await;
    promoted.map_err(|error| match error {
        PromoteError::Store(_) | PromoteError::Row(_) | PromoteError::Identity(_) => {
            tracing::error!(%error, "this server was not promoted");
            Problem::unavailable(format!("Nothing was changed: {error}."))
        }
        refused => Problem::new(409, "Not promoted", format!("{refused}.")),
    })
}

pub(super) async fn conflicts(hub: &Hub) -> Result<Vec<Conflict>, Problem> {
    let data = hub.settings.data.clone();
    let read = tokio::task::spawn_blocking(move || conflict::list(&data)).await;
    match read.map_err(|error| error.to_string()).and_then(|list| list.map_err(|error| error.to_string())) {
        Ok(list) => Ok(list),
        Err(reason) => Err(Problem::unavailable(format!("The conflict reports cannot be read: {reason}"))),
    }
}

pub(super) fn licence(hub: &Hub) -> Licence {
    let enrolled = members::licensed_order(&hub.config()).len();
    Licence {
        secondaries: hub.licence_limit(),
        enrolled: u32::try_from(enrolled).unwrap_or(u32::MAX),
        grace_days: hub.settings.licence.grace_days,
    }
}

pub(super) async fn set_licence(answers: &Answers, by: Actor, secondaries: u32) -> Result<Licence, Problem> {
    answers.must_configure()?;
    let row = Setting { name: members::LICENCE.to_owned(), value: secondaries.into() };
    let change = Change::put(Table::Settings, members::LICENCE, &row);
    let what = format!("set the licence to {secondaries} secondaries");
    configure::write(answers, by, what, vec![change], Vec::new()).await?;
    // Whoever was turned away for the licence calls again within seconds and is answered anew; who is connected stays.
    answers.licence().await
}
