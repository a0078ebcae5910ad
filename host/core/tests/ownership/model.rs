//! The ownership rules of the redundancy sheet, section 4.3, as a model: three servers, one activation, every order of events
//! and faults.
//!
//! Servers may have drivers that do not match (`fits`): each knows its own and believes of the others what they last told.
//!
//! What it leaves out: clocks and budgets (waiting for a budget is the same as suspecting), the disk (what a server knows is
//! durable at once), lost and repeated messages (a push may happen at any later time or never, and joins), configuration.
//! Those are the simulator's.

mod properties;
mod set;
mod steps;

pub use properties::*;
use set::Set;

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
