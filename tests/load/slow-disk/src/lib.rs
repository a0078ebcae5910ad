//! Makes the disk of one process slow: loaded before the C library (`LD_PRELOAD`), it takes the place of `fsync` and
//! `fdatasync`, waits as many milliseconds as the file says that `SLOW_DISK` names, and then syncs for real. The file is read
//! at each call, so that a test makes a disk slow and well again while the server runs.
#![allow(unsafe_code, reason = "a C library's functions can be replaced only by functions of the same name and form")]

use std::{ffi::c_int, thread::sleep, time::Duration};

use nix::libc::{SYS_fdatasync, SYS_fsync, c_long, syscall};

/// # Safety
/// As of the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(file: c_int) -> c_int {
    late(SYS_fsync, file)
}

/// # Safety
/// As of the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(file: c_int) -> c_int {
    late(SYS_fdatasync, file)
}

#[expect(clippy::disallowed_methods, reason = "being slow is its purpose")]
fn late(call: c_long, file: c_int) -> c_int {
    let text = std::env::var_os("SLOW_DISK").and_then(|file| std::fs::read_to_string(file).ok());
    if let Some(ms) = text.and_then(|text| text.trim().parse().ok()) {
        sleep(Duration::from_millis(ms));
    }
    // SAFETY: both calls take a descriptor and nothing else; a wrong one is an error code like any other.
    unsafe { syscall(call, file) as c_int }
}
