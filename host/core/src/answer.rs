//! What a primary answers to a secondary that calls for configuration (redundancy sheet, section 3.2).

use crate::{
    ids::EpochId,
    lineage::{Kinship, kinship},
    replicate::{Digests, Epoch, Position, SnapshotReason, SyncAnswer, SyncHello},
    version::{VersionSet, compare},
};

/// What the server that is called knows: all that [`answer`] looks at.
#[derive(Debug, Clone)]
pub struct PrimaryView<'a> {
    /// Whether it is the primary at all.
    pub is_primary: bool,
    /// Where its configuration stands.
    pub head: &'a Position,
    /// The lowest lsn from which the log can be streamed: every record above it is kept.
    pub tail: u64,
    /// The generations that led to its configuration, oldest first, the current one included.
    pub epochs: &'a [Epoch],
    /// The digests that it had at the lsn that the caller names; `None` where no transaction of its log ends there.
    pub digests_at: Option<&'a Digests>,
    /// What it runs.
    pub versions: &'a VersionSet,
    /// What its configuration says of the caller.
    pub enrolment: Enrolment,
}

/// What the primary's configuration says of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolment {
    /// It joined and is counted in the licence.
    Enrolled,
    /// It joined, but the licence allows only so many secondaries.
    OverLicence {
        /// How many it allows.
        limit: u32,
    },
    /// It was removed.
    Deprovisioned,
    /// It never joined.
    Unknown,
}

/// What a server answers to another that calls for configuration.
///
/// Who may not have it at all is told first; then a newer generation, because a fenced server must not hand out what it
/// holds; then versions; then the log or a snapshot.
pub fn answer(primary: &PrimaryView<'_>, hello: &SyncHello) -> SyncAnswer {
    match primary.enrolment {
        Enrolment::Unknown => return SyncAnswer::UnknownServer,
        Enrolment::Deprovisioned => return SyncAnswer::Deprovisioned,
        Enrolment::OverLicence { limit } => return SyncAnswer::NotLicensed { limit },
        Enrolment::Enrolled => {}
    }
    if let Some(epoch) = superseded_by(primary, hello) {
        return SyncAnswer::Fenced { epoch };
    }
    if !primary.is_primary {
        return SyncAnswer::NotPrimary;
    }
    let verdict = compare(primary.versions, &hello.versions);
    if !verdict.allows_sync() {
        return SyncAnswer::VersionMismatch { verdict };
    }
    let Some(theirs) = &hello.position else {
        return SyncAnswer::Snapshot { reason: SnapshotReason::Empty };
    };
    match stream_or_snapshot(primary, theirs, &hello.lineage) {
        Ok(from) => SyncAnswer::Stream { from },
        Err(reason) => SyncAnswer::Snapshot { reason },
    }
}

/// The generation that the caller knows and that counts before this server's, if there is one. One that this server never
/// heard of need not be: two servers may have been promoted apart, and its branch be the one that is left behind.
fn superseded_by(primary: &PrimaryView<'_>, hello: &SyncHello) -> Option<EpochId> {
    for line in [&hello.newest, &hello.lineage] {
        if let Kinship::TheirsCounts { by, .. } = kinship(primary.epochs, line) {
            return Some(by);
        }
    }
    // A copy that does not say where it comes from is not taken for one that is left behind.
    let epoch = hello.position.as_ref()?.epoch;
    let known = epoch == primary.head.epoch || primary.epochs.iter().any(|ours| ours.id == epoch);
    let told = hello.lineage.iter().any(|theirs| theirs.id == epoch);
    let related = told && kinship(primary.epochs, &hello.lineage) != Kinship::Strangers;
    (!known && !related).then_some(epoch)
}

fn stream_or_snapshot(primary: &PrimaryView<'_>, theirs: &Position, lineage: &[Epoch]) -> Result<u64, SnapshotReason> {
    if theirs.epoch == primary.head.epoch {
        if theirs.lsn > primary.head.lsn {
            return Err(SnapshotReason::AheadOfHead);
        }
    } else {
        let lost = || match kinship(lineage, primary.epochs) {
            Kinship::TheirsCounts { by, fork } => SnapshotReason::BranchLost { by, fork },
            _ => SnapshotReason::PastFork,
        };
        if theirs.lsn > shared_with(primary, theirs.epoch).ok_or_else(lost)? {
            return Err(SnapshotReason::PastFork);
        }
    }
    if theirs.lsn < primary.tail {
        return Err(SnapshotReason::BehindTail);
    }
    let at_head = (theirs.lsn == primary.head.lsn).then_some(&primary.head.digests);
    match primary.digests_at.or(at_head) {
        Some(ours) if ours.differing(&theirs.digests).is_empty() => Ok(theirs.lsn),
        // A copy stands where a transaction ended. Where none of ours did, it was not ours.
        _ => Err(SnapshotReason::DigestDiffers),
    }
}

