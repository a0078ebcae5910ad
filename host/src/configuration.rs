//! The configuration in use: one immutable snapshot that reading shares, and the one way to change it.

use std::sync::{Arc, PoisonError, RwLock};

use onealert_core::{
    config::{BadRow, Change, Config},
    ids::EpochId,
    reference::{Dangling, dangling},
    replicate::{Digests, Epoch, Position},
};
use onealert_store::{
    ConfigStore, StoreError,
    change::{Commit, Committed},
};
use tokio::sync::watch;

/// The configuration at one position.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Every row, typed.
    pub config: Arc<Config>,
    /// Where it stands.
    pub position: Position,
    /// Every generation that led to it, oldest first.
    pub lineage: Arc<Vec<Epoch>>,
}

/// Why the configuration could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row of it.
    #[error(transparent)]
    Row(#[from] BadRow),
    /// Somebody else deleted, or began to use, what this concerns.
    #[error(transparent)]
    Dangling(#[from] Dangling),
    /// Another server was promoted, and what this primary wrote has been gathered for people.
    #[error("this primary is fenced: another server was promoted; change the configuration there")]
    Sealed,
    /// The thread that wrote has ended.
    #[error("the write was given up: {0}")]
    GivenUp(String),
}

/// The configuration in use. Shared by everything in the program.
pub struct Configuration {
    store: Arc<dyn ConfigStore>,
    current: RwLock<Snapshot>,
    changed: watch::Sender<Position>,
    /// Writes are serial: a commit is folded in before the next one begins. `true` once no more are taken.
    writing: tokio::sync::Mutex<bool>,
}

impl Configuration {
    /// Reads the whole configuration.
    ///
    /// # Errors
    /// The database cannot be read, or holds a row that is not of its table.
    pub fn open(store: Arc<dyn ConfigStore>) -> Result<Configuration, ConfigurationError> {
        let current = read(store.as_ref())?;
        let changed = watch::Sender::new(current.position.clone());
        Ok(Configuration { store, current: RwLock::new(current), changed, writing: tokio::sync::Mutex::new(false) })
    }

    /// The configuration at this moment.
    pub fn now(&self) -> Snapshot {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rows at this moment.
    pub fn config(&self) -> Arc<Config> {
        self.now().config
    }

    /// Wakes at every change.
    pub fn changes(&self) -> watch::Receiver<Position> {
        self.changed.subscribe()
    }

    /// The database behind it.
    pub fn store(&self) -> &Arc<dyn ConfigStore> {
        &self.store
    }

    /// Changes it: durable and visible to the next reader when this returns. Only the primary calls it. Once begun it is done
    /// whole, also where the caller goes away meanwhile: what is in the database must not be missing in memory.
    ///
    /// # Errors
    /// A row is not of its table, somebody else was faster, or the database refused; nothing has changed then.
    pub async fn commit(self: &Arc<Self>, commit: Commit) -> Result<Committed, ConfigurationError> {
        let own = self.clone();
        let written = tokio::spawn(async move { own.write(commit).await });
        written.await.unwrap_or_else(|error| Err(ConfigurationError::GivenUp(error.to_string())))
    }

    async fn write(&self, commit: Commit) -> Result<Committed, ConfigurationError> {
        let sealed = self.writing.lock().await;
        if *sealed {
            return Err(ConfigurationError::Sealed);
        }
        // Judged before it is written: what is in the database must be readable, and name nothing that is not there.
        if let Some(dangling) = dangling(&self.config(), &commit.changes)? {
            return Err(dangling.into());
        }
        let (store, changes) = (self.store.clone(), commit.changes.clone());
        let committed = tokio::task::spawn_blocking(move || store.commit(&commit))
            .await
            .map_err(|error| ConfigurationError::GivenUp(error.to_string()))??;
        self.fold(&changes, committed.position.clone())?;
        Ok(committed)
    }

    /// Takes no more commits until it is unsealed or the process starts anew, and returns when the one that was under way is
    /// done: what is in the log after that is all that there will be.
    pub async fn seal(&self) {
        *self.writing.lock().await = true;
    }

    /// Takes commits again: an operator has made this server the primary.
    pub async fn unseal(&self) {
        *self.writing.lock().await = false;
    }

    /// Folds in what a secondary has received and stored.
    ///
    /// # Errors
    /// A row is not of its table, or the database cannot say which generation this is.
    pub fn fold(&self, changes: &[Change], position: Position) -> Result<(), ConfigurationError> {
        let lineage = match self.now().lineage.last() {
            Some(last) if last.id == position.epoch => None,
            // Another generation begins, once in years.
            _ => Some(Arc::new(self.store.epochs()?)),
        };
        {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            // Readers that hold the snapshot keep it; only then is it copied.
            let config = Arc::make_mut(&mut current.config);
            for change in changes {
                config.apply(change)?;
            }
            current.position = position.clone();
            if let Some(lineage) = lineage {
                current.lineage = lineage;
            }
        }
        self.changed.send_replace(position);
        Ok(())
    }

    /// Reads everything again while nobody commits: what is read is not overtaken on its way into memory.
    ///
    /// # Errors
    /// As [`Configuration::open`].
    pub async fn reload_between_commits(&self) -> Result<(), ConfigurationError> {
        let _writing = self.writing.lock().await;
        tokio::task::block_in_place(|| self.reload())
    }

    /// Reads everything again, after a snapshot replaced it. For a server that takes no commits.
    ///
    /// # Errors
    /// As [`Configuration::open`].
    pub fn reload(&self) -> Result<(), ConfigurationError> {
        let fresh = read(self.store.as_ref())?;
        let position = fresh.position.clone();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        self.changed.send_replace(position);
        Ok(())
    }
}

fn read(store: &dyn ConfigStore) -> Result<Snapshot, ConfigurationError> {
    let Some(loaded) = store.load()? else {
        // A secondary that has just joined: it has no copy yet and waits for its first snapshot.
        let position = Position { epoch: EpochId(0), lsn: 0, digests: Digests::default() };
        return Ok(Snapshot { config: Arc::default(), position, lineage: Arc::default() });
    };
    let config = Config::from_rows(loaded.rows)?;
    Ok(Snapshot { config: Arc::new(config), position: loaded.position, lineage: Arc::new(loaded.epochs) })
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use onealert_core::{
        config::{Setting, Table},
        time::Wall,
    };
    use onealert_store::SqliteStore;

    use super::*;

    /// Nothing takes this long; what has not happened by then does not.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Seen as a primary whose pages and bells lacked a change that its database and every secondary had: the browser had gone
    /// away while it was saved.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_change_is_known_here_also_when_whoever_saved_it_has_gone_away_meanwhile() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(&folder.path().join("config.db")).expect("a database");
        store.install(EpochId(1)).expect("a generation begins");
        let configuration = Arc::new(Configuration::open(Arc::new(store)).expect("it can be read"));
        let mut changes = configuration.changes();
        // Where this thread stands still, a change is saved before it is looked at for the first time: then it is another's turn.
        let mut last = 0;
        let left_under_way = 'tries: {
            for lsn in 1..=20 {
                last = lsn;
                let setting = Setting { name: "a".to_owned(), value: lsn.to_string().into() };
                let commit = Commit::new(Wall(0), vec![Change::put(Table::Settings, "a", &setting)]);
                let mut saving = pin!(configuration.commit(commit));
                if futures_util::poll!(saving.as_mut()).is_pending() {
                    break 'tries true;
                }
            }
            false
        };
        assert!(left_under_way, "none of them was under way when it was left");
        let seen = tokio::time::timeout(PATIENCE, changes.wait_for(|position| position.lsn == last));
        assert!(seen.await.is_ok_and(|seen| seen.is_ok()), "stored: {:?}", configuration.store().position());
        assert_eq!(configuration.config().settings.get("a").map(|kept| &kept.value), Some(&last.to_string().into()));
    }
}
