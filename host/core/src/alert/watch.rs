//! When a matter sets a trigger off: on one server of those that notice it, once, and not again within the quiet time.
//!
//! Every server watches and could tell. They agree by three means. The event key is the same on all, so that what two tell in
//! the same moment is one activation. The server that would send tells at once and each after it a step later; by then it
//! knows the activation that the first has started, because activations are shared. And the activations that are known,
//! restored ones included, are the memory of what was told: nothing else is stored.

use std::collections::{BTreeMap, BTreeSet};

use super::{Alarm, Fact, Filter, Kind, Matter, clocks};
use crate::{
    config::{Config, Trigger},
    effect::{Absence, DownReason, Notice},
    ids::{ActivationId, DriverId, ServerId, TriggerId},
    node::Node,
    plan::Circumstances,
    time::{Mono, Now, Span, Wall},
    tuning::Tuning,
    view::{Belief, PeerView},
};

/// What one server has noticed and not told yet. Fed by the shell with notices and with how this server is; asked by it, after
/// each of them and with every heartbeat, what is to be told.
#[derive(Debug)]
pub struct Alerts {
    born: Mono,
    standing: BTreeMap<Matter, Standing>,
    /// When this server last saw a matter end.
    ended: BTreeMap<Matter, Mono>,
    /// Which activations tell of something, and when this server learned of them.
    told: BTreeMap<ActivationId, Told>,
    /// When the activations were last looked through for that.
    looked: Option<Mono>,
    /// What was found too late since the last look.
    missed: Vec<ActivationId>,
}

/// Something that is wrong on this server itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// [`Kind::SyncError`] or [`Kind::DriverDegraded`].
    pub kind: Kind,
    /// Which driver.
    pub driver: Option<DriverId>,
    /// What and why, for people.
    pub text: String,
    /// It is known to be no passing disturbance.
    pub at_once: bool,
}

/// A matter that lasts, or that is over and not told yet.
#[derive(Debug)]
struct Standing {
    fact: Fact,
    began: Mono,
    since: Wall,
    over: bool,
    /// It is told at once, whether it lasts or not.
    at_once: bool,
    /// From when on it is known to be more than a disturbance of the link to it.
    certain: Option<Mono>,
    /// Noticed while this server came up, and not its own: others know it for longer.
    muted: bool,
    /// The triggers that are still to be set off by it; `None` before the first look.
    open: Option<BTreeSet<TriggerId>>,
}

#[derive(Debug)]
struct Told {
    /// Trigger and matter.
    of: String,
    number: u64,
    heard: Mono,
}

impl Alerts {
    /// A server that has just started.
    pub fn new(now: Mono) -> Alerts {
        Alerts {
            born: now,
            standing: BTreeMap::new(),
            ended: BTreeMap::new(),
            told: BTreeMap::new(),
            looked: None,
            missed: Vec::new(),
        }
    }

    /// The node noticed something.
    pub fn notice(&mut self, now: Now, notice: &Notice) {
        match *notice {
            Notice::PeerDown { peer, why, absence } => {
                let kind = match absence {
                    Absence::Announced => Kind::Stopped,
                    Absence::Unannounced => Kind::FailedOver,
                    // Who was never there cannot fail.
                    Absence::Unmet => return,
                };
                self.begin(now, Matter::of(kind, peer), Fact::Down(why));
                self.end(now.mono, &Matter::of(Kind::CameBack, peer));
            }
            Notice::PeerUp { peer } => {
                for kind in [Kind::FailedOver, Kind::Stopped] {
                    let matter = Matter::of(kind, peer);
                    let Some(known) = self.standing.get(&matter).filter(|known| !known.over) else { continue };
                    if known.certain.is_some() {
                        self.begin(now, Matter::of(Kind::CameBack, peer), Fact::Back);
                        self.end(now.mono, &matter);
                    } else {
                        self.standing.remove(&matter);
                    }
                }
            }
            Notice::Missed { activation } => self.missed.push(activation),
            _ => {}
        }
    }

