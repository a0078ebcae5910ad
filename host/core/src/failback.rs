//! Who is held after a return: judging, saying so, hearing it, and an operator's word (redundancy sheet, section 7).

use crate::{
    event::Policy,
    hold::Fitness,
    ids::ServerId,
    node::Node,
    peer_message::{Hold, Release},
    time::{Mono, Span},
    view::HoldView,
};

impl Node {
    /// Why a server that came back owns nothing yet, by our judgement and that of every peer that is up; `None`: it is not
    /// held.
    pub fn hold(&self, id: ServerId) -> Option<HoldView> {
        let me = self.identity.server;
        let ours = self.judgement(id).or_else(|| self.kept_back_hold().filter(|_| id == me));
        let ours = ours.map(|hold| (me, hold));
        // Of itself a server only says that it waits for an operator; its time is judged by others.
        let theirs = self.peers.values().filter(|peer| peer.lives()).flat_map(|peer| {
            let says = peer.says.iter().filter(move |hold| hold.server == id && (peer.id != id || hold.operator));
            says.map(|hold| (peer.id, *hold))
        });
        let mut all: Vec<(ServerId, Hold)> = ours.into_iter().chain(theirs).collect();
        all.sort_by_key(|(by, _)| *by);
        let most = |of: fn(&Hold) -> u64| Span::millis(all.iter().map(|(_, hold)| of(hold)).max().unwrap_or(0));
        let any = |of: fn(&Hold) -> bool| all.iter().any(|(_, hold)| of(hold));
        (!all.is_empty()).then(|| HoldView {
            since: most(|hold| hold.since_ms),
            remaining: most(|hold| hold.remaining_ms),
            operator: any(|hold| hold.operator),
            behind: any(|hold| hold.behind),
            clock: any(|hold| hold.clock),
            by: all.iter().map(|(by, _)| *by).collect(),
        })
    }

    /// The same in short: it is asked for every server of a group at every step.
    pub(crate) fn holds_back(&self, id: ServerId) -> bool {
        let judged = self.peers.get(&id).is_some_and(|peer| peer.hold.remaining(self.now.mono).is_some());
        let by_itself = id == self.identity.server && self.kept_back.is_some();
        let mut others = self.peers.values().filter(|peer| peer.lives());
        judged
            || by_itself
            || others.any(|peer| peer.says.iter().any(|hold| hold.server == id && (peer.id != id || hold.operator)))
    }

    /// Ends the hold-downs whose time is over and whose server is fit: in sync, clock within limits, and let return where an
    /// operator has a say.
    pub(crate) fn review_holds(&mut self) {
        let now = self.now.mono;
        let mut ended = false;
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            let fitness = self.fitness(id);
            ended |= self.peers.get_mut(&id).expect("listed above").hold.end_if(now, fitness);
        }
        let memory = self.tuning.hold_down_memory();
        self.released.retain(|_, at| now - *at < memory);
        if ended {
            self.heartbeat_at = now;
        }
    }

    pub(crate) fn set_policy(&mut self, policy: Policy) {
        if std::mem::replace(&mut self.policy, policy) == policy {
            return;
        }
        if !policy.manual_return {
            self.kept_back = None;
        }
        self.heartbeat_at = self.now.mono;
    }

    /// An operator lets a server return. All who judge it are told with the next heartbeat, at once, and for some time after,
    /// so that a word that was lost on the way arrives all the same.
    pub(crate) fn let_return(&mut self, server: ServerId) {
        self.released.insert(server, self.now.mono);
        self.release(server, self.now.mono);
        self.heartbeat_at = self.now.mono;
    }

    pub(crate) fn hear_releases(&mut self, releases: &[Release]) {
        for Release { server, age_ms } in releases {
            let at = Mono(self.now.mono.0.saturating_sub(Span::millis(*age_ms).0));
            let known_server = *server == self.identity.server || self.peers.contains_key(server);
            // On its way from one to the next a word grows younger by the time it travels: it is not news for that.
            let news = self.released.get(server).is_none_or(|known| *known + self.tuning.suspicion() < at);
            if known_server && news && self.now.mono - at < self.tuning.hold_down_memory() {
                self.released.insert(*server, at);
                self.heartbeat_at = self.now.mono;
            }
            self.release(*server, at);
        }
    }

    /// What a peer says of this server: that an operator has to let it return outlives the peer.
    pub(crate) fn hear_holds(&mut self, from: ServerId) {
        let me = self.identity.server;
        let told = self.peers[&from].says.iter().find(|hold| hold.server == me && hold.operator).copied();
        let Some(told) = told else { return };
        let since = Mono(self.now.mono.0.saturating_sub(Span::millis(told.since_ms).0));
        // A judge that has not heard of the operator's word yet repeats what is over.
        if self.released.get(&me).is_none_or(|at| *at + self.tuning.suspicion() < since) {
            self.kept_back.get_or_insert(since);
        }
    }

    /// Everything that is said of held servers in a heartbeat.
    pub(crate) fn holds_to_say(&self) -> Vec<Hold> {
        let judged = self.peers.keys().filter_map(|id| self.judgement(*id));
        judged.chain(self.kept_back_hold()).collect()
    }

    pub(crate) fn releases_to_say(&self) -> Vec<Release> {
        let said =
            |(server, at): (&ServerId, &Mono)| Release { server: *server, age_ms: (self.now.mono - *at).as_millis() };
        self.released.iter().map(said).collect()
    }

    fn release(&mut self, server: ServerId, at: Mono) {
        if server == self.identity.server {
            self.kept_back = self.kept_back.filter(|since| at < *since);
        } else if let Some(peer) = self.peers.get_mut(&server) {
            peer.hold.release(at);
        }
    }

    /// How this server judges a peer that came back.
    fn judgement(&self, id: ServerId) -> Option<Hold> {
        let (now, peer) = (self.now.mono, self.peers.get(&id)?);
        let remaining = peer.hold.remaining(now)?;
        let fitness = self.fitness(id);
        Some(Hold {
            server: id,
            remaining_ms: remaining.as_millis(),
            since_ms: peer.hold.since(now).unwrap_or_default().as_millis(),
            operator: peer.hold.waits_for_operator(fitness.manual),
            behind: !fitness.in_sync,
            clock: !fitness.on_time,
        })
    }

    fn kept_back_hold(&self) -> Option<Hold> {
        let since_ms = (self.now.mono - self.kept_back?).as_millis();
        let server = self.identity.server;
        Some(Hold { server, remaining_ms: 0, since_ms, operator: true, behind: false, clock: false })
    }

    fn fitness(&self, id: ServerId) -> Fitness {
        let (ours, newest) = (&self.standing.position, self.standing.newest_epoch);
        let peer = &self.peers[&id];
        let theirs = peer.standing.as_ref().map(|standing| &standing.position);
        let in_sync = theirs.is_some_and(|theirs| {
            // Either it is at least as far as we are, or it is in the newest generation and we are not.
            if theirs.epoch == ours.epoch { theirs.lsn >= ours.lsn } else { theirs.epoch == newest }
        });
        Fitness { in_sync, on_time: peer.offset.within_limits(), manual: self.policy.manual_return }
    }
}
