//! What an operator does at a server's console. Each command says in words what it did; an error says what to do.

use std::{path::Path, sync::Arc, time::Duration};

use onealert_core::{ids::Incarnation, life::Place, replicate::Epoch, time::Wall, version::VersionSet};
use onealert_peers::{NotKept, SubscriberHost};
use onealert_store::{ConfigStore, LocalStore, StoreError, local, snapshot::SnapshotHeader};
use onealert_web::needs::{Password, PromoteRequest, State};

use crate::{
    conflict,
    control::{self, Order, Outcome},
    install::{self, JoinWith},
    occupancy, product,
    promote::Candidate,
    settings::Settings,
};

/// How often, and after how long each time, a server that is just starting is asked again.
const LOOKS_FOR_SERVER: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// An administrator's login.
pub struct Login {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
}

fn settings(config: Option<&Path>) -> Result<Settings, String> {
    Settings::load(config).map_err(|error| error.to_string())
}

/// Joins a primary. A server that runs out of service, or fenced, goes on as what it has become.
///
/// # Errors
/// Why not, and what to do.
pub async fn join(
    config: Option<&Path>,
    primary: String,
    login: Login,
    fingerprint: Option<String>,
) -> Result<String, String> {
    let settings = settings(config)?;
    let with = JoinWith { primary, user: login.user, password: login.password, fingerprint };
    let joined = install::join(&settings, with).await.map_err(|error| error.to_string())?;
    let mut lines =
        vec![format!("joined {} ({}) as server {}", joined.primary.name, joined.primary.mesh, joined.server)];
    if !joined.verified {
        lines.push(format!("trusted the site with fingerprint {}", joined.fingerprint));
        lines.push(format!(
            "compare it with the one that the primary prints at its start; if it differs, remove {} and join again with \
             --fingerprint",
            settings.data.display()
        ));
    }
    lines.push(if start_anew(&settings.data).await {
        "the server that runs here starts anew as a secondary".to_owned()
    } else {
        format!("now run: {}", next("run", config))
    });
    Ok(lines.join("\n"))
}

