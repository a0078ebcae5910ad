//! One process at a time works in a data folder: a server, or a command on the files of a server that is stopped. Two with one
//! identity would each accept and send what belongs to one.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long it is waited for the other process: one that has just died may have left the lock to a child that has not begun its
/// own program yet.
const WITHIN: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_millis(50);

/// Another process works in the folder.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: another OneAlert process works in this folder: a server that runs or is starting, or a command; wait for it, \
     stop it, or choose another data folder",
    folder.display()
)]
pub struct Occupied {
    folder: PathBuf,
}

/// The folder is this process's until this is dropped.
#[derive(Debug)]
pub struct Occupancy(#[expect(dead_code, reason = "held, so that the lock is")] Option<File>);

/// Occupies a folder; waits for some seconds where somebody else has it.
///
/// # Errors
/// Somebody else keeps it.
pub fn occupy(folder: &Path) -> Result<Occupancy, Occupied> {
    occupy_within(folder, WITHIN)
}

/// Whether no process works in the folder.
pub fn is_free(folder: &Path) -> bool {
    occupy_within(folder, Duration::ZERO).is_ok()
}

#[expect(clippy::disallowed_methods, reason = "files are opened on a thread that may wait")]
fn occupy_within(folder: &Path, within: Duration) -> Result<Occupancy, Occupied> {
    let file = match OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock")) {
        Ok(file) => file,
        Err(error) => return Ok(without(folder, &error)),
    };
    let until = Instant::now() + within;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Occupancy(Some(file))),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(Occupied { folder: folder.to_owned() });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(BETWEEN),
            Err(TryLockError::Error(error)) => return Ok(without(folder, &error)),
        }
    }
}

/// A disk that takes nothing, or knows no locks, must not keep a server from sending.
fn without(folder: &Path, error: &io::Error) -> Occupancy {
    tracing::warn!(folder = %folder.display(), %error, "the data folder cannot be locked against a second server");
    Occupancy(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_process_s_until_that_lets_it_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = occupy(folder.path()).expect("nobody is there");
        let refused = occupy_within(folder.path(), Duration::ZERO).expect_err("somebody is").to_string();
        assert!(refused.starts_with(&folder.path().display().to_string()), "{refused}");
        assert!(refused.contains("another OneAlert process works in this folder"), "{refused}");
        drop(first);
        occupy_within(folder.path(), Duration::ZERO).expect("it is free again");
    }

    #[test]
    fn where_no_lock_can_be_had_a_server_starts_all_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("lock")).expect("in the way");
        occupy(folder.path()).expect("it goes on without");
    }
}
