//! What all requests share.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{caller::Checked, login::Throttle, needs::Needs, session::Sessions};

/// One running web side: the host behind it, who is signed in, and whether it stops.
pub struct Site {
    /// The host.
    pub needs: Arc<dyn Needs>,
    /// Who is signed in.
    pub sessions: Sessions,
    /// Whose password was checked a moment ago.
    pub checked: Checked,
    /// How often sign-in was tried.
    pub throttle: Throttle,
    /// Whether people may sign in over plain HTTP.
    pub allow_http_login: bool,
    /// Turns true when event streams must end.
    pub stop: watch::Receiver<bool>,
}

impl Site {
    /// A web side in front of this host.
    pub fn new(needs: Arc<dyn Needs>, allow_http_login: bool, stop: watch::Receiver<bool>) -> Site {
        Site {
            needs,
            sessions: Sessions::default(),
            checked: Checked::default(),
            throttle: Throttle::default(),
            allow_http_login,
            stop,
        }
    }
}
