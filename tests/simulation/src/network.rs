//! The network between the servers, as the mesh's transport shows it: one connection per pair, in order each way, whose end
//! loses what was under way.

use std::collections::{BTreeMap, VecDeque};

use onealert_core::peer_message::PeerMessage;

use crate::random::Random;

/// What travels on a connection.
#[derive(Debug, Clone)]
pub enum Parcel {
    /// The connection stands; which process said hello.
    Hello { incarnation: u64, boot: u64 },
    /// A message.
    Message(Box<PeerMessage>),
}

/// One direction of a pair.
#[derive(Debug, Default)]
struct Way {
    /// How many cuts lie across it.
    cuts: u32,
    /// When the last parcel of this connection arrives: none overtakes it.
    last_us: u64,
    /// What waits for the cut to end, in order, as TCP sends it again.
    stuck: VecDeque<Parcel>,
}

/// A pair of servers, seen from both.
#[derive(Debug, Default)]
struct Pair {
    stands: bool,
    /// Counts the connections: what belongs to an ended one is lost.
    number: u64,
}

/// All pairs.
#[derive(Debug, Default)]
pub struct Network {
    pairs: BTreeMap<(usize, usize), Pair>,
    ways: BTreeMap<(usize, usize), Way>,
    slowest_us: u64,
}

impl Network {
    /// Nobody is connected yet.
    pub fn new(servers: usize, slowest_us: u64) -> Network {
        let mut network = Network { slowest_us, ..Network::default() };
        for a in 0..servers {
            for b in (0..servers).filter(|b| *b != a) {
                network.pairs.entry(pair(a, b)).or_default();
                network.ways.entry((a, b)).or_default();
            }
        }
        network
    }

    /// The number of the connection of two servers, where one stands.
    pub fn connection(&self, a: usize, b: usize) -> Option<u64> {
        let pair = &self.pairs[&pair(a, b)];
        pair.stands.then_some(pair.number)
    }

    /// Whether anything lies across either way.
    pub fn is_cut(&self, a: usize, b: usize) -> bool {
        self.ways[&(a, b)].cuts > 0 || self.ways[&(b, a)].cuts > 0
    }

    /// A connection begins; the number it has.
    pub fn connect(&mut self, a: usize, b: usize) -> u64 {
        self.end(a, b);
        let pair = self.pairs.get_mut(&pair(a, b)).expect("every pair exists");
        pair.stands = true;
        pair.number
    }

    /// The connection ends with everything on it; says whether one stood.
    pub fn end(&mut self, a: usize, b: usize) -> bool {
        for way in [(a, b), (b, a)] {
            let way = self.ways.get_mut(&way).expect("every way exists");
            way.stuck.clear();
            way.last_us = 0;
        }
        let pair = self.pairs.get_mut(&pair(a, b)).expect("every pair exists");
        pair.number += 1;
        std::mem::take(&mut pair.stands)
    }

    /// When a parcel that leaves arrives.
    pub fn arrival(&mut self, from: usize, to: usize, now_us: u64, random: &mut Random) -> u64 {
        let delay = random.between(50, self.slowest_us);
        let way = self.ways.get_mut(&(from, to)).expect("every way exists");
        way.last_us = way.last_us.max(now_us + delay);
        way.last_us
    }

    /// When everything that has left by then will have arrived.
    pub fn drained(&self, from: usize, to: usize, now_us: u64) -> u64 {
        self.ways[&(from, to)].last_us.max(now_us)
    }

    /// A parcel reaches the end of its way: handed over, or kept back behind a cut.
    pub fn arrive(&mut self, from: usize, to: usize, parcel: Parcel) -> Option<Parcel> {
        let way = self.ways.get_mut(&(from, to)).expect("every way exists");
        if way.cuts == 0 && way.stuck.is_empty() {
            return Some(parcel);
        }
        way.stuck.push_back(parcel);
        None
    }

    /// A cut begins.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.ways.get_mut(&(from, to)).expect("every way exists").cuts += 1;
    }

    /// A cut ends. What is stuck is sent again some time later, by [`Network::released`].
    pub fn heal(&mut self, from: usize, to: usize) {
        let way = self.ways.get_mut(&(from, to)).expect("every way exists");
        way.cuts = way.cuts.checked_sub(1).expect("a cut ends once");
    }

    /// What was stuck and gets through at this moment.
    pub fn released(&mut self, from: usize, to: usize) -> VecDeque<Parcel> {
        let way = self.ways.get_mut(&(from, to)).expect("every way exists");
        if way.cuts > 0 { VecDeque::new() } else { std::mem::take(&mut way.stuck) }
    }
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}
