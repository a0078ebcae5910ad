//! The logs: who changed what, and what happened between the servers.

use onealert_core::time::Wall;
use onealert_web::needs::{Log, LogLine, Problem, State};

use crate::hub::Hub;

pub(super) async fn log(hub: &Hub, log: Log, limit: u32) -> Result<Vec<LogLine>, Problem> {
    let limit = limit.clamp(1, 500) as usize;
    if log == Log::Sync {
        return Ok(hub.sync_log.newest(limit));
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
