//! A delivery that runs, as its task sees it: however the task ends, the core and the other deliveries hear of it.

use std::sync::{Arc, PoisonError};

use onealert_core::{activation::EndpointState, ids::ActivationId};
use tokio::sync::mpsc;

use super::{Order, Tools, Word};
use crate::drive::Happened;

/// What an endpoint's record says when the delivery broke down.
pub(super) const BROKE_DOWN: &str = "a fault in OneAlert ended the delivery; the server's log says more";

/// Dropped at the end of the delivery: what it held is free for others, and the core is told that it ended. One that broke down
/// fails for every endpoint that it had not reached.
pub(super) struct Running {
    tools: Arc<Tools>,
    activation: ActivationId,
    attempt: u32,
    endpoints: u32,
    words: mpsc::UnboundedSender<Word>,
    whole: bool,
}

impl Running {
    pub fn new(tools: Arc<Tools>, order: &Order, words: mpsc::UnboundedSender<Word>) -> Running {
        let activation = order.content.id;
        // A delivery of an earlier attempt that is still ending keeps its own channel; words go to the newer one.
        tools.running.lock().unwrap_or_else(PoisonError::into_inner).insert(activation, words.clone());
        let endpoints = order.content.endpoints.len() as u32;
        Running { tools, activation, attempt: order.attempt, endpoints, words, whole: false }
    }

    /// The delivery came to its end.
    pub fn end(mut self) {
        self.whole = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Running { tools, activation, attempt, .. } = &*self;
        let (activation, attempt) = (*activation, *attempt);
        match (self.whole, std::thread::panicking()) {
            (true, _) => {}
            (false, true) => all_failed(tools, activation, attempt, self.endpoints, BROKE_DOWN),
            // The process ends: what is left belongs to the next server, or to the next start.
            (false, false) => return,
        }
        let mut running = tools.running.lock().unwrap_or_else(PoisonError::into_inner);
        // A delivery of a later attempt may hold the same things by now, and keeps them.
        if running.get(&activation).is_some_and(|current| current.same_channel(&self.words)) {
            running.remove(&activation);
            tools.claims.lock().unwrap_or_else(PoisonError::into_inner).release(activation);
        }
        drop(running);
        let _ = tools.report.send(Happened::DeliveryEnded { activation, attempt });
    }
}

