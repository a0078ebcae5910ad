//! Drills: failovers rehearsed with activations that cannot be delivered, timed, and reported.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use onealert_core::{
    activation::Content,
    config::{Behaviour, Config, Notification},
    effect::Rehearsed,
    ids::{ActivationId, DriverId, EndpointId, EventKey, ServerId},
    plan::{Circumstances, Plan, Sender},
    time::Span,
    version::DriverVersion,
};
use onealert_web::needs::{DrillCase, DrillDriver, DrillReport, State};
use tokio::sync::mpsc;

use crate::{
    bells,
    foresight::{Names, Reached, left_out, single},
    hub::Hub,
    intake::needs,
};

/// The report's file in the data folder.
const FILE: &str = "drill.json";
/// How long a successor is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// A rehearsal ends by itself after this.
const EXPIRES: Span = Span::secs(30);
/// After this no further rehearsal of a drill begins: each takes some milliseconds, unless something is wrong.
const LONGEST: Duration = Duration::from_secs(60);

/// Where rehearsals are watched. Cheap to clone.
#[derive(Clone, Default)]
pub struct Rehearsals {
    watching: Arc<Mutex<Option<mpsc::UnboundedSender<Saw>>>>,
    running: Arc<tokio::sync::Mutex<()>>,
}

/// A rehearsal came further, at that moment.
struct Saw {
    at: Instant,
    activation: ActivationId,
    seen: Rehearsed,
}

impl Rehearsals {
    /// A rehearsal came further.
    pub fn saw(&self, activation: ActivationId, seen: Rehearsed) {
        let watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watching) = watching.as_ref() {
            // Where nobody watches any more nobody wants to know.
            let _ = watching.send(Saw { at: Instant::now(), activation, seen });
        }
    }

    fn watch(&self) -> mpsc::UnboundedReceiver<Saw> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.watching.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// One at a time.
    #[error("a drill runs already; wait for its report")]
    Runs,
    /// The loop has ended.
    #[error(transparent)]
    Stopping(#[from] crate::drive::Stopping),
    /// The report could not be kept or read.
    #[error("report {}: {reason}", path.display())]
    Report {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What is rehearsed: what goes one way because group and drivers are the same.
struct Kind {
    group: String,
    order: Vec<ServerId>,
    needs: BTreeMap<DriverId, DriverVersion>,
    what: Vec<String>,
    endpoints: BTreeSet<EndpointId>,
}

/// Runs a drill and keeps its report.
///
/// # Errors
/// One runs already, the server is stopping, or the report cannot be written.
pub async fn run(hub: &Hub, by: &str) -> Result<DrillReport, DrillError> {
    let Ok(_running) = hub.rehearsals.running.try_lock() else { return Err(DrillError::Runs) };
    let (began, at) = (Instant::now(), crate::clock::wall());
    let config = hub.config();
    let names = Names(config.clone());
    let mut seen = hub.rehearsals.watch();
    let mut cases = Vec::new();
    for kind in kinds(&config) {
        for dead in &kind.order {
            let (before, after) = plans(hub, &kind, *dead).await?;
            let mut case = judge(&config, &kind, *dead, &before, &after);
            if let (Sender::Member(owner), Sender::Member(heir)) = (before.sender, after.sender)
                && owner == *dead
                && began.elapsed() < LONGEST
            {
                match rehearse(hub, &mut seen, &kind, owner, heir).await {
                    Ok(took) => case.takeover_ms = Some(took.as_secs_f64() * 1000.0),
                    Err(why) => (case.state, case.text) = (State::Bad, why),
                }
            }
            cases.push(case);
        }
    }
    let reached = Reached::read(&hub.records).await;
    let single = single(&config, &names, &peers_drivers(hub).await?, &reached);
    let drivers = differing(&config, &names, &peers_drivers(hub).await?);
    let bells = bells::coming(hub, &config).await?;
    let (state, text) = verdict(&cases, single.len(), drivers.len());
    let report = DrillReport {
        at,
        server: names.server(hub.server),
        by: by.to_owned(),
        took_ms: began.elapsed().as_millis() as u64,
        state,
        text,
        cases,
        silence_ms: hub.way.look(|node| node.tuning().suspicion().0 + node.tuning().heartbeat().0).await? / 1000,
        single,
        drivers,
        bells,
    };
    keep(&hub.settings.data, &report)?;
    hub.sync_log.push(report.state, "drill", format!("drill by {by}: {}", report.text));
    Ok(report)
}

/// The newest report of this server.
///
/// # Errors
/// The file is there and cannot be read.
pub fn report(data: &Path) -> Result<Option<DrillReport>, DrillError> {
    let path = data.join(FILE);
    let wrong = |reason: String| DrillError::Report { path: path.clone(), reason };
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| wrong(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(error.to_string())),
    }
}

fn keep(data: &Path, report: &DrillReport) -> Result<(), DrillError> {
    let path = data.join(FILE);
    let aside = data.join("drill.json.new");
    let text = serde_json::to_vec_pretty(report).expect("a report is plain data");
    let written = std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &path));
    written.map_err(|error| DrillError::Report { path, reason: error.to_string() })
}

