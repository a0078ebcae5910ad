//! What happens in one simulated run: drawn from a seed as a list, so that single happenings can be left out of it again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::random::Random;

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

impl Weather {
    fn faults(self, random: &mut Random) -> u64 {
        match self {
            Weather::Calm => 0,
            Weather::Crashes => random.between(1, 3),
            Weather::Storm => random.between(1, 5),
        }
    }
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
    /// Every server that runs computes the same bell, due some time later.
    Bell { page: u32, group: Vec<usize>, endpoints: usize, due_in_ms: u64 },
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
    /// The licence is changed to so many secondaries.
    Licence { secondaries: u32 },
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
                | Happening::Licence { .. }
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
    /// The schedule of a seed.
    pub fn draw(seed: u64) -> Schedule {
        let mut random = Random::new(seed);
        let weather = match random.between(0, 9) {
            0 => Weather::Calm,
            1..=3 => Weather::Crashes,
            _ => Weather::Storm,
        };
        let servers = [2, 2, 3, 3, 3, 4][random.index(6)];
        let storm = weather == Weather::Storm;
        let clocks = (0..servers).map(|_| clock(&mut random, storm)).collect();
        let slowest_way_us = if storm && random.chance(30) { 60_000 } else { 5_000 };
        let mut schedule = Schedule {
            seed,
            weather,
            pace: Pace::Aimed,
            clocks,
            hold_down: random.chance(50),
            slowest_way_us,
            events: Vec::new(),
        };
        // From a source of its own, so that what is drawn here does not shift the rest.
        let mut other = Random::new(seed ^ 0x006f_7468_6572);
        if other.chance(75) {
            schedule.pace = Pace::Minute;
            schedule.draw_minute(&mut random);
        } else {
            schedule.draw_aimed(&mut random);
        }
        schedule.draw_office(&mut other);
        // The order of what happens at one moment is part of the schedule.
        schedule.events.sort_by_key(|(at, _)| *at);
        schedule
    }

    fn draw_aimed(&mut self, random: &mut Random) {
        let length = random.between(500, 8000);
        let pages = random.between(1, 4) as u32;
        for page in 0..pages {
            let at = random.between(1500, 1500 + length);
            self.ask(random, page, at);
        }
        let mut disks = 1;
        for _ in 0..self.weather.faults(random) {
            // Most faults come close to a page: that is where they hurt.
            let close = random.index(self.events.len());
            let at = (self.events[close].0 + random.between(0, 700)).saturating_sub(200).max(1400);
            let fault = fault(random, self.weather, self.clocks.len(), &mut disks);
            self.events.push((at, fault));
        }
    }

    fn draw_minute(&mut self, random: &mut Random) {
        for page in 0..random.between(40, 80) as u32 {
            let at = random.between(1500, 61_500);
            self.ask(random, page, at);
        }
        let mut disks = 1;
        for _ in 0..self.weather.faults(random) {
            let at = random.between(1400, 61_500);
            let fault = fault(random, self.weather, self.clocks.len(), &mut disks);
            self.events.push((at, fault));
        }
    }

    /// What administrators and operators do meanwhile.
    fn draw_office(&mut self, random: &mut Random) {
        let servers = self.clocks.len();
        let last = self.events.iter().map(|(at, _)| *at).max().unwrap_or(2000).max(4000);
        for _ in 0..random.between(1, if self.pace == Pace::Minute { 10 } else { 3 }) {
            // Mostly at the primary, where it is allowed.
            let at = if random.chance(70) { 0 } else { random.index(servers) };
            let rows = random.between(1, 6) as usize;
            self.events.push((random.between(1500, last), Happening::Configure { at, rows }));
        }
        if random.chance(10) {
            let at_ms = random.between(1500, last);
            self.events.push((at_ms, Happening::Reconfigure { server: random.index(servers) }));
        }
        if self.weather == Weather::Storm {
            self.draw_operators(random, last);
        }
        // Where a process dies, a transaction is often under way.
        let dies = |what: &Happening| matches!(what, Happening::Kill { .. } | Happening::PowerLoss { .. });
        let deaths: Vec<u64> = self.events.iter().filter(|(_, what)| dies(what)).map(|(at_ms, _)| *at_ms).collect();
        for at_ms in deaths {
            if random.chance(50) {
                let just_before = at_ms - random.between(3, 25);
                self.events.push((just_before, Happening::Configure { at: 0, rows: random.between(2, 6) as usize }));
            }
        }
    }

