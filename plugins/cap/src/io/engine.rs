//! What all sources share: the triggers, what is remembered, and the one way by which events reach the server.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http_client::{Client, Options, Trust};
use onealert_plugin_api::{document::Record, host::Host};
use tokio::sync::Notify;

use crate::{
    judge::{Book, Outcome, Rules, Trigger, Verdict},
    settings::{Settings, TriggerSettings},
    source::Source,
    state,
    wire::Message,
};

/// Says what time it is, in milliseconds since 1970 UTC.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How fast the driver works. Tests go faster.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a second of a poll interval lasts.
    pub poll_second: Duration,
    /// A folder is looked through this often even when nobody says that it changed.
    pub rescan: Duration,
    /// A file that cannot be read is taken for half written for so long after its last change.
    pub settle: Duration,
    /// How often time is asked what it brings, and events that the server did not take are offered again.
    pub tick: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            poll_second: Duration::from_secs(1),
            rescan: Duration::from_secs(30),
            settle: Duration::from_secs(2),
            tick: Duration::from_secs(1),
        }
    }
}

/// A trigger with its sources.
struct Watched {
    trigger: Arc<Trigger>,
    sources: Vec<Source>,
}

/// What all sources share.
pub struct Engine {
    /// The server.
    pub host: Host,
    /// The driver's settings.
    pub settings: Settings,
    /// For feeds.
    pub client: Client,
    /// The time.
    pub clock: Clock,
    /// The pace.
    pub pace: Pace,
    triggers: Mutex<Arc<Vec<Watched>>>,
    /// Counts the changes of the triggers: a feed that has not changed must be judged by a trigger that has.
    generation: AtomicU64,
    /// Wakes every source when the triggers changed.
    pub changed: Notify,
    book: Mutex<Book>,
    saving: tokio::sync::Mutex<()>,
    sending: tokio::sync::Mutex<()>,
    folder: PathBuf,
}

impl Engine {
    /// With what was remembered at the last stop.
    pub fn open(host: Host, settings: Settings, clock: Clock, pace: Pace) -> Engine {
        let folder = host.state_dir().to_owned();
        let (book, aside) = state::load(&folder, clock());
        if let Some(aside) = aside {
            let reason = format!(
                "what was remembered of earlier alerts could not be read; it is kept as {}. Alerts that are in force may be \
                 offered again; the server knows which of them it has sent",
                aside.display()
            );
            host.record(Record { subject: "memory".to_owned(), trigger: None, verdict: "lost".to_owned(), reason });
        }
        let trust = if settings.allow_self_signed { Trust::Anybody } else { Trust::System };
        let client = Client::new(Options { trust, ..Options::default() });
        Engine {
            host,
            settings,
            client,
            clock,
            pace,
            triggers: Mutex::default(),
            generation: AtomicU64::new(0),
            changed: Notify::new(),
            book: Mutex::new(book),
            saving: tokio::sync::Mutex::default(),
            sending: tokio::sync::Mutex::default(),
            folder,
        }
    }

    /// What is remembered. Never held across an await.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    fn watched(&self) -> Arc<Vec<Watched>> {
        self.triggers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the triggers have changed.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Takes the whole list of triggers. Gives every source that is asked for.
    pub async fn set_triggers(&self, list: Vec<(String, TriggerSettings)>) -> HashSet<Source> {
        let watched: Vec<Watched> = list
            .into_iter()
            .map(|(key, settings)| {
                let sources = settings.sources();
                if sources.is_empty() {
                    let reason = "it names no folder, no address and does not take posted alerts: it can never fire";
                    self.note(&key, &key, "idle", reason);
                }
                let rules = Rules::new(settings, &self.settings.test_codes);
                Watched { trigger: Arc::new(Trigger { key, rules }), sources }
            })
            .collect();
        let sources = watched.iter().flat_map(|it| it.sources.iter().cloned()).collect();
        let triggers: Vec<Arc<Trigger>> = watched.iter().map(|it| it.trigger.clone()).collect();
        self.book().set_triggers(&triggers);
        *self.triggers.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(watched);
        self.generation.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
        self.save().await;
        sources
    }

    /// The triggers of a source.
    pub fn triggers_of(&self, source: &Source) -> Vec<Arc<Trigger>> {
        self.watched().iter().filter(|it| it.sources.contains(source)).map(|it| it.trigger.clone()).collect()
    }

    /// A trigger by its key.
    pub fn trigger(&self, key: &str) -> Option<Arc<Trigger>> {
        self.watched().iter().find(|it| it.trigger.key == key).map(|it| it.trigger.clone())
    }

