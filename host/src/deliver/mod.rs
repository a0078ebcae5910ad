//! Deliveries that this server runs: starts one when the core says so, and lets it be halted. What one does is in `run`.

mod ask;
pub mod claims;
mod prepare;
mod results;
mod run;
mod running;
mod times;
mod voice;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use onealert_core::{
    activation::{Content, EndpointState},
    effect::HaltReason,
    ids::{ActivationId, ServerId},
};
use onealert_drivers::Drivers;
use onealert_plugin_api::document::{Delivered, Prepared};
use tokio::sync::mpsc;

use crate::{drive::Happened, payload::Payload, seal::Seal, sound::Sound};
use claims::Claims;
use running::{Running, all_failed};
pub use times::Times;

/// How the reason of an endpoint begins that a more urgent notification took away.
pub const INTERRUPTED: &str = "interrupted by";

/// What a running delivery is told.
#[derive(Debug)]
pub(crate) enum Word {
    /// End it.
    Halt(HaltReason),
    /// A driver reports results before its call returns.
    Results(Vec<Delivered>),
    /// A driver says of endpoints that were not ready in time how they are.
    Prepared(Vec<Prepared>),
    /// A more urgent activation took this from it.
    Lost(claims::Thing, String),
}

/// What the core asked to be delivered.
pub struct Order {
    /// Which attempt.
    pub attempt: u32,
    /// What is sent.
    pub content: Arc<Content>,
    /// When it was accepted, as far as this server knows by its own clock.
    pub accepted: Instant,
    /// What is known of each endpoint.
    pub states: Vec<EndpointState>,
    /// Another server might be sending the same audio.
    pub listen_first: bool,
}

/// What every delivery needs.
pub(crate) struct Tools {
    pub server: ServerId,
    /// Changes when an administrator renames this server.
    pub server_name: Mutex<String>,
    pub server_address: String,
    pub drivers: Drivers,
    pub seal: Arc<Seal>,
    pub sound: Arc<Sound>,
    pub report: mpsc::UnboundedSender<Happened>,
    pub claims: Mutex<Claims>,
    pub times: Times,
    pub running: Mutex<BTreeMap<ActivationId, mpsc::UnboundedSender<Word>>>,
}

impl Tools {
    /// This server's display name at present.
    pub fn server_name(&self) -> String {
        self.server_name.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells a running delivery something; one that has ended no longer cares.
    pub fn tell(&self, activation: ActivationId, word: Word) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(delivery) = running.get(&activation) {
            let _ = delivery.send(word);
        }
    }
}

/// The deliveries that this server runs. Cheap to clone.
#[derive(Clone)]
pub struct Deliveries {
    tools: Arc<Tools>,
}

impl Deliveries {
    /// No deliveries yet. They report to the loop through `report`.
    pub fn new(
        server: ServerId,
        server_name: String,
        server_address: String,
        drivers: Drivers,
        seal: Arc<Seal>,
        sound: Arc<Sound>,
        report: mpsc::UnboundedSender<Happened>,
    ) -> Deliveries {
        let (claims, times, running) = Default::default();
        let server_name = Mutex::new(server_name);
        let tools = Tools { server, server_name, server_address, drivers, seal, sound, report, claims, times, running };
        Deliveries { tools: Arc::new(tools) }
    }

    /// Starts a delivery.
    pub fn start(&self, order: Order) {
        self.begin(order, |tools, order, words| async move {
            match serde_json::from_str::<Payload>(&order.content.payload) {
                Ok(payload) => run::Delivery::new(tools, order, payload, words).run().await,
                Err(error) => {
                    let reason = format!("the activation's content cannot be read: {error}");
                    let endpoints = order.content.endpoints.len() as u32;
                    all_failed(&tools, order.content.id, order.attempt, endpoints, &reason);
                }
            }
        });
    }

    /// Runs what delivers an order, and sees to its end.
    fn begin<F>(&self, order: Order, deliver: impl FnOnce(Arc<Tools>, Order, mpsc::UnboundedReceiver<Word>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, words) = mpsc::unbounded_channel();
        let running = Running::new(self.tools.clone(), &order, sender);
        let delivery = deliver(self.tools.clone(), order, words);
        tokio::spawn(async move {
            delivery.await;
            running.end();
        });
    }

    /// Has the sound of what is to come rendered, so that it lies ready. Blocks: speech takes a moment.
    ///
    /// # Errors
    /// The sound cannot be made; the text says why.
    pub fn warm(&self, content: &Content) -> Result<(), String> {
        let payload = serde_json::from_str::<Payload>(&content.payload).map_err(|error| error.to_string())?;
        self.tools.sound.render(&payload).map(drop)
    }

    /// Ends a delivery.
    pub fn halt(&self, activation: ActivationId, reason: HaltReason) {
        self.tools.tell(activation, Word::Halt(reason));
    }

    /// Hands a driver's early results to the delivery they belong to.
    pub fn results(&self, activation: ActivationId, results: Vec<Delivered>) {
        self.tools.tell(activation, Word::Results(results));
    }

    /// This server is called otherwise: what is sent from here on says so.
    pub fn rename(&self, name: &str) {
        name.clone_into(&mut self.tools.server_name.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Hands on what a driver says of endpoints that were not ready in time.
    pub fn prepared(&self, activation: ActivationId, prepared: Vec<Prepared>) {
        self.tools.tell(activation, Word::Prepared(prepared));
    }

    /// How long after acceptance the endpoints of an activation had their results, by index, as far as this server knows.
    pub fn after_ms(&self, activation: ActivationId, endpoints: usize) -> Vec<Option<u64>> {
        self.tools.times.of(activation, endpoints)
    }

    /// How many run.
    pub fn count(&self) -> usize {
        self.tools.running.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
