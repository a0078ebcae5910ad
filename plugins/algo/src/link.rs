//! The way to one device: one request at a time on a kept connection, commands before looks.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http_client::{Cause, Client, HttpError, Limits, Method, Request, Response, Step};
use serde_json::{Map, Value};
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore, watch},
    time::Instant,
};

use crate::{
    device::{Access, Answer, Device, Tried, Verdict, object},
    hold::Hold,
    keep::{Keep, Kept},
    model::Age,
    plan,
    reason::Reason,
    settings::Endpoint,
    wire::{self, Command, Status},
};

/// How long a look may still take once a command waits for its turn. Giving up at once would cost the command a new connection.
const GRACE: Duration = Duration::from_millis(300);
/// A device that refused the connection is tried once more after this: small web servers are busy for a moment now and then.
const AGAIN: Duration = Duration::from_millis(150);
/// More than any answer of a device.
const LONGEST_ANSWER: usize = 256 << 10;

/// Why somebody talks to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// An announcement: goes first.
    Command,
    /// Routine: gives way.
    Look,
}

/// One device and the way to it.
pub(crate) struct Link {
    pub access: Access,
    client: Client,
    device: Mutex<Device>,
    turn: AsyncMutex<()>,
    waiting: watch::Sender<usize>,
    /// How many commands may be on their way at once, over all devices.
    gate: Arc<Semaphore>,
    deadline: Duration,
    nonce: Arc<AtomicU64>,
    keep: Arc<Keep>,
    /// Which announcement has which part of the device.
    pub hold: AsyncMutex<Hold>,
}

/// What all links share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub gate: Arc<Semaphore>,
    pub deadline: Duration,
    pub nonce: Arc<AtomicU64>,
    pub keep: Arc<Keep>,
}

/// A nonce that no earlier run of the driver has used: it starts at the time of day.
pub(crate) fn first_nonce() -> AtomicU64 {
    AtomicU64::new(since_1970().as_micros() as u64)
}

impl Link {
    pub(crate) fn new(access: Access, client: Client, shared: Shared) -> Link {
        let kept = shared.keep.get(&access.name());
        Link {
            device: Mutex::new(Device::new(access.clone(), kept.known())),
            hold: AsyncMutex::new(Hold::new(kept.volume)),
            access,
            client,
            turn: AsyncMutex::new(()),
            waiting: watch::Sender::new(0),
            gate: shared.gate,
            deadline: shared.deadline,
            nonce: shared.nonce,
            keep: shared.keep,
        }
    }

    pub(crate) fn device(&self) -> MutexGuard<'_, Device> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what has to survive a restart.
    pub(crate) fn remember(&self, hold: &Hold) {
        let kept = Kept::new(&self.device().known, hold.volume_before());
        self.keep.put(&self.access.name(), kept);
    }

    /// Sends a command and says what came of it; `None` when a look gave way to a command.
    pub(crate) async fn ask(&self, why: Why, command: &Command) -> Option<Result<Vec<u8>, Reason>> {
        match why {
            Why::Command => Some(self.tell(command).await),
            Why::Look => {
                let _turn = self.turn.lock().await;
                let mut waiting = self.waiting.subscribe();
                if *waiting.borrow() > 0 {
                    return None;
                }
                let pressed = async {
                    // The sender lives as long as this link.
                    let _ = waiting.wait_for(|count| *count > 0).await;
                    tokio::time::sleep(GRACE).await;
                };
                tokio::select! {
                    result = self.exchange(command) => Some(result),
                    () = pressed => None,
                }
            }
        }
    }

    /// Sends a command of an announcement.
    pub(crate) async fn tell(&self, command: &Command) -> Result<Vec<u8>, Reason> {
        let _waiting = Waiting::new(&self.waiting);
        let _turn = self.turn.lock().await;
        let _gate = self.gate.acquire().await;
        self.exchange(command).await
    }

    /// Reads a JSON object.
    pub(crate) async fn read(&self, why: Why, command: &Command) -> Option<Result<Map<String, Value>, Reason>> {
        let answer = self.ask(why, command).await?;
        Some(answer.and_then(|body| object(command, &body)))
    }