    /// Judges messages of one source, keeps what came of it, records every verdict and offers the events to the server.
    /// `also` is done to what is remembered in the same breath.
    pub async fn take(
        &self,
        source: &Source,
        messages: &[Message],
        say_all: bool,
        also: impl FnOnce(&mut Book),
    ) -> Vec<Verdict> {
        let triggers = self.triggers_of(source);
        let verdicts = {
            let mut book = self.book();
            let verdicts = book.take(messages, &triggers, self.now(), say_all);
            also(&mut book);
            verdicts
        };
        // On the disk before anybody is told that it was taken.
        self.save().await;
        verdicts.iter().for_each(|verdict| self.record(verdict));
        self.deliver().await;
        verdicts
    }

    /// Offers events to the server, oldest first; one that is not taken holds back the later ones of its trigger only.
    pub async fn deliver(&self) {
        let _turn = self.sending.lock().await;
        let mut refused: HashSet<String> = HashSet::new();
        loop {
            let next = self.book().outbox.iter().find(|it| !refused.contains(&it.event.trigger)).cloned();
            let Some(next) = next else { break };
            let answer = self.host.trigger(next.event.clone()).await;
            let mut book = self.book();
            let same =
                |it: &crate::judge::Outgoing| it.event.key == next.event.key && it.event.trigger == next.event.trigger;
            let Some(index) = book.outbox.iter().position(same) else { continue };
            book.changed = true;
            match answer {
                Ok(answer) => {
                    book.outbox.remove(index);
                    tracing::info!(
                        trigger = next.event.trigger,
                        key = next.event.key,
                        activations = answer.activations.len(),
                        duplicate = answer.duplicate,
                        "alert taken by the server"
                    );
                }
                Err(failure) => {
                    book.outbox[index].tries += 1;
                    let first = book.outbox[index].tries == 1;
                    drop(book);
                    if first {
                        let reason = format!("the server did not take it yet, it is offered again: {failure}");
                        self.note(&next.subject, &next.event.trigger, Outcome::Waiting.word(), &reason);
                    }
                    refused.insert(next.event.trigger);
                }
            }
        }
        self.save().await;
    }

    /// Runs what time brings, for ever.
    pub async fn keep_time(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.pace.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tick().await;
        }
    }

    /// What time brings, once.
    pub async fn tick(&self) {
        let triggers: Vec<Arc<Trigger>> = self.watched().iter().map(|it| it.trigger.clone()).collect();
        let (verdicts, waiting) = {
            let mut book = self.book();
            let verdicts = book.tick(&triggers, self.now());
            (verdicts, !book.outbox.is_empty())
        };
        self.save().await;
        verdicts.iter().for_each(|verdict| self.record(verdict));
        if waiting {
            self.deliver().await;
        }
    }

    /// Puts what is remembered on the disk if it changed.
    pub async fn save(&self) {
        let _turn = self.saving.lock().await;
        let bytes = {
            let mut book = self.book();
            if !std::mem::take(&mut book.changed) {
                return;
            }
            serde_json::to_vec(&*book).expect("what is remembered is plain data with text keys")
        };
        let folder = self.folder.clone();
        let written = tokio::task::spawn_blocking(move || state::save(&folder, &bytes)).await;
        let error = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.book().changed = true;
        tracing::error!(error, folder = %self.folder.display(), "what is remembered of alerts cannot be saved");
    }

    /// Records a verdict.
    pub fn record(&self, verdict: &Verdict) {
        const SHOWN: usize = 5;
        let mut reason = verdict.reason.clone();
        if !verdict.problems.is_empty() {
            reason.push_str(". Problems: ");
            reason.push_str(&verdict.problems[..verdict.problems.len().min(SHOWN)].join("; "));
            if verdict.problems.len() > SHOWN {
                reason.push_str(&format!("; and {} more", verdict.problems.len() - SHOWN));
            }
        }
        self.host.record(Record {
            subject: verdict.subject.clone(),
            trigger: verdict.trigger.clone(),
            verdict: verdict.outcome.word().to_owned(),
            reason,
        });
    }

    /// Records something else about a trigger.
    pub fn note(&self, subject: &str, trigger: &str, verdict: &str, reason: &str) {
        self.host.record(Record {
            subject: subject.to_owned(),
            trigger: Some(trigger.to_owned()),
            verdict: verdict.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Records something about a source, once for each of its triggers.
    pub fn note_source(&self, source: &Source, verdict: &str, reason: &str) {
        let subject = source.to_string();
        for trigger in self.triggers_of(source) {
            self.note(&subject, &trigger.key, verdict, reason);
        }
    }
}
