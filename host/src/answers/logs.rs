//! The logs: who changed what, and what happened between the servers.

use onealert_core::{config::Config, time::Wall};
use onealert_web::needs::{Log, LogLine, Problem, State};

use crate::hub::Hub;

/// Servers by their names: nobody knows them by their numbers.
fn with_names(config: &Config, mut line: LogLine) -> LogLine {
    for row in config.servers.values() {
        let id = row.id.to_string();
        if line.text.contains(&id) {
            line.text = line.text.replace(&format!("server {id}"), &row.name).replace(&id, &row.name);
        }
    }
    line
}

pub(super) async fn log(hub: &Hub, log: Log, limit: u32) -> Result<Vec<LogLine>, Problem> {
    let limit = limit.clamp(1, 500) as usize;
    if log == Log::Sync {
        let config = hub.config();
        return Ok(hub.sync_log.newest(limit).into_iter().map(|line| with_names(&config, line)).collect());
    }
    let store = hub.configuration.store().clone();
    let rows = tokio::task::spawn_blocking(move || store.audit(None, limit)).await;
    let rows = rows.map_err(|_| Problem::internal())?.map_err(|error| {
        tracing::error!(%error, "the audit log cannot be read");
        Problem::internal()
    })?;
    let line = |row: onealert_store::change::AuditRow| LogLine {
        at: Wall(row.at.0),
        state: State::Ok,
        source: row.entry.who,
        text: format!("{} ({} {}, from {})", row.entry.what, row.table.noun(), row.key, row.entry.origin),
    };
    Ok(rows.into_iter().map(line).collect())
}
