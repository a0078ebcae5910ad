//! The data folder: made by first installation, or by joining a primary; opened at every start.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use onealert_core::{
    config::{Change, Config, DEFAULT_GROUP, PriorityGroup, Role, Server, Table, User, UserRole},
    ids::{EpochId, GroupId, ServerId, UserId},
    life::{Deed, Life, Place},
    replicate::Position,
};
use onealert_peers::{Identity, IdentityError, SiteKeys, join};
use onealert_store::{
    ConfigStore, LocalStore, Notes, SqliteStore, StoreError,
    change::{AuditEntry, Commit},
    local,
};

use crate::{
    life::{self, Followed, Wipe},
    lock,
    occupancy::{self, Occupancy, Occupied},
    passwords, product, retire,
    settings::Settings,
};

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The file system.
    #[error("{}: {source}", path.display())]
    Folder {
        /// Which folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else works in the folder.
    #[error(transparent)]
    Occupied(#[from] Occupied),
    /// Key or certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Joining.
    #[error(transparent)]
    Join(#[from] join::JoinError),
    /// The folder belongs to a server already.
    #[error("{} already holds the {role} {server}; take another data folder, or remove this one", path.display())]
    Taken {
        /// Which folder.
        path: PathBuf,
        /// Primary or secondary.
        role: String,
        /// Which server.
        server: ServerId,
    },
    /// Something that the server was to give up stays.
    #[error("{} could not be given up: {source}", path.display())]
    Wipe {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is asked is not done in this folder.
    #[error("{}: {reason}", path.display())]
    NotHere {
        /// Which folder or file.
        path: PathBuf,
        /// Why not, and what to do.
        reason: String,
    },
    /// What is stored is not what this program wrote.
    #[error("{}: {what} cannot be read: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// An opened data folder.
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// What is this server's own.
    pub local: LocalStore,
    /// The configuration.
    pub store: SqliteStore,
    /// Key and certificate.
    pub identity: Identity,
    /// Who this server is, and in which life.
    pub me: local::Identity,
    /// Primary or secondary.
    pub role: Role,
    /// Where it stands in its own life.
    pub life: Life,
    /// On a secondary: the primary that it joined or was told of.
    pub followed: Option<Followed>,
    /// Its row, as it would be if the configuration had none.
    pub own_row: Server,
    /// The password of the first administrator, when it was drawn at this start.
    pub drawn_password: Option<String>,
    /// No other process works in it while this is kept.
    pub occupancy: Occupancy,
}

/// Opens the data folder, or installs a primary into an empty one.
///
/// # Errors
/// A folder or file cannot be made or read; the text names it.
pub fn open(settings: &Settings, mesh: &str, web: &str) -> Result<Folder, InstallError> {
    let path = folder_at(&settings.data)?;
    let occupancy = occupancy::occupy(&path)?;
    let local = LocalStore::open(&path.join("local.db"))?;
    let keys = path.join("identity");
    let kept = life::kept(&local)?;
    if kept.life == Life::Inert && kept.wipe == Some(Wipe::Due) {
        retire::wipe(&path).map_err(|(path, source)| InstallError::Wipe { path, source })?;
        life::keep_wipe(&local, None)?;
    }
    let mut role = kept.role.unwrap_or(Role::Primary);
    let store = SqliteStore::open(&path.join("config.db"))?;
    let mut drawn_password = None;
    let identity = if Identity::exists(&keys) {
        Identity::load(&keys)?
    } else if kept.life == Life::Restored {
        let reason = "the restore was cut short; repeat it: onealert restore".to_owned();
        return Err(InstallError::NotHere { path, reason });
    } else {
        let server = local.identity()?.map_or_else(|| ServerId(u128::from_be_bytes(crate::draw())), |me| me.server);
        Identity::create_primary(&keys, server, std::slice::from_ref(&settings.name))?
    };
    local.establish(identity.server())?;
    let me = local.begin(crate::clock::wall())?;
    let own_row = own_row(settings, &identity, role, mesh, web);
    let told = kept.followed.as_ref().and_then(|followed| followed.generation);
    let behind = told.is_some_and(|told| !store.epochs().unwrap_or_default().iter().any(|epoch| epoch.id == told));
    if kept.life == Life::Active && role == Role::Secondary && !behind && is_promoted(&store, &identity)? {
        // The promotion was cut short after the store had it.
        role = Role::Primary;
        life::keep_followed(&local, None)?;
    }
    // Written once: a start must not need a disk that takes something.
    if role == Role::Primary && kept.role != Some(Role::Primary) {
        life::keep_role(&local, Role::Primary)?;
    }
    if role == Role::Primary && kept.life == Life::Active {
        // Each step is done again if an earlier start died before it.
        if store.position()?.is_none() {
            store.install(EpochId(u128::from_be_bytes(crate::draw())))?;
        }
        if store.position()?.is_some_and(|position| position.lsn == 0) {
            drawn_password = first_rows(&store, &own_row)?;
        }
    }
    let (life, followed) = (kept.life, kept.followed);
    Ok(Folder { path, local, store, identity, me, role, life, followed, own_row, drawn_password, occupancy })
}

/// The data folder, made if it is not there.
fn folder_at(data: &Path) -> Result<PathBuf, InstallError> {
    let folder = |path: &Path, source| InstallError::Folder { path: path.to_owned(), source };
    // Keys and password hashes lie in it: nobody else's business.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(|error| folder(data, error))?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).map_err(|error| folder(data, error))?;
    fs::canonicalize(data).map_err(|error| folder(data, error))
}

fn open_local(data: &Path) -> Result<(PathBuf, LocalStore), InstallError> {
    let path = folder_at(data)?;
    let local = LocalStore::open(&path.join("local.db"))?;
    Ok((path, local))
}

fn own_row(settings: &Settings, identity: &Identity, role: Role, mesh: &str, web: &str) -> Server {
    Server {
        id: identity.server(),
        name: settings.name.clone(),
        role,
        mesh: mesh.to_owned(),
        web: web.to_owned(),
        key_sha256: identity.key_sha256().to_owned(),
        enrolled: crate::clock::wall(),
        deprovisioned: false,
    }
}

/// Whether the configuration names this server as its primary.
fn is_promoted(store: &SqliteStore, identity: &Identity) -> Result<bool, InstallError> {
    let Some(loaded) = store.load()? else { return Ok(false) };
    let config = Config::from_rows(loaded.rows).unwrap_or_default();
    Ok(config.primary().is_some_and(|row| row.id == identity.server()))
}

/// The rows without which nothing works: this server, the group DEFAULT, an administrator.
fn first_rows(store: &SqliteStore, server: &Server) -> Result<Option<String>, InstallError> {
    let now = crate::clock::wall();
    let group =
        PriorityGroup { id: GroupId::from(DEFAULT_GROUP), name: DEFAULT_GROUP.to_owned(), servers: vec![server.id] };
    let given = std::env::var("ONEALERT_ADMIN_PASSWORD").ok().filter(|password| !password.is_empty());
    let drawn = given.is_none().then(draw_password);
    let password = given.as_ref().or(drawn.as_ref()).expect("given or drawn");
    let admin = User {
        id: UserId::from("admin"),
        name: "Administrator".to_owned(),
        role: UserRole::Admin,
        password_hash: passwords::hash(password),
        active: true,
    };
    let changes = vec![
        Change::put(Table::Servers, &server.id.to_string(), server),
        Change::put(Table::PriorityGroups, DEFAULT_GROUP, &group),
        Change::put(Table::Users, admin.id.as_str(), &admin),
    ];
    let entry =
        AuditEntry { who: "installation".into(), origin: "console".into(), what: "installed this server".into() };
    store.commit(&Commit::new(now, changes).audited(entry))?;
    Ok(drawn)
}

/// A password that is easy to type and hard to guess: 20 letters and digits without those that look alike.
fn draw_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let drawn: [u8; 20] = crate::draw();
    let letters: Vec<char> = drawn.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// What `onealert join` was told.
pub struct JoinWith {
    /// `address:port` of the primary's peer listener.
    pub primary: String,
    /// An administrator's login there.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The site's fingerprint, if it was given.
    pub fingerprint: Option<String>,
}

/// Joins a primary: the data folder holds a secondary after that.
///
/// # Errors
/// The folder is taken, the primary cannot be reached, or it refuses; the text says why and what to do.
pub async fn join(settings: &Settings, with: JoinWith) -> Result<join::Joined, InstallError> {
    let (path, local) = open_local(&settings.data)?;
    let kept = life::kept(&local)?;
    let mut keep_key = false;
    if let Some(me) = local.identity()? {
        let role = kept.role.unwrap_or(Role::Primary);
        let place = Place { role, life: kept.life, primary_heard: true };
        if place.may(Deed::Join).is_err() {
            let role = if role == Role::Primary { "primary" } else { "secondary" }.to_owned();
            return Err(InstallError::Taken { path, role, server: me.server });
        }
        // A primary that was left behind stays the server that it is: the new primary knows its key.
        keep_key = matches!(kept.life, Life::Fenced { .. });
    }
    let joined = join::request(join::JoinRequest {
        dir: path.join("identity"),
        primary: with.primary,
        user: with.user,
        password: with.password,
        name: settings.name.clone(),
        mesh: advertised_mesh(settings, settings.listen.mesh),
        web: advertised_web(settings, settings.listen.https, settings.listen.http),
        versions: product::versions(),
        fingerprint: with.fingerprint,
        keep_key,
    })
    .await?;
    if matches!(kept.life, Life::Inert | Life::Restored) {
        // Nothing of what it was is of use in what it becomes.
        retire::wipe(&path).map_err(|(path, source)| InstallError::Wipe { path, source })?;
        life::keep_wipe(&local, None)?;
    }
    // The configuration that a fenced primary still holds names itself; the generation that fenced it names the other one.
    let generation = match kept.life {
        Life::Fenced { by } => Some(by),
        _ => None,
    };
    let followed = Followed { primary: (&joined.primary).into(), generation };
    life::keep_followed(&local, Some(&followed))?;
    life::keep_role(&local, Role::Secondary)?;
    // Last: from here on the folder counts as a secondary's.
    local.rejoin(joined.server)?;
    life::keep(&local, Life::Active)?;
    Ok(joined)
}

/// Notes of a backup.
const SITE_CERTIFICATE: &str = "site_certificate";
const SITE_KEY: &str = "site_key";
/// In place of the site's key: the key locked with a passphrase.
const LOCKED_KEY: &str = "site_key_locked";
const MADE_AT: &str = "made_at";
const MADE_BY: &str = "made_by";

/// Writes a backup of the configuration, with the site's keys and without anything that says which server this is. With a
/// passphrase the site's key in it is locked, and with it every secret of the configuration.
///
/// # Errors
/// The folder holds no configuration, the passphrase is too short, or the file cannot be written.
pub fn backup(settings: &Settings, file: &Path, passphrase: Option<&str>) -> Result<Position, InstallError> {
    let nothing =
        |path: &Path, reason: &str| InstallError::NotHere { path: path.to_owned(), reason: reason.to_owned() };
    let keys = settings.data.join("identity");
    if !Identity::exists(&keys) {
        return Err(nothing(&settings.data, "no server is installed there"));
    }
    let site = Identity::load(&keys)?.site_keys()?;
    let store = SqliteStore::open(&settings.data.join("config.db"))?;
    let position = store.position()?;
    let position = position.ok_or_else(|| nothing(&settings.data, "it holds no configuration to back up"))?;
    let (name, key) = match passphrase {
        None => (SITE_KEY, site.key),
        Some(short) if short.chars().count() < lock::LEAST => {
            let reason = format!("the passphrase must have at least {} characters; nothing was written", lock::LEAST);
            return Err(nothing(file, &reason));
        }
        Some(passphrase) => {
            let locked = lock::lock(passphrase, LOCKED_KEY, &site.key);
            (LOCKED_KEY, locked.ok_or_else(|| nothing(file, "the site's key could not be locked; repeat it"))?)
        }
    };
    let notes = Notes::from([
        (SITE_CERTIFICATE.to_owned(), site.certificate),
        (name.to_owned(), key),
        (MADE_AT.to_owned(), crate::clock::wall().0.to_string()),
        (MADE_BY.to_owned(), settings.name.clone()),
    ]);
    store.backup(file, &notes)?;
    Ok(position)
}

/// Puts a backup into an empty data folder: a server of the site that is in no configuration and sends nothing until it is
/// promoted.
///
/// # Errors
/// The folder is taken, the file is not a whole backup, or its key is locked and the passphrase does not open it; the text
/// says which.
pub fn restore(settings: &Settings, file: &Path, passphrase: Option<&str>) -> Result<Position, InstallError> {
    let path = folder_at(&settings.data)?;
    let _occupancy = occupancy::occupy(&path)?;
    let local = LocalStore::open(&path.join("local.db"))?;
    let keys = path.join("identity");
    if let Some(me) = local.identity()? {
        let kept = life::kept(&local)?;
        let role = if kept.role == Some(Role::Secondary) { "secondary" } else { "primary" }.to_owned();
        return Err(InstallError::Taken { path, role, server: me.server });
    }
    let damaged = |what, reason: &str| InstallError::Damaged { path: file.to_owned(), what, reason: reason.to_owned() };
    // What a restore that was cut short has left.
    retire::wipe(&path).map_err(|(path, source)| InstallError::Wipe { path, source })?;
    // Said before anything is there, so that a restore that is cut short is not taken for an installation.
    life::keep(&local, Life::Restored)?;
    life::keep_role(&local, Role::Primary)?;
    let notes = SqliteStore::restore(file, &path.join("config.db"))?;
    let note =
        |name: &str| notes.get(name).cloned().ok_or_else(|| damaged("the site's key", "it is not in the backup"));
    let key = match (notes.get(LOCKED_KEY), passphrase) {
        (None, _) => note(SITE_KEY)?,
        (Some(_), None) => {
            return Err(damaged("the site's key", "it is locked; repeat the command with --passphrase"));
        }
        (Some(locked), Some(passphrase)) => lock::unlock(passphrase, LOCKED_KEY, locked)
            .ok_or_else(|| damaged("the site's key", "the passphrase is not the one that the backup was made with"))?,
    };
    let site = SiteKeys { certificate: note(SITE_CERTIFICATE)?, key };
    let server = ServerId(u128::from_be_bytes(crate::draw()));
    let identity = Identity::create_from(&keys, &site, server, std::slice::from_ref(&settings.name))?;
    local.establish(identity.server())?;
    let position = SqliteStore::open(&path.join("config.db"))?.position()?;
    position.ok_or_else(|| damaged("the configuration", "it is empty"))
}

/// What other servers are told of where this one is.
pub fn advertised_mesh(settings: &Settings, bound: SocketAddr) -> String {
    if settings.advertise.mesh.is_empty() { bound.to_string() } else { settings.advertise.mesh.clone() }
}

/// What browsers are told.
pub fn advertised_web(settings: &Settings, https: Option<SocketAddr>, http: Option<SocketAddr>) -> String {
    match (settings.advertise.web.is_empty(), https, http) {
        (false, ..) => settings.advertise.web.trim_end_matches('/').to_owned(),
        (true, Some(address), _) => format!("https://{address}"),
        (true, None, Some(address)) => format!("http://{address}"),
        (true, None, None) => String::new(),
    }
}
