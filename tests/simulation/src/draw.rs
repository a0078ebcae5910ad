//! Schedules drawn from seeds: how much there is to do, which faults come, and when.

use crate::{
    faults::STEADY_MS,
    random::Random,
    schedule::{Clock, Happening, Pace, Schedule, Weather, thirty_seconds},
};

/// The number of the bell that comes when everything else is over: no page has it.
const LATE_BELL: u32 = 1_000_000;

impl Weather {
    fn faults(self, random: &mut Random) -> u64 {
        match self {
            Weather::Calm => 0,
            Weather::Crashes => random.between(1, 3),
            Weather::Storm => random.between(1, 5),
        }
    }
}

impl Schedule {
    /// The schedule of a seed.
    pub fn draw(seed: u64) -> Schedule {
        let close = Random::new(seed ^ 0x0063_6c6f_7365).chance(4);
        Schedule::drawn(seed, close)
    }

    /// The schedule of a seed in which faults come within milliseconds of what they disturb.
    pub fn draw_closely(seed: u64) -> Schedule {
        Schedule::drawn(seed, true)
    }

    fn drawn(seed: u64, close: bool) -> Schedule {
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
        schedule.pace = match other.chance(75) {
            _ if close => Pace::Close,
            true => Pace::Minute,
            false => Pace::Aimed,
        };
        match schedule.pace {
            Pace::Minute => schedule.draw_minute(&mut random),
            Pace::Aimed => schedule.draw_aimed(&mut random),
            Pace::Close => schedule.draw_close(&mut random),
        }
        if storm {
            schedule.draw_licences(&mut Random::new(seed ^ 0x6c69_6365_6e63_6573));
            schedule.draw_stuck(&mut Random::new(seed ^ 0x0062_656c_6c73));
        }
        schedule.draw_office(&mut other);
        if storm {
            schedule.draw_late_bells(&mut Random::new(seed ^ 0x6c61_7465));
        }
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

    fn draw_close(&mut self, random: &mut Random) {
        for page in 0..random.between(1, 2) as u32 {
            let at = random.between(1500, 2500);
            self.ask(random, page, at);
        }
        let concerned = |(at_ms, what): &(u64, Happening)| match what {
            Happening::Page { at, group, .. } => Some((*at_ms, [&[*at], &group[..]].concat())),
            Happening::Bell { group, due_in_ms, .. } => Some((at_ms + due_in_ms, group.clone())),
            _ => None,
        };
        let concerned: Vec<(u64, Vec<usize>)> = self.events.iter().filter_map(concerned).collect();
        let mut disks = 1;
        for _ in 0..self.weather.faults(random).min(2) {
            let (at_ms, servers) = &concerned[random.index(concerned.len())];
            let server = servers[random.index(servers.len().min(2))];
            let back_after_ms = random.chance(50).then(|| random.between(50, 3000));
            let what = match random.between(0, 9) {
                0..=3 if self.weather == Weather::Storm => fault(random, self.weather, self.clocks.len(), &mut disks),
                0..=6 => Happening::Kill { server, back_after_ms },
                _ => Happening::PowerLoss { server, back_after_ms },
            };
            self.events.push((at_ms + random.between(0, 8), what));
        }
    }

    /// Somebody's clockwork stands still when a bell is due.
    fn draw_stuck(&mut self, random: &mut Random) {
        let bells = self.events.iter().filter_map(|(at_ms, what)| match what {
            Happening::Bell { group, .. } => Some((*at_ms, group[0])),
            _ => None,
        });
        let bells: Vec<(u64, usize)> = bells.collect();
        if !bells.is_empty() && random.chance(15) {
            let (at_ms, server) = bells[random.index(bells.len())];
            let what = Happening::StuckClockwork { server, for_ms: random.between(1000, 5000) };
            self.events.push((at_ms.saturating_sub(random.between(1, 500)), what));
        }
    }

    /// When everything else is over, a bell whose first server is away until it is too late; or one whose first server has a
    /// clock that is a minute ahead for a while, and set right again before the bell is due.
    fn draw_late_bells(&mut self, random: &mut Random) {
        if !random.chance(8) {
            return;
        }
        let last = self.events.iter().map(|(at_ms, _)| *at_ms).max().unwrap_or(2000);
        let mut group: Vec<usize> = (0..self.clocks.len()).collect();
        random.shuffle(&mut group);
        let (first, endpoints, page) = (group[0], random.between(1, 3) as usize, LATE_BELL);
        let at_ms = last + random.between(8000, 12_000);
        if random.chance(50) {
            let back_after_ms = Some(random.between(3000, 4500));
            self.events.push((at_ms - random.between(100, 300), Happening::Kill { server: first, back_after_ms }));
            self.events.push((at_ms, Happening::Bell { page, group, endpoints, due_in_ms: 600, late_ms: 1000 }));
        } else {
            let by_ms = 60_000 + random.between(0, 5000) as i64;
            self.events.push((at_ms, Happening::ClockJump { server: first, by_ms }));
            let right_again = at_ms + STEADY_MS + random.between(300, 2000);
            self.events.push((right_again, Happening::ClockJump { server: first, by_ms: -by_ms }));
            let due_in_ms = random.between(500, 2000);
            let late_ms = thirty_seconds();
            let computed = right_again + random.between(1000, 4000);
            self.events.push((computed, Happening::Bell { page, group, endpoints, due_in_ms, late_ms }));
        }
    }

    /// The licence is lowered, so that somebody is left out, and mostly raised again.
    fn draw_licences(&mut self, random: &mut Random) {
        let servers = self.clocks.len() as u64;
        // A replaced machine over the licence gets nothing back: an operator's affair, not one of the rules.
        let replaced = self.events.iter().any(|(_, what)| matches!(what, Happening::DiskLost { .. }));
        if replaced || !random.chance(8) {
            return;
        }
        let in_file = random.chance(30);
        let (mut at_ms, _) = self.events[random.index(self.events.len())];
        for _ in 0..random.between(1, 2) {
            at_ms = (at_ms + random.between(0, 400)).saturating_sub(200).max(1400);
            let secondaries = random.between(0, servers - 2) as u32;
            self.events.push((at_ms, Happening::Licence { secondaries, in_file }));
            if in_file {
                // Who is connected is not asked again; who calls again is told.
                let server = random.index(self.clocks.len());
                let back_after_ms = Some(random.between(50, 500));
                self.events.push((at_ms + random.between(1, 300), Happening::Kill { server, back_after_ms }));
            }
            at_ms += random.between(300, 6000);
            if random.chance(70) {
                let secondaries = servers as u32;
                self.events.push((at_ms, Happening::Licence { secondaries, in_file }));
            }
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
            let mut apart = Random::new(self.seed ^ 0x7269_7661_6c73);
            if apart.chance(8) {
                self.draw_rivals(&mut apart, last);
            }
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
        for _ in 0..random.between(0, 2) {
            let at_ms = random.between(1500, last);
            let (server, back_after_ms) = (random.index(servers), random.between(300, 3000));
            let what = match random.between(0, 99) {
                0..=19 => Happening::Promote { server, forced: random.chance(50) },
                20..=34 => Happening::Upgrade { server, to: random.between(1, 2), back_after_ms },
                35..=44 => Happening::HandEdit { server },
                45..=54 => Happening::ClockJump { server, by_ms: random.between(0, 4000) as i64 - 2000 },
                55..=69 if disks => {
                    disks = false;
                    Happening::Deprovision { server }
                }
                // A backup that waits for its promotion and a lost disk may take both copies with them.
                _ if !disks => Happening::Reconfigure { server },
                _ => {
                    self.events.push((random.between(1500, at_ms), Happening::BackUp { server }));
                    Happening::Restore { server, back_after_ms }
                }
            };
            let follows = match &what {
                Happening::Restore { server, .. } => Some(Happening::Promote { server: *server, forced: true }),
                Happening::Promote { .. } | Happening::Deprovision { .. } => {
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

    /// Two servers that are promoted apart: a cut lies between two parts of the installation, and each part gets a primary.
    fn draw_rivals(&mut self, random: &mut Random, last: u64) {
        let servers = self.clocks.len();
        let mut order: Vec<usize> = (0..servers).collect();
        random.shuffle(&mut order);
        let (one, other) = order.split_at(random.between(1, servers as u64 - 1) as usize);
        let for_ms = random.between(5000, 9000);
        // A minute's work is over by then: what each side of a cut sends is tried by the ordinary ones.
        let at_ms = match self.pace {
            Pace::Minute => last + random.between(500, 3000),
            Pace::Aimed | Pace::Close => random.between(1500, last),
        };
        for from in one.iter().copied() {
            let cuts = other.iter().map(|to| (at_ms, Happening::Cut { from, to: *to, both: true, for_ms }));
            self.events.extend(cuts);
        }
        for part in [one, other] {
            let server = part[random.index(part.len())];
            let rows = random.between(1, 6) as usize;
            self.events.push((at_ms + random.between(200, 3000), Happening::Promote { server, forced: true }));
            self.events.push((at_ms + random.between(3000, for_ms), Happening::Configure { at: server, rows }));
            if random.chance(50) {
                self.events.push((at_ms + for_ms + random.between(1000, 9000), Happening::Join { server }));
            }
        }
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
            let late_ms = thirty_seconds();
            self.events.push((at_ms, Happening::Bell { page, group, endpoints, due_in_ms, late_ms }));
        } else {
            let expires_ms = random.chance(10).then(|| random.between(200, 5000));
            let again = random.chance(20).then(|| (random.index(servers), random.between(0, 300)));
            // One in five comes after everything has ended: a feed that is polled by another server.
            let again = again.map(|(at, ms)| (at, if ms > 240 { (ms - 240) * 100 + 1500 } else { ms }));
            self.events.push((at_ms, Happening::Page { page, at, group, endpoints, expires_ms, again }));
        }
        if random.chance(12) {
            let at_ms = at_ms + random.between(0, 1500);
            self.events.push((at_ms, Happening::Stop { page, at: random.index(servers) }));
        }
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
