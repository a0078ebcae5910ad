//! The author side: runs a [`Driver`] behind the four functions of the binary interface.
//!
//! One tokio runtime with two threads per driver. Each call is a task; a panic in it becomes an error reply. Whatever
//! arrives, exactly one reply leaves for each call.

mod link;
mod log;
mod operation;
mod settings;

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use serde_json::Value;
use tokio::{runtime::Runtime, task::AbortHandle};

use self::{link::Link, operation::Begun};
use crate::{
    document::{Call, Description, Failure, Open, Outcome, ToDriver, ToHost},
    driver::{Driver, Never},
    host::Host,
    manifest::Manifest,
};

/// The way to the worker: takes one document as JSON.
pub(crate) type Emit = Arc<dyn Fn(Vec<u8>) + Send + Sync>;

/// What takes the worker's documents.
pub(crate) trait Take: Send + Sync + 'static {
    /// Must return at once and must not panic.
    fn take(&self, document: &[u8]);
}

/// The answer of `describe`, as JSON; a [`Failure`] if the driver's own types panic while being described.
pub(crate) fn describe<D: Driver>(manifest: &str) -> Vec<u8> {
    let described = catch_unwind(|| {
        let manifest: Manifest = serde_json::from_str(manifest)
            .map_err(|error| Failure::new("bad_manifest", format!("manifest: {error}")))?;
        let description = Description {
            manifest,
            capabilities: D::CAPABILITIES.iter().map(|&word| word.to_owned()).collect(),
            settings_schema: schemars::schema_for!(D::Settings).to_value(),
            endpoint_schema: schema_unless_never::<D::Endpoint>(),
            trigger_schema: schema_unless_never::<D::Trigger>(),
        };
        Ok(serde_json::to_vec(&description).expect("a description is plain data with text keys"))
    });
    let failure = match described {
        Ok(Ok(bytes)) => return bytes,
        Ok(Err(failure)) => failure,
        Err(panic) => panicked(&*panic),
    };
    serde_json::to_vec(&failure).expect("a failure is two texts")
}

fn schema_unless_never<T: schemars::JsonSchema + 'static>() -> Value {
    if std::any::TypeId::of::<T>() == std::any::TypeId::of::<Never>() {
        Value::Null
    } else {
        schemars::schema_for!(T).to_value()
    }
}

/// Opens the driver; the error is a [`Failure`] as JSON.
pub(crate) fn open<D: Driver>(emit: Emit, document: &[u8]) -> Result<Box<dyn Take>, Vec<u8>> {
    let opened = catch_unwind(AssertUnwindSafe(|| Running::<D>::open(emit, document)));
    let failure = match opened {
        Ok(Ok(running)) => return Ok(Box::new(running)),
        Ok(Err(failure)) => failure,
        Err(panic) => panicked(&*panic),
    };
    Err(serde_json::to_vec(&failure).expect("a failure is two texts"))
}

/// A driver at work.
struct Running<D: Driver> {
    shared: Arc<Shared<D>>,
    runtime: Option<Runtime>,
}

/// What the tasks of one driver share.
struct Shared<D: Driver> {
    /// None when opened without settings, only to judge settings.
    driver: Option<Arc<D>>,
    link: Arc<Link>,
    calls: Mutex<Calls>,
    begun: Begun,
}

/// The calls that have no reply yet.
#[derive(Default)]
struct Calls {
    running: HashMap<u64, AbortHandle>,
    stopping: bool,
}

