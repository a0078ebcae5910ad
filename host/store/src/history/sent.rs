//! Sent Notifications: the records of ended activations, merged by activation and paged newest first.

use onealert_core::{
    effect::{Ended, Outcome},
    ids::{ActivationId, ServerId},
    time::Wall,
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::db::Work;

use super::{
    ActivityRecord, ENDED, Mark,
    store::{bad, signed},
};

/// An activation has one place in the list, given by the first record of it that arrived, however many servers write one.
pub(super) const TABLES: &str = "
    CREATE TABLE events (activation TEXT PRIMARY KEY, accepted INTEGER NOT NULL) STRICT;
    CREATE INDEX events_by_time ON events (accepted, activation);
    CREATE TABLE sent (
        activation TEXT NOT NULL REFERENCES events (activation),
        origin TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        server TEXT NOT NULL,
        outcome TEXT NOT NULL,
        PRIMARY KEY (origin, incarnation, seq),
        FOREIGN KEY (origin, incarnation, seq) REFERENCES records (origin, incarnation, seq) ON DELETE CASCADE
    ) STRICT;
    CREATE INDEX sent_by_activation ON sent (activation, server, outcome);";

/// Which entries are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SentFilter {
    /// Those that this server carried to their end.
    pub server: Option<ServerId>,
    /// Those that ended so.
    pub outcome: Option<Outcome>,
}

/// The place of an entry in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentCursor {
    /// When it was accepted.
    pub accepted: Wall,
    /// Which activation, to tell apart those accepted in one millisecond.
    pub activation: ActivationId,
}

/// One activation in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct SentEntry {
    /// Its place.
    pub cursor: SentCursor,
    /// What each server wrote of it, in the order of attempts. More than one where both sides of a cut sent.
    pub records: Vec<Ended>,
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct SentPage {
    /// Newest first.
    pub entries: Vec<SentEntry>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<SentCursor>,
}

/// Enters a record into the list, if it belongs there.
pub(super) fn index(tx: &Connection, record: &ActivityRecord) -> Work<()> {
    if record.kind != ENDED {
        return Ok(());
    }
    let ended = match serde_json::from_str::<Ended>(&record.document) {
        Ok(ended) => ended,
        Err(error) => {
            // Another version's record is kept and passed on even where it cannot be shown.
            tracing::warn!(origin = %record.origin, seq = record.seq, %error, "a record of an ended activation is not readable");
            return Ok(());
        }
    };
    let activation = ended.content.id.to_string();
    tx.prepare_cached("INSERT OR IGNORE INTO events (activation, accepted) VALUES (?1, ?2)")?
        .execute(params![activation, ended.content.accepted.0])?;
    tx.prepare_cached(
        "INSERT INTO sent (activation, origin, incarnation, seq, server, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        activation,
        record.origin.to_string(),
        record.incarnation.0.cast_signed(),
        record.seq.cast_signed(),
        ended.server.to_string(),
        outcome_name(ended.outcome),
    ])?;
    Ok(())
}

pub(super) fn page(tx: &Connection, filter: &SentFilter, before: Option<SentCursor>, limit: usize) -> Work<SentPage> {
    let (accepted, activation) = match before {
        Some(cursor) => (cursor.accepted.0, cursor.activation.to_string()),
        // Hexadecimal digits all come before this letter.
        None => (i64::MAX, String::from("z")),
    };
    let mut statement = tx.prepare_cached(
        "SELECT activation, accepted FROM events
         WHERE (accepted, activation) < (?1, ?2) AND EXISTS (
             SELECT 1 FROM sent WHERE sent.activation = events.activation
                 AND (?3 IS NULL OR server = ?3) AND (?4 IS NULL OR outcome = ?4))
         ORDER BY accepted DESC, activation DESC LIMIT ?5",
    )?;
    let server = filter.server.map(|server| server.to_string());
    let outcome = filter.outcome.map(outcome_name);
    // One more than asked for tells whether there is another page.
    let asked = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows = statement.query(params![accepted, activation, server, outcome, asked])?;
    let mut page = SentPage { entries: Vec::new(), next: None };
    while let Some(row) = rows.next()? {
        if page.entries.len() == limit {
            page.next = page.entries.last().map(|entry| entry.cursor);
            break;
        }
        let (id, accepted): (String, i64) = (row.get(0)?, row.get(1)?);
        page.entries.push(entry(tx, &id, Wall(accepted))?);
    }
    Ok(page)
}

pub(super) fn one(tx: &Connection, activation: ActivationId) -> Work<Option<SentEntry>> {
    let id = activation.to_string();
    let accepted: Option<i64> = tx
        .prepare_cached("SELECT accepted FROM events WHERE activation = ?1")?
        .query_row([&id], |row| row.get(0))
        .optional()?;
    accepted.map(|accepted| entry(tx, &id, Wall(accepted))).transpose()
}

/// Every server that carried an activation to its end, whether it is still there or not.
pub(super) fn senders(tx: &Connection) -> Work<Vec<ServerId>> {
    // The index begins with the activation, so this reads it once from end to end; it holds one line a record.
    let mut statement = tx.prepare_cached("SELECT DISTINCT server FROM sent ORDER BY server")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        found.push(id.parse().map_err(|error| bad(tx, "sent", &id, error))?);
    }
    Ok(found)
}

/// Which activation a record is of, if it is of one.
pub(super) fn activation_of(tx: &Connection, origin: ServerId, mark: Mark) -> Work<Option<String>> {
    let mut statement =
        tx.prepare_cached("SELECT activation FROM sent WHERE origin = ?1 AND incarnation = ?2 AND seq = ?3")?;
    let key = params![origin.to_string(), signed(mark.incarnation.0), signed(mark.seq)];
    Ok(statement.query_row(key, |row| row.get(0)).optional()?)
}

/// Takes an activation out of the list when no record of it is left.
pub(super) fn forget_if_lonely(tx: &Connection, activation: &str) -> Work<()> {
    tx.prepare_cached(
        "DELETE FROM events WHERE activation = ?1 AND NOT EXISTS (SELECT 1 FROM sent WHERE activation = ?1)",
    )?
    .execute([activation])?;
    Ok(())
}

fn entry(tx: &Connection, id: &str, accepted: Wall) -> Work<SentEntry> {
    let mut statement = tx.prepare_cached(
        "SELECT document FROM sent JOIN records USING (origin, incarnation, seq) WHERE activation = ?1
         ORDER BY origin, incarnation, seq",
    )?;
    let mut rows = statement.query([id])?;
    let mut records: Vec<Ended> = Vec::new();
    while let Some(row) = rows.next()? {
        let document: String = row.get(0)?;
        records.push(serde_json::from_str(&document).map_err(|error| bad(tx, "records", id, error))?);
    }
    records.sort_by_key(|ended| ended.attempt);
    let activation = id.parse().map_err(|error| bad(tx, "events", id, error))?;
    Ok(SentEntry { cursor: SentCursor { accepted, activation }, records })
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Partial => "partial",
        Outcome::Error => "error",
        Outcome::Stopped => "stopped",
        Outcome::Missed => "missed",
    }
}