    async fn exchange(&self, command: &Command) -> Result<Vec<u8>, Reason> {
        let until = Instant::now() + self.deadline;
        let mut routes = self.device().routes().into_iter();
        let mut tried = Tried::default();
        let mut waited = false;
        let mut route = routes.next().expect("a device has at least one route");
        loop {
            let nonce = self.nonce.fetch_add(1, Ordering::Relaxed) % 1_000_000_000;
            let attempt = self.device().attempt(command, route, unix_now(), nonce);
            let left = until.saturating_duration_since(Instant::now());
            // A way that may be shut leaves time for the next one.
            let connect = if routes.len() > 0 { left / 2 } else { left };
            let request = Request {
                method: method(command.method),
                url: attempt.url.clone(),
                headers: attempt.headers.clone(),
                body: command.body.clone().into(),
                limits: Limits {
                    deadline: left,
                    connect,
                    body_bytes: LONGEST_ANSWER,
                    // Every command sets a state: a second one changes nothing, a lost one is an alarm not heard.
                    resend: true,
                    ..Limits::default()
                },
            };
            let response: Response = match self.client.send(request).await {
                Ok(response) => response,
                Err(error) => {
                    if !error.was_not_sent() || matches!(error.cause, Cause::WrongCertificate { .. }) {
                        return Err(reason(&error));
                    }
                    if let Some(next) = routes.next() {
                        route = next;
                    } else if !waited && Instant::now() + AGAIN < until {
                        waited = true;
                        tokio::time::sleep(AGAIN).await;
                        routes = self.device().routes().into_iter();
                        route = routes.next().expect("a device has at least one route");
                    } else {
                        return Err(reason(&error));
                    }
                    continue;
                }
            };
            let answer = Answer {
                status: response.status,
                date: response.header("date"),
                location: response.header("location"),
                body: &response.body,
            };
            let mut device = self.device();
            match device.judge(command, &attempt, answer, unix_now(), &mut tried) {
                Verdict::Done => return Ok(response.body.to_vec()),
                Verdict::Failed(reason) => return Err(reason),
                // Each remedy is allowed once, so this ends.
                Verdict::Again => route = device.routes()[0],
            }
        }
    }

    /// Asks the device who it is.
    pub(crate) async fn identify(&self, why: Why) -> Option<Result<(), Reason>> {
        let about = match self.read(why, &Command::about()).await? {
            Ok(about) => about,
            Err(Reason::NotThere { .. }) => return self.identify_old(why).await,
            Err(reason) => return Some(Err(reason)),
        };
        Some(self.device().take_about(&about))
    }

    /// A device that knows no `info/about` has firmware before 5.4, or its API is off.
    async fn identify_old(&self, why: Why) -> Option<Result<(), Reason>> {
        Some(match self.read(why, &Command::get_setting("admin.web.api")).await? {
            Ok(_) => {
                self.device().known.age = Age::Before54;
                Ok(())
            }
            Err(Reason::NotThere { .. }) => Err(Reason::ApiOff),
            Err(reason) => Err(reason),
        })
    }

    /// Reads the settings that these endpoints depend on.
    pub(crate) async fn learn_zones(&self, why: Why, endpoints: &[&Endpoint]) -> Option<Result<(), Reason>> {
        let mut zones: Vec<u8> = endpoints.iter().flat_map(|endpoint| plan::zones_to_read(endpoint)).collect();
        zones.sort_unstable();
        zones.dedup();
        if zones.is_empty() {
            return Some(Ok(()));
        }
        match self.setting(why, "mcast.mode").await? {
            Ok(mode) => self.device().known.multicast_mode = mode,
            Err(reason) => return Some(Err(reason)),
        }
        for zone in zones {
            match self.setting(why, &format!("mcast.zone{zone}")).await? {
                Ok(value) => {
                    self.device().known.zones.insert(zone, value.unwrap_or_default());
                }
                Err(reason) => return Some(Err(reason)),
            }
        }
        Some(Ok(()))
    }

    /// One setting; `None` inside for a setting that the device does not have.
    pub(crate) async fn setting(&self, why: Why, parameter: &str) -> Option<Result<Option<String>, Reason>> {
        Some(match self.read(why, &Command::get_setting(parameter)).await? {
            Ok(answer) => Ok(wire::setting(&answer, parameter)),
            Err(Reason::NotThere { .. }) => Ok(None),
            Err(reason) => Err(reason),
        })
    }

    /// Asks the device how it is. One that is too old to say answers with nothing.
    pub(crate) async fn look(&self, why: Why) -> Option<Result<Status, Reason>> {
        if self.device().known.age == Age::Before54 {
            let alive = self.read(why, &Command::get_setting("admin.web.api")).await?;
            return Some(alive.map(|_| Status::default()));
        }
        let answer = match self.read(why, &Command::status()).await? {
            Ok(answer) => answer,
            // Asked before anybody knew that it is too old.
            Err(Reason::NotThere { .. }) => return Some(Ok(Status::default())),
            Err(reason) => return Some(Err(reason)),
        };
        let status = Status::read(&answer);
        self.device().known.status = status.clone();
        Some(Ok(status))
    }
}

/// Counts a command as waiting, until it has been answered.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Waiting<'a> {
        count.send_modify(|count| *count += 1);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

fn method(word: &str) -> Method {
    match word {
        "GET" => Method::GET,
        "PUT" => Method::PUT,
        _ => Method::POST,
    }
}

fn reason(error: &HttpError) -> Reason {
    match (&error.cause, error.step) {
        (Cause::WrongCertificate { .. }, _) => Reason::Certificate(error.to_string()),
        (_, Step::Answer) => Reason::NoAnswer(error.to_string()),
        _ => Reason::Unreachable(error.to_string()),
    }
}

/// Our own clock, in Unix seconds.
fn unix_now() -> i64 {
    since_1970().as_secs() as i64
}

#[expect(clippy::disallowed_methods, reason = "the driver asks here")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
