//! What primary and secondary say to each other on a synchronisation connection.
//!
//! Documents of a kind that one side does not know are skipped and counted, fields that it does not know are ignored.

use onealert_core::{
    config::Table,
    ids::ServerId,
    lineage::Generation,
    promotion::Told,
    replicate::{Epoch, LogRecord, Position, SyncAnswer, SyncHello},
};
use onealert_store::{
    history::{ActivityRecord, Mark},
    scrub::{BucketDigests, BucketRows},
    snapshot::{Chunk, Cursor, SnapshotHeader},
};
use serde::{Deserialize, Serialize};

/// From the secondary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Up {
    /// The first message.
    Hello {
        /// Who calls and where it stands.
        hello: Box<SyncHello>,
        /// The synchronisation protocol.
        protocol: u32,
        /// How many bytes of bulk it takes before it gives more credit.
        credit: u64,
        /// What it calls for.
        #[serde(default)]
        purpose: Purpose,
        /// An administrator's login, from a server that was restored from a backup and is in nobody's configuration.
        #[serde(default)]
        login: Option<Login>,
    },
    /// This is durable here. Sent after each apply and regularly.
    Ack(Position),
    /// So many more bytes of bulk may come.
    Credit(u64),
    /// Send the snapshot from here on.
    SnapshotFrom(Cursor),
    /// The snapshot that was sent is in place, durably.
    Replaced,
    /// The log does not do, or a repair did not help: send a snapshot.
    WantSnapshot,
    /// What are the digests of this table's groups?
    WantBuckets(Table),
    /// What are the rows of these groups?
    WantRows {
        /// Which table.
        table: Table,
        /// Which groups.
        buckets: Vec<u8>,
    },
    /// Send this file.
    WantFile {
        /// Names the question.
        request: u32,
        /// SHA-256 of the file, as hexadecimal digits.
        sha256: String,
    },
    /// Nothing to say, but here.
    Alive,
    /// Own records.
    Activity(Vec<ActivityRecord>),
    /// A generation began and the caller is its primary: follow it. Answered by [`Down::Noted`].
    Follow(Box<Generation>),
}

/// What a server calls another for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To follow it as its secondary.
    #[default]
    Follow,
    /// To hear where it stands, before a promotion. Answered by [`Down::Told`].
    Ask,
    /// To take what it has, whatever its role: records before a promotion, good rows for a primary whose own were edited.
    Take,
}

/// An administrator's login on its way to be checked. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The login name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// From the primary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Down {
    /// To the hello.
    Answer {
        /// The core's answer.
        answer: Box<SyncAnswer>,
        /// Who answers.
        server: ServerId,
        /// Every generation of the primary, oldest first.
        epochs: Vec<Epoch>,
    },
    /// Records in order. A transaction may be spread over several messages; its last record has `lsn == tx`.
    Records(Vec<LogRecord>),
    /// Where the primary stands: sent when the last record has been sent, and regularly.
    Head(Position),
    /// A snapshot can be had: say from where.
    SnapshotBegin(SnapshotHeader),
    /// A piece of it.
    SnapshotPiece(Chunk),
    /// The last piece has been sent: check, and put it in place.
    SnapshotEnd,
    /// Nothing to say, but here.
    Alive,
    /// The digests asked for.
    Buckets(BucketDigests),
    /// Rows asked for.
    Rows(BucketRows),
    /// A file that was asked for follows in pieces.
    FileBegin {
        /// The question.
        request: u32,
        /// Its length.
        length: u64,
    },
    /// It cannot be had.
    FileMissing {
        /// The question.
        request: u32,
        /// Why.
        reason: String,
    },
    /// The primary has the caller's records up to here, durably; the next may come.
    ActivityHave(Option<Mark>),
    /// Where the called server stands.
    Told(Box<Told>),
    /// Whether the called server follows from here on.
    Noted(bool),
}

/// Bulk counts against the credit; everything else is small and may always be sent.
pub fn is_bulk(message: &Down) -> bool {
    matches!(message, Down::Records(_) | Down::SnapshotPiece(_) | Down::Rows(_))
}
