//! Between a node and its world: what a node asks for is carried out, and what comes of it is told to it.

use onealert_core::{
    effect::{DownReason, Ended, Haste, Notice, Output, Record},
    event::{Input, LinkSeen},
    ids::Incarnation,
    node::Node,
    peer_message::PeerMessage,
    time::Mono,
};

use crate::{
    checks,
    history::{Accepted, FaultKind},
    late, law,
    network::Parcel,
    planted::Planted,
    server::{Down, Server, Write},
    world::{Event, World, id, place},
};

impl World {
    /// Gives one input to a node and carries out what it says.
    pub(crate) fn feed(&mut self, at: usize, mut input: Input) {
        let server = &mut self.servers[at];
        if server.paused {
            server.waiting.push(input);
            return;
        }
        let now = server.clocks(self.now_us);
        let Some(node) = server.node.as_mut() else { return };
        if let Some(planted) = self.planted {
            planted.mislead(id(at), &mut input);
        }
        let told = self.trace.is_some().then(|| format!("{at} <- {input:?}"));
        let comes_in = match &input {
            Input::Trigger { content, .. } if node.knowledge(content.id).is_none() => Some(content.id),
            _ => None,
        };
        if let Input::Trigger { content, .. } = &input
            && comes_in.is_some()
            && content.due.is_some_and(|due| due < now.wall)
        {
            server.came_late.insert(content.id, now.mono);
        }
        let mut outputs = node.step(now, input.clone());
        let wake = node.next_wake();
        self.steps += 1;
        if let Some(planted) = self.planted {
            planted.spoil(id(at), &input, &mut outputs);
        }
        if let Some(told) = told {
            self.note(|| told);
            for output in &outputs {
                self.note(|| format!("{at} ->    {output:?}"));
            }
        }
        if let Some(Err(what)) = comes_in.map(|activation| law::i12_who_is_left_out_owns_nothing(self, at, activation))
        {
            self.violate("I12", what);
        }
        // The loop of a real server wakes a little late.
        let late = self.draw("tick", at, 0).between(0, 500);
        let server = &mut self.servers[at];
        server.wake_us = wake.map(|wake: Mono| server.world_us(wake).max(self.now_us) + late);
        for output in outputs {
            self.carry_out(at, output);
        }
        self.begin_unbacked(at, &input);
        let server = &self.servers[at];
        let drained = server.leaving_ms.filter(|_| server.node.as_ref().is_some_and(Node::is_drained));
        if let Some(back_after_ms) = drained.filter(|_| server.writes.is_empty()) {
            self.go_down(at, Down::Process, Some(back_after_ms));
        }
        let touched = self.history.take_touched();
        if let Err(violation) = checks::after_step(self, &touched) {
            self.violation.get_or_insert(violation);
        }
    }

    pub(crate) fn carry_out(&mut self, at: usize, output: Output) {
        match output {
            Output::Accepted { ticket, activation, degraded, .. } if !self.stops.contains(&ticket) => {
                let node = self.servers[at].node.as_ref();
                let over = node.and_then(|node| node.knowledge(activation)).is_some_and(|known| known.ended.is_some());
                let accepted = Accepted { at_us: self.now_us, server: at, degraded, over };
                if let Some(seen) = self.history.see(activation) {
                    seen.accepted.push(accepted);
                }
            }
            Output::Accepted { .. } | Output::Refused { .. } => {}
            Output::Send { to, message: PeerMessage::Ask { round, .. } }
                if self.planted == Some(Planted::AsksNobody) =>
            {
                self.feed(at, Input::Message { from: to, message: PeerMessage::Told { round } });
            }
            Output::Send { to, message } => self.post(at, place(to), Parcel::Message(Box::new(message))),
            Output::Persist { ticket, record, haste } => {
                self.write(at, Write::Record { ticket, record: Box::new(record), haste });
            }
            Output::Ended { record } => {
                let now_us = self.now_us;
                if let Some(seen) = self.history.see(record.content.id) {
                    seen.ended_us.get_or_insert(now_us);
                }
                if let Err(violation) = late::is_not_missed_unasked(self, at, &record) {
                    self.violation.get_or_insert(violation);
                }
                self.write(at, Write::Ended(record));
            }
            Output::Deliver { activation, attempt, states, .. } => {
                let why = self.servers[at].took_over.get(&(activation, attempt)).copied();
                if !self.planted.zip(why).is_some_and(|(planted, why)| planted.mutes(why)) {
                    self.deliver(at, activation, attempt, &states);
                }
            }
            Output::Halt { activation, reason } => self.halt(at, activation, reason),
            Output::Notice(Notice::PeerDown { peer, why: DownReason::Silent, .. }) => {
                if self.servers[place(peer)].node.is_some() {
                    let suspected = place(peer);
                    self.history.fault_between(FaultKind::FalseSuspicion, at, suspected, self.now_us, self.now_us);
                }
            }
            Output::Notice(Notice::TakenOver { activation, attempt, why, .. }) => {
                self.servers[at].took_over.insert((activation, attempt), why);
            }
            Output::Notice(_) | Output::Rehearsed { .. } => {}
        }
    }

