//! One server's mind: takes what happened, says what to do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    alive::Peer,
    effect::{Haste, Output, Ticket},
    event::{Input, Policy},
    ids::{ActivationId, DriverId, EventKey, Incarnation, ServerId},
    knowledge::Knowledge,
    order::{Use, Worth},
    peer_message::{PeerMessage, Standing},
    plan::Circumstances,
    run::Run,
    stop::StopWait,
    stored::Write,
    time::{Mono, Now, Span, Wall},
    tuning::Tuning,
    version::{DriverVersion, Fit, fit},
    view::PeerView,
};

/// Who this server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub server: ServerId,
    /// Which life of its data folder.
    pub incarnation: Incarnation,
    /// A number that differs at every start of the process.
    pub boot: u64,
    /// When the process was started.
    pub started: Wall,
}

/// One server's mind.
///
/// It decides which server owns an activation, when it is safe to answer "accepted", when to deliver, when to take over and
/// when to yield: the rules of the redundancy sheet, sections 4.3, 5 and 7. It reads no clock and draws no number: the same
/// inputs give the same outputs.
///
/// # What the shell promises
///
/// * **Messages before ticks.** Before it says [`Input::Tick`] it has handed over everything that waited in its sockets, so
///   that nobody is suspected because this server did not listen. `late` is how much later than asked the loop ran; the node
///   adds its own measure, the time since the wake that it had asked for. A lateness above one heartbeat interval means that
///   the server was away: rule 8 applies, and the time away does not count as anybody's silence.
/// * **Outputs in order.** The record of [`Output::Ended`] is written before a [`Output::Persist`] that follows it is carried
///   out: a crash between the two gives the record a second time (with equal activation, server and attempt, so that
///   inserting it again changes nothing), never not at all. If power loss takes the record, and not the end, the shell
///   writes it again at the next start, from what that start finds.
/// * **[`Input::Persisted`] of a [`Haste::Now`] only after fsync.** What is only wanted soon follows within about a second.
///   Every ticket is answered, in order, by `Persisted` or `PersistFailed`; several writes of one activation may be merged
///   into the last of them and answered together.
/// * **A delivery at most once.** [`Output::Deliver`] is given at most once for an attempt in the life of a process, but for
///   what has nobody to contact and only switches off. The shell reports with the attempt that it was given, and says
///   [`Input::DeliveryEnded`] once at the end of each delivery, also of a halted one. Indexes in [`Input::Progress`] refer to
///   the content that the delivery was given.
/// * **Links.** All messages of a connection are handed over before its end is told. [`crate::event::LinkSeen::Connected`] is
///   told at every connection that stands, also when it replaces another. `Refused` is told only after dialling again was
///   refused. After `Refused`, only `Connected` brings the peer back; silence is lifted by any message.
/// * **One clock.** `now.mono` never goes backwards between two steps.
///
/// Timed content (`due` is set) should be the same on every server to the last byte, `accepted` included, and may be
/// triggered before it is due: then ownership is settled before the moment comes.
#[derive(Debug)]
pub struct Node {
    pub(crate) identity: Identity,
    pub(crate) tuning: Tuning,
    pub(crate) standing: Standing,
    /// The moment of the step that runs.
    pub(crate) now: Now,
    pub(crate) born: Mono,
    pub(crate) peers: BTreeMap<ServerId, Peer>,
    pub(crate) runs: BTreeMap<ActivationId, Run>,
    /// The activations that are looked at in every step.
    pub(crate) active: BTreeSet<ActivationId>,
    pub(crate) forgets: BTreeSet<(Mono, ActivationId)>,
    pub(crate) writes: BTreeMap<Ticket, Write>,
    pub(crate) stops: Vec<StopWait>,
    /// Events that were stopped before anything of them was known here, and until when that is remembered.
    pub(crate) stopped_early: BTreeMap<EventKey, Mono>,
    pub(crate) heartbeat_at: Mono,
    pub(crate) mend_at: Mono,
    pub(crate) beats: VecDeque<(u64, Mono)>,
    pub(crate) seq: u64,
    pub(crate) round: u64,
    pub(crate) draining: bool,
    /// It was deprovisioned: nothing is done any more.
    pub(crate) retired: bool,
    pub(crate) policy: Policy,
    /// When an operator last let a server return.
    pub(crate) released: BTreeMap<ServerId, Mono>,
    /// This server came back at that moment and was told that an operator has to let it return: it says so itself, so that
    /// the word does not end with the life of the server that said it first.
    pub(crate) kept_back: Option<Mono>,
    /// When this server last found that it had been away.
    pub(crate) resumed: Option<Mono>,
    pub(crate) out: Vec<Output>,
    pub(crate) tickets: u64,
    pub(crate) wake: Option<Mono>,
}

