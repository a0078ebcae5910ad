//! Waiting for an absolute time of the monotonic clock or for a call, whichever comes first.

use std::io;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};

const SECOND: u64 = 1_000_000_000;

/// Nanoseconds of the monotonic clock.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the monotonic clock exists on every Linux");
    time.tv_sec() as u64 * SECOND + time.tv_nsec() as u64
}

/// Interrupts a wait; shared by all callers.
#[derive(Debug, Clone)]
pub(super) struct Bell(Arc<EventFd>);

impl Bell {
    pub(super) fn ring(&self) {
        // It fails only when it has been rung so often that it will certainly be heard.
        let _ = self.0.write(1);
    }
}

/// The waiting side.
#[derive(Debug)]
pub(super) struct Wake {
    epoll: Epoll,
    timer: TimerFd,
    bell: Arc<EventFd>,
}

impl Wake {
    pub(super) fn new() -> io::Result<(Wake, Bell)> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(TimerClock::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        let bell = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        epoll.add(&*bell, EpollEvent::new(EpollFlags::EPOLLIN, 1))?;
        Ok((Wake { epoll, timer, bell: bell.clone() }, Bell(bell)))
    }

    /// Returns at `until`, or when the bell is rung (also if it was rung before), or rarely for no reason.
    pub(super) fn wait(&self, until: Option<u64>) -> io::Result<()> {
        match until {
            Some(until) => {
                // Zero would mean "never" to the timer.
                let time = TimeSpec::new((until / SECOND) as i64, (until % SECOND).max(1) as i64);
                // Setting the timer also forgets that it went off before.
                self.timer.set(Expiration::OneShot(time), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.unset()?,
        }
        let mut events = [EpollEvent::empty(); 2];
        match self.epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Empty when the timer was what went off.
        let _ = self.bell.read();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_at_its_time_and_not_before() {
        let (wake, _bell) = Wake::new().expect("descriptors");
        let until = now() + 5_000_000;
        wake.wait(Some(until)).expect("a wait");
        assert!(now() >= until);
        // A time in the past ends at once.
        wake.wait(Some(1)).expect("a wait");
    }

    #[test]
    fn a_bell_rung_before_or_during_a_wait_ends_it() {
        let (wake, bell) = Wake::new().expect("descriptors");
        bell.ring();
        wake.wait(None).expect("a wait");
        let ringer = std::thread::spawn(move || bell.ring());
        wake.wait(None).expect("a wait");
        ringer.join().expect("the ringer does not panic");
    }
}
