//! The driver's side of the connection: a runtime, a task for each call, and the driver's way back to its host.

use std::{
    any::TypeId,
    collections::BTreeMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    runtime::Runtime,
    sync::{Notify, oneshot},
    task::AbortHandle,
};

use crate::{
    abi::{Emit, Take},
    document::{Call, Description, Event, Failure, Open, Outcome, SettingsCheck, SettingsMigrate, ToDriver, ToHost},
    driver::{Driver, Never},
    host::{Host, HostSide},
    manifest::Manifest,
};

/// How long running calls may take after a `stop`.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// What only running code can tell of a driver, as JSON.
pub(crate) fn describe<D: Driver>(manifest: &str) -> Vec<u8> {
    let manifest: Manifest = serde_json::from_str(manifest).expect("export_plugin writes a manifest of this form");
    let description = Description {
        manifest,
        capabilities: D::CAPABILITIES.iter().map(|word| (*word).to_owned()).collect(),
        settings_schema: schema_of::<D::Settings>(),
        endpoint_schema: schema_of::<D::Endpoint>(),
        trigger_schema: schema_of::<D::Trigger>(),
    };
    serde_json::to_vec(&description).expect("a description is plain data with text keys")
}

fn schema_of<T: JsonSchema + 'static>() -> Value {
    if TypeId::of::<T>() == TypeId::of::<Never>() {
        return Value::Null;
    }
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

/// Opens a driver. The error is a [`Failure`] as JSON.
pub(crate) fn open<D: Driver>(emit: Emit, document: &[u8]) -> Result<Box<dyn Take>, Vec<u8>> {
    open_with::<D>(emit, document).map_err(|failure| serde_json::to_vec(&failure).expect("a failure is plain data"))
}

fn open_with<D: Driver>(emit: Emit, document: &[u8]) -> Result<Box<dyn Take>, Failure> {
    let open: Open = parse("open", serde_json::from_slice(document))?;
    forward_log(&emit);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().thread_name("driver").build();
    let runtime = runtime.map_err(|error| Failure::new("open", format!("the driver's runtime did not start: {error}")))?;
    let back = Arc::new(Back {
        emit,
        state_dir: PathBuf::from(open.state_dir),
        next: AtomicU64::new(1),
        waiting: Mutex::default(),
    });
    let driver = match open.settings {
        None => None,
        Some(settings) => {
            let settings: D::Settings = parse("settings", serde_json::from_value(settings))?;
            let host = Host::new(back.clone());
            let _inside = runtime.enter();
            let opened = catch_unwind(AssertUnwindSafe(|| D::open(host, settings)));
            let opened = opened.map_err(|panic| Failure::new("panicked", format!("plugin panicked: {}", said(&*panic))))?;
            Some(Arc::new(opened?))
        }
    };
    Ok(Box::new(Opened { runtime: Some(runtime), driver, back, running: Arc::default(), idle: Arc::default() }))
}

fn parse<T>(what: &str, parsed: Result<T, serde_json::Error>) -> Result<T, Failure> {
    parsed.map_err(|error| Failure::new("bad_document", format!("{what}: {error}")))
}

/// The text of a panic.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// The driver's way to the worker.
struct Back {
    emit: Emit,
    state_dir: PathBuf,
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Outcome>>>,
}

impl Back {
    fn send(&self, document: &ToHost) {
        self.emit.send(serde_json::to_vec(document).expect("documents are plain data with text keys"));
    }
}

impl HostSide for Back {
    fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    fn event(&self, event: Event) {
        self.send(&ToHost::Event(event));
    }

    fn request(
        &self,
        op: &'static str,
        body: Value,
    ) -> Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send + '_>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, answer);
        self.send(&ToHost::Request { id, op: op.to_owned(), body });
        Box::pin(async move {
            match answered.await {
                Ok(Outcome::Ok(value)) => Ok(value),
                Ok(Outcome::Err(failure)) => Err(failure),
                Err(_) => Err(Failure::new("restarted", "the connection to the server has ended")),
            }
        })
    }
}

/// Calls that run, by id.
type Running = Arc<Mutex<BTreeMap<u64, AbortHandle>>>;

struct Opened<D> {
    runtime: Option<Runtime>,
    driver: Option<Arc<D>>,
    back: Arc<Back>,
    running: Running,
    idle: Arc<Notify>,
}

impl<D: Driver> Take for Opened<D> {
    fn take(&self, document: &[u8]) {
        let Some(runtime) = &self.runtime else { return };
        match serde_json::from_slice::<ToDriver>(document) {
            Ok(ToDriver::Call(call)) => self.start(runtime, call),
            Ok(ToDriver::Answer { id, outcome }) => {
                let waiting = self.back.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                if let Some(answer) = waiting {
                    // Whoever asked may have been cancelled since.
                    let _ = answer.send(outcome);
                }
            }
            Ok(ToDriver::Cancel { id }) => {
                if let Some(call) = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
                    call.abort();
                }
            }
            Ok(ToDriver::Ping { id }) => {
                // Through the driver's own runtime: a driver whose threads are all stuck does not answer.
                let back = self.back.clone();
                runtime.spawn(async move { back.send(&ToHost::Reply { id, outcome: Outcome::Ok(Value::Null) }) });
            }
            Ok(ToDriver::Stop) => {
                let (back, running, idle) = (self.back.clone(), self.running.clone(), self.idle.clone());
                runtime.spawn(async move {
                    let finished = async {
                        loop {
                            let next = idle.notified();
                            if running.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                                return;
                            }
                            next.await;
                        }
                    };
                    let _ = tokio::time::timeout(STOP_WITHIN, finished).await;
                    back.send(&ToHost::Stopped);
                });
            }
            Ok(ToDriver::Other) => tracing::debug!("the server sent a document of a later version"),
            Err(error) => tracing::warn!(%error, "the server sent a document that cannot be read"),
        }
    }
}

