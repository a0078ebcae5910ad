//! A seeded simulator around the servers' minds: thousands of schedules of faults, and the invariants that must hold in all.
//!
//! Reading order: [`schedule`] says what can happen, [`world`] runs it with `network` and `server`, `faults` carries
//! out what the schedule says, [`checks`] judges by what [`history`] saw, [`shrink`] makes a failing schedule small. A seed
//! gives the same run for ever:
//!
//! ```text
//! ONEALERT_SEED=17 cargo test -p simulation replay -- --nocapture
//! ```

pub mod checks;
pub mod doubled;
mod drivers;
mod faults;
pub mod history;
mod network;
pub mod planted;
mod process;
mod random;
pub mod schedule;
mod server;
pub mod shrink;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use checks::Violation;
use doubled::Kinds;
use planted::Planted;
use schedule::Schedule;
use world::World;

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The first broken invariant, if any.
    pub violation: Option<Violation>,
    /// Activations that were accepted.
    pub accepted: u64,
    /// Accepted activations that nobody can deliver any more, degraded ones not counted.
    pub lost: u64,
    /// The same among those accepted as degraded: with one copy, and said so.
    pub degraded_lost: u64,
    /// How often an endpoint was reached.
    pub deliveries: u64,
    /// How often an endpoint was reached again.
    pub doubled: u64,
    /// The same by kind.
    pub kinds: Kinds,
    /// Inputs that nodes took.
    pub steps: u64,
}

/// What came of many runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// How many were run.
    pub schedules: u64,
    /// Activations that were accepted.
    pub accepted: u64,
    /// Accepted activations that nobody can deliver any more, degraded ones not counted.
    pub lost: u64,
    /// The same among those accepted as degraded: with one copy, and said so.
    pub degraded_lost: u64,
    /// How often an endpoint was reached.
    pub deliveries: u64,
    /// How often an endpoint was reached again.
    pub doubled: u64,
    /// The same by kind.
    pub kinds: Kinds,
    /// Runs in which an invariant broke.
    pub violations: u64,
    /// The first seeds of those, at most ten.
    pub failing: Vec<u64>,
    /// Inputs that nodes took.
    pub steps: u64,
}

impl Totals {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.schedules += 1;
        self.accepted += outcome.accepted;
        self.lost += outcome.lost;
        self.degraded_lost += outcome.degraded_lost;
        self.deliveries += outcome.deliveries;
        self.doubled += outcome.doubled;
        self.add_kinds(&outcome.kinds);
        self.steps += outcome.steps;
        if outcome.violation.is_some() {
            self.violations += 1;
            self.failing.push(seed);
        }
    }

    fn add_kinds(&mut self, kinds: &Kinds) {
        for (kind, count) in kinds {
            *self.kinds.entry(*kind).or_default() += count;
        }
    }

    fn join(mut self, other: Totals) -> Totals {
        self.schedules += other.schedules;
        self.accepted += other.accepted;
        self.lost += other.lost;
        self.degraded_lost += other.degraded_lost;
        self.deliveries += other.deliveries;
        self.doubled += other.doubled;
        self.add_kinds(&other.kinds);
        self.violations += other.violations;
        self.steps += other.steps;
        self.failing.extend(other.failing);
        self.failing.sort_unstable();
        self.failing.truncate(10);
        self
    }
}

/// Runs one schedule. A panic of a node is a violation like any other.
pub fn run(schedule: &Schedule, planted: Option<Planted>) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(schedule, planted, false);
        let violation = world.run();
        let (lost, degraded_lost) = checks::lost(&world);
        let history = world.history();
        let accepted = history.activations.values().filter(|seen| !seen.accepted.is_empty()).count() as u64;
        // A run that was broken off has not come to its end: what it has not delivered is not lost.
        let ended = violation.as_ref().is_none_or(|violation| violation.invariant == "I2");
        Outcome {
            accepted,
            lost: if ended { lost } else { 0 },
            degraded_lost: if ended { degraded_lost } else { 0 },
            deliveries: history.deliveries(),
            doubled: history.doubled(),
            kinds: history.doubled.clone(),
            steps: world.steps(),
            violation,
        }
    }));
    ran.unwrap_or_else(|_| Outcome {
        violation: Some(Violation { invariant: "no panic", what: "a node panicked".to_owned(), at_us: 0 }),
        ..Outcome::default()
    })
}

/// Runs the schedules of `count` seeds from `from_seed` on, on two threads.
pub fn run_schedules(from_seed: u64, count: u64) -> Totals {
    let part = |first: u64| {
        let mut totals = Totals::default();
        for seed in (from_seed + first..from_seed + count).step_by(2) {
            totals.add(seed, &run(&Schedule::draw(seed), None));
        }
        totals
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| part(1));
        let mine = part(0);
        mine.join(other.join().expect("a panic of a run is caught in the run"))
    })
}

/// A failing seed, for people: which invariant broke, the small schedule, and how to see it again.
pub fn explain(seed: u64) -> String {
    let schedule = Schedule::draw(seed);
    let small = shrink::shrink(&schedule, None);
    let seen = |schedule: &Schedule| match run(schedule, None).violation {
        Some(Violation { invariant, what, at_us }) => format!("{invariant} at {} ms: {what}", at_us / 1000),
        None => "no violation".to_owned(),
    };
    format!(
        "seed {seed} breaks {}\nshrunk: {}\n{small}see it: ONEALERT_SEED={seed} cargo test -p simulation replay -- --nocapture\n",
        seen(&schedule),
        seen(&small)
    )
}
