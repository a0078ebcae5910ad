//! Who is signed in: random tokens, of which only the SHA-256 is kept, in memory.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use onealert_core::ids::UserId;
use sha2::{Digest, Sha256};

/// A session that nobody used for so long is over.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// A session is over after so long in any case.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// More sessions than that are not kept: the one unused longest goes.
const MOST: usize = 10_000;

/// One signed-in browser or script.
#[derive(Debug, Clone)]
struct Session {
    user: UserId,
    peer: IpAddr,
    created: Instant,
    seen: Instant,
}

/// Every session of this server. They end with the process.
#[derive(Default)]
pub struct Sessions {
    by_hash: Mutex<HashMap<[u8; 32], Session>>,
}

impl Sessions {
    /// Starts a session and gives its token, 256 random bits as hexadecimal digits.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn start(&self, user: UserId, peer: IpAddr) -> Result<String, getrandom::Error> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes)?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.lock();
        let at = Instant::now();
        sessions.retain(|_, session| session.lives(at));
        if sessions.len() >= MOST
            && let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.seen).map(|(hash, _)| *hash)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(hash(&token), Session { user, peer, created: at, seen: at });
        Ok(token)
    }

    /// The user of a token; counts as use.
    pub fn user(&self, token: &str) -> Option<UserId> {
        let mut sessions = self.lock();
        let at = Instant::now();
        let session = sessions.get_mut(&hash(token)).filter(|session| session.lives(at))?;
        session.seen = at;
        Some(session.user.clone())
    }

    /// Ends a session.
    pub fn end(&self, token: &str) {
        if let Some(session) = self.lock().remove(&hash(token)) {
            tracing::info!(user = %session.user, peer = %session.peer, "signed out");
        }
    }

    /// Ends every session of a user but the one with this token.
    pub fn end_others(&self, user: &UserId, token: Option<&str>) {
        let keep = token.map(hash);
        self.lock().retain(|hash, session| session.user != *user || keep.as_ref() == Some(hash));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.by_hash.lock().expect("no code panics while it holds this lock")
    }
}

impl Session {
    fn lives(&self, at: Instant) -> bool {
        at.duration_since(self.seen) < IDLE && at.duration_since(self.created) < LIFE
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_token_opens_its_own_session_until_it_ends() {
        let sessions = Sessions::default();
        let ann = sessions.start("ann".into(), PEER).expect("random bytes");
        let bob = sessions.start("bob".into(), PEER).expect("random bytes");
        assert_ne!(ann, bob);
        assert_eq!(sessions.user(&ann), Some("ann".into()));
        assert_eq!(sessions.user(&bob), Some("bob".into()));
        assert_eq!(sessions.user(&ann[1..]), None);
        sessions.end(&ann);
        assert_eq!(sessions.user(&ann), None);
        assert_eq!(sessions.user(&bob), Some("bob".into()));
    }

    #[test]
    fn changing_a_password_ends_the_other_sessions_of_that_user_only() {
        let sessions = Sessions::default();
        let here = sessions.start("ann".into(), PEER).expect("random bytes");
        let there = sessions.start("ann".into(), PEER).expect("random bytes");
        let bob = sessions.start("bob".into(), PEER).expect("random bytes");
        sessions.end_others(&"ann".into(), Some(&here));
        assert_eq!(sessions.user(&here), Some("ann".into()));
        assert_eq!(sessions.user(&there), None);
        assert_eq!(sessions.user(&bob), Some("bob".into()));
    }

    #[test]
    fn idle_and_old_sessions_are_over() {
        let start = Instant::now();
        let session = Session { user: "ann".into(), peer: PEER, created: start, seen: start };
        assert!(session.lives(start + IDLE - Duration::from_secs(1)));
        assert!(!session.lives(start + IDLE));
        let used = Session { seen: start + LIFE, ..session };
        assert!(!used.lives(start + LIFE));
    }
}
