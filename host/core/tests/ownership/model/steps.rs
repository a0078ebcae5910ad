//! How the states follow from each other.

use stateright::{Model, Property};

use super::{
    Action, ENDPOINTS, Knowledge, Life, MOST_ATTEMPTS, Ownership, SERVERS, Server, Set, State, Trigger, link,
    properties,
};

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
        properties::all()
    }
}
