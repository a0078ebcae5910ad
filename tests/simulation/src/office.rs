//! What operators do: configure, promote, deprovision, join, back up, restore, upgrade, and what they should not do.

use std::collections::BTreeSet;

use onealert_core::{
    config::{Change, Endpoint, PriorityGroup, Role, Server as Row, Table},
    event::Input,
    ids::{DriverId, EndpointId, EpochId, GroupId, ServerId},
    life::{Deed, Life, Opening},
    members,
    time::Wall,
};
use onealert_store::change::{AuditEntry, Commit};

use crate::{
    conflict,
    copy::{Copy, Job, Store},
    history::FaultKind,
    law,
    planted::Planted,
    server::{Down, MORNING},
    world::{World, id, place},
};

impl World {
    /// An installation in order: the first server is the primary, the others are enrolled and have everything.
    pub(crate) fn install(&mut self) {
        let count = self.servers.len();
        let primary = &mut self.servers[0].copy;
        let store = primary.store.port();
        store.install(EpochId(1)).expect("it is empty");
        let row = |at: usize| Row {
            id: id(at),
            name: format!("pa-{at}"),
            role: if at == 0 { Role::Primary } else { Role::Secondary },
            mesh: format!("10.0.0.{at}:7400"),
            web: String::new(),
            key_sha256: format!("{}", id(at)),
            enrolled: Wall(MORNING + at as i64),
            deprovisioned: false,
        };
        let mut changes: Vec<Change> =
            (0..count).map(|at| Change::put(Table::Servers, &id(at).to_string(), &row(at))).collect();
        let everybody = PriorityGroup {
            id: GroupId::from("DEFAULT"),
            name: "DEFAULT".to_owned(),
            servers: (0..count).map(id).collect(),
        };
        changes.push(Change::put(Table::PriorityGroups, "DEFAULT", &everybody));
        changes.extend((0..3).map(|number| endpoint(number, 0)));
        store.commit(&Commit::new(Wall(MORNING), changes)).expect("an empty store takes rows");
        if let Store::Memory(store) = &mut primary.store {
            store.forgets_transactions = self.planted == Some(Planted::AppliesByHalf);
            store.takes_any_order = self.planted == Some(Planted::AppliesOutOfOrder);
        }
        let installed = primary.store.backup();
        let mut installed = Some(installed);
        for at in 1..count {
            let copy = self.servers[0].copy.store.backup();
            self.servers[at].copy.store = installed.take().unwrap_or(copy).restore();
            if let Store::Memory(store) = &mut self.servers[at].copy.store {
                store.forgets_transactions = self.planted == Some(Planted::AppliesByHalf);
                store.takes_any_order = self.planted == Some(Planted::AppliesOutOfOrder);
            }
        }
        for at in 0..count {
            self.servers[at].copy.reload();
            law::moved(self, at);
        }
    }

    /// The copy of a server that has just started.
    pub(crate) fn start_copy(&mut self, at: usize) {
        let now = self.servers[at].clocks(self.now_us).mono;
        let server = &mut self.servers[at];
        server.store_busy_us = 0;
        let copy = &mut server.copy;
        copy.reload();
        if self.now_us > 0 {
            law::moved(self, at);
        }
        let copy = &mut self.servers[at].copy;
        if copy.role(at) == Role::Primary {
            copy.opening = Some(Opening::new(now, members::licensed_order(&copy.config)));
        }
        self.call_later(at, 20_000);
        self.scrub_later(at);
    }

    pub(crate) fn scrub_later(&mut self, at: usize) {
        let boot = self.servers[at].boot;
        let delay = self.draw("scrub", at, 0).between(3_000_000, 6_000_000);
        self.after(delay, crate::world::Event::Scrubs { at, boot });
    }

    /// An administrator changes a few rows at the server asked, or at its primary when that one says so.
    pub(crate) fn configure(&mut self, at: usize, rows: usize, number: u32) {
        let named = self.servers[at].copy.config.primary().map(|primary| place(primary.id));
        let asked = [Some(at), named.filter(|primary| *primary != at)];
        let changes: Vec<Change> = (0..rows as u32).map(|row| endpoint(row, number)).collect();
        for at in asked.into_iter().flatten() {
            if self.try_commit(at, changes.clone()) {
                return;
            }
        }
    }