/// Everything that triggers and calendars can start, by the way it goes; and each group for what needs no driver.
fn kinds(config: &Config) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for group in config.groups.values() {
        let order = config.group_order(&group.id);
        kinds.push(Kind {
            group: group.name.clone(),
            order: order.clone(),
            needs: BTreeMap::new(),
            what: Vec::new(),
            endpoints: BTreeSet::new(),
        });
        let mut add = |cause: &str, notification: &Notification| {
            let needs = needs(config, &notification.endpoints);
            let same = kinds.iter_mut().find(|kind| kind.group == group.name && kind.needs == needs);
            let what = format!("{cause} → {}", notification.name);
            match same {
                Some(kind) => {
                    kind.what.push(what);
                    kind.endpoints.extend(notification.endpoints.iter().cloned());
                }
                None => kinds.push(Kind {
                    group: group.name.clone(),
                    order: order.clone(),
                    needs,
                    what: vec![what],
                    endpoints: notification.endpoints.iter().cloned().collect(),
                }),
            }
        };
        let starts = config.triggers.values().filter(|trigger| trigger.group == group.id);
        for trigger in starts.filter(|trigger| trigger.behaviour == Behaviour::Start) {
            let started = config.notifications.values().filter(|row| row.triggers.contains(&trigger.id));
            started.for_each(|notification| add(&trigger.name, notification));
        }
        for calendar in config.calendars.values().filter(|calendar| calendar.group == group.id) {
            let started = config.notifications.values().filter(|row| calendar.starts(&row.id));
            started.for_each(|notification| add(&calendar.name, notification));
        }
    }
    kinds
}

async fn plans(hub: &Hub, kind: &Kind, dead: ServerId) -> Result<(Plan, Plan), DrillError> {
    let (order, needs) = (kind.order.clone(), kind.needs.clone());
    let plans = hub.way.look(move |node| {
        let without = Circumstances { dead: [dead].into(), ..Circumstances::default() };
        (node.plan(&order, &needs, &Circumstances::default()), node.plan(&order, &needs, &without))
    });
    Ok(plans.await?)
}

fn judge(config: &Arc<Config>, kind: &Kind, dead: ServerId, before: &Plan, after: &Plan) -> DrillCase {
    let names = Names(config.clone());
    let sender = |plan: &Plan| match plan.sender {
        Sender::Member(id) => names.server(id),
        Sender::Ingress => "the server that is asked".to_owned(),
        Sender::Nobody => "nobody".to_owned(),
    };
    let stranded: Vec<String> =
        kind.endpoints.iter().filter_map(|id| left_out(config, id, after, &kind.needs)).collect();
    let (owner, heir) = (sender(before), sender(after));
    let (state, text) = match after.sender {
        Sender::Nobody => (State::Bad, "Nobody: no other server is up".to_owned()),
        Sender::Ingress => (State::Warning, format!("No server of the group; {heir} sends")),
        Sender::Member(_) if !stranded.is_empty() => (State::Bad, format!("{heir}, but not to every endpoint")),
        Sender::Member(_) if heir == owner => (State::Ok, format!("{heir}, as before")),
        Sender::Member(_) => (State::Ok, heir.clone()),
    };
    DrillCase {
        group: kind.group.clone(),
        what: kind.what.clone(),
        dead: names.server(dead),
        before: owner,
        after: heir,
        state,
        text,
        takeover_ms: None,
        stranded,
    }
}

/// How often a rehearsal is begun again that did not come to a measurement.
const TRIES: usize = 5;

/// What one rehearsal came to.
enum Rehearsal {
    /// The heir began so long after the owner fell.
    Took(Duration),
    /// It says nothing about the heir, and another may. Why.
    Passed(String),
}

/// Rehearses until one measures. Two things can come between that are no fault of the heir: its claim can reach this server
/// before the owner's word that it plays dead, and on a busy machine a confirmation can miss its budget, so that another
/// server takes over first, as it should.
async fn rehearse(
    hub: &Hub,
    seen: &mut mpsc::UnboundedReceiver<Saw>,
    kind: &Kind,
    owner: ServerId,
    heir: ServerId,
) -> Result<Duration, String> {
    let mut passed = String::new();
    for _ in 0..TRIES {
        match rehearse_once(hub, seen, kind, owner, heir).await? {
            Rehearsal::Took(took) => return Ok(took),
            Rehearsal::Passed(why) => passed = why,
        }
    }
    Err(format!("{passed}, in {TRIES} rehearsals"))
}

