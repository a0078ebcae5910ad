//! A server's copy of the configuration, what it knows of generations, and its activity log: what survives a crash, and what
//! only one life of the process knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use onealert_core::{
    config::{Change, Config, Role, Table},
    ids::{EpochId, Incarnation, ServerId},
    life::{Deed, Life, Opening, Place},
    lineage::{self, Generation, PrimaryAddress},
    replicate::{Digests, Epoch, LogRecord, Position},
    time::Mono,
    version::VersionSet,
};
use onealert_store::{
    ConfigStore, Notes, SqliteStore,
    history::{ActivityRecord, Mark},
    scrub::BucketRows,
    snapshot::{Chunk, SnapshotHeader, SnapshotReader},
};

use crate::{
    conflict::Report,
    memory::{Content, MemoryStore},
    world::id,
};

/// Which database stands behind the copies of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Database {
    /// One in memory, with the rules of the real one.
    #[default]
    Memory,
    /// The real one, in a file.
    Sqlite,
}

/// The database of one copy.
pub enum Store {
    Memory(MemoryStore),
    Sqlite { store: SqliteStore, folder: tempfile::TempDir },
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.port().place())
    }
}

impl Store {
    pub fn new(database: Database) -> Store {
        match database {
            Database::Memory => Store::Memory(MemoryStore::default()),
            Database::Sqlite => {
                let folder = folder();
                let store = SqliteStore::open(&folder.path().join("config.db")).expect("a file can be made");
                Store::Sqlite { store, folder }
            }
        }
    }

    pub fn port(&self) -> &dyn ConfigStore {
        match self {
            Store::Memory(store) => store,
            Store::Sqlite { store, .. } => store,
        }
    }

    /// A backup: what the operator keeps.
    pub fn backup(&self) -> Backup {
        match self {
            Store::Memory(store) => Backup::Memory(Box::new(store.content())),
            Store::Sqlite { store, .. } => {
                let folder = folder();
                store.backup(&folder.path().join("backup.db"), &Notes::new()).expect("a backup can be written");
                Backup::Sqlite(folder)
            }
        }
    }
}

/// What an operator keeps of a server.
#[derive(Debug)]
pub struct Kept {
    pub config: Backup,
    pub log: Log,
    /// It holds a row that somebody edited behind the server's back.
    pub edited: bool,
}

/// What an operator keeps of a copy, to restore it once.
#[derive(Debug)]
pub enum Backup {
    Memory(Box<Content>),
    Sqlite(tempfile::TempDir),
}

impl Backup {
    pub fn restore(self) -> Store {
        match self {
            Backup::Memory(content) => Store::Memory(MemoryStore::of(*content)),
            Backup::Sqlite(folder) => {
                let live = folder.path().join("config.db");
                SqliteStore::restore(&folder.path().join("backup.db"), &live).expect("the backup is whole");
                let store = SqliteStore::open(&live).expect("what was restored opens");
                Store::Sqlite { store, folder }
            }
        }
    }
}

/// In memory where the system offers that: a sync of every commit is part of the real store, not of what is tried here.
fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder can be made")
}

/// The activity log of one server: its own records, and on a primary those of the others.
#[derive(Debug, Clone, Default)]
pub struct Log {
    pub records: BTreeMap<(ServerId, u64, u64), ActivityRecord>,
    /// The last record known of each origin; it never goes back.
    marks: BTreeMap<ServerId, Mark>,
    /// How far the primary has this server's records.
    pub acknowledged: Option<Mark>,
}

impl Log {
    /// Numbers something that happened here and keeps it.
    pub fn append(&mut self, origin: ServerId, incarnation: u64, mut record: ActivityRecord) {
        let known = self.marks.get(&origin).filter(|mark| mark.incarnation.0 == incarnation);
        record.seq = known.map_or(0, |mark| mark.seq) + 1;
        (record.origin, record.incarnation) = (origin, Incarnation(incarnation));
        self.put(record);
    }

    /// Takes another server's records, passing over what is known.
    pub fn insert(&mut self, records: Vec<ActivityRecord>) {
        for record in records {
            let mark = Mark { incarnation: record.incarnation, seq: record.seq };
            if self.marks.get(&record.origin).is_none_or(|known| *known < mark) {
                self.put(record);
            }
        }
    }

    pub fn have(&self, origin: ServerId) -> Option<Mark> {
        self.marks.get(&origin).copied()
    }

    /// An origin's records after a mark, a few at a time.
    pub fn after(&self, origin: ServerId, mark: Option<Mark>) -> Vec<ActivityRecord> {
        let mark = mark.map_or((0, 0), |mark| (mark.incarnation.0, mark.seq));
        let range = self.records.range((origin, mark.0, mark.1 + 1)..=(origin, u64::MAX, u64::MAX));
        range.map(|(_, record)| record.clone()).take(5).collect()
    }

    fn put(&mut self, record: ActivityRecord) {
        let (origin, incarnation, seq) = (record.origin, record.incarnation, record.seq);
        self.marks.insert(origin, Mark { incarnation, seq });
        self.records.insert((origin, incarnation.0, seq), record);
    }
}

