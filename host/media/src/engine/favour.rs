//! A place before others on the processor for the sender's thread: real time where allowed, else a better nice value.

use std::process::{Command, Stdio};

use rustix::process::{Pid, setpriority_process};

/// Real-time priority: above everything ordinary, below the kernel's own threads.
const FIFO_PRIORITY: &str = "20";
const NICE: i32 = -10;

/// Improves the scheduling of a thread of this process as far as the system allows, and says in the log how far that is.
pub(super) fn favour(thread: i32) {
    // The system call has no safe wrapper; util-linux, present on every Debian, has a program for it.
    let fifo = Command::new("chrt")
        .args(["--fifo", "--pid", FIFO_PRIORITY, &thread.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if fifo.is_ok_and(|status| status.success()) {
        tracing::info!("the audio sender runs with real-time priority");
    } else if setpriority_process(Pid::from_raw(thread), NICE).is_ok() {
        tracing::info!(
            "the audio sender runs with nice {NICE}; real-time priority was refused (LimitRTPRIO in the unit allows it)"
        );
    } else {
        tracing::warn!(
            "the audio sender runs with ordinary priority: audio may stutter when this machine is busy; \
             allow LimitRTPRIO=20 or LimitNICE=-10 in the unit"
        );
    }
}