    /// A parcel leaves, if a connection stands.
    pub(crate) fn post(&mut self, from: usize, to: usize, parcel: Parcel) {
        if let Some(connection) = self.network.connection(from, to) {
            let arrival = self.network.arrival(from, to, self.now_us, &mut self.draw("way", from, to));
            self.at(arrival, Event::Arrives { from, to, connection, parcel });
        }
    }

    pub(crate) fn hand_over(&mut self, from: usize, to: usize, parcel: Parcel) {
        let input = match parcel {
            Parcel::Hello { incarnation, boot } => {
                let seen = LinkSeen::Connected { incarnation: Incarnation(incarnation), boot };
                Input::Link { peer: id(from), seen }
            }
            Parcel::Message(message) => Input::Message { from: id(from), message: *message },
        };
        let heard = match &input {
            Input::Message { message: PeerMessage::Heartbeat(heartbeat), .. } if !self.servers[to].paused => {
                Some(heartbeat.standing.generation.clone())
            }
            _ => None,
        };
        self.feed(to, input);
        if let Some(heard) = heard.filter(|_| self.servers[to].node.is_some()) {
            self.meet(to, from, &heard);
        }
    }

    /// A write is given to the disk, which does together what came while it was busy.
    pub(crate) fn write(&mut self, at: usize, write: Write) {
        let slow = self.now_us < self.servers[at].slow_until_us;
        let mut draw = self.draw("disk", at, self.servers[at].writes.len());
        let takes = if slow { draw.between(100_000, 1_500_000) } else { draw.between(300, 12_000) };
        let now_us = self.now_us;
        let server = &mut self.servers[at];
        let done = server.commit_at(now_us, takes);
        server.writes.push_back(write);
        let boot = server.boot;
        if slow {
            self.history.lasted(FaultKind::Disk, at, done);
        }
        self.at(done, Event::Written { at, boot });
    }

    pub(crate) fn written(&mut self, at: usize) {
        let full = self.now_us < self.servers[at].full_until_us;
        let server = &mut self.servers[at];
        let Some(write) = server.writes.pop_front() else { return };
        let input = match write {
            Write::Ended(record) => return self.recorded(at, *record),
            Write::Record { ticket, .. } if full => {
                Input::PersistFailed { ticket, reason: "no space left on device".to_owned() }
            }
            Write::Record { ticket, record, haste } => {
                self.store(at, *record, haste);
                Input::Persisted { ticket }
            }
        };
        self.feed(at, input);
    }

    /// The record of an activation's end is durable.
    pub(crate) fn recorded(&mut self, at: usize, record: Ended) {
        let Ended { content, outcome, .. } = &record;
        self.log_end(at, &content.name.clone(), *outcome);
        law::recorded(self, at);
        self.servers[at].records.push(record);
    }

    /// What is known of an activation is durable, and all that was written before it, or will be soon. Attempts never go
    /// backwards (I10).
    pub(crate) fn store(&mut self, at: usize, record: Record, haste: Haste) {
        let id = match &record {
            Record::Activation(known) => known.content.id,
            Record::Forget(id) => *id,
        };
        let Server { disk, unsynced, .. } = &mut self.servers[at];
        match haste {
            Haste::Now => unsynced.clear(),
            Haste::Soon => {
                unsynced.entry(id).or_insert_with(|| disk.get(&id).cloned());
            }
        }
        match record {
            Record::Activation(known) => {
                let attempt = known.attempt;
                let before = disk.insert(id, *known).map_or(0, |before| before.attempt);
                if before > attempt {
                    self.violate("I10", format!("server {at} stores attempt {attempt} of {id} after {before}"));
                }
            }
            Record::Forget(_) => {
                disk.remove(&id);
                // Whoever forgot it may ask for it anew.
                self.servers[at].deliveries.retain(|(of, _), _| *of != id);
            }
        }
    }
}
