//! Signing in and out, and the limit on guessing passwords.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use cookie::{Cookie, SameSite};
use http::{HeaderValue, header};

use crate::{
    needs::{Account, Identity, Password, Problem},
    reply::Reply,
    request::Request,
    site::Site,
};

/// Wrong passwords from one address before it must wait.
const PER_ADDRESS: f64 = 20.0;
/// Wrong passwords for one name before it must wait. Higher, so that one guesser does not lock a user out at once.
const PER_NAME: f64 = 40.0;
/// After that one more in so many seconds.
const SECONDS_EACH: f64 = 6.0;

/// The session cookie's name. Cookies ignore ports, so two servers of one machine need two names; `__Host-` makes the
/// browser hold it to TLS and to this host.
pub fn cookie_name(identity: &Identity, secure: bool) -> String {
    let id = identity.id.to_string();
    if secure { format!("__Host-onealert-{id}") } else { format!("onealert-{id}") }
}

/// Refuses passwords and sessions over plain HTTP where that is not allowed.
///
/// # Errors
/// 403 that says what to do.
pub fn require_transport(request: &Request) -> Result<(), Problem> {
    if request.peer.secure || request.site.allow_http_login {
        return Ok(());
    }
    let detail = "Signing in needs an encrypted connection. Open the same address with https instead of http.";
    Err(Problem::new(403, "Not over plain HTTP", detail))
}

/// Checks a name and a password within the limit on guessing.
///
/// # Errors
/// 401 for a wrong pair, 429 after too many.
pub async fn check(site: &Site, user: &str, password: Password, peer: IpAddr) -> Result<Account, Problem> {
    let user = user.trim().to_lowercase();
    if user.is_empty() {
        return Err(Problem::unauthorised("Enter your user name and your password."));
    }
    // Taken before the check, so that many guesses at once are counted too; given back when the password was right.
    let taken = site.throttle.take(peer, &user)?;
    match site.needs.authenticate(&user, password, peer).await {
        Ok(account) => {
            site.throttle.give_back(taken);
            Ok(account)
        }
        Err(problem) => {
            if problem.status == 401 {
                tracing::warn!(%user, %peer, "sign-in refused: wrong name or password");
            } else {
                site.throttle.give_back(taken);
            }
            Err(problem)
        }
    }
}

/// Signs in: checks, ends the session that the browser had, and starts another one.
///
/// # Errors
/// As [`check`]; 503 without random bytes.
pub async fn sign_in(request: &Request, user: &str, password: Password) -> Result<(Account, String), Problem> {
    require_transport(request)?;
    let site = &request.site;
    let account = check(site, user, password, request.peer.addr).await?;
    if let Some(old) = request.cookie(&cookie_name(&site.needs.identity(), request.peer.secure)) {
        site.sessions.end(&old);
    }
    let token = site.sessions.start(account.user.clone(), request.peer.addr).map_err(|error| {
        tracing::error!(%error, "no random bytes for a session");
        Problem::unavailable(
            "The server has no random numbers at present, so nobody can sign in. Try again in a minute.",
        )
    })?;
    tracing::info!(user = %account.user, peer = %request.peer.addr, "signed in");
    Ok((account, token))
}

/// Hands the session to the browser; an empty token takes it away.
pub fn set_cookie(request: &Request, reply: &mut Reply, token: &str) {
    let name = cookie_name(&request.site.needs.identity(), request.peer.secure);
    let mut cookie = Cookie::build((name, token.to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(request.peer.secure)
        .build();
    if token.is_empty() {
        cookie.set_max_age(cookie::time::Duration::ZERO);
    }
    let value =
        HeaderValue::from_str(&cookie.to_string()).expect("a hexadecimal token makes a cookie of plain characters");
    reply.headers_mut().append(header::SET_COOKIE, value);
}

/// How often sign-in failed, by address and by name.
#[derive(Default)]
pub struct Throttle {
    addresses: Mutex<HashMap<IpAddr, Bucket>>,
    names: Mutex<HashMap<String, Bucket>>,
}

/// A try that was counted.
pub struct Taken {
    peer: IpAddr,
    user: String,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Throttle {
    fn take(&self, peer: IpAddr, user: &str) -> Result<Taken, Problem> {
        let at = Instant::now();
        take(&self.addresses, peer, PER_ADDRESS, at)?;
        if let Err(problem) = take(&self.names, user.to_owned(), PER_NAME, at) {
            give_back(&self.addresses, &peer);
            return Err(problem);
        }
        Ok(Taken { peer, user: user.to_owned() })
    }

    fn give_back(&self, taken: Taken) {
        give_back(&self.addresses, &taken.peer);
        give_back(&self.names, &taken.user);
    }
}

fn take<K: Eq + Hash>(buckets: &Mutex<HashMap<K, Bucket>>, key: K, most: f64, at: Instant) -> Result<(), Problem> {
    let mut buckets = buckets.lock().expect("no code panics while it holds this lock");
    if buckets.len() > 10_000 {
        // A full bucket says no more than no bucket.
        let full = Duration::from_secs_f64(most * SECONDS_EACH);
        buckets.retain(|_, bucket| at.duration_since(bucket.at) < full);
    }
    let bucket = buckets.entry(key).or_insert(Bucket { left: most, at });
    bucket.left = (bucket.left + at.duration_since(bucket.at).as_secs_f64() / SECONDS_EACH).min(most);
    bucket.at = at;
    if bucket.left < 1.0 {
        let wait = ((1.0 - bucket.left) * SECONDS_EACH).ceil();
        let detail = format!(
            "There were too many wrong passwords. Sign-in is possible again in {wait} s. Sending is not affected."
        );
        return Err(Problem::new(429, "Too many attempts", detail));
    }
    bucket.left -= 1.0;
    Ok(())
}

fn give_back<K: Eq + Hash>(buckets: &Mutex<HashMap<K, Bucket>>, key: &K) {
    if let Some(bucket) = buckets.lock().expect("no code panics while it holds this lock").get_mut(key) {
        bucket.left += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn guessing_stops_and_right_passwords_cost_nothing() {
        let throttle = Throttle::default();
        let peer = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        for _ in 0..200 {
            let taken = throttle.take(peer(1), "ann").expect("a right password");
            throttle.give_back(taken);
        }
        for n in 0..PER_ADDRESS as u32 {
            assert!(throttle.take(peer(1), "ann").is_ok(), "wrong password {n}");
        }
        let refused = throttle.take(peer(1), "ann").err().expect("one too many");
        assert_eq!(refused.status, 429);
        assert!(throttle.take(peer(2), "ann").is_ok(), "another address is not shut out");
    }

    #[test]
    fn a_name_is_guarded_against_many_addresses_and_time_heals() {
        let buckets = Mutex::default();
        let start = Instant::now();
        for _ in 0..PER_NAME as u32 {
            take(&buckets, "ann", PER_NAME, start).expect("within the limit");
        }
        assert!(take(&buckets, "ann", PER_NAME, start).is_err());
        let later = start + Duration::from_secs_f64(SECONDS_EACH + 0.1);
        assert!(take(&buckets, "ann", PER_NAME, later).is_ok());
        assert!(take(&buckets, "ann", PER_NAME, later).is_err());
    }
}
