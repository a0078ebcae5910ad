//! Generations of the configuration and what it means to meet another one: who follows, who is fenced (redundancy sheet,
//! section 3.5).
//!
//! A *lineage* is a generation with all its ancestors, oldest first, as [`crate::replicate::Epoch`]s. Two lineages of one
//! installation have a common part; where they part, one of them is the installation's and the other is left behind.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::{
    config::{Role, Server},
    ids::{EpochId, ServerId},
    life::Life,
    replicate::{Digest, Epoch, Position, Trail},
};

/// What a server tells its peers about the generation it stands in. A peer of another version may not say it; nothing is
/// concluded then.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Generation {
    /// Every generation that led to its configuration, oldest first, that one included.
    #[serde(default)]
    pub lineage: Vec<Epoch>,
    /// The primary of the last of them: itself, or whom it follows.
    #[serde(default)]
    pub primary: Option<PrimaryAddress>,
    /// Where it stands in its own life.
    #[serde(default)]
    pub life: Life,
}

/// Who a primary is and where: enough to call it and to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryAddress {
    /// Its id.
    pub server: ServerId,
    /// Its display name.
    pub name: String,
    /// `address:port` where its peers reach it.
    pub mesh: String,
    /// Base URL of its pages.
    pub web: String,
    /// SHA-256 of its certificate's public key, as hexadecimal digits.
    pub key_sha256: String,
}

impl From<&Server> for PrimaryAddress {
    fn from(row: &Server) -> Self {
        PrimaryAddress {
            server: row.id,
            name: row.name.clone(),
            mesh: row.mesh.clone(),
            web: row.web.clone(),
            key_sha256: row.key_sha256.clone(),
        }
    }
}

/// How two lineages stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// They end in the same generation.
    Same,
    /// Ours is the installation's: theirs ends earlier, or in a branch that is left behind.
    OursCounts,
    /// Theirs is the installation's.
    TheirsCounts {
        /// The generation in which theirs ends.
        by: EpochId,
        /// The last record that both have: what we wrote after it is not part of theirs.
        fork: u64,
    },
    /// They have no generation in common: two installations, or nothing is known of one of them.
    Strangers,
}

/// Compares two lineages. Both sides of a meeting come to the same end.
///
/// The longer one counts when it continues the other. Where both went on from the same generation (two servers were promoted
/// on two sides of a cut), the one that kept more of it counts, and at equal forks the one with the higher id: nothing is
/// decided by clocks.
pub fn kinship(ours: &[Epoch], theirs: &[Epoch]) -> Kinship {
    let common = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours.id == theirs.id).count();
    if common == 0 {
        return Kinship::Strangers;
    }
    let ahead = |line: &[Epoch]| line.get(common).map(|epoch| (epoch.fork, epoch.id));
    match (ahead(ours), ahead(theirs)) {
        (None, None) => Kinship::Same,
        (Some(_), None) => Kinship::OursCounts,
        (None, Some(_)) => theirs_counts(&theirs[common..], u64::MAX),
        (Some(our_branch), Some(their_branch)) => match our_branch.cmp(&their_branch) {
            // What we wrote in our own branch is not in theirs, wherever that one began.
            Ordering::Less => theirs_counts(&theirs[common..], our_branch.0),
            Ordering::Equal | Ordering::Greater => Kinship::OursCounts,
        },
    }
}

/// The lineage that a server remembers as the newest, when it has seen another: what was once left behind does not become the
/// newest again, in whatever order servers are heard. One of another installation replaces what is remembered: who shows it
/// is this server's own copy, after it has joined elsewhere.
pub fn newest<'a>(known: &'a [Epoch], seen: &'a [Epoch]) -> &'a [Epoch] {
    match kinship(known, seen) {
        Kinship::Same | Kinship::OursCounts => known,
        Kinship::Strangers if seen.is_empty() => known,
        Kinship::TheirsCounts { .. } | Kinship::Strangers => seen,
    }
}

fn theirs_counts(rest: &[Epoch], left_at: u64) -> Kinship {
    let fork = rest.iter().map(|epoch| epoch.fork).min().unwrap_or(0).min(left_at);
    let by = rest.last().map_or(EpochId(0), |epoch| epoch.id);
    Kinship::TheirsCounts { by, fork }
}

