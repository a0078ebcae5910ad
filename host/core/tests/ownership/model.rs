//! The ownership rules of the redundancy sheet, section 4.3, as a model: three servers, one activation, every order of events
//! and faults.
//!
//! Servers may have drivers that do not match (`fits`): each knows its own and believes of the others what they last told.
//!
//! What it leaves out: clocks and budgets (waiting for a budget is the same as suspecting), the disk (what a server knows is
//! durable at once), lost and repeated messages (a push may happen at any later time or never, and joins), configuration.
//! Those are the simulator's.

use std::ops::{BitAnd, BitOr};

use stateright::{Model, Property};

/// Servers in the order of the priority group.
pub const SERVERS: usize = 3;
/// Room for endpoints; [`Bounds::endpoints`] says how many are used.
const ENDPOINTS: usize = 2;

/// Attempts that are followed.
const MOST_ATTEMPTS: u8 = 4;

type Server = usize;
type Endpoint = usize;

/// Which rules are obeyed. A test removes one and expects the checker to notice.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Rule 1: accepted only with a second copy, or with nobody else believed up.
    pub accept_needs_a_copy: bool,
    /// Rule 3: nothing is delivered before a second copy exists, or nobody else is believed up.
    pub deliver_needs_a_copy: bool,
    /// Rule 5: the first server that is believed up goes on for an owner that is believed down.
    pub take_over: bool,
    /// Rule 5: a successor delivers only when its claim is confirmed, or nobody else is believed up.
    pub claim_needs_confirmation: bool,
    /// A server whose drivers match is preferred (design, D9).
    pub prefer_matching: bool,
    /// Rule 8: a server that was away does nothing until every other has answered or is believed down.
    pub ask_before_resuming: bool,
}

/// All of them.
pub const ALL: Rules = Rules {
    accept_needs_a_copy: true,
    deliver_needs_a_copy: true,
    take_over: true,
    claim_needs_confirmation: true,
    prefer_matching: true,
    ask_before_resuming: true,
};

/// How much may go wrong in one run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    pub endpoints: usize,
    pub crashes: u8,
    pub restarts: u8,
    /// Links cut between two servers; each may heal.
    pub cuts: u8,
    /// Suspicions of a server that is up and connected.
    pub false_suspicions: u8,
    /// Servers whose drivers may not match from the beginning.
    pub misfits: u8,
    /// Changes of a server's drivers while it runs, from matching to not and back.
    pub refits: u8,
    /// A timed event: every server knows it from the beginning.
    pub timed: bool,
}

/// The rules within bounds.
#[derive(Debug, Clone, Copy)]
pub struct Ownership {
    pub rules: Rules,
    pub bounds: Bounds,
}

/// A few servers or endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Set(u8);

impl Set {
    fn all(count: usize) -> Set {
        Set((1 << count) - 1)
    }
    fn has(self, member: usize) -> bool {
        self.0 >> member & 1 == 1
    }
    fn with(self, member: usize) -> Set {
        Set(self.0 | 1 << member)
    }
    fn without(self, member: usize) -> Set {
        Set(self.0 & !(1 << member))
    }
    fn is_empty(self) -> bool {
        self.0 == 0
    }
}
impl BitOr for Set {
    type Output = Set;
    fn bitor(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }
}
impl BitAnd for Set {
    type Output = Set;
    fn bitand(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }
}

/// What a server knows of the activation: survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Knowledge {
    attempt: u8,
    owner: u8,
    /// The owner of this attempt has begun; belongs to the claim.
    started: bool,
    acked: Set,
}

