//! One simulated server: its mind, its disk, its clocks and its drivers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use onealert_core::{
    effect::{Ended, Haste, Record, TakeoverReason, Ticket},
    event::Input,
    ids::{ActivationId, Incarnation, ServerId},
    knowledge::Knowledge,
    node::{Identity, Node},
    time::{Mono, Now, Span, Wall},
};

use crate::{
    copy::{Copy, Database},
    schedule::Clock,
};

/// When every run begins, by a right clock.
pub const MORNING: i64 = 1_800_000_000_000;
/// The monotonic clocks do not begin at 0, so that nothing rests on it.
const HOUR: Mono = Mono(3_600_000_000);

/// Why a server does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// The process is gone: dialling it is refused.
    Process,
    /// The machine is dark: dialling it is not answered.
    Power,
}

/// What waits for the disk, in order.
#[derive(Debug)]
pub enum Write {
    Record { ticket: Ticket, record: Box<Record>, haste: Haste },
    Ended(Box<Ended>),
}

/// A delivery that the drivers work on.
#[derive(Debug)]
pub struct Delivery {
    /// Endpoints not begun.
    pub waiting: BTreeSet<usize>,
    /// Endpoints begun and without a result.
    pub running: BTreeSet<usize>,
    /// Endpoints that it switches off at its end: begun here, or reached by a server before.
    pub lit: BTreeSet<usize>,
    /// Another server goes on and switches them off.
    pub leaves_on: bool,
    pub halted: bool,
    /// The node asked for it. Only where a rule is broken on purpose does a driver begin before that.
    pub ordered: bool,
    /// Its end was told to the node.
    pub ended: bool,
}

/// One simulated server.
#[derive(Debug)]
pub struct Server {
    pub node: Option<Node>,
    pub down: Option<Down>,
    pub clock: Clock,
    pub incarnation: u64,
    /// Counts the starts: what was meant for an earlier process is dropped.
    pub boot: u64,
    pub paused: bool,
    /// What waits in the sockets and queues of a paused machine.
    pub waiting: Vec<Input>,
    /// Activations as the disk shows them. Power loss takes what `unsynced` holds.
    pub disk: BTreeMap<ActivationId, Knowledge>,
    /// What power loss leaves of the activations that were written without haste since the last write that was waited for:
    /// here they are never synced by themselves, so that nothing may depend on it.
    pub unsynced: BTreeMap<ActivationId, Option<Knowledge>>,
    /// Records of Sent Notifications that survive power loss.
    pub records: Vec<Ended>,
    pub writes: VecDeque<Write>,
    /// When the transaction that is being written is done.
    pub disk_busy_us: u64,
    /// When the one after it is done, which takes in what comes meanwhile. The same where there is none.
    pub disk_next_us: u64,
    pub slow_until_us: u64,
    pub full_until_us: u64,
    /// It computes no bell before this moment; heartbeats and everything else go on.
    pub stuck_until_us: u64,
    /// Deliveries by activation and attempt.
    pub deliveries: BTreeMap<(ActivationId, u32), Delivery>,
    /// Its configuration, generations and activity log.
    pub copy: Copy,
    /// When the configuration database has done what it was given.
    pub store_busy_us: u64,
    /// By which rule it took over which attempt, in this life.
    pub took_over: BTreeMap<(ActivationId, u32), TakeoverReason>,
    /// When which bell came up here after its moment, in this life.
    pub came_late: BTreeMap<ActivationId, Mono>,
    /// When it wants its next tick, in the world's time.
    pub wake_us: Option<u64>,
    /// The version in which it comes back.
    pub upgrade_to: Option<u64>,
    /// It stops as soon as it is drained, and comes back this long after.
    pub leaving_ms: Option<u64>,
}

impl Server {
    pub fn new(clock: Clock, database: Database) -> Server {
        Server {
            node: None,
            down: Some(Down::Process),
            clock,
            incarnation: 1,
            boot: 0,
            paused: false,
            waiting: Vec::new(),
            disk: BTreeMap::new(),
            unsynced: BTreeMap::new(),
            records: Vec::new(),
            writes: VecDeque::new(),
            disk_busy_us: 0,
            disk_next_us: 0,
            slow_until_us: 0,
            full_until_us: 0,
            stuck_until_us: 0,
            deliveries: BTreeMap::new(),
            copy: Copy::new(database),
            store_busy_us: 0,
            took_over: BTreeMap::new(),
            came_late: BTreeMap::new(),
            wake_us: None,
            upgrade_to: None,
            leaving_ms: None,
        }
    }

    /// Both clocks at a moment of the world.
    pub fn clocks(&self, world_us: u64) -> Now {
        let ran = i128::from(world_us) * i128::from(1_000_000 + self.clock.drift_ppm) / 1_000_000;
        let ran = u64::try_from(ran).expect("clocks drift by far less than their speed");
        let wall = MORNING + self.clock.ahead_ms + (ran / 1000) as i64;
        Now { mono: HOUR + Span(ran), wall: Wall(wall) }
    }

    /// The first microsecond of the world at which the server's timer shows `mono`.
    pub fn world_us(&self, mono: Mono) -> u64 {
        let ran = i128::from((mono - HOUR).0);
        let rate = i128::from(1_000_000 + self.clock.drift_ppm);
        u64::try_from((ran * 1_000_000 + rate - 1) / rate).expect("moments are not negative")
    }

    /// When a write that is given to the disk is done, where a transaction takes so long.
    pub fn commit_at(&mut self, now_us: u64, takes_us: u64) -> u64 {
        if now_us >= self.disk_busy_us {
            self.disk_busy_us = self.disk_next_us;
        }
        if now_us >= self.disk_busy_us {
            (self.disk_busy_us, self.disk_next_us) = (now_us + takes_us, now_us + takes_us);
        } else if self.disk_next_us == self.disk_busy_us {
            self.disk_next_us += takes_us;
        }
        self.disk_next_us
    }

    /// What was not synced is as it was before.
    pub fn lose_power(&mut self) {
        for (id, before) in std::mem::take(&mut self.unsynced) {
            match before {
                Some(known) => self.disk.insert(id, known),
                None => self.disk.remove(&id),
            };
        }
    }

    /// Who it is in this life.
    pub fn identity(&self, id: ServerId, now: Now) -> Identity {
        Identity { server: id, incarnation: Incarnation(self.incarnation), boot: self.boot, started: now.wall }
    }

    /// Whether its node takes inputs at this moment.
    pub fn is_awake(&self) -> bool {
        self.node.is_some() && !self.paused
    }
}
