//! Sees when this machine itself stood still: a disk that is busy with something else, or threads that are not run.
//!
//! Servers give each other a part of a second to confirm. An owner whose disk takes longer is rightly replaced, and shows all the
//! same what it had begun. No test can tell that from a fault of the product, except by what the machine did at that moment.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::time::Instant;

/// How often the machine is looked at.
const PAUSE: Duration = Duration::from_millis(50);
/// What takes longer is a standstill: less than servers give each other at the heartbeats of these tests.
const SLOW: Duration = Duration::from_millis(200);

/// From when until when the machine stood still.
pub type Still = (Instant, Instant);

/// Looks until it is dropped.
pub struct Witness {
    seen: Arc<Mutex<Vec<Still>>>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Begins to look, with a file in this folder, which lies on the disk that the servers use.
    pub(crate) fn start(folder: &Path) -> Witness {
        let mut file = File::create(folder.join("witness")).expect("a small file");
        let seen = Arc::<Mutex<Vec<Still>>>::default();
        let told = Arc::downgrade(&seen);
        let thread = thread::spawn(move || {
            while told.strong_count() > 0 {
                // It grows, as the files of the servers do.
                let written = || file.write_all(&[b'.'; 64]).and_then(|()| file.sync_data());
                let stills = [slower(SLOW, written), slower(PAUSE + SLOW, || thread::park_timeout(PAUSE))];
                let Some(seen) = told.upgrade() else { return };
                seen.lock().unwrap_or_else(PoisonError::into_inner).extend(stills.into_iter().flatten());
            }
        });
        Witness { seen, thread: Some(thread) }
    }

    /// What it has seen until this moment.
    pub(crate) fn seen(&self) -> Vec<Still> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.seen = Arc::default();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// When this was done, where it took longer than that.
fn slower<T>(limit: Duration, work: impl FnOnce() -> T) -> Option<Still> {
    let from = Instant::now();
    // A disk that refuses is not slow; the test fails by what it is about.
    let _ = work();
    (from.elapsed() > limit).then(|| (from, Instant::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_seen_and_ordinary_work_is_none() {
        let paused = || thread::park_timeout(Duration::from_millis(20));
        let (from, until) = slower(Duration::from_millis(10), paused).expect("it took 20 ms");
        assert!(until - from >= Duration::from_millis(10));
        assert_eq!(slower(Duration::from_secs(60), paused), None);
    }
}
