//! The activity log's file: append here, insert what others have, give out what others lack.

use std::path::Path;

use onealert_core::{
    ids::{ActivationId, Incarnation, ServerId},
    time::Wall,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    db::{Db, Work},
    error::{Result, StoreError},
    local::Identity,
};

use super::{
    Activity, ActivityRecord, GAP, Gap, Have, Limits, Mark, SentCursor, SentEntry, SentFilter, SentPage, sent, shrink,
};

/// What a record takes beside its document, roughly.
const RECORD_OVERHEAD: usize = 120;

/// The activity log.
pub struct HistoryStore {
    db: Db,
}

fn migrations() -> Vec<String> {
    vec![format!(
        "CREATE TABLE records (
            origin TEXT NOT NULL,
            incarnation INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            at INTEGER NOT NULL,
            kind TEXT NOT NULL,
            document TEXT NOT NULL,
            bytes INTEGER NOT NULL,
            PRIMARY KEY (origin, incarnation, seq)
        ) STRICT;
        CREATE INDEX records_by_size ON records (bytes);
        CREATE TABLE marks (origin TEXT PRIMARY KEY, incarnation INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT;
        CREATE TABLE acknowledged (one INTEGER PRIMARY KEY CHECK (one = 1), incarnation INTEGER NOT NULL,
            seq INTEGER NOT NULL) STRICT;
        {}",
        sent::TABLES
    )]
}

impl HistoryStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// The file cannot be opened, is not a database, or was written by a later version.
    pub fn open(path: &Path) -> Result<HistoryStore> {
        let db = Db::open(path, &migrations())?;
        db.reserve_log();
        Ok(HistoryStore { db })
    }

    /// Appends what happened here, in one transaction that survives the end of the process. Power loss may take it within
    /// some seconds: whoever appends finds out at the next start what is missing, and appends it again in the life that
    /// begins there. Within a life, numbers are never given out twice.
    ///
    /// # Errors
    /// The log knows a later life of this server than `me`, or the disk refused.
    pub fn append(&self, me: Identity, activities: &[Activity]) -> Result<Vec<ActivityRecord>> {
        self.db.write_relaxed("append to the activity log", |tx| {
            let known = mark(tx, me.server)?.filter(|mark| mark.incarnation >= me.incarnation);
            if let Some(known) = known
                && known.incarnation > me.incarnation
            {
                let reason = format!(
                    "incarnation {} of this server was written already, {} must not follow it; draw a higher one",
                    known.incarnation.0, me.incarnation.0
                );
                return Err(bad(tx, "marks", &me.server.to_string(), reason).into());
            }
            let last = known.map_or(0, |mark| mark.seq);
            let mut records = Vec::with_capacity(activities.len());
            for (seq, activity) in (last + 1..).zip(activities) {
                let record = ActivityRecord {
                    origin: me.server,
                    incarnation: me.incarnation,
                    seq,
                    at: activity.at,
                    kind: activity.kind.clone(),
                    document: activity.document.clone(),
                };
                put(tx, &record)?;
                records.push(record);
            }
            Ok(records)
        })
    }

    /// Takes other servers' records, in the order of their origins, in one transaction, durable when this returns. What is
    /// known is passed over, so that a repeated delivery changes nothing. Returns how many were taken.
    ///
    /// # Errors
    /// A record does not follow the last one known of its origin, or the disk refused; nothing was taken.
    pub fn insert(&self, records: &[ActivityRecord]) -> Result<usize> {
        // Synced behind the transaction: what ends here meanwhile is written without waiting for the disk.
        let taken = self.db.write_relaxed("insert into the activity log", |tx| {
            let mut taken = 0;
            for record in records {
                let known = mark(tx, record.origin)?;
                if known.is_some_and(|known| Mark { incarnation: record.incarnation, seq: record.seq } <= known) {
                    continue;
                }
                let last = known.filter(|known| known.incarnation == record.incarnation).map_or(0, |known| known.seq);
                let first = match gap(record) {
                    // A gap that begins before the end of what is known here has lost less than it says.
                    Some(gap) => gap.from.max(last + 1),
                    None => record.seq,
                };
                if first != last + 1 {
                    return Err(StoreError::Gap { expected: last + 1, found: first }.into());
                }
                put(tx, record)?;
                taken += 1;
            }
            Ok(taken)
        })?;
        // Also where nothing was taken: the first time its sync may have failed, and who sends it again relies on the answer.
        if !records.is_empty() {
            self.db.sync()?;
        }
        Ok(taken)
    }

    /// How far the log of every origin is known here.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn have(&self) -> Result<Have> {
        self.db.read("read the activity log", |tx| {
            let mut have = Have::new();
            let mut statement = tx.prepare_cached("SELECT origin, incarnation, seq FROM marks")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                have.insert(server(tx, &row.get::<_, String>(0)?)?, read_mark(row, 1)?);
            }
            Ok(have)
        })
    }

    /// How far the log of an origin is known here, and safe from power loss: it may leave its origin.
    ///
    /// # Errors
    /// The file cannot be read, or the disk refused.
    pub fn have_safely(&self, origin: ServerId) -> Result<Option<Mark>> {
        let have = self.db.read("read the activity log", |tx| mark(tx, origin))?;
        // What a sync that failed left behind is not called safe before another one has worked.
        self.db.sync()?;
        Ok(have)
    }

    /// An origin's records after `have`, in order, about `max_bytes` of them, at least one if there is one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn after(&self, origin: ServerId, have: Option<Mark>, max_bytes: usize) -> Result<Vec<ActivityRecord>> {
        let have = have.unwrap_or(Mark { incarnation: Incarnation(0), seq: 0 });
        self.db.read("read the activity log", |tx| {
            let mut statement = tx.prepare_cached(
                "SELECT incarnation, seq, at, kind, document, bytes FROM records
                 WHERE origin = ?1 AND (incarnation, seq) > (?2, ?3) ORDER BY incarnation, seq",
            )?;
            let mut rows =
                statement.query(params![origin.to_string(), signed(have.incarnation.0), signed(have.seq)])?;
            let (mut records, mut bytes) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                bytes += row.get::<_, i64>(5)? as usize;
                if bytes > max_bytes && !records.is_empty() {
                    break;
                }
                let Mark { incarnation, seq } = read_mark(row, 0)?;
                let at = Wall(row.get(2)?);
                records.push(ActivityRecord { origin, incarnation, seq, at, kind: row.get(3)?, document: row.get(4)? });
            }
            Ok(records)
        })
    }

    /// Remembers that the primary has this server's records up to `mark`. Never goes back, but for power loss, which may take
    /// the last of it: the primary says at every call what it has.
    ///
    /// # Errors
    /// The disk refused.
    pub fn acknowledge(&self, mark: Mark) -> Result<()> {
        self.db.write_relaxed("note an acknowledgement", |tx| {
            tx.execute(
                "INSERT INTO acknowledged (one, incarnation, seq) VALUES (1, ?1, ?2)
                 ON CONFLICT (one) DO UPDATE SET incarnation = excluded.incarnation, seq = excluded.seq
                 WHERE (excluded.incarnation, excluded.seq) > (incarnation, seq)",
                params![signed(mark.incarnation.0), signed(mark.seq)],
            )?;
            Ok(())
        })
    }

    /// How far the primary has this server's records.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn acknowledged(&self) -> Result<Option<Mark>> {
        self.db.read("read the acknowledgement", acknowledged)
    }

    /// Deletes some of the oldest records that the limits do not keep. A gap record stays for what went, so that numbers still
    /// follow each other for whoever asks later. Returns how many went: none when there is nothing to go. Power loss may bring
    /// back the last of them.
    ///
    /// # Errors
    /// The disk refused.
    pub fn shrink(&self, limits: &Limits) -> Result<u64> {
        // Looked for without keeping anybody from writing. What is appended meanwhile is never the oldest.
        let gone = self.db.read("read the activity log", |tx| shrink::oldest(tx, limits))?;
        if !gone.is_empty() {
            self.db.write_relaxed("shorten the activity log", |tx| shrink::delete_all(tx, &gone))?;
        }
        Ok(gone.len() as u64)
    }

    /// Sent Notifications, newest first: one entry an activation, with the record of every server that wrote one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sent(&self, filter: &SentFilter, before: Option<SentCursor>, limit: usize) -> Result<SentPage> {
        self.db.read("read the sent notifications", |tx| sent::page(tx, filter, before, limit))
    }

    /// Every server that carried an activation to its end, as far as this log knows.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn senders(&self) -> Result<Vec<ServerId>> {
        self.db.read("read who sent", sent::senders)
    }

    /// What every server wrote of one activation.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sent_one(&self, activation: ActivationId) -> Result<Option<SentEntry>> {
        self.db.read("read the sent notifications", |tx| sent::one(tx, activation))
    }
}

