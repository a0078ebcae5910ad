//! SIGTERM and SIGINT, heard for as long as the process lives: while a server starts, runs, stops, and while one that starts
//! anew is between what it was and what it becomes.
//!
//! They are heard by a thread of their own, because the server's runtime ends before the process does. What comes once that
//! thread has ended waits in the kernel: it is blocked then, and stays so through `exec` until the next image hears.

use std::{sync::mpsc, thread, time::Duration};

use nix::sys::signal::{SigSet, Signal};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};

/// How long the thread that hears looks for what came just before it was told to leave.
const LAST_TURN: Duration = Duration::from_millis(20);

/// Hears both signals.
pub struct Signals {
    heard: watch::Receiver<Option<&'static str>>,
    leave: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

fn both() -> SigSet {
    SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT])
}

impl Signals {
    /// Hears from here on, also what waited since the process began. To be called before any other thread is started.
    ///
    /// # Errors
    /// The system gives no thread, or no way to hear signals.
    pub fn hear() -> std::io::Result<Signals> {
        let (tell, heard) = watch::channel(None);
        let (leave, left) = oneshot::channel();
        let (ready, begun) = mpsc::channel();
        let thread = thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let listening = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                let within = runtime.enter();
                let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
                drop(within);
                Ok((runtime, signals))
            });
            let (runtime, (mut terminate, mut interrupt)) = match listening {
                Ok(listening) => listening,
                Err(error) => return drop(ready.send(Err(error))),
            };
            let _ = ready.send(both().thread_unblock().map_err(std::io::Error::from));
            runtime.block_on(async {
                let mut left = left;
                let mut leaving = false;
                loop {
                    let why = tokio::select! {
                        _ = terminate.recv() => "asked to terminate",
                        _ = interrupt.recv() => "interrupted",
                        _ = &mut left, if !leaving => {
                            let _ = both().thread_block();
                            leaving = true;
                            continue;
                        }
                        // What was delivered before it was blocked is told within a turn.
                        () = tokio::time::sleep(LAST_TURN), if leaving => return,
                    };
                    tell.send_replace(Some(why));
                }
            });
        })?;
        begun.recv().unwrap_or_else(|_| Err(std::io::Error::other("the thread that hears signals has ended")))?;
        // The image before this one may have left them blocked; whatever this process starts must not inherit that.
        both().thread_unblock()?;
        Ok(Signals { heard, leave, thread })
    }

    /// Returns, with words for the log, when a signal has come.
    pub async fn asked_to_end(&self) -> &'static str {
        let mut heard = self.heard.clone();
        // The thread lives as long as this: the wait ends by a signal only.
        match heard.wait_for(Option::is_some).await.map(|heard| *heard) {
            Ok(Some(why)) => why,
            _ => std::future::pending().await,
        }
    }

    /// Leaves signals to the image that follows, and says whether one has come to this. No other thread may run any more: a
    /// signal would be delivered to it and lost.
    pub fn leave(self) -> bool {
        let Signals { heard, leave, thread } = self;
        // Blocked here first: from then on only the thread that hears can be given one, until it is blocked there too.
        let blocked = both().thread_block();
        let _ = leave.send(());
        let ended = thread.join();
        if blocked.is_err() || ended.is_err() {
            tracing::error!("signals that come while this server starts anew may be lost");
        }
        heard.borrow().is_some()
    }
}