impl Node {
    /// A server that starts, with what its disk gave back. It does nothing with unfinished activations until every peer of
    /// their group has answered or is believed down (rule 8).
    pub fn new(
        identity: Identity,
        tuning: Tuning,
        peers: Vec<ServerId>,
        standing: Standing,
        restored: Vec<Knowledge>,
        now: Now,
    ) -> Node {
        let mut node = Node {
            identity,
            tuning,
            standing,
            now,
            born: now.mono,
            peers: BTreeMap::new(),
            runs: BTreeMap::new(),
            active: BTreeSet::new(),
            forgets: BTreeSet::new(),
            writes: BTreeMap::new(),
            stops: Vec::new(),
            stopped_early: BTreeMap::new(),
            heartbeat_at: now.mono,
            mend_at: now.mono + tuning.suspicion(),
            beats: VecDeque::new(),
            seq: 0,
            round: 1,
            draining: false,
            retired: false,
            policy: Policy::default(),
            released: BTreeMap::new(),
            kept_back: None,
            resumed: None,
            out: Vec::new(),
            tickets: 0,
            wake: Some(now.mono),
        };
        for id in peers.into_iter().filter(|id| *id != identity.server) {
            let mut peer = Peer::new(id, now.mono);
            peer.asking = Some(node.round);
            node.peers.insert(id, peer);
        }
        for known in restored {
            node.restore(known);
        }
        node
    }

    /// Takes in one thing that happened; the outputs are to be carried out in order.
    pub fn step(&mut self, now: Now, input: Input) -> Vec<Output> {
        self.now = Now { mono: now.mono.max(self.now.mono), wall: now.wall };
        if self.retired {
            self.refuse_as_retired(&input);
            return std::mem::take(&mut self.out);
        }
        // Whatever comes first after an absence finds this server asking: nothing that waited in a socket may make it go on
        // with what others have taken over meanwhile.
        self.was_late(self.wake.map_or(Span(0), |wake| self.now.mono - wake));
        match input {
            Input::Trigger { ticket, content } => self.trigger(ticket, content),
            Input::Stop { ticket, what } => self.stop(ticket, &what),
            Input::Message { from, message } => self.message(from, message),
            Input::Link { peer, seen } => self.link(peer, seen),
            Input::Persisted { ticket } => self.persisted(ticket),
            Input::PersistFailed { ticket, reason } => self.persist_failed(ticket, reason),
            Input::Progress { activation, attempt, states } => self.progress(activation, attempt, &states),
            Input::DeliveryEnded { activation, attempt } => self.delivery_ended(activation, attempt),
            Input::Peers { peers } => self.set_peers(&peers),
            Input::Standing { standing } => {
                self.standing = standing;
                self.heartbeat_at = self.now.mono;
            }
            Input::Policy { policy } => self.set_policy(policy),
            Input::Return { server } => self.let_return(server),
            Input::Drain => {
                self.draining = true;
                self.heartbeat_at = self.now.mono;
            }
            Input::HandOver => self.hand_over(),
            Input::Retire => {
                self.retire();
                return std::mem::take(&mut self.out);
            }
            Input::Tick { late } => {
                self.was_late(late);
                self.suspect_the_silent();
            }
        }
        self.tidy();
        std::mem::take(&mut self.out)
    }

