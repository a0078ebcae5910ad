//! A seeded simulator around the servers' minds: thousands of schedules of faults, and the invariants that must hold in all.
//!
//! Reading order: [`schedule`] says what can happen, [`world`] runs it with `network` and `server`, `faults` carries
//! out what the schedule says, [`checks`] judges by what [`history`] saw, [`shrink`] makes a failing schedule small. A server's
//! configuration is in [`copy`]; `office` does what operators do with it, [`lines`], `follow` and `publish` bring it to the
//! others, [`law`] judges it. `README.md` says what is modelled and what is not.

pub mod checks;
pub mod conflict;
pub mod copy;
pub mod doubled;
mod draw;
mod drivers;
mod faults;
mod follow;
mod generations;
pub mod history;
mod late;
pub mod law;
mod licence;
pub mod lines;
mod look;
pub mod memory;
mod network;
mod office;
pub mod planted;
mod process;
mod publish;
mod random;
pub mod schedule;
mod server;
mod shell;
pub mod shrink;
pub mod world;

use std::{
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use checks::Violation;
use copy::Database;
use doubled::{Kinds, Table};
use planted::Planted;
use schedule::{Pace, Schedule};
use serde::{Deserialize, Serialize};
use world::World;

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The first broken invariant, if any.
    pub violation: Option<Violation>,
    /// What was counted.
    pub counts: Counts,
    /// How often an endpoint was reached again, by kind.
    pub kinds: Kinds,
}

/// What is counted in a run, or in many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Runs.
    pub schedules: u64,
    /// Runs in which at least one fault happened.
    pub with_faults: u64,
    /// Activations that were accepted.
    pub accepted: u64,
    /// Accepted activations that nobody can deliver any more, degraded ones not counted.
    pub lost: u64,
    /// The same among those accepted as degraded: with one copy, and said so.
    pub degraded_lost: u64,
    /// How often an endpoint was reached.
    pub deliveries: u64,
    /// How often an endpoint was reached that had been reached before.
    pub doubled: u64,
    /// Inputs that nodes took.
    pub steps: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Counts) {
        self.schedules += more.schedules;
        self.with_faults += more.with_faults;
        self.accepted += more.accepted;
        self.lost += more.lost;
        self.degraded_lost += more.degraded_lost;
        self.deliveries += more.deliveries;
        self.doubled += more.doubled;
        self.steps += more.steps;
    }
}

/// What came of many runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// How many were run.
    pub schedules: u64,
    /// Accepted activations that nobody can deliver any more, degraded ones not counted.
    pub lost: u64,
    /// How often an endpoint was reached that had been reached before.
    pub doubled: u64,
    /// Runs in which an invariant broke.
    pub violations: u64,
    /// The same and more, by how much there was to do.
    pub by_pace: BTreeMap<Pace, Counts>,
    /// Deliveries to endpoints that had been reached before, by kind.
    pub kinds: Kinds,
    /// The first seeds in which an invariant broke, at most ten.
    pub failing: Vec<u64>,
}

impl Totals {
    fn add(&mut self, seed: u64, schedule: &Schedule, outcome: &Outcome) {
        let broken = outcome.violation.is_some();
        self.count(schedule.pace, outcome.counts, &outcome.kinds);
        self.violations += u64::from(broken);
        self.failing.extend(broken.then_some(seed));
    }

    fn join(mut self, other: Totals) -> Totals {
        for (pace, counts) in other.by_pace {
            self.count(pace, counts, &Kinds::default());
        }
        self.count(Pace::Aimed, Counts::default(), &other.kinds);
        self.violations += other.violations;
        self.failing.extend(other.failing);
        self.failing.sort_unstable();
        self.failing.truncate(10);
        self
    }

    fn count(&mut self, pace: Pace, counts: Counts, kinds: &Kinds) {
        *self.by_pace.entry(pace).or_default() += counts;
        self.schedules += counts.schedules;
        self.lost += counts.lost;
        self.doubled += counts.doubled;
        for (kind, count) in kinds {
            *self.kinds.entry(*kind).or_default() += count;
        }
    }

