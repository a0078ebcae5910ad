//! Where this server stands in its own life: kept in the server's own file, asked by everything that may or may not be done.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use onealert_core::{
    config::{Role, Server},
    ids::EpochId,
    life::{Deed, Denial, Life, Place},
    lineage::PrimaryAddress,
    time::Wall,
};
use onealert_store::{LocalStore, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Names of this server's own settings beside those that administrators know.
pub const ROLE: &str = "role";
/// Whom a secondary follows, as JSON of [`Followed`].
const FOLLOWED: &str = "followed";
/// The server's life where it is not in order, as JSON of [`Life`].
const LIFE: &str = "life";
/// When the primary was last heard, in milliseconds since 1970.
const PRIMARY_HEARD: &str = "primary_heard";
/// What an inert server still has to give up, as text of [`Wipe`].
const WIPE: &str = "wipe";
/// How long an answer may take to leave this server before it starts anew.
const ANSWERED: Duration = Duration::from_millis(300);

/// The primary that a secondary follows because it joined it, or was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Which server, and where.
    pub primary: PrimaryAddress,
    /// The generation in which it is the primary; `None` for the one that was joined. Once the configuration here is of
    /// that generation it names its primary itself.
    pub generation: Option<EpochId>,
}

impl Followed {
    /// As a row, for lists of servers.
    pub fn row(&self) -> Server {
        let PrimaryAddress { server, name, mesh, web, key_sha256 } = self.primary.clone();
        let (role, enrolled, deprovisioned) = (Role::Primary, Wall(0), false);
        Server { id: server, name, role, mesh, web, key_sha256, enrolled, deprovisioned }
    }
}

/// What was kept of the server's life.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Primary or secondary; `None` in a folder that is not installed yet.
    pub role: Option<Role>,
    /// Where it stands.
    pub life: Life,
    /// Whom it follows.
    pub followed: Option<Followed>,
    /// When the primary was last heard.
    pub primary_heard: Option<Wall>,
    /// It is inert and still holds what it must give up.
    pub wipe: Option<Wipe>,
}

/// What an inert server still has to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wipe {
    /// Everything, once its records are with the primary.
    Pending,
    /// Everything, at the next start.
    Due,
}

/// Reads what was kept. What cannot be read counts as not kept, but for the life: a server that does not know whether it may
/// send must not guess.
///
/// # Errors
/// The file cannot be read, or the life in it cannot.
pub fn kept(local: &LocalStore) -> Result<Kept, StoreError> {
    let stored = local.settings()?;
    let life = match stored.get(LIFE) {
        None => Life::Active,
        Some(text) => serde_json::from_str(text).map_err(|error| StoreError::BadValue {
            place: "local.db".to_owned(),
            table: "settings",
            key: LIFE.to_owned(),
            reason: error.to_string(),
        })?,
    };
    Ok(Kept {
        role: match stored.get(ROLE).map(String::as_str) {
            Some("secondary") => Some(Role::Secondary),
            Some(_) => Some(Role::Primary),
            None => None,
        },
        life,
        followed: stored.get(FOLLOWED).and_then(|text| serde_json::from_str(text).ok()),
        primary_heard: stored.get(PRIMARY_HEARD).and_then(|text| text.parse().ok()).map(Wall),
        wipe: match stored.get(WIPE).map(String::as_str) {
            None => None,
            Some("due") => Some(Wipe::Due),
            Some(_) => Some(Wipe::Pending),
        },
    })
}

/// Keeps a life; one in order is kept by its absence.
///
/// # Errors
/// The file cannot be written.
pub fn keep(local: &LocalStore, life: Life) -> Result<(), StoreError> {
    match life {
        Life::Active | Life::Opening => local.set(LIFE, None),
        other => local.set(LIFE, Some(&serde_json::to_string(&other).expect("a life is plain data"))),
    }
}

/// Keeps the role.
///
/// # Errors
/// The file cannot be written.
pub fn keep_role(local: &LocalStore, role: Role) -> Result<(), StoreError> {
    local.set(ROLE, Some(if role == Role::Primary { "primary" } else { "secondary" }))
}

/// Keeps whom this server follows.
///
/// # Errors
/// The file cannot be written.
pub fn keep_followed(local: &LocalStore, followed: Option<&Followed>) -> Result<(), StoreError> {
    let text = followed.map(|followed| serde_json::to_string(followed).expect("an address is plain data"));
    local.set(FOLLOWED, text.as_deref())
}

/// Keeps what an inert server still has to give up.
///
/// # Errors
/// The file cannot be written.
pub fn keep_wipe(local: &LocalStore, wipe: Option<Wipe>) -> Result<(), StoreError> {
    let text = wipe.map(|wipe| match wipe {
        Wipe::Pending => "pending",
        Wipe::Due => "due",
    });
    local.set(WIPE, text)
}