impl Knowledge {
    fn claim(self) -> (u8, u8) {
        (self.attempt, self.owner)
    }
    fn joined(self, other: Knowledge) -> Knowledge {
        let theirs_is_higher = (other.attempt, self.owner) > (self.attempt, other.owner);
        let (attempt, owner) = if theirs_is_higher { other.claim() } else { self.claim() };
        let started = [self, other].iter().any(|it| it.started && it.claim() == (attempt, owner));
        Knowledge { attempt, owner, started, acked: self.acked | other.acked }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Life {
    up: bool,
    knows: Option<Knowledge>,
    /// Who is known to hold the claim as this server knows it. This and what follows is lost in a crash.
    confirmed: Set,
    suspects: Set,
    /// Whose drivers match, as this server was told; its own place is what is true of itself.
    fits: Set,
    /// Who has answered since this server was away.
    answered: Set,
    /// Endpoints handed to the driver whose acknowledgement is not recorded.
    under_way: Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Trigger {
    Awaited,
    Arrived { at: u8 },
    Accepted { degraded: bool },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    servers: [Life; SERVERS],
    trigger: Trigger,
    /// How often each endpoint was reached.
    reached: [u8; ENDPOINTS],
    /// Links by [`link`].
    cut: Set,
    crashes: u8,
    restarts: u8,
    cuts: u8,
    heals: u8,
    false_suspicions: u8,
    refits: u8,
    /// A server without matching drivers has delivered, although one with them was up at that moment.
    slighted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The trigger comes in.
    Arrive(Server),
    /// The server that was asked says "accepted".
    Accept,
    /// One tells another what it knows, and is told that it is stored.
    Push(Server, Server),
    /// The owner hands an endpoint to its driver, and the endpoint gets it.
    Deliver(Server, Endpoint),
    /// The acknowledgement is recorded.
    Record(Server, Endpoint),
    /// Nothing is heard for long enough.
    Suspect(Server, Server),
    /// The suspected one is heard again.
    Trust(Server, Server),
    TakeOver(Server),
    /// The first tells the second whether its drivers match.
    TellFit(Server, Server),
    /// A driver is replaced on a server: what matched does not any more, or the other way round.
    Refit(Server),
    Crash(Server),
    Restart(Server),
    Cut(Server, Server),
    Heal(Server, Server),
    SuspectFalsely(Server, Server),
}

impl Ownership {
    fn others(server: Server) -> impl Iterator<Item = Server> {
        (0..SERVERS).filter(move |other| *other != server)
    }

    fn believes_all_others_down(state: &State, server: Server) -> bool {
        Self::others(server).all(|other| state.servers[server].suspects.has(other))
    }

    /// The first of the group that `server` believes up and matching; where none matches, the first that is up.
    fn best_up(&self, state: &State, server: Server) -> Server {
        let life = &state.servers[server];
        let up = |other: &Server| *other == server || !life.suspects.has(*other);
        let fits = |other: &Server| !self.rules.prefer_matching || life.fits.has(*other);
        let best = (0..SERVERS).filter(up).find(fits);
        best.or_else(|| (0..SERVERS).find(up)).expect("a server believes in itself")
    }

    /// Whether a timed event that nobody has begun passes on from its first owner, as `server` sees it.
    fn passes_on(&self, server: Server, state: &State, knows: Knowledge) -> bool {
        let fits = !self.rules.prefer_matching || state.servers[server].fits.has(knows.owner.into());
        self.bounds.timed && knows.attempt == 0 && !knows.started && !fits
    }

    fn has_a_copy_elsewhere(state: &State, server: Server) -> bool {
        !state.servers[server].confirmed.is_empty() || Self::believes_all_others_down(state, server)
    }

    /// Rule 8.
    fn may_resume(&self, state: &State, server: Server) -> bool {
        let life = &state.servers[server];
        let heard = |other| life.answered.has(other) || life.suspects.has(other);
        !self.rules.ask_before_resuming || Self::others(server).all(heard)
    }

    /// Rules 2, 3, 5 and 8: whether `server` may hand an endpoint to its driver.
    fn may_deliver(&self, state: &State, server: Server) -> bool {
        let life = &state.servers[server];
        let Some(knows) = life.knows.filter(|knows| life.up && usize::from(knows.owner) == server) else {
            return false;
        };
        let needs_a_copy = match knows.attempt {
            0 => self.rules.deliver_needs_a_copy && !self.bounds.timed,
            _ => self.rules.deliver_needs_a_copy && self.rules.claim_needs_confirmation,
        };
        // Another server matches: it takes the event, and this one does not start beside it.
        let waits = self.passes_on(server, state, knows) && self.best_up(state, server) != server;
        self.may_resume(state, server) && !waits && (!needs_a_copy || Self::has_a_copy_elsewhere(state, server))
    }

    /// Rule 5.
    fn may_take_over(&self, state: &State, server: Server) -> bool {
        let life = &state.servers[server];
        let Some(knows) = life.knows.filter(|_| self.rules.take_over) else { return false };
        let unfinished = knows.acked != Set::all(self.bounds.endpoints);
        let gives_up = life.suspects.has(knows.owner.into()) || self.passes_on(server, state, knows);
        let owner_is_gone = usize::from(knows.owner) != server && gives_up;
        unfinished && owner_is_gone && self.may_resume(state, server) && self.best_up(state, server) == server
    }

    /// Everything that the servers do by themselves. Where this is empty nothing more can happen without a fault.
    fn duties(&self, state: &State, actions: &mut Vec<Action>) {
        for server in (0..SERVERS).filter(|server| state.servers[*server].up) {
            self.duties_of(state, server, actions);
        }
        if let Trigger::Arrived { at } = state.trigger {
            let at = usize::from(at);
            let safe = !self.rules.accept_needs_a_copy || Self::has_a_copy_elsewhere(state, at);
            if state.servers[at].up && state.servers[at].knows.is_some() && safe {
                actions.push(Action::Accept);
            }
        }
    }

    fn duties_of(&self, state: &State, server: Server, actions: &mut Vec<Action>) {
        let life = &state.servers[server];
        if state.trigger == Trigger::Awaited && self.may_resume(state, server) {
            actions.push(Action::Arrive(server));
        }
        for other in Self::others(server) {
            if state.connected(server, other) && state.servers[other].fits.has(server) != life.fits.has(server) {
                actions.push(Action::TellFit(server, other));
            }
            let suspected = life.suspects.has(other);
            match (state.connected(server, other), suspected) {
                (true, true) => actions.push(Action::Trust(server, other)),
                (false, false) => actions.push(Action::Suspect(server, other)),
                (true, false) if state.push_changes(server, other) => actions.push(Action::Push(server, other)),
                _ => {}
            }
        }
        let acked = life.knows.map_or(Set::default(), |knows| knows.acked);
        for endpoint in 0..self.bounds.endpoints {
            if life.under_way.has(endpoint) {
                actions.push(Action::Record(server, endpoint));
            } else if !acked.has(endpoint) && self.may_deliver(state, server) {
                actions.push(Action::Deliver(server, endpoint));
            }
        }
        if self.may_take_over(state, server) {
            actions.push(Action::TakeOver(server));
        }
    }

    fn faults(&self, state: &State, actions: &mut Vec<Action>) {
        let bounds = &self.bounds;
        for server in 0..SERVERS {
            let up = state.servers[server].up;
            if up && state.crashes < bounds.crashes {
                actions.push(Action::Crash(server));
            }
            if up && state.refits < bounds.refits {
                actions.push(Action::Refit(server));
            }
            if !up && state.restarts < bounds.restarts {
                actions.push(Action::Restart(server));
            }
            for other in Self::others(server) {
                let cut = state.cut.has(link(server, other));
                if server < other && cut && state.heals < bounds.cuts {
                    actions.push(Action::Heal(server, other));
                }
                if server < other && !cut && state.cuts < bounds.cuts {
                    actions.push(Action::Cut(server, other));
                }
                let trusted = !state.servers[server].suspects.has(other);
                if state.connected(server, other) && trusted && state.false_suspicions < bounds.false_suspicions {
                    actions.push(Action::SuspectFalsely(server, other));
                }
            }
        }
    }

    fn is_quiet(&self, state: &State) -> bool {
        let mut actions = Vec::new();
        self.duties(state, &mut actions);
        actions.is_empty() && state.cut.is_empty()
    }

    fn all_reached(&self, state: &State) -> bool {
        state.reached[..self.bounds.endpoints].iter().all(|times| *times > 0)
    }
}

impl State {
    fn connected(&self, one: Server, other: Server) -> bool {
        self.servers[one].up && self.servers[other].up && !self.cut.has(link(one, other))
    }

    /// Whether a push tells the receiver, or its answer the sender, anything.
    fn push_changes(&self, from: Server, to: Server) -> bool {
        let (sender, receiver) = (&self.servers[from], &self.servers[to]);
        if receiver.suspects.has(from) {
            return false;
        }
        let joined = join(receiver.knows, sender.knows);
        let confirms = sender.knows.is_some_and(|knows| joined.is_some_and(|joined| joined.claim() == knows.claim()));
        joined != receiver.knows || !receiver.answered.has(from) || (confirms && !sender.confirmed.has(to))
    }

    fn push(&mut self, from: Server, to: Server) {
        let told = self.servers[from].knows;
        let receiver = &mut self.servers[to];
        receiver.answered = receiver.answered.with(from);
        let before = receiver.knows;
        receiver.knows = join(before, told);
        let claim = |knows: Option<Knowledge>| knows.map(Knowledge::claim);
        if claim(receiver.knows) != claim(before) {
            receiver.confirmed = Set::default();
        }
        if told.is_some() && claim(told) == claim(receiver.knows) {
            receiver.confirmed = receiver.confirmed.with(from);
            let sender = &mut self.servers[from];
            sender.confirmed = sender.confirmed.with(to);
        }
    }

    fn suspect(&mut self, server: Server, other: Server) {
        let life = &mut self.servers[server];
        life.suspects = life.suspects.with(other);
        life.confirmed = life.confirmed.without(other);
    }

    fn accepted(&self) -> bool {
        matches!(self.trigger, Trigger::Accepted { .. })
    }
    fn accepted_safely(&self) -> bool {
        self.trigger == Trigger::Accepted { degraded: false }
    }
    fn a_holder_is_up(&self) -> bool {
        self.servers.iter().any(|life| life.up && life.knows.is_some())
    }
}

fn link(one: Server, other: Server) -> usize {
    // With three servers the sum names the pair: 1, 2 or 3.
    one + other
}

fn join(known: Option<Knowledge>, told: Option<Knowledge>) -> Option<Knowledge> {
    match (known, told) {
        (Some(known), Some(told)) => Some(known.joined(told)),
        (known, told) => known.or(told),
    }
}

impl Model for Ownership {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let known = Knowledge { attempt: 0, owner: 0, started: false, acked: Set::default() };
        let life = |server, fits| Life {
            up: true,
            fits,
            knows: self.bounds.timed.then_some(known),
            confirmed: Set::default(),
            suspects: Set::default(),
            answered: Set::all(SERVERS).without(server),
            under_way: Set::default(),
        };
        let trigger = if self.bounds.timed { Trigger::Accepted { degraded: false } } else { Trigger::Awaited };
        let few_misfits =
            |fits: &Set| (0..SERVERS).filter(|server| !fits.has(*server)).count() <= self.bounds.misfits.into();
        let start = |fits| State {
            servers: std::array::from_fn(|server| life(server, fits)),
            trigger,
            reached: [0; ENDPOINTS],
            cut: Set::default(),
            crashes: 0,
            restarts: 0,
            cuts: 0,
            heals: 0,
            false_suspicions: 0,
            refits: 0,
            slighted: false,
        };
        (0..1 << SERVERS).map(Set).filter(few_misfits).map(start).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.duties(state, actions);
        self.faults(state, actions);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Arrive(server) => {
                state.trigger = Trigger::Arrived { at: server as u8 };
                let owner = self.best_up(before, server) as u8;
                state.servers[server].knows =
                    Some(Knowledge { attempt: 0, owner, started: false, acked: Set::default() });
            }
            Action::Accept => {
                let Trigger::Arrived { at } = before.trigger else { return None };
                let degraded = Self::believes_all_others_down(before, at.into());
                state.trigger = Trigger::Accepted { degraded };
            }
            Action::Push(from, to) => state.push(from, to),
            Action::Deliver(server, endpoint) => {
                let life = &mut state.servers[server];
                life.under_way = life.under_way.with(endpoint);
                // Only the passing on of a timed event looks at it.
                life.knows.as_mut().expect("only what is known is delivered").started = self.bounds.timed;
                let fits = |server: Server| before.servers[server].fits.has(server);
                state.slighted |= !fits(server) && Self::others(server).any(|it| before.servers[it].up && fits(it));
                state.reached[endpoint] += 1;
            }
            Action::Record(server, endpoint) => {
                let life = &mut state.servers[server];
                life.under_way = life.under_way.without(endpoint);
                let knows = life.knows.as_mut().expect("only what is known is delivered");
                knows.acked = knows.acked.with(endpoint);
            }
            Action::Suspect(server, other) => state.suspect(server, other),
            Action::SuspectFalsely(server, other) => {
                state.false_suspicions += 1;
                state.suspect(server, other);
            }
            Action::Trust(server, other) => {
                let life = &mut state.servers[server];
                life.suspects = life.suspects.without(other);
                life.answered = life.answered.without(other);
            }
            Action::TakeOver(server) => {
                let life = &mut state.servers[server];
                let knows = life.knows.as_mut().expect("only what is known is taken over");
                knows.attempt += 1;
                knows.owner = server as u8;
                knows.started = false;
                life.confirmed = Set::default();
            }
            Action::TellFit(from, to) => {
                let fits = before.servers[from].fits.has(from);
                let told = &mut state.servers[to].fits;
                *told = if fits { told.with(from) } else { told.without(from) };
            }
            Action::Refit(server) => {
                state.refits += 1;
                let fits = &mut state.servers[server].fits;
                *fits = if fits.has(server) { fits.without(server) } else { fits.with(server) };
            }
            Action::Crash(server) => {
                state.crashes += 1;
                let life = &mut state.servers[server];
                let (knows, fits) = (life.knows, life.fits);
                let nothing = Set::default();
                *life = Life {
                    up: false,
                    knows,
                    fits,
                    confirmed: nothing,
                    suspects: nothing,
                    answered: nothing,
                    under_way: nothing,
                };
            }
            Action::Restart(server) => {
                state.restarts += 1;
                state.servers[server].up = true;
            }
            Action::Cut(one, other) => {
                state.cuts += 1;
                state.cut = state.cut.with(link(one, other));
            }
            Action::Heal(one, other) => {
                state.heals += 1;
                state.cut = state.cut.without(link(one, other));
            }
        }
        Some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        // Where two servers cannot hear each other but both hear the third, these rules let them take over from each other
        // for ever. The node breaks that ring by asking the third; here it is followed for a few turns.
        state.servers.iter().filter_map(|life| life.knows).all(|knows| knows.attempt <= MOST_ATTEMPTS)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(I1, |_, state: &State| {
                !state.accepted_safely() || state.crashes > 1 || {
                    // With one crash at most, one of two copies is on a server that is up.
                    state.a_holder_is_up()
                }
            }),
            Property::always(I2, |model: &Ownership, state: &State| {
                let concerned = state.accepted() && state.a_holder_is_up();
                !concerned || model.all_reached(state) || !model.is_quiet(state)
            }),
            Property::always(I3, |_, state: &State| {
                // Where drivers change, two servers may differ for a moment about who matches.
                let disturbed = state.crashes + state.cuts + state.false_suspicions + state.refits > 0;
                disturbed || state.reached.iter().all(|times| *times <= 1)
            }),
            Property::always(I4, |_, state: &State| {
                let faults = state.crashes + state.restarts + state.cuts + state.false_suspicions;
                let most = 1 + faults + state.refits;
                state.reached.iter().all(|times| *times <= most)
            }),
            Property::always(I5, |model: &Ownership, state: &State| {
                let deliverers = (0..SERVERS).filter(|server| model.may_deliver(state, *server)).count();
                state.cuts + state.false_suspicions + state.refits > 0 || deliverers <= 1
            }),
            Property::always(I6, |model: &Ownership, state: &State| {
                let begun = state.reached.iter().any(|times| *times > 0);
                let concerned = begun && state.crashes <= 1 && state.trigger != Trigger::Accepted { degraded: true };
                !concerned || model.all_reached(state) || !model.is_quiet(state)
            }),
            Property::always(MATCHING, |_, state: &State| {
                let faults = state.crashes + state.cuts + state.false_suspicions + state.refits;
                faults > 0 || !state.slighted
            }),
            Property::sometimes(SUCCESS, |model: &Ownership, state: &State| model.all_reached(state)),
            Property::sometimes(SUCCESSION, |model: &Ownership, state: &State| {
                let done = Set::all(model.bounds.endpoints);
                state.servers.iter().filter_map(|life| life.knows).any(|knows| knows.attempt > 0 && knows.acked == done)
            }),
            Property::sometimes(DUPLICATE, |_, state: &State| state.reached.iter().any(|times| *times > 1)),
        ]
    }
}

pub const I1: &str = "I1 what was accepted is on a server that is up, or was held by two that crashed";
pub const I2: &str = "I2 when nothing more can happen, every endpoint of what was accepted was reached";
pub const I3: &str = "I3 without faults each endpoint is reached once";
pub const I4: &str = "I4 an endpoint is not reached more often than there were faults";
pub const I5: &str = "I5 with crashes only, two servers may never deliver at one moment";
pub const I6: &str = "I6 with one crash at most, a page that reached anybody reaches everybody";
pub const MATCHING: &str =
    "I-D9 without faults nobody delivers whose drivers do not match while a matching server is up";
/// A run without faults can reach every endpoint.
pub const SUCCESS: &str = "reached: every endpoint";
/// A successor can finish: the check looks at takeovers, not only at their absence.
pub const SUCCESSION: &str = "reached: a successor that finishes";
/// Duplicates are possible with faults: the bound of I4 is not met for free.
pub const DUPLICATE: &str = "reached: an endpoint twice";
