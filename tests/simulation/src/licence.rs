//! The licence: who is left out, how a server learns of it, and that it comes back by itself when it is covered again.

use onealert_core::{
    config::{Change, Role, Setting, Table},
    event::Input,
    life::{Deed, Life},
    members,
};

use crate::{
    history::FaultKind,
    planted::Planted,
    server::Down,
    world::{World, id},
};

impl World {
    /// How many secondaries a primary lets in: what its configuration says, or its file.
    pub(crate) fn licence_limit(&self, at: usize) -> u32 {
        let row = self.servers[at].copy.config.settings.get(members::LICENCE);
        let limit = row.and_then(|row| row.value.as_u64());
        limit.map_or(self.licence, |limit| u32::try_from(limit).unwrap_or(u32::MAX))
    }

    /// An administrator changes the licence, at the first server that takes configuration; or somebody changes the files.
    pub(crate) fn change_licence(&mut self, secondaries: u32, in_file: bool) {
        if in_file {
            self.licence = secondaries;
            return;
        }
        let row = Setting { name: members::LICENCE.to_owned(), value: secondaries.into() };
        for at in 0..self.servers.len() {
            if self.try_commit(at, vec![Change::put(Table::Settings, members::LICENCE, &row)]) {
                return;
            }
        }
    }

    /// A secondary looks whether its own configuration leaves it out.
    pub(crate) fn look_at_licence(&mut self, at: usize) {
        let copy = &self.servers[at].copy;
        if copy.role(at) == Role::Secondary && members::left_out(&copy.config, id(at)) {
            self.unlicensed(at);
        }
    }

    /// The licence leaves a server out, by its configuration or by the primary's word: it remembers that, halts, and follows
    /// the configuration.
    pub(crate) fn unlicensed(&mut self, at: usize) {
        if self.servers[at].copy.life != Life::Active || self.servers[at].node.is_none() {
            return;
        }
        self.note(|| format!("--- server {at} is told that it is not licensed"));
        self.servers[at].copy.life = Life::Unlicensed;
        self.history.fault(FaultKind::Unlicensed, at, self.now_us, u64::MAX);
        if self.planted == Some(Planted::UnlicensedStillDelivers) {
            return;
        }
        self.feed(at, Input::Retire);
        for peer in (0..self.servers.len()).filter(|peer| *peer != at) {
            self.disconnect(at, peer, 100_000);
        }
    }

    /// A server's configuration has changed: it leaves those that it does not work with any more. From the moment in which one
    /// server passes another over until that one is told so, each may send without the other, as on two sides of a cut.
    pub(crate) fn leave_strangers(&mut self, at: usize) {
        if self.planted == Some(Planted::LeftOutIsCounted) {
            return;
        }
        for peer in (0..self.servers.len()).filter(|peer| *peer != at) {
            let config = &self.servers[at].copy.config;
            let gone = config.servers.get(&id(peer)).is_some_and(|row| row.deprovisioned);
            let left_out = members::left_out(config, id(peer));
            if !left_out && !gone {
                continue;
            }
            if self.network.connection(at, peer).is_some() {
                if left_out {
                    self.history.fault(FaultKind::Unlicensed, peer, self.now_us, u64::MAX);
                }
                self.disconnect(at, peer, 100_000);
            }
        }
    }

    /// A server calls another, whose configuration does not let it in, and is told why.
    pub(crate) fn turned_away(&mut self, caller: usize, by: usize) {
        let (theirs, copy) = (&self.servers[by].copy.config, &self.servers[caller].copy);
        let gone = theirs.servers.get(&id(caller)).is_some_and(|row| row.deprovisioned);
        let left_out = members::left_out(theirs, id(caller));
        // Not where it is the other one that was taken out: that is what its own list says.
        let named = copy.config.servers.get(&id(by)).is_some_and(|row| !row.deprovisioned);
        if gone && named {
            return self.retire(caller);
        }
        if !left_out || !named || members::left_out(&copy.config, id(by)) {
            return;
        }
        match copy.life {
            // What its own primary says counts before it.
            Life::Active if copy.role(caller) == Role::Secondary && !copy.follow.streaming => self.unlicensed(caller),
            Life::Fenced { .. } => self.feed(caller, Input::Retire),
            _ => {}
        }
    }

    /// A server is in step with a primary that hands it the configuration: where it was not licensed it is now, and starts
    /// anew. Says whether it does.
    pub(crate) fn licensed(&mut self, at: usize) -> bool {
        let copy = &self.servers[at].copy;
        let covered = copy.life == Life::Unlicensed && !members::left_out(&copy.config, id(at));
        if !covered || self.planted == Some(Planted::StaysUnlicensed) {
            return false;
        }
        self.note(|| format!("--- server {at} is licensed again"));
        let starts_after_ms = self.draw("licensed", at, 0).between(50, 500);
        self.go_down(at, Down::Process, Some(starts_after_ms));
        self.servers[at].copy.life = Life::Active;
        self.history.lasted(FaultKind::Unlicensed, at, self.now_us);
        true
    }

    /// Whether a caller gets anything but a refusal there.
    pub(crate) fn takes_calls(&self, at: usize) -> bool {
        let server = &self.servers[at];
        self.has_plans(at) && server.copy.may(at, server.clocks(self.now_us).mono, Deed::Send)
    }
}
