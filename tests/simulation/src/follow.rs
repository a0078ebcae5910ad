//! The side that follows: takes records, snapshots and repairs in the order and by the rules of `host/peers`.

use onealert_core::{
    config::Table,
    effect::Outcome,
    event::Input,
    ids::Incarnation,
    life::Life,
    replicate::{Position, SyncAnswer, SyncHello},
};
use onealert_peers::sync::message::{Down, Purpose, Up};
use onealert_store::StoreError;

use crate::{
    copy::Job,
    lines::Talk,
    planted::Planted,
    world::{World, id},
};

impl World {
    pub(crate) fn hello(&self, at: usize) -> Up {
        let server = &self.servers[at];
        let copy = &server.copy;
        let hello = SyncHello {
            server: id(at),
            incarnation: Incarnation(server.incarnation),
            versions: copy.versions(),
            position: copy.position.clone(),
            lineage: copy.lineage.clone(),
            newest: copy.newest.clone(),
        };
        Up::Hello { hello: Box::new(hello), protocol: 1, credit: 1 << 20, purpose: Purpose::Follow, login: None }
    }

    pub(crate) fn acknowledge(&mut self, at: usize, primary: usize, line: u64) {
        let position = self.servers[at].copy.position.clone();
        self.talk(at, primary, line, Talk::Up(position.map_or(Up::Alive, Up::Ack)));
    }

    pub(crate) fn follower_hears(&mut self, at: usize, primary: usize, line: u64, message: Down) {
        match message {
            Down::Answer { answer, epochs, .. } => self.answered_by(at, primary, line, *answer, &epochs),
            Down::Records(records) => {
                let copy = &mut self.servers[at].copy;
                if !copy.follow.streaming {
                    return;
                }
                // What is on its way to the disk counts as had.
                let had = copy.position.as_ref().map_or(0, |position| position.lsn);
                let waiting = copy.jobs.iter().filter_map(|(_, job)| match job {
                    Job::Apply(records) => records.last().map(|record| record.lsn),
                    _ => None,
                });
                let had = waiting.max().unwrap_or(0).max(had);
                copy.follow.pending.extend(records.into_iter().filter(|record| record.lsn > had));
                if copy.follow.pending.last().is_some_and(|last| last.lsn == last.tx) {
                    let mut records = std::mem::take(&mut copy.follow.pending);
                    if self.planted == Some(Planted::AppliesOutOfOrder) {
                        records.reverse();
                    }
                    self.give(at, line, Job::Apply(records));
                }
            }
            Down::Head(head) => self.compare(at, primary, line, head),
            Down::SnapshotBegin(header) => {
                let follow = &mut self.servers[at].copy.follow;
                (follow.streaming, follow.repair, follow.wants_snapshot) = (false, None, false);
                follow.pending.clear();
                self.give(at, line, Job::StageBegin(header));
            }
            Down::SnapshotPiece(piece) => self.give(at, line, Job::StageChunk(piece)),
            Down::SnapshotEnd => self.give(at, line, Job::StageFinish),
            Down::Buckets(theirs) => {
                let copy = &mut self.servers[at].copy;
                let table = theirs.table;
                if !copy.follow.streaming || copy.follow.repair.is_none_or(|(wanted, _)| wanted != table) {
                    return;
                }
                let ours = copy.store.port().bucket_digests(table).expect("the store can be read");
                if (ours.position.epoch, ours.position.lsn) != (theirs.position.epoch, theirs.position.lsn) {
                    copy.follow.repair = None;
                    return;
                }
                let mut buckets = ours.differing(&theirs);
                if buckets.is_empty() {
                    buckets.push(0);
                }
                copy.follow.repair = Some((table, buckets.len()));
                self.talk(at, primary, line, Talk::Up(Up::WantRows { table, buckets }));
            }
            Down::Rows(rows) => self.give(at, line, Job::Repair(rows)),
            Down::ActivityHave(have) => {
                let log = &mut self.servers[at].copy.log;
                log.acknowledged = log.acknowledged.max(have);
                let follow = &mut self.servers[at].copy.follow;
                (follow.primary_has, follow.may_send_records) = (have, true);
                self.send_activity(at);
            }
            // Files, and what an operator asks before a promotion, are no part of this world.
            Down::Alive | Down::FileBegin { .. } | Down::FileMissing { .. } | Down::Told(_) | Down::Noted(_) => {}
        }
    }

