//! Who would send, and what would be left out: the owner's choice asked beforehand, for other circumstances.
//!
//! The answer comes from the same ranking as the real decision ([`Node::would_own_with`] is the plan of this moment with
//! nobody assumed dead), so it cannot say anything else than what would happen.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    calendar::AHEAD,
    effect::DownReason,
    ids::{DriverId, ServerId},
    node::Node,
    order::{self, Use, Worth},
    time::{Span, Wall},
    version::{DriverVersion, Fit, fit},
};

/// The circumstances that are asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Circumstances {
    /// How far ahead: hold-downs that end by themselves until then are over.
    pub ahead: Span,
    /// Servers assumed dead.
    pub dead: BTreeSet<ServerId>,
}

/// Who would send something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Who sends.
    pub sender: Sender,
    /// Who would send after whom: each is the next when all before it are dead.
    pub succession: Vec<ServerId>,
    /// Every server of the group in its order, and what speaks against it.
    pub members: Vec<Member>,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// This server of the group.
    Member(ServerId),
    /// Nobody of the group is up: the server that the event comes in at sends, whichever of those outside the group. What is
    /// timed comes up on all of them, and the first to claim it sends.
    Ingress,
    /// Nobody is up.
    Nobody,
}

/// A server of the group as a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub server: ServerId,
    /// What speaks against it.
    pub standing: MemberStanding,
    /// The drivers that are needed, as they are there; `None`: missing.
    pub drivers: BTreeMap<DriverId, Option<DriverVersion>>,
    /// How well these suit.
    pub fit: Fit,
}

/// What a server may be used for, in words of their own for each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberStanding {
    /// Nothing speaks against it.
    Up,
    /// It came back and owns nothing yet: only where nobody better is up.
    Held,
    /// It is stopping in good order: only where nobody else is left.
    Draining,
    /// It is silent here, and another server hears it: its bells stay with it.
    HeardByOthers,
    /// It is believed down.
    Down(DownReason),
    /// It is assumed dead.
    AssumedDead,
    /// It is no server of this site.
    Unknown,
}

/// Whether the sender reaches an endpoint, as far as its drivers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The driver that is needed is there.
    Yes,
    /// The driver is there in another version, or as another file.
    Differs {
        /// As the configuration has it.
        expected: DriverVersion,
        /// As the sender has it.
        found: DriverVersion,
    },
    /// The driver is missing on the sender.
    Lacks,
    /// No enabled driver reaches it, on any server.
    NoDriver,
    /// Nobody sends.
    NobodySends,
}

impl Node {
    /// Who would send to a priority group something that needs these drivers.
    pub fn plan(
        &self,
        group: &[ServerId],
        needs: &BTreeMap<DriverId, DriverVersion>,
        circumstances: &Circumstances,
    ) -> Plan {
        let worth = |id| self.worth_under(id, needs, circumstances);
        let mut succession: Vec<ServerId> = Vec::new();
        while let Some(next) = order::owner(group, |id| match succession.contains(&id) {
            true => Worth { usable: Use::None, fit: Fit::Lacks },
            false => worth(id),
        }) {
            succession.push(next);
        }
        let me = self.identity().server;
        let outside = self.peers.keys().copied().chain([me]).filter(|id| !group.contains(id));
        let sender = match succession.first() {
            Some(first) => Sender::Member(*first),
            None if outside.map(worth).any(|worth| worth.usable != Use::None) => Sender::Ingress,
            None => Sender::Nobody,
        };
        let members = group.iter().map(|id| self.member(*id, needs, circumstances)).collect();
        Plan { sender, succession, members }
    }

    /// Who would ring what a calendar has due at a moment, with servers assumed dead.
    ///
    /// Every server hands it over [`AHEAD`] of its moment with the same first owner, and it stays with that one or passes on
    /// from then on: so a hold-down has to be over by then.
    pub fn plan_timed(
        &self,
        group: &[ServerId],
        needs: &BTreeMap<DriverId, DriverVersion>,
        due: Wall,
        dead: &BTreeSet<ServerId>,
    ) -> Plan {
        let ahead = due.0.saturating_sub(self.now.wall.0).saturating_sub_unsigned(AHEAD.as_millis());
        let ahead = Span::millis(u64::try_from(ahead).unwrap_or(0));
        let circumstances = Circumstances { ahead, dead: dead.clone() };
        let mut plan = self.plan(group, needs, &circumstances);
        let Some(first) = self.first_of_timed(group) else {
            // Nobody takes it: it would be refused everywhere.
            return Plan { sender: Sender::Nobody, succession: Vec::new(), ..plan };
        };
        if self.keeps_timed(first, needs, &circumstances) {
            plan.sender = Sender::Member(first);
            plan.succession.retain(|id| *id != first);
            plan.succession.insert(0, first);
            let silent = plan.members.iter_mut().filter(|it| matches!(it.standing, MemberStanding::Down(_)));
            for member in silent.filter(|it| it.server == first) {
                member.standing = MemberStanding::HeardByOthers;
            }
        }
        plan
    }

