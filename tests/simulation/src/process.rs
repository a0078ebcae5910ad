//! How servers start, go down, and find each other again.

use std::collections::VecDeque;

use onealert_core::{
    event::{Input, LinkSeen},
    knowledge::Knowledge,
    life::Life,
    node::Node,
};

use crate::{
    history::FaultKind,
    network::Parcel,
    server::{Down, Server, Write},
    world::{Event, World, id},
};

impl World {
    /// A server starts with what its disk holds.
    pub(crate) fn start(&mut self, at: usize) {
        for peer in 0..self.servers.len() {
            if peer != at && self.network.end(at, peer) {
                self.feed(peer, Input::Link { peer: id(at), seen: LinkSeen::Lost });
            }
        }
        self.servers[at].boot += 1;
        self.start_copy(at);
        let (standing, peers) = (self.standing(at), self.members_but(at));
        let server = &mut self.servers[at];
        server.down = None;
        (server.disk_busy_us, server.disk_next_us) = (0, 0);
        let now = server.clocks(self.now_us);
        let restored: Vec<Knowledge> = server.disk.values().cloned().collect();
        let node = Node::new(server.identity(id(at), now), self.tuning, peers, standing, restored, now);
        server.wake_us = node.next_wake().map(|_| self.now_us);
        server.node = Some(node);
        self.note(|| format!("--- server {at} starts"));
        if matches!(self.servers[at].copy.life, Life::Inert | Life::Restored | Life::Unlicensed) {
            self.feed(at, Input::Retire);
        }
        self.look_at_licence(at);
        if self.has_plans(at) {
            self.compute_bells(at);
        }
        if self.now_us > 0 {
            self.history.lasted(FaultKind::Crash, at, self.now_us);
            self.history.fault(FaultKind::Restart, at, self.now_us, self.now_us);
        }
        for peer in (0..self.servers.len()).filter(|peer| *peer != at) {
            let delay = self.draw("dial", at, peer).between(500, 20_000);
            self.after(delay, Event::Dial { a: at, b: peer });
        }
    }

    /// A server that has its configuration computes what is due, and what was while it was away, also where it is too late for it.
    pub(crate) fn compute_bells(&mut self, at: usize) {
        for (number, bell) in self.history.bells.clone().into_iter().enumerate() {
            if bell.group.contains(&id(at)) {
                let delay = self.draw("bell", at, number).between(0, 40_000);
                self.after(delay, Event::Rings { at, content: Box::new(bell) });
            }
        }
    }

    /// A server goes down. What its disk had not confirmed is lost from some write on.
    pub(crate) fn go_down(&mut self, at: usize, down: Down, back_after_ms: Option<u64>) {
        if self.servers[at].node.is_none() {
            return;
        }
        self.note(|| format!("--- server {at} goes down"));
        let kept = self.draw("kept", at, 0).index(self.servers[at].writes.len() + 1);
        let full = self.now_us < self.servers[at].full_until_us;
        let server = &mut self.servers[at];
        let writes: VecDeque<Write> = std::mem::take(&mut server.writes);
        let reached = server.copy.jobs.pop_front().filter(|_| !full);
        server.node = None;
        server.down = Some(down);
        server.boot += 1;
        server.paused = false;
        server.waiting.clear();
        server.deliveries.clear();
        server.took_over.clear();
        server.came_late.clear();
        server.wake_us = None;
        server.leaving_ms = None;
        if let Some(to) = server.upgrade_to.take() {
            server.copy.product = to;
        }
        let boot = server.boot;
        self.lines_of_the_dead_end(at, down == Down::Power);
        for write in writes.into_iter().take(kept) {
            match write {
                Write::Ended(record) => self.recorded(at, *record),
                Write::Record { record, haste, .. } if !full => self.store(at, *record, haste),
                Write::Record { .. } => {}
            }
        }
        if down == Down::Power {
            self.servers[at].lose_power();
        }
        // The transaction that was being written is there or not; nobody was told.
        if let Some((_, job)) = reached.filter(|_| self.draw("reached", at, 0).chance(50)) {
            self.reached(at, job);
        }
        self.servers[at].copy.forget_process();
        self.history.gone(at);
        // Until it is back.
        self.history.fault(FaultKind::Crash, at, self.now_us, u64::MAX);
        for peer in (0..self.servers.len()).filter(|peer| *peer != at) {
            let Some(connection) = self.network.connection(at, peer) else { continue };
            if down == Down::Power {
                let timeout = self.draw("timeout", at, peer).between(500_000, 4_000_000);
                self.after(timeout, Event::TimesOut { a: at, b: peer, connection });
            } else if self.draw("reset", at, peer).chance(50) {
                // What it had sent arrives, then the end of the connection.
                let last =
                    self.network.drained(at, peer, self.now_us) + self.draw("close", at, peer).between(100, 2_000);
                self.at(last, Event::Closes { from: at, to: peer, connection });
            } else {
                // A reset overtakes what was under way.
                self.disconnect(at, peer, 3_000);
            }
        }
        if let Some(back_after_ms) = back_after_ms {
            self.after(back_after_ms * 1000, Event::Starts { at, boot });
        }
    }

    /// The connection of two servers ends; they dial again within `dial_us`.
    pub(crate) fn disconnect(&mut self, a: usize, b: usize, dial_us: u64) {
        if !self.network.end(a, b) {
            return;
        }
        for (at, peer) in [(a, b), (b, a)] {
            self.feed(at, Input::Link { peer: id(peer), seen: LinkSeen::Lost });
        }
        let delay = self.draw("dial", a, b).between(dial_us / 10, dial_us);
        self.after(delay, Event::Dial { a, b });
    }

    pub(crate) fn dial(&mut self, a: usize, b: usize) {
        if self.network.connection(a, b).is_some() {
            return;
        }
        let [one, other] = [&self.servers[a], &self.servers[b]];
        if one.down.is_some() && other.down.is_some() {
            // Whoever starts first dials.
            return;
        }
        // Who is not in the other's configuration is not let in.
        let strangers = !self.members_but(a).contains(&id(b)) || !self.members_but(b).contains(&id(a));
        let cut = strangers || self.network.is_cut(a, b);
        if strangers && !self.network.is_cut(a, b) && self.servers[a].is_awake() && self.servers[b].is_awake() {
            self.turned_away(a, b);
            self.turned_away(b, a);
        }
        let [one, other] = [&self.servers[a], &self.servers[b]];
        if !cut && one.is_awake() && other.is_awake() {
            self.network.connect(a, b);
            for (from, to) in [(a, b), (b, a)] {
                let Server { incarnation, boot, .. } = self.servers[from];
                self.post(from, to, Parcel::Hello { incarnation, boot });
            }
            return;
        }
        for (at, peer) in [(a, b), (b, a)] {
            if !cut && self.servers[at].is_awake() && self.servers[peer].down == Some(Down::Process) {
                self.feed(at, Input::Link { peer: id(peer), seen: LinkSeen::Refused });
                // Nothing changes before it starts, and then it dials.
                return;
            }
        }
        let delay = self.draw("redial", a, b).between(100_000, 250_000);
        self.after(delay, Event::Dial { a, b });
    }
}
