//! Servers, network, disks and drivers on one clock that is turned by hand.

use std::collections::{BTreeMap, BTreeSet};

use onealert_core::{
    activation::Content,
    effect::Ticket,
    event::Input,
    ids::{ActivationId, ServerId},
    node::Node,
    peer_message::PeerMessage,
    time::Span,
    tuning::Tuning,
};

use crate::{
    checks::{self, Violation},
    copy::Database,
    history::History,
    law::{self, Law},
    lines::Talk,
    network::{Network, Parcel},
    planted::Planted,
    random::Random,
    schedule::Schedule,
    server::Server,
};

/// No run needs this many steps; one that does spins.
const MOST_STEPS: u64 = 200_000;
/// How long after the last happening everything must have ended.
const PATIENCE_US: u64 = 60_000_000;
/// How long a run goes on after everything has ended: nothing may come of the healing any more.
const AFTERWARDS_US: u64 = 2_000_000;

/// What the queue holds.
#[derive(Debug)]
pub(crate) enum Event {
    /// The schedule's happening of this place.
    Happens(usize),
    /// Something reaches the end of its way, if its connection still stands.
    Arrives { from: usize, to: usize, connection: u64, parcel: Parcel },
    /// What was stuck behind a cut is sent again.
    Released { from: usize, to: usize },
    /// The process of `from` is gone and its end of the connection closes.
    Closes { from: usize, to: usize, connection: u64 },
    /// Nobody waits any longer for the answers of a connection.
    TimesOut { a: usize, b: usize, connection: u64 },
    /// Two servers without a connection try to make one.
    Dial { a: usize, b: usize },
    /// The oldest write of a server is done.
    Written { at: usize, boot: u64 },
    /// A driver begins with an endpoint.
    Begins { at: usize, boot: u64, activation: ActivationId, attempt: u32, endpoint: usize },
    /// A driver has the endpoint's answer.
    Answered { at: usize, boot: u64, activation: ActivationId, attempt: u32, endpoint: usize },
    /// A delivery has nothing more to do.
    Ends { at: usize, boot: u64, activation: ActivationId, attempt: u32 },
    /// A bell is computed by a server.
    Rings { at: usize, content: Box<Content> },
    /// A cut ends.
    Heals { from: usize, to: usize },
    /// A server is started again.
    Starts { at: usize, boot: u64 },
    /// A draining server hands over what it has not finished.
    HandsOver { at: usize, boot: u64 },
    /// A machine that stood still goes on.
    Wakes { at: usize, boot: u64 },
    /// A secondary calls its primary for configuration.
    Calls { at: usize, boot: u64 },
    /// A message of a synchronisation connection reaches the end of its way.
    Talks { from: usize, to: usize, line: u64, talk: Box<Talk> },
    /// A side says where it stands.
    Beats { at: usize, boot: u64, peer: usize, line: u64 },
    /// A side learns that a synchronisation connection is over.
    LineEnds { at: usize, peer: usize, line: u64 },
    /// The oldest work for the configuration database is done.
    Stored { at: usize, boot: u64 },
    /// A server's clockwork goes on: what it should have computed meanwhile is computed late.
    Unsticks { at: usize, boot: u64 },
    /// A server whose clock jumped ahead a while ago looks for what it missed.
    LooksBack { at: usize, boot: u64 },
    /// A server looks whether its rows are what was committed.
    Scrubs { at: usize, boot: u64 },
}

