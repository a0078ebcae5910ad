//! An installation in memory, for tests and for looking at pages: the host's side of `Needs` without a host.

#![allow(dead_code, reason = "each test uses its part")]

mod calendars;
mod configuration;
mod looking;
mod needs;
mod redundancy;
mod sample;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use onealert_core::{
    calendar::Calendar,
    config::{Endpoint, Notification, PriorityGroup, Role, Trigger, UserRole},
    effect::Outcome,
    ids::{ActivationId, CalendarId, DriverId, EndpointId, GroupId, NotificationId, ServerId, TriggerId, UserId},
    time::Wall,
};
use onealert_web::needs::*;
use serde_json::Value;
use tokio::sync::watch;

/// The password of every account: the name, then this.
pub const PASSWORD: &str = "-secret-1";

/// Everything that can change.
pub struct Inner {
    pub identity: Identity,
    pub balancer: BalancerStatus,
    pub accounts: BTreeMap<UserId, (Account, String)>,
    pub status: Status,
    pub running: Vec<Running>,
    pub sent: Vec<SentDetail>,
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
    pub triggers: BTreeMap<TriggerId, Trigger>,
    pub notifications: BTreeMap<NotificationId, Notification>,
    pub calendars: BTreeMap<CalendarId, Calendar>,
    /// The moment that calendars are looked at; the present one where there is none.
    pub moment: Option<Wall>,
    pub groups: BTreeMap<GroupId, PriorityGroup>,
    pub drivers: BTreeMap<DriverId, DriverDetail>,
    pub stored_settings: BTreeMap<DriverId, Value>,
    pub files: Vec<FoundFile>,
    pub trusted: Vec<DriverKey>,
    pub pins: Vec<DriverPin>,
    pub log: Vec<LogLine>,
    pub local: LocalSettings,
    /// The login that phones obey.
    pub phones: Option<(String, String)>,
    pub keys: BTreeMap<(UserId, String), ActivationId>,
    pub requests: Vec<DeviceRequest>,
    pub drawn: u128,
    /// A server that came back waits for an administrator.
    pub manual_return: bool,
    /// The one that holds back was let return.
    pub returned: bool,
    pub drill: Option<DrillReport>,
    /// Panics at the next look at the status: for the test of what a fault does.
    pub broken: bool,
    /// Deprovisioned servers.
    pub gone: Vec<ServerId>,
    /// How many secondaries the licence allows.
    pub licence: u32,
}

/// The fake host.
pub struct World {
    pub state: Mutex<Inner>,
    live: watch::Sender<Arc<Live>>,
}

pub const PA1: ServerId = ServerId(0xa1);
pub const PA2: ServerId = ServerId(0xa2);
pub const PB1: ServerId = ServerId(0xb1);
/// Deprovisioned long ago.
pub const GONE: ServerId = ServerId(0xc1);

impl World {
    /// A primary with two secondaries, two drivers and something to send.
    pub fn primary() -> Arc<World> {
        World::of(sample::state(Role::Primary))
    }

    /// A secondary of the same installation.
    pub fn secondary() -> Arc<World> {
        World::of(sample::state(Role::Secondary))
    }

    /// A primary on its first day.
    pub fn empty() -> Arc<World> {
        World::of(sample::empty())
    }

    fn of(state: Inner) -> Arc<World> {
        let live = Live { status: state.status.clone(), running: state.running.clone() };
        Arc::new(World { state: Mutex::new(state), live: watch::Sender::new(Arc::new(live)) })
    }

    /// Changes something and tells the live streams.
    pub fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut state = self.state.lock().expect("no test panics inside a change");
        let answer = change(&mut state);
        let live = Live { status: state.status.clone(), running: state.running.clone() };
        self.live.send_replace(Arc::new(live));
        answer
    }

    fn look<T>(&self, look: impl FnOnce(&Inner) -> Result<T, Problem>) -> Answer<'_, T>
    where
        T: Send + 'static,
    {
        let answer = look(&self.state.lock().expect("no test panics inside a change"));
        Box::pin(async move { answer })
    }

    fn act<T>(&self, act: impl FnOnce(&mut Inner) -> Result<T, Problem>) -> Answer<'_, T>
    where
        T: Send + 'static,
    {
        let answer = self.change(act);
        Box::pin(async move { answer })
    }

    /// A change of the configuration, refused where this server takes none.
    fn configure<T>(&self, act: impl FnOnce(&mut Inner) -> Result<T, Problem>) -> Answer<'_, T>
    where
        T: Send + 'static,
    {
        self.act(|state| {
            if let Err(why) = &state.identity.can_configure {
                let primary = state.identity.primary.as_ref().map(|link| link.url.clone());
                return Err(Problem::read_only(why.clone(), primary));
            }
            act(state)
        })
    }
}

impl Inner {
    fn draw(&mut self) -> ActivationId {
        self.drawn += 1;
        ActivationId(0xac00_0000_0000_0000_0000_0000_0000_0000 + self.drawn)
    }

    fn note(&mut self, by: &Actor, text: impl Into<String>) {
        let line = LogLine { at: now(), state: State::Ok, source: by.user.to_string(), text: text.into() };
        self.log.insert(0, line);
    }

    fn start(&mut self, notification: &Notification, source: &str) -> ActivationId {
        let id = self.draw();
        let meant = notification.endpoints.len() as u32;
        self.running.insert(
            0,
            Running {
                activation: id,
                name: notification.name.clone(),
                server: self.identity.name.clone(),
                accepted: now(),
                text: "Sending".to_owned(),
                reached: 0,
                failed: 0,
                meant,
                degraded: false,
            },
        );
        self.sent.insert(0, sample::record(id, notification, source, &self.identity, Outcome::Success));
        id
    }
}

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "the world asks here")]
pub fn now() -> Wall {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Wall(since.as_millis() as i64)
}

/// An account with its password.
pub fn account(user: &str, role: UserRole) -> (UserId, (Account, String)) {
    let mut letters = user.chars();
    let name: String = letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
    let account = Account { user: UserId::from(user), name, role };
    (UserId::from(user), (account, format!("{user}{PASSWORD}")))
}
