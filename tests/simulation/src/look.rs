//! What can be seen of the installation at a moment: who follows whom, what a server says of itself, whether anything is left
//! to do.

use onealert_core::{
    ids::EpochId,
    life::{Deed, Life},
    lineage::{Kinship, PrimaryAddress, kinship},
    members,
    peer_message::Standing,
    replicate::{Digests, Enrolment, Position},
};

use crate::{
    server::Server,
    world::{Event, World, id, place},
};

impl World {
    /// What a server tells its peers of itself.
    pub(crate) fn standing(&self, at: usize) -> Standing {
        let server = &self.servers[at];
        let copy = &server.copy;
        let nowhere = Position { epoch: EpochId(0), lsn: 0, digests: Digests::default() };
        Standing {
            position: copy.position.clone().unwrap_or(nowhere),
            newest_epoch: copy.newest.last().map_or(EpochId(0), |epoch| epoch.id),
            versions: copy.versions(),
            started: server.clocks(self.now_us).wall,
            status: String::new(),
            generation: copy.generation(),
            health: Default::default(),
        }
    }

    /// Whether a server's edited rows will be mended: it follows a primary, or is one.
    pub(crate) fn mends(&self, at: usize) -> bool {
        let now = self.servers[at].clocks(self.now_us).mono;
        let writes = self.servers[at].is_awake() && self.servers[at].copy.may(at, now, Deed::Configure);
        writes || self.followers().any(|(follower, _)| follower == at)
    }

    /// The secondaries that can have the configuration of the primary that they know, and which one that is.
    pub(crate) fn followers(&self) -> impl Iterator<Item = (usize, usize)> {
        self.running().filter_map(|(at, _)| {
            let (server, copy) = (&self.servers[at], &self.servers[at].copy);
            let primary = place(self.primary_of(at)?.server);
            let (other, theirs) = (&self.servers[primary], &self.servers[primary].copy);
            let now = |server: &Server| server.clocks(self.now_us).mono;
            let reached = server.is_awake() && other.is_awake() && !self.network.is_cut(at, primary);
            let welcome =
                members::enrolment(&theirs.config, id(at), self.licence_limit(primary)) == Enrolment::Enrolled;
            let follows = copy.may(at, now(server), Deed::Follow) && theirs.may(primary, now(other), Deed::Publish);
            let counts = !matches!(kinship(&theirs.lineage, &copy.newest), Kinship::TheirsCounts { .. });
            let same = copy.product == theirs.product && counts;
            (reached && welcome && follows && same).then_some((at, primary))
        })
    }

    /// Whom a server follows, as far as it knows.
    pub(crate) fn primary_of(&self, at: usize) -> Option<PrimaryAddress> {
        let copy = &self.servers[at].copy;
        let primary = copy.told_primary.clone().or_else(|| copy.config.primary().map(PrimaryAddress::from));
        primary.filter(|primary| primary.server != id(at))
    }

    /// Whether nothing is left to do anywhere: everything that can heal has healed, and every activation has ended.
    pub(crate) fn is_settled(&self) -> bool {
        let others = self.queue.values().any(|event| {
            matches!(
                event,
                Event::Starts { .. }
                    | Event::Heals { .. }
                    | Event::Wakes { .. }
                    | Event::Unsticks { .. }
                    | Event::Rings { .. }
                    | Event::Happens(_)
            )
        });
        let busy = |server: &Server| {
            let Some(node) = &server.node else { return false };
            // Who is out of service goes on with nothing.
            let over = node.is_retired();
            !server.writes.is_empty()
                || !over && (node.is_resuming() || node.activations().any(|known| known.ended.is_none()))
        };
        let behind = || {
            let mut followers = self.followers();
            followers.any(|(at, primary)| {
                let out = self.servers[at].copy.life == Life::Unlicensed;
                out || self.servers[at].copy.position != self.servers[primary].copy.position
            })
        };
        let edited = || self.law.edited.iter().any(|at| self.mends(*at));
        !others && !self.servers.iter().any(busy) && !behind() && !edited()
    }
}