/// One simulated installation.
#[derive(Debug)]
pub struct World {
    pub(crate) schedule: Schedule,
    pub(crate) now_us: u64,
    pub(crate) servers: Vec<Server>,
    pub(crate) network: Network,
    pub(crate) history: History,
    pub(crate) steps: u64,
    pub(crate) planted: Option<Planted>,
    pub(crate) database: Database,
    pub(crate) law: Law,
    /// How many secondaries the licence allows by the primary's file, where its configuration does not say.
    pub(crate) licence: u32,
    /// Counts the synchronisation connections.
    pub(crate) lines: u64,
    /// When the last message of each way of them arrives: none overtakes it.
    pub(crate) talk_last_us: BTreeMap<(usize, usize), u64>,
    pub(crate) queue: BTreeMap<(u64, u64), Event>,
    order: u64,
    tickets: u64,
    /// The tickets of stops: their "accepted" is not that of an activation.
    pub(crate) stops: BTreeSet<Ticket>,
    pub(crate) tuning: Tuning,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) violation: Option<Violation>,
    /// The activation of each page of the schedule.
    pub(crate) pages: BTreeMap<u32, ActivationId>,
}

impl World {
    /// The installation of a schedule, its servers just started.
    pub fn new(schedule: &Schedule, planted: Option<Planted>, traced: bool) -> World {
        World::on(Database::Memory, schedule, planted, traced)
    }

    /// The same, with the configuration in databases of a kind.
    pub fn on(database: Database, schedule: &Schedule, planted: Option<Planted>, traced: bool) -> World {
        let tuning = Tuning::default();
        let tuning = if schedule.hold_down { Ok(tuning) } else { tuning.with_hold_down(Span(0)) };
        let forgets = planted == Some(Planted::ForgetsWhatEnded);
        let tuning = if forgets { tuning.and_then(|tuning| tuning.with_forget(Span::millis(1500))) } else { tuning };
        let mut world = World {
            schedule: schedule.clone(),
            now_us: 0,
            servers: schedule.clocks.iter().map(|clock| Server::new(*clock, database)).collect(),
            network: Network::new(schedule.clocks.len(), schedule.slowest_way_us),
            history: History::default(),
            steps: 0,
            planted,
            database,
            law: Law::default(),
            licence: 8,
            lines: 0,
            talk_last_us: BTreeMap::new(),
            queue: BTreeMap::new(),
            order: 0,
            tickets: 0,
            stops: BTreeSet::new(),
            tuning: tuning.expect("no hold-down is allowed, and a short memory"),
            trace: traced.then(Vec::new),
            violation: None,
            pages: BTreeMap::new(),
        };
        for (place, (at_ms, _)) in schedule.events.iter().enumerate() {
            world.at(at_ms * 1000, Event::Happens(place));
        }
        world.install();
        for server in 0..world.servers.len() {
            world.start(server);
        }
        world
    }

    /// Runs to the end, or to the first violation.
    pub fn run(&mut self) -> Option<Violation> {
        let last = self.schedule.events.iter().map(|(at_ms, _)| at_ms * 1000).max().unwrap_or(0);
        let mut quiet_since: Option<u64> = None;
        let mut look_us = last;
        while self.violation.is_none() {
            if !self.advance() {
                break;
            }
            if self.steps > MOST_STEPS {
                self.violate("liveness", format!("{MOST_STEPS} steps and no end: the servers spin"));
            }
            // Looking is dearer than a step, and nothing depends on the very moment.
            if self.now_us < look_us {
                continue;
            }
            look_us = self.now_us + 100_000;
            if !self.is_settled() {
                quiet_since = None;
                if self.now_us > last + PATIENCE_US {
                    break;
                }
            } else if self.now_us > *quiet_since.get_or_insert(self.now_us) + AFTERWARDS_US {
                break;
            }
        }
        if self.violation.is_none() {
            self.violation = checks::at_the_end(self).and_then(|()| law::at_the_end(self)).err();
        }
        self.violation.clone()
    }