    /// What this server found too late to be sent.
    fn look_at_missed(&mut self, now: Now, node: &Node) {
        let me = node.identity().server;
        for known in std::mem::take(&mut self.missed).into_iter().filter_map(|id| node.knowledge(id)) {
            let content = &known.content;
            let fact = Fact::Missed { name: content.name.clone(), due: content.due.unwrap_or(content.accepted) };
            self.passed(now, Matter::of(Kind::Missed, me), fact);
        }
    }

    /// Everything that is wrong on this server itself at this moment: its copy of the configuration, its drivers.
    pub fn own(&mut self, now: Now, me: ServerId, wrong: Vec<Wrong>) {
        let matter = |wrong: &Wrong| Matter { driver: wrong.driver.clone(), ..Matter::of(wrong.kind, me) };
        let wrong: BTreeMap<Matter, Wrong> = wrong.into_iter().map(|wrong| (matter(&wrong), wrong)).collect();
        let mine =
            |matter: &Matter| matter.server == me && matches!(matter.kind, Kind::SyncError | Kind::DriverDegraded);
        let gone =
            self.standing.iter().filter(|(matter, known)| mine(matter) && !known.over && !wrong.contains_key(matter));
        for matter in gone.map(|(matter, _)| matter.clone()).collect::<Vec<_>>() {
            self.end(now.mono, &matter);
        }
        for (matter, Wrong { text, at_once, .. }) in wrong {
            self.begin(now, matter.clone(), Fact::Said(text));
            if let Some(known) = self.standing.get_mut(&matter) {
                known.at_once |= at_once;
            }
        }
    }

    /// Something happened on this server that is over at once, such as rows that were changed by hand and repaired.
    pub fn happened(&mut self, now: Now, me: ServerId, kind: Kind, text: String) {
        self.passed(now, Matter::of(kind, me), Fact::Said(text));
    }

    fn passed(&mut self, now: Now, matter: Matter, fact: Fact) {
        self.begin(now, matter.clone(), fact);
        if let Some(known) = self.standing.get_mut(&matter) {
            known.at_once = true;
        }
        self.end(now.mono, &matter);
    }

    /// What is to be told at this moment.
    pub fn review(&mut self, now: Now, node: &Node, config: &Config) -> Vec<Alarm> {
        self.look_at_missed(now, node);
        self.hear(now, node);
        let peers = node.peers();
        self.look_at_clocks(now, node, &peers, config);
        let mut alarms = Vec::new();
        if node.is_retired() || node.is_draining() {
            return alarms;
        }
        let view = View { now, node, config, peers: &peers, settled: self.born + node.settling() };
        let (told, ended) = (&self.told, &self.ended);
        self.standing
            .retain(|matter, known| known.review(&view, matter, told, ended.get(matter).copied(), &mut alarms));
        alarms
    }

    fn lasts(&self, matter: &Matter) -> bool {
        self.standing.get(matter).is_some_and(|known| !known.over)
    }

    fn begin(&mut self, now: Now, matter: Matter, fact: Fact) {
        let fresh = || Standing {
            certain: (fact != Fact::Down(DownReason::Silent)).then_some(now.mono),
            fact: fact.clone(),
            began: now.mono,
            since: now.wall,
            over: false,
            at_once: false,
            muted: false,
            open: None,
        };
        // What was over and begins again before it was told has not been away.
        self.standing.entry(matter).or_insert_with(fresh).over = false;
    }

    fn end(&mut self, now: Mono, matter: &Matter) {
        if let Some(known) = self.standing.get_mut(matter) {
            known.over = true;
            self.ended.insert(matter.clone(), now);
        }
    }