/// Writes a record that follows the last one of its origin.
fn put(tx: &Connection, record: &ActivityRecord) -> Work<()> {
    put_row(tx, record)?;
    tx.prepare_cached("INSERT OR REPLACE INTO marks (origin, incarnation, seq) VALUES (?1, ?2, ?3)")?
        .execute(params![record.origin.to_string(), signed(record.incarnation.0), signed(record.seq)])?;
    sent::index(tx, record)
}

pub(super) fn put_row(tx: &Connection, record: &ActivityRecord) -> Work<()> {
    tx.prepare_cached(
        "INSERT INTO records (origin, incarnation, seq, at, kind, document, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        record.origin.to_string(),
        signed(record.incarnation.0),
        signed(record.seq),
        record.at.0,
        record.kind,
        record.document,
        (RECORD_OVERHEAD + record.document.len()) as i64,
    ])?;
    Ok(())
}

fn gap(record: &ActivityRecord) -> Option<Gap> {
    if record.kind != GAP {
        return None;
    }
    serde_json::from_str(&record.document).ok()
}

fn mark(tx: &Connection, origin: ServerId) -> Work<Option<Mark>> {
    let mut statement = tx.prepare_cached("SELECT incarnation, seq FROM marks WHERE origin = ?1")?;
    Ok(statement.query_row([origin.to_string()], |row| read_mark(row, 0)).optional()?)
}

pub(super) fn acknowledged(tx: &Connection) -> Work<Option<Mark>> {
    let mut statement = tx.prepare_cached("SELECT incarnation, seq FROM acknowledged")?;
    Ok(statement.query_row([], |row| read_mark(row, 0)).optional()?)
}

pub(super) fn read_mark(row: &Row<'_>, first: usize) -> rusqlite::Result<Mark> {
    let incarnation = Incarnation(row.get::<_, i64>(first)?.cast_unsigned());
    Ok(Mark { incarnation, seq: row.get::<_, i64>(first + 1)?.cast_unsigned() })
}

pub(super) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

pub(super) fn server(tx: &Connection, text: &str) -> Work<ServerId> {
    Ok(text.parse().map_err(|error| bad(tx, "records", text, error))?)
}

pub(super) fn bad(tx: &Connection, table: &'static str, key: &str, reason: impl ToString) -> StoreError {
    let place = tx.path().unwrap_or_default().to_owned();
    StoreError::BadValue { place, table, key: key.to_owned(), reason: reason.to_string() }
}
