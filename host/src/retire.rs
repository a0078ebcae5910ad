//! The end of this server in its installation: it was deprovisioned. From that moment it sends nothing; once the primary has
//! its records it gives up everything that it holds.

use std::{
    fs,
    path::{Path, PathBuf},
};

use onealert_core::{config::Role, life::Life, members};
use onealert_web::needs::State;

use crate::{
    drive::Happened,
    hub::{Hub, SyncState},
    life::{self, Wipe},
};

/// What a server holds beside its identity: databases with their side files, driver files and what drivers keep, reports.
const HELD: [&str; 12] = [
    "config.db",
    "config.db-wal",
    "config.db-shm",
    "activations.db",
    "activations.db-wal",
    "activations.db-shm",
    "history.db",
    "history.db-wal",
    "history.db-shm",
    "driver-store",
    "driver-state",
    "conflicts",
];

/// This server was told that it is deprovisioned, by the primary or by a server that has the primary's word.
pub fn told(hub: &Hub, by: &str) {
    // The loop is told first, and must not wait for this very thread while the disk takes its time.
    tokio::task::block_in_place(|| retire(hub, by));
}

fn retire(hub: &Hub, by: &str) {
    let _retiring = hub.lives.retiring();
    if hub.place().life == Life::Inert {
        return;
    }
    let text = format!("deprovisioned, says {by}: this server sends nothing from here on; to use it again, join it");
    // First of all: what is halted first cannot ring any more, whatever the disk does.
    hub.way.tell(Happened::Retire);
    if let Err(error) = life::keep_wipe(hub.lives.local(), Some(Wipe::Pending)) {
        tracing::error!(%error, "that this server has to give up what it holds could not be kept");
    }
    hub.lives.begin(Life::Inert);
    hub.sync_state.send_replace(SyncState { state: State::Bad, text: text.clone() });
    hub.sync_log.push(State::Bad, "servers", text);
}

/// The licence leaves this server out, by its configuration or by the primary's word.
pub fn unlicensed(hub: &Hub, by: &str) {
    tokio::task::block_in_place(|| leave_out(hub, by));
}

fn leave_out(hub: &Hub, by: &str) {
    let _retiring = hub.lives.retiring();
    if hub.place().life != Life::Active {
        return;
    }
    let text = format!("not licensed, says {by}: this server sends nothing until the licence covers it");
    hub.way.tell(Happened::Retire);
    hub.lives.begin(Life::Unlicensed);
    hub.sync_state.send_replace(SyncState { state: State::Bad, text: text.clone() });
    hub.sync_log.push(State::Bad, "servers", text);
}

/// Another server's configuration says that the licence leaves this one out. Its word counts where this server has no better
/// one: it is not in step with its primary, or is a primary that was left behind and calls nobody.
pub fn turned_away(hub: &Hub, by: &str, again: bool) {
    match hub.place().life {
        Life::Active if hub.place().role == Role::Secondary && hub.sync_state.borrow().state != State::Ok => {
            unlicensed(hub, by);
        }
        Life::Fenced { .. } if !again => {
            let text =
                format!("not licensed, says {by}: this fenced server sends nothing more; join it to the primary");
            hub.way.tell(Happened::Retire);
            hub.sync_log.push(State::Bad, "servers", text);
        }
        _ => {}
    }
}

/// The primary hands its configuration to this server, and by that the licence does not leave it out: it comes into service
/// as at a start.
pub fn licensed(hub: &Hub) {
    tokio::task::block_in_place(|| let_in(hub));
}

fn let_in(hub: &Hub) {
    let _retiring = hub.lives.retiring();
    if hub.place().life == Life::Unlicensed && !members::left_out(&hub.config(), hub.server) {
        // Only kept: until the start this server stays out of service, since its core has retired.
        match life::keep(hub.lives.local(), Life::Active) {
            Ok(()) => hub.sync_log.push(State::Ok, "servers", "licensed again: this server starts anew"),
            Err(error) => {
                tracing::error!(%error, "that this server is licensed again could not be kept; the next contact tries again");
                return;
            }
        }
        hub.lives.start_anew();
    }
}

/// The primary has every record: what is held goes, at the start that follows.
pub fn nothing_left(hub: &Hub) {
    tokio::task::block_in_place(|| give_up(hub));
}

fn give_up(hub: &Hub) {
    let _retiring = hub.lives.retiring();
    let kept = life::kept(hub.lives.local());
    if hub.place().life != Life::Inert || !kept.is_ok_and(|kept| kept.wipe == Some(Wipe::Pending)) {
        return;
    }
    match life::keep_wipe(hub.lives.local(), Some(Wipe::Due)) {
        Ok(()) => {
            tracing::warn!("the primary has every record of this server; it gives up what it holds");
            hub.lives.start_anew();
        }
        Err(error) => {
            tracing::error!(%error, "what this server holds could not be given up; the next contact tries again")
        }
    }
}

/// Removes what a server holds but for its identity. Nothing is open yet.
///
/// # Errors
/// Something could not be removed; the path names it.
pub fn wipe(data: &Path) -> Result<(), (PathBuf, std::io::Error)> {
    for name in HELD {
        let path = data.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err((path, error)),
            _ => {}
        }
    }
    Ok(())
}
