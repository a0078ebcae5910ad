//! A host for a driver's own tests: the trait is called directly, without a library, a worker or a server.

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    document::{Event, Failure, TriggerAnswer, TriggerEvent},
    host::{Host, HostSide},
};

/// What answers trigger events.
type Answerer = Box<dyn Fn(&TriggerEvent) -> Result<TriggerAnswer, Failure> + Send + Sync>;

/// A host that records what the driver says, and answers its trigger events. Cheap to clone; clones are the same host.
///
/// Without [`FakeHost::answer_triggers`] every trigger event is accepted.
#[derive(Clone)]
pub struct FakeHost {
    inner: Arc<Inner>,
}

struct Inner {
    state_dir: PathBuf,
    events: Mutex<Vec<Event>>,
    triggers: Mutex<Vec<TriggerEvent>>,
    answer: Mutex<Answerer>,
    changed: Notify,
}

impl FakeHost {
    /// A host whose driver keeps its files in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> FakeHost {
        let accept: Answerer = Box::new(|_| Ok(TriggerAnswer::default()));
        FakeHost {
            inner: Arc::new(Inner {
                state_dir: state_dir.into(),
                events: Mutex::default(),
                triggers: Mutex::default(),
                answer: Mutex::new(accept),
                changed: Notify::new(),
            }),
        }
    }

    /// What a driver is opened with.
    pub fn host(&self) -> Host {
        Host::new(self.inner.clone())
    }

    /// Answers trigger events by this function.
    pub fn answer_triggers(
        &self,
        answer: impl Fn(&TriggerEvent) -> Result<TriggerAnswer, Failure> + Send + Sync + 'static,
    ) {
        *self.inner.answer.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(answer);
    }

    /// Everything that the driver reported, in order, but for trigger events.
    pub fn events(&self) -> Vec<Event> {
        self.inner.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every trigger event, in order, the refused ones too.
    pub fn triggers(&self) -> Vec<TriggerEvent> {
        self.inner.triggers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `enough` says so of this host, at most `within`; says whether it did.
    pub async fn wait_for(&self, within: Duration, enough: impl Fn(&FakeHost) -> bool) -> bool {
        let fulfilled = async {
            loop {
                let next = self.inner.changed.notified();
                if enough(self) {
                    return;
                }
                next.await;
            }
        };
        tokio::time::timeout(within, fulfilled).await.is_ok()
    }
}

impl HostSide for Inner {
    fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    fn event(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        self.changed.notify_waiters();
    }

    fn request(
        &self,
        op: &'static str,
        body: Value,
    ) -> Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send + '_>> {
        let answer = match (op, serde_json::from_value::<TriggerEvent>(body)) {
            ("trigger", Ok(event)) => {
                let answer = (self.answer.lock().unwrap_or_else(PoisonError::into_inner))(&event);
                self.triggers.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                self.changed.notify_waiters();
                answer.map(|answer| serde_json::to_value(answer).expect("an answer is plain data"))
            }
            ("trigger", Err(error)) => Err(Failure::new("bad_document", error.to_string())),
            _ => Err(Failure::new("unsupported", format!("the fake host does not know {op}"))),
        };
        Box::pin(std::future::ready(answer))
    }
}
