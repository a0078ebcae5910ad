//! Loopback addresses for servers under test.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU32, Ordering},
};

/// A loopback network that no other test on this machine uses, for as long as this is kept: also while none of its servers
/// runs.
pub struct Addresses {
    prefix: String,
    _claim: TcpListener,
}

impl Addresses {
    /// Takes one that is free.
    pub fn claim() -> Addresses {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = std::process::id()
                .wrapping_mul(37)
                .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(101));
            let prefix = format!("127.{}.{}", 16 + number / 250 % 200, 1 + number % 250);
            if let Ok(claim) = TcpListener::bind(format!("{prefix}.254:7400")) {
                return Addresses { prefix, _claim: claim };
            }
        }
    }

    /// The first three numbers of all of them; the last may be 1 to 253.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}
