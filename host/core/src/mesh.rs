//! What the node does about its peers: signs of life, links, suspicion, hold-downs, and the questions of rule 8.

use crate::{
    alive::{Contact, Peer},
    effect::{Absence, DownReason, Notice, Output},
    event::LinkSeen,
    ids::ServerId,
    knowledge::Knowledge,
    node::Node,
    peer_message::{Echo, Heartbeat, PeerMessage},
    time::Span,
};

/// How many of our own heartbeats are remembered for the clock estimate.
const BEATS: usize = 64;

impl Node {
    /// A message of a peer. What is said by a server that is no peer (never enrolled, or removed) counts for nothing.
    pub(crate) fn message(&mut self, from: ServerId, message: PeerMessage) {
        let now = self.now.mono;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if peer.heard(now) == Contact::Regained {
            self.regained(from);
        }
        match message {
            PeerMessage::Heartbeat(heartbeat) => self.heartbeat_of(from, *heartbeat),
            PeerMessage::Push { knowledge, confirm } => self.learn(from, &knowledge, confirm),
            PeerMessage::Have { activation, attempt, owner, stopped } => {
                self.note_have(from, activation, (attempt, owner), stopped);
            }
            PeerMessage::Share { activation, states } => self.learn_states(from, activation, &states),
            PeerMessage::Ask { round, unfinished } => self.tell(from, round, &unfinished),
            PeerMessage::Told { round } => {
                let peer = self.peers.get_mut(&from).expect("looked up above");
                if peer.asking == Some(round) {
                    peer.asking = None;
                }
            }
        }
    }

    /// What the transport sees of a peer.
    pub(crate) fn link(&mut self, id: ServerId, seen: LinkSeen) {
        let now = self.now.mono;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        match seen {
            LinkSeen::Connected { incarnation, boot } => {
                if peer.connected(now, (incarnation, boot)) == Contact::Regained {
                    self.regained(id);
                } else {
                    self.beat(id);
                }
                self.push_own_to(id);
            }
            LinkSeen::Refused => self.lose(id, DownReason::Refused),
            LinkSeen::Lost => {}
        }
    }

    /// The membership changed.
    pub(crate) fn set_peers(&mut self, peers: &[ServerId]) {
        let now = self.now.mono;
        self.peers.retain(|id, _| peers.contains(id));
        for id in peers.iter().filter(|id| **id != self.identity.server) {
            self.peers.entry(*id).or_insert_with(|| Peer::new(*id, now));
        }
    }

