//! What must hold in every state, and what must be seen in some.

use stateright::Property;

use super::{Ownership, SERVERS, Set, State, Trigger};

pub fn all() -> Vec<Property<Ownership>> {
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