    /// The first owner of what is timed: the same on every server, whatever each believes. Where that one is down, held or
    /// leaving, or has other drivers, the next one takes over, and two beliefs can differ without two servers starting as
    /// equals. `None`: the group has nobody that is known here.
    pub(crate) fn first_of_timed(&self, group: &[ServerId]) -> Option<ServerId> {
        let me = self.identity().server;
        group.iter().copied().find(|member| *member == me || self.peers.contains_key(member))
    }

    /// Whether what is timed and not begun stays with its first owner, rather than pass on: nothing speaks against that one,
    /// or only the link to it is cut.
    pub(crate) fn keeps_timed(
        &self,
        owner: ServerId,
        needs: &BTreeMap<DriverId, DriverVersion>,
        circumstances: &Circumstances,
    ) -> bool {
        self.worth_under(owner, needs, circumstances) == Worth::BEST || self.is_heard_under(owner, circumstances)
    }

    /// The owner of what comes in under these circumstances.
    pub(crate) fn would_own_under(
        &self,
        group: &[ServerId],
        needs: &BTreeMap<DriverId, DriverVersion>,
        circumstances: &Circumstances,
    ) -> Option<ServerId> {
        order::owner(group, |id| self.worth_under(id, needs, circumstances))
    }

    /// How good an owner a server would be.
    pub(crate) fn worth_under(
        &self,
        id: ServerId,
        needs: &BTreeMap<DriverId, DriverVersion>,
        circumstances: &Circumstances,
    ) -> Worth {
        let usable = match self.use_of(id) {
            _ if circumstances.dead.contains(&id) => Use::None,
            Use::Held if self.is_over(id, circumstances) => Use::Full,
            usable => usable,
        };
        Worth { usable, fit: self.fit_of(id, needs) }
    }

    /// Whether a hold-down ends by itself until then: its time, or the life of the only servers that say so.
    fn is_over(&self, id: ServerId, circumstances: &Circumstances) -> bool {
        self.hold(id).is_none_or(|hold| {
            let waits = hold.operator || hold.behind || hold.clock;
            let all_dead = hold.by.iter().all(|by| circumstances.dead.contains(by));
            all_dead || (!waits && hold.remaining < circumstances.ahead)
        })
    }

    fn member(&self, id: ServerId, needs: &BTreeMap<DriverId, DriverVersion>, circumstances: &Circumstances) -> Member {
        let has = self.drivers_of(id);
        let found = |driver: &DriverId, wanted: &DriverVersion| match has {
            // A server that has said nothing is trusted.
            None => Some(wanted.clone()),
            Some(has) => has.get(driver).cloned(),
        };
        let down = self.peers.get(&id).and_then(|peer| peer.view(None).why);
        let standing = match self.worth_under(id, needs, circumstances).usable {
            _ if circumstances.dead.contains(&id) => MemberStanding::AssumedDead,
            Use::Full => MemberStanding::Up,
            Use::Held => MemberStanding::Held,
            Use::Leaving => MemberStanding::Draining,
            Use::None => down.map_or(MemberStanding::Unknown, MemberStanding::Down),
        };
        let drivers: BTreeMap<_, _> =
            needs.iter().map(|(driver, wanted)| (driver.clone(), found(driver, wanted))).collect();
        Member { server: id, standing, drivers, fit: has.map_or(Fit::Matches, |has| fit(needs, has)) }
    }
}

impl Plan {
    /// Whether the sender reaches an endpoint of this driver. Where a server outside the group sends nothing is known of it
    /// beforehand, so it is trusted.
    pub fn reach(&self, driver: Option<&DriverId>, needs: &BTreeMap<DriverId, DriverVersion>) -> Reach {
        let Some((driver, expected)) = driver.and_then(|driver| needs.get_key_value(driver)) else {
            return Reach::NoDriver;
        };
        let sender = match self.sender {
            Sender::Nobody => return Reach::NobodySends,
            Sender::Ingress => return Reach::Yes,
            Sender::Member(id) => self.members.iter().find(|member| member.server == id),
        };
        match sender.and_then(|member| member.drivers.get(driver)) {
            Some(Some(found)) if found == expected => Reach::Yes,
            Some(Some(found)) => Reach::Differs { expected: expected.clone(), found: found.clone() },
            Some(None) | None => Reach::Lacks,
        }
    }
}