    /// What happened, line by line, where that was asked for.
    pub fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or(&[])
    }

    /// What an outsider saw.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many inputs the nodes took.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The next thing happens: an event, or a tick where none is earlier. Messages come before ticks.
    fn advance(&mut self) -> bool {
        let event = self.queue.first_key_value().map(|((at, _), _)| *at);
        let awake = self.servers.iter().enumerate().filter(|(_, server)| server.is_awake());
        let wake = awake.filter_map(|(at, server)| Some((server.wake_us?, at))).min();
        match (event, wake) {
            (Some(at), wake) if wake.is_none_or(|(wake, _)| at <= wake) => {
                self.now_us = self.now_us.max(at);
                let (_, event) = self.queue.pop_first().expect("an event was seen");
                self.take(event);
            }
            (_, Some((wake, at))) => {
                self.now_us = self.now_us.max(wake);
                self.tick(at);
            }
            (_, None) => return false,
        }
        true
    }

    fn tick(&mut self, at: usize) {
        let server = &self.servers[at];
        let wanted = server.node.as_ref().and_then(Node::next_wake);
        let now = server.clocks(self.now_us).mono;
        self.feed(at, Input::Tick { late: wanted.map_or(Span(0), |wanted| now - wanted) });
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Happens(place) => {
                let what = self.schedule.events[place].1.clone();
                self.note(|| format!("--- {what:?}"));
                self.happen(&what);
            }
            Event::Arrives { from, to, connection, parcel } => {
                if self.network.connection(from, to) == Some(connection)
                    && let Some(parcel) = self.network.arrive(from, to, parcel)
                {
                    self.hand_over(from, to, parcel);
                }
            }
            Event::Released { from, to } => {
                for parcel in self.network.released(from, to) {
                    self.hand_over(from, to, parcel);
                }
            }
            Event::Closes { from, to, connection } => {
                if self.network.connection(from, to) != Some(connection) {
                } else if self.network.is_cut(from, to) {
                    self.after(50_000, Event::Closes { from, to, connection });
                } else {
                    self.disconnect(from, to, 3_000);
                }
            }
            Event::TimesOut { a, b, connection } => {
                if self.network.connection(a, b) == Some(connection) && self.network.is_cut(a, b) {
                    self.disconnect(a, b, 100_000);
                }
            }
            Event::Dial { a, b } => self.dial(a, b),
            Event::Written { at, boot } if self.lives(at, boot) => self.written(at),
            Event::Begins { at, boot, activation, attempt, endpoint } if self.lives(at, boot) => {
                if self.servers[at].paused {
                    self.after(20_000, Event::Begins { at, boot, activation, attempt, endpoint });
                } else {
                    self.begin(at, activation, attempt, endpoint);
                }
            }
            Event::Answered { at, boot, activation, attempt, endpoint } if self.lives(at, boot) => {
                self.answered(at, activation, attempt, endpoint);
            }
            Event::Ends { at, boot, activation, attempt } if self.lives(at, boot) => {
                let given = self.servers[at].deliveries.get(&(activation, attempt));
                if given.is_some_and(|delivery| !delivery.ordered) {
                    // Nobody waits for the end of what was never asked for.
                    return self.after(20_000, Event::Ends { at, boot, activation, attempt });
                }
                self.switch_off(at, activation, attempt);
                if let Some(seen) = self.history.see(activation) {
                    seen.delivering.remove(&at);
                }
                self.feed(at, Input::DeliveryEnded { activation, attempt });
            }
            Event::Rings { at, content } if self.has_plans(at) => {
                if content.due.is_none() || self.now_us >= self.servers[at].stuck_until_us {
                    self.trigger(at, *content);
                }
            }
            Event::Unsticks { at, boot } if self.lives(at, boot) => self.compute_bells(at),
            Event::LooksBack { at, boot } if self.lives(at, boot) => self.look_back(at),
            Event::HandsOver { at, boot } if self.lives(at, boot) => self.feed(at, Input::HandOver),
            Event::Heals { from, to } => {
                self.network.heal(from, to);
                let again = self.draw("again", from, to).between(1_000, 300_000);
                self.after(again, Event::Released { from, to });
            }
            Event::Starts { at, boot } if self.servers[at].boot == boot && self.servers[at].node.is_none() => {
                self.start(at);
            }
            Event::Wakes { at, boot } if self.lives(at, boot) => {
                self.servers[at].paused = false;
                for input in std::mem::take(&mut self.servers[at].waiting) {
                    self.feed(at, input);
                }
                if self.servers[at].is_awake() {
                    self.tick(at);
                }
            }
            Event::Calls { at, boot } if self.lives(at, boot) => self.call(at),
            Event::Talks { from, to, line, talk } => self.talked(from, to, line, *talk),
            Event::Beats { at, boot, peer, line } if self.lives(at, boot) => self.beats(at, peer, line),
            Event::LineEnds { at, peer, line } => self.line_ends(at, peer, line),
            Event::Stored { at, boot } if self.lives(at, boot) => {
                if self.servers[at].paused {
                    self.after(20_000, Event::Stored { at, boot });
                } else {
                    self.stored(at);
                }
            }
            Event::Scrubs { at, boot } if self.lives(at, boot) => {
                if !self.servers[at].paused {
                    self.scrub(at);
                }
                self.scrub_later(at);
            }
            Event::Rings { .. }
            | Event::Unsticks { .. }
            | Event::LooksBack { .. }
            | Event::HandsOver { .. }
            | Event::Calls { .. }
            | Event::Beats { .. }
            | Event::Stored { .. }
            | Event::Scrubs { .. }
            | Event::Written { .. }
            | Event::Begins { .. }
            | Event::Answered { .. }
            | Event::Ends { .. }
            | Event::Starts { .. }
            | Event::Wakes { .. } => {}
        }
    }

    /// A trigger event reaches a server.
    pub(crate) fn trigger(&mut self, at: usize, content: Content) {
        self.history.asked(&content, self.now_us);
        let (ticket, wall) = (self.ticket(), self.servers[at].clocks(self.now_us).wall);
        let (activation, first, due) = (content.id, content.group.first().copied(), content.due);
        self.feed(at, Input::Trigger { ticket, content });
        if let Some(owner) = first.filter(|_| due.is_some_and(|due| due < wall))
            && self.planted == Some(Planted::AsksNobodyWhenLate)
        {
            for peer in (0..self.servers.len()).filter(|peer| *peer != at) {
                let message = PeerMessage::Have { activation, attempt: u32::MAX, owner, stopped: false };
                self.feed(at, Input::Message { from: id(peer), message });
            }
        }
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn lives(&self, at: usize, boot: u64) -> bool {
        self.servers[at].node.is_some() && self.servers[at].boot == boot
    }

    /// Chance for one purpose, of one or two servers or of whatever is numbered, at this moment.
    pub(crate) fn draw(&self, purpose: &str, one: usize, other: usize) -> Random {
        let purpose = purpose.bytes().fold(0, |number: u64, byte| number << 8 | u64::from(byte));
        Random::of(self.schedule.seed, [purpose, one as u64, other as u64, self.now_us])
    }

    pub(crate) fn violate(&mut self, invariant: &'static str, what: String) {
        let at_us = self.now_us;
        self.violation.get_or_insert(Violation { invariant, what, at_us });
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9.3} ms  {}", self.now_us as f64 / 1000.0, line()));
        }
    }

    pub(crate) fn at(&mut self, at_us: u64, event: Event) {
        self.order += 1;
        self.queue.insert((at_us.max(self.now_us), self.order), event);
    }

    pub(crate) fn after(&mut self, us: u64, event: Event) {
        self.at(self.now_us + us, event);
    }
}

/// The id of the server of a place in the schedule.
pub(crate) fn id(place: usize) -> ServerId {
    ServerId(place as u128 + 1)
}

/// The place of a server in the schedule.
pub(crate) fn place(id: ServerId) -> usize {
    usize::try_from(id.0).expect("ids are places plus one") - 1
}