    fn answered_by(
        &mut self,
        at: usize,
        primary: usize,
        line: u64,
        answer: SyncAnswer,
        epochs: &[onealert_core::replicate::Epoch],
    ) {
        match answer {
            SyncAnswer::Stream { .. } => {
                let copy = &mut self.servers[at].copy;
                // A generation that contradicts what is known here shows again when its records come.
                let learned = copy.store.port().learn_epochs(epochs).is_ok();
                copy.follow.streaming = learned;
                if !learned {
                    self.fetch_all(at, primary, line);
                }
            }
            SyncAnswer::Snapshot { .. } => {}
            SyncAnswer::VersionMismatch { .. } => {}
            SyncAnswer::Deprovisioned => self.retire(at),
            SyncAnswer::NotLicensed { .. } => {
                self.unlicensed(at);
                self.hang_up(at);
            }
            SyncAnswer::UnknownServer | SyncAnswer::Fenced { .. } | SyncAnswer::NotPrimary => self.hang_up(at),
        }
    }

    /// The server is told that it was deprovisioned: it remembers that, halts, and goes on only with its records.
    pub(crate) fn retire(&mut self, at: usize) {
        if self.servers[at].copy.life == Life::Inert {
            return;
        }
        self.note(|| format!("--- server {at} is told that it was deprovisioned"));
        let copy = &mut self.servers[at].copy;
        copy.life = Life::Inert;
        copy.follow.streaming = false;
        if self.planted != Some(Planted::RetiredStillDelivers) {
            self.feed(at, Input::Retire);
        }
    }

    /// What the primary says is its head is held against this copy.
    fn compare(&mut self, at: usize, primary: usize, line: u64, head: Position) {
        let unchecked = self.planted == Some(Planted::ChecksNoDigest);
        let copy = &mut self.servers[at].copy;
        let Some(own) = copy.position.clone().filter(|_| copy.follow.streaming && copy.jobs.is_empty()) else { return };
        if own.lsn != head.lsn {
            copy.follow.ahead += 1;
            if own.lsn > head.lsn || copy.follow.ahead > 1 {
                self.fetch_all(at, primary, line);
            }
            return;
        }
        copy.follow.ahead = 0;
        if own.epoch != head.epoch {
            return self.give(at, line, Job::Enter(head));
        }
        if self.licensed(at) {
            return;
        }
        let copy = &mut self.servers[at].copy;
        if unchecked {
            return;
        }
        copy.follow.suspects.extend(own.digests.differing(&head.digests));
        if copy.follow.repair.is_none()
            && let Some(table) = copy.follow.suspects.first().copied()
        {
            copy.follow.repair = Some((table, 0));
            self.talk(at, primary, line, Talk::Up(Up::WantBuckets(table)));
        }
    }

    pub(crate) fn fetch_all(&mut self, at: usize, primary: usize, line: u64) {
        let follow = &mut self.servers[at].copy.follow;
        if follow.wants_snapshot {
            return;
        }
        (follow.streaming, follow.repair, follow.wants_snapshot, follow.ahead) = (false, None, true, 0);
        follow.pending.clear();
        self.talk(at, primary, line, Talk::Up(Up::WantSnapshot));
    }

    /// Own records go up, one batch after the other.
    pub(crate) fn send_activity(&mut self, at: usize) {
        let copy = &mut self.servers[at].copy;
        let Some(line) = copy.follow.line.filter(|_| copy.follow.may_send_records) else { return };
        let records = copy.log.after(id(at), copy.follow.primary_has);
        if records.is_empty() {
            return;
        }
        copy.follow.may_send_records = false;
        if let Some(primary) = self.peer_of(at, line) {
            self.talk(at, primary, line, Talk::Up(Up::Activity(records)));
        }
    }

    /// The server at the other end of a secondary's connection.
    pub(crate) fn peer_of(&self, at: usize, line: u64) -> Option<usize> {
        (0..self.servers.len())
            .find(|peer| self.servers[*peer].copy.feeds.get(&at).is_some_and(|feed| feed.line == line))
    }