/// Tells the core that nothing came of any endpoint. Those that it knows to be reached stay reached.
pub(super) fn all_failed(tools: &Tools, activation: ActivationId, attempt: u32, endpoints: u32, reason: &str) {
    tracing::error!(%activation, "{reason}");
    let failed = EndpointState::Failed { reason: reason.to_owned() };
    let states = (0..endpoints).map(|index| (index, failed.clone())).collect();
    let _ = tools.report.send(Happened::Progress { activation, attempt, states });
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        net::Ipv4Addr,
        time::{Duration, Instant},
    };

    use onealert_core::{
        activation::Content,
        config::{Audio, OnTakeover, Priority},
        ids::ServerId,
        time::Wall,
    };
    use onealert_drivers::{Config, Drivers, Timings};
    use onealert_media::engine::Interface;
    use onealert_peers::Identity;

    use super::{
        super::{
            Deliveries,
            claims::{Claimed, Holder, Thing},
            run::{Delivery, Step},
        },
        *,
    };
    use crate::{
        payload::{Payload, Target},
        seal::Seal,
        settings::Media,
        sound::{Outlet, Sound},
    };

    const ID: ActivationId = ActivationId(7);

    /// Deliveries of a server without drivers, and what they report.
    fn deliveries(folder: &std::path::Path) -> (Deliveries, mpsc::UnboundedReceiver<Happened>) {
        let identity = Identity::create_primary(folder, ServerId(1), &[]).expect("a site");
        let outlet = Outlet { interface: Interface::Address(Ipv4Addr::LOCALHOST), multicast: None };
        let sound = Sound::start(&Media::default(), outlet, folder).expect("a sender");
        let (drivers, _) = Drivers::start(Config {
            folder: folder.join("drivers"),
            store: folder.join("store"),
            state: folder.join("state"),
            worker: ("/proc/self/exe".into(), Vec::new()),
            timings: Timings::default(),
        })
        .expect("folders");
        let (report, reports) = mpsc::unbounded_channel();
        let seal = Arc::new(Seal::of(&identity).expect("a key"));
        let (name, address) = ("pa-1".to_owned(), "127.0.0.1".to_owned());
        (Deliveries::new(ServerId(1), name, address, drivers, seal, Arc::new(sound), report), reports)
    }

    fn payload() -> Payload {
        let target = |name: &str| Target {
            name: name.to_owned(),
            driver: Some("org.example.absent".into()),
            address: serde_json::json!({}),
        };
        Payload {
            title: "Leave".to_owned(),
            body: String::new(),
            audio: Audio::None,
            repeats: 1,
            hold_seconds: 0,
            cause: "test".to_owned(),
            targets: vec![target("Hall"), target("Lobby")],
        }
    }

    fn order() -> Order {
        let content = Content {
            id: ID,
            key: "event".into(),
            notification: "page".into(),
            name: "Page".to_owned(),
            priority: Priority::Page,
            group: vec![ServerId(1)],
            endpoints: vec!["hall".into(), "lobby".into()],
            needs: Default::default(),
            accepted: Wall(1_000),
            due: None,
            expires: None,
            on_takeover: OnTakeover::Replay,
            payload: serde_json::to_string(&payload()).expect("plain data").into(),
            drill: None,
        };
        let states = vec![EndpointState::Pending; 2];
        Order { attempt: 3, content: Arc::new(content), accepted: Instant::now(), states, listen_first: false }
    }

    /// Every endpoint that failed until the delivery ended, and why.
    async fn failed_until_the_end(reports: &mut mpsc::UnboundedReceiver<Happened>) -> BTreeMap<u32, String> {
        let mut failed = BTreeMap::new();
        let wait = async {
            loop {
                match reports.recv().await.expect("somebody reports") {
                    Happened::Progress { activation: ID, attempt: 3, states } => {
                        for (index, state) in states {
                            let EndpointState::Failed { reason } = state else { panic!("{index}: {state:?}") };
                            failed.insert(index, reason);
                        }
                    }
                    Happened::DeliveryEnded { activation: ID, attempt: 3 } => return,
                    _ => panic!("another report"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it ends");
        failed
    }

    fn is_free(deliveries: &Deliveries, endpoint: &str) -> bool {
        let by = Holder { activation: ActivationId(8), priority: Priority::Bell, name: "Bell".to_owned() };
        let mut claims = deliveries.tools.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.claim(Thing::Endpoint(endpoint.into()), &by) == Claimed::Free
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_delivery_that_panics_ends_fails_for_its_endpoints_and_holds_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (deliveries, mut reports) = deliveries(folder.path());
        deliveries.begin(order(), |tools, order, words| async move {
            let delivery = Delivery::new(tools, order, payload(), words);
            delivery.claim(Thing::Endpoint("hall".into())).expect("it is free");
            panic!("the fault under test");
        });
        let failed = failed_until_the_end(&mut reports).await;
        assert_eq!(failed, BTreeMap::from([0, 1].map(|index| (index, BROKE_DOWN.to_owned()))));
        assert!(is_free(&deliveries, "hall"));
        assert_eq!(deliveries.count(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_delivery_of_which_a_step_panics_is_closed_in_good_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let (deliveries, mut reports) = deliveries(folder.path());
        deliveries.begin(order(), |tools, order, words| {
            let mut delivery = Delivery::new(tools, order, payload(), words);
            // The first endpoint was switched on by a predecessor: closing has something to switch off.
            delivery.order.states[0] = EndpointState::Acked { note: String::new() };
            // An answer about an endpoint that there is not.
            delivery.steps.spawn(async { Step::Prepared("org.example.absent".into(), vec![9], Ok(Vec::new())) });
            delivery.run()
        });
        let failed = failed_until_the_end(&mut reports).await;
        assert_eq!(failed.keys().copied().collect::<Vec<_>>(), [1], "what was reached stays reached");
        assert!(is_free(&deliveries, "hall") && is_free(&deliveries, "lobby"));
        assert_eq!(deliveries.count(), 0);
    }
}
