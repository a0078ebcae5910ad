//! Takes in what the primary sends: records, snapshots, digests, files; and sends own records up.
//!
//! What is durable here is told to the host before the next thing is taken, and nothing ends this between the two, so that
//! the host's copy in memory never misses a change.

mod downloads;
mod repair;
mod snapshots;

use std::{collections::BTreeMap, time::Duration};

use onealert_core::{
    config::Table,
    ids::ServerId,
    replicate::{LogRecord, Position, SyncAnswer},
};
use onealert_store::{StoreError, history::Mark};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    MOST_QUIET, blocking,
    channel::{ChannelError, Incoming, Receiver, Sender, read_ahead},
    event::SyncEvent,
    message::{Down, Up, is_bulk},
    subscriber::{CREDIT, Follower, Wish},
};
use crate::{activity::BATCH_BYTES, files::FetchError};
use downloads::FileJob;

const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// Credit is given back in portions, not for every message.
const CREDIT_STEP: u64 = CREDIT / 4;
/// A transaction of more bytes than this is not gathered; a snapshot brings its result.
const PENDING_BYTES: usize = 256 << 20;

/// Why a connection is left.
pub(crate) enum End {
    /// It broke, or this side gave it up.
    Broken(String),
    /// The host wants something that this connection is not for.
    Wished(Wish),
    /// It comes to the same until an operator acts, here or on the primary.
    Final,
}

impl From<ChannelError> for End {
    fn from(error: ChannelError) -> End {
        End::Broken(error.to_string())
    }
}

pub(crate) struct Intake<'a> {
    follower: &'a mut Follower,
    primary: ServerId,
    sender: Sender,
    inbox: mpsc::Receiver<Result<Incoming<Down>, ChannelError>>,
    _reader: tokio_util::sync::DropGuard,
    position: Option<Position>,
    /// Records are taken only between an answer or snapshot that continues this copy and the next fault.
    streaming: bool,
    /// The primary has removed this server: its records are all that is wanted of it.
    dismissed: bool,
    in_sync: bool,
    /// Heads in a row that were ahead of this copy although everything before them has come.
    ahead: u32,
    pending: Vec<LogRecord>,
    pending_bytes: usize,
    /// Bytes taken since credit was last given.
    taken: u64,
    /// The table under repair, and how many of its groups are still to come.
    repair: Option<(Table, usize, Vec<String>)>,
    /// When to ask for a snapshot, and how many came to nothing.
    want_snapshot: Option<Instant>,
    failures: u32,
    files: BTreeMap<u32, FileJob>,
    next_request: u32,
    primary_has: Option<Mark>,
    /// Whether the primary has answered the last batch of records, and so may get another.
    records_wanted: bool,
    /// Beats in a row in which nothing came. They are counted, not timed: what came while this process itself stood still is
    /// unread, and no silence of the primary.
    quiet: u32,
}