    /// The disk has done what a secondary wanted of it, or refused.
    pub(crate) fn follower_stored(&mut self, at: usize, line: u64, job: Job) {
        let Some(primary) = self.peer_of(at, line).filter(|_| self.servers[at].copy.follow.line == Some(line)) else {
            return;
        };
        let wall = self.servers[at].clocks(self.now_us).wall;
        if let Job::StageBegin(header) = &job {
            self.keep_superseded(at, header);
        }
        let copy = &mut self.servers[at].copy;
        let store = copy.store.port();
        match job {
            Job::Apply(records) if copy.follow.streaming => match store.apply(wall, &records, None) {
                Ok(_) => {
                    self.moved(at);
                    self.acknowledge(at, primary, line);
                }
                Err(_) => self.fetch_all(at, primary, line),
            },
            Job::Enter(head) if copy.follow.streaming => match store.apply(wall, &[], Some(&head)) {
                Ok(_) => self.moved(at),
                Err(_) => self.fetch_all(at, primary, line),
            },
            Job::StageBegin(header) => match store.stage_begin(&header) {
                Ok(cursor) => self.talk(at, primary, line, Talk::Up(Up::SnapshotFrom(cursor))),
                Err(_) => self.fetch_all(at, primary, line),
            },
            Job::StageChunk(chunk) if !copy.follow.wants_snapshot && store.stage_chunk(&chunk).is_err() => {
                self.fetch_all(at, primary, line);
            }
            Job::StageFinish if !copy.follow.wants_snapshot => match store.stage_finish() {
                Ok(_) => {
                    copy.follow.streaming = true;
                    copy.follow.suspects.clear();
                    self.replaced(at);
                    self.acknowledge(at, primary, line);
                }
                Err(_) => self.fetch_all(at, primary, line),
            },
            Job::Repair(rows) => self.repair(at, primary, line, &rows),
            _ => {}
        }
    }

    fn repair(&mut self, at: usize, primary: usize, line: u64, rows: &onealert_store::scrub::BucketRows) {
        let copy = &mut self.servers[at].copy;
        let Some((table, missing)) = copy.follow.repair.filter(|(table, _)| *table == rows.table) else { return };
        match copy.store.port().repair(rows) {
            Ok(repaired) if missing > 1 => {
                let _ = repaired;
                copy.follow.repair = Some((table, missing - 1));
            }
            Ok(repaired) => {
                copy.follow.repair = None;
                copy.follow.suspects.remove(&table);
                if !repaired.agrees {
                    self.fetch_all(at, primary, line);
                }
            }
            Err(StoreError::NotThere { .. }) => copy.follow.repair = None,
            Err(_) => self.fetch_all(at, primary, line),
        }
        self.moved(at);
    }

    /// A scrub of the rows: what was changed behind the store's back is repaired from the primary, or taken over by it.
    pub(crate) fn scrub(&mut self, at: usize) {
        let copy = &mut self.servers[at].copy;
        let Ok(report) = copy.store.port().scrub(&mut || {}) else { return };
        let faulty: Vec<Table> = report.faults.iter().map(|fault| fault.table).collect();
        if faulty.is_empty() {
            return;
        }
        self.note(|| format!("--- server {at} finds rows edited in {faulty:?}"));
        if self.servers[at].copy.role(at) == onealert_core::config::Role::Primary {
            for table in faulty {
                self.give(at, 0, Job::Adopt(table));
            }
        } else {
            self.servers[at].copy.follow.suspects.extend(faulty);
        }
    }

    /// How an activation's end becomes a record of the activity log.
    pub(crate) fn log_end(&mut self, at: usize, name: &str, outcome: Outcome) {
        let server = &mut self.servers[at];
        let record = onealert_store::history::ActivityRecord {
            origin: id(at),
            incarnation: Incarnation(0),
            seq: 0,
            at: onealert_core::time::Wall(0),
            kind: onealert_store::history::ENDED.to_owned(),
            document: format!("{name}: {outcome:?}"),
        };
        let incarnation = server.incarnation;
        server.copy.log.append(id(at), incarnation, record);
        if server.node.is_some() {
            self.send_activity(at);
        }
    }
}