    /// A sign of life to every peer.
    pub(crate) fn heartbeat(&mut self) {
        self.heartbeat_at = self.now.mono + self.tuning.heartbeat();
        self.seq += 1;
        if self.beats.len() == BEATS {
            self.beats.pop_front();
        }
        self.beats.push_back((self.seq, self.now.mono));
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            self.beat(id);
        }
    }

    /// This server's loop ran `late`. By more than a heartbeat it was away: it suspects nobody for that time, and asks
    /// before it resumes (rule 8).
    pub(crate) fn was_late(&mut self, late: Span) {
        // Both the shell and the node measure, and messages come before the tick: one absence counts once.
        let known = self.resumed.is_some_and(|at| self.now.mono - at <= late);
        // Before its first heartbeat this server asks anyway.
        if late <= self.tuning.heartbeat() || known || self.seq == 0 {
            return;
        }
        self.resumed = Some(self.now.mono);
        self.out.push(Output::Notice(Notice::Resumed { late_ms: late.as_millis() }));
        self.round += 1;
        for peer in self.peers.values_mut().filter(|peer| peer.lives()) {
            peer.excuse(late, self.now.mono);
            peer.asking = Some(self.round);
        }
        self.halt_what_expired();
        self.heartbeat();
    }

    /// Believes those down who were silent for too long.
    pub(crate) fn suspect_the_silent(&mut self) {
        let (now, suspicion) = (self.now.mono, self.tuning.suspicion());
        let silent = self.peers.values().filter(|peer| peer.is_silent(now, suspicion));
        for id in silent.map(|peer| peer.id).collect::<Vec<_>>() {
            self.lose(id, DownReason::Silent);
        }
    }

    fn heartbeat_of(&mut self, from: ServerId, heartbeat: Heartbeat) {
        let (now, wall) = (self.now.mono, self.now.wall);
        let peer = self.peers.get_mut(&from).expect("the caller looked it up");
        peer.echo =
            Some(Echo { seq: heartbeat.seq, sent_us: heartbeat.sent_us, arrived_us: wall.0.saturating_mul(1000) });
        let answered = heartbeat.echo.and_then(|echo| {
            let sent = self.beats.iter().find(|(seq, _)| *seq == echo.seq)?;
            Some((echo, sent.1))
        });
        if let Some((echo, asked)) = answered {
            peer.offset.heard(&echo, heartbeat.sent_us, asked, now, wall);
        }
        if let Some((offset_ms, level)) = peer.offset.worse() {
            self.out.push(Output::Notice(Notice::ClockOffset { peer: from, level, offset_ms }));
        }
        if heartbeat.draining != peer.draining {
            let notice = if heartbeat.draining {
                Notice::PeerDown { peer: from, why: DownReason::Draining, absence: Absence::Announced }
            } else {
                Notice::PeerUp { peer: from }
            };
            self.out.push(Output::Notice(notice));
        }
        peer.draining = heartbeat.draining;
        peer.says = heartbeat.holds;
        peer.hears = heartbeat.hears;
        peer.running = heartbeat.running;
        peer.standing = Some(heartbeat.standing);
        self.hear_releases(&heartbeat.releases);
        self.hear_holds(from);
    }

    /// A peer that was away is back, or heard for the first time. It may have missed things and so may we: it is asked
    /// before unfinished activations go on, and if this server has been up for long enough to judge, the peer is held.
    fn regained(&mut self, id: ServerId) {
        let now = self.now.mono;
        // Also where there is no time to wait: a server that has just come up would hold everybody else for an operator.
        let may_judge = now - self.born >= self.settling();
        self.round += 1;
        let peer = self.peers.get_mut(&id).expect("the caller looked it up");
        peer.asking = Some(self.round);
        if may_judge {
            peer.hold.begin(now, &self.tuning, self.policy.manual_return);
        }
        self.out.push(Output::Notice(Notice::PeerUp { peer: id }));
        // The others learn at once who is held: until they do, two servers could think differently about a bell.
        self.heartbeat_at = now;
    }

    fn lose(&mut self, id: ServerId, why: DownReason) {
        let peer = self.peers.get_mut(&id).expect("the caller looked it up");
        if peer.lose(why) {
            let absence = peer.absence();
            self.out.push(Output::Notice(Notice::PeerDown { peer: id, why, absence }));
            // Others may wait for this: they leave alone what a server runs that somebody hears.
            self.heartbeat_at = self.now.mono;
        }
        if why == DownReason::Silent {
            self.ask_about(id);
        }
        for run in &self.active {
            // What a server confirmed does not count while it is believed down.
            self.runs.get_mut(run).expect("active activations are known").have.remove(&id);
        }
    }

    /// How long a server has to be up before it judges others: whoever has just come up knows nothing of what was before.
    pub fn settling(&self) -> Span {
        self.tuning.hold_down().max(self.tuning.suspicion().times(2))
    }

    /// How many activations this server owns that have not ended.
    pub fn running(&self) -> u32 {
        let mine = |known: &Knowledge| {
            known.ended.is_none() && known.content.drill.is_none() && known.owner == self.identity.server
        };
        self.active.iter().filter(|id| mine(&self.runs[*id].known)).count() as u32
    }

    fn beat(&mut self, to: ServerId) {
        let holds = self.holds_to_say();
        let hears =
            self.peers.values().filter(|peer| peer.lives() && peer.last_heard.is_some()).map(|peer| peer.id).collect();
        let peer = &self.peers[&to];
        if !peer.may_be_connected() {
            return;
        }
        let heartbeat = Heartbeat {
            seq: self.seq,
            sent_us: self.now.wall.0.saturating_mul(1000),
            echo: peer.echo,
            standing: self.standing.clone(),
            draining: self.draining,
            holds,
            hears,
            running: self.running(),
            releases: self.releases_to_say(),
        };
        let asking = peer.asking;
        self.send(to, PeerMessage::Heartbeat(Box::new(heartbeat)));
        if let Some(round) = asking {
            // Asked again with every heartbeat: a question that was lost must not silence this server.
            let unfinished = self.active.iter().copied().collect();
            self.send(to, PeerMessage::Ask { round, unfinished });
        }
    }
}