    /// Takes in what was told, by whomever. Only while there is something to tell: a busy server knows many activations.
    fn hear(&mut self, now: Now, node: &Node) {
        if self.standing.values().all(|known| known.open.as_ref().is_some_and(BTreeSet::is_empty)) {
            return;
        }
        let watched = self.looked.is_some_and(|at| now.mono - at <= node.tuning().suspicion());
        self.looked = Some(now.mono);
        let mut known = BTreeSet::new();
        for content in node.activations().map(|known| &known.content) {
            let Some((of, number)) = content.key.0.rsplit_once('/').filter(|(of, _)| of.contains("/status/")) else {
                continue;
            };
            let Ok(number) = number.parse() else { continue };
            known.insert(content.id);
            // What came while nobody looked, or was kept over a restart, was told some time ago.
            let ago = Span::millis(u64::try_from(now.wall.0.saturating_sub(content.accepted.0)).unwrap_or(0));
            let heard = if watched { now.mono } else { Mono(now.mono.0.saturating_sub(ago.0)) };
            self.told.entry(content.id).or_insert_with(|| Told { of: of.to_owned(), number, heard });
        }
        self.told.retain(|id, _| known.contains(id));
    }

    fn look_at_clocks(&mut self, now: Now, node: &Node, peers: &[PeerView], config: &Config) {
        let me = node.identity().server;
        let heard = peers.iter().filter(|peer| peer.belief != Belief::Down);
        let offsets = heard.filter_map(|peer| Some((peer.id, peer.offset_ms?))).chain([(me, 0)]).collect();
        let primary = config.primary().map(|row| row.id);
        let off = clocks::deviations(&offsets, primary);
        for (server, ahead) in &off {
            let (near, far) =
                (Matter::of(Kind::Clock, *server), Matter { grave: true, ..Matter::of(Kind::Clock, *server) });
            let grave = clocks::reaches(*ahead, clocks::GRAVE, self.lasts(&far));
            let alert = !grave && clocks::reaches(*ahead, clocks::ALERT, self.lasts(&near));
            for (matter, applies) in [(near, alert), (far, grave)] {
                let fact = Fact::Clock(*ahead);
                match self.standing.get_mut(&matter).filter(|known| !known.over) {
                    Some(known) if applies => known.fact = fact,
                    Some(_) => self.end(now.mono, &matter),
                    None if applies => self.begin(now, matter, fact),
                    None => {}
                }
            }
        }
        let unknown = self
            .standing
            .iter()
            .filter(|(matter, known)| matter.kind == Kind::Clock && !known.over && !off.contains_key(&matter.server));
        for matter in unknown.map(|(matter, _)| matter.clone()).collect::<Vec<_>>() {
            self.end(now.mono, &matter);
        }
    }
}

/// What a matter is judged by.
struct View<'a> {
    now: Now,
    node: &'a Node,
    config: &'a Config,
    peers: &'a [PeerView],
    /// From when on this server's own view of the others can be relied on.
    settled: Mono,
}

impl Standing {
    /// Sets off what is due; says whether the matter is still to be looked at.
    fn review(
        &mut self,
        view: &View<'_>,
        matter: &Matter,
        told: &BTreeMap<ActivationId, Told>,
        ended: Option<Mono>,
        alarms: &mut Vec<Alarm>,
    ) -> bool {
        let (now, tuning) = (view.now.mono, view.node.tuning());
        let me = view.node.identity().server;
        if self.open.is_none() {
            let row = view.config.servers.get(&matter.server);
            if row.is_none_or(|row| row.deprovisioned) {
                return false;
            }
            if self.fact == Fact::Down(DownReason::Silent) {
                self.since = Wall(self.since.0.saturating_sub_unsigned(tuning.suspicion().as_millis()));
            }
            self.muted = matter.kind == Kind::Clock && matter.server != me && self.began < view.settled;
            let takes = |trigger: &&Trigger| Filter::of(trigger).is_some_and(|filter| filter.takes(matter));
            let open = view.config.triggers.values().filter(takes).map(|trigger| trigger.id.clone());
            self.open = Some(if self.muted { BTreeSet::new() } else { open.collect() });
        }
        // Where another server hears it, only the link to it is cut; that takes a heartbeat or two to be known.
        let early = now < self.began + tuning.heartbeat().times(2);
        if self.certain.is_none() && (self.over || early || view.node.is_heard_by_others(matter.server)) {
            return !self.over;
        }
        let certain = *self.certain.get_or_insert(now);
        let patience = patience(matter.kind, &tuning);
        if self.over && !self.at_once && patience > Span(0) && now < self.began + patience {
            return false;
        }
        let from = (certain + if self.at_once { Span(0) } else { patience }).max(view.settled);
        let mut open = self.open.take().unwrap_or_default();
        open.retain(|id| {
            let found = view.config.triggers.get(id).and_then(|trigger| Some((trigger, Filter::of(trigger)?)));
            let Some((trigger, filter)) = found else { return false };
            let turn = tuning.deadline_step().times(view.turn(trigger));
            if now < from + turn {
                return true;
            }
            let of = format!("{id}/{}", matter.key());
            let last = told.values().filter(|told| told.of == of).max_by_key(|told| told.heard);
            if let Some(last) = last {
                let noticed = Mono(self.began.0.saturating_sub(tuning.suspicion().times(2).0));
                if last.heard >= noticed && ended.is_none_or(|ended| last.heard > ended || self.over) {
                    return false;
                }
                if now < last.heard + filter.quiet() + turn {
                    return !self.over && !tells_already(told, id, matter);
                }
            }
            let period = view.now.wall.0.unsigned_abs() / filter.quiet().as_millis();
            let number = period.max(last.map_or(0, |last| last.number + 1));
            alarms.push(view.alarm(id, number, matter, self));
            false
        });
        let waits = !open.is_empty();
        self.open = Some(open);
        // What lasts stays known, so that it does not begin anew.
        waits || !self.over
    }
}

