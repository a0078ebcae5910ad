//! How a driver is on each server: here as its host knows it, elsewhere as that server last said.

use std::collections::BTreeMap;

use onealert_core::{
    config::{Config, Driver, Role, Server},
    ids::ServerId,
    node::Node,
    peer_message::Standing,
    time::Wall,
    view::Belief,
};
use onealert_drivers::{DriverState, DriverStatus};
use onealert_web::needs::{DriverBrief, DriverOnServer, Problem, State};

use crate::{health, hub::Hub};

/// What the other servers that are heard last said of themselves. Of a server that is down nothing runs.
pub(super) type Theirs = BTreeMap<ServerId, Standing>;

/// Asks the loop for it.
///
/// # Errors
/// The server is stopping.
pub(super) async fn theirs(hub: &Hub) -> Result<Theirs, Problem> {
    let look = |node: &Node| {
        let heard = node.peers().into_iter().filter(|peer| peer.belief != Belief::Down);
        heard.filter_map(|peer| Some((peer.id, peer.standing?))).collect::<Theirs>()
    };
    hub.way.look(look).await.map_err(|error| Problem::unavailable(error.to_string()))
}

/// How a driver is on every server, the primary first.
pub(super) fn everywhere(hub: &Hub, config: &Config, theirs: &Theirs, row: &Driver) -> Vec<DriverOnServer> {
    let mut enrolled: Vec<&Server> = config.servers.values().filter(|server| !server.deprovisioned).collect();
    enrolled.sort_by_key(|server| (server.role != Role::Primary, server.name.to_lowercase()));
    let on = |server: &Server| {
        let told = match theirs.get(&server.id) {
            _ if server.id == hub.server => brief(hub, row),
            Some(standing) => brief_of(row, standing),
            None => DriverBrief { state: State::Warning, text: "Server not heard".to_owned(), ..unknown(row) },
        };
        DriverOnServer {
            server: server.id,
            server_name: server.name.clone(),
            matches: told.sha256.as_ref() == Some(&row.sha256),
            version: told.version,
            state: told.state,
            text: told.text,
            since: told.since,
            restarts: told.restarts,
        }
    };
    enrolled.into_iter().map(on).collect()
}

/// How a driver is on this server, beside what is configured.
fn words(status: &DriverStatus, row: &Driver) -> (State, String) {
    if status.state == DriverState::Running && (status.sha256 != row.sha256 || status.last_error.is_some()) {
        let why = status.last_error.as_deref().unwrap_or("it is being started");
        let (runs, wanted) = (&status.version, &row.version);
        return (
            State::Bad,
            format!("Runs version {runs}; what is configured for {wanted} is not applied here: {why}"),
        );
    }
    let last = status.last_end.as_deref().unwrap_or("no reason known");
    match status.state {
        DriverState::Running => (State::Ok, "Runs".to_owned()),
        DriverState::Starting => (State::Warning, "Starting".to_owned()),
        DriverState::Degraded => (State::Bad, format!("Ends again and again, tried at every activation: {last}")),
        DriverState::Failed => {
            let why = status.last_error.as_deref().unwrap_or(last);
            (State::Bad, format!("Version {} is configured and does not run here: {why}", row.version))
        }
        DriverState::Stopped => (State::Bad, "Stopped".to_owned()),
    }
}

/// A driver of which nothing is known but that it should run.
fn unknown(row: &Driver) -> DriverBrief {
    DriverBrief {
        id: row.id.clone(),
        name: row.name.clone(),
        version: None,
        sha256: None,
        state: State::Bad,
        text: "Not running".to_owned(),
        since: None,
        restarts: None,
    }
}

/// How a driver is on this server, in one line.
pub(crate) fn brief(hub: &Hub, row: &Driver) -> DriverBrief {
    let Some(status) = hub.drivers.status().into_iter().find(|status| status.id == row.id.as_str()) else {
        return unknown(row);
    };
    let (state, text) = words(&status, row);
    let (since, restarts) = (Some(Wall(status.since_ms)), Some(status.restarts));
    let runs = (status.state != DriverState::Failed).then_some((status.version, status.sha256));
    let (version, sha256) = runs.unzip();
    DriverBrief { version, sha256, state, text, since, restarts, ..unknown(row) }
}

/// How a driver is on another server, in one line: by that server's own account, and by what is configured here.
pub(crate) fn brief_of(row: &Driver, standing: &Standing) -> DriverBrief {
    let own = standing.health.drivers.get(&row.id);
    let (since, restarts) = own.map_or((None, None), |own| (own.since, own.restarts));
    let told = own.map(|own| (health::state(own.condition), own.text.clone()));
    let Some(runs) = standing.versions.drivers.get(&row.id) else {
        let text = told.filter(|(state, _)| *state == State::Bad).map(|(_, text)| text);
        let text = text.unwrap_or_else(|| "The driver does not run there".to_owned());
        return DriverBrief { text, since, restarts, ..unknown(row) };
    };
    let differs = runs.sha256 != row.sha256;
    let (state, text) = match told {
        // It says itself why it does not run what is configured.
        Some(told) if !differs || told.0 == State::Bad => told,
        _ if differs => (State::Bad, format!("Runs version {}, {} is configured", runs.version, row.version)),
        _ => (State::Ok, "Runs".to_owned()),
    };
    let (version, sha256) = (Some(runs.version.to_string()), Some(runs.sha256.clone()));
    DriverBrief { version, sha256, state, text, since, restarts, ..unknown(row) }
}
