//! What a story looks at: who did what of an activation, and when.

use onealert_core::{
    activation::Content,
    effect::Outcome,
    ids::{ActivationId, ServerId},
};

use super::{Did, World};

impl World {
    /// Who delivered an activation to how many endpoints, in order.
    pub fn deliveries(&self, id: ActivationId) -> Vec<(ServerId, u32, Vec<usize>)> {
        let mut found = Vec::new();
        for (_, server, did) in &self.did {
            if let Did::Deliver { activation, attempt, endpoints, .. } = did
                && *activation == id
            {
                found.push((*server, *attempt, endpoints.clone()));
            }
        }
        found
    }

    /// How often each endpoint of an activation was reached.
    pub fn reached(&self, content: &Content) -> Vec<usize> {
        let mut times = vec![0; content.endpoints.len()];
        for (_, _, did) in &self.did {
            if let Did::Reached { activation, endpoint } = did
                && *activation == content.id
            {
                times[*endpoint] += 1;
            }
        }
        times
    }

    /// The records of an activation: which server, which attempt, how it ended.
    pub fn records(&self, id: ActivationId) -> Vec<(ServerId, u32, Outcome)> {
        let mut found = Vec::new();
        for (_, server, did) in &self.did {
            if let Did::Ended(record) = did
                && record.content.id == id
            {
                assert_eq!(record.server, *server, "a server records what it did itself");
                found.push((record.server, record.attempt, record.outcome));
            }
        }
        found
    }

    /// When and how a ticket was answered.
    pub fn answer(&self, ticket: u64) -> Option<(u64, Did)> {
        let mine = |did: &Did| match did {
            Did::Accepted { ticket: other, .. } | Did::Refused { ticket: other, .. } => *other == ticket,
            _ => false,
        };
        let answers: Vec<_> = self.did.iter().filter(|(_, _, did)| mine(did)).collect();
        assert!(answers.len() <= 1, "a ticket is answered once: {answers:?}");
        answers.first().map(|(at, _, did)| (*at, did.clone()))
    }

    /// When a server first did something.
    pub fn when(&self, id: ServerId, wanted: impl Fn(&Did) -> bool) -> Option<u64> {
        self.did.iter().find(|(_, server, did)| *server == id && wanted(did)).map(|(at, _, _)| *at)
    }
}