    /// Has rows committed where the server may do that.
    pub(crate) fn try_commit(&mut self, at: usize, changes: Vec<Change>) -> bool {
        let now = self.servers[at].clocks(self.now_us).mono;
        let may = self.servers[at].is_awake() && self.servers[at].copy.may(at, now, Deed::Configure);
        if may {
            self.give(at, 0, Job::Commit(changes));
        }
        may
    }

    /// An administrator takes a server out, on the primary.
    pub(crate) fn deprovision(&mut self, server: usize) {
        for at in 0..self.servers.len() {
            let Ok(departure) = members::deprovision(&self.servers[at].copy.config, id(server)) else { continue };
            if at != server && self.try_commit(at, departure.changes) {
                self.history.fault(FaultKind::Deprovisioned, server, self.now_us, u64::MAX);
                return;
            }
        }
    }

    /// An operator joins a server that is fenced, restored or deprovisioned: it gives up what it was, and follows.
    pub(crate) fn join(&mut self, at: usize) {
        let now = self.servers[at].clocks(self.now_us).mono;
        if !self.servers[at].copy.may(at, now, Deed::Join) || !self.servers[at].is_awake() {
            return;
        }
        let life = self.servers[at].copy.life;
        let inert = life == Life::Inert;
        let opens = |other: &usize| {
            let server = &self.servers[*other];
            let now = server.clocks(self.now_us).mono;
            *other != at
                && server.is_awake()
                && server.copy.may(*other, now, Deed::Enrol)
                && !self.network.is_cut(at, *other)
        };
        let Some(primary) = (0..self.servers.len()).find(opens) else { return };
        if inert {
            if !members::has_room(&self.servers[primary].copy.config, self.licence_limit(primary)) {
                return;
            }
            // With fresh credentials it would be another server; here the same one is let in again, and starts anew.
            let Some(row) = self.servers[primary].copy.config.servers.get(&id(at)).cloned() else { return };
            let back = Row { deprovisioned: false, ..row };
            if !self.try_commit(primary, vec![Change::put(Table::Servers, &id(at).to_string(), &back)]) {
                return;
            }
            self.history.lasted(FaultKind::Deprovisioned, at, self.now_us);
        }
        self.note(|| format!("--- server {at} joins server {primary}"));
        let address = self.servers[primary].copy.config.servers.get(&id(primary)).map(|row| row.into());
        self.go_down(at, Down::Process, Some(200));
        self.servers[at].incarnation += 1;
        if matches!(life, Life::Fenced { .. }) {
            // It stays the server that it is; what it holds is replaced by the primary's snapshot.
            let copy = &mut self.servers[at].copy;
            (copy.life, copy.told_primary, copy.report_due) = (Life::Active, address, None);
            return;
        }
        self.gone_with(at);
        let database = self.database;
        let copy = &mut self.servers[at].copy;
        let (log, newest, product) = (copy.log.clone(), copy.newest.clone(), copy.product);
        *copy = Copy { told_primary: address, log, newest, product, ..Copy::new(database) };
    }

    /// Somebody keeps a backup, or restores the last one on the stopped machine: another life, that waits for an operator.
    pub(crate) fn restore(&mut self, at: usize, back_after_ms: u64) {
        let Some(backup) = self.servers[at].copy.backup.take() else { return };
        if self.servers[at].node.is_none() {
            return;
        }
        self.note(|| format!("--- server {at} is restored from its backup"));
        self.go_down(at, Down::Process, Some(back_after_ms));
        self.history.fault(FaultKind::Restored, at, self.now_us, self.now_us);
        let reuses = self.planted == Some(Planted::ReusesNumbersAfterRestore);
        let server = &mut self.servers[at];
        server.incarnation += u64::from(!reuses);
        let copy = &mut server.copy;
        let primary = copy.role(at) == Role::Primary;
        self.gone_with(at);
        let copy = &mut self.servers[at].copy;
        copy.store = backup.config.restore();
        copy.log = backup.log;
        copy.reload();
        if backup.edited {
            self.law.edited.insert(at);
        }
        let copy = &mut self.servers[at].copy;
        // A secondary just follows on from where its backup stands.
        if primary && copy.life == Life::Active {
            copy.life = Life::Restored;
        }
    }

