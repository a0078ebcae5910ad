//! What this process asks of the system and of the C library before it begins: enough file handles, and an allocator that
//! gives back what it no longer needs.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// A piece of memory from this size on is taken from the system by itself, and returned to it when it is freed.
const OWN_PIECE_BYTES: i32 = 1 << 20;

/// More file handles than this are of no use to a server.
const FILES_WANTED: u64 = 65_536;
/// Handles that connections of browsers may not use: databases, audio, devices, drivers and the other servers need them.
const FILES_KEPT: u64 = 512;

/// Must be called before other threads run.
///
/// The allocator of glibc raises its own limit to the size of every large piece that is freed, and keeps pieces below the
/// limit for itself: after the first log-in (argon2id works on 19 MiB) a server would hold those for ever. Other C libraries
/// do no such thing.
#[allow(unsafe_code)] // one call of the C library, which takes two numbers and keeps no pointer of ours
pub fn give_back_large_pieces() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` changes numbers of the allocator; no other thread allocates yet.
    let _ = unsafe { nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, OWN_PIECE_BYTES) };
}

/// Raises the limit on open files as far as the system lets us; says what holds from here on.
///
/// Many systems begin with 1,024: fewer than the connections that pages accept, so that somebody who only opens connections
/// could keep an alarm from reaching its devices.
pub fn raise_file_limit() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 1024 };
    let wanted = hard.min(FILES_WANTED).max(soft);
    match setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        Ok(()) => wanted,
        Err(error) => {
            tracing::warn!("the limit on open files stays at {soft}: {error}");
            soft
        }
    }
}

/// How many connections pages may hold under this limit on open files.
pub fn connections_within(files: u64, wanted: usize) -> usize {
    let left = files.saturating_sub(FILES_KEPT).max(files / 4);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_handles_for_alarms() {
        assert_eq!(connections_within(65_536, 4096), 4096, "as many as wanted where there is room");
        assert_eq!(connections_within(1024, 4096), 512, "half of the usual small limit");
        assert_eq!(connections_within(256, 4096), 64, "somebody can look even on the smallest system");
    }

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows() {
        let raised = raise_file_limit();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a process has limits");
        assert_eq!((raised, soft), (soft, hard.min(FILES_WANTED).max(soft)));
    }
}
