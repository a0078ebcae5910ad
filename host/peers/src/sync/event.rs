//! What synchronisation tells the host, and in which words the log shows it.

use std::fmt;

use onealert_core::{
    config::{Change, Table},
    ids::{EpochId, ServerId},
    replicate::{Position, SyncAnswer},
};
use onealert_store::history::Mark;

/// What happened to this server's copy of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum SyncEvent {
    /// The primary was reached; its answer follows.
    Connected {
        /// Which server was called.
        primary: ServerId,
    },
    /// The connection ended or could not be made; it is tried again.
    Disconnected {
        /// Which server was called.
        primary: ServerId,
        /// Why.
        reason: String,
    },
    /// The primary answered something else than configuration: versions differ, deprovisioned, unknown, no licence,
    /// fenced, not the primary.
    Withheld {
        /// Which server answered.
        primary: ServerId,
        /// What it answered.
        answer: Box<SyncAnswer>,
    },
    /// The copy stands in a branch that is left behind: two servers were promoted apart, and the other one's counts. A whole
    /// copy follows.
    BranchLost {
        /// Which server answered.
        primary: ServerId,
        /// The generation that counts.
        by: EpochId,
        /// The last record that both branches have.
        fork: u64,
    },
    /// These changes are durable here: fold them into the snapshot in memory.
    Applied {
        /// Where the copy stands.
        position: Position,
        /// In the order of the log.
        changes: Vec<Change>,
    },
    /// A whole copy is being received. This server works on with the one it has.
    SnapshotBegun {
        /// What it is a copy of.
        position: Position,
        /// How many rows it has.
        rows: u64,
        /// From which piece on; above 0 an earlier try is continued.
        from_piece: u64,
    },
    /// The copy was replaced: load it again.
    Replaced {
        /// Where it stands.
        position: Position,
        /// Where it stood. When its lsn was higher, this server's numbers went back.
        before: Option<Position>,
    },
    /// The copy is where the primary is.
    InSync {
        /// Where that is.
        position: Position,
    },
    /// The primary is ahead; what is missing is on its way.
    Behind {
        /// By how many records.
        records: u64,
    },
    /// Same position, other rows: repair begins.
    Diverged {
        /// Which tables.
        tables: Vec<Table>,
    },
    /// Rows were replaced by the primary's: load the table again.
    Repaired {
        /// Which table.
        table: Table,
        /// Which rows.
        keys: Vec<String>,
        /// Whether the digest is right again; if not, a snapshot follows.
        agrees: bool,
    },
    /// The store here refused.
    Fault {
        /// What it said.
        reason: String,
    },
    /// The primary has removed this server and has all its records: nothing here is needed any more.
    NothingLeft,
    /// The primary has this server's records up to here.
    RecordsDelivered {
        /// The last of them.
        upto: Mark,
    },
}

impl fmt::Display for SyncEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncEvent::Connected { primary } => write!(f, "connected to primary {primary}"),
            SyncEvent::Disconnected { primary, reason } => {
                write!(
                    f,
                    "primary {primary} not reachable: {reason}; trying again, configuration is read-only meanwhile"
                )
            }
            SyncEvent::Withheld { primary, answer } => {
                write!(f, "server {primary} sends no configuration: {}", words(answer))
            }
            SyncEvent::BranchLost { primary, by, fork } => write!(
                f,
                "this server stands in a branch of the configuration that is left behind: two servers were promoted \
                 apart, and generation {by} of primary {primary} counts; what was changed here after {fork} goes into a \
                 conflict report, and a whole copy follows"
            ),
            SyncEvent::Applied { position, changes } => {
                let s = if changes.len() == 1 { "" } else { "s" };
                write!(f, "{} change{s} applied, at {}", changes.len(), position.lsn)
            }
            SyncEvent::SnapshotBegun { position, rows, from_piece: 0 } => {
                write!(f, "receiving a copy of {rows} rows at {}", position.lsn)
            }
            SyncEvent::SnapshotBegun { position, rows, from_piece } => {
                write!(f, "receiving a copy of {rows} rows at {}, continued from piece {from_piece}", position.lsn)
            }
            SyncEvent::Replaced { position, .. } => write!(f, "copy in place at {}", position.lsn),
            SyncEvent::InSync { position } => write!(f, "in sync at {}", position.lsn),
            SyncEvent::Behind { records } => write!(f, "{records} records behind the primary"),
            SyncEvent::Diverged { tables } => {
                let names: Vec<_> = tables.iter().map(|table| table.nouns()).collect();
                write!(f, "{} differ from the primary's; repairing", names.join(", "))
            }
            SyncEvent::Repaired { table, keys, agrees } => {
                let end = if *agrees { "they agree again" } else { "they still differ, a whole copy is fetched" };
                let what = if keys.len() == 1 { table.noun() } else { table.nouns() };
                write!(f, "{} {what} repaired ({}), {end}", keys.len(), shorten(keys))
            }
            SyncEvent::Fault { reason } => write!(f, "the store refused: {reason}"),
            SyncEvent::NothingLeft => write!(f, "the primary has every record of this server"),
            SyncEvent::RecordsDelivered { upto } => {
                write!(f, "the primary has this server's records up to {}", upto.seq)
            }
        }
    }
}

fn shorten(keys: &[String]) -> String {
    match keys {
        [first, second, third, _, ..] => format!("{first}, {second}, {third} and {} more", keys.len() - 3),
        few => few.join(", "),
    }
}

fn words(answer: &SyncAnswer) -> String {
    match answer {
        SyncAnswer::VersionMismatch { verdict } => {
            let all = verdict.differences.iter().filter(|difference| difference.stops_sync);
            let all: Vec<_> =
                all.map(|d| format!("{}: {} there, {} here; {}", d.what, d.ours, d.theirs, d.advice)).collect();
            format!("versions differ. {}", all.join(". "))
        }
        SyncAnswer::NotLicensed { limit } => format!("the licence allows {limit} secondaries; raise it on the primary"),
        SyncAnswer::Deprovisioned => "this server was deprovisioned; join it again to use it".to_owned(),
        SyncAnswer::UnknownServer => "this server is not enrolled there; join it".to_owned(),
        SyncAnswer::Fenced { epoch } => format!("it was superseded by generation {epoch}"),
        SyncAnswer::NotPrimary => "it is not the primary".to_owned(),
        SyncAnswer::Stream { from } => format!("records follow from {from} on"),
        SyncAnswer::Snapshot { reason } => format!("a whole copy follows ({reason:?})"),
    }
}
