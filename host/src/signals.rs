//! SIGTERM and SIGINT, heard for as long as the process lives: while a server starts, runs, stops, and while one that starts
//! anew is between what it was and what it becomes.
//!
//! They are never delivered: every thread blocks them, the kernel keeps what has come, and it is read where somebody asks. So
//! nothing can be delivered to a thread that nobody hears any more, and what has not been read when a server starts anew is
//! there for the image that follows, which `exec` gives both the mask and what waits.
//!
//! What this process starts inherits the mask. A driver's worker ends with its server, not before it: whoever asks all the
//! processes of the service to end at once (systemd, Ctrl-C in a terminal) must not take the drivers away from a server that
//! drains. Programs for speech live for a moment and are killed when that is over.

use std::{io, os::fd::AsFd};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use tokio::io::{Interest, unix::AsyncFd};

/// Hears both signals.
pub struct Signals {
    waiting: SignalFd,
}

impl Signals {
    /// Hears from here on, also what waited since the process began. To be called before any other thread is started.
    ///
    /// # Errors
    /// The system lets this process not block signals, or has no handle left.
    pub fn hear() -> io::Result<Signals> {
        let both = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        both.thread_block()?;
        let waiting = SignalFd::with_flags(&both, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { waiting })
    }

    /// Returns, with words for the log, when a signal has come.
    ///
    /// # Errors
    /// They cannot be waited for, or not be read.
    #[allow(unsafe_code)] // tokio cannot see for itself that a handle stays open
    pub async fn asked_to_end(&self) -> io::Result<&'static str> {
        // SAFETY: the handle is borrowed from `self`, which keeps it open, and the same, for longer than this lives.
        let waiting = unsafe { AsyncFd::register_with_interest(self.waiting.as_fd(), Interest::READABLE)? };
        loop {
            let mut ready = waiting.readable().await?;
            if let Some(why) = self.next()? {
                return Ok(why);
            }
            ready.clear_ready();
        }
    }

    /// Whether a signal has come that nobody has read. What comes later is for the image that follows.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn leave(self) -> io::Result<bool> {
        self.next().map(|why| why.is_some())
    }

    fn next(&self) -> io::Result<Option<&'static str>> {
        let signal = self.waiting.read_signal()?;
        Ok(signal.map(|signal| match i32::try_from(signal.ssi_signo).map(Signal::try_from) {
            Ok(Ok(Signal::SIGINT)) => "interrupted",
            _ => "asked to terminate",
        }))
    }
}