/// Whether a primary whose configuration stands at `ours` has been set back, when another server of the installation stands at
/// `theirs`: what a secondary has of a generation was committed by its primary before, so it is never ahead of one that is
/// whole. Where both stand in one generation a number says it, and nobody's clock is asked.
pub fn is_set_back(role: Role, life: Life, ours: &Position, theirs: &Position) -> bool {
    let writes = role == Role::Primary && matches!(life, Life::Opening | Life::Active);
    writes && theirs.epoch == ours.epoch && theirs.lsn > ours.lsn
}

/// The last record that a copy at `own` with this lineage has in common with another one, of which a whole copy is about to replace
/// it: what it has after that, nobody else may have. `known` gives what its rows were where one of its transactions ended.
///
/// Numbers say it where one copy followed the other. They do not where a primary was set back, and committed before it heard
/// anybody: then both have given out the same numbers in one generation, and what their rows were says where that began. Where
/// they agree nowhere that the other remembers, nothing that the copy's own log still has, from `tail` on, counts as common.
pub fn shared(
    own: &Position,
    lineage: &[Epoch],
    tail: u64,
    known: impl Fn(u64) -> Option<Digest>,
    theirs: &Position,
    their_lineage: &[Epoch],
    their_trail: &Trail,
) -> u64 {
    let numbered = match kinship(lineage, their_lineage) {
        Kinship::Same | Kinship::OursCounts => theirs.lsn.min(own.lsn),
        Kinship::TheirsCounts { fork, .. } => fork.min(theirs.lsn).min(own.lsn),
        // Another installation: all that is here was never there.
        Kinship::Strangers => return 0,
    };
    // What they remember does not reach back to this copy: only the numbers say something.
    if their_trail.first().is_none_or(|(oldest, _)| numbered < *oldest) {
        return numbered;
    }
    let common = their_trail.iter().rev().filter(|(lsn, _)| *lsn <= numbered);
    let agrees = |(lsn, digest): &&(u64, Digest)| known(*lsn) == Some(*digest);
    common.clone().find(agrees).map_or(tail.min(numbered), |(lsn, _)| *lsn)
}

/// What a server does about the generation of a peer that it heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meeting {
    /// Nothing: the same, an earlier one, one of another installation, or one whose primary the peer did not name.
    Nothing,
    /// A primary fences itself: read-only from here on, and the rows after `fork` go into the conflict report.
    Fence {
        /// The later generation.
        by: EpochId,
        /// The last of our records that it contains.
        fork: u64,
    },
    /// A secondary takes this server as its primary from here on.
    Follow {
        /// The later generation.
        by: EpochId,
        /// Its primary.
        primary: PrimaryAddress,
    },
}

