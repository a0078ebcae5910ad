//! *Promote*: an operator makes this server the primary (redundancy sheet, section 3.5). Asks everybody who can be reached,
//! takes what another has more, begins a generation, and tells them.
//!
//! The same steps on a secondary that runs, on one that is stopped, and on a folder restored from a backup.

use std::{sync::Arc, time::Duration};

use onealert_core::{
    config::{BadRow, Config, Role, Server},
    ids::{EpochId, ServerId},
    life::{Deed, Denial, Life, Place},
    lineage::Generation,
    members,
    promotion::{Plan, Told, plan},
    replicate::{Epoch, SyncHello},
    version::VersionSet,
};
use onealert_peers::{
    Asker, Identity, IdentityError, Login, NoRecords, PeerAddress, Roster, RosterEntry, Subscriber, SubscriberConfig,
    SubscriberHost, SyncEvent, sync::blocking,
};
use onealert_store::{
    ConfigStore, LocalStore, StoreError,
    change::{AuditEntry, Commit},
    local,
};
use onealert_web::needs::{PromoteRequest, Promoted};

use crate::life;

/// How long another server's records may take to arrive.
const TAKING: Duration = Duration::from_secs(60);

/// Why a server was not promoted. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// It is the primary, inert, or fenced.
    #[error("{0}")]
    Denied(#[from] Denial),
    /// It has joined and never received a copy.
    #[error("this server holds no configuration yet; promote a server that does, or restore a backup")]
    NoCopy,
    /// A primary in order answers.
    #[error(
        "the primary {name} answers; promoting this server would fence it. If that is meant, repeat with \
         --even-though-primary-answers"
    )]
    PrimaryLives {
        /// Its display name.
        name: String,
    },
    /// What another server has more did not arrive.
    #[error(
        "{name} has {records} records that this server lacks, and they did not arrive: {reason}. Repeat, or leave them \
         behind with --leave-missing"
    )]
    NotTaken {
        /// Who has them.
        name: String,
        /// How many at least.
        records: u64,
        /// What went wrong.
        reason: String,
    },
    /// A database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration.
    #[error(transparent)]
    Row(#[from] BadRow),
    /// Key or certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The task that promoted has ended.
    #[error("the promotion was given up: {0}; look at the log, and repeat it")]
    GivenUp(String),
}

/// The server that is to be promoted.
pub struct Candidate {
    /// Its copy of the configuration.
    pub store: Arc<dyn ConfigStore>,
    /// Its own file.
    pub local: Arc<LocalStore>,
    /// Its key and certificate.
    pub identity: Arc<Identity>,
    /// Who it is.
    pub me: local::Identity,
    /// Where it stands.
    pub place: Place,
    /// What it runs.
    pub versions: VersionSet,
    /// Its row, for a server that stands in no configuration yet.
    pub row: Server,
    /// What it does when records of its own are about to be replaced.
    pub host: Arc<dyn SubscriberHost>,
    /// The heartbeat interval.
    pub heartbeat: Duration,
    /// Who promotes it: login name, or the console; and from where.
    pub by: (String, String),
}