impl<D: Driver> Running<D> {
    fn open(emit: Emit, document: &[u8]) -> Result<Running<D>, Failure> {
        let open: Open = serde_json::from_slice(document)
            .map_err(|error| Failure::new("bad_document", format!("open document: {error}")))?;
        log::forward_to(&emit);
        let link = Arc::new(Link::new(emit, open.state_dir.into()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("driver")
            .enable_all()
            .build()
            .map_err(|error| Failure::new("no_runtime", format!("start the driver's threads: {error}")))?;
        let driver = match open.settings {
            None => None,
            Some(value) => {
                let settings = settings::read::<D>(&value).map_err(|problems| settings::failure(&problems))?;
                let _inside = runtime.enter();
                Some(Arc::new(D::open(Host::new(link.clone()), settings)?))
            }
        };
        let shared = Arc::new(Shared { driver, link, calls: Mutex::default(), begun: Begun::default() });
        Ok(Running { shared, runtime: Some(runtime) })
    }

    fn dispatch(&self, document: ToDriver) {
        match document {
            ToDriver::Call(call) => self.start(call),
            ToDriver::Answer { id, outcome } => self.shared.link.answer(id, outcome),
            ToDriver::Cancel { id } => self.shared.cancel(id),
            ToDriver::Ping { id } => {
                let shared = self.shared.clone();
                // Through the runtime: a driver that blocks both of its threads must miss pings.
                self.runtime().spawn(async move {
                    shared.link.send(&ToHost::Reply { id, outcome: Outcome::Ok(Value::Null) });
                });
            }
            ToDriver::Stop => self.shared.stop(),
            ToDriver::Other => self.shared.link.count_unknown(),
        }
    }

    fn start(&self, call: Call) {
        let id = call.id;
        let deadline = Duration::from_millis(call.deadline_ms);
        let shared = self.shared.clone();
        // Held while spawning, so that the task cannot finish before it is entered.
        let mut calls = self.shared.calls();
        if calls.stopping {
            drop(calls);
            let failure = Failure::new("stopping", "the driver is being stopped");
            self.shared.link.send(&ToHost::Reply { id, outcome: Outcome::Err(failure) });
            return;
        }
        let task = self.runtime().spawn(async move {
            let op = call.op.clone();
            let work = caught(operation::perform(&shared, call));
            let outcome = match tokio::time::timeout(deadline, work).await {
                Ok(Ok(value)) => Outcome::Ok(value),
                Ok(Err(failure)) => Outcome::Err(failure),
                Err(_) => Outcome::Err(Failure::new(
                    "timeout",
                    format!("{op} was not done within {} ms", deadline.as_millis()),
                )),
            };
            shared.finish(id, outcome);
        });
        calls.running.insert(id, task.abort_handle());
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken only while dropping")
    }
}

impl<D: Driver> Take for Running<D> {
    fn take(&self, document: &[u8]) {
        match serde_json::from_slice(document) {
            Ok(document) => {
                // A panic that left here would end the process without a word.
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.dispatch(document))) {
                    self.shared.link.log("error", panicked(&*panic).message);
                }
            }
            Err(error) => {
                self.shared.link.log("warn", format!("a document from the server was not understood: {error}"))
            }
        }
    }
}

impl<D: Driver> Drop for Running<D> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

impl<D: Driver> Shared<D> {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replies, unless a cancel has replied already. The calls are held until the reply has left: the host ends the process
    /// at `Stopped`, and whoever sees that nothing runs any more may send that at once.
    fn finish(&self, id: u64, outcome: Outcome) {
        let mut calls = self.calls();
        if calls.running.remove(&id).is_none() {
            return;
        }
        self.link.send(&ToHost::Reply { id, outcome });
        if calls.stopping && calls.running.is_empty() {
            self.link.send(&ToHost::Stopped);
        }
    }

    fn cancel(&self, id: u64) {
        let task = self.calls().running.get(&id).cloned();
        if let Some(task) = task {
            task.abort();
            self.finish(id, Outcome::Err(Failure::new("cancelled", "the caller no longer waits")));
        }
    }

    fn stop(&self) {
        let mut calls = self.calls();
        if calls.stopping {
            return;
        }
        calls.stopping = true;
        if calls.running.is_empty() {
            self.link.send(&ToHost::Stopped);
        }
    }
}

/// Runs the work and turns a panic in it into a failure.
async fn caught(work: impl Future<Output = Result<Value, Failure>>) -> Result<Value, Failure> {
    let mut work = pin!(work);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(panicked(&*panic))),
    })
    .await
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .map(|&text| text.to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned());
    Failure::new("panicked", format!("plugin panicked: {text}"))
}

#[cfg(test)]
mod tests;
