//! What this process tells the C library's allocator, so that memory it no longer needs goes back to the system.
#![allow(unsafe_code)] // one call of the C library, which takes two numbers and keeps no pointer of ours

/// A piece of memory from this size on is taken from the system by itself, and returned to it when it is freed.
const OWN_PIECE_BYTES: i32 = 1 << 20;

/// Must be called before other threads run.
///
/// The allocator of glibc raises its own limit to the size of every large piece that is freed, and keeps pieces below the
/// limit for itself: after the first log-in (argon2id works on 19 MiB) a server would hold those for ever. Other C libraries
/// do no such thing.
pub fn give_back_large_pieces() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` changes numbers of the allocator; no other thread allocates yet.
    let _ = unsafe { nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, OWN_PIECE_BYTES) };
}
