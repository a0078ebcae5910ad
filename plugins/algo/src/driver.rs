//! The driver itself: what the server asks, spread over devices, and the answers gathered again.

use std::{collections::HashSet, sync::Arc, time::Duration};

use onealert_plugin_api::{
    capability,
    document::{
        Activation, Delivered, DeliveredState, Desired, End, EndpointStatus, Failure, Health, Prepared, Probe, Problem,
        Target,
    },
    driver::{Driver, Never},
    host::Host,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use crate::{
    deliver::{self, Job},
    fleet::{self, Due, Fleet},
    late,
    plan::Content,
    reason::Reason,
    settings::{Auth, Endpoint, Settings},
    wire::{self, Command},
};

/// Results that are there go out this often while others are waited for.
const EARLY: Duration = Duration::from_millis(100);

/// The driver for Algo devices.
pub struct Algo {
    fleet: Arc<Fleet>,
}

impl Driver for Algo {
    type Settings = Settings;
    type Endpoint = Endpoint;
    type Trigger = Never;

    const CAPABILITIES: &'static [&'static str] = &[
        capability::PREPARE,
        capability::DELIVER,
        capability::UPDATE,
        capability::PROBE,
        capability::SETTINGS_CHECK,
        capability::SELF_TEST,
    ];

    fn open(host: Host, settings: Settings) -> Result<Algo, Failure> {
        if let Some(problem) = settings.problems().into_iter().next() {
            return Err(Failure::new("settings", format!("settings: {}: {}", problem.path, problem.message)));
        }
        Ok(Algo { fleet: Fleet::new(host, &settings) })
    }

    fn check(settings: &Settings) -> Vec<Problem> {
        settings.problems()
    }

    async fn desired(self: Arc<Self>, desired: Desired<Endpoint, Never>) -> Result<(), Failure> {
        self.fleet.look_after(desired.endpoints);
        Ok(())
    }

    async fn prepare(self: Arc<Self>, activation: Activation<Endpoint>) -> Result<Vec<Prepared>, Failure> {
        let (priority, has_audio) = (activation.priority, activation.has_audio);
        let mut prepared = Vec::with_capacity(activation.endpoints.len());
        let mut asked = JoinSet::new();
        for target in activation.endpoints {
            // Nearly all answers are known already and need no task.
            match deliver::prepare_now(&self.fleet, &target.address, priority, has_audio) {
                Some(state) => prepared.push(Prepared { endpoint: target.endpoint, state }),
                None => {
                    asked.spawn(late::prepare(self.fleet.clone(), activation.id.clone(), target, priority));
                }
            }
        }
        prepared.extend(asked.join_all().await);
        Ok(prepared)
    }

    async fn begin(self: Arc<Self>, activation: Activation<Endpoint>) -> Result<Vec<Delivered>, Failure> {
        let run = self.fleet.runs.enter(&activation.id, activation.attempt);
        let content = Arc::new(Content::new(activation.priority, &activation.title, &activation.body));
        let expected: Vec<String> = activation.endpoints.iter().map(|target| target.endpoint.clone()).collect();
        let (sender, results) = mpsc::unbounded_channel();
        for target in activation.endpoints {
            let job = Job {
                activation: activation.id.clone(),
                endpoint: target.endpoint,
                address: target.address,
                content: content.clone(),
                run: run.clone(),
            };
            // On tasks of their own: where the caller stops waiting, a slow device is still told, and its result still goes out.
            tokio::spawn(one(self.fleet.clone(), job, sender.clone()));
        }
        drop(sender);
        Ok(self.gather(&activation.id, &expected, results).await)
    }

    async fn update(self: Arc<Self>, activation: Activation<Endpoint>) -> Result<(), Failure> {
        let Some(run) = self.fleet.runs.get(&activation.id) else { return Ok(()) };
        let content = Arc::new(Content::new(activation.priority, &activation.title, &activation.body));
        let mut tasks = JoinSet::new();
        for target in activation.endpoints {
            let (fleet, name) = (self.fleet.clone(), target.name);
            let job = Job {
                activation: activation.id.clone(),
                endpoint: target.endpoint,
                address: target.address,
                content: content.clone(),
                run: run.clone(),
            };
            tasks.spawn(async move {
                let result = deliver::update(&fleet, &job).await;
                result.err().map(|reason| format!("{}: {reason}", if name.is_empty() { &job.endpoint } else { &name }))
            });
        }
        let failed: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
        if failed.is_empty() { Ok(()) } else { Err(Failure::new("refused", failed.join("; "))) }
    }

    async fn end(self: Arc<Self>, end: End<Endpoint>) -> Result<(), Failure> {
        let news: Vec<Target<Endpoint>> =
            end.endpoints.into_iter().filter(|target| self.fleet.runs.end(&end.id, &target.endpoint)).collect();
        let tasks: Vec<_> = news
            .into_iter()
            .map(|target| {
                let (fleet, activation) = (self.fleet.clone(), end.id.clone());
                // On tasks of their own, for the same reason as in `begin`.
                tokio::spawn(async move { deliver::end(&fleet, &activation, &target).await })
            })
            .collect();
        for task in tasks {
            if let Err(error) = task.await {
                return Err(Failure::new("panicked", format!("ending {}: {error}", end.id)));
            }
        }
        Ok(())
    }

    async fn probe(self: Arc<Self>, probe: Probe<Endpoint>) -> Result<Vec<EndpointStatus>, Failure> {
        let mut tasks = JoinSet::new();
        for target in probe.endpoints {
            let fleet = self.fleet.clone();
            tasks.spawn(async move { look(&fleet, target).await });
        }
        Ok(tasks.join_all().await)
    }

    async fn self_test(self: Arc<Self>) -> Result<(), Failure> {
        // A worked example of the vendor's guide: what is wrong here would be refused by every device.
        let command = Command::get_setting("audio.page.vol");
        let signed = wire::sign(Auth::Standard, "algo", &command, 1_601_312_835, 881_767_496);
        let digest = "c5b349415bce0b9e1b8122829d32fbe0a078791b311c4cf40369c7ab4eb165a8";
        if signed.iter().any(|(_, value)| value.ends_with(digest)) {
            Ok(())
        } else {
            Err(Failure::new("self_test", "requests are not signed as the vendor's example is"))
        }
    }
}

