//! The side that has the configuration: answers who calls, feeds who follows, and collects their records.

use onealert_core::{
    life::{Deed, Life},
    lineage::Generation,
    members,
    replicate::{Epoch, PrimaryView, SyncAnswer, SyncHello, answer},
};
use onealert_peers::sync::message::{Down, Up};
use onealert_store::StoreError;

use crate::{
    copy::Job,
    lines::Talk,
    planted::Planted,
    world::{World, id},
};

impl World {
    pub(crate) fn publisher_hears(&mut self, at: usize, from: usize, line: u64, message: Up) {
        let Some(feed) = self.servers[at].copy.feeds.get_mut(&from) else { return };
        let silent = feed.records_only || feed.waits_for_version;
        match message {
            Up::Hello { hello, .. } => self.answer_call(at, from, line, &hello),
            Up::Activity(records) if !feed.waits_for_version => self.give(at, line, Job::Collect(from, records)),
            _ if silent => {}
            Up::SnapshotFrom(cursor) => {
                if let Some(reader) = &mut feed.snapshot {
                    reader.seek(cursor);
                    self.send_pieces(at, from);
                }
            }
            Up::WantSnapshot => self.begin_snapshot(at, from),
            Up::WantBuckets(table) => {
                if let Ok(buckets) = self.servers[at].copy.store.port().bucket_digests(table) {
                    self.talk(at, from, line, Talk::Down(Down::Buckets(buckets)));
                }
            }
            Up::WantRows { table, buckets } => {
                for bucket in buckets {
                    if let Ok(rows) = self.servers[at].copy.store.port().bucket_rows(table, bucket) {
                        self.talk(at, from, line, Talk::Down(Down::Rows(rows)));
                    }
                }
            }
            Up::Ack(_) | Up::Alive | Up::Credit(_) | Up::Replaced => {}
            Up::WantFile { .. } | Up::Activity(_) | Up::Follow(_) => {}
        }
    }

    fn answer_call(&mut self, at: usize, from: usize, line: u64, hello: &SyncHello) {
        let now = self.servers[at].clocks(self.now_us).mono;
        let copy = &self.servers[at].copy;
        let (Some(head), Ok(bounds)) = (copy.position.clone(), copy.store.port().log_bounds()) else {
            return self.line_ends(at, from, line);
        };
        let theirs = hello.position.as_ref();
        let digests_at = theirs.and_then(|theirs| copy.store.port().digests_at(theirs.lsn).ok().flatten());
        let view = PrimaryView {
            is_primary: copy.may(at, now, Deed::Publish),
            head: &head,
            tail: bounds.tail,
            epochs: &copy.lineage,
            digests_at: digests_at.as_ref(),
            versions: &copy.versions(),
            enrolment: members::enrolment(&copy.config, id(from), self.licence_limit(at)),
        };
        let answer = match answer(&view, hello) {
            _ if self.planted == Some(Planted::TakesAnyForLater) && unheard_of(&copy.lineage, hello) => {
                SyncAnswer::Fenced { epoch: head.epoch }
            }
            answer => answer,
        };
        if let SyncAnswer::Fenced { .. } = answer {
            // Whoever calls has met the server that was promoted; this one need not hear it itself.
            for lineage in [&hello.newest, &hello.lineage] {
                let generation = Generation { lineage: lineage.clone(), primary: None, life: Life::Active };
                self.meet(at, from, &generation);
            }
        }
        let copy = &self.servers[at].copy;
        let told = Down::Answer { answer: Box::new(answer.clone()), server: id(at), epochs: copy.lineage.clone() };
        self.talk(at, from, line, Talk::Down(told));
        let Some(feed) = self.servers[at].copy.feeds.get_mut(&from) else { return };
        feed.records_only = matches!(answer, SyncAnswer::Deprovisioned);
        feed.waits_for_version = matches!(answer, SyncAnswer::VersionMismatch { .. });
        match answer {
            SyncAnswer::Stream { from: lsn } => {
                feed.streaming = Some(lsn);
                self.send_records(at, from);
            }
            SyncAnswer::Snapshot { .. } => self.begin_snapshot(at, from),
            SyncAnswer::Deprovisioned | SyncAnswer::VersionMismatch { .. } => {}
            _ => {
                self.servers[at].copy.feeds.remove(&from);
                return;
            }
        }
        if !matches!(answer, SyncAnswer::VersionMismatch { .. }) {
            let have = self.servers[at].copy.log.have(id(from));
            self.talk(at, from, line, Talk::Down(Down::ActivityHave(have)));
        }
    }