/// The last record of an ancestor generation that the current one contains: the lowest fork on the way up to it. `None` when
/// it is no ancestor.
fn shared_with(primary: &PrimaryView<'_>, ancestor: EpochId) -> Option<u64> {
    let mut at = primary.head.epoch;
    let mut shared = u64::MAX;
    // Each generation is passed once at most; a ring in damaged data ends the search.
    for _ in 0..=primary.epochs.len() {
        if at == ancestor {
            return Some(shared);
        }
        let epoch = primary.epochs.iter().find(|epoch| epoch.id == at)?;
        shared = shared.min(epoch.fork);
        at = epoch.parent?;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        config::Table,
        ids::{Incarnation, ServerId},
    };

    const FIRST: EpochId = EpochId(1);
    const SECOND: EpochId = EpochId(2);
    const THIRD: EpochId = EpochId(3);

    /// Two promotions: the second generation left the first at 100, the third left the second at 150.
    const EPOCHS: [Epoch; 3] = [
        Epoch { id: FIRST, parent: None, fork: 0 },
        Epoch { id: SECOND, parent: Some(FIRST), fork: 100 },
        Epoch { id: THIRD, parent: Some(SECOND), fork: 150 },
    ];

    fn rows(n: usize) -> Digests {
        let mut digests = Digests::default();
        for row in 0..n {
            digests.add(Table::Endpoints, &row.to_string(), "{}");
        }
        digests
    }

    fn versions(product: &str) -> VersionSet {
        VersionSet {
            product: product.parse().expect("a version"),
            schema: 1,
            protocol: 1,
            platform: "x86_64-linux-gnu".to_owned(),
            plugin_api: semver::Version::new(1, 0, 0),
            drivers: BTreeMap::new(),
        }
    }

    /// The lineage of one of the generations above; nothing is said of another.
    fn led_to(epoch: EpochId) -> Vec<Epoch> {
        let place = EPOCHS.iter().position(|known| known.id == epoch);
        place.map(|place| EPOCHS[..=place].to_vec()).unwrap_or_default()
    }

    /// What is asked and of whom: a caller with everything in order, of a primary at (third, 200) whose log reaches back
    /// to 50.
    struct Call {
        head: Position,
        epochs: Vec<Epoch>,
        then: Option<Digests>,
        is_primary: bool,
        enrolment: Enrolment,
        hello: SyncHello,
    }

    fn ask(position: Option<(EpochId, u64)>, change: impl FnOnce(&mut Call)) -> SyncAnswer {
        let mut call = Call {
            head: Position { epoch: THIRD, lsn: 200, digests: rows(2) },
            epochs: EPOCHS.to_vec(),
            then: Some(rows(2)),
            is_primary: true,
            enrolment: Enrolment::Enrolled,
            hello: SyncHello {
                server: ServerId(2),
                incarnation: Incarnation(1),
                versions: versions("1.0.0"),
                position: position.map(|(epoch, lsn)| Position { epoch, lsn, digests: rows(2) }),
                lineage: position.map(|(epoch, _)| led_to(epoch)).unwrap_or_default(),
                newest: Vec::new(),
            },
        };
        change(&mut call);
        let view = PrimaryView {
            is_primary: call.is_primary,
            head: &call.head,
            tail: 50,
            epochs: &call.epochs,
            digests_at: call.then.as_ref(),
            versions: &versions("1.0.0"),
            enrolment: call.enrolment,
        };
        answer(&view, &call.hello)
    }

    fn plain(position: Option<(EpochId, u64)>) -> SyncAnswer {
        ask(position, |_| {})
    }

    fn snapshot(reason: SnapshotReason) -> SyncAnswer {
        SyncAnswer::Snapshot { reason }
    }

    #[test]
    fn within_the_log_of_one_generation_records_follow() {
        assert_eq!(plain(Some((THIRD, 200))), SyncAnswer::Stream { from: 200 });
        assert_eq!(plain(Some((THIRD, 170))), SyncAnswer::Stream { from: 170 });
        assert_eq!(plain(Some((THIRD, 201))), snapshot(SnapshotReason::AheadOfHead));
        assert_eq!(plain(None), snapshot(SnapshotReason::Empty));
    }

    #[test]
    fn an_ancestor_streams_up_to_the_lowest_fork_on_the_way() {
        assert_eq!(plain(Some((SECOND, 150))), SyncAnswer::Stream { from: 150 });
        assert_eq!(plain(Some((SECOND, 151))), snapshot(SnapshotReason::PastFork));
        assert_eq!(plain(Some((FIRST, 100))), SyncAnswer::Stream { from: 100 });
        assert_eq!(plain(Some((FIRST, 101))), snapshot(SnapshotReason::PastFork));
    }

    #[test]
    fn behind_the_tail_is_a_snapshot_and_at_the_tail_is_not() {
        assert_eq!(plain(Some((FIRST, 50))), SyncAnswer::Stream { from: 50 });
        assert_eq!(plain(Some((FIRST, 49))), snapshot(SnapshotReason::BehindTail));
    }

    #[test]
    fn other_rows_at_the_same_place_are_a_snapshot() {
        let differs = snapshot(SnapshotReason::DigestDiffers);
        let at_head = ask(Some((THIRD, 200)), |call| {
            call.hello.position.as_mut().expect("given").digests = rows(3);
        });
        assert_eq!(at_head, differs);
        let earlier = ask(Some((THIRD, 170)), |call| call.then = Some(rows(7)));
        assert_eq!(earlier, differs);
        let within_a_transaction = ask(Some((THIRD, 170)), |call| call.then = None);
        assert_eq!(within_a_transaction, differs, "no copy of this primary ever stood there");
    }

    #[test]
    fn another_product_version_waits_and_says_which() {
        let SyncAnswer::VersionMismatch { verdict } =
            ask(Some((THIRD, 200)), |call| call.hello.versions = versions("1.1.0"))
        else {
            panic!("1.0.0 and 1.1.0 do not synchronise");
        };
        assert!(verdict.to_string().contains("this server has 1.0.0, the other has 1.1.0"), "{verdict}");
    }

    #[test]
    fn who_may_not_have_it_is_told_so_whatever_else_is_true() {
        let as_if = |enrolment| {
            ask(Some((EpochId(99), 1)), move |call| {
                call.enrolment = enrolment;
                call.hello.versions = versions("9.0.0");
            })
        };
        assert_eq!(as_if(Enrolment::Unknown), SyncAnswer::UnknownServer);
        assert_eq!(as_if(Enrolment::Deprovisioned), SyncAnswer::Deprovisioned);
        assert_eq!(as_if(Enrolment::OverLicence { limit: 3 }), SyncAnswer::NotLicensed { limit: 3 });
    }

    #[test]
    fn a_newer_generation_fences_the_answerer_even_when_the_caller_still_stands_on_an_old_one() {
        assert_eq!(plain(Some((EpochId(99), 160))), SyncAnswer::Fenced { epoch: EpochId(99) });
        let later = Epoch { id: EpochId(99), parent: Some(THIRD), fork: 190 };
        let heard = ask(Some((THIRD, 160)), |call| call.hello.newest = [&EPOCHS[..], &[later]].concat());
        assert_eq!(heard, SyncAnswer::Fenced { epoch: EpochId(99) });
        let stands_in_it = ask(Some((EpochId(99), 195)), |call| call.hello.lineage = [&EPOCHS[..], &[later]].concat());
        assert_eq!(stands_in_it, SyncAnswer::Fenced { epoch: EpochId(99) });
    }

    #[test]
    fn a_caller_from_the_branch_that_lost_gets_a_snapshot_and_is_told_where_the_branches_part() {
        // Another server was promoted at 140 of the second generation, and this one at 150: it kept more.
        let rival = [EPOCHS[0], EPOCHS[1], Epoch { id: EpochId(98), parent: Some(SECOND), fork: 140 }];
        let lost = snapshot(SnapshotReason::BranchLost { by: THIRD, fork: 140 });
        assert_eq!(ask(Some((EpochId(98), 145)), |call| call.hello.lineage = rival.to_vec()), lost);
        // It has heard of the winner already; or it has only heard of the loser.
        let told = ask(Some((EpochId(98), 145)), |call| {
            (call.hello.lineage, call.hello.newest) = (rival.to_vec(), EPOCHS.to_vec());
        });
        assert_eq!(told, lost);
        let heard = ask(Some((SECOND, 150)), |call| call.hello.newest = rival.to_vec());
        assert_eq!(heard, SyncAnswer::Stream { from: 150 });
    }

    #[test]
    fn a_caller_from_the_branch_that_won_fences_the_answerer() {
        let rival = [EPOCHS[0], EPOCHS[1], Epoch { id: EpochId(98), parent: Some(SECOND), fork: 160 }];
        let answer = ask(Some((EpochId(98), 165)), |call| call.hello.lineage = rival.to_vec());
        assert_eq!(answer, SyncAnswer::Fenced { epoch: EpochId(98) });
    }

    #[test]
    fn a_secondary_answers_that_it_is_none() {
        assert_eq!(ask(Some((THIRD, 160)), |call| call.is_primary = false), SyncAnswer::NotPrimary);
    }

    #[test]
    fn a_ring_of_generations_ends_the_search() {
        let answer = ask(Some((THIRD, 5)), |call| {
            call.head.epoch = FIRST;
            call.epochs[0].parent = Some(SECOND);
            call.epochs[2].parent = None;
        });
        assert_eq!(answer, snapshot(SnapshotReason::PastFork));
    }
}