    /// When the node wants its next [`Input::Tick`], at the latest. `None` when nothing is awaited.
    pub fn next_wake(&self) -> Option<Mono> {
        self.wake
    }
    /// Who this server is.
    pub fn identity(&self) -> Identity {
        self.identity
    }
    /// The times in use.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }
    /// Every activation known here, the finished ones of the last 24 hours included and rehearsals left out, in order of id.
    pub fn activations(&self) -> impl Iterator<Item = &Knowledge> {
        self.runs.values().map(|run| &run.known).filter(|known| known.content.drill.is_none())
    }
    /// What is known of one activation.
    pub fn knowledge(&self, id: ActivationId) -> Option<&Knowledge> {
        self.runs.get(&id).map(|run| &run.known)
    }
    /// How long ago an activation was accepted, or was due, by this server's own clocks: what was handed over to it counts from
    /// when it came, since no two servers' clocks are compared.
    pub fn age(&self, id: ActivationId) -> Option<Span> {
        let run = self.runs.get(&id)?;
        let from = run.known.content.due.map_or(run.since, |due| self.mono_of(due));
        Some(self.now.mono - from)
    }
    /// Every peer as this server sees it, in order of id.
    pub fn peers(&self) -> Vec<PeerView> {
        self.peers.values().map(|peer| peer.view(self.hold(peer.id))).collect()
    }
    /// The server that would own an activation of a priority group if it came in at this moment and needed no driver: the
    /// first that is believed up and not held. `None` when nobody of the group is believed up; the server that is asked owns
    /// it then.
    pub fn would_own(&self, group: &[ServerId]) -> Option<ServerId> {
        self.would_own_with(group, &BTreeMap::new())
    }
    /// The same for an activation that needs these drivers: a server that has them, as the configuration has enabled them,
    /// comes before every one that does not.
    pub fn would_own_with(&self, group: &[ServerId], needs: &BTreeMap<DriverId, DriverVersion>) -> Option<ServerId> {
        self.would_own_under(group, needs, &Circumstances::default())
    }
    /// Whether this server takes no new activations because it was asked to stop.
    pub fn is_draining(&self) -> bool {
        self.draining
    }
    /// Whether it was asked to stop and nothing of it is left to do: no delivery, no answer owed, no write under way.
    pub fn is_drained(&self) -> bool {
        let me = self.identity.server;
        let mut busy = self.active.iter().map(|id| &self.runs[id]).filter(|run| {
            let real = run.known.content.drill.is_none();
            let mine = real && run.known.owner == me && run.known.ended.is_none() && self.is_due(run);
            mine || run.delivering.is_some() || !run.waiters.is_empty()
        });
        self.draining && (self.retired || busy.next().is_none() && self.writes.is_empty() && self.stops.is_empty())
    }
    /// Whether it was deprovisioned and does nothing any more.
    pub fn is_retired(&self) -> bool {
        self.retired
    }
    /// Whether this server came back recently and owns nothing until its hold-down has passed: a peer that is up says so.
    pub fn is_held(&self) -> bool {
        self.holds_back(self.identity.server)
    }
    /// Whether it still waits for a peer's answer before it resumes unfinished activations (rule 8).
    pub fn is_resuming(&self) -> bool {
        self.peers.values().any(|peer| peer.asking.is_some())
    }

    /// What a server may be used for, as this one believes.
    pub(crate) fn use_of(&self, id: ServerId) -> Use {
        let (lives, leaving) = if id == self.identity.server {
            (true, self.draining)
        } else {
            self.peers.get(&id).map_or((false, false), |peer| (peer.lives(), peer.draining))
        };
        match (lives, leaving, self.holds_back(id)) {
            (false, _, _) => Use::None,
            (true, true, _) => Use::Leaving,
            (true, false, true) => Use::Held,
            (true, false, false) => Use::Full,
        }
    }

    /// How good an owner a server is for an activation that needs these drivers.
    pub(crate) fn worth_of(&self, id: ServerId, needs: &BTreeMap<DriverId, DriverVersion>) -> Worth {
        self.worth_under(id, needs, &Circumstances::default())
    }

    /// How well a server's drivers suit. Everybody judges by what that server last said of itself, so all that hear it judge
    /// alike; one that has said nothing yet is trusted, as it is trusted to be up.
    pub(crate) fn fit_of(&self, id: ServerId, needs: &BTreeMap<DriverId, DriverVersion>) -> Fit {
        self.drivers_of(id).map_or(Fit::Matches, |has| fit(needs, has))
    }

    /// The drivers of a server, as it last said.
    pub(crate) fn drivers_of(&self, id: ServerId) -> Option<&BTreeMap<DriverId, DriverVersion>> {
        let standing = match self.peers.get(&id) {
            Some(peer) => peer.standing.as_ref(),
            None => (id == self.identity.server).then_some(&self.standing),
        };
        standing.map(|standing| &standing.versions.drivers)
    }

    /// The members of the run's group that may confirm: up (held ones included), and neither this server nor leaving. Those
    /// outside of it too that were asked because none of them did. Where a server outside the group has nobody of it,
    /// everybody who is up: another such server may have got the same event.
    pub(crate) fn confirmers<'a>(&'a self, run: &'a Run) -> impl Iterator<Item = ServerId> + 'a {
        let me = self.identity.server;
        let group = run.known.content.group.iter().copied().chain(self.stand_ins(run));
        let wider = run.wider.iter().flatten().copied();
        group.chain(wider).filter(move |id| *id != me && self.use_of(*id) >= Use::Held && !run.is_dead_here(*id))
    }