impl Candidate {
    /// Promotes it.
    ///
    /// # Errors
    /// See [`PromoteError`]; nothing has changed but that records of others may have been taken.
    pub async fn promote(&self, request: PromoteRequest) -> Result<Promoted, PromoteError> {
        self.place.may(Deed::BePromoted)?;
        let mut promoted = Promoted::default();
        let (config, lineage) = self.ready(&request, &mut promoted).await?;
        let epoch = EpochId(u128::from_be_bytes(crate::draw()));
        let row = config.servers.get(&self.me.server).cloned().unwrap_or_else(|| self.row.clone());
        let now = crate::clock::wall();
        let (who, origin) = self.by.clone();
        let entry = AuditEntry { who, origin, what: format!("promoted {:?} to be the primary", row.name) };
        let commit = Commit::new(now, members::promote(&config, &row, now)).audited(entry);
        let store = self.store.clone();
        let begun = blocking(move || store.promote(epoch, &commit)).await?;
        // From here on the store says who the primary is; what follows only has to agree with it, and is done again by the
        // next start if it is cut short here.
        let lineage: Vec<Epoch> = lineage.into_iter().chain([begun.epoch]).collect();
        let kept = [
            life::keep_role(&self.local, Role::Primary),
            life::keep(&self.local, Life::Active),
            life::keep_followed(&self.local, None),
            self.local.see_lineage(&lineage).map(drop),
        ];
        for error in kept.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "this server is the primary, and that could not be kept in its own file; its next start does");
        }
        promoted.generation = epoch.to_string();
        promoted.fork = begun.epoch.fork;
        let primary = Server { role: Role::Primary, ..row };
        let generation = Generation { lineage, primary: Some((&primary).into()), life: Life::Active };
        let asker = self.asker(&config, &request);
        let announced = others(&config, self.me.server).map(|row| {
            let (asker, generation) = (asker.clone(), generation.clone());
            async move { (row.name.clone(), asker.announce(&address(row), &generation).await) }
        });
        for (name, answer) in futures_util::future::join_all(announced).await {
            if answer == Ok(true) {
                promoted.followed_by.push(name);
            }
        }
        Ok(promoted)
    }

    /// Asks everybody and takes what is missing, until nobody who answers has more. Gives the configuration to begin with.
    async fn ready(
        &self,
        request: &PromoteRequest,
        promoted: &mut Promoted,
    ) -> Result<(Config, Vec<Epoch>), PromoteError> {
        // The first time, and once more after each taking: somebody may have moved on meanwhile, but not for ever.
        for _ in 0..3 {
            let store = self.store.clone();
            let loaded = blocking(move || store.load()).await?;
            let position = loaded.as_ref().map(|loaded| loaded.position.clone()).ok_or(PromoteError::NoCopy)?;
            let (rows, lineage) = loaded.map(|loaded| (loaded.rows, loaded.epochs)).unwrap_or_default();
            let config = Config::from_rows(rows)?;
            let mut told = self.ask(&config, request, promoted).await;
            if request.even_though_primary_answers {
                // It is meant: it counts as any other server, and what it has more is taken first.
                told.iter_mut().for_each(|told| told.role = Role::Secondary);
            }
            let name = |id: ServerId| config.servers.get(&id).map_or_else(|| id.to_string(), |row| row.name.clone());
            match plan(Some(&position), &lineage, &told) {
                Plan::PrimaryLives { server } => return Err(PromoteError::PrimaryLives { name: name(server) }),
                Plan::TakeFirst { from, records } if !request.leave_missing => {
                    let Some(row) = config.servers.get(&from) else { return Ok((config, lineage)) };
                    let taken = self.take(&config, row, request).await;
                    taken.map_err(|reason| PromoteError::NotTaken { name: name(from), records, reason })?;
                    promoted.taken_from.push(name(from));
                }
                Plan::TakeFirst { from, records } => {
                    promoted.left_behind = Some(format!("{} has {records} records more", name(from)));
                    return Ok((config, lineage));
                }
                Plan::Begin => return Ok((config, lineage)),
            }
        }
        let reason = "another server goes on writing".to_owned();
        Err(PromoteError::NotTaken { name: promoted.taken_from.join(", "), records: 1, reason })
    }

    async fn ask(&self, config: &Config, request: &PromoteRequest, promoted: &mut Promoted) -> Vec<Told> {
        let asker = self.asker(config, request);
        let asked = others(config, self.me.server).map(|row| {
            let asker = asker.clone();
            async move { (row.name.clone(), asker.ask(&address(row)).await) }
        });
        let mut told = Vec::new();
        (promoted.answered, promoted.silent) = (Vec::new(), Vec::new());
        for (name, answer) in futures_util::future::join_all(asked).await {
            match answer {
                Ok(answer) => {
                    promoted.answered.push(name);
                    told.push(answer);
                }
                Err(reason) => promoted.silent.push(format!("{name}: {reason}")),
            }
        }
        told
    }

    /// Takes what another server has into this copy.
    async fn take(&self, config: &Config, from: &Server, request: &PromoteRequest) -> Result<(), String> {
        let subscriber = SubscriberConfig {
            identity: self.identity.clone(),
            roster: roster(config),
            store: self.store.clone(),
            host: self.host.clone(),
            activity: Arc::new(NoRecords),
            heartbeat: self.heartbeat,
        };
        let taking = async {
            let (_subscriber, mut events) =
                Subscriber::take(subscriber, address(from), login(request)).map_err(|error| error.to_string())?;
            while let Some(event) = events.recv().await {
                match event {
                    SyncEvent::InSync { .. } => return Ok(()),
                    SyncEvent::Withheld { .. } | SyncEvent::Disconnected { .. } => return Err(event.to_string()),
                    _ => {}
                }
            }
            Err("the connection ended".to_owned())
        };
        tokio::time::timeout(TAKING, taking).await.unwrap_or_else(|_| Err("they did not come in time".to_owned()))
    }

    fn asker(&self, config: &Config, request: &PromoteRequest) -> Asker {
        Asker {
            identity: self.identity.clone(),
            roster: roster(config),
            hello: SyncHello {
                server: self.me.server,
                incarnation: self.me.incarnation,
                versions: self.versions.clone(),
                position: None,
                lineage: Vec::new(),
                newest: Vec::new(),
            },
            login: login(request),
            heartbeat: self.heartbeat,
        }
    }
}

fn login(request: &PromoteRequest) -> Option<Login> {
    let password = request.password.as_ref()?.reveal().to_owned();
    Some(Login { user: request.user.clone().unwrap_or_else(|| "admin".to_owned()), password })
}

fn others(config: &Config, me: ServerId) -> impl Iterator<Item = &Server> {
    config.servers.values().filter(move |row| row.id != me && !row.deprovisioned)
}

fn address(row: &Server) -> PeerAddress {
    PeerAddress { id: row.id, address: row.mesh.clone() }
}

fn roster(config: &Config) -> Arc<Roster> {
    Roster::new(config.servers.values().map(RosterEntry::from))
}