/// One rehearsal: `owner` begins it and plays dead; how long until `heir` has begun it, as this server sees it. That is a
/// push, a claim on the heir's disk, its confirmation by another server if one is left, and the word of it.
async fn rehearse_once(
    hub: &Hub,
    seen: &mut mpsc::UnboundedReceiver<Saw>,
    kind: &Kind,
    owner: ServerId,
    heir: ServerId,
) -> Result<Rehearsal, String> {
    let key = EventKey(format!("drill/{:032x}", u128::from_be_bytes(crate::draw())));
    let now = crate::clock::wall();
    let mut content = Content::rehearsal(key, kind.order.clone(), vec![owner], now, now + EXPIRES);
    content.needs.clone_from(&kind.needs);
    let id = content.id;
    let names = Names(hub.config());
    let asked = async {
        hub.way.trigger(content).await.map_err(|refusal| format!("the rehearsal was not taken: {refusal}"))?;
        let mut fell = None;
        while let Some(saw) = seen.recv().await {
            let Saw { at, activation, seen } = saw;
            if activation == id && seen.fallen {
                fell.get_or_insert(at);
            }
            if activation == id && seen.attempt > 0 && seen.started {
                return Ok(match fell {
                    Some(fell) if seen.owner == heir => Rehearsal::Took(at - fell),
                    None if seen.owner == heir => {
                        Rehearsal::Passed(format!("{} was taken for dead before it played dead", names.server(owner)))
                    }
                    _ => {
                        let (took, not) = (names.server(seen.owner), names.server(heir));
                        Rehearsal::Passed(format!("{took} took over, not {not}"))
                    }
                });
            }
        }
        Err("the server is stopping".to_owned())
    };
    let waited = tokio::time::timeout(PATIENCE, asked).await;
    waited.unwrap_or_else(|_| {
        let (heir, owner) = (names.server(heir), names.server(owner));
        Err(format!("{heir} did not take over from {owner} within {} s", PATIENCE.as_secs()))
    })
}

/// The drivers of every server that is up, as it last said.
pub(crate) async fn peers_drivers(
    hub: &Hub,
) -> Result<BTreeMap<ServerId, BTreeMap<DriverId, DriverVersion>>, crate::drive::Stopping> {
    use onealert_core::view::Belief;
    let own = (hub.server, hub.versions().drivers);
    let peers = hub.way.look(|node| node.peers()).await?;
    let up = peers.into_iter().filter(|peer| peer.belief != Belief::Down);
    let said = up.filter_map(|peer| Some((peer.id, peer.standing?.versions.drivers)));
    Ok(said.chain([own]).collect())
}

fn differing(
    config: &Config,
    names: &Names,
    servers: &BTreeMap<ServerId, BTreeMap<DriverId, DriverVersion>>,
) -> Vec<DrillDriver> {
    let mut found = Vec::new();
    for row in config.drivers.values().filter(|row| row.enabled) {
        for (server, drivers) in servers {
            let text = match drivers.get(&row.id) {
                Some(there) if there.version == row.version && there.sha256 == row.sha256 => continue,
                Some(there) if there.version == row.version => "is another file of the same version".to_owned(),
                Some(there) => format!("is {} there, {} is enabled", there.version, row.version),
                None => "is missing there, or cannot be started".to_owned(),
            };
            found.push(DrillDriver { name: row.name.clone(), server: names.server(*server), text });
        }
    }
    found
}

fn verdict(cases: &[DrillCase], single: usize, drivers: usize) -> (State, String) {
    let bad = cases.iter().filter(|case| case.state == State::Bad).count();
    let slowest = cases.iter().filter_map(|case| case.takeover_ms).max_by(f64::total_cmp);
    let measured = cases.iter().filter(|case| case.takeover_ms.is_some()).count();
    let times = match slowest {
        Some(ms) if measured == 1 => format!("1 takeover rehearsed, it took {ms:.1} ms"),
        Some(ms) => format!("{measured} takeovers rehearsed, the slowest took {ms:.1} ms"),
        None => "no takeover could be rehearsed".to_owned(),
    };
    if bad > 0 {
        return (State::Bad, format!("{bad} of {} cases would not be covered; {times}", cases.len()));
    }
    if single + drivers > 0 {
        return (State::Warning, format!("Every case is covered by a server, but not every endpoint is safe; {times}"));
    }
    let worst = cases.iter().map(|case| case.state).max().unwrap_or(State::Ok);
    (worst, format!("Every case is covered; {times}"))
}
