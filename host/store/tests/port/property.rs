//! Random work on a primary and a secondary; after every step rows, log and digests agree.

use std::{cell::Cell, collections::BTreeMap};

use onealert_core::{
    config::{Change, Table},
    ids::EpochId,
    replicate::{LogRecord, Position},
};
use onealert_store::{ConfigStore, Loaded, StoreError, change::Commit, log::TrimRule};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::bench::{Bench, FIRST, NOW, digests_of, loaded, replay, transfer};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Change>),
    Sync { bytes: usize },
    Trim { keep: u64 },
    Promote,
    ReopenPrimary,
    ReopenSecondary,
}

fn change() -> impl Strategy<Value = Change> {
    let table = (0..Table::ALL.len()).prop_map(|n| Table::ALL[n]);
    let key = prop_oneof!["[a-c]", "[äß\\\\\"]{1,3}"];
    (table, key, prop::option::of(0..5_u8)).prop_map(|(table, key, value)| Change {
        table,
        key,
        row: value.map(|value| format!("{{\"v\":{value}}}")),
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(change(), 1..6).prop_map(Step::Commit),
        4 => (1..2000_usize).prop_map(|bytes| Step::Sync { bytes }),
        1 => (0..20_u64).prop_map(|keep| Step::Trim { keep }),
        1 => Just(Step::Promote),
        1 => Just(Step::ReopenPrimary),
        1 => Just(Step::ReopenSecondary),
    ]
}

pub fn whatever_is_written_log_rows_and_digests_agree(bench: &dyn Bench) {
    let case = Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(step(), 1..30), |steps| {
        case.set(case.get() + 1);
        World::new(bench, case.get()).run(steps);
        Ok(())
    });
    // The failure prints the shortest list of steps that fails: make it a named test.
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

struct World<'a> {
    bench: &'a dyn Bench,
    names: [String; 2],
    primary: Box<dyn ConfigStore>,
    secondary: Box<dyn ConfigStore>,
    /// Every record ever committed, however much of the log was trimmed.
    records: Vec<LogRecord>,
    /// The rows at the end of every transaction: what a secondary may hold.
    states: BTreeMap<u64, Vec<(Table, String, String)>>,
    epochs: u128,
}

impl<'a> World<'a> {
    fn new(bench: &'a dyn Bench, case: u32) -> World<'a> {
        let names = [format!("primary {case}"), format!("secondary {case}")];
        let (primary, secondary) = (bench.open(&names[0]), bench.open(&names[1]));
        primary.install(FIRST).expect("installs");
        let states = BTreeMap::from([(0, Vec::new())]);
        World { bench, names, primary, secondary, records: Vec::new(), states, epochs: 100 }
    }

    fn run(mut self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Commit(changes) => {
                    let committed = self.primary.commit(&Commit::new(NOW, changes)).expect("commits");
                    self.records.extend(committed.records);
                    self.states.insert(committed.position.lsn, replay(&self.records));
                }
                Step::Sync { bytes } => self.sync(bytes),
                Step::Trim { keep } => {
                    let rule = TrimRule { keep, ..TrimRule::standard(NOW, None) };
                    self.primary.trim(&rule).expect("trims");
                }
                Step::Promote => {
                    self.epochs += 1;
                    self.primary.promote(EpochId(self.epochs), &Commit::new(NOW, vec![])).expect("promotes");
                }
                Step::ReopenPrimary => self.primary = self.bench.open(&self.names[0]),
                Step::ReopenSecondary => self.secondary = self.bench.open(&self.names[1]),
            }
            self.check();
        }
    }

    /// What a secondary does: some records if the log reaches back, a snapshot otherwise.
    fn sync(&self, bytes: usize) {
        let Some(position) = self.secondary.position().expect("readable") else {
            transfer(&*self.primary, &*self.secondary);
            return;
        };
        match self.primary.log_after(position.lsn, bytes) {
            Ok(slice) => {
                self.secondary.learn_epochs(&self.primary.epochs().expect("readable")).expect("learns");
                let head = self.primary.position().expect("readable").expect("installed");
                let last = slice.records.last().map_or(position.lsn, |record| record.lsn);
                // Between transactions of an older generation the position is known by its number and digests only.
                let expected = (last == head.lsn).then_some(head);
                let reached = self.secondary.apply(NOW, &slice.records, expected.as_ref()).expect("follows");
                assert_eq!(Some(reached.digests), self.primary.digests_at(last).expect("readable"));
            }
            Err(StoreError::NotInLog { asked, tail, .. }) if asked < tail => transfer(&*self.primary, &*self.secondary),
            Err(error) => panic!("{error}"),
        }
    }

    fn check(&self) {
        let all = loaded(&*self.primary);
        assert_eq!(all.rows, replay(&self.records), "rows are the log replayed");
        assert_eq!(all.position.lsn, self.records.len() as u64, "positions are gapless");
        sound(&*self.primary, &all);
        if let Some(copy) = self.secondary.load().expect("readable") {
            assert_eq!(Some(&copy.rows), self.states.get(&copy.position.lsn), "a copy is the primary at some lsn");
            sound(&*self.secondary, &copy);
        }
    }
}

fn sound(store: &dyn ConfigStore, all: &Loaded) {
    let mut digests = digests_of(&all.rows);
    digests.0.retain(|_, digest| digest.0 != 0);
    assert_eq!(all.position.digests, digests);
    assert_eq!(store.scrub(&mut || ()).expect("readable").faults, []);
    let bounds = store.log_bounds().expect("readable");
    let kept = store.log_after(bounds.tail, usize::MAX).expect("readable").records;
    let numbers: Vec<u64> = kept.iter().map(|record| record.lsn).collect();
    assert_eq!(numbers, (bounds.tail + 1..=bounds.head).collect::<Vec<_>>());
    let Position { lsn, digests, .. } = &all.position;
    assert_eq!(store.digests_at(*lsn).expect("readable").as_ref(), Some(digests));
}
