//! How many calls are held at once, and who gives way when more come than there are seats.
//!
//! Whoever has not shown a certificate of the site is a stranger. A stranger who comes when every seat is taken gets the seat of
//! the stranger who has held one longest: a flood pushes itself out, and a server of the site, whose handshake takes
//! milliseconds, always comes through. Whoever has shown a certificate never gives way.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// The seats of one door.
#[derive(Debug)]
pub(crate) struct Seats {
    per_address: usize,
    total: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// The number of the next seat: a lower one was taken earlier.
    next: u64,
    all: BTreeMap<u64, Taken>,
    by_address: HashMap<IpAddr, usize>,
    /// Strangers who had to give way, since it was last asked.
    gave_way: u64,
}

#[derive(Debug)]
struct Taken {
    address: IpAddr,
    /// Cancelled when a stranger has to give way; `None` for who has shown a certificate.
    stranger: Option<CancellationToken>,
}

/// One call's seat; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    leave: CancellationToken,
}

impl Seats {
    pub(crate) fn new(per_address: usize, total: usize) -> Arc<Seats> {
        Arc::new(Seats { per_address, total, held: Mutex::default() })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat for a call from this address; `None` where all are held by servers of the site.
    pub(crate) fn take(self: &Arc<Seats>, address: IpAddr) -> Option<Seat> {
        let mut held = self.held();
        if held.by_address.get(&address).copied().unwrap_or(0) >= self.per_address {
            held.give_way(|taken| taken.address == address)?;
        }
        if held.all.len() >= self.total {
            held.give_way(|_| true)?;
        }
        let (number, leave) = (held.next, CancellationToken::new());
        held.next += 1;
        held.all.insert(number, Taken { address, stranger: Some(leave.clone()) });
        *held.by_address.entry(address).or_default() += 1;
        Some(Seat { seats: self.clone(), number, leave })
    }

    /// How many strangers had to give way since this was last asked.
    pub(crate) fn gave_way(&self) -> u64 {
        std::mem::take(&mut self.held().gave_way)
    }
}

impl Held {
    /// Frees the seat of the stranger who fits and has held it longest.
    fn give_way(&mut self, fits: impl Fn(&Taken) -> bool) -> Option<()> {
        let number = *self.all.iter().find(|(_, taken)| taken.stranger.is_some() && fits(taken))?.0;
        self.free(number)?.cancel();
        self.gave_way += 1;
        Some(())
    }

    fn free(&mut self, number: u64) -> Option<CancellationToken> {
        let Taken { address, stranger } = self.all.remove(&number)?;
        match self.by_address.get_mut(&address) {
            Some(here) if *here > 1 => *here -= 1,
            _ => drop(self.by_address.remove(&address)),
        }
        stranger
    }
}

impl Seat {
    /// The caller has shown a certificate of the site: it keeps its seat from here on. Says whether it still has it.
    pub(crate) fn keep(&self) -> bool {
        match self.seats.held().all.get_mut(&self.number) {
            Some(taken) => {
                taken.stranger = None;
                true
            }
            None => false,
        }
    }

    /// Returns when the caller has to give way.
    pub(crate) async fn left(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.seats.held().free(self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    fn has_left(seat: &Seat) -> bool {
        seat.leave.is_cancelled()
    }

    #[test]
    fn the_stranger_who_came_first_gives_way_and_a_server_of_the_site_never() {
        let seats = Seats::new(10, 3);
        let peer = seats.take(address(1)).expect("a seat");
        assert!(peer.keep());
        let (first, second) = (seats.take(address(2)).expect("a seat"), seats.take(address(3)).expect("a seat"));
        let third = seats.take(address(4)).expect("the first one's seat");
        assert!(has_left(&first) && !has_left(&second) && !has_left(&peer));
        assert!(!first.keep(), "a handshake that ends too late");
        assert!(second.keep() && third.keep());
        assert!(seats.take(address(5)).is_none(), "all are held by servers of the site");
        assert_eq!((seats.gave_way(), seats.gave_way()), (1, 0));
        drop((first, second));
        seats.take(address(5)).expect("a seat that was freed once is free once");
        assert_eq!(seats.held().all.len(), 2, "the peer and the third");
    }

    #[test]
    fn one_address_pushes_out_its_own() {
        let seats = Seats::new(2, 10);
        let other = seats.take(address(1)).expect("a seat");
        let (first, second) = (seats.take(address(2)).expect("a seat"), seats.take(address(2)).expect("a seat"));
        let third = seats.take(address(2)).expect("the first one's seat");
        assert!(has_left(&first) && !has_left(&second) && !has_left(&other));
        assert!(second.keep() && third.keep());
        assert!(seats.take(address(2)).is_none(), "no stranger is left there");
        drop((first, second, third));
        assert_eq!(seats.held().by_address, HashMap::from([(address(1), 1)]));
    }
}
