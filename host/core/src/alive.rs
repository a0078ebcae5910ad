//! From heartbeats and links to the belief whether a peer is up.

use crate::{
    clock::Offset,
    effect::{Absence, DownReason},
    hold::HoldDown,
    ids::{Incarnation, ServerId},
    peer_message::{Echo, Hold, Standing},
    time::{Mono, Span},
    view::{Belief, HoldView, PeerView},
};

/// A peer as this server knows it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) id: ServerId,
    /// When any message of it last arrived.
    pub(crate) last_heard: Option<Mono>,
    /// From when on its silence counts.
    quiet_from: Mono,
    /// Why it is believed gone.
    gone: Option<DownReason>,
    /// Which life of it was last connected.
    life: Option<(Incarnation, u64)>,
    /// It takes no new activations.
    pub(crate) draining: bool,
    /// What it last said of itself.
    pub(crate) standing: Option<Standing>,
    /// How far its clock is from ours.
    pub(crate) offset: Offset,
    /// Its last heartbeat, to be repeated in ours.
    pub(crate) echo: Option<Echo>,
    /// Whom it judges to be held.
    pub(crate) says: Vec<Hold>,
    /// Whom it hears.
    pub(crate) hears: Vec<ServerId>,
    /// How many activations it says it runs.
    pub(crate) running: u32,
    /// The question of rule 8 that it has not answered yet.
    pub(crate) asking: Option<u64>,
    /// How we judge it after a return.
    pub(crate) hold: HoldDown,
}

/// What an observation of a peer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contact {
    /// Nothing changed.
    Steady,
    /// It was not heard, believed gone, or is in another life: it may have missed things, and so may we.
    Regained,
}

impl Peer {
    pub(crate) fn new(id: ServerId, now: Mono) -> Peer {
        Peer {
            id,
            last_heard: None,
            quiet_from: now,
            gone: None,
            life: None,
            draining: false,
            standing: None,
            offset: Offset::default(),
            echo: None,
            says: Vec::new(),
            hears: Vec::new(),
            running: 0,
            asking: None,
            hold: HoldDown::default(),
        }
    }

    /// A message of it arrived. After a refused connection only a connection brings it back: what arrives without one was
    /// under way when its process went.
    pub(crate) fn heard(&mut self, now: Mono) -> Contact {
        if self.gone == Some(DownReason::Refused) {
            return Contact::Steady;
        }
        self.alive(now)
    }

    /// A connection to it stands.
    pub(crate) fn connected(&mut self, now: Mono, life: (Incarnation, u64)) -> Contact {
        let another = self.life.is_some_and(|known| known != life);
        self.life = Some(life);
        if another {
            self.draining = false;
            self.echo = None;
            self.says.clear();
            self.hears.clear();
        }
        let contact = self.alive(now);
        if another { Contact::Regained } else { contact }
    }

    /// It is gone; says whether that is news.
    pub(crate) fn lose(&mut self, why: DownReason) -> bool {
        let news = self.gone.is_none();
        // A refusal says more than silence: it stays until a connection stands.
        if news || why == DownReason::Refused {
            self.gone = Some(why);
        }
        self.says.clear();
        self.hears.clear();
        self.asking = None;
        self.hold.broken();
        news
    }

    /// What its being down means to people. The farewell of one life says nothing of the next.
    pub(crate) fn absence(&self) -> Absence {
        match (self.draining, self.last_heard) {
            (true, _) => Absence::Announced,
            (false, None) => Absence::Unmet,
            (false, Some(_)) => Absence::Unannounced,
        }
    }

    /// Whether its silence has lasted for the suspicion time.
    pub(crate) fn is_silent(&self, now: Mono, suspicion: Span) -> bool {
        self.gone.is_none() && now - self.quiet_from >= suspicion
    }

    /// When its silence will have lasted for the suspicion time.
    pub(crate) fn silent_at(&self, suspicion: Span) -> Option<Mono> {
        self.gone.is_none().then(|| self.quiet_from + suspicion)
    }

    /// This server did not listen for a while: that time does not count as the peer's silence.
    pub(crate) fn excuse(&mut self, late: Span, now: Mono) {
        self.quiet_from = (self.quiet_from + late).min(now);
    }

    /// Whether it is not believed gone. A draining or held server lives.
    pub(crate) fn lives(&self) -> bool {
        self.gone.is_none()
    }

    /// Whether it fell silent, which may be the link's fault and not its own.
    pub(crate) fn fell_silent(&self) -> bool {
        self.gone == Some(DownReason::Silent)
    }

    /// Whether a connection to it may stand.
    pub(crate) fn may_be_connected(&self) -> bool {
        self.gone != Some(DownReason::Refused)
    }

    /// What pages and tests see; `hold` is what anybody who is up says of its hold-down.
    pub(crate) fn view(&self, hold: Option<HoldView>) -> PeerView {
        let held_for = hold.as_ref().map(|hold| hold.remaining);
        let why = self.gone.or(self.draining.then_some(DownReason::Draining));
        let belief = match (why, held_for, self.last_heard) {
            (Some(_), _, _) => Belief::Down,
            (None, Some(_), _) => Belief::Held,
            (None, None, None) => Belief::Unheard,
            (None, None, Some(_)) => Belief::Up,
        };
        PeerView {
            id: self.id,
            belief,
            why,
            absence: self.absence(),
            last_heard: self.last_heard,
            offset_ms: self.offset.millis(),
            clock: self.offset.level(),
            rtt: self.offset.rtt(),
            draining: self.draining,
            held_for,
            running: self.running,
            hold,
            standing: self.standing.clone(),
        }
    }

    fn alive(&mut self, now: Mono) -> Contact {
        let regained = self.gone.take().is_some() || self.last_heard.is_none();
        self.last_heard = Some(now);
        self.quiet_from = now;
        if regained { Contact::Regained } else { Contact::Steady }
    }
}