impl Drop for Algo {
    fn drop(&mut self) {
        self.fleet.rest();
    }
}

impl Algo {
    /// Collects the results; those that are there go out while slow devices are waited for. The answer holds all of them, so
    /// that a repeated call gives the same one.
    async fn gather(
        &self,
        activation: &str,
        expected: &[String],
        mut results: mpsc::UnboundedReceiver<Delivered>,
    ) -> Vec<Delivered> {
        let mut all: Vec<Delivered> = Vec::with_capacity(expected.len());
        let mut early = 0;
        let mut tick = tokio::time::interval_at(Instant::now() + EARLY, EARLY);
        loop {
            tokio::select! {
                result = results.recv() => match result {
                    Some(result) => all.push(result),
                    None => break,
                },
                _ = tick.tick() => if early < all.len() {
                    self.fleet.host.delivered(activation, all[early..].to_vec());
                    early = all.len();
                },
            }
        }
        // A task that panicked has said nothing; its endpoint must not stay without an answer.
        let answered: HashSet<&str> = all.iter().map(|delivered| delivered.endpoint.as_str()).collect();
        let silent: Vec<&String> = expected.iter().filter(|endpoint| !answered.contains(endpoint.as_str())).collect();
        let reason = "the driver failed while it told this device; the server's log says more";
        let failed: Vec<Delivered> = silent
            .into_iter()
            .map(|endpoint| Delivered {
                endpoint: endpoint.clone(),
                state: DeliveredState::Failed { reason: reason.to_owned() },
            })
            .collect();
        all.extend(failed);
        all
    }
}

/// Begins at one endpoint, once for each announcement.
async fn one(fleet: Arc<Fleet>, job: Job, results: mpsc::UnboundedSender<Delivered>) {
    let slot = job.run.slot(&job.endpoint);
    let state = slot
        .get_or_init(|| async {
            if job.run.is_over(&job.endpoint) {
                return DeliveredState::Failed { reason: Reason::Over.to_string() };
            }
            deliver::begin(&fleet, &job).await
        })
        .await
        .clone();
    let delivered = Delivered { endpoint: job.endpoint.clone(), state };
    if let Err(unheard) = results.send(delivered) {
        fleet.host.delivered(&job.activation, vec![unheard.0]);
    }
}

/// Looks at one endpoint's device in full.
async fn look(fleet: &Fleet, target: Target<Endpoint>) -> EndpointStatus {
    let status = |health, detail| EndpointStatus { endpoint: target.endpoint.clone(), health, detail };
    let link = match fleet.link(&target.address) {
        Ok(link) => link,
        Err(reason) => return status(Health::Error, reason.to_string()),
    };
    let targets = [target.clone()];
    fleet::round(&link, &targets, &mut Due::default()).await;
    fleet.report(&link, &targets);
    let found = link.device().health(&target.address);
    match found {
        Some((health, detail)) => status(health, detail),
        None => status(Health::Unknown, "the device is busy with an announcement".to_owned()),
    }
}
