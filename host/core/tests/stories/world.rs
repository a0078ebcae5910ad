//! A few servers in memory, on a clock turned by hand: each story says what happens and when, and looks at who did what.

mod content;
mod look;

use std::collections::{BTreeMap, BTreeSet};

use onealert_core::{
    activation::{Content, EndpointState},
    effect::{Ended, HaltReason, Notice, Output, Record, Refusal, Rehearsed, Ticket},
    event::{Input, LinkSeen, StopWhat},
    ids::{ActivationId, Incarnation, ServerId},
    knowledge::Knowledge,
    node::{Identity, Node},
    peer_message::PeerMessage,
    time::{Mono, Now, Span, Wall},
    tuning::Tuning,
};

pub use content::{bell, page, page_for, standing};

pub const A: ServerId = ServerId(0xa);
pub const B: ServerId = ServerId(0xb);
pub const C: ServerId = ServerId(0xc);

/// When the stories begin, by the clocks of the world.
pub const MORNING: i64 = 1_800_000_000_000;

const ONE_WAY: u64 = 1;
const FSYNC: u64 = 2;
const HOUR: Span = Span::secs(3600);

/// Something that one server did, and when (milliseconds since the story began).
#[derive(Debug, Clone, PartialEq)]
pub enum Did {
    Accepted { ticket: u64, degraded: bool, duplicate: bool },
    Refused { ticket: u64, reason: Refusal },
    Deliver { activation: ActivationId, attempt: u32, endpoints: Vec<usize>, listen_first: bool },
    Reached { activation: ActivationId, endpoint: usize },
    Halt { activation: ActivationId, reason: HaltReason },
    Ended(Box<Ended>),
    Forgot(ActivationId),
    Rehearsed { activation: ActivationId, seen: Rehearsed },
    Notice(Notice),
}

impl Did {
    pub fn is_deliver(&self) -> bool {
        matches!(self, Did::Deliver { .. })
    }
}

pub struct Server {
    node: Option<Node>,
    pub disk: BTreeMap<ActivationId, Knowledge>,
    boot: u64,
    paused: bool,
    waiting: Vec<Input>,
    halted: BTreeSet<ActivationId>,
    /// Its clock minus the world's, in milliseconds.
    pub ahead: i64,
    pub disk_fails: bool,
    /// Its driver takes an order and never says anything.
    pub mute: bool,
    /// How long a delivery takes to reach one endpoint after the other.
    pub pace: u64,
}

enum Event {
    Input { boot: u64, input: Box<Input> },
    Message { from: ServerId, message: Box<PeerMessage> },
    Written { boot: u64, ticket: Ticket, record: Box<Record> },
    Contact { boot: u64, activation: ActivationId, attempt: u32, endpoint: usize },
}

pub struct World {
    pub servers: BTreeMap<ServerId, Server>,
    pub did: Vec<(u64, ServerId, Did)>,
    now: u64,
    order: u64,
    queue: BTreeMap<(u64, u64), (ServerId, Event)>,
    cuts: BTreeSet<(ServerId, ServerId)>,
    tuning: Tuning,
    tickets: u64,
}

impl World {
    /// Servers that know each other, started together, connected, past rule 8, without hold-down.
    pub fn of(ids: &[ServerId]) -> World {
        let tuning = Tuning::default().with_hold_down(Span(0)).expect("0 switches it off");
        World::tuned(ids, tuning)
    }

    pub fn tuned(ids: &[ServerId], tuning: Tuning) -> World {
        let mut world = World {
            servers: BTreeMap::new(),
            did: Vec::new(),
            now: 0,
            order: 0,
            queue: BTreeMap::new(),
            cuts: BTreeSet::new(),
            tuning,
            tickets: 0,
        };
        for id in ids {
            let server = Server {
                node: None,
                disk: BTreeMap::new(),
                boot: 0,
                paused: false,
                waiting: Vec::new(),
                halted: BTreeSet::new(),
                ahead: 0,
                disk_fails: false,
                mute: false,
                pace: 20,
            };
            world.servers.insert(*id, server);
        }
        for id in ids {
            world.start(*id);
        }
        world.run(50);
        for id in ids {
            assert!(!world.node(*id).is_resuming(), "{id} hears everybody within 50 ms");
        }
        world
    }