    /// Something was committed: it goes out at once.
    pub(crate) fn feed_everybody(&mut self, at: usize) {
        for peer in self.servers[at].copy.feeds.keys().copied().collect::<Vec<_>>() {
            self.judge(at, peer);
            self.send_records(at, peer);
        }
    }

    /// Who was deprovisioned is told so on the connection that stands.
    fn judge(&mut self, at: usize, peer: usize) {
        let copy = &mut self.servers[at].copy;
        let gone = copy.config.servers.get(&id(peer)).is_none_or(|row| row.deprovisioned);
        let lineage = copy.lineage.clone();
        let Some(feed) = copy.feeds.get_mut(&peer).filter(|feed| gone && !feed.records_only) else { return };
        (feed.records_only, feed.streaming, feed.snapshot) = (true, None, None);
        let line = feed.line;
        let answer = Box::new(SyncAnswer::Deprovisioned);
        self.talk(at, peer, line, Talk::Down(Down::Answer { answer, server: id(at), epochs: lineage }));
    }

    fn send_records(&mut self, at: usize, peer: usize) {
        let copy = &mut self.servers[at].copy;
        let Some(feed) = copy.feeds.get_mut(&peer) else { return };
        let Some(sent) = feed.streaming else { return };
        let line = feed.line;
        let slice = match copy.store.port().log_after(sent, 1 << 16) {
            Ok(slice) => slice,
            Err(StoreError::NotInLog { .. }) => return self.begin_snapshot(at, peer),
            Err(_) => return,
        };
        feed.streaming = slice.records.last().map_or(Some(sent), |last| Some(last.lsn));
        // A transaction may come in several messages.
        for part in slice.records.chunks(3) {
            self.talk(at, peer, line, Talk::Down(Down::Records(part.to_vec())));
        }
        self.send_head(at, peer);
    }

    /// Where the primary stands, once everything before it was sent.
    pub(crate) fn send_head(&mut self, at: usize, peer: usize) {
        let copy = &self.servers[at].copy;
        let Some(feed) = copy.feeds.get(&peer) else { return };
        let (line, sent) = (feed.line, feed.streaming);
        if let Some(position) = copy.position.clone().filter(|position| sent == Some(position.lsn)) {
            self.talk(at, peer, line, Talk::Down(Down::Head(position)));
        }
    }

    fn begin_snapshot(&mut self, at: usize, peer: usize) {
        let copy = &mut self.servers[at].copy;
        let Ok(reader) = copy.store.port().snapshot() else { return };
        let Some(feed) = copy.feeds.get_mut(&peer) else { return };
        let (line, header) = (feed.line, reader.header().clone());
        (feed.snapshot, feed.streaming) = (Some(reader), None);
        self.talk(at, peer, line, Talk::Down(Down::SnapshotBegin(header)));
    }

    fn send_pieces(&mut self, at: usize, peer: usize) {
        let Some(feed) = self.servers[at].copy.feeds.get_mut(&peer) else { return };
        let (line, Some(mut reader)) = (feed.line, feed.snapshot.take()) else { return };
        feed.streaming = Some(reader.header().position.lsn);
        while let Ok(Some(piece)) = reader.next_chunk() {
            self.talk(at, peer, line, Talk::Down(Down::SnapshotPiece(piece)));
        }
        self.talk(at, peer, line, Talk::Down(Down::SnapshotEnd));
        self.send_records(at, peer);
    }
}

/// Whether the caller stands in a generation that the server that is called does not know.
fn unheard_of(lineage: &[Epoch], hello: &SyncHello) -> bool {
    hello.position.as_ref().is_some_and(|theirs| !lineage.iter().any(|ours| ours.id == theirs.epoch))
}
