//! A host for a driver's own tests: no library, no worker, no server.
//!
//! ```
//! # use onealert_plugin_api::{document::TriggerEvent, fake_host::FakeHost};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let fake = FakeHost::new();
//! let host = fake.host(); // goes into `Driver::open`
//! host.trigger(TriggerEvent { trigger: "door".into(), ..TriggerEvent::default() }).await.unwrap();
//! assert_eq!(fake.triggers()[0].trigger, "door");
//! # });
//! ```

use std::{
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    document::{Delivered, EndpointStatus, Event, Failure, Record, TriggerAnswer, TriggerEvent},
    host::{Host, HostSide},
};

/// Answers a trigger event in place of the server.
type Answering = Box<dyn Fn(&TriggerEvent) -> Result<TriggerAnswer, Failure> + Send + Sync>;

/// Stands where the server stands: keeps what the driver says and answers what it asks. Dropping it removes its folder.
pub struct FakeHost {
    fake: Arc<Fake>,
}

struct Fake {
    state_dir: PathBuf,
    seen: Mutex<Seen>,
    answering: Mutex<Answering>,
    changed: Notify,
}

#[derive(Default)]
struct Seen {
    events: Vec<Event>,
    triggers: Vec<TriggerEvent>,
}

impl FakeHost {
    /// A host that takes every trigger event and starts one activation for it.
    ///
    /// # Panics
    /// The system's folder for temporary files cannot be written.
    #[must_use]
    pub fn new() -> FakeHost {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("onealert-fake-host-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let state_dir = std::env::temp_dir().join(name);
        // A process with the same number may have left one behind.
        let _ = std::fs::remove_dir_all(&state_dir);
        std::fs::create_dir_all(&state_dir).expect("the system's folder for temporary files can be written");
        FakeHost {
            fake: Arc::new(Fake {
                state_dir,
                seen: Mutex::default(),
                answering: Mutex::new(Box::new(|event| {
                    Ok(TriggerAnswer {
                        activations: vec![format!("activation-of-{}", event.trigger)],
                        ..Default::default()
                    })
                })),
                changed: Notify::new(),
            }),
        }
    }

    /// What goes into [`Driver::open`](crate::driver::Driver::open).
    #[must_use]
    pub fn host(&self) -> Host {
        Host::new(self.fake.clone())
    }

    /// Lets `answer` decide what becomes of trigger events from here on, for instance to refuse them.
    pub fn answer_triggers(
        &self,
        answer: impl Fn(&TriggerEvent) -> Result<TriggerAnswer, Failure> + Send + Sync + 'static,
    ) {
        *self.fake.answering.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(answer);
    }

    /// The folder that the driver was given.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.fake.state_dir
    }

    /// Every event so far, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.fake.seen().events.clone()
    }

    /// Every trigger event so far, oldest first, refused ones included.
    #[must_use]
    pub fn triggers(&self) -> Vec<TriggerEvent> {
        self.fake.seen().triggers.clone()
    }

    /// Every record so far, oldest first.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let events = self.events().into_iter();
        events.filter_map(|event| if let Event::Record(record) = event { Some(record) } else { None }).collect()
    }

    /// What was last said of an endpoint.
    #[must_use]
    pub fn status_of(&self, endpoint: &str) -> Option<EndpointStatus> {
        self.events().into_iter().rev().find_map(|event| match event {
            Event::EndpointStatus(status) if status.endpoint == endpoint => Some(status),
            _ => None,
        })
    }

    /// Results reported before `begin` returned, oldest first.
    #[must_use]
    pub fn delivered(&self, activation: &str) -> Vec<Delivered> {
        let mut all = Vec::new();
        for event in self.events() {
            if let Event::Delivered { activation: of, results } = event
                && of == activation
            {
                all.extend(results);
            }
        }
        all
    }

    /// Waits until the driver has said enough, without sleeping for a guessed time.
    ///
    /// # Panics
    /// That is not so within ten seconds; the text shows what was said.
    pub async fn until(&self, what: &str, enough: impl Fn(&FakeHost) -> bool) {
        let waiting = async {
            loop {
                // Registered before looking, so that nothing said in between is missed.
                let mut changed = std::pin::pin!(self.fake.changed.notified());
                changed.as_mut().enable();
                if enough(self) {
                    return;
                }
                changed.await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(10), waiting).await.is_ok();
        assert!(
            in_time,
            "waited ten seconds for: {what}; events: {:?}; triggers: {:?}",
            self.events(),
            self.triggers()
        );
    }
}

impl Default for FakeHost {
    fn default() -> FakeHost {
        FakeHost::new()
    }
}

impl Drop for FakeHost {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.fake.state_dir);
    }
}

impl Fake {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, op: &str, body: Value) -> Result<Value, Failure> {
        if op != "trigger" {
            return Err(Failure::new("unsupported", format!("the fake host does not know the request {op}")));
        }
        let event: TriggerEvent =
            serde_json::from_value(body).map_err(|error| Failure::new("bad_document", format!("trigger: {error}")))?;
        let answer = (self.answering.lock().unwrap_or_else(PoisonError::into_inner))(&event);
        self.seen().triggers.push(event);
        self.changed.notify_waiters();
        Ok(serde_json::to_value(answer?).expect("an answer is plain data with text keys"))
    }
}

impl HostSide for Fake {
    fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    fn event(&self, event: Event) {
        self.seen().events.push(event);
        self.changed.notify_waiters();
    }

    fn request(
        &self,
        op: &'static str,
        body: Value,
    ) -> Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send + '_>> {
        Box::pin(async move { self.judge(op, body) })
    }
}