    /// Everything that was counted, over all paces.
    pub fn all(&self) -> Counts {
        self.by_pace.values().fold(Counts::default(), |mut all, counts| {
            all += *counts;
            all
        })
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, counts: Counts| {
            let Counts { schedules, with_faults, accepted, lost, degraded_lost, deliveries, doubled, steps } = counts;
            let share = 100.0 * doubled as f64 / deliveries.max(1) as f64;
            let each = doubled as f64 / with_faults.max(1) as f64;
            writeln!(
                f,
                "{what}: {schedules} schedules, {with_faults} of them with faults; {accepted} accepted, {lost} lost, \
                 {degraded_lost} lost that were said to have one copy; {deliveries} deliveries, {doubled} doubled = \
                 {share:.3} %, {each:.3} in each schedule with faults; {steps} steps"
            )
        };
        line("all", self.all())?;
        for (pace, counts) in &self.by_pace {
            line(&format!("{pace:?}"), *counts)?;
        }
        writeln!(f, "{} violations{}", self.violations, if self.failing.is_empty() { "" } else { ":" })?;
        for seed in &self.failing {
            writeln!(f, "  seed {seed}")?;
        }
        write!(f, "{}", Table(&self.kinds))
    }
}

/// Runs one schedule. A panic of a node is a violation like any other.
pub fn run(schedule: &Schedule, planted: Option<Planted>) -> Outcome {
    run_on(Database::Memory, schedule, planted)
}

/// The same, with the configuration in databases of a kind.
pub fn run_on(database: Database, schedule: &Schedule, planted: Option<Planted>) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::on(database, schedule, planted, false);
        let violation = world.run();
        let (lost, degraded_lost) = checks::lost(&world);
        let history = world.history();
        let accepted = history.activations.values().filter(|seen| !seen.accepted.is_empty()).count() as u64;
        // A run that was broken off has not come to its end: what it has not delivered is not lost.
        let ended = violation.as_ref().is_none_or(|violation| violation.invariant == "I2");
        let counts = Counts {
            schedules: 1,
            with_faults: u64::from(schedule.faults() > 0),
            accepted,
            lost: if ended { lost } else { 0 },
            degraded_lost: if ended { degraded_lost } else { 0 },
            deliveries: history.deliveries(),
            doubled: history.doubled(),
            steps: world.steps(),
        };
        Outcome { violation, counts, kinds: history.doubled.clone() }
    }));
    ran.unwrap_or_else(|_| Outcome {
        violation: Some(Violation { invariant: "no panic", what: "a node panicked".to_owned(), at_us: 0 }),
        counts: Counts { schedules: 1, ..Counts::default() },
        kinds: Kinds::default(),
    })
}

/// Runs the schedules of `count` seeds from `from_seed` on, on two threads.
pub fn run_schedules(from_seed: u64, count: u64) -> Totals {
    let part = |first: u64| {
        let mut totals = Totals::default();
        for seed in (from_seed + first..from_seed + count).step_by(2) {
            let schedule = Schedule::draw(seed);
            totals.add(seed, &schedule, &run(&schedule, None));
        }
        totals
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| part(1));
        let mine = part(0);
        mine.join(other.join().expect("a panic of a run is caught in the run"))
    })
}

/// A schedule that was found to break something, kept as text: it means the same whatever is drawn from seeds later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was broken on purpose, if anything.
    pub planted: Option<Planted>,
    /// Which invariant noticed.
    pub invariant: String,
    /// What happened.
    pub schedule: Schedule,
}

/// A failing seed, for people: which invariant broke, the small schedule, and how to see it again.
pub fn explain(seed: u64) -> String {
    let schedule = Schedule::draw(seed);
    let small = shrink::shrink(&schedule, None);
    let seen = |schedule: &Schedule| match run(schedule, None).violation {
        Some(Violation { invariant, what, at_us }) => format!("{invariant} at {} ms: {what}", at_us / 1000),
        None => "no violation".to_owned(),
    };
    let kept = serde_json::to_string(&small).expect("a schedule is plain data");
    format!(
        "seed {seed} breaks {}\nshrunk: {}\n{small}see it: ONEALERT_SEED={seed} cargo test -p simulation replay -- \
         --nocapture\nor from the shrunk schedule, kept in a file: ONEALERT_SCHEDULE=FILE cargo test -p simulation replay \
         -- --nocapture\n{kept}\n",
        seen(&schedule),
        seen(&small)
    )
}