    fn draw_operators(&mut self, random: &mut Random, last: u64) {
        let servers = self.clocks.len();
        let mut disks = self.events.iter().all(|(_, what)| !matches!(what, Happening::DiskLost { .. }));
        // Two rival promotions of one generation are left out: see the README.
        let mut promotions = true;
        for _ in 0..random.between(0, 2) {
            let at_ms = random.between(1500, last);
            let (server, back_after_ms) = (random.index(servers), random.between(300, 3000));
            let what = match random.between(0, 99) {
                0..=19 if promotions => {
                    promotions = false;
                    Happening::Promote { server, forced: random.chance(50) }
                }
                0..=34 => Happening::Upgrade { server, to: random.between(1, 2), back_after_ms },
                35..=44 => Happening::HandEdit { server },
                45..=54 => Happening::ClockJump { server, by_ms: random.between(0, 4000) as i64 - 2000 },
                55..=69 if disks => {
                    disks = false;
                    Happening::Deprovision { server }
                }
                // A replaced machine over the licence gets nothing back: an operator's affair, not one of the rules.
                55..=74 if disks => Happening::Licence { secondaries: random.between(0, 3) as u32 },
                // A backup that waits for its promotion and a lost disk may take both copies with them.
                _ if !disks => Happening::Reconfigure { server },
                _ => {
                    self.events.push((random.between(1500, at_ms), Happening::BackUp { server }));
                    Happening::Restore { server, back_after_ms }
                }
            };
            let follows = match &what {
                Happening::Restore { server, .. } if promotions => {
                    promotions = false;
                    Some(Happening::Promote { server: *server, forced: true })
                }
                Happening::Promote { .. } | Happening::Deprovision { .. } | Happening::Restore { .. } => {
                    random.chance(60).then(|| Happening::Join { server: random.index(servers) })
                }
                _ => None,
            };
            self.events.push((at_ms, what));
            if let Some(follows) = follows {
                self.events.push((at_ms + random.between(3500, 9000), follows));
            }
        }
    }

    /// How many faults it holds.
    pub fn faults(&self) -> usize {
        self.events.iter().filter(|(_, what)| what.is_fault()).count()
    }

    fn ask(&mut self, random: &mut Random, page: u32, at_ms: u64) {
        let servers = self.clocks.len();
        let mut group: Vec<usize> = (0..servers).collect();
        random.shuffle(&mut group);
        if random.chance(15) {
            group.truncate(random.between(1, servers as u64) as usize);
        }
        let endpoints = random.between(1, 4) as usize;
        let at = random.index(servers);
        if random.chance(30) {
            let due_in_ms = random.between(0, 2000);
            self.events.push((at_ms, Happening::Bell { page, group, endpoints, due_in_ms }));
        } else {
            let expires_ms = random.chance(10).then(|| random.between(200, 5000));
            let again = random.chance(20).then(|| (random.index(servers), random.between(0, 300)));
            self.events.push((at_ms, Happening::Page { page, at, group, endpoints, expires_ms, again }));
        }
        if random.chance(12) {
            let at_ms = at_ms + random.between(0, 1500);
            self.events.push((at_ms, Happening::Stop { page, at: random.index(servers) }));
        }
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

fn clock(random: &mut Random, storm: bool) -> Clock {
    let worst = if storm { 600 } else { 20 };
    Clock {
        ahead_ms: random.between(0, 2 * worst) as i64 - worst as i64,
        drift_ppm: random.between(0, 400) as i64 - 200,
    }
}

fn fault(random: &mut Random, weather: Weather, servers: usize, disks: &mut u32) -> Happening {
    let server = random.index(servers);
    let other = (server + 1 + random.index(servers - 1)) % servers;
    let back = if random.chance(25) { None } else { Some(random.between(50, 5000)) };
    let for_ms = random.between(100, 5000);
    if weather == Weather::Crashes {
        return if random.chance(75) {
            Happening::Kill { server, back_after_ms: back }
        } else {
            Happening::PowerLoss { server, back_after_ms: back }
        };
    }
    match random.between(0, 99) {
        0..=24 => Happening::Kill { server, back_after_ms: back },
        25..=34 => Happening::PowerLoss { server, back_after_ms: back },
        // Two lost disks may take both copies with them: that is no fault of the rules.
        35..=39 if *disks > 0 => {
            *disks -= 1;
            Happening::DiskLost { server, back_after_ms: for_ms }
        }
        35..=54 => Happening::Pause { server, for_ms },
        55..=74 => Happening::Cut { from: server, to: other, both: random.chance(65), for_ms },
        75..=84 => Happening::Reset { a: server, b: other },
        85..=89 => Happening::SlowDisk { server, for_ms },
        90..=94 => Happening::FullDisk { server, for_ms },
        _ => Happening::Drain { server, back_after_ms: for_ms },
    }
}
