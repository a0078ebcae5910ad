//! What *promote* decides from what the reachable servers say (redundancy sheet, section 3.5).

use serde::{Deserialize, Serialize};

use crate::{
    config::Role,
    ids::ServerId,
    life::Life,
    lineage::{Kinship, kinship},
    replicate::{Epoch, Position},
};

/// What a server says of itself when it is asked before a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Which server.
    pub server: ServerId,
    /// Its display name.
    pub name: String,
    /// Primary or secondary.
    pub role: Role,
    /// Where it stands in its own life.
    pub life: Life,
    /// Where its configuration stands; `None` when it has none yet.
    pub position: Option<Position>,
    /// Every generation that led to it, oldest first.
    pub lineage: Vec<Epoch>,
}

/// What to do before a generation begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// Nobody who answered has more than this server: begin.
    Begin,
    /// A server has records that this one lacks: take them from it first, or they are lost when it follows.
    TakeFirst {
        /// From which server.
        from: ServerId,
        /// How many records at least.
        records: u64,
    },
    /// A primary in order answers. Promoting fences it, so that this must be meant.
    PrimaryLives {
        /// Which server.
        server: ServerId,
    },
}

/// The plan of a server at `own` with this lineage, when `others` have answered.
///
/// A primary that lives is named first, whatever else is true; one that is fenced counts as any other. Of those ahead the
/// one that is furthest is taken.
pub fn plan(own: Option<&Position>, lineage: &[Epoch], others: &[Told]) -> Plan {
    let primary = others.iter().find(|told| {
        let counts = !matches!(kinship(lineage, &told.lineage), Kinship::OursCounts | Kinship::Strangers);
        told.role == Role::Primary && matches!(told.life, Life::Active | Life::Opening) && (counts || own.is_none())
    });
    if let Some(told) = primary {
        return Plan::PrimaryLives { server: told.server };
    }
    let mut best: Option<(&Told, u64)> = None;
    for told in others.iter().filter(|told| told.life != Life::Inert) {
        let (Some(theirs), before) = (&told.position, best) else { continue };
        let missing = missing(own, lineage, theirs, &told.lineage);
        let further = before.is_none_or(|(best, _)| match kinship(&best.lineage, &told.lineage) {
            Kinship::TheirsCounts { .. } => true,
            Kinship::Same => best.position.as_ref().is_none_or(|best| best.lsn < theirs.lsn),
            Kinship::OursCounts | Kinship::Strangers => false,
        });
        if let Some(records) = missing.filter(|_| further) {
            best = Some((told, records));
        }
    }
    best.map_or(Plan::Begin, |(told, records)| Plan::TakeFirst { from: told.server, records })
}

/// How many records `theirs` has at least that this server lacks; `None` when it has nothing more.
fn missing(own: Option<&Position>, lineage: &[Epoch], theirs: &Position, their_lineage: &[Epoch]) -> Option<u64> {
    let Some(own) = own else { return Some(theirs.lsn) };
    match kinship(lineage, their_lineage) {
        Kinship::Same => theirs.lsn.checked_sub(own.lsn).filter(|records| *records > 0),
        Kinship::TheirsCounts { fork, .. } => Some(theirs.lsn.saturating_sub(fork.min(own.lsn))),
        Kinship::OursCounts | Kinship::Strangers => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::EpochId, replicate::Digests};

    const FIRST: Epoch = Epoch { id: EpochId(1), parent: None, fork: 0 };
    const SECOND: Epoch = Epoch { id: EpochId(2), parent: Some(EpochId(1)), fork: 100 };

    fn at(epoch: Epoch, lsn: u64) -> Position {
        Position { epoch: epoch.id, lsn, digests: Digests::default() }
    }

    fn told(server: u128, lineage: &[Epoch], lsn: u64) -> Told {
        Told {
            server: ServerId(server),
            name: format!("pa-{server}"),
            role: Role::Secondary,
            life: Life::Active,
            position: lineage.last().map(|epoch| at(*epoch, lsn)),
            lineage: lineage.to_vec(),
        }
    }

    #[test]
    fn who_has_the_most_is_asked_first() {
        let own = at(FIRST, 100);
        let decide = |others: &[Told]| plan(Some(&own), &[FIRST], others);
        assert_eq!(decide(&[]), Plan::Begin);
        assert_eq!(decide(&[told(2, &[FIRST], 100), told(3, &[FIRST], 90)]), Plan::Begin);
        let take = |from, records| Plan::TakeFirst { from: ServerId(from), records };
        assert_eq!(decide(&[told(2, &[FIRST], 103), told(3, &[FIRST], 107)]), take(3, 7));
        assert_eq!(decide(&[told(3, &[FIRST], 900), told(2, &[FIRST, SECOND], 101)]), take(2, 1));
        let mut inert = told(2, &[FIRST], 500);
        inert.life = Life::Inert;
        assert_eq!(decide(&[inert]), Plan::Begin);
    }

    #[test]
    fn a_primary_that_answers_is_named_and_a_fenced_one_is_not() {
        let own = at(FIRST, 100);
        let mut primary = told(2, &[FIRST], 100);
        primary.role = Role::Primary;
        assert_eq!(
            plan(Some(&own), &[FIRST], std::slice::from_ref(&primary)),
            Plan::PrimaryLives { server: ServerId(2) }
        );
        primary.life = Life::Fenced { by: EpochId(9) };
        assert_eq!(plan(Some(&own), &[FIRST], &[primary.clone()]), Plan::Begin);
        (primary.life, primary.lineage) = (Life::Active, vec![FIRST]);
        assert_eq!(
            plan(Some(&at(SECOND, 100)), &[FIRST, SECOND], &[primary]),
            Plan::Begin,
            "it is left behind already"
        );
    }
}
