//! The file of activations in flight: written whole per activation, read once at start, never a reason not to start.

use std::path::{Path, PathBuf};

use onealert_core::{
    effect::{Haste, Record},
    ids::ActivationId,
    knowledge::Knowledge,
};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::{
    db::{Db, Work},
    error::{Fault, Result, StoreError},
};

use super::salvage;

/// The activations in flight.
pub struct ActivationStore {
    db: Db,
}

/// What a start finds.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Every activation that could be read.
    pub knowledge: Vec<Knowledge>,
    /// Rows that could not be read. They stay in the file's `quarantine` table for an expert.
    pub quarantined: Vec<Quarantined>,
    /// Where the damaged file is, if it had to be replaced; `knowledge` holds what could be saved from it.
    pub set_aside: Option<PathBuf>,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The activation's id as it stands in the row.
    pub id: String,
    /// What is wrong with the row.
    pub reason: String,
}

/// A row as it stands in the file.
pub(super) struct Raw {
    pub(super) id: String,
    pub(super) document: Vec<u8>,
    pub(super) digest: Vec<u8>,
}

pub(super) const SELECT: &str =
    "SELECT CAST(id AS BLOB), CAST(document AS BLOB), CAST(digest AS BLOB) FROM activations";

fn migrations() -> Vec<String> {
    vec![String::from(
        "CREATE TABLE activations (id TEXT PRIMARY KEY, document TEXT NOT NULL, digest BLOB NOT NULL) STRICT;
         CREATE TABLE quarantine (n INTEGER PRIMARY KEY, id TEXT NOT NULL, document BLOB NOT NULL, reason TEXT NOT NULL)
         STRICT;",
    )]
}

impl ActivationStore {
    /// Opens the file, or makes it, and reads what it holds. A damaged file is set aside, and what can be read of it is
    /// saved.
    ///
    /// # Errors
    /// The file can neither be used nor replaced, or was written by a later version.
    pub fn open(path: &Path) -> Result<(ActivationStore, Recovered)> {
        match Self::open_sound(path) {
            Err(StoreError::Database { kind: Fault::Corrupt, source, .. }) => {
                tracing::error!(file = %path.display(), reason = %source, "the activation file is damaged; replacing it");
                let aside = salvage::set_aside(path)?;
                let (rows, trouble) = salvage::read(&aside);
                let (store, mut recovered) = Self::open_sound(path)?;
                let sorted = rows.into_iter().map(sort).collect();
                store.db.write("save what a damaged file held", |tx| keep(tx, sorted, &mut recovered))?;
                recovered.quarantined.extend(trouble.map(|reason| Quarantined { id: String::new(), reason }));
                recovered.set_aside = Some(aside);
                Ok((store, recovered))
            }
            opened => opened,
        }
    }

    fn open_sound(path: &Path) -> Result<(ActivationStore, Recovered)> {
        let db = Db::open(path, &migrations())?;
        let mut recovered = Recovered::default();
        db.write("read the activations", |tx| {
            let mut bad = Vec::new();
            for row in all(tx)? {
                match sort(row) {
                    Ok((_, knowledge)) => recovered.knowledge.push(knowledge),
                    error => bad.push(error),
                }
            }
            keep(tx, bad, &mut recovered)
        })?;
        db.reserve_log();
        Ok((ActivationStore { db }, recovered))
    }

    /// Writes the records in one transaction. The last of several for one activation stays. With haste they are durable when
    /// this returns, as is all that was written before; otherwise after [`ActivationStore::sync`].
    ///
    /// # Errors
    /// The disk refused; nothing of it was written.
    pub fn write(&self, records: &[Record], haste: Haste) -> Result<()> {
        let work = |tx: &Connection| {
            for record in records {
                match record {
                    Record::Activation(knowledge) => put(tx, knowledge)?,
                    Record::Forget(id) => {
                        tx.prepare_cached("DELETE FROM activations WHERE id = ?1")?.execute([id.to_string()])?;
                    }
                }
            }
            Ok(())
        };
        match haste {
            Haste::Now => self.db.write("store activations", work),
            Haste::Soon => self.db.write_relaxed("store activations", work),
        }
    }

    /// Makes durable what was written without haste.
    ///
    /// # Errors
    /// The disk refused.
    pub fn sync(&self) -> Result<()> {
        self.db.sync()
    }

    /// Moves what the log holds into the file, so that the next writes begin at the log's front.
    ///
    /// # Errors
    /// The disk refused; what is written stays safe in the log.
    pub fn empty_log(&self) -> Result<()> {
        self.db.empty_log()
    }

    #[cfg(test)]
    pub(super) fn fill_up(&self) {
        self.db.fill_up();
    }

    /// The file, for messages.
    pub fn place(&self) -> String {
        self.db.place()
    }
}

type Sorted = Result<(Raw, Knowledge), (Raw, String)>;

/// Whether a row is what was written.
fn sort(row: Raw) -> Sorted {
    if row.digest != digest(&row.id, &row.document) {
        return Err((row, String::from("the row is torn: it does not match its checksum")));
    }
    match serde_json::from_slice::<Knowledge>(&row.document) {
        Ok(knowledge) if knowledge.content.id.to_string() == row.id => Ok((row, knowledge)),
        Ok(knowledge) => {
            let reason = format!("the row holds activation {}", knowledge.content.id);
            Err((row, reason))
        }
        Err(error) => Err((row, format!("the row is not an activation: {error}"))),
    }
}

/// Puts good rows where they belong and bad ones into quarantine.
fn keep(tx: &Connection, rows: Vec<Sorted>, recovered: &mut Recovered) -> Work<()> {
    for row in rows {
        match row {
            Ok((_, knowledge)) => {
                put(tx, &knowledge)?;
                recovered.knowledge.push(knowledge);
            }
            Err((row, reason)) => {
                tx.execute(
                    "INSERT INTO quarantine (id, document, reason) VALUES (?1, ?2, ?3)",
                    params![row.id, row.document, reason],
                )?;
                tx.execute("DELETE FROM activations WHERE id = ?1", [&row.id])?;
                recovered.quarantined.push(Quarantined { id: row.id, reason });
            }
        }
    }
    Ok(())
}

fn put(tx: &Connection, knowledge: &Knowledge) -> Work<()> {
    let id: ActivationId = knowledge.content.id;
    let id = id.to_string();
    let document = serde_json::to_string(knowledge).expect("knowledge is plain data with text keys");
    let digest = digest(&id, document.as_bytes());
    tx.prepare_cached("INSERT OR REPLACE INTO activations (id, document, digest) VALUES (?1, ?2, ?3)")?
        .execute(params![id, document, digest])?;
    Ok(())
}

fn all(tx: &Connection) -> Work<Vec<Raw>> {
    let mut statement = tx.prepare(SELECT)?;
    let rows = statement.query_map([], raw)?.collect::<rusqlite::Result<Vec<Raw>>>()?;
    Ok(rows)
}

/// Reads a row without believing that its texts are texts.
pub(super) fn raw(row: &rusqlite::Row<'_>) -> rusqlite::Result<Raw> {
    let id: Vec<u8> = row.get(0)?;
    Ok(Raw { id: String::from_utf8_lossy(&id).into_owned(), document: row.get(1)?, digest: row.get(2)? })
}

fn digest(id: &str, document: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(id.as_bytes());
    hash.update(document);
    hash.finalize()[..16].to_vec()
}
