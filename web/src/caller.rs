//! Who asks: from a session cookie, a bearer token or a name and password, to an account and what it may do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use onealert_core::ids::UserId;
use sha2::{Digest, Sha256};

use crate::{
    login,
    needs::{Account, Actor, Identity, Needs, Password, Problem},
    request::Request,
    roles::{self, Action},
    site::Site,
};

/// A signed-in user on one request.
pub struct Caller {
    /// The host.
    pub needs: Arc<dyn Needs>,
    /// Which server this is.
    pub identity: Identity,
    /// The account as it is at present: a changed role counts from the next request.
    pub account: Account,
    /// The session's token, unless the request carries name and password.
    pub token: Option<String>,
    peer: std::net::IpAddr,
}

impl Caller {
    /// Who sent this request. Name and password in the request itself are for scripts, so pages do not take them.
    ///
    /// # Errors
    /// 401 when nobody is signed in; 403 over plain HTTP where that is not allowed; 429 after too many wrong passwords.
    pub async fn of(request: &Request, take_basic: bool) -> Result<Caller, Problem> {
        let site = &request.site;
        let needs = Arc::clone(&site.needs);
        let identity = needs.identity();
        let authorization = request.header("authorization").unwrap_or_default();
        let (scheme, credentials) = authorization.split_once(' ').unwrap_or_default();
        let token = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Some(credentials.trim().to_owned()),
            "basic" if take_basic => {
                login::require_transport(request)?;
                let account = basic(request, credentials.trim()).await?;
                return Ok(Caller { needs, identity, account, token: None, peer: request.peer.addr });
            }
            _ => request.cookie(&login::cookie_name(&identity, request.peer.secure)),
        };
        let token = token.ok_or_else(|| Problem::unauthorised("Sign in first."))?;
        login::require_transport(request)?;
        let over = || Problem::unauthorised("Your session is over. Sign in again.");
        let user = site.sessions.user(&token).ok_or_else(over)?;
        let account = needs.account(&user).ok_or_else(over)?;
        Ok(Caller { needs, identity, account, token: Some(token), peer: request.peer.addr })
    }

    /// Who it is, for the audit log.
    pub fn actor(&self) -> Actor {
        Actor { user: self.account.user.clone(), role: self.account.role, peer: self.peer }
    }

    /// Whether the role allows an action.
    pub fn can(&self, action: Action) -> bool {
        roles::can(self.account.role, action)
    }

    /// Refuses what the role does not allow.
    ///
    /// # Errors
    /// 403, naming the role that is needed.
    pub fn require(&self, action: Action) -> Result<(), Problem> {
        roles::require(self.account.role, action)
    }

    /// Refuses a change of the configuration that the role does not allow, or that this server does not take.
    ///
    /// # Errors
    /// 403, with the primary's address where that is the place.
    pub fn require_change(&self, action: Action) -> Result<(), Problem> {
        self.require(action)?;
        let primary = || self.identity.primary.as_ref().map(|link| link.url.clone());
        self.identity.can_configure.as_ref().map(|_| ()).map_err(|why| Problem::read_only(why.clone(), primary()))
    }
}

/// Accounts whose name and password were checked a moment ago: scripts send both with every request, and checking a
/// password is slow on purpose.
#[derive(Default)]
pub struct Checked {
    known: Mutex<HashMap<[u8; 32], (UserId, Instant)>>,
    /// Random, so that the digests are worth nothing outside this process.
    salt: std::sync::OnceLock<[u8; 32]>,
}

const REMEMBER: Duration = Duration::from_secs(60);
const MOST: usize = 1000;

impl Checked {
    fn key(&self, user: &str, password: &Password) -> [u8; 32] {
        let salt = self.salt.get_or_init(|| {
            let mut salt = [0; 32];
            getrandom::fill(&mut salt).expect("the system gave random bytes at the first sign-in");
            salt
        });
        let mut hash = Sha256::new_with_prefix(salt);
        hash.update((user.len() as u64).to_be_bytes());
        hash.update(user);
        hash.update(password.reveal());
        hash.finalize().into()
    }

    fn find(&self, key: &[u8; 32]) -> Option<UserId> {
        let known = self.known.lock().expect("no code panics while it holds this lock");
        known.get(key).filter(|(_, at)| at.elapsed() < REMEMBER).map(|(user, _)| user.clone())
    }

    fn add(&self, key: [u8; 32], user: UserId) {
        let mut known = self.known.lock().expect("no code panics while it holds this lock");
        known.retain(|_, (_, at)| at.elapsed() < REMEMBER);
        if known.len() < MOST {
            known.insert(key, (user, Instant::now()));
        }
    }

    /// Forgets a user: the password was changed.
    pub fn forget(&self, user: &UserId) {
        self.known.lock().expect("no code panics while it holds this lock").retain(|_, (known, _)| known != user);
    }
}

async fn basic(request: &Request, credentials: &str) -> Result<Account, Problem> {
    let wrong = || Problem::unauthorised("The Authorization header does not hold a name and a password.");
    let bytes = BASE64_STANDARD.decode(credentials).map_err(|_| wrong())?;
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    let (user, password) = text.split_once(':').ok_or_else(wrong)?;
    let password = Password::new(password);
    let site: &Site = &request.site;
    let key = site.checked.key(user, &password);
    if let Some(account) = site.checked.find(&key).and_then(|user| site.needs.account(&user)) {
        return Ok(account);
    }
    let account = login::check(site, user, password, request.peer.addr).await?;
    site.checked.add(key, account.user.clone());
    Ok(account)
}