/// Work for the disk.
#[derive(Debug)]
pub enum Job {
    Commit(Vec<Change>),
    Promote(EpochId),
    Adopt(Table),
    Apply(Vec<LogRecord>),
    /// Enter the generation of this position, where nothing else is missing.
    Enter(Position),
    StageBegin(SnapshotHeader),
    StageChunk(Chunk),
    StageFinish,
    Repair(BucketRows),
    Collect(usize, Vec<ActivityRecord>),
}

/// How a secondary follows its primary.
#[derive(Debug, Default)]
pub struct Follow {
    /// The connection that stands.
    pub line: Option<u64>,
    pub streaming: bool,
    pub pending: Vec<LogRecord>,
    /// Heads in a row that were ahead of this copy although everything before them has come.
    pub ahead: u32,
    /// Tables that are known to be wrong here.
    pub suspects: BTreeSet<Table>,
    pub repair: Option<(Table, usize)>,
    pub wants_snapshot: bool,
    pub primary_has: Option<Mark>,
    pub may_send_records: bool,
}

/// How a primary feeds one secondary.
pub struct Feed {
    pub line: u64,
    pub streaming: Option<u64>,
    pub snapshot: Option<Box<dyn SnapshotReader>>,
    pub records_only: bool,
    pub waits_for_version: bool,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("line", &self.line).field("streaming", &self.streaming).finish_non_exhaustive()
    }
}

/// One server's copy.
#[derive(Debug)]
pub struct Copy {
    pub store: Store,
    /// What the store holds, as the server has it in memory.
    pub config: Config,
    pub position: Option<Position>,
    pub lineage: Vec<Epoch>,
    pub life: Life,
    /// The newest generation that was seen anywhere, with every one that led to it. In no backup.
    pub newest: Vec<Epoch>,
    /// Files for people. In no backup.
    pub reports: Vec<Report>,
    /// The fork of a report that the disk has refused.
    pub report_due: Option<u64>,
    /// Its minor version.
    pub product: u64,
    pub log: Log,
    pub backup: Option<Kept>,
    /// Whom it follows, where its own configuration does not know better.
    pub told_primary: Option<PrimaryAddress>,
    // Only of this life of the process:
    pub opening: Option<Opening>,
    pub jobs: VecDeque<(u64, Job)>,
    pub follow: Follow,
    pub feeds: BTreeMap<usize, Feed>,
}

impl Copy {
    pub fn new(database: Database) -> Copy {
        Copy {
            store: Store::new(database),
            config: Config::default(),
            position: None,
            lineage: Vec::new(),
            life: Life::Active,
            newest: Vec::new(),
            reports: Vec::new(),
            report_due: None,
            product: 1,
            log: Log::default(),
            backup: None,
            told_primary: None,
            opening: None,
            jobs: VecDeque::new(),
            follow: Follow::default(),
            feeds: BTreeMap::new(),
        }
    }

    /// Reads what the store holds into memory.
    pub fn reload(&mut self) {
        let loaded = self.store.port().load().expect("the store can be read");
        let Some(loaded) = loaded else {
            (self.config, self.position, self.lineage) = (Config::default(), None, Vec::new());
            return;
        };
        let readable = |(table, key, row): (Table, String, String)| Some((table, key, row));
        self.config = Config::from_rows(loaded.rows.into_iter().filter_map(readable)).expect("rows of their tables");
        (self.position, self.lineage) = (Some(loaded.position), loaded.epochs);
        self.see(&self.lineage.clone());
    }

    /// Remembers a generation; what was once left behind does not become the newest again.
    pub fn see(&mut self, lineage: &[Epoch]) {
        self.newest = lineage::newest(&self.newest, lineage).to_vec();
    }

    pub fn role(&self, me: usize) -> Role {
        // Who was told whom to follow is a secondary, whatever the configuration says that it has joined with.
        if self.told_primary.is_some() {
            return Role::Secondary;
        }
        self.config.servers.get(&id(me)).map_or(Role::Secondary, |row| row.role)
    }

    /// Whether it may do that at this moment.
    pub fn may(&self, me: usize, now: Mono, deed: Deed) -> bool {
        let opening = self.opening.as_ref().is_some_and(|opening| opening.over(now).is_none());
        let life = if opening && self.life == Life::Active { Life::Opening } else { self.life };
        Place { role: self.role(me), life, primary_heard: true }.may(deed).is_ok()
    }

    pub fn generation(&self) -> Generation {
        let primary = self.config.primary().map(PrimaryAddress::from);
        Generation { lineage: self.lineage.clone(), primary, life: self.life }
    }

    pub fn versions(&self) -> VersionSet {
        VersionSet {
            product: semver::Version::new(1, self.product, 0),
            schema: self.product as u32,
            protocol: 1,
            platform: String::new(),
            plugin_api: semver::Version::new(1, 0, 0),
            drivers: BTreeMap::new(),
        }
    }

    /// The digests that its rows give, whatever was committed.
    pub fn digests_of_rows(&self) -> Digests {
        let mut digests = Digests::default();
        let loaded = self.store.port().load().expect("the store can be read");
        for (table, key, row) in loaded.map(|loaded| loaded.rows).unwrap_or_default() {
            digests.add(table, &key, &row);
        }
        digests
    }

    /// What dies with the process.
    pub fn forget_process(&mut self) {
        self.opening = None;
        self.jobs.clear();
        self.follow = Follow::default();
        self.feeds.clear();
    }
}