/// The server's life while it runs. Shared by everything in the program.
pub struct Lives {
    local: Arc<LocalStore>,
    now: RwLock<Place>,
    followed: watch::Sender<Option<Followed>>,
    changed: watch::Sender<u64>,
    retiring: Mutex<()>,
    /// Turns true when the program is to be started anew in its place.
    pub restart: watch::Sender<bool>,
}

impl Lives {
    /// A server that starts in this place.
    pub fn new(local: Arc<LocalStore>, role: Role, life: Life, followed: Option<Followed>) -> Lives {
        Lives {
            local,
            now: RwLock::new(Place { role, life, primary_heard: false }),
            followed: watch::Sender::new(followed),
            changed: watch::Sender::new(0),
            retiring: Mutex::new(()),
            restart: watch::Sender::new(false),
        }
    }

    /// Role, life, and whether the primary is heard.
    pub fn place(&self) -> Place {
        *self.now.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this server may do that.
    ///
    /// # Errors
    /// Why not, for the person who asked.
    pub fn may(&self, deed: Deed) -> Result<(), Denial> {
        self.place().may(deed)
    }

    /// Held while this server is taken out of service, or gives up what it holds: several servers may tell it at once, and
    /// the word of the second must not undo what followed from the first.
    pub fn retiring(&self) -> MutexGuard<'_, ()> {
        self.retiring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's own file.
    pub fn local(&self) -> &Arc<LocalStore> {
        &self.local
    }

    /// Whom it follows by joining or by being told.
    pub fn followed(&self) -> Option<Followed> {
        self.followed.borrow().clone()
    }

    /// Woken when role, life or the followed primary changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Another life begins. Kept before it is true, but true also when it cannot be kept: a server that was told to be silent
    /// is silent whatever its disk does, and is told again after its next start.
    pub fn begin(&self, life: Life) {
        if let Err(error) = keep(&self.local, life) {
            tracing::error!(%error, ?life, "where this server stands could not be kept; it holds until the next start");
        }
        self.edit(|place| place.life = life);
    }

    /// Another life begins, and something has to be done about it before it is kept: where that is cut short, the server
    /// starts as what it was, comes here again and does it again.
    pub fn begin_with(&self, life: Life, first: impl FnOnce()) {
        self.edit(|place| place.life = life);
        first();
        self.begin(life);
    }

    /// A primary has waited for its secondaries and takes configuration from here on, unless something else has become of it
    /// meanwhile. On the disk the two are one.
    pub fn opened(&self) -> bool {
        let mut opened = false;
        self.edit(|place| {
            opened = place.life == Life::Opening;
            if opened {
                place.life = Life::Active;
            }
        });
        opened
    }

    /// This server is the primary from here on.
    pub fn promoted(&self) {
        self.followed.send_replace(None);
        self.edit(|place| (place.role, place.life) = (Role::Primary, Life::Active));
    }

    /// Follow this primary from here on.
    pub fn follow(&self, followed: Followed) {
        if let Err(error) = keep_followed(&self.local, Some(&followed)) {
            tracing::error!(%error, "the new primary could not be kept; it is learned again after the next start");
        }
        self.followed.send_replace(Some(followed));
        self.edit(|_| {});
    }

    /// Wakes whoever acts on role, life and primary, though none of them changed.
    pub fn look_again(&self) {
        self.edit(|_| {});
    }

    /// Whether the primary is heard. Kept now and then, for the licence's grace.
    pub fn primary_heard(&self, heard: bool) {
        if heard {
            self.note_primary();
        }
        if self.place().primary_heard != heard {
            self.edit(|place| place.primary_heard = heard);
        }
    }

    /// Remembers that the primary was heard at this moment.
    pub fn note_primary(&self) {
        // The disk may take its time, and the loop may wait for this very thread.
        let kept =
            tokio::task::block_in_place(|| self.local.set(PRIMARY_HEARD, Some(&crate::clock::wall().0.to_string())));
        if let Err(error) = kept {
            tracing::error!(%error, "when the primary was last heard could not be kept");
        }
    }

    /// The program is to be started anew in its place, a moment from here: whoever asked for it is to hear the answer.
    pub fn start_anew(&self) {
        let restart = self.restart.clone();
        tokio::spawn(async move {
            tokio::time::sleep(ANSWERED).await;
            restart.send_replace(true);
        });
    }

    fn edit(&self, edit: impl FnOnce(&mut Place)) {
        edit(&mut self.now.write().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_modify(|count| *count += 1);
    }
}
