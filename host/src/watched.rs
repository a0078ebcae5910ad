//! The tasks without which a server is not whole. One that breaks down, or ends though the server does not stop, is a fault that
//! nobody would see: without its scheduler a server rings no bells, and all its pages stay green. It is named in the log, and
//! the program is started anew in its place.

use std::time::Duration;

use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
    time::Instant,
};

/// So long the program runs at least before it is started anew for this: a fault that comes with every start must not keep the
/// machine busy with starts.
const LEAST: Duration = Duration::from_secs(10);

/// What becomes of the server when one of its tasks ends.
#[derive(Debug, Clone)]
pub struct Watch {
    restart: watch::Sender<bool>,
    stopping: watch::Sender<bool>,
    not_before: Instant,
}

impl Watch {
    /// A watch that begins with the program, and asks through `restart` that it is started anew.
    pub fn new(restart: watch::Sender<bool>) -> Watch {
        Watch { restart, stopping: watch::Sender::new(false), not_before: Instant::now() + LEAST }
    }

    /// The server stops: its tasks may end.
    pub fn stopping(&self) {
        self.stopping.send_replace(true);
    }

    /// Runs a task that ends when the server stops, and not before.
    pub fn keep(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.spawn(name, true, task)
    }

    /// Runs a task that may come to its end at any time.
    pub fn finish(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.spawn(name, false, task)
    }

    fn spawn(
        &self,
        name: &'static str,
        lasts: bool,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let (watch, task) = (self.clone(), tokio::spawn(task));
        tokio::spawn(async move {
            match task.await {
                Ok(()) if !lasts || *watch.stopping.borrow() => return,
                Ok(()) => tracing::error!(task = name, "a task of this server has ended too early"),
                Err(error) => tracing::error!(task = name, "a task of this server broke down: {}", words(error)),
            }
            let mut stopping = watch.stopping.subscribe();
            tokio::select! {
                () = tokio::time::sleep_until(watch.not_before) => {
                    watch.restart.send_replace(true);
                }
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
        })
    }
}

/// What a panic said.
pub fn words(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => said(panic.as_ref()),
        Err(error) => error.to_string(),
    }
}

/// The text that a panic was raised with.
pub fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex, PoisonError},
    };

    use super::*;

    /// A log that can be read.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
        }
    }

    fn watch() -> (Watch, watch::Receiver<bool>) {
        let restart = watch::Sender::new(false);
        let asked = restart.subscribe();
        (Watch { not_before: Instant::now(), ..Watch::new(restart) }, asked)
    }

    #[tokio::test]
    async fn a_task_that_panics_is_named_in_the_log_and_the_server_is_started_anew() {
        let log = Log::default();
        let written = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        for lasts in [true, false] {
            let (watch, mut asked) = watch();
            let task = async { panic!("the fault under test, {}", 7) };
            let task = if lasts { watch.keep("scheduler", task) } else { watch.finish("opening", task) };
            asked.wait_for(|asked| *asked).await.expect("it is asked for");
            task.await.expect("who watches does not break down");
        }
        let text = log.text();
        for name in ["scheduler", "opening"] {
            let named = |line: &&str| line.contains("ERROR") && line.contains(name);
            let line = text.lines().find(named).unwrap_or_else(|| panic!("{name} is not named: {text}"));
            assert!(line.contains("broke down: the fault under test, 7"), "{line}");
        }
    }

    #[tokio::test]
    async fn a_task_that_ends_too_early_counts_as_broken_and_one_that_ends_with_the_server_does_not() {
        let (watch, asked) = watch();
        watch.finish("opening", async {}).await.expect("it has ended");
        assert!(!*asked.borrow(), "it may end at any time");
        watch.stopping();
        watch.keep("scheduler", async {}).await.expect("it has ended");
        assert!(!*asked.borrow(), "the server stops");
        let (watch, mut asked) = self::watch();
        watch.keep("scheduler", async {});
        asked.wait_for(|asked| *asked).await.expect("it is asked for");
    }

    #[tokio::test]
    async fn a_fault_at_every_start_does_not_start_the_server_again_and_again_and_a_stop_does_not_wait_for_that() {
        let restart = watch::Sender::new(false);
        let watch = Watch::new(restart.clone());
        let task = watch.keep("scheduler", async { panic!("the fault under test") });
        watch.stopping();
        task.await.expect("it ends at once");
        assert!(!*restart.borrow());
    }
}