    pub(crate) fn back_up(&mut self, at: usize) {
        let copy = &mut self.servers[at].copy;
        let (config, log, edited) = (copy.store.backup(), copy.log.clone(), self.law.edited.contains(&at));
        copy.backup = Some(crate::copy::Kept { config, log, edited });
    }

    /// An administrator has a secondary's copy built anew.
    pub(crate) fn reconfigure(&mut self, at: usize) {
        let copy = &self.servers[at].copy;
        let Some(line) = copy.follow.line.filter(|_| self.servers[at].is_awake()) else { return };
        if let Some(primary) = self.peer_of(at, line) {
            self.fetch_all(at, primary, line);
        }
    }

    /// Somebody opens the database with a tool and changes a row.
    pub(crate) fn edit_by_hand(&mut self, at: usize) {
        let Store::Memory(store) = &self.servers[at].copy.store else { return };
        let by_hand = endpoint(0, 999).row.expect("a row");
        if store.edit(Table::Endpoints, "speaker-0", &by_hand) {
            self.law.edited.insert(at);
        }
    }

    /// The disk has done something, or refused.
    pub(crate) fn stored(&mut self, at: usize) {
        let full = self.now_us < self.servers[at].full_until_us;
        let Some((line, job)) = self.servers[at].copy.jobs.pop_front() else { return };
        if full {
            // The connection is given up, and the next one begins where the copy stands; a commit is refused.
            if line != 0 && self.servers[at].copy.follow.line == Some(line) {
                self.hang_up(at);
            }
            return;
        }
        match job {
            Job::Commit(_) | Job::Promote(_) | Job::Adopt(_) | Job::Collect(..) => self.publisher_stored(at, line, job),
            job => self.follower_stored(at, line, job),
        }
    }

    fn publisher_stored(&mut self, at: usize, line: u64, job: Job) {
        let now = self.servers[at].clocks(self.now_us);
        let without_epoch = self.planted == Some(Planted::PromotesWithoutEpoch);
        let may = self.servers[at].copy.may(at, now.mono, Deed::Configure);
        let copy = &mut self.servers[at].copy;
        let store = copy.store.port();
        match job {
            Job::Commit(changes) if may => {
                let committed = store.commit(&Commit::new(now.wall, changes)).expect("well-formed rows");
                self.acknowledged(&committed.records);
                law::committed(self, at);
            }
            Job::Promote(epoch) => {
                let Some(me) = copy.config.servers.get(&id(at)).cloned() else { return };
                let commit = Commit::new(now.wall, members::promote(&copy.config, &me, now.wall));
                if without_epoch {
                    store.commit(&commit).expect("well-formed rows");
                } else {
                    store.promote(epoch, &commit).expect("the epoch was just drawn, and the rows are well formed");
                }
                copy.told_primary = None;
                copy.follow.streaming = false;
                self.history.fault(FaultKind::Promoted, at, self.now_us, self.now_us);
                let copy = &mut self.servers[at].copy;
                if std::mem::take(&mut copy.life) == Life::Restored {
                    // What was retired starts anew.
                    self.go_down(at, Down::Process, Some(100));
                    return;
                }
                self.note(|| format!("--- server {at} is promoted"));
            }
            Job::Adopt(table) if may => {
                let who = "scrub".to_owned();
                let audit = AuditEntry { who, origin: "console".to_owned(), what: "adopt".to_owned() };
                store.adopt(now.wall, table, &audit).expect("edited rows are JSON");
            }
            Job::Collect(from, records) => {
                copy.log.insert(records);
                let have = copy.log.have(id(from));
                if copy.feeds.get(&from).is_some_and(|feed| feed.line == line) {
                    let told = onealert_peers::sync::message::Down::ActivityHave(have);
                    self.talk(at, from, line, crate::lines::Talk::Down(told));
                }
                return;
            }
            _ => return,
        }
        self.moved(at);
        self.feed_everybody(at);
    }

