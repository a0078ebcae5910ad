//! What is this server's own: who it is, which life of its data folder this is, what it has seen, and its local settings.
//! Never replicated, never in a backup, never going backwards.

use std::{collections::BTreeMap, path::Path};

use onealert_core::{
    ids::{Incarnation, ServerId},
    lineage,
    replicate::Epoch,
    time::Wall,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    db::{Db, Work},
    error::{Result, StoreError},
};

/// Name of the local setting: the multicast address this server sends to.
pub const MULTICAST_ADDRESS: &str = "multicast_address";
/// Name of the local setting: the network interface this server sends through.
pub const NETWORK_INTERFACE: &str = "network_interface";

/// Name of the local setting: up to which moment everything that calendars had due was handed over, in milliseconds since 1970.
pub const CALENDARS_UNTIL: &str = "calendars_until";

/// Who this server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its drawn id.
    pub server: ServerId,
    /// Which life of its data folder this is.
    pub incarnation: Incarnation,
}

/// The server's own file.
pub struct LocalStore {
    db: Db,
}

fn migrations() -> Vec<String> {
    vec![String::from(
        "CREATE TABLE identity (one INTEGER PRIMARY KEY CHECK (one = 1), server TEXT NOT NULL,
            incarnation INTEGER NOT NULL) STRICT;
         CREATE TABLE newest_lineage (one INTEGER PRIMARY KEY CHECK (one = 1), epochs TEXT NOT NULL) STRICT;
         CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;",
    )]
}

impl LocalStore {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// The file cannot be opened, is not a database, or was written by a later version.
    pub fn open(path: &Path) -> Result<LocalStore> {
        Ok(LocalStore { db: Db::open(path, &migrations())? })
    }

    /// Who this server is; `None` before it is installed or joined.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn identity(&self) -> Result<Option<Identity>> {
        self.db.read("read the identity", identity)
    }

    /// Says who this server is, once. Saying the same again changes nothing.
    ///
    /// # Errors
    /// The folder belongs to another server, or the file cannot be written.
    pub fn establish(&self, server: ServerId) -> Result<Identity> {
        let place = self.db.place();
        self.db.write("write the identity", |tx| match identity(tx)? {
            None => set_identity(tx, Identity { server, incarnation: Incarnation(1) }),
            Some(known) if known.server == server => Ok(known),
            Some(known) => Err(StoreError::OtherServer { place, found: known.server, expected: server }.into()),
        })
    }

    /// Begins the life of a start. Every start has one of its own, so that a folder that was set back to an earlier moment, by
    /// a copy or with its whole machine, numbers nothing as it was numbered before: what it remembers of its lives was set
    /// back with it, and the clock was not. A full disk is no reason not to start: the clock alone makes the next life another.
    ///
    /// # Errors
    /// There is no identity yet, or the file cannot be read.
    pub fn begin(&self, at: Wall) -> Result<Identity> {
        let known = self.identity()?.ok_or_else(|| StoreError::Empty { place: self.db.place() })?;
        let by_the_clock = u64::try_from(at.0).unwrap_or(0);
        let begun = Identity { incarnation: Incarnation(by_the_clock.max(known.incarnation.0 + 1)), ..known };
        let written = self.db.write("begin a life", |tx| set_identity(tx, begun));
        if let Err(error) = written {
            tracing::error!(%error, life = begun.incarnation.0, "the life that begins could not be written down");
        }
        Ok(begun)
    }

    /// Gives this folder to another server id, in another life: for joining again after a removal.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn rejoin(&self, server: ServerId) -> Result<Identity> {
        self.db.write("write the identity", |tx| {
            let before = identity(tx)?.map_or(0, |known| known.incarnation.0);
            set_identity(tx, Identity { server, incarnation: Incarnation(before + 1) })
        })
    }

    /// Begins another life, above this one and above `heard`, the highest that anybody says this server had.
    ///
    /// # Errors
    /// There is no identity yet, or the file cannot be written.
    pub fn draw_incarnation(&self, heard: Incarnation) -> Result<Identity> {
        let place = self.db.place();
        self.db.write("draw an incarnation", |tx| {
            let known = identity(tx)?.ok_or(StoreError::Empty { place })?;
            let incarnation = Incarnation(known.incarnation.max(heard).0 + 1);
            set_identity(tx, Identity { incarnation, ..known })
        })
    }

    /// The newest generation of the configuration that this server has seen anywhere, with every one that led to it, oldest
    /// first; empty before it has seen any.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest_lineage(&self) -> Result<Vec<Epoch>> {
        self.db.read("read the newest generation", newest_lineage)
    }

    /// Remembers a generation as the newest, unless it is one that the newest has left behind: that does not come back.
    /// Returns whether it is the newest after that.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn see_lineage(&self, seen: &[Epoch]) -> Result<bool> {
        self.db.write("remember a generation", |tx| {
            let known = newest_lineage(tx)?;
            let newest = lineage::newest(&known, seen);
            if newest != known {
                let text = serde_json::to_string(newest).expect("epochs are plain data");
                tx.execute("INSERT OR REPLACE INTO newest_lineage (one, epochs) VALUES (1, ?1)", [text])?;
            }
            Ok(newest.last() == seen.last())
        })
    }

    /// Every local setting by name.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn settings(&self) -> Result<BTreeMap<String, String>> {
        self.db.read("read the local settings", |tx| {
            let mut statement = tx.prepare_cached("SELECT name, value FROM settings")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Sets or, with `None`, removes a local setting.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set(&self, name: &str, value: Option<&str>) -> Result<()> {
        self.db.write("write a local setting", |tx| {
            match value {
                Some(value) => {
                    tx.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)", [name, value])?
                }
                None => tx.execute("DELETE FROM settings WHERE name = ?1", [name])?,
            };
            Ok(())
        })
    }
}

fn identity(tx: &Connection) -> Work<Option<Identity>> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
    let found = tx.query_row("SELECT server, incarnation FROM identity", [], read).optional()?;
    let Some((server, incarnation)) = found else { return Ok(None) };
    let server = server.parse().map_err(|error| bad(tx, "identity", &server, error))?;
    Ok(Some(Identity { server, incarnation: Incarnation(incarnation.cast_unsigned()) }))
}

fn newest_lineage(tx: &Connection) -> Work<Vec<Epoch>> {
    let text: Option<String> = tx.query_row("SELECT epochs FROM newest_lineage", [], |row| row.get(0)).optional()?;
    let parse = |text: String| serde_json::from_str(&text).map_err(|error| bad(tx, "newest_lineage", &text, error));
    Ok(text.map(parse).transpose()?.unwrap_or_default())
}

fn set_identity(tx: &Connection, identity: Identity) -> Work<Identity> {
    tx.execute(
        "INSERT OR REPLACE INTO identity (one, server, incarnation) VALUES (1, ?1, ?2)",
        params![identity.server.to_string(), identity.incarnation.0.cast_signed()],
    )?;
    Ok(identity)
}

fn bad(tx: &Connection, table: &'static str, key: &str, reason: impl ToString) -> StoreError {
    let place = tx.path().unwrap_or_default().to_owned();
    StoreError::BadValue { place, table, key: key.to_owned(), reason: reason.to_string() }
}
