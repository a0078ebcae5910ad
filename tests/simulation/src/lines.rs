//! The connections on which configuration travels: a secondary calls its primary, messages arrive in order, and a cut or the
//! end of either process ends the connection with everything on it.

use onealert_core::life::Deed;
use onealert_peers::sync::message::{Down, Up};

use crate::{
    copy::{Feed, Job},
    world::{Event, World, place},
};

/// How long a side without news of the other says where it stands.
const BEAT_US: u64 = 1_000_000;

/// One message on a synchronisation connection.
#[derive(Debug, Clone)]
pub enum Talk {
    Up(Up),
    Down(Down),
}

impl World {
    /// A secondary calls, unless it is connected or has nobody to call.
    pub(crate) fn call(&mut self, at: usize) {
        let now = self.servers[at].clocks(self.now_us).mono;
        let copy = &self.servers[at].copy;
        let wants = copy.may(at, now, Deed::Follow) || matches!(copy.life, onealert_core::life::Life::Inert);
        if !self.servers[at].is_awake() || copy.follow.line.is_some() || !wants {
            return self.call_later(at, 500_000);
        }
        match self.primary_of(at).map(|primary| place(primary.server)) {
            Some(primary) if self.servers[primary].is_awake() && !self.network.is_cut(at, primary) => {
                self.lines += 1;
                let line = self.lines;
                self.servers[at].copy.follow.line = Some(line);
                self.servers[primary].copy.feeds.insert(
                    at,
                    Feed { line, streaming: None, snapshot: None, records_only: false, waits_for_version: false },
                );
                let hello = self.hello(at);
                self.talk(at, primary, line, Talk::Up(hello));
                let (one, other) = (self.servers[at].boot, self.servers[primary].boot);
                self.after(BEAT_US, Event::Beats { at, boot: one, peer: primary, line });
                self.after(BEAT_US, Event::Beats { at: primary, boot: other, peer: at, line });
            }
            _ => self.call_later(at, 200_000),
        }
    }

    pub(crate) fn call_later(&mut self, at: usize, us: u64) {
        let boot = self.servers[at].boot;
        let delay = self.draw("call", at, 0).between(us / 2, us);
        self.after(delay, Event::Calls { at, boot });
    }

    /// A message leaves.
    pub(crate) fn talk(&mut self, from: usize, to: usize, line: u64, talk: Talk) {
        let delay = self.draw("talk", from, to).between(50, self.schedule.slowest_way_us);
        let last = self.talk_last_us.entry((from, to)).or_default();
        *last = (*last + 1).max(self.now_us + delay);
        let at_us = *last;
        self.note(|| format!("{from} => {to} {talk:?}"));
        self.at(at_us, Event::Talks { from, to, line, talk: Box::new(talk) });
    }

    pub(crate) fn talked(&mut self, from: usize, to: usize, line: u64, talk: Talk) {
        if self.network.is_cut(from, to) {
            // Sent again and again until one of the two gives up.
            let patience = self.draw("gives up", from, to).between(500_000, 4_000_000);
            self.after(patience, Event::LineEnds { at: from, peer: to, line });
            self.after(patience, Event::LineEnds { at: to, peer: from, line });
            return;
        }
        if self.servers[to].node.is_none() || !self.is_line(to, from, line) {
            return;
        }
        if self.servers[to].paused {
            self.after(20_000, Event::Talks { from, to, line, talk: Box::new(talk) });
            return;
        }
        match talk {
            Talk::Up(message) => self.publisher_hears(to, from, line, message),
            Talk::Down(message) => self.follower_hears(to, from, line, message),
        }
    }

    /// Whether this connection is the one that a server has with another.
    pub(crate) fn is_line(&self, at: usize, peer: usize, line: u64) -> bool {
        let copy = &self.servers[at].copy;
        copy.follow.line == Some(line) || copy.feeds.get(&peer).is_some_and(|feed| feed.line == line)
    }

    /// A side of a connection learns that it is over.
    pub(crate) fn line_ends(&mut self, at: usize, peer: usize, line: u64) {
        let copy = &mut self.servers[at].copy;
        if copy.feeds.get(&peer).is_some_and(|feed| feed.line == line) {
            copy.feeds.remove(&peer);
        }
        if copy.follow.line == Some(line) {
            self.hang_up(at);
        }
    }

    /// A secondary leaves its connection and calls again later. What it was gathering is asked for anew.
    pub(crate) fn hang_up(&mut self, at: usize) {
        let copy = &mut self.servers[at].copy;
        let Some(line) = copy.follow.line else { return };
        let suspects = std::mem::take(&mut copy.follow.suspects);
        copy.follow = crate::copy::Follow { suspects, ..Default::default() };
        let feeding = (0..self.servers.len())
            .find(|peer| self.servers[*peer].copy.feeds.get(&at).is_some_and(|feed| feed.line == line));
        if let Some(peer) = feeding {
            self.after(1_000, Event::LineEnds { at: peer, peer: at, line });
        }
        self.call_later(at, 200_000);
    }

    /// Both ends of every connection of a server that goes down: the other side hears of it soon, or after its patience.
    pub(crate) fn lines_of_the_dead_end(&mut self, at: usize, dark: bool) {
        let mut ends: Vec<(usize, u64)> =
            self.servers[at].copy.feeds.iter().map(|(peer, feed)| (*peer, feed.line)).collect();
        if let Some(line) = self.servers[at].copy.follow.line {
            let holds = |peer: &usize| self.servers[*peer].copy.feeds.get(&at).is_some_and(|feed| feed.line == line);
            ends.extend((0..self.servers.len()).find(holds).map(|peer| (peer, line)));
        }
        for (peer, line) in ends {
            let mut draw = self.draw("line ends", at, peer);
            let delay = if dark { draw.between(500_000, 4_000_000) } else { draw.between(100, 3_000) };
            self.after(delay, Event::LineEnds { at: peer, peer: at, line });
        }
    }

    /// Each side says regularly where it stands.
    pub(crate) fn beats(&mut self, at: usize, peer: usize, line: u64) {
        if !self.is_line(at, peer, line) {
            return;
        }
        let boot = self.servers[at].boot;
        self.after(BEAT_US, Event::Beats { at, boot, peer, line });
        if self.servers[at].paused {
            return;
        }
        if self.servers[at].copy.follow.line == Some(line) {
            self.acknowledge(at, peer, line);
        } else {
            self.send_head(at, peer);
        }
    }

    /// Work is given to the disk; `line` is 0 where it belongs to no connection.
    pub(crate) fn give(&mut self, at: usize, line: u64, job: Job) {
        let slow = self.now_us < self.servers[at].slow_until_us;
        let mut draw = self.draw("store", at, self.servers[at].copy.jobs.len());
        let takes = if slow { draw.between(100_000, 1_500_000) } else { draw.between(300, 12_000) };
        let now_us = self.now_us;
        let server = &mut self.servers[at];
        server.store_busy_us = server.store_busy_us.max(now_us) + takes;
        server.copy.jobs.push_back((line, job));
        let (done, boot) = (server.store_busy_us, server.boot);
        self.at(done, Event::Stored { at, boot });
    }
}