/// Decides about the generation of a peer that the roster welcomes. `ours` is the lineage of our own configuration, `newest`
/// the newest that this server has seen anywhere, of which its configuration need not be yet.
pub fn meet(me: ServerId, role: Role, life: Life, ours: &[Epoch], newest: &[Epoch], heard: &Generation) -> Meeting {
    if matches!(life, Life::Inert | Life::Restored) {
        return Meeting::Nothing;
    }
    let Kinship::TheirsCounts { by, fork } = kinship(ours, &heard.lineage) else { return Meeting::Nothing };
    // Where several were promoted apart, the one that counts has been heard already: this one is left behind as well. A
    // primary in order listens to it all the same: its own generation began after it had heard of that one.
    let settled = role == Role::Secondary || matches!(life, Life::Fenced { .. });
    if settled && kinship(newest, &heard.lineage) == Kinship::OursCounts {
        return Meeting::Nothing;
    }
    match (role, &heard.primary) {
        // Who is the primary of a generation that it does not have yet has just been promoted and knows better.
        (_, Some(primary)) if primary.server == me => Meeting::Nothing,
        (Role::Primary, _) => Meeting::Fence { by, fork },
        (Role::Secondary, Some(primary)) => Meeting::Follow { by, primary: primary.clone() },
        (Role::Secondary, None) => Meeting::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(steps: &[(u128, u64)]) -> Vec<Epoch> {
        let parents = std::iter::once(None).chain(steps.iter().map(|(id, _)| Some(EpochId(*id))));
        steps.iter().zip(parents).map(|((id, fork), parent)| Epoch { id: EpochId(*id), parent, fork: *fork }).collect()
    }

    fn counts(by: u128, fork: u64) -> Kinship {
        Kinship::TheirsCounts { by: EpochId(by), fork }
    }

    #[test]
    fn a_descendant_counts_and_the_lowest_fork_on_the_way_is_what_both_have() {
        let (old, new) = (line(&[(1, 0)]), line(&[(1, 0), (2, 100), (3, 90)]));
        assert_eq!(kinship(&old, &new), counts(3, 90));
        assert_eq!(kinship(&new, &old), Kinship::OursCounts);
        assert_eq!(kinship(&new, &new), Kinship::Same);
    }

    #[test]
    fn of_two_promotions_on_two_sides_of_a_cut_the_one_that_kept_more_counts_for_both() {
        let (less, more) = (line(&[(1, 0), (7, 90)]), line(&[(1, 0), (2, 100), (3, 120)]));
        assert_eq!(kinship(&less, &more), counts(3, 90));
        assert_eq!(kinship(&more, &less), Kinship::OursCounts);
        let (low, high) = (line(&[(1, 0), (2, 90)]), line(&[(1, 0), (7, 90)]));
        assert_eq!(kinship(&low, &high), counts(7, 90));
        assert_eq!(kinship(&high, &low), Kinship::OursCounts);
    }

    #[test]
    fn nothing_is_concluded_from_another_installation_or_from_silence() {
        assert_eq!(kinship(&line(&[(1, 0)]), &line(&[(9, 0)])), Kinship::Strangers);
        assert_eq!(kinship(&line(&[(1, 0)]), &[]), Kinship::Strangers);
        assert_eq!(kinship(&[], &line(&[(1, 0)])), Kinship::Strangers);
    }

    #[test]
    fn only_a_primary_of_which_somebody_has_more_in_its_own_generation_was_set_back() {
        use Role::{Primary, Secondary};
        let at = |epoch, lsn| Position { epoch: EpochId(epoch), lsn, digests: Default::default() };
        let (here, more) = (at(1, 50), at(1, 51));
        for (role, life, theirs, expected) in [
            (Primary, Life::Active, &more, true),
            (Primary, Life::Opening, &more, true),
            (Primary, Life::Active, &here, false),
            (Primary, Life::Active, &at(1, 49), false),
            (Primary, Life::Active, &at(2, 60), false),
            (Primary, Life::Fenced { by: EpochId(2) }, &more, false),
            (Secondary, Life::Active, &more, false),
        ] {
            assert_eq!(is_set_back(role, life, &here, theirs), expected, "{role:?} {life:?} {theirs:?}");
        }
    }

    /// What the rows of a copy were: the history that it shares with others up to `common`, then one of its own.
    fn trail(ends: &[u64], common: u64, own: u128) -> Trail {
        ends.iter().map(|lsn| (*lsn, Digest(u128::from(*lsn) + if *lsn > common { own } else { 0 }))).collect()
    }

    #[test]
    fn what_a_set_back_primary_committed_before_it_heard_anybody_is_found_by_the_rows_and_not_by_numbers() {
        let one = line(&[(1, 0)]);
        let promoted = line(&[(1, 0), (2, 56)]);
        let at = |epoch, lsn| Position { epoch: EpochId(epoch), lsn, digests: Default::default() };
        // Both have 50. It was set back to there and went on to `own`; the others had come to 56.
        let ask = |own: &[u64], theirs: &Trail, lineage: &[Epoch]| {
            let ours = trail(own, 50, 1 << 80);
            let (own, newest) =
                (at(1, *own.last().expect("it stands somewhere")), theirs.last().expect("so do they").0);
            let known = |lsn| ours.iter().find(|(end, _)| *end == lsn).map(|(_, digest)| *digest);
            let theirs_at = at(lineage.last().expect("a generation").id.0, newest);
            shared(&own, &one, 48, known, &theirs_at, lineage, theirs)
        };
        let theirs = trail(&[40, 48, 50, 52, 56], 50, 0);
        assert_eq!(ask(&[48, 50], &theirs, &one), 50, "set back and nothing committed: nothing is lost");
        assert_eq!(ask(&[48, 50, 52], &theirs, &one), 50);
        assert_eq!(ask(&[48, 50, 51], &theirs, &one), 50, "also where no transaction of theirs ends");
        assert_eq!(ask(&[48, 50, 52, 60], &theirs, &one), 50, "also where it has come further than they had");
        assert_eq!(
            ask(&[48, 50, 54], &trail(&[50, 56, 57], 50, 0), &promoted),
            50,
            "also below the fork of a promotion"
        );
        assert_eq!(ask(&[52, 54], &trail(&[52, 54, 56], 0, 7), &one), 48, "they agree nowhere: all of its log is kept");
        // A copy that only fell behind, or of which the other remembers nothing, is judged by numbers.
        assert_eq!(ask(&[48, 50], &trail(&[55, 56], 60, 0), &one), 50);
        let nothing = shared(&at(1, 50), &one, 40, |_| None, &at(1, 56), &one, &Vec::new());
        assert_eq!(nothing, 50);
        assert_eq!(shared(&at(1, 50), &one, 40, |_| None, &at(9, 56), &line(&[(9, 0)]), &Vec::new()), 0, "strangers");
    }

    #[test]
    fn a_primary_is_fenced_and_a_secondary_follows() {
        let (old, new) = (line(&[(1, 0)]), line(&[(1, 0), (2, 5)]));
        let primary = PrimaryAddress {
            server: ServerId(2),
            name: "b".to_owned(),
            mesh: "10.0.0.2:7400".to_owned(),
            web: String::new(),
            key_sha256: "bb".to_owned(),
        };
        let heard = Generation { lineage: new.clone(), primary: Some(primary.clone()), life: Life::Active };
        let met = |me, role, life, ours: &[Epoch]| meet(ServerId(me), role, life, ours, ours, &heard);
        let by = EpochId(2);
        assert_eq!(met(1, Role::Primary, Life::Active, &old), Meeting::Fence { by, fork: 5 });
        assert_eq!(met(1, Role::Primary, Life::Opening, &old), Meeting::Fence { by, fork: 5 });
        assert_eq!(met(3, Role::Secondary, Life::Active, &old), Meeting::Follow { by, primary });
        assert_eq!(met(3, Role::Secondary, Life::Active, &new), Meeting::Nothing);
        assert_eq!(met(1, Role::Secondary, Life::Inert, &old), Meeting::Nothing);
        assert_eq!(met(2, Role::Primary, Life::Active, &old), Meeting::Nothing);
    }

    #[test]
    fn of_three_branches_heard_in_turn_the_one_that_counts_stays() {
        let start = line(&[(1, 0)]);
        let (low, high) = (line(&[(1, 0), (2, 5)]), line(&[(1, 0), (3, 8)]));
        let heard = |lineage: &[Epoch], server| Generation {
            lineage: lineage.to_vec(),
            primary: Some(PrimaryAddress {
                server: ServerId(server),
                name: String::new(),
                mesh: String::new(),
                web: String::new(),
                key_sha256: String::new(),
            }),
            life: Life::Active,
        };
        let (from_low, from_high) = (heard(&low, 2), heard(&high, 3));
        let secondary =
            |newest: &[Epoch], heard| meet(ServerId(9), Role::Secondary, Life::Active, &start, newest, heard);
        assert!(matches!(secondary(&start, &from_low), Meeting::Follow { by: EpochId(2), .. }));
        assert!(matches!(secondary(&low, &from_high), Meeting::Follow { by: EpochId(3), .. }));
        assert_eq!(secondary(&high, &from_low), Meeting::Nothing);
        assert!(matches!(secondary(&high, &from_high), Meeting::Follow { .. }), "it may be told twice who that is");

        let ours = line(&[(1, 0), (7, 2)]);
        let primary = |life, newest: &[Epoch], heard| meet(ServerId(9), Role::Primary, life, &ours, newest, heard);
        let fenced = Life::Fenced { by: EpochId(3) };
        assert_eq!(primary(fenced, &high, &from_low), Meeting::Nothing);
        assert_eq!(primary(Life::Active, &high, &from_low), Meeting::Fence { by: EpochId(2), fork: 2 });
    }

    #[test]
    fn the_newest_lineage_is_the_same_in_whatever_order_they_are_seen() {
        let all =
            [line(&[(1, 0)]), line(&[(1, 0), (7, 90)]), line(&[(1, 0), (2, 100)]), line(&[(1, 0), (2, 100), (3, 90)])];
        for first in &all {
            for second in &all {
                for third in &all {
                    let (one, other) = (newest(newest(first, second), third), newest(newest(third, first), second));
                    assert_eq!(one, other);
                }
            }
        }
        assert_eq!(newest(&all[0], &[]), all[0]);
        assert_eq!(newest(&[], &all[0]), all[0]);
        let elsewhere = line(&[(9, 0)]);
        assert_eq!(newest(&all[3], &elsewhere), elsewhere);
    }
}
