//! What the stories share: asking, writing configuration, waiting for it elsewhere.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use harness::{Api, Fleet, FleetOptions, PASSWORD, wait_for};
use http_client::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// Nothing takes this long on a machine that also builds; what has not happened by then does not.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Three servers without drivers: these stories are about configuration.
pub async fn fleet() -> Fleet {
    fleet_with("").await
}

/// The same, with more in every configuration file.
pub async fn fleet_with(sections: &'static str) -> Fleet {
    Fleet::start(FleetOptions { drivers: Vec::new(), sections, ..FleetOptions::patient() }).await
}

/// The id of a server, by its display name. Of two with one name the one that is not deprovisioned.
pub async fn id_of(api: &Api, name: &str) -> String {
    let rows = api.get("/api/v1/servers").await;
    let rows = rows.as_array().expect("a list");
    let found = rows.iter().find(|row| row["name"] == name && row["deprovisioned"] == false);
    found.unwrap_or_else(|| panic!("no {name} in {rows:?}"))["id"].as_str().expect("an id").to_owned()
}

/// Writes a priority group, the smallest piece of configuration.
pub async fn write_group(fleet: &Fleet, at: usize, name: &str) {
    let answer = try_group(fleet, at, name).await;
    assert_eq!(answer.0, 201, "{}", answer.1);
}

/// Tries to write a priority group that holds the server that is asked; gives status and text.
pub async fn try_group(fleet: &Fleet, at: usize, name: &str) -> (u16, String) {
    let api = fleet.api(at);
    let servers = api.get("/api/v1/status").await;
    let this = servers["servers"].as_array().expect("a list").iter().find(|row| row["this"] == true).cloned();
    let id = this.expect("it shows itself")["id"].clone();
    let body = json!({"name": name, "servers": [id]});
    let answer = api.ask(Method::POST, "/api/v1/groups", Some(&body)).await.expect("it answers");
    (answer.status, answer.text)
}

/// Waits until a server takes configuration, and writes a priority group there.
pub async fn writable(fleet: &Fleet, at: usize, name: &str) {
    wait_for("it takes configuration", PATIENCE, || async {
        let body = json!({"name": name, "servers": [own_id(&fleet.api(at)).await?]});
        let answer = fleet.api(at).ask(Method::POST, "/api/v1/groups", Some(&body)).await.ok()?;
        // An answer that was lost on its way leaves the group there.
        (answer.status == 201 || has_group_now(fleet, at, name).await?).then_some(())
    })
    .await;
}

async fn own_id(api: &Api) -> Option<Value> {
    let status = api.ask(Method::GET, "/api/v1/status", None).await.ok()?.json;
    let this = status["servers"].as_array()?.iter().find(|row| row["this"] == true)?.clone();
    Some(this["id"].clone())
}

/// Waits until a server has a priority group of that name.
pub async fn has_group(fleet: &Fleet, at: usize, name: &str) {
    wait_for(&format!("{} has the group {name}", fleet.servers[at].name), PATIENCE, || async {
        has_group_now(fleet, at, name).await?.then_some(())
    })
    .await;
}

/// Whether a server has a priority group of that name; nothing while it does not answer, as one that starts anew.
async fn has_group_now(fleet: &Fleet, at: usize, name: &str) -> Option<bool> {
    let groups = fleet.api(at).try_get("/api/v1/groups").await?;
    Some(groups.as_array()?.iter().any(|row| row["row"]["name"] == name))
}

/// A server answers, and has no priority group of that name.
pub async fn lacks_group(fleet: &Fleet, at: usize, name: &str) {
    let server = &fleet.servers[at].name;
    let answers = || has_group_now(fleet, at, name);
    let has = wait_for(&format!("{server} says which groups it has"), PATIENCE, answers).await;
    assert!(!has, "{server} has the group {name}");
}

/// Opens a server's database to look into it. It is never made: a server that starts anew makes its own.
pub fn look_into(file: &Path) -> rusqlite::Result<Connection> {
    let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    store.busy_timeout(PATIENCE)?;
    Ok(store)
}

/// Waits for a line of a server's SyncLog.
pub async fn sync_log_says(fleet: &Fleet, at: usize, words: &str) {
    wait_for(&format!("{} logs {words:?}", fleet.servers[at].name), PATIENCE, || async {
        let lines = fleet.api(at).ask(Method::GET, "/api/v1/logs/sync?limit=500", None).await.ok()?.json;
        let said = |line: &Value| line["text"].as_str().is_some_and(|text| text.contains(words));
        lines.as_array()?.iter().any(said).then_some(())
    })
    .await;
}

/// Asks as a load balancer does; status and line. `None` while nobody listens.
pub fn balancer(fleet: &Fleet, at: usize) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(format!("{}:8080", fleet.servers[at].address)).ok()?;
    stream.write_all(b"GET /SA-Announce/RevolutionStatus HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n")?.1.trim().to_owned()))
}

/// Waits until a load balancer is told this.
pub async fn balancer_is_told(fleet: &Fleet, at: usize, status: u16, line: &str) {
    wait_for(&format!("{} says {status} {line}", fleet.servers[at].name), PATIENCE, || async {
        (balancer(fleet, at)? == (status, line.to_owned())).then_some(())
    })
    .await;
}

/// Waits until a server has heard another since its start.
pub async fn hears(fleet: &Fleet, at: usize, other: usize) {
    let (server, name) = (&fleet.servers[at].name, fleet.servers[other].name.as_str());
    wait_for(&format!("{server} hears {name}"), PATIENCE, || async {
        let status = fleet.api(at).try_get("/api/v1/status").await?;
        let heard = |row: &Value| row["name"] == name && !row["heard_ms_ago"].is_null();
        status["servers"].as_array()?.iter().any(heard).then_some(())
    })
    .await;
}

/// Waits until the primary shows a server as connected to it and in step.
pub async fn in_step_with_primary(fleet: &Fleet, name: &str) {
    wait_for(&format!("the primary shows {name} in step"), PATIENCE, || async {
        let rows = fleet.api(0).try_get("/api/v1/servers").await?;
        let well = |row: &Value| row["name"] == name && row.to_string().contains("\"in step\"");
        rows.as_array()?.iter().any(well).then_some(())
    })
    .await;
}

/// Runs a command with the administrator's password at hand.
pub fn command(fleet: &Fleet, at: usize, arguments: &[&str]) -> Result<String, String> {
    fleet.servers[at].command(arguments, &[("ONEALERT_PASSWORD", PASSWORD)])
}
