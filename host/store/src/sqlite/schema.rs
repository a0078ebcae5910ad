//! The form of the configuration database, as the list of steps that lead to it.

/// How many steps there are.
pub(super) const FORMS: u32 = 2;

/// The configuration tables of the first form, by name: a step must not change when the product's list of tables grows.
const FIRST_TABLES: [&str; 8] =
    ["settings", "servers", "priority_groups", "drivers", "endpoints", "triggers", "notifications", "users"];

/// Every step, oldest first. A step that was released is never edited: later ones follow it.
pub(super) fn migrations() -> Vec<String> {
    let mut first = String::from(
        "CREATE TABLE position (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            epoch TEXT NOT NULL,
            lsn INTEGER NOT NULL,
            tail INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE epochs (
            n INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            parent TEXT,
            fork INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE digests (tbl TEXT PRIMARY KEY, digest BLOB NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE log (
            lsn INTEGER PRIMARY KEY,
            epoch TEXT NOT NULL,
            tx INTEGER NOT NULL,
            at INTEGER NOT NULL,
            tbl TEXT NOT NULL,
            key TEXT NOT NULL,
            row TEXT,
            bytes INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE log_digests (lsn INTEGER PRIMARY KEY, digests TEXT NOT NULL) STRICT;
        CREATE TABLE audit (
            seq INTEGER PRIMARY KEY,
            at INTEGER NOT NULL,
            who TEXT NOT NULL,
            origin TEXT NOT NULL,
            what TEXT NOT NULL,
            tbl TEXT NOT NULL,
            key TEXT NOT NULL,
            before TEXT,
            after TEXT,
            previous TEXT NOT NULL,
            hash TEXT NOT NULL
        ) STRICT;
        CREATE TABLE staging (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            header TEXT NOT NULL,
            cursor TEXT NOT NULL,
            complete INTEGER NOT NULL
        ) STRICT;",
    );
    first.push_str(&tables(&FIRST_TABLES));
    vec![first, tables(&["calendars"])]
}

/// The tables of rows, and those beside them that a snapshot is gathered in.
fn tables(names: &[&str]) -> String {
    let table = |place: &str, name: &str| {
        format!(
            "CREATE TABLE {place}_{name} (key TEXT PRIMARY KEY, row TEXT NOT NULL, hash BLOB NOT NULL)
             STRICT, WITHOUT ROWID;"
        )
    };
    names.iter().flat_map(|name| ["row", "stage"].map(|place| table(place, name))).collect()
}

#[cfg(test)]
mod tests {
    use onealert_core::config::Table;
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn every_configuration_table_has_its_tables_after_the_last_step() {
        let connection = Connection::open_in_memory().expect("memory holds a database");
        assert_eq!(migrations().len(), FORMS as usize);
        for step in migrations() {
            connection.execute_batch(&step).expect("a step runs on the form before it");
        }
        for table in Table::ALL {
            for place in ["row", "stage"] {
                let name = format!("{place}_{}", table.name());
                assert!(
                    connection.table_exists(None, name.as_str()).expect("the schema is readable"),
                    "{name} is missing"
                );
            }
        }
    }
}
