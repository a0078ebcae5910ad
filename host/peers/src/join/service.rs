//! The primary's side: everything a stranger can send is bounded, and wrong logins are slowed down.

use std::{
    collections::HashMap,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use onealert_core::{config::Server, ids::ServerId, version::VersionSet};
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;
use tokio_util::codec::Framed;

use super::{Ask, JoinRefusal, Reply};
use crate::{
    frame::{self, Frames, JOIN_LIMIT},
    identity::{CheckedRequest, Identity},
    net::TcpStream,
};

const ASK_DEADLINE: Duration = Duration::from_secs(10);
/// Checking a password costs memory and time on purpose: no more than this many at once.
const AT_ONCE: usize = 2;
/// So many wrong logins from one address, then none is looked at until the oldest is this long ago.
const ATTEMPTS: usize = 5;
const ATTEMPTS_WITHIN: Duration = Duration::from_secs(60);
const LONGEST_TEXT: usize = 255;

/// A server that wants to join, as the host has to judge it.
#[derive(Debug, Clone)]
pub struct Enrol {
    /// Login name.
    pub user: String,
    /// Password.
    pub password: String,
    /// An id for the server, unless its key is known already.
    pub server: ServerId,
    /// Its display name.
    pub name: String,
    /// `address:port` where its peers reach it.
    pub mesh: String,
    /// Base URL of its pages.
    pub web: String,
    /// SHA-256 of its public key.
    pub key_sha256: String,
    /// What it runs.
    pub versions: VersionSet,
    /// From where it calls.
    pub from: IpAddr,
}

/// The server is enrolled, durably.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// The id of its row: the one offered, or that of the row which has its key already.
    pub server: ServerId,
    /// The primary's own row.
    pub primary: Server,
}

/// The host's part: check that the login is an administrator's, the versions and the licence, then commit the server's row
/// and append it to the group `DEFAULT`, in one transaction. A server whose key a row has already (its first answer was
/// lost) gets that row's id, and nothing is committed.
pub trait Enrolment: Send + Sync + 'static {
    /// Judges and enrols.
    fn enrol(&self, ask: Enrol) -> Pin<Box<dyn Future<Output = Result<Enrolled, JoinRefusal>> + Send + '_>>;
}

/// Takes servers in. Cheap to clone.
#[derive(Clone)]
pub struct JoinService {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for JoinService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JoinService")
    }
}

struct Shared {
    identity: Arc<Identity>,
    enrolment: Arc<dyn Enrolment>,
    wrong: Mutex<HashMap<IpAddr, Vec<Instant>>>,
    at_once: Semaphore,
}

impl JoinService {
    /// A service that issues certificates with the site's key.
    pub fn new(identity: Arc<Identity>, enrolment: Arc<dyn Enrolment>) -> JoinService {
        let shared = Shared { identity, enrolment, wrong: Mutex::default(), at_once: Semaphore::new(AT_ONCE) };
        JoinService { shared: Arc::new(shared) }
    }

    /// Serves one call.
    pub(crate) async fn serve(&self, stream: TlsStream<TcpStream>, from: SocketAddr) {
        let mut connection = Framed::new(stream, Frames { limit: JOIN_LIMIT });
        let Ok(Some(Ok(bytes))) = tokio::time::timeout(ASK_DEADLINE, connection.next()).await else { return };
        let Ok(ask) = frame::read::<Ask>(&bytes) else {
            return tracing::warn!(%from, "what came is not a request to join");
        };
        let name = ask.name.clone();
        let reply = match self.shared.judge(ask, from.ip()).await {
            Ok(reply) => {
                tracing::info!(%from, name, "a server has joined");
                reply
            }
            Err(refusal) => {
                tracing::warn!(%from, name, reason = %refusal, "a server was not let in");
                Reply::Refused(refusal)
            }
        };
        let answer = async {
            connection.send(frame::write(&reply)).await.ok();
            connection.close().await.ok();
        };
        tokio::time::timeout(ASK_DEADLINE, answer).await.ok();
    }
}

impl Shared {
    async fn judge(&self, ask: Ask, from: IpAddr) -> Result<Reply, JoinRefusal> {
        let refuse = |error: &dyn std::fmt::Display| JoinRefusal::BadRequest(error.to_string());
        for (what, text) in [("name", &ask.name), ("mesh address", &ask.mesh), ("web address", &ask.web)] {
            if text.is_empty() || text.len() > LONGEST_TEXT || text.chars().any(char::is_control) {
                return Err(refuse(&format!("{what} {text:?} is empty, too long or not printable")));
            }
        }
        let request = CheckedRequest::from_pem(&ask.request).map_err(|error| refuse(&error))?;
        if !self.identity.is_issuer() {
            return Err(JoinRefusal::NotPrimary(None));
        }
        let _one_of_few = self.at_once.acquire().await.map_err(|_| JoinRefusal::Fault("stopping".to_owned()))?;
        self.check_attempts(from)?;
        let server = draw().map_err(JoinRefusal::Fault)?;
        let names = names(&ask);
        let enrol = Enrol {
            user: ask.user,
            password: ask.password,
            server,
            name: ask.name,
            mesh: ask.mesh,
            web: ask.web,
            key_sha256: request.key_sha256.clone(),
            versions: ask.versions,
            from,
        };
        let enrolled = self.enrolment.enrol(enrol).await.inspect_err(|refusal| {
            if *refusal == JoinRefusal::WrongLogin {
                self.note_wrong(from);
            }
        })?;
        let issued = self.identity.issue(&request, enrolled.server, &names);
        let issued = issued.map_err(|error| JoinRefusal::Fault(error.to_string()))?;
        Ok(Reply::Joined {
            server: enrolled.server,
            certificate: issued.certificate,
            site: issued.site,
            primary: Box::new(enrolled.primary),
        })
    }

    fn check_attempts(&self, from: IpAddr) -> Result<(), JoinRefusal> {
        let mut wrong = self.wrong.lock().expect("no panic while attempts are held");
        wrong.retain(|_, times| {
            times.retain(|time| time.elapsed() < ATTEMPTS_WITHIN);
            !times.is_empty()
        });
        match wrong.get(&from) {
            Some(times) if times.len() >= ATTEMPTS => {
                let rest = ATTEMPTS_WITHIN.saturating_sub(times[0].elapsed());
                Err(JoinRefusal::TooManyAttempts { seconds: rest.as_secs() + 1 })
            }
            _ => Ok(()),
        }
    }

    fn note_wrong(&self, from: IpAddr) {
        self.wrong.lock().expect("no panic while attempts are held").entry(from).or_default().push(Instant::now());
    }
}

/// The names under which browsers reach the server: the hosts of its two addresses, and its display name if it is one.
fn names(ask: &Ask) -> Vec<String> {
    let host = |address: &str| {
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        let rest = rest.split('/').next().unwrap_or_default();
        match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((v6, _)) => v6.to_owned(),
            None => rest.rsplit_once(':').map_or(rest, |(host, _)| host).to_owned(),
        }
    };
    let usable = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':'))
    };
    let mut names: Vec<String> =
        [ask.name.clone(), host(&ask.mesh), host(&ask.web)].into_iter().filter(usable).collect();
    names.sort();
    names.dedup();
    names
}

fn draw() -> Result<ServerId, String> {
    let mut bytes = [0; 16];
    crate::tls::provider().secure_random.fill(&mut bytes).map_err(|_| "no random numbers".to_owned())?;
    Ok(ServerId(u128::from_be_bytes(bytes)))
}