    /// Lets `ms` milliseconds pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + ms * 1000;
        loop {
            let event = self.queue.first_key_value().map(|((at, _), _)| *at);
            let awake = self.servers.iter().filter(|(_, server)| !server.paused);
            let wakes =
                awake.filter_map(|(id, server)| Some(((server.node.as_ref()?.next_wake()? - Mono(HOUR.0)).0, *id)));
            let wake = wakes.min();
            // Messages before ticks.
            match (event, wake) {
                (Some(at), wake) if at <= end && wake.is_none_or(|(wake, _)| at <= wake) => {
                    self.now = self.now.max(at);
                    let (_, (to, event)) = self.queue.pop_first().expect("an event was seen");
                    self.take(to, event);
                }
                (_, Some((wake, id))) if wake <= end => {
                    self.now = self.now.max(wake);
                    self.feed(id, Input::Tick { late: Span(0) });
                }
                _ => break,
            }
        }
        self.now = end;
    }

    pub fn ms(&self) -> u64 {
        self.now / 1000
    }
    pub fn node(&self, id: ServerId) -> &Node {
        self.servers[&id].node.as_ref().expect("the server runs")
    }
    pub fn server(&mut self, id: ServerId) -> &mut Server {
        self.servers.get_mut(&id).expect("a server of the story")
    }

    /// Starts a server with what its disk holds; everybody who can reaches it.
    pub fn start(&mut self, id: ServerId) {
        let now = self.now_at(id);
        let peers: Vec<ServerId> = self.servers.keys().copied().filter(|peer| *peer != id).collect();
        let tuning = self.tuning;
        let server = self.server(id);
        server.boot += 1;
        let identity = Identity { server: id, incarnation: Incarnation(1), boot: server.boot, started: now.wall };
        let restored = server.disk.values().cloned().collect();
        server.node = Some(Node::new(identity, tuning, peers.clone(), standing(), restored, now));
        for peer in peers {
            self.connect(id, peer);
        }
    }

    /// The process is killed: its peers see the connection refused.
    pub fn kill(&mut self, id: ServerId) {
        self.power_off(id);
        for peer in self.others(id) {
            if !self.is_cut(id, peer) {
                let input = Input::Link { peer: id, seen: LinkSeen::Refused };
                self.later(ONE_WAY, peer, input);
            }
        }
    }

    /// The machine goes dark: nobody is told anything.
    pub fn power_off(&mut self, id: ServerId) {
        let server = self.server(id);
        server.node = None;
        server.boot += 1;
        server.paused = false;
        server.waiting.clear();
        server.halted.clear();
    }

    pub fn cut(&mut self, a: ServerId, b: ServerId) {
        self.cuts.insert((a.min(b), a.max(b)));
    }
    pub fn heal(&mut self, a: ServerId, b: ServerId) {
        self.cuts.remove(&(a.min(b), a.max(b)));
        self.connect(a, b);
    }

    /// The process stands still, as under SIGSTOP; messages wait in its sockets.
    pub fn pause(&mut self, id: ServerId) {
        self.server(id).paused = true;
    }
    pub fn wake(&mut self, id: ServerId) {
        let server = self.server(id);
        server.paused = false;
        for input in std::mem::take(&mut server.waiting) {
            self.feed(id, input);
        }
        self.feed(id, Input::Tick { late: Span(0) });
    }

    /// A page for `endpoints` endpoints comes in at a server.
    pub fn trigger(&mut self, at: ServerId, content: &Content) -> u64 {
        self.tickets += 1;
        self.feed(at, Input::Trigger { ticket: Ticket(self.tickets), content: content.clone() });
        self.tickets
    }
    pub fn stop(&mut self, at: ServerId, what: StopWhat) -> u64 {
        self.tickets += 1;
        self.feed(at, Input::Stop { ticket: Ticket(self.tickets), what });
        self.tickets
    }

    pub fn feed(&mut self, id: ServerId, input: Input) {
        let now = self.now_at(id);
        let server = self.server(id);
        if server.paused {
            server.waiting.push(input);
            return;
        }
        let Some(node) = server.node.as_mut() else { return };
        for output in node.step(now, input) {
            self.carry_out(id, output);
        }
    }

    /// A message as if it came from the mesh.
    pub fn say(&mut self, from: ServerId, to: ServerId, message: PeerMessage) {
        self.feed(to, Input::Message { from, message });
    }

    fn carry_out(&mut self, id: ServerId, output: Output) {
        let at = self.ms();
        let mut log = |did| self.did.push((at, id, did));
        match output {
            Output::Accepted { ticket, degraded, duplicate, .. } => {
                log(Did::Accepted { ticket: ticket.0, degraded, duplicate });
            }
            Output::Refused { ticket, reason } => log(Did::Refused { ticket: ticket.0, reason }),
            Output::Send { to, message } => {
                if self.servers[&to].node.is_some() && !self.is_cut(id, to) {
                    self.queue_at(ONE_WAY, to, Event::Message { from: id, message: Box::new(message) });
                }
            }
            Output::Persist { ticket, record, .. } => {
                let boot = self.servers[&id].boot;
                self.queue_at(FSYNC, id, Event::Written { boot, ticket, record: Box::new(record) });
            }
            Output::Deliver { activation, attempt, states, content, listen_first } => {
                let open = |index: &usize| !states[*index].is_final();
                let endpoints: Vec<usize> = (0..content.endpoints.len()).filter(open).collect();
                log(Did::Deliver { activation, attempt, endpoints: endpoints.clone(), listen_first });
                let Server { boot, pace, mute, .. } = self.servers[&id];
                self.server(id).halted.remove(&activation);
                if mute {
                    return;
                }
                for (turn, endpoint) in endpoints.iter().enumerate() {
                    let event = Event::Contact { boot, activation, attempt, endpoint: *endpoint };
                    self.queue_at(pace * (turn as u64 + 1), id, event);
                }
                let input = Input::DeliveryEnded { activation, attempt };
                self.later(pace * (endpoints.len() as u64 + 1), id, input);
            }
            Output::Halt { activation, reason } => {
                log(Did::Halt { activation, reason });
                self.server(id).halted.insert(activation);
            }
            Output::Ended { record } => log(Did::Ended(record)),
            Output::Rehearsed { activation, seen } => log(Did::Rehearsed { activation, seen }),
            Output::Notice(notice) => log(Did::Notice(notice)),
        }
    }

    fn take(&mut self, to: ServerId, event: Event) {
        let server = self.servers.get_mut(&to).expect("a server of the story");
        let (alive, fails) = (server.boot, server.disk_fails);
        match event {
            Event::Input { boot, input } => {
                if boot == alive {
                    self.feed(to, *input);
                }
            }
            Event::Message { from, message } => {
                if !self.is_cut(from, to) {
                    self.say(from, to, *message);
                }
            }
            Event::Written { boot, ticket, record } if boot == alive => {
                if fails {
                    self.feed(to, Input::PersistFailed { ticket, reason: "no space left on device".to_owned() });
                    return;
                }
                match *record {
                    Record::Activation(known) => {
                        server.disk.insert(known.content.id, *known);
                    }
                    Record::Forget(id) => {
                        server.disk.remove(&id);
                        self.did.push((self.now / 1000, to, Did::Forgot(id)));
                    }
                }
                self.feed(to, Input::Persisted { ticket });
            }
            Event::Contact { boot, activation, attempt, endpoint } if boot == alive => {
                if server.paused {
                    // It goes on where it stood when the process wakes.
                    self.queue_at(10, to, Event::Contact { boot, activation, attempt, endpoint });
                } else if !server.halted.contains(&activation) {
                    self.did.push((self.now / 1000, to, Did::Reached { activation, endpoint }));
                    let states = vec![(endpoint as u32, EndpointState::Acked { note: String::new() })];
                    self.feed(to, Input::Progress { activation, attempt, states });
                }
            }
            Event::Written { .. } | Event::Contact { .. } => {}
        }
    }

    fn connect(&mut self, a: ServerId, b: ServerId) {
        if self.is_cut(a, b) || self.servers[&a].node.is_none() || self.servers[&b].node.is_none() {
            return;
        }
        for (at, peer) in [(a, b), (b, a)] {
            let boot = self.servers[&peer].boot;
            let seen = LinkSeen::Connected { incarnation: Incarnation(1), boot };
            self.later(ONE_WAY, at, Input::Link { peer, seen });
        }
    }

    fn later(&mut self, ms: u64, id: ServerId, input: Input) {
        let boot = self.servers[&id].boot;
        self.queue_at(ms, id, Event::Input { boot, input: Box::new(input) });
    }
    fn queue_at(&mut self, ms: u64, id: ServerId, event: Event) {
        self.order += 1;
        self.queue.insert((self.now + ms * 1000, self.order), (id, event));
    }
    fn others(&self, id: ServerId) -> Vec<ServerId> {
        self.servers.keys().copied().filter(|other| *other != id).collect()
    }
    fn is_cut(&self, a: ServerId, b: ServerId) -> bool {
        self.cuts.contains(&(a.min(b), a.max(b)))
    }
    /// Both clocks as a server reads them.
    pub fn now_at(&self, id: ServerId) -> Now {
        // An hour of monotonic time has passed before the story, so that nothing rests on it starting at 0.
        Now { mono: Mono(self.now) + HOUR, wall: Wall(MORNING + self.now as i64 / 1000 + self.servers[&id].ahead) }
    }
}