/// How long a matter lasts before it is told: what mends itself at once is for the log. A server that is gone is told at once.
fn patience(kind: Kind, tuning: &Tuning) -> Span {
    match kind {
        Kind::FailedOver | Kind::Stopped => Span(0),
        Kind::CameBack | Kind::SyncError | Kind::Clock | Kind::DriverDegraded | Kind::Missed => {
            tuning.suspicion().times(4)
        }
    }
}

/// Whether the last that a trigger told of a server's coming and going is that it is back, as it is.
fn tells_already(told: &BTreeMap<ActivationId, Told>, trigger: &TriggerId, matter: &Matter) -> bool {
    let of = |kind| format!("{trigger}/{}", Matter::of(kind, matter.server).key());
    let kinds = [Kind::FailedOver, Kind::Stopped, Kind::CameBack].map(of);
    let last = told.values().filter(|told| kinds.contains(&told.of)).max_by_key(|told| told.heard);
    matter.kind == Kind::CameBack && last.is_some_and(|last| last.of == kinds[2])
}

impl View<'_> {
    /// How many others would tell before this server: those that would send for the trigger, then everybody else who is up.
    fn turn(&self, trigger: &Trigger) -> u64 {
        let me = self.node.identity().server;
        let group = self.config.group_order(&trigger.group);
        let before = self.node.plan(&group, &BTreeMap::new(), &Circumstances::default()).succession;
        let place = before.iter().position(|id| *id == me).unwrap_or_else(|| {
            let up = self.peers.iter().filter(|peer| peer.belief != Belief::Down && !group.contains(&peer.id));
            before.len() + up.filter(|peer| peer.id < me).count()
        });
        place as u64
    }

    fn alarm(&self, trigger: &TriggerId, number: u64, matter: &Matter, known: &Standing) -> Alarm {
        let down = matches!(matter.kind, Kind::FailedOver | Kind::Stopped);
        let groups = self.config.groups.values().filter(|_| down);
        let heirs = groups.filter_map(|group| {
            let order = self.config.group_order(&group.id);
            let heir = self.node.would_own(&order);
            let place = |id: ServerId| order.iter().position(|member| *member == id);
            let lost = place(matter.server)?;
            heir.and_then(place).is_none_or(|heir| lost < heir).then(|| (group.name.clone(), heir))
        });
        Alarm {
            trigger: trigger.clone(),
            key: format!("{}/{number}", matter.key()),
            matter: matter.clone(),
            fact: known.fact.clone(),
            since: known.since,
            over: known.over,
            heirs: heirs.collect(),
            alone: down && self.peers.iter().all(|peer| peer.belief == Belief::Down),
        }
    }
}
