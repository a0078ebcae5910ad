//! Who may use an endpoint or an RTP address at the moment: of two activations the more urgent, of two equal ones the newer.

use std::{collections::BTreeMap, net::SocketAddr};

use onealert_core::{
    config::Priority,
    ids::{ActivationId, EndpointId},
};

/// What only one activation can use at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// An endpoint: its strobe, its display, its relay.
    Endpoint(EndpointId),
    /// An address that audio is sent to; several endpoints may listen to one multicast group.
    Rtp(SocketAddr),
}

/// Who holds something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The activation.
    pub activation: ActivationId,
    /// How urgent it is.
    pub priority: Priority,
    /// The notification's name, for reasons.
    pub name: String,
}

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody else had it.
    Free,
    /// It was taken from this one, which has to be told.
    TakenFrom(Holder),
    /// This one keeps it.
    Busy(Holder),
}

/// Who holds what.
#[derive(Debug, Default)]
pub struct Claims(BTreeMap<Thing, Holder>);

impl Claims {
    /// Claims a thing. What a less or equally urgent activation held is taken from it.
    pub fn claim(&mut self, thing: Thing, by: &Holder) -> Claimed {
        match self.0.get(&thing) {
            Some(holder) if holder.activation == by.activation => Claimed::Free,
            Some(holder) if holder.priority > by.priority => Claimed::Busy(holder.clone()),
            _ => match self.0.insert(thing, by.clone()) {
                Some(before) => Claimed::TakenFrom(before),
                None => Claimed::Free,
            },
        }
    }

    /// Who holds the thing.
    pub fn holder(&self, thing: &Thing) -> Option<&Holder> {
        self.0.get(thing)
    }

    /// Gives up everything that the activation holds.
    pub fn release(&mut self, activation: ActivationId) {
        self.0.retain(|_, holder| holder.activation != activation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(activation: u128, priority: Priority) -> Holder {
        Holder { activation: ActivationId(activation), priority, name: format!("n{activation}") }
    }

    #[test]
    fn the_more_urgent_keeps_and_of_equals_the_newer_takes() {
        let mut claims = Claims::default();
        let speaker = || Thing::Endpoint(EndpointId::from("hall"));
        let (bell, alarm, second) =
            (holder(1, Priority::Bell), holder(2, Priority::Emergency), holder(3, Priority::Emergency));
        assert_eq!(claims.claim(speaker(), &bell), Claimed::Free);
        assert_eq!(claims.claim(speaker(), &alarm), Claimed::TakenFrom(bell.clone()));
        assert_eq!(claims.claim(speaker(), &bell), Claimed::Busy(alarm.clone()));
        assert_eq!(claims.claim(speaker(), &second), Claimed::TakenFrom(alarm.clone()));
        claims.release(alarm.activation);
        assert_eq!(claims.holder(&speaker()), Some(&second), "releasing the loser frees nothing of the winner");
    }
}
