//! What a configuration write is: rows, what the writer believes they are, who writes, and what comes out.

use onealert_core::{
    config::{Change, Table, canonical},
    replicate::{LogRecord, Position},
    sealed,
    time::Wall,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest row that is taken, in bytes of its text: room for a notification that names 50,000 endpoints.
pub const MAX_ROW_BYTES: usize = 4 << 20;
/// The longest row key that is taken, in bytes.
pub const MAX_KEY_BYTES: usize = 512;

/// One configuration write: all of it happens, or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// When, by the caller's clock.
    pub at: Wall,
    /// The rows, in the order in which they are written.
    pub changes: Vec<Change>,
    /// What the writer saw; if a row differs, somebody else was faster and nothing is written.
    pub expected: Vec<Expected>,
    /// Who did it. Kept in the audit log, in the same transaction.
    pub audit: Option<AuditEntry>,
}

impl Commit {
    /// The unconditional write of `changes`.
    pub fn new(at: Wall, changes: Vec<Change>) -> Commit {
        Commit { at, changes, expected: Vec::new(), audit: None }
    }
    /// Writes only if the row is exactly `row`; `None` means that it must not exist.
    pub fn expecting(mut self, table: Table, key: &str, row: Option<String>) -> Commit {
        self.expected.push(Expected { table, key: key.to_owned(), row });
        self
    }
    /// Says who does it.
    pub fn audited(mut self, entry: AuditEntry) -> Commit {
        self.audit = Some(entry);
        self
    }
}

/// What the writer believes a row to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Which table.
    pub table: Table,
    /// Which row.
    pub key: String,
    /// Its canonical text; `None`: there is no such row.
    pub row: Option<String>,
}

/// Who changes the configuration, for the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// The login name, or the name of the part of the product that acted.
    pub who: String,
    /// The address from which it was asked, or `console`.
    pub origin: String,
    /// What was done, in words.
    pub what: String,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Where the configuration stands after it.
    pub position: Position,
    /// The records for the secondaries. Changes that change nothing leave none.
    pub records: Vec<LogRecord>,
}

/// One line of the audit log. Each carries the hash of the line before, so that a line cannot be taken out or altered
/// without all later ones giving it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: Wall,
    /// Who, from where, what.
    pub entry: AuditEntry,
    /// Which table.
    pub table: Table,
    /// Which row.
    pub key: String,
    /// The row before, `None` if there was none. Password hashes and sealed secrets are blanked.
    pub before: Option<String>,
    /// The row after, `None` if it was deleted. Password hashes and sealed secrets are blanked.
    pub after: Option<String>,
    /// SHA-256 of the line before, as hexadecimal digits; 64 zeros for the first.
    pub previous: String,
    /// SHA-256 of this line with `previous` in it, as hexadecimal digits.
    pub hash: String,
}

/// A row without what its readers must not see: anybody who may read logs and reports could try passwords against their
/// hashes, and sealed secrets are nobody's reading.
pub fn blanked(table: Table, row: String) -> String {
    match serde_json::from_str::<Value>(&row) {
        Ok(mut value @ Value::Object(_)) => {
            sealed::hide(&mut value);
            if let Some(secret) = value.get_mut("password_hash").filter(|_| table == Table::Users) {
                *secret = Value::from("not shown");
            }
            canonical(&value)
        }
        _ if table == Table::Users => String::from("\"not shown\""),
        _ => row,
    }
}
