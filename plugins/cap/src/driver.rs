//! The driver as the server sees it: sources started and stopped as the triggers ask for them, posts answered.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use onealert_plugin_api::{
    capability,
    document::{Desired, Failure, HttpRequest, HttpResponse, Problem},
    driver::{Driver, Never},
    host::Host,
};
use tokio::task::AbortHandle;

use crate::{
    io::{self, Clock, Engine, Pace},
    judge::{Outcome, explain},
    samples,
    settings::{Settings, TriggerSettings},
    source::Source,
};

/// The driver.
pub struct Cap {
    engine: Arc<Engine>,
    tasks: Mutex<HashMap<Source, AbortHandle>>,
    time: AbortHandle,
}

impl Cap {
    /// With a clock and a pace of the caller's, for tests.
    pub fn open_with(host: Host, settings: Settings, clock: Clock, pace: Pace) -> Cap {
        let engine = Arc::new(Engine::open(host, settings, clock, pace));
        let time = tokio::spawn(engine.clone().keep_time()).abort_handle();
        Cap { engine, tasks: Mutex::default(), time }
    }
}

impl Drop for Cap {
    fn drop(&mut self) {
        self.time.abort();
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(AbortHandle::abort);
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver asks here")]
fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

impl Driver for Cap {
    type Settings = Settings;
    type Endpoint = Never;
    type Trigger = TriggerSettings;
    const CAPABILITIES: &'static [&'static str] =
        &[capability::WATCH, capability::HTTP, capability::SETTINGS_CHECK, capability::SELF_TEST];

    fn open(host: Host, settings: Settings) -> Result<Cap, Failure> {
        Ok(Cap::open_with(host, settings, system_clock(), Pace::default()))
    }

    async fn desired(self: Arc<Self>, desired: Desired<Never, TriggerSettings>) -> Result<(), Failure> {
        let list = desired.triggers.into_iter().map(|watch| (watch.trigger, watch.settings)).collect();
        let sources = self.engine.set_triggers(list).await;
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|source, task| {
            let stays = sources.contains(source) && !task.is_finished();
            if !stays {
                task.abort();
            }
            stays
        });
        for source in sources {
            let engine = self.engine.clone();
            match &source {
                Source::Folder(folder) => {
                    let folder = folder.clone();
                    tasks.entry(source).or_insert_with(|| tokio::spawn(io::watch(engine, folder)).abort_handle());
                }
                Source::Address(address) => {
                    let address = address.clone();
                    tasks.entry(source).or_insert_with(|| tokio::spawn(io::poll(engine, address)).abort_handle());
                }
                Source::Posted => {}
            }
        }
        Ok(())
    }

    async fn http(self: Arc<Self>, request: HttpRequest) -> Result<HttpResponse, Failure> {
        Ok(io::answer(&self.engine, &request).await)
    }

    fn check(settings: &Settings) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |path: &str, message: &str| {
            problems.push(Problem { path: path.to_owned(), message: message.to_owned() });
        };
        if !settings.contact.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            add("/contact", "must be plain letters, such as a mail address: it is sent in a header");
        }
        if !settings.post_token.is_empty() && settings.post_token.len() < 16 {
            add("/post_token", "must have at least 16 characters");
        }
        if settings.post_token.trim() != settings.post_token {
            add("/post_token", "must not begin or end with a space");
        }
        if settings.link_hosts.iter().any(|host| host.contains('/')) {
            add("/link_hosts", "must be host names such as alerts.example.org, without https://");
        }
        problems
    }

    async fn self_test(self: Arc<Self>) -> Result<(), Failure> {
        let now_ms = self.engine.now();
        let verdicts = explain(samples::warning(1, now_ms).as_bytes(), &TriggerSettings::default(), now_ms);
        match verdicts.first() {
            Some(verdict) if verdict.outcome == Outcome::Fired => Ok(()),
            other => Err(Failure::new("self_test", format!("a tornado warning of our own does not fire: {other:?}"))),
        }
    }
}
