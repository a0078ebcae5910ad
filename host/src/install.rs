//! The data folder: made by first installation, or by joining a primary; opened at every start.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use onealert_core::{
    config::{Change, DEFAULT_GROUP, PriorityGroup, Role, Server, Table, User, UserRole},
    ids::{EpochId, GroupId, ServerId, UserId},
};
use onealert_peers::{Identity, IdentityError, join};
use onealert_store::{
    ConfigStore, LocalStore, SqliteStore, StoreError,
    change::{AuditEntry, Commit},
    local,
};

use crate::{passwords, product, settings::Settings};

/// Names of this server's own settings beside those that administrators know.
const ROLE: &str = "role";
const PRIMARY: &str = "primary";

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
    /// On a secondary: the primary as it was at joining.
    pub primary: Option<Server>,
    /// The password of the first administrator, when it was drawn at this start.
    pub drawn_password: Option<String>,
}

/// Opens the data folder, or installs a primary into an empty one.
///
/// # Errors
/// A folder or file cannot be made or read; the text names it.
pub fn open(settings: &Settings, mesh: &str, web: &str) -> Result<Folder, InstallError> {
    let (path, local) = open_local(&settings.data)?;
    let keys = path.join("identity");
    let stored = local.settings()?;
    let role = match stored.get(ROLE).map(String::as_str) {
        Some("secondary") => Role::Secondary,
        _ => Role::Primary,
    };
    let store = SqliteStore::open(&path.join("config.db"))?;
    let mut drawn_password = None;
    let identity = if Identity::exists(&keys) {
        Identity::load(&keys)?
    } else {
        let server = local.identity()?.map_or_else(|| ServerId(u128::from_be_bytes(crate::draw())), |me| me.server);
        Identity::create_primary(&keys, server, std::slice::from_ref(&settings.name))?
    };
    let me = local.establish(identity.server())?;
    if role == Role::Primary {
        local.set(ROLE, Some("primary"))?;
        // Each step is done again if an earlier start died before it.
        if store.position()?.is_none() {
            store.install(EpochId(u128::from_be_bytes(crate::draw())))?;
        }
        if store.position()?.is_some_and(|position| position.lsn == 0) {
            drawn_password = first_rows(settings, &store, &identity, mesh, web)?;
        }
    }
    let primary = match stored.get(PRIMARY) {
        None => None,
        Some(text) => Some(serde_json::from_str(text).map_err(|error| InstallError::Damaged {
            path: path.join("local.db"),
            what: "the primary's row",
            reason: error.to_string(),
        })?),
    };
    Ok(Folder { path, local, store, identity, me, role, primary, drawn_password })
}

fn open_local(data: &Path) -> Result<(PathBuf, LocalStore), InstallError> {
    let folder = |path: &Path, source| InstallError::Folder { path: path.to_owned(), source };
    // Keys and password hashes lie in it: nobody else's business.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(|error| folder(data, error))?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).map_err(|error| folder(data, error))?;
    let path = fs::canonicalize(data).map_err(|error| folder(data, error))?;
    let local = LocalStore::open(&path.join("local.db"))?;
    Ok((path, local))
}

/// The rows without which nothing works: this server, the group DEFAULT, an administrator.
fn first_rows(
    settings: &Settings,
    store: &SqliteStore,
    identity: &Identity,
    mesh: &str,
    web: &str,
) -> Result<Option<String>, InstallError> {
    let now = crate::clock::wall();
    let server = Server {
        id: identity.server(),
        name: settings.name.clone(),
        role: Role::Primary,
        mesh: mesh.to_owned(),
        web: web.to_owned(),
        key_sha256: identity.key_sha256().to_owned(),
        enrolled: now,
        deprovisioned: false,
    };
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
        Change::put(Table::Servers, &server.id.to_string(), &server),
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
    if let Some(me) = local.identity()? {
        let role = local.settings()?.get(ROLE).cloned().unwrap_or_else(|| "server".to_owned());
        return Err(InstallError::Taken { path, role, server: me.server });
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
    })
    .await?;
    let row = serde_json::to_string(&joined.primary).expect("a row is plain data with text keys");
    local.set(PRIMARY, Some(&row))?;
    local.set(ROLE, Some("secondary"))?;
    // Last: from here on the folder counts as a secondary's.
    local.establish(joined.server)?;
    Ok(joined)
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
