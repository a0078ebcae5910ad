//! Position, digests and rows inside a transaction: the only statements that touch them.

use std::collections::BTreeMap;

use onealert_core::{
    config::Table,
    ids::EpochId,
    replicate::{Digest, Digests, Position, row_hash},
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{db::Work, error::StoreError, log::LogBounds, port::Loaded};

use super::epochs;

/// Where the copy stands, as it is kept in the transaction that changes it.
pub(super) struct State {
    pub(super) epoch: EpochId,
    pub(super) lsn: u64,
    pub(super) tail: u64,
    pub(super) digests: BTreeMap<Table, Digest>,
}

/// A row as it is stored: its text, and the hash that was computed when it was committed.
pub(super) type Stored = (String, Digest);

impl State {
    /// `None` when neither installed nor joined.
    pub(super) fn load(tx: &Connection) -> Work<Option<State>> {
        let found = tx
            .prepare_cached("SELECT epoch, lsn, tail FROM position")?
            .query_row([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
            .optional()?;
        let Some((epoch, lsn, tail)) = found else { return Ok(None) };
        let epoch = epochs::parse(tx, &epoch)?;
        let mut digests = BTreeMap::new();
        let mut statement = tx.prepare_cached("SELECT tbl, digest FROM digests")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let table = table(tx, "digests", &name)?;
            digests.insert(table, Digest(u128::from_be_bytes(row.get(1)?)));
        }
        Ok(Some(State { epoch, lsn: lsn.cast_unsigned(), tail: tail.cast_unsigned(), digests }))
    }

    /// An error when neither installed nor joined.
    pub(super) fn need(tx: &Connection, place: &str) -> Work<State> {
        Ok(State::load(tx)?.ok_or_else(|| StoreError::Empty { place: place.to_owned() })?)
    }

    /// Writes position and digests, and remembers the digests at this lsn.
    pub(super) fn save(&self, tx: &Connection) -> Work<()> {
        tx.prepare_cached("INSERT OR REPLACE INTO position (one, epoch, lsn, tail) VALUES (1, ?1, ?2, ?3)")?
            .execute(params![self.epoch.to_string(), self.lsn.cast_signed(), self.tail.cast_signed()])?;
        let mut put = tx.prepare_cached("INSERT OR REPLACE INTO digests (tbl, digest) VALUES (?1, ?2)")?;
        for table in Table::ALL {
            put.execute(params![table.name(), self.digest(table).0.to_be_bytes()])?;
        }
        self.save_digests(tx)
    }

    /// Remembers the digests at this lsn, which is the end of a transaction.
    pub(super) fn save_digests(&self, tx: &Connection) -> Work<()> {
        let text = serde_json::to_string(&self.position().digests).expect("digests are plain data");
        tx.prepare_cached("INSERT OR REPLACE INTO log_digests (lsn, digests) VALUES (?1, ?2)")?
            .execute(params![self.lsn.cast_signed(), text])?;
        Ok(())
    }

    pub(super) fn position(&self) -> Position {
        let mut digests = self.digests.clone();
        // Absent and zero mean the same; one form makes positions comparable.
        digests.retain(|_, digest| *digest != Digest::default());
        Position { epoch: self.epoch, lsn: self.lsn, digests: Digests(digests) }
    }

    pub(super) fn digest(&self, table: Table) -> Digest {
        self.digests.get(&table).copied().unwrap_or_default()
    }

    pub(super) fn bounds(&self) -> LogBounds {
        LogBounds { tail: self.tail, head: self.lsn }
    }

    /// Writes one row and carries its table's digest along.
    pub(super) fn write(&mut self, tx: &Connection, table: Table, key: &str, row: Option<&str>) -> Work<()> {
        let before = get(tx, table, key)?;
        let mut digest = self.digest(table);
        if let Some((_, hash)) = &before {
            digest = minus(digest, *hash);
        }
        match row {
            Some(text) => {
                let hash = row_hash(table, key, text);
                put(tx, "row", table, key, text, hash)?;
                digest = plus(digest, hash);
            }
            None => delete(tx, table, key)?,
        }
        self.digests.insert(table, digest);
        Ok(())
    }
}

/// The sum of two digests.
pub(super) fn plus(sum: Digest, hash: Digest) -> Digest {
    Digest(sum.0.wrapping_add(hash.0))
}

/// A digest without one row.
pub(super) fn minus(sum: Digest, hash: Digest) -> Digest {
    Digest(sum.0.wrapping_sub(hash.0))
}

/// The row under `key`.
pub(super) fn get(tx: &Connection, table: Table, key: &str) -> Work<Option<Stored>> {
    let sql = format!("SELECT row, hash FROM row_{} WHERE key = ?1", table.name());
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Digest(u128::from_be_bytes(row.get(1)?))));
    Ok(tx.prepare_cached(&sql)?.query_row([key], read).optional()?)
}

/// Writes a row into the live tables (`row`) or into those of a snapshot being received (`stage`).
pub(super) fn put(tx: &Connection, into: &str, table: Table, key: &str, row: &str, hash: Digest) -> Work<()> {
    let sql = format!("INSERT OR REPLACE INTO {into}_{} (key, row, hash) VALUES (?1, ?2, ?3)", table.name());
    tx.prepare_cached(&sql)?.execute(params![key, row, hash.0.to_be_bytes()])?;
    Ok(())
}

/// Removes a row.
pub(super) fn delete(tx: &Connection, table: Table, key: &str) -> Work<()> {
    tx.prepare_cached(&format!("DELETE FROM row_{} WHERE key = ?1", table.name()))?.execute([key])?;
    Ok(())
}

/// Calls `each` with every row of a table, in the order of keys: key, text, and the hash stored with it.
pub(super) fn scan(tx: &Connection, table: Table, mut each: impl FnMut(&str, &str, Digest) -> Work<()>) -> Work<()> {
    let mut statement = tx.prepare_cached(&format!("SELECT key, row, hash FROM row_{} ORDER BY key", table.name()))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (key, text) = (row.get_ref(0)?.as_str(), row.get_ref(1)?.as_str());
        // A hash of another length was not written by this program: no row has it, so that the row counts as edited.
        let hash = row.get::<_, [u8; 16]>(2).map_or(Digest::default(), |bytes| Digest(u128::from_be_bytes(bytes)));
        each(key.map_err(rusqlite::Error::from)?, text.map_err(rusqlite::Error::from)?, hash)?;
    }
    Ok(())
}

/// The table of that name, or an error that says where the name stands.
pub(super) fn table(tx: &Connection, stands_in: &'static str, name: &str) -> Work<Table> {
    let bad = || bad_value(tx, stands_in, name, "is not the name of a configuration table");
    Ok(Table::from_name(name).ok_or_else(bad)?)
}

/// An error that names the file, the database table and the key.
pub(super) fn bad_value(tx: &Connection, table: &'static str, key: &str, reason: impl ToString) -> StoreError {
    let place = tx.path().unwrap_or_default().to_owned();
    StoreError::BadValue { place, table, key: key.to_owned(), reason: reason.to_string() }
}

/// Everything, for the snapshot in memory.
pub(super) fn load_all(tx: &Connection) -> Work<Option<Loaded>> {
    let Some(state) = State::load(tx)? else { return Ok(None) };
    let mut rows = Vec::new();
    for table in Table::ALL {
        scan(tx, table, |key, row, _| {
            rows.push((table, key.to_owned(), row.to_owned()));
            Ok(())
        })?;
    }
    Ok(Some(Loaded { rows, position: state.position(), epochs: epochs::ancestry(tx, state.epoch)? }))
}
