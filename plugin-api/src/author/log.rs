//! Turns the driver's tracing events into log documents.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Once, PoisonError, RwLock},
};

use serde_json::Value;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    layer::{Context, SubscriberExt},
};

use super::Emit;
use crate::document::ToHost;

/// Where events go: the driver opened last. A library holds one driver, and a worker opens it once.
static TO: RwLock<Option<Emit>> = RwLock::new(None);
static INSTALL: Once = Once::new();

/// Sends everything of level `info` and above that the driver traces, as log documents.
pub(super) fn forward_to(emit: &Emit) {
    *TO.write().unwrap_or_else(PoisonError::into_inner) = Some(emit.clone());
    INSTALL.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Forward.with_filter(LevelFilter::INFO));
        // A driver's own test may have installed a subscriber; then its events go there.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

struct Forward;

impl<S: Subscriber> Layer<S> for Forward {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(emit) = TO.read().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let mut seen = Fields::default();
        event.record(&mut seen);
        let document = ToHost::Log { level: word(event.metadata().level()), message: seen.message, fields: seen.rest };
        if let Ok(bytes) = serde_json::to_vec(&document) {
            emit(bytes);
        }
    }
}

fn word(level: &Level) -> String {
    level.as_str().to_ascii_lowercase()
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: BTreeMap<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let value = value.into();
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.rest.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}