impl<D> Opened<D> {
    fn start(&self, runtime: &Runtime, call: Call)
    where
        D: Driver,
    {
        let (id, op, deadline) = (call.id, call.op.clone(), Duration::from_millis(call.deadline_ms));
        // A task of its own inside, so that a panic is caught there and becomes an answer.
        let work = runtime.spawn(run::<D>(self.driver.clone(), call));
        let abort = work.abort_handle();
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id, abort.clone());
        let (back, running, idle) = (self.back.clone(), self.running.clone(), self.idle.clone());
        runtime.spawn(async move {
            let outcome = match tokio::time::timeout(deadline, work).await {
                Ok(Ok(Ok(value))) => Outcome::Ok(value),
                Ok(Ok(Err(failure))) => Outcome::Err(failure),
                Ok(Err(ended)) if ended.is_cancelled() => Outcome::Err(Failure::new("cancelled", format!("{op} was cancelled"))),
                Ok(Err(ended)) => {
                    let panic = ended.into_panic();
                    Outcome::Err(Failure::new("panicked", format!("plugin panicked: {}", said(&*panic))))
                }
                Err(_) => {
                    abort.abort();
                    let text = format!("{op} took longer than {} ms", deadline.as_millis());
                    Outcome::Err(Failure::new("timeout", text))
                }
            };
            running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            back.send(&ToHost::Reply { id, outcome });
            idle.notify_waiters();
        });
    }
}

impl<D> Drop for Opened<D> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Carries out one call.
async fn run<D: Driver>(driver: Option<Arc<D>>, call: Call) -> Result<Value, Failure> {
    let Call { op, body, .. } = call;
    match op.as_str() {
        "settings.check" => {
            let SettingsCheck { settings } = read(&op, body)?;
            let problems = match serde_json::from_value::<D::Settings>(settings) {
                Ok(settings) => D::check(&settings),
                Err(error) => vec![crate::document::Problem { path: String::new(), message: error.to_string() }],
            };
            return write(problems);
        }
        "settings.migrate" => {
            let SettingsMigrate { from, value } = read(&op, body)?;
            return D::migrate(&from, value);
        }
        // For the conformance kit.
        "$echo" => return Ok(body),
        "$panic" => panic!("asked to panic by the conformance kit"),
        _ => {}
    }
    let driver = driver.ok_or_else(|| Failure::new("not_open", format!("{op}: the driver was opened without settings")))?;
    match op.as_str() {
        "desired" => write(driver.desired(read(&op, body)?).await?),
        "prepare" => write(driver.prepare(read(&op, body)?).await?),
        "begin" => write(driver.begin(read(&op, body)?).await?),
        "update" => write(driver.update(read(&op, body)?).await?),
        "end" => write(driver.end(read(&op, body)?).await?),
        "probe" => write(driver.probe(read(&op, body)?).await?),
        "http" => write(driver.http(read(&op, body)?).await?),
        "self_test" => write(driver.self_test().await?),
        other => Err(Failure::new("unsupported", format!("this driver does not know the operation {other}"))),
    }
}

fn read<T: DeserializeOwned>(op: &str, body: Value) -> Result<T, Failure> {
    serde_json::from_value(body).map_err(|error| Failure::new("bad_document", format!("{op}: {error}")))
}

fn write<T: Serialize>(answer: T) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(|error| Failure::new("bad_document", format!("the answer: {error}")))
}

/// Sends what the driver traces to the server's log. Once a library: it has its own tracing.
fn forward_log(emit: &Emit) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        use tracing_subscriber::layer::SubscriberExt;
        let subscriber = tracing_subscriber::registry()
            .with(tracing_subscriber::filter::LevelFilter::DEBUG)
            .with(Forward(emit.clone()));
        // A vendor that set a subscriber of its own keeps it.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

struct Forward(Emit);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Forward {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        // What the runtime and the TLS library say at debug level is not the vendor's.
        let own = !["hyper", "rustls", "tokio", "mio", "h2"].iter().any(|name| event.metadata().target().starts_with(name));
        if !own && *event.metadata().level() > tracing::Level::WARN {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level().as_str().to_lowercase();
        let line = ToHost::Log { level, message: fields.message, fields: fields.others };
        self.0.send(serde_json::to_vec(&line).expect("a log line is plain data with text keys"));
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: BTreeMap<String, Value>,
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => {
                self.others.insert(name.to_owned(), Value::String(format!("{value:?}")));
            }
        }
    }
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => {
                self.others.insert(name.to_owned(), Value::String(value.to_owned()));
            }
        }
    }
    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.others.insert(field.name().to_owned(), value.into());
    }
    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.others.insert(field.name().to_owned(), value.into());
    }
    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}
