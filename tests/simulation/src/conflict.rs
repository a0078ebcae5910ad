//! Conflict reports, as the host keeps them: what a server alone holds of a branch that is left behind, gathered before a
//! snapshot replaces it or when its primary is fenced. And what must hold of them: nothing that was acknowledged as
//! configuration is dropped in silence.

use std::collections::BTreeSet;

use onealert_core::{
    ids::EpochId,
    life::Life,
    lineage,
    replicate::{LogRecord, Position},
};
use onealert_store::snapshot::SnapshotHeader;

use crate::{
    copy::Copy,
    planted::Planted,
    world::{World, id},
};

/// One report: a file of a server. It survives everything but its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The generation in which the copy stood, and the last record that the other branch has of it: its name.
    pub of: (EpochId, u64),
    /// What it holds, by generation and number.
    pub rows: BTreeSet<(EpochId, u64)>,
    /// What it says to be missing: a copy that came as a snapshot has no log of what was before.
    pub missing: BTreeSet<(EpochId, u64)>,
}

impl Copy {
    /// Whether a record is part of what this copy was built of.
    fn holds(&self, (epoch, lsn): (EpochId, u64)) -> bool {
        let Some(place) = self.lineage.iter().position(|ours| ours.id == epoch) else { return false };
        let later = self.lineage[place + 1..].iter().all(|later| lsn <= later.fork);
        later && self.position.as_ref().is_some_and(|position| lsn <= position.lsn)
    }

    /// The last record that this copy has in common with a snapshot, where it has more than that.
    fn superseded(&self, by: &SnapshotHeader) -> Option<u64> {
        let own = self.position.as_ref()?;
        let store = self.store.port();
        let tail = store.log_bounds().map_or(own.lsn, |bounds| bounds.tail);
        let known = |lsn| store.digests_at(lsn).ok().flatten().map(|digests| digests.sum());
        let shared = lineage::shared(own, &self.lineage, tail, known, &by.position, &by.epochs, &by.trail);
        (shared < own.lsn).then_some(shared)
    }
}

impl World {
    /// Writes what a server has after `fork` into a report. Writing the same twice gives one.
    pub(crate) fn report(&mut self, at: usize, fork: u64) {
        if self.planted == Some(Planted::KeepsNoConflicts) {
            return;
        }
        let copy = &mut self.servers[at].copy;
        let Some(Position { epoch, lsn, .. }) = copy.position else { return };
        let tail = copy.store.port().log_bounds().map_or(u64::MAX, |bounds| bounds.tail);
        let from = fork.max(tail);
        let Ok(slice) = copy.store.port().log_after(from, usize::MAX) else { return };
        let untold = |record: &&(EpochId, u64)| (fork + 1..=from).contains(&record.1) && copy.holds(**record);
        let missing = self.law.acknowledged.iter().filter(untold).copied().collect();
        let rows = slice.records.iter().map(|record: &LogRecord| (record.epoch, record.lsn)).collect();
        copy.reports.retain(|report| report.of != (epoch, fork));
        copy.reports.push(Report { of: (epoch, fork), rows, missing });
        self.note(|| format!("--- server {at} keeps what it has from {fork} to {lsn} in a conflict report"));
    }

    /// A snapshot is about to replace a copy: what only that copy has is kept.
    pub(crate) fn keep_superseded(&mut self, at: usize, by: &SnapshotHeader) {
        if let Some(shared) = self.servers[at].copy.superseded(by) {
            self.report(at, shared);
        }
    }

    /// A commit was acknowledged to an administrator.
    pub(crate) fn acknowledged(&mut self, records: &[LogRecord]) {
        self.law.acknowledged.extend(records.iter().map(|record| (record.epoch, record.lsn)));
    }

    /// A server's copy and reports are about to be destroyed by a fault, or by an operator who was told that it is final:
    /// what nobody else has is gone with them.
    pub(crate) fn gone_with(&mut self, at: usize) {
        let others = self.servers.iter().enumerate().filter(|(other, _)| *other != at);
        let others: Vec<&Copy> = others.map(|(_, server)| &server.copy).collect();
        self.law.acknowledged.retain(|record| others.iter().any(|copy| kept(copy, *record) || copy.holds(*record)));
        // A fenced primary kept what the branch in force had of it for no report.
        let fenced = |copy: &Copy| matches!(copy.life, Life::Fenced { .. });
        let held = |record: &&(EpochId, u64)| others.iter().any(|copy| !fenced(copy) && copy.holds(**record));
        let bereft = self.law.acknowledged.iter().filter(|record| !held(record)).copied().collect::<Vec<_>>();
        self.law.bereft.extend(bereft);
    }
}

fn kept(copy: &Copy, record: (EpochId, u64)) -> bool {
    copy.reports.iter().any(|report| report.rows.contains(&record) || report.missing.contains(&record))
}

/// What was acknowledged as configuration is held by a server, or stands in a conflict report, at every moment.
pub(crate) fn nothing_is_dropped(world: &World) -> Result<(), String> {
    let copies = || world.servers.iter().map(|server| &server.copy);
    let dropped = |record: &&(EpochId, u64)| !copies().any(|copy| copy.holds(**record) || kept(copy, **record));
    match world.law.acknowledged.iter().find(dropped) {
        None => Ok(()),
        Some((epoch, lsn)) => {
            Err(format!("record {lsn} of generation {epoch} was acknowledged and is on no server and in no report"))
        }
    }
}

/// At the end, a primary that is left behind has nothing of its own that is not in a report.
pub(crate) fn who_is_fenced_has_reported(world: &World) -> Result<(), String> {
    for (at, _) in world.running() {
        let copy = &world.servers[at].copy;
        if !matches!(copy.life, Life::Fenced { .. }) {
            continue;
        }
        let others = || world.servers.iter().filter(|server| !matches!(server.copy.life, Life::Fenced { .. }));
        let alone = |record: &&(EpochId, u64)| {
            let told = kept(copy, **record) || world.law.bereft.contains(record);
            copy.holds(**record) && !told && !others().any(|server| server.copy.holds(**record))
        };
        if let Some((epoch, lsn)) = world.law.acknowledged.iter().find(alone) {
            let me = id(at);
            return Err(format!("record {lsn} of generation {epoch} is on the fenced server {me} alone, in no report"));
        }
    }
    Ok(())
}