    /// Whether a server knows any notification: one that lost its configuration and has not got it back has none.
    pub(crate) fn has_plans(&self, at: usize) -> bool {
        !self.servers[at].copy.config.servers.is_empty()
    }

    /// Who the other servers of the installation are. A server without configuration knows whom it was told to follow.
    pub(crate) fn members_but(&self, at: usize) -> Vec<ServerId> {
        let copy = &self.servers[at].copy;
        if copy.life == Life::Unlicensed {
            return Vec::new();
        }
        let counts_all = self.planted == Some(Planted::LeftOutIsCounted);
        // Whom the licence leaves out is passed over like one that has left.
        let serves = |row: &&Row| !row.deprovisioned && (counts_all || !members::left_out(&copy.config, row.id));
        let rows = copy.config.servers.values().filter(serves).map(|row| row.id);
        let told = copy.told_primary.as_ref().map(|primary| primary.server);
        let all: BTreeSet<ServerId> = rows.chain(told).filter(|member| *member != id(at)).collect();
        all.into_iter().collect()
    }

    /// A transaction that was written in the moment in which the process went: it is there, and nobody was told. Where
    /// transactions are broken on purpose, half of it.
    pub(crate) fn reached(&mut self, at: usize, job: Job) {
        let now = self.servers[at].clocks(self.now_us);
        let may = self.servers[at].copy.may(at, now.mono, Deed::Configure);
        let half = self.planted == Some(Planted::AppliesByHalf);
        let copy = &mut self.servers[at].copy;
        let store = copy.store.port();
        match job {
            Job::Commit(changes) if may => drop(store.commit(&Commit::new(now.wall, changes))),
            Job::Apply(mut records) => {
                if half {
                    records.truncate(records.len() / 2);
                }
                drop(store.apply(now.wall, &records, None));
            }
            Job::StageChunk(chunk) => drop(store.stage_chunk(&chunk)),
            Job::StageFinish => drop(store.stage_finish()),
            Job::Collect(_, records) => copy.log.insert(records),
            // The rest changes nothing that could be half done.
            _ => {}
        }
    }

    /// The copy was replaced as a whole. Where its numbers went back, the server begins another life.
    pub(crate) fn replaced(&mut self, at: usize) {
        let before = self.servers[at].copy.position.as_ref().map_or(0, |position| position.lsn);
        let first = !self.has_plans(at);
        let server = &mut self.servers[at];
        server.copy.reload();
        if server.copy.position.as_ref().is_some_and(|position| position.lsn < before) {
            server.incarnation += 1;
        }
        self.moved(at);
        if let Err(what) = conflict::nothing_is_dropped(self) {
            self.violate("conflict reports", what);
        }
        if first {
            self.compute_bells(at);
        }
    }

    /// The copy stands elsewhere: the server knows, tells, and the laws are held against it.
    pub(crate) fn moved(&mut self, at: usize) {
        let copy = &mut self.servers[at].copy;
        copy.reload();
        let primary = copy.config.primary().map(|row| row.id);
        if copy.told_primary.as_ref().is_some_and(|told| Some(told.server) == primary) {
            copy.told_primary = None;
        }
        law::moved(self, at);
        self.look_at_licence(at);
        self.leave_strangers(at);
        let peers = self.members_but(at);
        let standing = self.standing(at);
        self.feed(at, Input::Standing { standing });
        self.feed(at, Input::Peers { peers });
    }
}

/// A write of an endpoint's row.
fn endpoint(number: u32, version: u32) -> Change {
    let key = format!("speaker-{number}");
    let row = Endpoint {
        id: EndpointId(key.clone()),
        name: format!("version {version}"),
        driver: DriverId::from("com.algo.speaker"),
        address: serde_json::Value::Null,
        location: String::new(),
    };
    Change::put(Table::Endpoints, &key, &row)
}
