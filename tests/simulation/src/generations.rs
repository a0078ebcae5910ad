//! Generations of the configuration: promotion, and what a server does when it hears of another one.

use onealert_core::{
    ids::EpochId,
    life::{Deed, Life},
    lineage::{self, Generation, Meeting},
    promotion,
};

use crate::{
    copy::Job,
    planted::Planted,
    world::{World, id, place},
};

impl World {
    /// An operator promotes a server; where another has more, that one.
    pub(crate) fn promote(&mut self, at: usize, although_primary_lives: bool) {
        let now = self.servers[at].clocks(self.now_us).mono;
        let copy = &self.servers[at].copy;
        let restored = copy.life == Life::Restored;
        if !self.servers[at].is_awake() || !(restored || copy.may(at, now, Deed::BePromoted)) {
            return;
        }
        let others: Vec<promotion::Told> =
            (0..self.servers.len()).filter(|other| *other != at).filter_map(|other| self.tells(at, other)).collect();
        let plan = promotion::plan(copy.position.as_ref(), &copy.lineage, &others);
        match plan {
            promotion::Plan::PrimaryLives { .. } if !although_primary_lives => return,
            promotion::Plan::TakeFirst { from, .. } if !restored => {
                // Simplest done by promoting the one that is ahead.
                let ahead = place(from);
                let now = self.servers[ahead].clocks(self.now_us).mono;
                if self.servers[ahead].copy.may(ahead, now, Deed::BePromoted) {
                    self.give(ahead, 0, Job::Promote(self.drawn_epoch(ahead)));
                }
                return;
            }
            _ => {}
        }
        self.give(at, 0, Job::Promote(self.drawn_epoch(at)));
    }

    fn drawn_epoch(&self, at: usize) -> EpochId {
        EpochId(u128::from(self.draw("epoch", at, 0).number()) << 64 | u128::from(self.now_us))
    }

    /// What a server says of itself to one that asks before a promotion, where it can be reached.
    fn tells(&self, asker: usize, at: usize) -> Option<promotion::Told> {
        let server = &self.servers[at];
        let reached = server.is_awake() && !self.network.is_cut(asker, at);
        let copy = &server.copy;
        reached.then(|| promotion::Told {
            server: id(at),
            name: format!("pa-{at}"),
            role: copy.role(at),
            life: copy.life,
            position: copy.position.clone(),
            lineage: copy.lineage.clone(),
        })
    }

    /// A server hears of a peer's generation: it may be fenced, or follow another primary from here on.
    pub(crate) fn meet(&mut self, at: usize, peer: usize, heard: &Generation) {
        let copy = &mut self.servers[at].copy;
        if let Some(opening) = &mut copy.opening {
            opening.heard(id(peer));
        }
        let ours = copy.lineage.last().map(|epoch| epoch.id);
        if heard.lineage.last().map(|epoch| epoch.id) == ours || copy.lineage.is_empty() {
            return;
        }
        match lineage::meet(id(at), copy.role(at), copy.life, &copy.lineage, &copy.newest, heard) {
            Meeting::Fence { by, fork } if self.planted != Some(Planted::FencesNobody) => {
                if copy.life != (Life::Fenced { by }) {
                    copy.life = Life::Fenced { by };
                    copy.feeds.clear();
                    copy.report_due = Some(fork);
                    copy.see(&heard.lineage);
                    self.note(|| format!("--- server {at} is fenced by {by}"));
                }
                // What the disk refuses is tried again with the next word of that generation.
                let full = self.now_us < self.servers[at].full_until_us;
                if let Some(fork) = self.servers[at].copy.report_due.take_if(|_| !full) {
                    self.report(at, fork);
                }
            }
            Meeting::Follow { primary, .. } => {
                copy.see(&heard.lineage);
                if copy.told_primary.as_ref() != Some(&primary) {
                    copy.told_primary = Some(primary);
                    self.hang_up(at);
                }
            }
            Meeting::Fence { .. } | Meeting::Nothing => {}
        }
    }
}