impl<'a> Intake<'a> {
    pub fn new(
        follower: &'a mut Follower,
        primary: ServerId,
        sender: Sender,
        receiver: Receiver,
        position: Option<Position>,
        answer: &SyncAnswer,
    ) -> Intake<'a> {
        let (inbox, reader) = read_ahead(receiver);
        Intake {
            follower,
            primary,
            sender,
            inbox,
            _reader: reader,
            position,
            streaming: matches!(answer, SyncAnswer::Stream { .. }),
            dismissed: matches!(answer, SyncAnswer::Deprovisioned),
            in_sync: false,
            ahead: 0,
            pending: Vec::new(),
            pending_bytes: 0,
            taken: 0,
            repair: None,
            want_snapshot: None,
            failures: 0,
            files: BTreeMap::new(),
            next_request: 0,
            primary_has: None,
            records_wanted: false,
            quiet: 0,
        }
    }

    /// Runs until the connection is to be left.
    pub async fn run(mut self) -> End {
        match self.converse().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn converse(&mut self) -> Result<std::convert::Infallible, End> {
        let mut tick = interval(self.follower.config.heartbeat);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let want = self.want_snapshot;
            tokio::select! {
                biased;
                wish = self.follower.inbox.recv() => match wish {
                    Some(wish) => self.grant(wish).await?,
                    None => return Err(End::Broken("stopped".to_owned())),
                },
                _ = tick.tick() => self.beat().await?,
                () = sleep_until(want.unwrap_or_else(Instant::now)), if want.is_some() => {
                    self.want_snapshot = None;
                    self.send(&Up::WantSnapshot).await?;
                }
                message = self.inbox.recv() => match message {
                    Some(message) => self.handle(message?).await?,
                    None => return Err(ChannelError::Closed.into()),
                },
            }
        }
    }

    async fn grant(&mut self, wish: Wish) -> Result<(), End> {
        match wish {
            Wish::Primary(ref primary) if self.follower.follows(primary.as_ref()) => Ok(()),
            Wish::Primary(_) | Wish::CallAgain => Err(End::Wished(wish)),
            Wish::RecordsWritten => self.send_records().await,
            Wish::Check(tables) => {
                self.follower.suspects.extend(tables);
                Ok(())
            }
            Wish::Fetch { sha256, into, done } => {
                let request = self.next_request;
                self.next_request = self.next_request.wrapping_add(1);
                self.files.insert(request, FileJob { sha256: sha256.clone(), into, done, incoming: None });
                self.send(&Up::WantFile { request, sha256 }).await
            }
        }
    }

    async fn beat(&mut self) -> Result<(), End> {
        self.quiet += 1;
        if self.quiet > MOST_QUIET {
            return Err(End::Broken("the primary is silent".to_owned()));
        }
        self.acknowledge().await
    }

    async fn acknowledge(&mut self) -> Result<(), End> {
        let message = self.position.clone().map_or(Up::Alive, Up::Ack);
        self.send(&message).await
    }

    async fn handle(&mut self, message: Incoming<Down>) -> Result<(), End> {
        self.quiet = 0;
        let (message, length) = match message {
            Incoming::Document(message, length) => (message, length),
            Incoming::File(request, bytes) => {
                let length = bytes.len();
                self.take_piece(request, bytes).await?;
                return self.give_credit(length).await;
            }
            Incoming::Unknown(_) => return Ok(()),
        };
        let counted = if is_bulk(&message) { length } else { 0 };
        match message {
            Down::Alive => {}
            Down::Answer { answer, .. } => self.answered_anew(*answer).await?,
            Down::Records(records) => self.take_records(records).await?,
            Down::Head(position) => self.compare(position).await?,
            Down::SnapshotBegin(header) => self.begin_snapshot(header).await?,
            Down::SnapshotPiece(piece) => self.stage(piece).await?,
            Down::SnapshotEnd => self.swap().await?,
            Down::Buckets(buckets) => self.compare_buckets(buckets).await?,
            Down::Rows(rows) => self.repair_rows(rows).await?,
            Down::FileBegin { request, length } => self.begin_file(request, length).await?,
            Down::FileMissing { request, reason } => {
                if let Some(job) = self.files.remove(&request) {
                    job.done.send(Err(FetchError::Missing { sha256: job.sha256, reason })).ok();
                }
            }
            Down::ActivityHave(have) => self.records_arrived(have).await?,
            // Answers to questions that a subscriber does not ask.
            Down::Told(_) | Down::Noted(_) => {}
        }
        self.give_credit(counted).await
    }

    async fn give_credit(&mut self, bytes: usize) -> Result<(), End> {
        self.taken += bytes as u64;
        if self.taken >= CREDIT_STEP {
            let bytes = std::mem::take(&mut self.taken);
            self.send(&Up::Credit(bytes)).await?;
        }
        Ok(())
    }

    async fn answered_anew(&mut self, answer: SyncAnswer) -> Result<(), End> {
        self.streaming = false;
        self.clear_pending();
        let stays = matches!(answer, SyncAnswer::Deprovisioned);
        self.dismissed = stays;
        self.follower.tell(SyncEvent::Withheld { primary: self.primary, answer: Box::new(answer) }).await;
        if stays { self.send_records().await } else { Err(End::Final) }
    }

    // Records

    async fn take_records(&mut self, records: Vec<LogRecord>) -> Result<(), End> {
        if !self.streaming {
            return Ok(());
        }
        let have = self.position.as_ref().map_or(0, |position| position.lsn);
        for record in records.into_iter().filter(|record| record.lsn > have) {
            self.pending_bytes += record.change.row.as_ref().map_or(0, String::len) + record.change.key.len();
            self.pending.push(record);
        }
        if self.pending_bytes > PENDING_BYTES {
            return self.fetch_all("a transaction is too large to be applied record by record").await;
        }
        match self.pending.last() {
            Some(last) if last.lsn == last.tx => self.apply().await,
            _ => Ok(()),
        }
    }

    async fn apply(&mut self) -> Result<(), End> {
        let records = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let (store, at) = (self.follower.config.store.clone(), self.follower.config.host.now());
        let (applied, records) = blocking(move || (store.apply(at, &records, None), records)).await;
        match applied {
            Ok(position) => {
                self.position = Some(position.clone());
                (self.in_sync, self.ahead) = (false, 0);
                // The acknowledgement first: the primary's page and log wait for it, the host's copy is a moment behind.
                let acknowledged = self.acknowledge().await;
                let changes = records.into_iter().map(|record| record.change).collect();
                self.follower.tell(SyncEvent::Applied { position, changes }).await;
                acknowledged
            }
            Err(error) => self.store_refused(error).await,
        }
    }

    /// A refusal by the database ends the connection, and the next one begins where the copy stands. Anything else means
    /// that what the primary sends does not fit this copy: a whole one is fetched, on the same connection.
    async fn store_refused(&mut self, error: StoreError) -> Result<(), End> {
        match error {
            StoreError::Database { .. } | StoreError::File { .. } | StoreError::WriterGone { .. } => {
                self.follower.tell(SyncEvent::Fault { reason: error.to_string() }).await;
                Err(End::Broken(error.to_string()))
            }
            _ => self.fetch_all(&error.to_string()).await,
        }
    }

    /// Asks for a snapshot; later the more often the last ones came to nothing.
    async fn fetch_all(&mut self, reason: &str) -> Result<(), End> {
        self.follower.tell(SyncEvent::Fault { reason: reason.to_owned() }).await;
        self.streaming = false;
        self.repair = None;
        self.clear_pending();
        let pause = match self.failures {
            0 => Duration::ZERO,
            n => Duration::from_secs(1 << n.min(6)).min(Duration::from_secs(60)),
        };
        self.failures += 1;
        self.want_snapshot = Some(Instant::now() + pause);
        Ok(())
    }

    fn clear_pending(&mut self) {
        self.pending.clear();
        self.pending_bytes = 0;
    }

    // Own records

    async fn records_arrived(&mut self, have: Option<Mark>) -> Result<(), End> {
        self.records_wanted = true;
        if let Some(mark) = have.filter(|_| have > self.primary_has) {
            self.primary_has = have;
            let activity = self.follower.config.activity.clone();
            if let Err(error) = blocking(move || activity.acknowledge(mark)).await {
                self.follower.tell(SyncEvent::Fault { reason: error.to_string() }).await;
            }
            self.follower.tell(SyncEvent::RecordsDelivered { upto: mark }).await;
        }
        self.primary_has = have;
        self.send_records().await
    }

    async fn send_records(&mut self) -> Result<(), End> {
        if !self.records_wanted {
            return Ok(());
        }
        let (activity, mark) = (self.follower.config.activity.clone(), self.primary_has);
        match blocking(move || activity.after(mark, BATCH_BYTES)).await {
            Ok(records) if records.is_empty() => {
                if std::mem::take(&mut self.dismissed) {
                    self.follower.tell(SyncEvent::NothingLeft).await;
                }
                Ok(())
            }
            Ok(records) => {
                self.records_wanted = false;
                self.send(&Up::Activity(records)).await
            }
            Err(error) => {
                // Configuration goes on; the next record that is written tries again.
                self.follower.tell(SyncEvent::Fault { reason: error.to_string() }).await;
                Ok(())
            }
        }
    }

    async fn send(&mut self, message: &Up) -> Result<(), End> {
        match tokio::time::timeout(SEND_DEADLINE, self.sender.send(message)).await {
            Ok(sent) => Ok(sent.map(drop)?),
            Err(_) => Err(End::Broken("the primary takes no bytes".to_owned())),
        }
    }
}