/// Has the server that runs on the folder start anew; one that is just starting is asked when it listens. Says whether one runs.
async fn start_anew(data: &Path) -> bool {
    for _ in 0..LOOKS_FOR_SERVER {
        if control::order(data, &Order::StartAnew).await.is_ok() {
            return true;
        }
        if occupancy::is_free(data) {
            return false;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    false
}

/// Makes this server the primary: the one that runs, or the one that is stopped.
///
/// # Errors
/// Why not, and what to do.
pub async fn promote(
    config: Option<&Path>,
    leave_missing: bool,
    even_though_primary_answers: bool,
    login: Option<Login>,
) -> Result<String, String> {
    let settings = settings(config)?;
    if control::is_running(&settings.data).await {
        let (user, password) = login.map(|login| (login.user, login.password)).unzip();
        let order = Order::Promote { leave_missing, even_though_primary_answers, user, password };
        return ordered(&settings, order).await;
    }
    let mesh = install::advertised_mesh(&settings, settings.listen.mesh);
    let web = install::advertised_web(&settings, settings.listen.https, settings.listen.http);
    if !settings.data.join("identity").exists() {
        return Err(format!(
            "no server is installed in {}; restore a backup first: onealert restore",
            settings.data.display()
        ));
    }
    let folder = install::open(&settings, &mesh, &web).map_err(|error| error.to_string())?;
    let (local, store) = (Arc::new(folder.local), Arc::new(folder.store));
    let host = Offline { settings: settings.clone(), local: local.clone(), store: store.clone(), me: folder.me };
    let candidate = Candidate {
        store,
        local,
        identity: Arc::new(folder.identity),
        me: folder.me,
        place: Place { role: folder.role, life: folder.life, primary_heard: true },
        versions: product::versions(),
        row: folder.own_row,
        host: Arc::new(host),
        heartbeat: Duration::from_millis(settings.timing.heartbeat_ms),
        by: ("console".to_owned(), "console".to_owned()),
    };
    let (user, password) = login.map(|login| (login.user, Password::new(login.password))).unzip();
    let request = PromoteRequest { leave_missing, even_though_primary_answers, user, password };
    let promoted = candidate.promote(request).await.map_err(|error| error.to_string())?;
    Ok(format!("{}\nnow run: {}", promoted.text(), next("run", config)))
}

/// Writes a backup. The server may run.
///
/// # Errors
/// Why not, and what to do.
pub fn backup(config: Option<&Path>, file: &Path, passphrase: Option<&str>) -> Result<String, String> {
    let position = install::backup(&settings(config)?, file, passphrase).map_err(|error| error.to_string())?;
    let key = match passphrase {
        None => "the site's key, which opens every secret in it: keep it safe",
        Some(_) => "the site's key, locked with the passphrase: without that nobody can restore it",
    };
    Ok(format!(
        "{} holds the configuration at change {} of generation {}, and {key}",
        file.display(),
        position.lsn,
        position.epoch
    ))
}

/// Restores a backup into an empty data folder.
///
/// # Errors
/// Why not, and what to do.
pub async fn restore(config: Option<&Path>, file: &Path, passphrase: Option<&str>) -> Result<String, String> {
    let settings = settings(config)?;
    if control::is_running(&settings.data).await {
        return Err(format!("a server runs on {}; stop it first", settings.data.display()));
    }
    let position = install::restore(&settings, file, passphrase).map_err(|error| error.to_string())?;
    Ok(format!(
        "restored change {} of generation {}; this server sends nothing until it is promoted: {} --user admin",
        position.lsn,
        position.epoch,
        next("promote", config)
    ))
}

/// The command to type after this one: for the same server.
fn next(command: &str, config: Option<&Path>) -> String {
    let file = config.map(|file| format!(" --config {}", file.display())).unwrap_or_default();
    format!("onealert {command}{file}")
}

/// The conflict reports of this server.
///
/// # Errors
/// A report cannot be read.
pub fn conflicts(config: Option<&Path>) -> Result<String, String> {
    let list = conflict::list(&settings(config)?.data).map_err(|error| error.to_string())?;
    Ok(match &list[..] {
        [] => "no conflict report on this server".to_owned(),
        some => some.iter().map(conflict::text).collect::<Vec<_>>().join("\n"),
    })
}

/// Gives an order to the server that runs here.
///
/// # Errors
/// None runs, or it refuses.
pub async fn order(config: Option<&Path>, order: Order) -> Result<String, String> {
    ordered(&settings(config)?, order).await
}

/// Gives an order whose outcome is a verdict.
///
/// # Errors
/// None runs, or it refuses.
pub async fn judged(config: Option<&Path>, order: Order) -> Result<(State, String), String> {
    match control::order(&settings(config)?.data, &order).await.map_err(|error| error.to_string())? {
        Outcome::Done(text) => Ok((State::Ok, text)),
        Outcome::Judged { state, text } => Ok((state, text)),
        Outcome::Refused(why) => Err(why),
    }
}

async fn ordered(settings: &Settings, order: Order) -> Result<String, String> {
    match control::order(&settings.data, &order).await.map_err(|error| error.to_string())? {
        Outcome::Done(text) | Outcome::Judged { text, .. } => Ok(text),
        Outcome::Refused(why) => Err(why),
    }
}

/// What a stopped server says of itself while it takes records before its promotion.
struct Offline {
    settings: Settings,
    local: Arc<LocalStore>,
    store: Arc<dyn ConfigStore>,
    me: local::Identity,
}

impl SubscriberHost for Offline {
    fn versions(&self) -> VersionSet {
        product::versions()
    }
    fn newest_lineage(&self) -> Result<Vec<Epoch>, StoreError> {
        self.local.newest_lineage()
    }
    fn incarnation(&self) -> Incarnation {
        self.me.incarnation
    }
    fn now(&self) -> Wall {
        crate::clock::wall()
    }
    fn superseded(&self, shared: u64, by: &SnapshotHeader) -> Result<(), NotKept> {
        let (data, epoch) = (&self.settings.data, by.position.epoch);
        let written = conflict::write(data, self.store.as_ref(), self.me.server, epoch, shared);
        written.map(drop).map_err(|error| NotKept(error.to_string()))
    }
}