    /// Every peer, where nobody of the run's group is up and this server is outside of it.
    pub(crate) fn stand_ins<'a>(&'a self, run: &'a Run) -> impl Iterator<Item = ServerId> + 'a {
        let group = &run.known.content.group;
        let inside = group.contains(&self.identity.server);
        let alone = !inside && !group.iter().any(|id| self.use_of(*id) >= Use::Held);
        self.peers.keys().copied().filter(move |id| alone && !group.contains(id))
    }

    /// Whether the run's moment has come.
    pub(crate) fn is_due(&self, run: &Run) -> bool {
        run.known.content.due.is_none_or(|due| due <= self.now.wall)
    }

    pub(crate) fn send(&mut self, to: ServerId, message: PeerMessage) {
        self.out.push(Output::Send { to, message });
    }

    /// What every step ends with: regular duties, then every unfinished activation is looked at again.
    fn tidy(&mut self) {
        self.review_holds();
        if self.heartbeat_at <= self.now.mono {
            self.heartbeat();
        }
        // What was learned is told before anything comes of it.
        self.tell_rehearsals();
        for id in self.active.clone() {
            self.answer_triggers(id);
            // A refused activation is gone.
            if self.runs.contains_key(&id) {
                self.settle(id);
                self.share_if_due(id);
                self.introduce_if_due(id);
            }
        }
        self.tell_rehearsals();
        self.answer_stops();
        if self.mend_at <= self.now.mono {
            self.mend();
        }
        while let Some((at, id)) = self.forgets.first().copied().filter(|(at, _)| *at <= self.now.mono) {
            self.forgets.remove(&(at, id));
            // A higher claim may have opened it again since.
            if self.runs.get(&id).is_some_and(|run| run.known.ended.is_some()) {
                self.forget(id, Haste::Soon);
            }
        }
        let now = self.now.mono;
        self.stopped_early.retain(|_, until| *until > now);
        let runs = &self.runs;
        self.active.retain(|id| runs.get(id).is_some_and(Run::is_active));
        self.wake = self.earliest();
    }

    /// The next moment at which something can happen by time alone.
    fn earliest(&self) -> Option<Mono> {
        let now = self.now.mono;
        let mut times: Vec<Mono> = Vec::new();
        if !self.peers.is_empty() {
            times.push(self.heartbeat_at);
        }
        for peer in self.peers.values() {
            // Only a tick may suspect: where the moment has passed, one is wanted at once.
            times.extend(peer.silent_at(self.tuning.suspicion()).map(|at| at.max(now + Span(1))));
            times.extend(peer.hold.until());
        }
        for run in self.active.iter().map(|id| &self.runs[id]) {
            times.push(self.mend_at);
            times.extend(run.share_at);
            times.extend(run.introduce_at);
            times.extend(run.waiters.iter().flat_map(|waiter| [waiter.wider_at, waiter.until]));
            times.extend(run.offered.map(|offer| offer.until));
            times.extend(run.writing_since.map(|since| since + self.tuning.suspicion()));
            times.extend(run.delivering.as_ref().and_then(|it| it.halted).map(|it| it.0 + self.tuning.suspicion()));
            times.extend(run.known.content.due.map(|due| self.mono_of(due)));
            // One more millisecond: what expires is too late only after its moment.
            times.extend(run.known.content.expires.map(|at| self.mono_of(at) + Span::millis(1)));
            times.extend(self.deadline(run));
        }
        times.extend(self.stops.iter().map(|wait| wait.until));
        let ahead = times.into_iter().filter(|at| *at > now);
        ahead.chain(self.forgets.first().map(|(at, _)| *at)).min()
    }

    /// A moment of the world on this process's timer, as the two clocks stand.
    pub(crate) fn mono_of(&self, wall: Wall) -> Mono {
        let ahead = u64::try_from(wall.0.saturating_sub(self.now.wall.0)).unwrap_or(0);
        let behind = u64::try_from(self.now.wall.0.saturating_sub(wall.0)).unwrap_or(0);
        Mono((self.now.mono + Span::millis(ahead)).0.saturating_sub(Span::millis(behind).0))
    }
}
