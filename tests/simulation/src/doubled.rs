//! Why an endpoint got an activation twice: what came before it, what the second server knew, and by which rule it sent.

use std::{collections::BTreeMap, fmt};

use onealert_core::effect::TakeoverReason;

use crate::history::{Fault, FaultKind, Rang};

/// What a server knew of an endpoint in the moment in which it rang it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knew {
    /// That nobody had begun with it.
    Nothing,
    /// That somebody had begun with it; not what came of it.
    Begun,
    /// That it had been tried and had failed.
    Failed,
    /// That it had been reached.
    Reached,
}

/// Why the second server did not know of the first delivery, or rang all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It knew that the endpoint had been reached: nothing excuses that.
    KnewBetter,
    /// It knew that somebody had begun, not what came of it. An endpoint that may have heard nothing is rung again (rule 5).
    ResultUnknown,
    /// It knew nothing, and the server that did is gone: killed between ringing and sharing (rule 4).
    DiedBeforeSharing,
    /// It knew nothing, because nothing travels between the two: each side of a cut sends (sheet, section 6).
    CutApart,
    /// It knew nothing, and the server that had rung it was standing still: nobody can tell that from its death.
    StoodStill,
    /// It knew nothing, although the first server runs and can be reached.
    TooSlow,
}

/// By which rule a server owned what it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// It was the first owner.
    First,
    /// It took over, or has a claim that it took over in an earlier life.
    Successor(Option<TakeoverReason>),
}

/// The kinds of doubled delivery: the fault of either server that came last before it, why, and by which rule.
pub type Kinds = BTreeMap<(Option<FaultKind>, Cause, Rule), u64>;

/// The fault of one of the two servers that began last before the second delivery. A suspicion is not counted: it is what a
/// fault leads to.
pub(crate) fn fault_before(faults: &[Fault], first: Rang, again: Rang) -> Option<FaultKind> {
    let concerned = |fault: &&Fault| {
        let servers = [Some(fault.server), fault.other];
        servers.contains(&Some(first.server)) || servers.contains(&Some(again.server))
    };
    let before = |fault: &&Fault| fault.from_us <= again.at_us && fault.kind != FaultKind::FalseSuspicion;
    faults.iter().filter(concerned).filter(before).max_by_key(|fault| fault.from_us).map(|fault| fault.kind)
}

/// How many deliveries were doubled for each cause.
pub fn by_cause(kinds: &Kinds) -> BTreeMap<Cause, u64> {
    let mut causes = BTreeMap::new();
    for ((_, cause, _), count) in kinds {
        *causes.entry(*cause).or_default() += count;
    }
    causes
}

/// The table of a run's doubled deliveries, most frequent first, for people.
pub struct Table<'a>(pub &'a Kinds);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<_> = self.0.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for ((fault, cause, rule), count) in kinds {
            let fault = fault.map_or_else(|| "no fault".to_owned(), |fault| format!("{fault:?}"));
            writeln!(f, "{count:>7}  after {fault}: {cause:?}, {rule:?}")?;
        }
        Ok(())
    }
}
