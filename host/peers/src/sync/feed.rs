//! Feeds one secondary: snapshot, records as they commit, files, digests; and takes its records in.
//!
//! One task, one loop: everything the secondary said is handled first, then one piece of whatever is to be sent. Bulk waits
//! for credit; nothing else does.

use std::{
    collections::VecDeque,
    io::Read,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use onealert_core::{
    config::Table,
    replicate::{LogRecord, SyncAnswer},
};
use onealert_store::{
    StoreError,
    history::ActivityRecord,
    log::LogSlice,
    snapshot::{Cursor, SnapshotReader},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{
    MOST_QUIET, blocking,
    channel::{ChannelError, Incoming, PIECE_BYTES, Receiver, Sender, read_ahead},
    message::{Down, Up, is_bulk},
    publisher::Shared,
};
use crate::{files, roster::Admission, tls::Caller};

/// A send that takes longer than this goes to somebody who no longer reads.
const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// How much of the log is read at once.
const LOG_BYTES: usize = 256 << 10;
/// A secondary asks for few files at once; more questions than this are a fault.
const FILES: usize = 64;

/// Why a feed ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Other(String),
}

struct FileJob {
    request: u32,
    file: std::fs::File,
}

pub(crate) struct Feed {
    shared: Arc<Shared>,
    caller: Caller,
    connection: u64,
    sender: Sender,
    inbox: mpsc::Receiver<Result<Incoming<Up>, ChannelError>>,
    _reader: tokio_util::sync::DropGuard,
    credit: i64,
    /// The last lsn that was sent, while records are streamed.
    streaming: Option<u64>,
    /// The log may hold more than was sent.
    dirty: bool,
    snapshot: Option<Box<dyn SnapshotReader>>,
    /// The secondary has said from where it needs the snapshot.
    snapshot_asked: bool,
    files: VecDeque<FileJob>,
    /// Whether a file's piece was sent last: configuration and files take turns.
    file_last: bool,
    /// It may deliver its records and nothing else.
    records_only: bool,
    /// The roster does not know it; an administrator's login let it in.
    pub admitted_by_login: bool,
    /// It is the secondary's own following, and not a call to take something.
    pub follows: bool,
    /// The wish for a new copy that the snapshot under way fulfils.
    rebuilding: Option<u64>,
    /// The same of the snapshot that was sent to its end.
    rebuilt: Option<u64>,
    /// Beats in a row in which nothing came. They are counted, not timed: what came while this process itself stood still is
    /// unread, and no silence of the secondary.
    quiet: u32,
}

impl Feed {
    pub fn new(
        shared: Arc<Shared>,
        caller: Caller,
        connection: u64,
        sender: Sender,
        receiver: Receiver,
        credit: u64,
    ) -> Feed {
        let (inbox, reader) = read_ahead(receiver);
        Feed {
            shared,
            caller,
            connection,
            sender,
            inbox,
            _reader: reader,
            credit: i64::try_from(credit).unwrap_or(i64::MAX),
            streaming: None,
            dirty: false,
            snapshot: None,
            snapshot_asked: false,
            files: VecDeque::new(),
            file_last: false,
            records_only: false,
            admitted_by_login: false,
            follows: false,
            rebuilding: None,
            rebuilt: None,
            quiet: 0,
        }
    }

    /// Runs until the connection ends. Returns why.
    pub async fn run(mut self, answer: SyncAnswer) -> String {
        let end = self.converse(answer).await;
        match end {
            Ok(never) => match never {},
            Err(end) => end.to_string(),
        }
    }

    async fn converse(&mut self, answer: SyncAnswer) -> Result<std::convert::Infallible, End> {
        match answer {
            SyncAnswer::Stream { from } => {
                self.streaming = Some(from);
                self.dirty = true;
            }
            SyncAnswer::Snapshot { .. } => self.begin_snapshot().await?,
            SyncAnswer::Deprovisioned => self.records_only = true,
            // It waits for the versions to match; its records wait with it, since another version wrote them.
            _ => {}
        }
        let mismatch = matches!(answer, SyncAnswer::VersionMismatch { .. });
        if !mismatch {
            self.send_have().await?;
        }
        let mut rebuilds = self.shared.rebuilds.subscribe();
        rebuilds.mark_changed();
        let mut commits = self.shared.commits.subscribe();
        let mut turns = self.shared.turns.subscribe();
        let roster = self.shared.config.roster.clone();
        let mut changes = roster.changes();
        let mut tick = interval(self.shared.config.heartbeat);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Ok(message) = self.inbox.try_recv() {
                self.handle(message?, mismatch).await?;
            }
            if commits.has_changed().is_ok_and(|changed| changed) {
                commits.borrow_and_update();
                self.dirty = true;
            }
            let busy = self.has_bulk();
            tokio::select! {
                biased;
                Ok(()) = rebuilds.changed() => {
                    let wish = self.wish();
                    if wish.is_some() && wish != self.rebuilding && !mismatch && !self.records_only {
                        self.begin_snapshot().await?;
                    }
                }
                Ok(()) = turns.changed() => return Err(End::Other("everybody is answered anew".to_owned())),
                () = changes.changed() => self.judge().await?,
                _ = tick.tick() => self.beat().await?,
                message = self.inbox.recv() => match message {
                    Some(message) => self.handle(message?, mismatch).await?,
                    None => return Err(ChannelError::Closed.into()),
                },
                Ok(()) = commits.changed() => self.dirty = true,
                () = std::future::ready(()), if busy => self.bulk().await?,
            }
        }
    }

    fn has_bulk(&self) -> bool {
        let records = self.streaming.is_some() && self.dirty;
        self.credit > 0 && (records || self.snapshot_asked || !self.files.is_empty())
    }

    /// Sends one piece of what waits.
    async fn bulk(&mut self) -> Result<(), End> {
        let rows_wait = self.snapshot_asked || (self.streaming.is_some() && self.dirty);
        self.file_last = !self.files.is_empty() && (!self.file_last || !rows_wait);
        match (self.file_last, self.snapshot_asked) {
            (true, _) => self.send_file().await,
            (false, true) => self.send_piece().await,
            (false, false) => self.send_records().await,
        }
    }

    async fn handle(&mut self, message: Incoming<Up>, mismatch: bool) -> Result<(), End> {
        self.quiet = 0;
        let message = match message {
            Incoming::Document(message, _) => message,
            Incoming::Unknown(_) => {
                self.shared.unknown.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            Incoming::File(..) => return Err(End::Other("a secondary sends no files".to_owned())),
        };
        match message {
            Up::Alive => Ok(()),
            Up::Activity(records) if !mismatch => self.take_records(records).await,
            _ if self.records_only || mismatch => Ok(()),
            Up::Ack(position) => {
                self.shared.note_ack(self.caller.server, self.connection, position);
                Ok(())
            }
            Up::Credit(bytes) => {
                self.credit = self.credit.saturating_add_unsigned(bytes);
                Ok(())
            }
            Up::Replaced => {
                if let Some(wish) = self.rebuilt.take() {
                    self.shared.note_rebuilt(self.caller.server, wish);
                }
                Ok(())
            }
            Up::SnapshotFrom(cursor) => self.seek(cursor),
            Up::WantSnapshot => self.begin_snapshot().await,
            Up::WantBuckets(table) => {
                let store = self.shared.config.store.clone();
                let buckets = blocking(move || store.bucket_digests(table)).await?;
                self.send(&Down::Buckets(buckets)).await
            }
            Up::WantRows { table, buckets } => self.send_rows(table, buckets).await,
            Up::WantFile { request, sha256 } => self.open_file(request, &sha256).await,
            Up::Hello { .. } | Up::Activity(_) | Up::Follow(_) => Ok(()),
        }
    }

    async fn judge(&mut self) -> Result<(), End> {
        let Caller { server, key_sha256 } = &self.caller;
        let answer = match self.shared.config.roster.judge(*server, key_sha256) {
            Admission::Welcome => return Ok(()),
            Admission::UnknownServer if self.admitted_by_login => return Ok(()),
            Admission::Deprovisioned if self.records_only => return Ok(()),
            Admission::Deprovisioned => SyncAnswer::Deprovisioned,
            _ => SyncAnswer::UnknownServer,
        };
        let known = matches!(answer, SyncAnswer::Deprovisioned);
        let told = Down::Answer { answer: Box::new(answer), server: self.shared.config.server, epochs: Vec::new() };
        self.send(&told).await?;
        if !known {
            self.sender.close().await;
            return Err(End::Other("the secondary is no longer enrolled".to_owned()));
        }
        (self.records_only, self.streaming, self.snapshot, self.snapshot_asked) = (true, None, None, false);
        self.files.clear();
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), End> {
        self.quiet += 1;
        if self.quiet > MOST_QUIET {
            return Err(End::Other("silent".to_owned()));
        }
        match self.streaming {
            Some(sent) if !self.dirty => self.send_head(sent).await,
            _ => self.send(&Down::Alive).await,
        }
    }

    async fn send_head(&mut self, sent: u64) -> Result<(), End> {
        let store = self.shared.config.store.clone();
        match blocking(move || store.position()).await? {
            Some(position) if position.lsn == sent => self.send(&Down::Head(position)).await,
            // Somebody committed just now: first what the head stands for, then the head.
            _ => {
                self.dirty = true;
                Ok(())
            }
        }
    }

    async fn send_records(&mut self) -> Result<(), End> {
        let Some(sent) = self.streaming else { return Ok(()) };
        let store = self.shared.config.store.clone();
        let LogSlice { records, head } = match blocking(move || store.log_after(sent, LOG_BYTES)).await {
            Ok(slice) => slice,
            Err(StoreError::NotInLog { .. }) => return self.begin_snapshot().await,
            Err(error) => return Err(error.into()),
        };
        let last = records.last().map_or(sent, |record| record.lsn);
        for part in parts(records) {
            self.send(&Down::Records(part)).await?;
        }
        self.streaming = Some(last);
        self.dirty = last < head;
        if !self.dirty {
            self.send_head(last).await?;
        }
        Ok(())
    }

    /// The wish that this secondary builds its copy anew.
    fn wish(&self) -> Option<u64> {
        self.shared.rebuild_wanted(self.caller.server).filter(|_| self.follows)
    }

    async fn begin_snapshot(&mut self) -> Result<(), End> {
        // Looked at first: whatever is read after that fulfils it.
        self.rebuilding = self.wish();
        let store = self.shared.config.store.clone();
        let (reader, header) = blocking(move || -> Result<_, StoreError> {
            let reader = store.snapshot()?;
            let header = reader.header().clone();
            Ok((reader, header))
        })
        .await?;
        (self.snapshot, self.snapshot_asked, self.streaming) = (Some(reader), false, None);
        self.send(&Down::SnapshotBegin(header)).await
    }

    fn seek(&mut self, cursor: Cursor) -> Result<(), End> {
        if let Some(reader) = &mut self.snapshot {
            reader.seek(cursor);
            self.snapshot_asked = true;
        }
        Ok(())
    }

    async fn send_piece(&mut self) -> Result<(), End> {
        let mut reader = self.snapshot.take().ok_or_else(|| End::Other("no snapshot is open".to_owned()))?;
        let (reader, piece) = blocking(move || {
            let piece = reader.next_chunk();
            (reader, piece)
        })
        .await;
        match piece? {
            Some(piece) => {
                self.snapshot = Some(reader);
                self.send(&Down::SnapshotPiece(piece)).await
            }
            None => {
                self.streaming = Some(reader.header().position.lsn);
                (self.snapshot_asked, self.dirty) = (false, true);
                self.rebuilt = self.rebuilding;
                self.send(&Down::SnapshotEnd).await
            }
        }
    }

    async fn send_rows(&mut self, table: Table, buckets: Vec<u8>) -> Result<(), End> {
        for bucket in buckets {
            let store = self.shared.config.store.clone();
            let rows = blocking(move || store.bucket_rows(table, bucket)).await?;
            self.send(&Down::Rows(rows)).await?;
        }
        Ok(())
    }

    async fn open_file(&mut self, request: u32, sha256: &str) -> Result<(), End> {
        let refuse = |reason: &str| Down::FileMissing { request, reason: reason.to_owned() };
        if !files::is_name(sha256) || self.files.len() >= FILES {
            return self.send(&refuse("not the SHA-256 of a file, or too many files at once")).await;
        }
        let (host, name) = (self.shared.config.host.clone(), sha256.to_owned());
        let opened = blocking(move || {
            let path = host.driver_file(&name).ok_or("this server does not have it")?;
            let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
            let length = file.metadata().map_err(|error| error.to_string())?.len();
            Ok::<_, String>((file, length))
        })
        .await;
        match opened {
            Ok((file, length)) => {
                self.files.push_back(FileJob { request, file });
                self.send(&Down::FileBegin { request, length }).await
            }
            Err(reason) => self.send(&refuse(&reason)).await,
        }
    }

    async fn send_file(&mut self) -> Result<(), End> {
        let Some(FileJob { request, mut file }) = self.files.pop_front() else { return Ok(()) };
        let (file, piece) = blocking(move || {
            // Room for the request's number in the frame.
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = file.by_ref().take(PIECE_BYTES as u64 - 4).read_to_end(&mut piece);
            (file, read.map(|_| piece))
        })
        .await;
        match piece {
            Ok(piece) if piece.is_empty() => Ok(()),
            Ok(piece) => {
                self.credit = self.credit.saturating_sub_unsigned(piece.len() as u64);
                self.files.push_back(FileJob { request, file });
                within(self.sender.send_file(request, &piece)).await
            }
            Err(error) => self.send(&Down::FileMissing { request, reason: error.to_string() }).await,
        }
    }

    async fn send_have(&mut self) -> Result<(), End> {
        let (activity, origin) = (self.shared.config.activity.clone(), self.caller.server);
        let have = blocking(move || activity.have(origin)).await?;
        self.send(&Down::ActivityHave(have)).await
    }

    async fn take_records(&mut self, records: Vec<ActivityRecord>) -> Result<(), End> {
        if let Some(foreign) = records.iter().find(|record| record.origin != self.caller.server) {
            return Err(End::Other(format!("it sends records of server {}", foreign.origin)));
        }
        let activity = self.shared.config.activity.clone();
        blocking(move || activity.insert(&records)).await?;
        self.send_have().await
    }

    async fn send(&mut self, message: &Down) -> Result<(), End> {
        let length = within(self.sender.send(message)).await?;
        if is_bulk(message) {
            self.credit = self.credit.saturating_sub_unsigned(length as u64);
        }
        Ok(())
    }
}

async fn within<T>(send: impl Future<Output = Result<T, ChannelError>>) -> Result<T, End> {
    match tokio::time::timeout(SEND_DEADLINE, send).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(End::Other("the secondary takes no bytes".to_owned())),
    }
}

/// Messages of about one frame each, so that the secondary can begin while more is read.
fn parts(records: Vec<LogRecord>) -> Vec<Vec<LogRecord>> {
    let mut parts: Vec<Vec<LogRecord>> = Vec::new();
    let mut room = 0;
    for record in records {
        let size = record.change.row.as_ref().map_or(0, String::len) + record.change.key.len() + 128;
        if size > room || parts.is_empty() {
            parts.push(Vec::new());
            room = PIECE_BYTES;
        }
        room = room.saturating_sub(size);
        parts.last_mut().expect("one was pushed").push(record);
    }
    parts
}
