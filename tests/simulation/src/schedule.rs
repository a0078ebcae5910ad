//! What happens in one simulated run: a list, so that single happenings can be left out of it again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which kinds of fault a schedule may hold. Some invariants are promised for some of them only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Weather {
    /// No fault at all.
    Calm,
    /// Processes are killed and started again, nothing else.
    Crashes,
    /// Crashes, lost disks, pauses, cuts, broken connections, slow and full disks.
    Storm,
}

/// How much an installation has to do while faults happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Pace {
    /// A few pages within seconds, and most faults aimed at them: where rules break, they break here.
    #[default]
    Aimed,
    /// A minute with an activation each second on average, and faults at any moment of it: what an installation lives through
    /// on its worst day.
    Minute,
    /// A page or two, and faults within milliseconds of them, at the servers that have to do with them.
    Close,
}

/// A server's clocks, as far as they are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Its wall clock minus the world's, in milliseconds.
    pub ahead_ms: i64,
    /// How much too fast both its clocks run, in millionths.
    pub drift_ppm: i64,
}

/// One thing that happens at a moment of a schedule. Servers are named by their place in [`Schedule::clocks`], pages and
/// bells by a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// A notification is asked for at a server; `again` is another server that sees the same event some time later.
    Page {
        page: u32,
        at: usize,
        group: Vec<usize>,
        endpoints: usize,
        expires_ms: Option<u64>,
        again: Option<(usize, u64)>,
    },
    /// Every server that runs computes the same bell, due some time later. It may be rung so much later.
    Bell {
        page: u32,
        group: Vec<usize>,
        endpoints: usize,
        due_in_ms: u64,
        #[serde(default = "thirty_seconds")]
        late_ms: u64,
    },
    /// Somebody stops a page at a server.
    Stop { page: u32, at: usize },
    /// A process is killed. It comes back after a while, or not at all.
    Kill { server: usize, back_after_ms: Option<u64> },
    /// A machine loses power: nobody is told that its connections ended.
    PowerLoss { server: usize, back_after_ms: Option<u64> },
    /// A machine is replaced: it comes back with an empty disk.
    DiskLost { server: usize, back_after_ms: u64 },
    /// A machine stands still and then goes on.
    Pause { server: usize, for_ms: u64 },
    /// Nothing travels from one server to another, and the other way neither if `both`.
    Cut { from: usize, to: usize, both: bool, for_ms: u64 },
    /// The connection of two servers breaks with everything that was on its way.
    Reset { a: usize, b: usize },
    /// Writes take long.
    SlowDisk { server: usize, for_ms: u64 },
    /// Writes are refused.
    FullDisk { server: usize, for_ms: u64 },
    /// A server is asked to stop in good order, and comes back.
    Drain { server: usize, back_after_ms: u64 },
    /// A server is stopped in good order and comes back in another version.
    Upgrade { server: usize, to: u64, back_after_ms: u64 },
    /// A server's clockwork stands still: it computes no bell, while its heartbeats go on and look healthy.
    StuckClockwork { server: usize, for_ms: u64 },
    /// A machine's wall clock is set.
    ClockJump { server: usize, by_ms: i64 },
    /// An administrator writes so many rows in one transaction, asking this server.
    Configure { at: usize, rows: usize },
    /// An administrator takes a server out.
    Deprovision { server: usize },
    /// An operator promotes a server, also while a primary lives if `forced`.
    Promote { server: usize, forced: bool },
    /// An operator joins a server that is fenced, restored or deprovisioned.
    Join { server: usize },
    /// A backup of a server is kept.
    BackUp { server: usize },
    /// The last backup of a server is restored on it.
    Restore { server: usize, back_after_ms: u64 },
    /// A secondary's copy is built anew.
    Reconfigure { server: usize },
    /// Somebody changes a row with a database tool.
    HandEdit { server: usize },
    /// The licence is changed to so many secondaries: in the configuration, which every server gets, or in a file of the
    /// primary, which the others learn of when they call.
    Licence { secondaries: u32, in_file: bool },
}

/// How late a bell may be where its calendar says nothing else (redundancy sheet, rule 10).
pub const fn thirty_seconds() -> u64 {
    30_000
}

impl Happening {
    /// Whether it is a fault rather than something that people do.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Happening::Page { .. }
                | Happening::Bell { .. }
                | Happening::Stop { .. }
                | Happening::Configure { .. }
                | Happening::BackUp { .. }
                | Happening::Reconfigure { .. }
                | Happening::Join { .. }
        )
    }
}

/// One run, fully determined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// What it was drawn from; delays are drawn from it too.
    pub seed: u64,
    /// Which faults it may hold.
    pub weather: Weather,
    /// How much happens in it besides.
    #[serde(default)]
    pub pace: Pace,
    /// One per server.
    pub clocks: Vec<Clock>,
    /// Whether a returning server owns nothing for a while.
    pub hold_down: bool,
    /// The longest way of a message, in microseconds.
    pub slowest_way_us: u64,
    /// What happens, with the moment in milliseconds since the start.
    pub events: Vec<(u64, Happening)>,
}

impl Schedule {
    /// How many faults it holds.
    pub fn faults(&self) -> usize {
        self.events.iter().filter(|(_, what)| what.is_fault()).count()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Schedule { seed, weather, pace, clocks, hold_down, slowest_way_us, events } = self;
        writeln!(
            f,
            "seed {seed}, {weather:?}, {pace:?}, {} servers, hold-down {hold_down}, way up to {slowest_way_us} us",
            clocks.len()
        )?;
        for (server, Clock { ahead_ms, drift_ppm }) in clocks.iter().enumerate() {
            writeln!(f, "  server {server}: clock {ahead_ms:+} ms, {drift_ppm:+} ppm")?;
        }
        for (at, what) in events {
            writeln!(f, "  {at:>6} ms {what:?}")?;
        }
        Ok(())
    }
}
